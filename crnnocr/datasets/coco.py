"""COCO with a text for each box: exports of Roboflow, CVAT and others, COCO-Text and TextOCR."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from crnnocr.config import LabelConfig
from crnnocr.datasets import Dataset, columns, regions
from crnnocr.datasets.issues import BOX_WITHOUT_AREA, BOX_WITHOUT_TEXT, DO_NOT_CARE, Issue, Severity
from crnnocr.datasets.label_file import LabelRecord, dataset_of
from crnnocr.datasets.regions import Region

LABEL_FILE = "_annotations.coco.json"
"""Roboflow's name."""

_KEYS = (("images", "annotations"), ("imgs", "anns"))
"""Names of the images and the boxes; COCO-Text and TextOCR have the second, as objects by their ids."""
_OWN = frozenset(["id", "image_id", "category_id", "area", "iscrowd"])
"""Keys of COCO's own, of each box."""
_NO_IMAGE = Issue("missing-picture", Severity.EXCLUDED, "box of an image that is not listed", "export again")


def accepts(values: object) -> bool:
    """Whether JSON has images and annotations as COCO has."""
    return isinstance(values, dict) and any({images, boxes} <= values.keys() for images, boxes in _KEYS)


def load(label_file: Path, values: Any, config: LabelConfig) -> Dataset:
    """Load the boxes that have a text. Raises `DataError` if none has."""
    images, boxes = next([_listed(values[key]) for key in keys] for keys in _KEYS if set(keys) <= values.keys())
    text, issues = columns.choose_text(label_file, list(map(_attributes, boxes)), config)
    names = {str(image.get("id")): str(image.get("file_name") or image.get("path") or "") for image in images}
    records = _records(boxes, names, text)
    return dataset_of(label_file, f"COCO, texts from {text}", records, config, ("", "images"), issues)


def _listed(values: object) -> list[dict[str, Any]]:
    each = values.values() if isinstance(values, dict) else values if isinstance(values, list) else ()
    return [value for value in each if isinstance(value, dict)]


def _attributes(box: Mapping[str, Any]) -> dict[str, str]:
    """The values of a box, and those of its attributes, that could be its text."""
    more = box.get("attributes") or box.get("extra")
    values = {**(more if isinstance(more, dict) else {}), **box}
    return {
        key: str(each)
        for key, each in values.items()
        if isinstance(each, str | int | float) and not isinstance(each, bool) and key not in _OWN
    }


def _records(boxes: Iterable[Mapping[str, Any]], names: Mapping[str, str], text: str) -> Iterator[LabelRecord | Issue]:
    for box in boxes:
        where = f"annotation {box.get('id')}"
        name, label = names.get(str(box.get("image_id"))), _attributes(box).get(text, "").strip()
        if not name:
            yield _NO_IMAGE.at(where)
        elif not label:
            yield BOX_WITHOUT_TEXT.at(name, f"{where} of {name}")
        elif box.get("legibility") == "illegible" or label == ".":  # COCO-Text, TextOCR
            yield DO_NOT_CARE.at(name, f"{where} of {name}")
        elif not {"bbox", "points", "segmentation"} & box.keys():  # a caption of the image
            yield LabelRecord(None, name, label)
        elif region := _region(box):
            yield LabelRecord(None, name, label, region=region)
        else:
            yield BOX_WITHOUT_AREA.at(name, f"{where} of {name}")


def _region(box: Mapping[str, Any]) -> Region | None:
    """The region of a box: TextOCR's corners, else the bounding box, which CVAT may turn about its center."""
    more = box.get("attributes")
    try:
        if isinstance(box.get("points"), list) and len(box["points"]) >= 8:
            return regions.polygon(regions.points_of(regions.numbers(box["points"])))
        left, top, width, height = regions.numbers(box["bbox"])
        turn = regions.number(more.get("rotation") or 0) if isinstance(more, dict) else 0.0
        if turn % 360:
            return regions.rotated((left + width / 2, top + height / 2), width, height, turn)
        return regions.box(left, top, left + width, top + height)
    except (KeyError, TypeError, ValueError):
        return None
