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

/** An image's gray values: transparency over white, and the weights of ITU-R 601-2 in fixed point, as in Pillow. */
async function grayOf(blob) {
  const bitmap = await createImageBitmap(blob, { colorSpaceConversion: "none" });
  const { width, height } = bitmap;
  if (width * height > MAX_PIXELS) throw new Error(`${width} × ${height} pixels are too many: cut the line out first`);
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = "white";
  context.fillRect(0, 0, width, height);
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  const { data } = context.getImageData(0, 0, width, height);
  const gray = new Uint8Array(width * height);
  for (let i = 0; i < gray.length; i++) {
    gray[i] = (data[4 * i] * 19595 + data[4 * i + 1] * 38470 + data[4 * i + 2] * 7471 + 0x8000) >> 16;
  }
  return { gray, width, height };
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
  const text = visual(characters.map(({ character }) => character).join(""), MODEL.directions);
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
