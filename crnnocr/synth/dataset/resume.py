"""Resuming a folder: what it holds, which of that belongs to the set, and what is in the way of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from crnnocr.config import LabelFormat
from crnnocr.datasets import imagefolder, sidecar
from crnnocr.datasets.detection import load_dataset
from crnnocr.errors import DataError, UsageError
from crnnocr.files import target_of_part
from crnnocr.synth.dataset import labels, manifest
from crnnocr.synth.dataset.labels import IMAGE_ENDING, ExistingRecords, Record, image_name, index_of, is_own, sidecar_name
from crnnocr.synth.dataset.manifest import ExistingSet, Manifest

_LABELS_AND_MANIFEST = {imagefolder.LABEL_FILE, manifest.MANIFEST, *filter(None, map(labels.table_name, LabelFormat))}

SPARE = "spare"
"""The name, in that of a half-written file, of a file that reserves room for labels."""


@dataclass
class FolderContents:
    """The files of a folder, found in one pass, with one byte an image."""

    images: bytearray
    """For each index 1 if an image of this name is there, else 0."""
    sidecars: bytearray
    """For each index 1 if a label file of this name is there, else 0."""
    empty: list[int] = field(default_factory=list)
    """Indices of images that are empty files, such as a power cut leaves."""
    first: str | None = None
    """The first of all names except leftovers; None if there is no other."""
    leftovers: list[Path] = field(default_factory=list)
    """Half-written files of processes that were killed."""

    def present(self, count: int) -> bytes:
        """For each of `count` images 1 if it is there and not empty, else 0."""
        present = self.images[:count]
        for index in self.empty:
            if index < count:
                present[index] = 0
        return bytes(present)


def scan(folder: Path, count: int) -> FolderContents:
    """The contents of `folder`, with the presence of images 0 to `count` - 1."""
    contents = FolderContents(bytearray(count), bytearray(count))
    if not folder.is_dir():
        return contents
    with os.scandir(folder) as entries:
        for entry in entries:
            name = entry.name
            if target_of_part(name) is not None:
                contents.leftovers.append(folder / name)
                continue
            contents.first = name if contents.first is None else min(contents.first, name)
            for ending, flags in ((IMAGE_ENDING, contents.images), (sidecar.ENDING, contents.sidecars)):
                index = index_of(name, ending)
                if index is not None and index < count:
                    flags[index] = 1
                    if flags is contents.images and not entry.stat().st_size:
                        contents.empty.append(index)
    return contents


@dataclass(frozen=True)
class FolderState:
    """A folder in which the set can be made."""

    folder: Path
    existing: ExistingSet
    """The set that it was to hold before."""
    contents: FolderContents
    is_same: bool
    """The images of the existing set are those that would be made now."""

    def present(self, count: int) -> bytes:
        """For each of `count` images of the set 1 if it is there, else 0."""
        return self.contents.present(count) if self.is_same else bytes(count)

    def is_complete(self, records: ExistingRecords, count: int, format: LabelFormat) -> bool:
        """Whether nothing is left to do: the `count` images, their records and the labels of `format` are all there."""
        table = labels.table_name(format)
        return (
            self.is_same
            and (self.existing.count, self.existing.format) == (count, format)
            and 0 not in self.present(count)
            and records.are_complete(count)
            and (format is not LabelFormat.GT_TXT or 0 not in self.contents.sidecars[:count])
            and (table is None or (self.folder / table).is_file())
        )


def inspect(folder: Path, now: Manifest, count: int, force: bool, format: LabelFormat) -> FolderState:
    """Find out what is in `folder`, without changing it.

    Raises `UsageError` if it cannot become a set of `count` images with the manifest `now`.
    """
    existing = manifest.load(folder)
    contents = scan(folder, max(count, existing.count))
    state = FolderState(folder, existing, contents, is_same=existing.manifest == now)
    if state.is_same:
        _refuse_fewer(folder, contents, count)
    elif contents.first and not force and not _is_without_images(folder, contents, existing):
        holds = manifest.difference(existing.manifest, now) if existing.manifest else f"it holds {contents.first}"
        raise UsageError(f"{folder} is not empty ({holds}): name another folder, or mix into it with `force`")
    _refuse_to_overwrite(folder, contents, existing, count, format)
    return state


def resume(state: FolderState, now: Manifest, count: int, format: LabelFormat) -> tuple[list[Record], ExistingRecords]:
    """Prepare a folder for the set. Returns the records to keep: those of foreign images, and those of the set's own."""
    foreign = _foreign_records(state.folder, state.existing)
    own = ExistingRecords(state.folder, state.existing.count if state.is_same else 0)
    if not state.is_same and state.contents.first:
        # Before images come or go, so that a kill leaves no label of an image that is gone, and loses none of a foreign one.
        with labels.open_label_files(state.folder, LabelFormat.IMAGEFOLDER) as write:
            for record in foreign:
                write(record)
    _clear(state, format)
    if not state.is_same or (state.existing.count, state.existing.format) != (count, format):
        manifest.write(state.folder, now, count, format)
    return foreign, own


