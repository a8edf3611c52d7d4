// Recognize gray images (binary PGM) with a self-contained export and onnxruntime alone: node read_onnx.mjs FOLDER IMAGE.pgm …

import { readFileSync } from "node:fs";
import { join } from "node:path";

process.env.ORT_DISABLE_TELEMETRY ??= "1"; // which it reads as it is imported
const ort = await import("onnxruntime-node");

/** Height, width and gray bytes of a binary PGM of 8 bits. */
function pgm(file) {
  const data = readFileSync(file);
  const header = /^P5\s+(\d+)\s+(\d+)\s+255\s/.exec(data.toString("latin1", 0, 64));
  if (!header) throw new Error(`${file} is not a binary PGM of 8 bits`);
  const [width, height] = header.slice(1).map(Number);
  return { width, height, gray: Uint8Array.from(data.subarray(header[0].length, header[0].length + width * height)) };
}

const [folder, ...files] = process.argv.slice(2);
const { charset } = JSON.parse(readFileSync(join(folder, "model.json"), "utf8"));
const characters = Array.from(charset); // by code points
const session = await ort.InferenceSession.create(join(folder, "model.onnx"));
for (const file of files) {
  const { width, height, gray } = pgm(file);
  const result = await session.run({
    pictures: new ort.Tensor("uint8", gray, [1, height, width]),
    sizes: new ort.Tensor("int64", BigInt64Array.of(BigInt(height), BigInt(width)), [1, 2]),
  });
  const ids = result.ids.data.slice(0, Number(result.lengths.data[0]));
  const text = Array.from(ids, (id) => characters[Number(id) - 1]).join("");
  console.log(`${text}\t${result.confidences.data[0].toFixed(4)}`);
}
