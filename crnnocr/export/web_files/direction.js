// From visual to logical order: `crnnocr.text.bidi.visual_to_logical`, rule by rule of UAX #9.
"use strict";

const MARKS = ["\u200e", "\u200f"];
const RIGHT_TO_LEFT = ["R", "AL"];
const RESOLVED = ["L", "R", "EN", "AN"];
const ATTEMPTS = 6;
const CONCERNS = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;

const sideOf = (level) => (level % 2 ? "R" : "L");
const same = (a, b) => a.every((value, i) => value === b[i]);

/** The text whose characters stand on paper in this order, given the bidirectional class and the mirror image of each. */
function visualToLogical(shown, { directions, mirrored }) {
  const text = shown.replace(/[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, "");
  if (!CONCERNS.test(text)) return text;
  const items = itemsOf(text, directions);
  const base = baseLevel(text, directions);
  const turned = (word) => [...word].map((c) => mirrored[c] ?? c).join("");
  const arrange = (levels) => {
    const order = reordered(levels);
    return { order, wanted: order.map((i) => levels[i]), logical: order.map((i) => ({
      text: levels[i] % 2 ? turned(items[i].text) : items[i].text, kind: items[i].kind })) };
  };
  const guesses = firstGuesses(items, base, mirrored);
  const attempts = [...guesses];
  const settled = fixedPoint(guesses, arrange, base, mirrored);
  if (settled) attempts.unshift(settled);
  for (const levels of attempts) {
    const { logical, wanted } = arrange(levels);
    const marked = withMarks(logical, wanted, base, mirrored);
    if (marked) return marked.map((item) => item.text).join("");
  }
  return text;
}

/** 1 if a line with these characters, in any order, runs from right to left; else 0. */
function baseLevel(text, directions) {
  const kinds = [...text].map((c) => directions[c]);
  const rightward = kinds.filter((kind) => kind === "L").length;
  const leftward = kinds.filter((kind) => RIGHT_TO_LEFT.includes(kind)).length;
  if (!rightward && !leftward) return Number(kinds.includes("AN") || /[\u06f0-\u06f9]/.test(text));
  return Number(leftward >= rightward);
}

/** Characters, each with the marks on it. */
function itemsOf(text, directions) {
  const items = [];
  let leading = "";
  for (const character of text) {
    const kind = directions[character] || "L";
    if (!["NSM", "BN"].includes(kind)) {
      items.push({ text: character + leading, kind });
      leading = "";
    } else if (items.length) items[items.length - 1].text += character;
    else leading += character;
  }
  if (leading) items.push({ text: leading, kind: "ON" });
  return items;
}

/** Levels of items in visual order: with phrases against the base direction held together, and without; with signs that belong to
 * numbers at their other side, too. */
function firstGuesses(items, base, mirrored) {
  const kinds = items.map(({ kind }) => kind);
  const plain = kinds.map((kind) => {
    if (RIGHT_TO_LEFT.includes(kind)) return 1;
    if (kind === "AN" || (kind === "EN" && base)) return 2;
    return kind === "L" ? 2 * base : base;
  });
  const inside = base ? ["L", "EN"] : ["R", "AL", "AN"];
  const stops = base ? ["R", "AL", "AN", "S", "B"] : ["L", "S", "B"];
  const joined = [...plain];
  const breaks = kinds.map((kind) => stops.includes(kind));
  for (const [start, end] of runs(breaks)) {
    const ends = kinds.flatMap((kind, i) => (i >= start && i < end && inside.includes(kind) ? [i] : []));
    if (breaks[start] || !ends.length || (base && !ends.some((i) => kinds[i] === "L"))) continue;
    const own = kinds.map((_, i) => i).slice(ends[0], ends[ends.length - 1] + 1);
    for (const i of [...own, ...bracketsBeside(items, own, base, mirrored)]) {
      joined[i] = base || ["EN", "AN"].includes(kinds[i]) ? 2 : 1;
    }
  }
  const signed = [...plain];
  for (const [start, end] of runs(kinds)) {
    if (kinds[start] === "ET" && [kinds[start - 1], kinds[end]].includes("EN")) signed.fill(base ? 2 : 0, start, end);
  }
  return [joined, plain, signed];
}

/** Indices of the brackets that close a phrase, after it in logical order, and were opened in it. */
function bracketsBeside(items, phrase, base, mirrored) {
  const [opening, closing, step] = base ? ["Ps", "Pe", 1] : ["Pe", "Ps", -1];
  const types = items.map(({ text }) => bracket(text, mirrored));
  let unclosed = phrase.reduce((sum, i) => sum + (types[i] === opening) - (types[i] === closing), 0);
  const found = [];
  for (let i = phrase.at(base ? -1 : 0) + step; unclosed > 0 && types[i] === closing; i += step, unclosed--) found.push(i);
  return found;
}

/** Ps for an opening bracket that has a partner, Pe for a closing one, else nothing. */
function bracket(text, mirrored) {
  const character = String.fromCodePoint(text.codePointAt(0));
  if (!(character in mirrored)) return "";
  return /\p{Ps}/u.test(character) ? "Ps" : /\p{Pe}/u.test(character) ? "Pe" : "";
}

/** The first levels that the algorithm confirms; undefined if it confirms none. */
function fixedPoint(guesses, arrange, base, mirrored) {
  for (let levels of guesses) {
    for (let n = 0; n < ATTEMPTS; n++) {
      const { order, logical } = arrange(levels);
      const confirmed = embeddingLevels(logical, base, mirrored);
      const found = [];
      order.forEach((i, n) => { found[i] = confirmed[n]; });
      if (same(found, levels)) return levels;
      levels = found;
    }
  }
  return undefined;
}

/** Items in logical order, and marks that give them their levels; null if marks cannot. */
function withMarks(items, wanted, base, mirrored) {
  const marked = (places) => items.flatMap((item, i) => {
    const mark = { text: MARKS[wanted[i] % 2], kind: sideOf(wanted[i]), of: -1 };
    return [...(places.has(2 * i) ? [mark] : []), { ...item, of: i }, ...(places.has(2 * i + 1) ? [mark] : [])];
  });
  const firstWrong = (places) => {
    const all = marked(places);
    const levels = embeddingLevels(all, base, mirrored);
    return all.find(({ of }, n) => of >= 0 && levels[n] !== wanted[of])?.of;
  };
  const places = new Set();
  for (let wrong = firstWrong(places); wrong !== undefined; wrong = firstWrong(places)) {
    if (places.has(2 * wrong)) return null;
    places.add(2 * wrong).add(2 * wrong + 1);
  }
  for (const place of [...places].sort((a, b) => a - b)) {
    places.delete(place);
    if (firstWrong(places) !== undefined) places.add(place);
  }
  return marked(places);
}

/** The embedding level of each item in logical order (W2 to W7, N0 to N2, I1, I2, L1). */
function embeddingLevels(items, base, mirrored) {
  const start = sideOf(base);
  const kinds = resolveNumbers(items.map(({ kind }) => kind), start);
  pairBrackets(kinds, items, base, mirrored);
  const sides = kinds.map((kind) => (kind === "EN" || kind === "AN" ? "R" : kind));
  const level = (kind) => base + (base ? Number(kind !== "R") : { L: 0, R: 1 }[kind] ?? 2);
  const neutral = kinds.map((kind) => !RESOLVED.includes(kind));
  const levels = kinds.map((kind, i) => (neutral[i] ? base : level(kind)));
  for (const [begin, end] of runs(neutral)) { // N1 and N2
    if (!neutral[begin]) continue;
    const before = sides[begin - 1] ?? start;
    levels.fill(level(before === (sides[end] ?? start) ? before : start), begin, end);
  }
  let trailing = true;
  for (let i = items.length - 1; i >= 0; i--) { // L1
    if (["S", "B"].includes(items[i].kind)) trailing = true;
    else if (items[i].kind !== "WS") trailing = false;
    if (trailing) levels[i] = base;
  }
  return levels;
}

/** Kinds after W2 to W7. */
function resolveNumbers(given, start) {
  let strong = start;
  let kinds = given.map((kind) => {
    if (["L", "R", "AL"].includes(kind)) strong = kind;
    if (kind === "EN" && strong === "AL") return "AN"; // W2
    return kind === "AL" ? "R" : kind; // W3
  });
  for (let i = 1; i < kinds.length - 1; i++) { // W4
    const [before, kind, after] = kinds.slice(i - 1, i + 2);
    if (before !== after) continue;
    if ((["ES", "CS"].includes(kind) && before === "EN") || (kind === "CS" && before === "AN")) kinds[i] = before;
  }
  for (const [begin, end] of runs([...kinds])) { // W5
    if (kinds[begin] === "ET" && (kinds[begin - 1] === "EN" || kinds[end] === "EN")) kinds.fill("EN", begin, end);
  }
  strong = start;
  return kinds.map((kind) => {
    if (kind === "L" || kind === "R") strong = kind;
    return kind === "EN" && strong === "L" ? "L" : kind; // W7
  });
}

/** N0: both brackets of a pair take one direction. */
function pairBrackets(kinds, items, base, mirrored) {
  const own = sideOf(base);
  const stack = [];
  const pairs = [];
  for (let i = 0; i < items.length; i++) {
    const [character] = items[i].text;
    const type = kinds[i] === "ON" ? bracket(character, mirrored) : "";
    if (type === "Ps") {
      if (stack.length === 63) break;
      stack.push([mirrored[character], i]);
    } else if (type === "Pe") {
      const found = stack.findLastIndex(([closing]) => closing === character);
      if (found >= 0) pairs.push([stack.splice(found)[0][1], i]);
    }
  }
  for (const [opening, closing] of pairs.sort(([a], [b]) => a - b)) {
    const inside = kinds.slice(opening, closing).map((kind) => (kind === "EN" || kind === "AN" ? "R" : kind));
    if (!inside.includes("L") && !inside.includes("R")) continue;
    const context = kinds.slice(0, opening).findLast((kind) => RESOLVED.includes(kind)) ?? own;
    const kept = inside.includes(own) || (context === "L") === (own === "L");
    kinds[opening] = kinds[closing] = kept ? own : sideOf(base + 1);
  }
}

/** Indices in the other order: from the highest level down, every run of that level or higher is reversed (L2). */
function reordered(levels) {
  let order = levels.map((_, i) => i);
  for (let level = Math.max(0, ...levels); level > 0; level--) {
    const high = order.map((i) => levels[i] >= level);
    order = runs(high).flatMap(([start, end]) => (high[start] ? order.slice(start, end).reverse() : order.slice(start, end)));
  }
  return order;
}

/** Start and end of each run of equal values. */
function runs(values) {
  const begins = values.flatMap((value, i) => (i === 0 || value !== values[i - 1] ? [i] : []));
  return begins.map((begin, n) => [begin, begins[n + 1] ?? values.length]);
}
