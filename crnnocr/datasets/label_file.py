"""From the records of a label file to samples: what all formats that list their images have in common."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crnnocr.config import EmptyLabels, LabelConfig
from crnnocr.datasets import Dataset, Sample
from crnnocr.datasets.image_index import Found, ImageIndex
from crnnocr.datasets.issues import (
    AMBIGUOUS_IMAGE,
    BROKEN_ROW,
    EMPTY_LABEL,
    NO_SHARES,
    NOT_UNICODE,
    SEVERAL_LINES,
    SINGLE_SPACED_LABEL,
    TRIMMED_LABEL,
    Issue,
    merged,
)
from crnnocr.datasets.regions import Region
from crnnocr.errors import DataError, ImageError
from crnnocr.formatting import is_encodable
from crnnocr.text.charset import nfc, single_spaced

_CHECKED_BOXES = 20
"""Boxes that tell whether all lie in their images."""
_OVERHANG = 0.02
"""A box that reaches further out of its image, as a fraction of its size, is not one in it."""
_LINE_END = re.compile("[\n\r\v\f\x85\u2028\u2029]")


@dataclass(frozen=True)
class LabelRecord:
    """One image and its text, as a label file has them."""

    line: int | None
    """Line number in the file, from 1; None if the file is not made of lines."""
    name: str
    """The image's path, relative to the label file's folder."""
    text: str
    """The label as it stands there."""
    other_names: tuple[str, ...] = ()
    """Further names of the image, to be tried if nothing is found by the first."""
    region: Region | None = None
    """The part of the image in which the text stands; None for all of it."""
    group: str = ""
    """The cell of the groups' column; empty if there is none."""
    box: Region | None = None
    """Where the text stands in the image, or where on a page that was cut up: it counts if such boxes lie in their images."""
    confidence: str = ""
    """The cell of the confidences' column; empty if there is none."""


def dataset_of(
    label_file: Path,
    format: str,
    records: Iterable[LabelRecord | Issue],
    config: LabelConfig = LabelConfig(),  # noqa: B008 (frozen)
    folders: Sequence[str] = ("",),
    issues: Iterable[Issue] = (),
) -> Dataset:
    """Make samples of the records of a label file.

    A record with an empty label, or whose image is not in the folder, becomes an issue.

    Raises `DataError` if at least half of the records are broken rows.

    Args:
        label_file: its folder is the one that no record may lead out of.
        format: in words.
        records: what the file lists; the issue of each record that cannot be used stands in its place.
        config: may name another folder for the images, which none may lead out of then.
        folders: where in the label file's folder to look for images; the first that has an image counts.
        issues: those of the file as a whole.
    """
    records = list(records)
    _check_broken(records)
    index = ImageIndex(Path(config.images) if config.images else label_file.parent, folders)
    samples: list[Sample] = []
    issues = list(issues)
    found: list[tuple[LabelRecord, Found]] = []
    for record in records:
        if isinstance(record, Issue):
            issues.append(record)
        else:
            found.append((record, _find(index, record)))
    clashing = _clashing(found)
    weights = _weights([record.confidence for record, _ in found])
    if weights is None:
        issues.append(NO_SHARES.at(label_file, str(label_file)))
        weights = [1.0] * len(found)
    are_pages = _lie_in_images([(image.path, record.box) for record, image in found if record.box and not image.issue])
    for (record, image), weight in zip(found, weights, strict=True):
        text, changes = label_of(record.text)
        line = "" if record.line is None else f" line {record.line}"
        where = f"{label_file.name}{line}: {record.name}{f' ({image.detail})' if image.detail else ''}"
        region = record.region or (record.box if are_pages else None)
        if region:
            where = f"{where}#{region}"
        issue = image.issue or (AMBIGUOUS_IMAGE if not image.is_literal and image.path in clashing else None)
        if issue := issue or issue_of_text(text, config.empty):
            issues.append(issue.at(image.path, where))
            continue
        samples.append(Sample(image.path, text, region=region, group=record.group, weight=weight))
        issues += (change.at(image.path, where) for change in changes)
    return Dataset(label_file, format, tuple(samples), merged(issues))


def _weights(confidences: Sequence[str]) -> list[float] | None:
    """The weight of each label: the confidence that a model had in it, or 1 if none is given; None if not all are shares."""
    try:
        weights = [float(confidence or 1) for confidence in confidences]
    except ValueError:
        return None
    return weights if all(0 <= weight <= 1 for weight in weights) else None


def _lie_in_images(boxes: Sequence[tuple[Path, Region]]) -> bool:
    """Whether the first boxes lie in their images, as those of pages do and those of crops of pages do not."""
    shares: list[Region] = []
    for path, box in boxes[:_CHECKED_BOXES]:
        with suppress(ImageError):
            if share := Sample(path, "", region=box).relative_region():
                shares.append(share)
    return bool(shares) and all(
        -_OVERHANG <= at <= 1 + _OVERHANG for each in shares for corner in each.corners for at in corner
    )


def numbered_lines(content: str) -> Iterator[tuple[int, str]]:
    """Iterate over the lines that are not empty, each with its number from 1."""
    for number, line in enumerate(content.split("\n"), start=1):
        if line.strip():
            yield number, line.rstrip("\r")


def parsed_json(text: str, beginning: str) -> Any:
    """Return the value of JSON that begins so; None for any other text."""
    if not text.lstrip().startswith(beginning):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def broken_row(label_file: Path, line: int | None, why: str) -> Issue:
    """Return the issue of a row that cannot be read."""
    where = str(label_file) if line is None else f"{label_file} line {line}"
    return BROKEN_ROW.at(where, f"{where} {why}")


def _check_broken(records: Sequence[LabelRecord | Issue]) -> None:
    """Raise `DataError` if so many rows are broken that the file is of another kind."""
    broken = [record for record in records if isinstance(record, Issue) and record.code == BROKEN_ROW.code]
    if broken and 2 * len(broken) >= len(records):
        others = f", and {len(broken) - 1:,} more of {len(records):,} rows are broken" if len(broken) > 1 else ""
        raise DataError(f"{broken[0].locations[0].detail}{others}")


def _find(index: ImageIndex, record: LabelRecord) -> Found:
    """Find a record's image by the first of its names that leads to one."""
    first = index.find(record.name)
    others = (index.find(name) for name in record.other_names) if first.issue else ()
    return next((other for other in others if not other.issue), first)


def _clashing(found: Sequence[tuple[LabelRecord, Found]]) -> set[Path]:
    """The images that were found for several names, at least one of which is not their own."""
    names: dict[Path, set[str]] = {image.path: set() for _, image in found if not image.is_literal and not image.issue}
    for record, image in found if names else ():
        if image.path in names and not image.issue:
            names[image.path].add("" if image.is_literal else nfc(record.name))
    return {path for path, different in names.items() if len(different) > 1}


def label_of(written: str) -> tuple[str, list[Issue]]:
    """Return the label that a text means, and what of it does not count: white space at its ends, and more than one space."""
    text = single_spaced(written)
    plain = nfc(written).strip("\r\n")
    changes = [TRIMMED_LABEL] if plain != plain.strip() else []
    return text, [*changes, SINGLE_SPACED_LABEL] if text != plain.strip() else changes


def issue_of_text(text: str, empty: EmptyLabels) -> Issue | None:
    """Return the issue of a label without white space at its ends, if it cannot be used."""
    if not text:
        return EMPTY_LABEL if empty is EmptyLabels.SKIP else None
    if not is_encodable(text):
        return NOT_UNICODE
    return SEVERAL_LINES if _LINE_END.search(text) else None
