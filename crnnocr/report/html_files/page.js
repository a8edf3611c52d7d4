"use strict";
(() => {
  const data = JSON.parse(document.getElementById("rows").textContent);
  const [NAME, TRUTH, READING, SURE, WIDTH, HEIGHT, SOURCE, EDITS, OTHER] = Array(9).keys();
  const [SUBSTITUTED, LOST, ADDED] = Array(3).keys();
  const AT_A_TIME = 12;

  const at = (id) => document.getElementById(id);
  const rows = data.rows;
  const read = (row) => row[READING] === 0 ? row[TRUTH] : row[READING];
  const other = (row) => row[OTHER] === 0 ? read(row) : row[OTHER];
  const edits = (row) => row[EDITS] ? row[EDITS].length / 3 : 0;
  const length = (row) => [...row[TRUTH]].length;
  const found = new Map();
  const searched = (index) => {
    if (!found.has(index)) {
      const row = rows[index];
      found.set(index, [row[NAME], row[TRUTH], read(row), other(row)].join("\n").toLowerCase());
    }
    return found.get(index);
  };

  // Levenshtein's distance, for what another reader read; few rows differ.
  const distance = (a, b) => {
    const x = [...a], y = [...b];
    let before = [...Array(y.length + 1).keys()];
    x.forEach((c, i) => {
      const after = [i + 1];
      y.forEach((d, j) => after.push(Math.min(before[j + 1] + 1, after[j] + 1, before[j] + (c === d ? 0 : 1))));
      before = after;
    });
    return before[y.length];
  };
  const gain = (row) => row[OTHER] === 0 ? 0 : distance(row[TRUTH], row[OTHER]) - edits(row);

  const shows = {
    all: () => true,
    wrong: (row) => row[READING] !== 0,
    right: (row) => row[READING] === 0,
    picture: (row, index) => index in data.pictures,
    better: (row) => gain(row) > 0,
    worse: (row) => gain(row) < 0,
  };
  // The rows come with the most edits first, and sorting is stable.
  const orders = {
    edits: () => 0,
    rate: (a, b) => edits(b) / Math.max(1, length(b)) - edits(a) / Math.max(1, length(a)),
    sure: (a, b) => b[SURE] - a[SURE],
    unsure: (a, b) => a[SURE] - b[SURE],
    long: (a, b) => length(b) - length(a),
    wide: (a, b) => b[WIDTH] - a[WIDTH],
    name: (a, b) => a[NAME] < b[NAME] ? -1 : a[NAME] > b[NAME] ? 1 : 0,
  };

  const INVISIBLE = /^[\p{C}\p{Z}]$/u, MARK = /^\p{M}$/u;
  const visible = (character) => {
    if (character === " ") return "␣";
    if (INVISIBLE.test(character)) return "U+" + character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0");
    return MARK.test(character) ? "◌" + character : character;
  };
  const element = (tag, kind, text) => {
    const made = document.createElement(tag);
    if (kind) made.className = kind;
    if (text !== undefined) made.textContent = text;
    return made;
  };

  let edit = null;
  const holds = (row) => {
    if (!edit) return true;
    if (!row[EDITS]) return false;
    const truth = [...row[TRUTH]], reading = [...read(row)];
    for (let k = 0; k < row[EDITS].length; k += 3) {
      const [kind, i, j] = row[EDITS].slice(k, k + 3);
      if ((kind === ADDED ? "" : truth[i]) === edit[0] && (kind === LOST ? "" : reading[j]) === edit[1]) return true;
    }
    return false;
  };

  // Column by column: the character of the label, what was read for it, and how sure that is.
  const diff = (row, sure) => {
    const box = element("div", "diff");
    box.dir = "auto";
    const truth = [...row[TRUTH]], reading = [...read(row)];
    const column = (kind, above, below, j) => {
      const made = element("span", "col " + kind);
      const shown = (character) => kind === "same" && character === " " ? " " : character === null ? "·" : visible(character);
      for (const character of [above, below]) {
        const text = shown(character);
        made.append(element("span", text.startsWith("U+") ? "named" : "", text));
      }
      if (sure && sure.length) {
        const bar = element("i");
        const share = j === null ? 0 : sure[j];
        bar.style.setProperty("--sure", share + "%");
        bar.style.setProperty("--shade", share >= 90 ? "var(--green)" : share >= 60 ? "var(--more)" : "var(--bad)");
        if (j === null) bar.style.visibility = "hidden";
        made.append(bar);
        if (j !== null) made.title = share + "% sure";
      }
      box.append(made);
    };
    let i = 0, j = 0;
    const same = (until_i, until_j) => { while (i < until_i && j < until_j) column("same", truth[i++], reading[j], j++); };
    const all = row[EDITS] || [];
    for (let k = 0; k < all.length; k += 3) {
      same(all[k + 1], all[k + 2]);
      if (all[k] === SUBSTITUTED) column("sub", truth[i++], reading[j], j++);
      else if (all[k] === LOST) column("del", truth[i++], null, null);
      else if (all[k] === ADDED) column("ins", null, reading[j], j++);
    }
    same(truth.length, reading.length);
    return box;
  };

  const card = (index) => {
    const row = rows[index], item = element("li");
    const picture = data.pictures[index];
    if (picture) {
      item.className = row[WIDTH] > 10 * row[HEIGHT] ? "" : "pictured"; // a long line has the whole width for itself
      const image = element("img");
      image.src = picture[0];
      image.alt = "";
      item.append(image);
    }
    item.append(diff(row, picture && picture[1]));
    if (data.other !== null && row[OTHER] !== 0) {
      const line = element("div", "other");
      line.append(element("bdi", "", data.other), " read: ", element("bdi", "", row[OTHER]));
      item.append(line);
    }
    const meta = element("div", "meta"), name = element("bdi", "file", row[NAME]), count = edits(row);
    meta.append(name);
    if (count) meta.append(element("span", "edits", count + (count === 1 ? " edit" : " edits")));
    meta.append(element("span", "", (row[SURE] / 100).toFixed(1) + "% sure"));
    meta.append(element("span", "", row[WIDTH] + " × " + row[HEIGHT] + " px"));
    item.append(meta);
    return item;
  };

  let chosen = [], shown = 0;
  const more = () => {
    const part = document.createDocumentFragment();
    for (const index of chosen.slice(shown, shown + AT_A_TIME)) part.append(card(index));
    at("list").append(part);
    shown = Math.min(chosen.length, shown + AT_A_TIME);
    at("more").hidden = shown === chosen.length;
  };
  const choose = () => {
    const keep = shows[at("which").value], order = orders[at("order").value];
    const source = at("source").value, wanted = at("search").value.toLowerCase();
    chosen = [];
    rows.forEach((row, index) => {
      if (keep(row, index) && (source === "" || row[SOURCE] === +source) && holds(row) && (!wanted || searched(index).includes(wanted)))
        chosen.push(index);
    });
    chosen.sort((a, b) => order(rows[a], rows[b]));
    at("list").textContent = "";
    shown = 0;
    at("count").textContent = chosen.length.toLocaleString("en") + " of " + rows.length.toLocaleString("en");
    if (!chosen.length) at("list").append(element("li", "none", "No sample is like that."));
    more();
  };

  // What is chosen stands in the address, so that it can be kept and sent.
  const controls = {show: "which", sort: "order", source: "source", find: "search"};
  const standard = () => Object.values(controls).map((id) => at(id).value);
  const keepInAddress = () => {
    const parts = new URLSearchParams();
    Object.entries(controls).forEach(([name, id], k) => { if (at(id).value !== first[k]) parts.set(name, at(id).value); });
    if (edit) parts.set("edit", JSON.stringify(edit));
    if (parts.size || location.hash.includes("=")) try { history.replaceState(null, "", "#" + parts); } catch { /* a viewer that forbids it */ }
  };
  const takeFromAddress = () => {
    if (!location.hash.includes("=")) return;
    const parts = new URLSearchParams(location.hash.slice(1));
    for (const [name, id] of Object.entries(controls)) {
      if (parts.has(name) && (id === "search" || [...at(id).options].some((option) => option.value === parts.get(name)))) at(id).value = parts.get(name);
    }
    try { setEdit(JSON.parse(parts.get("edit"))); } catch { setEdit(null); }
  };
  const setEdit = (wanted) => {
    edit = Array.isArray(wanted) && wanted.length === 2 ? wanted.map(String) : null;
    at("edit").hidden = !edit;
    const [truth, reading] = edit || ["", ""];
    at("edit").textContent = (!reading ? visible(truth || " ") + " lost" : !truth ? visible(reading) + " added" : visible(truth) + " → " + visible(reading)) + "  ×";
  };

  data.sources.forEach((name, index) => at("source").append(new Option(name, index)));
  at("sources").hidden = data.sources.length < 2;
  if (!rows.some((row) => row[READING] !== 0)) at("which").value = "all";
  const first = standard();
  const change = () => { choose(); keepInAddress(); };
  let waiting = 0;
  at("controls").addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(change, 120); });
  at("controls").addEventListener("submit", (event) => event.preventDefault());
  at("more").addEventListener("click", more);
  at("edit").addEventListener("click", () => { setEdit(null); change(); });
  document.querySelectorAll(".heat button").forEach((button) => button.addEventListener("click", () => {
    setEdit([button.dataset.truth, button.dataset.reading]);
    at("which").value = "all";
    at("search").value = "";
    at("source").value = "";
    change();
    at("samples").scrollIntoView();
  }));

  // Tables: a click on a heading sorts by its column, the greatest first, then the least first.
  document.querySelectorAll(".sortable").forEach((table) => table.querySelectorAll("th").forEach((heading, column) => {
    heading.tabIndex = 0;
    const sort = () => {
      const down = heading.getAttribute("aria-sort") !== "descending";
      table.querySelectorAll("th").forEach((each) => each.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", down ? "descending" : "ascending");
      const value = (line) => line.cells[column].dataset.value;
      const compare = (a, b) => isNaN(value(a)) ? value(a).localeCompare(value(b)) : value(a) - value(b);
      const lines = [...table.tBodies[0].rows].sort((a, b) => (down ? -1 : 1) * compare(a, b));
      table.tBodies[0].append(...lines);
    };
    heading.addEventListener("click", sort);
    heading.addEventListener("keydown", (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); sort(); } });
  }));
  takeFromAddress();
  choose();
})();
