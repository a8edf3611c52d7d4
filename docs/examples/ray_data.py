"""Read the images of a folder with Ray Data, on as many machines as the cluster has: ray_data.py MODEL FOLDER OUTPUT.

Each actor loads the model once and uses one thread, so that Ray alone divides the cores.
"""

import os
import sys
from typing import Any

import crnnocr

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray reports its use otherwise
import ray

Batch = dict[str, Any]


class Predictor:
    """An actor that reads batches of images, each as the bytes of its file."""

    def __init__(self, model: str) -> None:
        self.recognizer = crnnocr.Recognizer.load(model, device="cpu")

    def __call__(self, batch: Batch) -> Batch:
        single = crnnocr.ReadConfig(threads=1)
        predictions = list(self.recognizer.predict(iter(batch["bytes"]), read=single))
        return {
            "path": batch["path"],
            "text": [prediction.text for prediction in predictions],
            "confidence": [prediction.confidence for prediction in predictions],
            "error": [prediction.error or "" for prediction in predictions],
        }


def predict_folder(model: str, folder: str, actors: int = 2) -> Any:
    """A data set with a row for each image."""
    images = ray.data.read_binary_files(folder, include_paths=True, file_extensions=["jpg", "jpeg", "png", "tif", "tiff"])
    return images.map_batches(Predictor, fn_constructor_args=[model], concurrency=actors, batch_size=256)


if __name__ == "__main__":
    model, folder, output = sys.argv[1:]
    predict_folder(model, folder).write_parquet(output)
