"""Recognize one image with an exported model and onnxruntime alone: read_onnx.py MODEL.onnx IMAGE."""

import json
import os
import sys

import numpy as np
from PIL import Image

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # which it reads as it is imported
import onnxruntime


def recognize(model: str, image: str) -> str:
    """The text of the best path."""
    session = onnxruntime.InferenceSession(model)
    card = json.loads(session.get_modelmeta().custom_metadata_map["crnnocr"])
    preprocessing = card["preprocessing"]
    height, min_width, max_width = (preprocessing[key] for key in ("height", "min_width", "max_width"))
    gray = Image.open(image).convert("L")
    width = min(max_width, max(1, round(gray.width * height / gray.height)))
    line = np.asarray(gray.resize((width, height), Image.Resampling.BILINEAR))
    line = np.pad(line, ((0, 0), (0, max(0, min_width - width))), mode="edge")
    images = (line / np.float32(127.5) - np.float32(1))[None, None]
    widths = np.array([line.shape[1]], dtype=np.int64)
    log_probs, frames = session.run(["log_probs", "frames"], {"images": images, "widths": widths})
    path = log_probs[0, : frames[0]].argmax(axis=1)
    kept = path[(path != np.append(-1, path[:-1])) & (path != card["blank"])]
    return " ".join("".join(card["charset"][i - 1] for i in kept).split())  # wide gaps and margins read as several spaces


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: read_onnx.py MODEL.onnx IMAGE")
    print(recognize(sys.argv[1], sys.argv[2]))  # noqa: T201
