"""`Label.txt`: pages of PPOCRLabel and PaddleOCR's detection, `page.png<TAB>[{"transcription": …, "points": …}, …]`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from crnnocr.config import LabelConfig
from crnnocr.datasets import Dataset, regions
from crnnocr.datasets.issues import BOX_WITHOUT_AREA, BOX_WITHOUT_TEXT, DO_NOT_CARE, Issue
from crnnocr.datasets.label_file import LabelRecord, broken_row, dataset_of, numbered_lines, parsed_json
from crnnocr.datasets.regions import Region

LABEL_FILE = "Label.txt"
CROPS = "crop_img/"
"""The folder of the crops that PPOCRLabel exports; `Label.txt` does not name them."""
STATE_FILE = "fileState.txt"
"""Lists the pages beside it that somebody has checked; it has no labels."""

_TO_BE_READ = ("待识别", "TEMPORARY")
"""PPOCRLabel's text of a new box."""


def accepts(line: str) -> bool:
    """Whether a line is a page with its boxes."""
    return _boxes(line) is not None


def load(label_file: Path, content: str, config: LabelConfig) -> Dataset:
    """Load a label file with this content. Raises `DataError`, naming a line, if at least half are of another format."""
    return dataset_of(label_file, "PPOCRLabel, boxes in pages", _records(label_file, content), config)


def _boxes(line: str) -> list[dict[str, object]] | None:
    values = parsed_json(line.partition("\t")[2], "[")
    if isinstance(values, list) and all(isinstance(each, dict) and "points" in each for each in values):
        return values
    return None


def _records(label_file: Path, content: str) -> Iterator[LabelRecord | Issue]:
    for number, line in numbered_lines(content):
        name, boxes = line.partition("\t")[0].strip(), _boxes(line)
        if boxes is None:
            yield broken_row(label_file, number, "is not a page, a tab and its boxes in JSON, as PPOCRLabel writes them")
        for box in boxes or ():
            text = box.get("transcription")
            where = f"{label_file.name} line {number}: {name}"
            if not isinstance(text, str) or text in _TO_BE_READ:
                yield BOX_WITHOUT_TEXT.at(name, where)
            elif box.get("difficult") is True:
                yield DO_NOT_CARE.at(name, f"{where}, difficult: {text}")
            elif region := _region(box):
                yield LabelRecord(number, name, text, region=region)
            else:
                yield BOX_WITHOUT_AREA.at(name, f"{where}, {text}")


def _region(box: Mapping[str, object]) -> Region | None:
    points = box["points"]
    try:
        corners = [(regions.number(x), regions.number(y)) for x, y in points] if isinstance(points, list) else []
        return regions.polygon(corners)
    except (TypeError, ValueError):
        return None
