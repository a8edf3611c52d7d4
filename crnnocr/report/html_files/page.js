"use strict";
(() => {
  const data = JSON.parse(document.getElementById("rows").textContent);
  const [NAME, REFERENCE, PREDICTION, CONFIDENCE, WIDTH, HEIGHT, SOURCE, EDITS, OTHER] = Array(9).keys();
  const [SUBSTITUTED, DELETED, INSERTED] = Array(3).keys();
  const AT_A_TIME = 12;

  const at = (id) => document.getElementById(id);
  const rows = data.rows;
  const predicted = (row) => row[PREDICTION] === 0 ? row[REFERENCE] : row[PREDICTION];
  const other = (row) => row[OTHER] === 0 ? predicted(row) : row[OTHER];
  const edits = (row) => row[EDITS] ? row[EDITS].length / 3 : 0;
  const length = (row) => [...row[REFERENCE]].length;
  const found = new Map();
  const searched = (index) => {
    if (!found.has(index)) {
      const row = rows[index];
      found.set(index, [row[NAME], row[REFERENCE], predicted(row), other(row)].join("\n").toLowerCase());
    }
    return found.get(index);
  };

  // Levenshtein's distance, for the other system's predictions; few rows differ.
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
  const gain = (row) => row[OTHER] === 0 ? 0 : distance(row[REFERENCE], row[OTHER]) - edits(row);

  const shows = {
    all: () => true,
    wrong: (row) => row[PREDICTION] !== 0,
    correct: (row) => row[PREDICTION] === 0,
    image: (row, index) => index in data.images,
    better: (row) => gain(row) > 0,
    worse: (row) => gain(row) < 0,
  };
  // The rows come with the most edits first, and sorting is stable.
  const orders = {
    edits: () => 0,
    rate: (a, b) => edits(b) / Math.max(1, length(b)) - edits(a) / Math.max(1, length(a)),
    confident: (a, b) => b[CONFIDENCE] - a[CONFIDENCE],
    uncertain: (a, b) => a[CONFIDENCE] - b[CONFIDENCE],
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
    const reference = [...row[REFERENCE]], prediction = [...predicted(row)];
    for (let k = 0; k < row[EDITS].length; k += 3) {
      const [kind, i, j] = row[EDITS].slice(k, k + 3);
      if ((kind === INSERTED ? "" : reference[i]) === edit[0] && (kind === DELETED ? "" : prediction[j]) === edit[1]) return true;
    }
    return false;
  };

  // A column for each character: of the label, of the prediction, and the confidence in it.
  const diff = (row, confidences) => {
    const box = element("div", "diff");
    box.dir = "auto";
    const reference = [...row[REFERENCE]], prediction = [...predicted(row)];
    const column = (kind, above, below, j) => {
      const made = element("span", "col " + kind);
      const shown = (character) => kind === "same" && character === " " ? " " : character === null ? "·" : visible(character);
      for (const character of [above, below]) {
        const text = shown(character);
        made.append(element("span", text.startsWith("U+") ? "named" : "", text));
      }
      if (confidences && confidences.length) {
        const bar = element("i");
        const share = j === null ? 0 : confidences[j];
        bar.style.setProperty("--confidence", share + "%");
        bar.style.setProperty("--shade", share >= 90 ? "var(--green)" : share >= 60 ? "var(--more)" : "var(--bad)");
        if (j === null) bar.style.visibility = "hidden";
        made.append(bar);
        if (j !== null) made.title = "confidence " + share + "%";
      }
      box.append(made);
    };
    let i = 0, j = 0;
    const same = (until_i, until_j) => { while (i < until_i && j < until_j) column("same", reference[i++], prediction[j], j++); };
    const all = row[EDITS] || [];
    for (let k = 0; k < all.length; k += 3) {
      same(all[k + 1], all[k + 2]);
      if (all[k] === SUBSTITUTED) column("sub", reference[i++], prediction[j], j++);
      else if (all[k] === DELETED) column("del", reference[i++], null, null);
      else if (all[k] === INSERTED) column("ins", null, prediction[j], j++);
    }
    same(reference.length, prediction.length);
    return box;
  };

  const card = (index) => {
    const row = rows[index], item = element("li");
    const image = data.images[index];
    if (image) {
      item.className = row[WIDTH] > 10 * row[HEIGHT] ? "" : "with-image"; // a long line has the whole width for itself
      const img = element("img");
      img.src = image[0];
      img.alt = "";
      item.append(img);
    }
    item.append(diff(row, image && image[1]));
    if (data.other !== null && row[OTHER] !== 0) {
      const line = element("div", "other");
      line.append(element("bdi", "", data.other), " predicted: ", element("bdi", "", row[OTHER]));
      item.append(line);
    }
    const meta = element("div", "meta"), name = element("bdi", "file", row[NAME]), count = edits(row);
    meta.append(name);
    if (count) meta.append(element("span", "edits", count + (count === 1 ? " edit" : " edits")));
    meta.append(element("span", "", "confidence " + (row[CONFIDENCE] / 100).toFixed(1) + "%"));
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
    if (!chosen.length) at("list").append(element("li", "none", "No such sample."));
    more();
  };

  // The choices are kept in the address, so that they can be bookmarked and sent.
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
    const [reference, prediction] = edit || ["", ""];
    at("edit").textContent = (!prediction ? visible(reference || " ") + " lost" : !reference ? visible(prediction) + " added" : visible(reference) + " → " + visible(prediction)) + "  ×";
  };

  data.sources.forEach((name, index) => at("source").append(new Option(name, index)));
  at("sources").hidden = data.sources.length < 2;
  if (!rows.some((row) => row[PREDICTION] !== 0)) at("which").value = "all";
  const first = standard();
  const change = () => { choose(); keepInAddress(); };
  let waiting = 0;
  at("controls").addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(change, 120); });
  at("controls").addEventListener("submit", (event) => event.preventDefault());
  at("more").addEventListener("click", more);
  at("edit").addEventListener("click", () => { setEdit(null); change(); });
  document.querySelectorAll(".heat button").forEach((button) => button.addEventListener("click", () => {
    setEdit([button.dataset.reference, button.dataset.prediction]);
    at("which").value = "all";
    at("search").value = "";
    at("source").value = "";
    change();
    at("samples").scrollIntoView();
  }));

  // Tables: a click on a heading sorts by its column, first in descending order, then ascending.
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
