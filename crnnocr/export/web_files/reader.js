// Recognizes images with the model of model.js. `recognizeImage(blob)` is for programs; the rest is the page.
"use strict";

const MAX_PIXELS = 50_000_000;

const bytesOf = (base64) => Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));

const session = (async () => {
  const glue = new Blob([bytesOf(RUNTIME.glue)], { type: "text/javascript" });
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmPaths = { mjs: URL.createObjectURL(glue) };
  ort.env.wasm.wasmBinary = bytesOf(RUNTIME.binary);
  return ort.InferenceSession.create(bytesOf(MODEL.graph), { executionProviders: ["wasm"] });
})();

/** The first gray value up to which there are at least `least` of the pixels that `counts` counts by value. */
const quantile = (counts, least) => counts.findIndex((count) => (least -= count) <= 0);

const luminance = (data, i) => (data[i] * 19595 + data[i + 1] * 38470 + data[i + 2] * 7471 + 0x8000) >> 16;

/** The paper that a partly transparent image stands out from: black if all that is visible of it is light. */
function paperOf(data) {
  const pixels = data.length / 4;
  let highest = 0, opacity = 0;
  for (let i = 3; i < data.length; i += 4) (opacity += data[i]), (highest = Math.max(highest, data[i]));
  if (!highest || opacity > 0.9 * 255 * pixels) return "white";
  const counts = new Uint32Array(256);
  let visible = 0, total = 0;
  for (let i = 0; i < data.length; i += 4) {
    if (data[i + 3] < 0.8 * highest) continue;
    const value = luminance(data, i);
    counts[value]++, visible++, (total += value);
  }
  const mean = total / visible;
  return mean > 128 && mean - quantile(counts, 0.02 * visible) < 80 ? "black" : "white";
}

/** Values between the dark and the light parts of an image, as in `images/gray.py`. */
function spanOf(values) {
  const counts = new Uint32Array(256);
  for (const value of values) counts[value]++;
  return quantile(counts, 0.998 * values.length) - quantile(counts, 0.002 * values.length + 1);
}

/** Luminance, with the weights of ITU-R 601-2 in fixed point as in Pillow; or, if it differs little, the color that differs most. */
function grayFrom(data) {
  const [gray, ...channels] = Array.from({ length: 4 }, () => new Uint8Array(data.length / 4));
  for (let i = 0; i < gray.length; i++) {
    gray[i] = luminance(data, 4 * i);
    for (let channel = 0; channel < 3; channel++) channels[channel][i] = data[4 * i + channel];
  }
  const span = spanOf(gray);
  if (span >= 64) return gray;
  const spans = channels.map(spanOf);
  const widest = Math.max(...spans);
  if (widest < Math.max(40, 2.5 * span)) return gray;
  const best = channels[spans.indexOf(widest)];
  const sorted = best.slice().sort();
  const isDark = sorted[sorted.length >> 1] < (sorted[0] + sorted[sorted.length - 1]) / 2;
  return isDark ? best.map((value) => 255 - value) : best;
}

/** An image's gray values, as `predict` sees them. */
async function grayOf(blob) {
  const bitmap = await createImageBitmap(blob, { colorSpaceConversion: "none" });
  const { width, height } = bitmap;
  if (width * height > MAX_PIXELS) throw new Error(`${width} × ${height} pixels are too many: cut the line out first`);
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  context.globalCompositeOperation = "destination-over";
  context.fillStyle = paperOf(context.getImageData(0, 0, width, height).data);
  context.fillRect(0, 0, width, height);
  return { gray: grayFrom(context.getImageData(0, 0, width, height).data), width, height };
}

/** An image's text, its confidence, each character from left to right, and the time in ms. */
async function recognizeImage(blob) {
  const model = await session;
  const begun = performance.now();
  const { gray, width, height } = await grayOf(blob);
  const found = await model.run({
    pictures: new ort.Tensor("uint8", gray, [1, height, width]),
    sizes: new ort.Tensor("int64", BigInt64Array.from([BigInt(height), BigInt(width)]), [1, 2]),
  });
  const length = Number(found.lengths.data[0]);
  const characters = Array.from(found.ids.data.slice(0, length), (id, i) => ({
    character: MODEL.charset[Number(id) - 1],
    confidence: found.character_confidences.data[i],
  }));
  const text = visualToLogical(characters.map(({ character }) => character).join(""), MODEL);
  return { text, confidence: found.confidences.data[0], characters, milliseconds: performance.now() - begun };
}

function element(name, content = "", properties = {}) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(content);
  return made;
}

function shown({ text, characters, confidence, milliseconds }) {
  const output = element("output", "", { title: "Characters that may be wrong are underlined" });
  output.dir = "ltr";
  output.style.unicodeBidi = "bidi-override"; // as they are on paper
  for (const { character, confidence } of characters) {
    const span = element("span", character, { title: `${(100 * confidence).toFixed(1)} %` });
    span.style.setProperty("--doubt", Math.min(1, 2 * (1 - confidence)).toFixed(3));
    output.append(span);
  }
  if (!text) output.append(element("span", "no text"));
  output.classList.toggle("empty", !text);
  output.setAttribute("aria-label", text); // in logical order, as is what is copied
  output.addEventListener("copy", (event) => {
    if (document.getSelection().toString() !== output.textContent || output.textContent === text) return;
    event.clipboardData.setData("text/plain", text);
    event.preventDefault();
  });
  return [output, element("strong", `${(100 * confidence).toFixed(1)} %`), element("small", `${milliseconds.toFixed(0)} ms`)];
}

async function add(blob) {
  const row = element("li");
  const image = element("img", "", { src: URL.createObjectURL(blob), alt: blob.name ?? "the image" });
  image.onload = image.onerror = () => URL.revokeObjectURL(image.src);
  row.append(image, element("small", blob.name ?? ""));
  document.getElementById("readings").prepend(row);
  try {
    const reading = await recognizeImage(blob);
    const [output, confidence, time] = shown(reading);
    row.lastChild.append(blob.name ? " · " : "", time.textContent);
    row.append(output, confidence);
    row.dataset.reading = JSON.stringify(reading);
  } catch (error) {
    row.append(element("span", `This image cannot be read: ${error.message}`, { className: "error" }));
    row.dataset.reading = JSON.stringify({ error: error.message });
  }
}

/** One after the other, so that the times are those of one image. */
let queue = Promise.resolve();
function addAll(blobs) {
  if (!blobs.length) document.getElementById("readings").prepend(element("li", "That was no image file", { className: "error" }));
  for (const blob of blobs) queue = queue.then(() => add(blob));
  return queue;
}

const target = document.getElementById("target");
document.getElementById("files").addEventListener("change", ({ target: input }) => addAll([...input.files]));
document.addEventListener("paste", ({ clipboardData }) => addAll([...clipboardData.files]));
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  target.classList.add("over");
});
document.addEventListener("dragleave", () => target.classList.remove("over"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  target.classList.remove("over");
  addAll([...event.dataTransfer.files]);
});
session.then(
  () => {
    document.getElementById("about").textContent =
      `${MODEL.name}, in this browser: no image leaves this machine. A character that may be wrong is underlined.`;
    document.body.dataset.ready = "yes";
  },
  (error) => {
    document.getElementById("about").textContent = `The model cannot be loaded: ${error.message}`;
    document.body.dataset.ready = "no";
  },
);
