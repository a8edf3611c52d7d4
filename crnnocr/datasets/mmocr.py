"""MMOCR's JSON: `data_list` with `img_path` and the texts in `instances`, of recognition, or of boxes in pages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from crnnocr.config import LabelConfig
from crnnocr.datasets import Dataset, regions
from crnnocr.datasets.issues import BOX_WITHOUT_AREA, EMPTY_LABEL, Issue, Severity
from crnnocr.datasets.label_file import LabelRecord, dataset_of
from crnnocr.datasets.regions import Region

_IGNORED = Issue("placeholder-label", Severity.EXCLUDED, "box to be ignored", "write what the image says, if you can read it")


def accepts(values: object) -> bool:
    """Whether JSON has the list of a data set of MMOCR."""
    return isinstance(values, dict) and isinstance(values.get("data_list"), list)


def load(label_file: Path, values: Any, config: LabelConfig) -> Dataset:
    """Load the texts of a data set."""
    return dataset_of(label_file, "MMOCR, JSON", _records(values["data_list"]), config, ("", "imgs", "images"))


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
                yield _IGNORED.at(name, f"{name}: {text}")
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
