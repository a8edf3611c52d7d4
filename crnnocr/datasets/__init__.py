"""Labelled pictures on disk: one file a format, one detection for all, and the split into training and validation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from crnnocr.errors import ImageError


@dataclass(frozen=True, slots=True)
class Sample:
    """A picture and what it says."""

    path: Path
    """The picture's file, or the database that holds it."""
    text: str
    """The label, in NFC, without white space at its ends."""
    entry: str = ""
    """The picture's key in the database; empty for a file."""

    @property
    def name(self) -> str:
        """What to call the picture in messages."""
        return f"{self.path}:{self.entry}" if self.entry else str(self.path)

    def read(self) -> bytes:
        """The bytes of the picture's file. Raises `ImageError` where they cannot be read. Threads may call this at will."""
        if self.entry:
            from crnnocr.datasets import lmdb_folder

            return lmdb_folder.read_entry(self.path, self.entry)
        try:
            return self.path.read_bytes()
        except FileNotFoundError as error:
            raise ImageError(f"{self.name}: there is no such file") from error
        except OSError as error:
            raise ImageError(f"{self.name}: {error.strerror}") from error


@dataclass(frozen=True)
class Fault:
    """Something in a data set that cannot be used."""

    kind: str
    """What is wrong, the same words for the same fault."""
    where: str
    """The file, and the line in it, in words."""
    path: Path | None = None
    """The picture that it is about, if there is one."""


@dataclass(frozen=True)
class Dataset:
    """The usable samples of a folder or label file, and what was wrong with the rest."""

    source: Path
    """The folder or label file."""
    format: str
    """The format that was found, in words."""
    samples: tuple[Sample, ...]
    """The usable samples, in the order of the label file, else of the names."""
    faults: tuple[Fault, ...] = ()
    """What was left out."""
    trimmed: tuple[Fault, ...] = ()
    """Labels that had white space at their ends, which was taken off."""


def summarise(faults: Sequence[Fault]) -> list[str]:
    """One line for each kind of fault: how many, and the first one's place."""
    counts = Counter(fault.kind for fault in faults)
    first = {fault.kind: fault.where for fault in reversed(faults)}
    return [f"{count} left out: {kind} (first: {first[kind]})" for kind, count in counts.items()]
