"""Labels in the names of files or folders.

`text_0.jpg` as TextRecognitionDataGenerator writes it, `2b827.png` as of CAPTCHAs, `A/001.png` in a folder for each character.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import hexdigits

from natsort import natsorted

from crnnocr import images
from crnnocr.config import EmptyLabels, LabelConfig
from crnnocr.datasets import Dataset, Sample
from crnnocr.datasets.issues import EMPTY_LABEL, merged
from crnnocr.errors import DataError
from crnnocr.text.charset import nfc, single_spaced

_INDEX = "(?P<index>0|[1-9][0-9]*)"
_FORMATS = {
    "text_index": re.compile(f"(?P<text>.*)_{_INDEX}", re.DOTALL),
    "index_text": re.compile(f"{_INDEX}_(?P<text>.*)", re.DOTALL),
}
"""trdg's --name_format 0 (its default) and 1."""

_MIN_CODES = 5
"""Images whose names are taken for codes, at least: a few may be called so by chance."""
_CODE_LENGTHS = frozenset(range(3, 11))
_PLATE = re.compile("(?=.*[A-Z])(?=.*[0-9])[A-Z0-9]+")
"""A code of capitals and digits: such ones may differ in length."""
_MAX_SAME_BEGINNING = 3
"""Codes that begin alike, on average; more of them are numbered by a machine."""


def load(folder: Path, config: LabelConfig) -> Dataset | None:
    """Load a folder, its samples in the order of their indices. Returns None unless it holds such images and nothing else.

    Raises `DataError` if the names could be read in either of trdg's ways.
    """
    paths = _images(folder)
    fitting = {format: found for format, pattern in _FORMATS.items() if (found := _labels(paths, pattern))}
    if len(fitting) == len(_FORMATS):  # all texts are numbers: the indices are what counts from 0 without a gap
        fitting = {format: found for format, found in fitting.items() if max(found) == len(found) - 1}
        if len(fitting) != 1:
            raise DataError(
                f"{folder}: names such as {paths[0].name} can be text_index and index_text, for trdg writes both: "
                "list the texts in a labels.csv"
            )
    for format, found in fitting.items():
        labeled = [(path, single_spaced(text)) for _, (path, text) in sorted(found.items())]
        keeps = config.empty is EmptyLabels.KEEP
        samples = tuple(Sample(path, text) for path, text in labeled if text or keeps)
        issues = merged(EMPTY_LABEL.at(path, path.name) for path, text in labeled if not (text or keeps))
        return Dataset(folder, f"trdg, file names {format}", samples, issues)
    return _named_by_code(folder, paths)


def _named_by_code(folder: Path, paths: Sequence[Path]) -> Dataset | None:
    """Load images such as `2b827.png` or `KA01AB1234.jpg`, of CAPTCHAs and plates: all names are codes."""
    stems = [path.stem for path in paths]
    lengths = set(map(len, stems))
    if len(stems) < _MIN_CODES or not lengths <= _CODE_LENGTHS or len(set(stems)) < len(stems):
        return None
    if not all(stem.isascii() and stem.isalnum() for stem in stems) or set("".join(stems).lower()) <= set(hexdigits):
        return None
    if not (any(map(str.isdigit, "".join(stems))) and any(map(str.isalpha, "".join(stems)))):
        return None
    if len(lengths) > 1 and not all(_PLATE.fullmatch(stem) for stem in stems):
        return None
    if any(len(set(characters)) == 1 for characters in zip(*stems, strict=False)):  # a prefix
        return None
    if len({stem[:2] for stem in stems}) <= len(stems) / _MAX_SAME_BEGINNING:
        return None
    samples = tuple(Sample(path, path.stem) for path in sorted(paths))
    return Dataset(folder, "codes that are the file names", samples)


def load_folders(folder: Path) -> Dataset | None:
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


def _images(folder: Path) -> list[Path]:
    """The images of a folder without what trdg puts beside them; none if it holds anything else."""
    paths = [path for path in folder.iterdir() if not path.name.startswith(".")]
    others = {path.name for path in paths if path.suffix.lower() not in images.SUFFIXES}
    if not all(name.endswith(("_boxes.txt", ".box")) for name in others):
        return []
    found = images.image_files(paths)
    stems = {path.stem for path in found}
    if not others <= {f"{stem}{ending}" for stem in stems for ending in ("_boxes.txt", ".box")}:
        return []
    masks = {f"{stem}_mask.png" for stem in stems}
    return [path for path in found if path.name not in masks]


def _labels(paths: Sequence[Path], pattern: re.Pattern[str]) -> Mapping[int, tuple[Path, str]]:
    """Each image and its text by its index; none unless all names match, no index comes twice, and the texts look like texts.

    Cameras and scanners number their files too: a text in more than half of the names is such a prefix.
    """
    matches = [pattern.fullmatch(path.stem) for path in paths]
    found = {int(match["index"]): (path, match["text"]) for path, match in zip(paths, matches, strict=True) if match}
    texts = Counter(text for _, text in found.values())
    if len(found) < len(paths) or max(texts.values(), default=0) > len(paths) / 2:
        return {}
    return found
