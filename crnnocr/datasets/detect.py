"""Finds out in which format a folder or file holds labelled pictures, and reads it."""

from __future__ import annotations

from pathlib import Path

from natsort import natsorted

from crnnocr import images
from crnnocr.datasets import Dataset, Fault, imagefolder, sidecar, summarise, table
from crnnocr.errors import DataError

_FORMATS = "metadata.jsonl or metadata.csv, one .csv, .tsv or .txt of paths and texts, or a .gt.txt beside each picture"


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


def _read_folder(folder: Path) -> Dataset:
    for name in (imagefolder.LABEL_FILE, "metadata.csv"):
        if (folder / name).is_file():
            return _with_unlabelled(folder, _read_file(folder / name))
    if (dataset := sidecar.read(folder)) is not None:
        return dataset
    tables = sorted(path for path in folder.iterdir() if path.suffix.lower() in table.SUFFIXES and path.is_file())
    if len(tables) > 1:
        names = ", ".join(path.name for path in tables)
        raise DataError(f"{folder} holds several label files ({names}): name the one to read")
    if tables:
        return _with_unlabelled(folder, _read_file(tables[0]))
    pictures = len(images.pictures_in(folder.rglob("*")))
    holds = f"{pictures} pictures and no labels" if pictures else "no pictures"
    raise DataError(f"{folder} holds {holds} in a known format: expected {_FORMATS}")


def _read_file(path: Path) -> Dataset:
    if path.suffix.lower() in (".jsonl", ".ndjson"):
        return imagefolder.read(path)
    if path.suffix.lower() in table.SUFFIXES:
        return table.read(path)
    raise DataError(f"{path} is not a label file: expected {_FORMATS}")


def _with_unlabelled(folder: Path, dataset: Dataset) -> Dataset:
    """The data set, with a fault for each picture in its folder, and those in it, that no row names."""
    named = {sample.path.resolve() for sample in dataset.samples}
    named |= {_resolved(fault.path) for fault in dataset.faults if fault.path}
    extra = tuple(
        Fault("picture without a label", str(path.relative_to(folder)))
        for path in natsorted(images.pictures_in(folder.rglob("*")), key=str)
        if _resolved(path) not in named
    )
    return Dataset(dataset.source, dataset.format, dataset.samples, dataset.faults + extra)


def _resolved(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, ValueError, RuntimeError):  # a name that no file can have, or a link that leads to itself
        return path
