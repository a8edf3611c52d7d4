"""Folders of labeled images for tests, and what was loaded from them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from PIL import Image

from crnnocr.datasets import Dataset
from crnnocr.datasets.issues import Severity

IMAGES = ("a.png", "b.png")

UNLABELED = "unlabelled-picture"
OUTSIDE = "picture-outside"
MISSING = "missing-picture"
EMPTY = "empty-label"


def put(folder: Path, images: Iterable[str], files: Mapping[str, str | bytes] | None = None) -> Path:
    """Fill a folder with images and files, and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in images:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (2, 2)).save(folder / name, None if Path(name).suffix else "png")
    for name, content in (files or {}).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def labels(dataset: Dataset) -> dict[str, str]:
    """The label of each image, by its path in the folder."""
    folder = dataset.source if dataset.source.is_dir() else dataset.source.parent
    return {sample.path.relative_to(folder).as_posix(): sample.text for sample in dataset.samples}


def excluded(dataset: Dataset) -> list[tuple[str, str]]:
    """The code and the location of each sample that was left out."""
    return [
        (issue.code, location.detail)
        for issue in dataset.issues
        if issue.severity is Severity.EXCLUDED
        for location in issue.locations
    ]
