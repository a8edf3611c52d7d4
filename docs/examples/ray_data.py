"""Read the pictures of a folder with Ray Data, on as many machines as the cluster has: ray_data.py MODEL FOLDER OUTPUT.

Each actor loads the model once and reads with one thread, so that Ray alone shares out the cores.
"""

import sys
from typing import Any

import ray

import crnnocr

Batch = dict[str, Any]


class Read:
    """An actor that reads batches of pictures' bytes."""

    def __init__(self, model: str) -> None:
        self.recognizer = crnnocr.Recognizer.load(model, device="cpu")

    def __call__(self, batch: Batch) -> Batch:
        how = crnnocr.ReadConfig(threads=1)
        found = list(self.recognizer.predict(iter(batch["bytes"]), read=how))
        return {
            "path": batch["path"],
            "text": [prediction.text for prediction in found],
            "confidence": [prediction.confidence for prediction in found],
            "error": [prediction.error or "" for prediction in found],
        }


def read(model: str, folder: str, actors: int = 2) -> Any:
    """A dataset with a row for each picture."""
    pictures = ray.data.read_binary_files(folder, include_paths=True, file_extensions=["jpg", "jpeg", "png", "tif", "tiff"])
    return pictures.map_batches(Read, fn_constructor_args=[model], concurrency=actors, batch_size=256)


if __name__ == "__main__":
    model, folder, output = sys.argv[1:]
    read(model, folder).write_parquet(output)
