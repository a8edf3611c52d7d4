"""Groups of images that show one thing (a page, a plate, a video), which lie on the same side of the validation split."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from crnnocr.datasets import Dataset, Sample
from crnnocr.datasets.issues import Issue, Location, Severity, merged
from crnnocr.errors import ConfigError
from crnnocr.formatting import plural, quoted

_WORD = re.compile(r"[\w \-]+")
"""A name. As a regular expression it would find nothing but itself."""


@cache
def group_id(key: str) -> int:
    """Return a 63-bit number that stands for a group (BLAKE2b)."""
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8, person=b"group").digest(), "big") >> 1


def split_ids(samples: Sequence[Sample], content_ids: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return (n,) numbers that decide about the split: of each image's group, or of its content if it is in none."""
    groups = [sample.group for sample in samples]
    if not any(groups):
        return content_ids
    pairs = zip(groups, content_ids.tolist(), strict=True)
    return np.array([group_id(group) if group else content for group, content in pairs], dtype=np.int64)


def grouped(dataset: Dataset, group: str, images: str | None = None) -> Dataset:
    """Put each sample into the group that a column of the label file gave it, else into that of its path.

    Args:
        dataset: its samples are in groups if the label file has a column `group`.
        group: else a regular expression, searched in each path from the data set's folder. Its groups in parentheses are the
            key, or all that it matches if it has none or they are empty.
        images: the folder from which paths count, if that is another one.

    Raises:
        ConfigError: there is no such column, and no path matches it as a regular expression.
    """
    samples = dataset.samples
    folder = Path(images) if images else dataset.source if dataset.source.is_dir() else dataset.source.parent
    if not any(sample.group for sample in samples):
        pattern = _pattern(dataset, group)
        samples = tuple(replace(sample, group=_key(pattern, _path(folder, sample))) for sample in samples)
        if samples and not any(sample.group for sample in samples):
            raise ConfigError("group", f"{group}: no path in {dataset.source} matches, such as {_path(folder, samples[0])}")
    alone = [sample for sample in samples if not sample.group]
    issues = dataset.issues
    if alone:
        are = plural(len(alone), "image is in no group, and counts alone", "images are in no group, and count alone each")
        locations = tuple(Location(sample.name, quoted(sample.text)) for sample in alone)
        issues = merged((*issues, Issue("no-group", Severity.WARNING, are, "correct the column or expression", locations)))
    return replace(dataset, samples=samples, issues=issues, group=group)


def _pattern(dataset: Dataset, group: str) -> re.Pattern[str]:
    if _WORD.fullmatch(group):
        raise ConfigError(
            "group", rf"{group}: {dataset.source} has no such column; a regular expression is searched in paths, as page_(\d+)"
        )
    try:
        return re.compile(group)
    except re.error as error:
        raise ConfigError(
            "group", f"{group}: neither a column of {dataset.source} nor a regular expression: {error}"
        ) from error


def _path(folder: Path, sample: Sample) -> str:
    """The path, from a folder, in which the expression is searched."""
    if sample.entry:
        return sample.entry
    return (sample.path.relative_to(folder) if sample.path.is_relative_to(folder) else sample.path).as_posix()


def _key(pattern: re.Pattern[str], path: str) -> str:
    found = pattern.search(path)
    if found is None:
        return ""
    return "/".join(part for part in found.groups() if part) or found[0]
