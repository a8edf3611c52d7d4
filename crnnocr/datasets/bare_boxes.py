"""Labels of detection, which say where something is and not what is written there. They are told of, not read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from crnnocr.errors import DataError
from crnnocr.files import read_text

_NUMBER = r"-?\d+(?:\.\d+)?(?:[eE]-?\d+)?"
_KINDS = {
    "YOLO": re.compile(rf"\S+(?: +{_NUMBER}){{4,}}"),
    "corners": re.compile(rf"{_NUMBER}(?:,\s*{_NUMBER}){{3}}(?:(?:,\s*{_NUMBER}){{4}})?"),
}
"""A line of each kind: a class and its box in shares of the image, or the pixels of two or four corners."""
_EXAMINED = 20
"""Label files that tell the kind."""
FIX = "cut the boxes out, and write a labels.csv with a line image,text for each crop"


def kind_of(label_files: Sequence[Path]) -> str | None:
    """Return what kind of boxes label files hold if they hold nothing else."""
    lines = [line.strip() for file in label_files[:_EXAMINED] for line in _text(file).splitlines() if line.strip()]
    kind = next((kind for kind, pattern in _KINDS.items() if lines and all(map(pattern.fullmatch, lines))), None)
    # Numbers in groups are texts too; of boxes in shares of the image nearly all have a point.
    if kind == "YOLO" and sum(line.count(".") >= 2 for line in lines) < len(lines) / 2:
        return None
    return kind


def holds_xml_boxes(label_files: Sequence[Path]) -> bool:
    """Whether label files are Pascal VOC's."""
    return any("<bndbox>" in _text(file) for file in label_files[:_EXAMINED])


def _text(file: Path) -> str:
    try:
        return read_text(file)
    except DataError:
        return ""
