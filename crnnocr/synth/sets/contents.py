"""What is in a folder of drawn pictures: looked at in one pass, one byte a picture."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from crnnocr.datasets import sidecar
from crnnocr.files import replaced_by

MOST = 100_000_000
"""Pictures that a set may have."""

_ENDING = ".png"


def picture_name(index: int) -> str:
    """The file name of picture `index`."""
    return f"{index:06d}{_ENDING}"


def sidecar_name(index: int) -> str:
    """The file name of the label beside picture `index`."""
    return sidecar.label_of(Path(picture_name(index))).name


def index_of(name: str, ending: str = _ENDING) -> int | None:
    """The number of the picture with this file name; None where it is not one of a set's names."""
    digits = name.removesuffix(ending)
    if digits == name or not (digits.isascii() and digits.isdecimal()):
        return None
    index = int(digits)
    return index if f"{index:06d}" == digits else None


def is_own(name: str, count: int) -> bool:
    """Whether it is the file name of one of the pictures 0 to `count` - 1."""
    index = index_of(name)
    return index is not None and index < count


@dataclass
class Contents:
    """What is in a folder."""

    pictures: bytearray
    """For each index 1 where a picture of this name is there, else 0."""
    sidecars: bytearray
    """For each index 1 where a sidecar of this name is there, else 0."""
    empty: list[int] = field(default_factory=list)
    """The pictures that are empty files, such as a loss of power leaves."""
    first: str | None = None
    """The first of all names that are no leftovers; None in an empty folder."""
    leftovers: list[Path] = field(default_factory=list)
    """Half-written files of processes that were killed."""

    def drawn(self, count: int) -> bytes:
        """For each of `count` pictures 1 where it is there and no empty file, else 0."""
        drawn = self.pictures[:count]
        for index in self.empty:
            if index < count:
                drawn[index] = 0
        return bytes(drawn)


def look(folder: Path, count: int) -> Contents:
    """What is in `folder`, among it the pictures 0 to `count` - 1."""
    contents = Contents(bytearray(count), bytearray(count))
    if not folder.is_dir():
        return contents
    with os.scandir(folder) as entries:
        for entry in entries:
            name = entry.name
            if replaced_by(name) is not None:
                contents.leftovers.append(folder / name)
                continue
            contents.first = name if contents.first is None else min(contents.first, name)
            for ending, flags in ((_ENDING, contents.pictures), (sidecar.ENDING, contents.sidecars)):
                index = index_of(name, ending)
                if index is not None and index < count:
                    flags[index] = 1
                    if flags is contents.pictures and not entry.stat().st_size:
                        contents.empty.append(index)
    return contents