def _is_without_images(folder: Path, contents: FolderContents, existing: ExistingSet) -> bool:
    """Whether there is nothing but a set of which no image could be made, for want of a font for instance."""
    return (
        existing.manifest is not None
        and not any(contents.images)
        and all(path.name in _LABELS_AND_MANIFEST or target_of_part(path.name) for path in folder.iterdir())
    )


def _refuse_fewer(folder: Path, contents: FolderContents, count: int) -> None:
    there = contents.images.rfind(1) + 1
    if there > count:
        raise UsageError(f"{folder} holds {there} images of this set already: ask for `count={there}` or more")


def _refuse_to_overwrite(
    folder: Path, contents: FolderContents, existing: ExistingSet, count: int, format: LabelFormat
) -> None:
    names = [image_name(index) for index in _first(contents.images, existing.count, count)]
    if format is LabelFormat.GT_TXT:
        own = existing.count if existing.format is format else 0
        names += [sidecar_name(index) for index in _first(contents.sidecars, own, count)]
    table = labels.table_name(format)
    if table and existing.format is not format and (folder / table).exists():
        names.append(table)
    if names:
        raise UsageError(f"{folder / names[0]} is not of this set and would be overwritten: name another folder")


def _first(flags: bytearray, start: int, stop: int) -> list[int]:
    index = flags.find(1, start, stop)
    return [] if index < 0 else [index]


def _foreign_records(folder: Path, existing: ExistingSet) -> list[Record]:
    """The labels in a folder, in any format, of images that are not of its existing set."""
    if (folder / imagefolder.LABEL_FILE).is_file():
        records = (record for _, record in imagefolder.records(folder / imagefolder.LABEL_FILE))
        return [record for record in records if not is_own(record["file_name"], existing.count)]
    if existing.manifest is not None:
        return []
    try:
        samples = load_dataset(folder).samples
    except DataError:
        return []
    files = (sample for sample in samples if not sample.entry and not sample.region)  # not those in a database or page
    return [{"file_name": sample.path.relative_to(folder).as_posix(), "text": sample.text} for sample in files]


def _clear(state: FolderState, format: LabelFormat) -> None:
    """Remove what killed processes left, and what the existing set has and the new one has not."""
    folder, existing, contents = state.folder, state.existing, state.contents
    own = {*_LABELS_AND_MANIFEST, SPARE}
    for path in contents.leftovers:
        name = target_of_part(path.name) or ""
        if name in own or index_of(name) is not None or index_of(name, sidecar.ENDING) is not None:
            path.unlink(missing_ok=True)
    if not state.is_same:
        _remove(folder, image_name, contents.images, existing.count)
    if not state.is_same or format is not existing.format:
        if existing.format is LabelFormat.GT_TXT:
            _remove(folder, sidecar_name, contents.sidecars, existing.count)
        if table := labels.table_name(existing.format):
            (folder / table).unlink(missing_ok=True)


def _remove(folder: Path, name: Callable[[int], str], flags: bytearray, count: int) -> None:
    for index in range(count):
        if flags[index]:
            (folder / name(index)).unlink(missing_ok=True)
