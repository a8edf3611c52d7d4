// From visual to logical order: `crnnocr.text.bidi.visual`, rule by rule of UAX #9.
"use strict";

const MIRRORED = new Map([..."()[]{}<>«»‹›≤≥⟨⟩"].map((sign, i, signs) => [sign, signs[i ^ 1]]));

/** The logical text of characters that are ordered from left to right, given the bidirectional class of each character. */
function visual(text, classes) {
  const clusters = [];
  for (const character of text) {
    if (clusters.length && ["NSM", "BN"].includes(classes[character])) clusters[clusters.length - 1] += character;
    else clusters.push(character);
  }
  const kinds = clusters.map((cluster) => classes[String.fromCodePoint(cluster.codePointAt(0))]);
  const turned = kinds.filter((kind) => kind === "R" || kind === "AL").length;
  if (!turned) return text;
  const base = Number(turned >= kinds.filter((kind) => kind === "L").length);
  const levels = levelsOf(resolved(kinds, base), base);
  const shown = (i) => (levels[i] % 2 ? [...clusters[i]].map((c) => MIRRORED.get(c) ?? c).join("") : clusters[i]);
  return reordered(levels).map(shown).join("");
}

/** Resolved classes: L, R, EN, AN, or N for neutral ones (W2 to W7). */
function resolved(given, base) {
  let strong = "";
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
  const before = [...kinds];
  for (const [start, end] of runs(before)) { // W5
    if (before[start] === "ET" && (before[start - 1] === "EN" || before[end] === "EN")) kinds.fill("EN", start, end);
  }
  strong = base ? "R" : "L";
  kinds = kinds.map((kind) => {
    if (kind === "L" || kind === "R") strong = kind;
    return kind === "EN" && strong === "L" ? "L" : kind; // W7
  });
  return kinds.map((kind) => (["L", "R", "EN", "AN"].includes(kind) ? kind : "N"));
}

/** The embedding level of each (N1, N2, I1, I2). */
function levelsOf(kinds, base) {
  const outside = base ? "R" : "L";
  const level = (kind) => (kind === "L" ? 2 * base : kind === "R" ? 1 : 2);
  const sides = kinds.map((kind) => (kind === "EN" || kind === "AN" ? "R" : kind));
  const levels = kinds.map(level);
  for (const [start, end] of runs(sides)) {
    if (sides[start] !== "N") continue;
    const before = sides[start - 1] ?? outside;
    const after = sides[end] ?? outside;
    const own = before === after ? before : outside;
    levels.fill(own === "R" ? 1 : 2 * base, start, end);
  }
  return levels;
}

/** Indices in the other order: from the highest level down, every run of that level or higher is reversed (L2). */
function reordered(levels) {
  let order = levels.map((_, i) => i);
  for (let level = Math.max(...levels); level > 0; level--) {
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
