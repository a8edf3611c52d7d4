"""`annotations.xml`: CVAT for images 1.1, whose shapes or images have a text attribute."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from crnnocr.config import LabelConfig
from crnnocr.datasets import Dataset, columns, regions
from crnnocr.datasets.issues import BOX_WITHOUT_AREA, BOX_WITHOUT_TEXT, Issue
from crnnocr.datasets.label_file import LabelRecord, dataset_of
from crnnocr.datasets.regions import Region
from crnnocr.errors import DataError
from crnnocr.files import read_text

LABEL_FILE = "annotations.xml"
SUFFIXES = frozenset({".xml"})

_DECLARATIONS = re.compile(r"<!(?:DOCTYPE|ENTITY)", re.IGNORECASE)
"""CVAT never writes these; they can make a small file endless, or open other files."""


def load(label_file: Path, config: LabelConfig) -> Dataset:
    """Load the shapes that have a text. Raises `DataError` if the file is not of CVAT, or no shape has a text."""
    root = _root(label_file)
    if root.tag != "annotations":
        raise DataError(f"{label_file} is XML of another kind: annotations.xml of CVAT for images 1.1 is read")
    if root.find("track") is not None:
        raise DataError(f"{label_file} is of CVAT for video: export as CVAT for images")
    found = [(image, shape) for image in root.iter("image") for shape in image]
    text, issues = columns.choose_text(label_file, [_attributes(shape) for _, shape in found], config)
    return dataset_of(label_file, f"CVAT, attribute {text}", _records(found, text), config, ("", "images"), issues)


def holds_labels(label_file: Path) -> bool:
    """Whether a file begins as CVAT's do."""
    try:
        with label_file.open("rb") as file:
            return b"<annotations" in file.read(1024)
    except OSError:
        return False


def _root(label_file: Path) -> ElementTree.Element:
    text = read_text(label_file)
    if _DECLARATIONS.search(text):
        raise DataError(f"{label_file} declares types or entities, which CVAT does not: export it again")
    try:
        return ElementTree.fromstring(text.lstrip())  # noqa: S314 (without declarations nothing expands)
    except (ElementTree.ParseError, ValueError) as error:
        raise DataError(f"{label_file} is not XML: {error}") from error


def _attributes(shape: ElementTree.Element) -> dict[str, str]:
    return {each.get("name", ""): (each.text or "").strip() for each in shape.iter("attribute")}


def _records(found: list[tuple[ElementTree.Element, ElementTree.Element]], text: str) -> Iterator[LabelRecord | Issue]:
    for image, shape in found:
        name, label = image.get("name", ""), _attributes(shape).get(text, "")
        if not label:
            yield BOX_WITHOUT_TEXT.at(name)
        elif shape.tag == "tag":  # of the whole image
            yield LabelRecord(None, name, label)
        elif region := _region(shape):
            yield LabelRecord(None, name, label, region=region)
        else:
            yield BOX_WITHOUT_AREA.at(name, f"{name}: {label}")


def _region(shape: ElementTree.Element) -> Region | None:
    try:
        turn = float(shape.get("rotation", 0))
        if shape.tag == "ellipse":
            x, y, width, height = regions.numbers(shape.get(key) for key in ("cx", "cy", "rx", "ry"))
            return regions.rotated((x, y), 2 * width, 2 * height, turn)
        if shape.tag == "mask":
            left, top, width, height = regions.numbers(shape.get(key) for key in ("left", "top", "width", "height"))
            return regions.box(left, top, left + width, top + height)
        if shape.tag != "box":
            return regions.polygon(regions.points_of(regions.numbers(re.split("[,;]", shape.get("points", "")))))
        left, top, right, bottom = regions.numbers(shape.get(key) for key in ("xtl", "ytl", "xbr", "ybr"))
        if turn % 360:
            return regions.rotated(((left + right) / 2, (top + bottom) / 2), right - left, bottom - top, turn)
        return regions.box(left, top, right, bottom)
    except ValueError:
        return None
