"""Finds out in which format folders and files hold labelled pictures, and reads them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

from natsort import natsorted

from crnnocr import images
from crnnocr.datasets import Dataset, Fault, Sample, doctr, imagefolder, lmdb_folder, sidecar, summarise, table, trdg_names
from crnnocr.datasets.lint.finding import Places
from crnnocr.errors import DataError

LABEL_FILES = (imagefolder.LABEL_FILE, "metadata.csv", doctr.LABEL_FILE)
"""Names that tell the format, the first that is there."""
_FORMATS = (
    "metadata.jsonl or metadata.csv, labels.json, a .gt.txt beside each picture, "
    "one .csv, .tsv or .txt of paths and texts, or an LMDB"
)
_PARTS = frozenset({"train", "training", "val", "valid", "validation", "dev", "test", "testing", "eval"})
"""Names of folders that are meant to be kept apart."""
_NAMED = 5
"""Data sets that an error names."""
_Owner: TypeAlias = tuple[Path, str]
"""The source that has a picture first, and its label there."""


def load_dataset(source: Path) -> Dataset:
    """The labelled pictures of a folder, or of a label file.

    Raises `DataError`, saying what was found and what would fit, where there is not one usable sample.
    """
    if not source.exists():
        raise DataError(f"{source}: there is no such file or folder")
    dataset = _read_folder(source) if source.is_dir() else _read_file(source)
    if not dataset.samples:
        reasons = "; ".join(summarise(dataset.faults)) or "it holds no rows"
        raise DataError(f"{dataset.source}: no usable sample ({dataset.format}): {reasons}")
    return dataset


def load_datasets(sources: Sequence[Path]) -> tuple[Dataset, ...]:
    """The labelled pictures of several folders or label files: a data set each, in their order.

    A picture that two of them have is the first one's, and a fault of the other, which may be left without samples. Where their
    labels are not the same, the fault says so.
    Raises `DataError` where `load_dataset` does.
    """
    datasets = tuple(load_dataset(source) for source in sources)
    if len(datasets) == 1:
        return datasets
    places = Places()
    owners: dict[tuple[str, str], _Owner] = {}
    apart: list[Dataset] = []
    for source, dataset in zip(sources, datasets, strict=True):
        keys = [(places.of(sample.path), sample.entry) for sample in dataset.samples]
        apart.append(_without(dataset, [owners.get(key) for key in keys]))
        for key, sample in zip(keys, dataset.samples, strict=True):
            owners.setdefault(key, (source, sample.text))
    return tuple(apart)


def _without(dataset: Dataset, owners: Sequence[_Owner | None]) -> Dataset:
    """The data set, with a fault in place of each sample that another source owns."""
    samples: list[Sample] = []
    faults: list[Fault] = []
    for sample, owner in zip(dataset.samples, owners, strict=True):
        if owner is None:
            samples.append(sample)
        else:
            faults.append(_owned(sample, *owner))
    return replace(dataset, samples=tuple(samples), faults=(*dataset.faults, *faults))


def _owned(sample: Sample, source: Path, text: str) -> Fault:
    """What is wrong with a sample whose picture another source has, with that text."""
    if text == sample.text:
        return Fault("picture that another source has already", f"{sample.name}, in {source}", sample.path)
    kind = f"picture that has another label in {source}: the source that is named first counts"
    return Fault(kind, f"{sample.name}, {sample.text!r} and {text!r}", sample.path)


def _read_folder(folder: Path) -> Dataset:
    if (folder / lmdb_folder.DATA_FILE).is_file():
        return lmdb_folder.read(folder)
    for name in LABEL_FILES:
        if (folder / name).is_file():
            return _with_unlabelled(folder, _read_file(folder / name))
    if len(parts := [path for path in folder.iterdir() if path.name.lower() in _PARTS and sidecar.holds_labels(path)]) > 1:
        raise _several(folder, parts)
    if dataset := sidecar.read(folder) or trdg_names.read(folder):
        return dataset
    tables = _tables_in(folder)
    if label_file := _the_one(folder, [path for path in tables if table.is_of_pictures(path)]):
        return _with_unlabelled(folder, _read_file(label_file))
    if below := [path for path in _folders_below(folder) if _holds_labels(path)]:
        raise _several(folder, below)
    if label_file := _the_one(folder, tables):
        return _with_unlabelled(folder, _read_file(label_file))
    pictures = len(images.image_files(folder.rglob("*")))
    holds = f"{pictures} pictures and no labels" if pictures else "no pictures"
    raise DataError(f"{folder} holds {holds} in a known format: expected {_FORMATS}{_doubts_in(folder)}")


def _read_file(path: Path) -> Dataset:
    if path.name == lmdb_folder.DATA_FILE:
        return lmdb_folder.read(path.parent)
    if path.suffix.lower() in (".jsonl", ".ndjson"):
        return imagefolder.read(path)
    if path.suffix.lower() == ".json":
        return doctr.read(path)
    if path.suffix.lower() in table.SUFFIXES:
        return table.read(path)
    raise DataError(f"{path} is not a label file: expected {_FORMATS}")


def _the_one(folder: Path, label_files: Sequence[Path]) -> Path | None:
    if len(label_files) > 1:
        names = ", ".join(path.name for path in label_files)
        raise DataError(f"{folder} holds several label files ({names}): name the one to read")
    return label_files[0] if label_files else None


def _several(folder: Path, found: Sequence[Path]) -> DataError:
    names = natsorted(str(path.relative_to(folder)) for path in found)
    named = ", ".join(names if len(names) <= _NAMED else [*names[:_NAMED], "…"])
    return DataError(f"{folder} has no labels of its own, but in folders below ({named}): name the ones to read")


def _tables_in(folder: Path) -> list[Path]:
    """The tables of a folder that may be its labels: a list of doubtful ones holds only some, and is read where it is named."""
    return [path for path in _all_tables_in(folder) if not table.is_of_doubts(path)]


def _all_tables_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in table.SUFFIXES and path.is_file())


def _doubts_in(folder: Path) -> str:
    """What to say of the lists of doubtful labels in a folder that has no other labels."""
    lists = [path for path in _all_tables_in(folder) if table.is_of_doubts(path)]
    return f". {lists[0].name} lists some labels that a model doubts: name {lists[0]} to read these alone" if lists else ""


def _folders_below(folder: Path) -> Iterator[Path]:
    for place, names, _ in os.walk(folder):
        names[:] = [name for name in names if not name.startswith(".")]
        yield from (Path(place, name) for name in names)


def _holds_labels(folder: Path) -> bool:
    """Whether a folder is a data set, or begins like one."""
    try:
        named = any((folder / name).is_file() for name in (*LABEL_FILES, lmdb_folder.DATA_FILE))
        return named or any(map(table.is_of_pictures, _tables_in(folder))) or trdg_names.read(folder) is not None
    except (DataError, OSError):
        return False


def _with_unlabelled(folder: Path, dataset: Dataset) -> Dataset:
    """The data set, with a fault for each picture in its folder, and those in it, that no row names."""
    places = Places()
    named = {places.of(sample.path) for sample in dataset.samples}
    named |= {places.of(fault.path) for fault in dataset.faults if fault.path}
    extra = natsorted((path for path in images.image_files(folder.rglob("*")) if places.of(path) not in named), key=str)
    faults = [Fault("picture without a label", str(path.relative_to(folder))) for path in extra]
    return replace(dataset, faults=(*dataset.faults, *faults))
