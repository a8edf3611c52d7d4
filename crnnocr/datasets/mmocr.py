"""MMOCR's JSON: `data_list` with `img_path` and the texts in `instances`, of lines or of boxes in pages; and WildReceipt
lists `{"file_name": …, "annotations": [{"box": …, "text": …}, …]}`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from crnnocr.config import LabelConfig
from crnnocr.datasets import Dataset, regions
from crnnocr.datasets.issues import BOX_WITHOUT_AREA, DO_NOT_CARE, EMPTY_LABEL, Issue
from crnnocr.datasets.label_file import LabelRecord, dataset_of, numbered_lines, parsed_json
from crnnocr.datasets.regions import Region
from crnnocr.errors import DataError

_FOLDERS = ("", "imgs", "images")


def accepts(values: object) -> bool:
    """Whether JSON has the list of a data set of MMOCR."""
    return isinstance(values, dict) and isinstance(values.get("data_list"), list)


def accepts_line(line: str) -> bool:
    """Whether a line is a page of WildReceipt with its boxes."""
    return _page(line) is not None


def load_lines(label_file: Path, content: str, config: LabelConfig) -> Dataset:
    """Load a list of pages. Raises `DataError`, naming the line, if one is of another format."""
    pages: list[dict[str, Any]] = []
    for number, line in numbered_lines(content):
        page = _page(line)
        if page is None:
            raise DataError(f"{label_file} line {number} is not a page with its annotations in JSON, as the first line is")
        pages.append({"img_path": page["file_name"], "instances": page["annotations"]})
    return dataset_of(label_file, "MMOCR, boxes in pages", _records(pages), config, _FOLDERS)


def _page(line: str) -> dict[str, Any] | None:
    page = parsed_json(line, "{")
    is_page = isinstance(page, dict) and isinstance(page.get("file_name"), str) and isinstance(page.get("annotations"), list)
    return page if is_page else None


def load(label_file: Path, values: Any, config: LabelConfig) -> Dataset:
    """Load the texts of a data set."""
    return dataset_of(label_file, "MMOCR, JSON", _records(values["data_list"]), config, _FOLDERS)


def _records(images: list[Any]) -> Iterator[LabelRecord | Issue]:
    for image in images:
        name = image.get("img_path") if isinstance(image, dict) else None
        if not isinstance(name, str):
            continue
        instances = image.get("instances")
        for instance in instances if isinstance(instances, list) else ():
            text = instance.get("text") if isinstance(instance, dict) else None
            if not isinstance(text, str):
                yield EMPTY_LABEL.at(name)
            elif instance.get("ignore"):
                yield DO_NOT_CARE.at(name, f"{name}: {text}")
            elif not {"polygon", "bbox", "box"} & instance.keys():
                yield LabelRecord(None, name, text)
            elif region := _region(instance):
                yield LabelRecord(None, name, text, region=region)
            else:
                yield BOX_WITHOUT_AREA.at(name, f"{name}: {text}")


def _region(instance: Mapping[str, Any]) -> Region | None:
    try:
        return regions.of_numbers(instance.get("polygon") or instance.get("box") or instance["bbox"])
    except (KeyError, TypeError, ValueError):
        return None
