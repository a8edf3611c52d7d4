"""`A/001.png`: images of single characters, in folders that are named after them."""

from __future__ import annotations

from pathlib import Path

from natsort import natsorted

from crnnocr import images
from crnnocr.datasets import Dataset, Sample
from crnnocr.text.charset import nfc


def load(folder: Path) -> Dataset | None:
    """Load a folder of folders. Returns None unless all of them are called by one character and hold images and nothing else.

    Other names of folders may well be those of books, scanners or days.
    """
    entries = [path for path in folder.iterdir() if not path.name.startswith(".")]
    if len(entries) < 2 or not all(len(nfc(path.name)) == 1 and path.is_dir() for path in entries):
        return None
    samples: list[Sample] = []
    for each in natsorted(entries, key=str):
        files = [path for path in each.iterdir() if not path.name.startswith(".")]
        found = images.image_files(files)
        if len(found) < len(files):
            return None
        samples += [Sample(path, nfc(each.name)) for path in natsorted(found, key=str)]
    return Dataset(folder, "folders that are called by their character", tuple(samples)) if samples else None
