"""Taking a folder over for a set of drawn pictures: what is in it, what of that belongs to the set, and what is in the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from crnnocr.config import LabelFormat
from crnnocr.datasets import imagefolder, sidecar
from crnnocr.datasets.detection import load_dataset
from crnnocr.errors import DataError, UsageError
from crnnocr.files import target_of_part
from crnnocr.synth.dataset import contents as label_files
from crnnocr.synth.dataset import manifest
from crnnocr.synth.dataset.contents import Contents, OwnRows, Row, index_of, is_own, look, picture_name, sidecar_name
from crnnocr.synth.dataset.manifest import Earlier, Manifest

_LABELS_AND_MANIFEST = {imagefolder.LABEL_FILE, manifest.MANIFEST, *filter(None, map(label_files.table_name, LabelFormat))}

SPARE = "spare"
"""The name, in that of a half-written file, of room that is kept for labels."""


@dataclass(frozen=True)
class Found:
    """A folder that can be taken over."""

    folder: Path
    earlier: Earlier
    """The set that it was to hold before."""
    contents: Contents
    """What is in it."""
    same: bool
    """The earlier set's pictures are those that would be drawn now."""

    def there(self, count: int) -> bytes:
        """For each of `count` pictures of the set 1 if it is there, else 0."""
        return self.contents.drawn(count) if self.same else bytes(count)

    def is_finished(self, own: OwnRows, count: int, format: LabelFormat) -> bool:
        """Whether nothing is left to do: the `count` pictures, their rows (`own`) and the labels of `format` are all there."""
        table = label_files.table_name(format)
        return (
            self.same
            and (self.earlier.count, self.earlier.format) == (count, format)
            and 0 not in self.there(count)
            and own.is_one_each(count)
            and (format is not LabelFormat.GT_TXT or 0 not in self.contents.sidecars[:count])
            and (table is None or (self.folder / table).is_file())
        )


def examine(folder: Path, now: Manifest, count: int, force: bool, format: LabelFormat) -> Found:
    """What is in `folder`, of which nothing is changed.

    Raises `UsageError` where it cannot become a set of `count` pictures that depend on what `now` says.
    """
    earlier = manifest.read(folder)
    contents = look(folder, max(count, earlier.count))
    found = Found(folder, earlier, contents, same=earlier.manifest == now)
    if found.same:
        _refuse_fewer(folder, contents, count)
    elif contents.first and not force and not _is_begun_only(folder, contents, earlier):
        holds = manifest.difference(earlier.manifest, now) if earlier.manifest else f"it holds {contents.first}"
        raise UsageError(f"{folder} is not empty ({holds}): name another folder, or mix into it with --force")
    _refuse_to_overwrite(folder, contents, earlier, count, format)
    return found


def take_over(found: Found, now: Manifest, count: int, format: LabelFormat) -> tuple[list[Row], OwnRows]:
    """Make a folder ready for the set. Returns the labels to be kept: those of other pictures, and those of the set's own."""
    foreign = _foreign_rows(found.folder, found.earlier)
    own = OwnRows(found.folder, found.earlier.count if found.same else 0)
    if not found.same and found.contents.first:
        # Before any picture goes or comes, so that a kill leaves no label for another picture, and none of the others' is lost.
        with label_files.opened(found.folder, LabelFormat.IMAGEFOLDER) as write:
            for row in foreign:
                write(row)
    _clear(found, format)
    if not found.same or (found.earlier.count, found.earlier.format) != (count, format):
        manifest.write(found.folder, now, count, format)
    return foreign, own


def _is_begun_only(folder: Path, contents: Contents, earlier: Earlier) -> bool:
    """Whether there is nothing but an earlier set of which no picture was drawn, for want of a font for instance."""
    return (
        earlier.manifest is not None
        and not any(contents.pictures)
        and all(path.name in _LABELS_AND_MANIFEST or target_of_part(path.name) for path in folder.iterdir())
    )


def _refuse_fewer(folder: Path, contents: Contents, count: int) -> None:
    there = contents.pictures.rfind(1) + 1
    if there > count:
        raise UsageError(f"{folder} holds {there} pictures of this set already: ask for --count {there} or more")


def _refuse_to_overwrite(folder: Path, contents: Contents, earlier: Earlier, count: int, format: LabelFormat) -> None:
    names = [picture_name(index) for index in _first(contents.pictures, earlier.count, count)]
    if format is LabelFormat.GT_TXT:
        own = earlier.count if earlier.format is format else 0
        names += [sidecar_name(index) for index in _first(contents.sidecars, own, count)]
    table = label_files.table_name(format)
    if table and earlier.format is not format and (folder / table).exists():
        names.append(table)
    if names:
        raise UsageError(f"{folder / names[0]} is not of this set and would be overwritten: name another folder")


def _first(flags: bytearray, start: int, stop: int) -> list[int]:
    index = flags.find(1, start, stop)
    return [] if index < 0 else [index]


def _foreign_rows(folder: Path, earlier: Earlier) -> list[Row]:
    """The labels in a folder, in whatever form, that belong to other pictures than those of an earlier set."""
    if (folder / imagefolder.LABEL_FILE).is_file():
        rows = (row for _, row in imagefolder.records(folder / imagefolder.LABEL_FILE))
        return [row for row in rows if not is_own(row["file_name"], earlier.count)]
    if earlier.manifest is not None:
        return []
    try:
        samples = load_dataset(folder).samples
    except DataError:
        return []
    files = (sample for sample in samples if not sample.entry)  # not those in a database
    return [{"file_name": sample.path.relative_to(folder).as_posix(), "text": sample.text} for sample in files]


def _clear(found: Found, format: LabelFormat) -> None:
    """Remove what killed processes left, and what an earlier set has and this one has not."""
    folder, earlier, contents = found.folder, found.earlier, found.contents
    own = {*_LABELS_AND_MANIFEST, SPARE}
    for path in contents.leftovers:
        name = target_of_part(path.name) or ""
        if name in own or index_of(name) is not None or index_of(name, sidecar.ENDING) is not None:
            path.unlink(missing_ok=True)
    if not found.same:
        _remove(folder, picture_name, contents.pictures, earlier.count)
    if not found.same or format is not earlier.format:
        if earlier.format is LabelFormat.GT_TXT:
            _remove(folder, sidecar_name, contents.sidecars, earlier.count)
        if table := label_files.table_name(earlier.format):
            (folder / table).unlink(missing_ok=True)


def _remove(folder: Path, name: Callable[[int], str], flags: bytearray, count: int) -> None:
    for index in range(count):
        if flags[index]:
            (folder / name(index)).unlink(missing_ok=True)
