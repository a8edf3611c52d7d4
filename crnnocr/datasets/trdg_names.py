"""`text_0.jpg`: pictures of TextRecognitionDataGenerator, whose names are their labels."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from crnnocr import images
from crnnocr.datasets import Dataset, Fault, Sample
from crnnocr.errors import DataError
from crnnocr.text.charset import normalise

_INDEX = "(?P<index>0|[1-9][0-9]*)"
_FORMATS = {
    "text_index": re.compile(f"(?P<text>.*)_{_INDEX}", re.DOTALL),
    "index_text": re.compile(f"{_INDEX}_(?P<text>.*)", re.DOTALL),
}
"""trdg's --name_format 0 (its default) and 1."""


def read(folder: Path) -> Dataset | None:
    """The samples of a folder, in the order of their indices; None unless it holds such pictures and nothing else.

    Raises `DataError` where the names could be read in either of trdg's ways.
    """
    pictures = _pictures(folder)
    fitting = {format: found for format, pattern in _FORMATS.items() if (found := _labels(pictures, pattern))}
    if len(fitting) == len(_FORMATS):  # all texts are numbers: the indices are what counts from 0 without a gap
        fitting = {format: found for format, found in fitting.items() if max(found) == len(found) - 1}
        if len(fitting) != 1:
            raise DataError(
                f"{folder}: names such as {pictures[0].name} can be text_index and index_text, for trdg writes both: "
                "list the texts in a labels.csv"
            )
    for format, found in fitting.items():
        labelled = [(picture, normalise(text).strip()) for _, (picture, text) in sorted(found.items())]
        samples = tuple(Sample(picture, text) for picture, text in labelled if text)
        faults = tuple(Fault("empty label", picture.name, picture) for picture, text in labelled if not text)
        return Dataset(folder, f"trdg, file names {format}", samples, faults)
    return None


def _pictures(folder: Path) -> list[Path]:
    """The pictures of a folder without what trdg puts beside them; none if it holds anything else."""
    paths = [path for path in folder.iterdir() if not path.name.startswith(".")]
    others = {path.name for path in paths if path.suffix.lower() not in images.SUFFIXES}
    if not all(name.endswith(("_boxes.txt", ".box")) for name in others):
        return []
    pictures = images.image_files(paths)
    stems = {path.stem for path in pictures}
    if not others <= {f"{stem}{ending}" for stem in stems for ending in ("_boxes.txt", ".box")}:
        return []
    masks = {f"{stem}_mask.png" for stem in stems}
    return [path for path in pictures if path.name not in masks]


def _labels(pictures: Sequence[Path], pattern: re.Pattern[str]) -> Mapping[int, tuple[Path, str]]:
    """Each picture and its text by its index; none unless all fit, no index is there twice, and the texts look like texts.

    Cameras and scanners count, too: a text that is in more than half of the names is a prefix of theirs.
    """
    matches = [pattern.fullmatch(picture.stem) for picture in pictures]
    found = {int(match["index"]): (picture, match["text"]) for picture, match in zip(pictures, matches, strict=True) if match}
    texts = Counter(text for _, text in found.values())
    if len(found) < len(pictures) or max(texts.values(), default=0) > len(pictures) / 2:
        return {}
    return found
