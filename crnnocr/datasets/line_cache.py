"""Where the grey values of many lines are kept: in memory while they fit, else in a file in the cache directory."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from crnnocr.directories import cache_directory
from crnnocr.files import cannot_write

_KEPT = 4
"""Sets of lines that are left on disk: the last used ones."""

_A_DAY = 24 * 3600.0

_PIXELS, _WIDTHS, _SIZES = "pixels", "widths.npy", "sizes.npy"


class Stored(NamedTuple):
    """Lines as they are kept."""

    pixels: NDArray[np.uint8]
    """The lines' grey values, one line after the other, each row by row."""
    widths: NDArray[np.int64]
    """(n,) width of each sample's line in pixels; 0 where its picture could not be read."""
    sizes: NDArray[np.int64]
    """(n, 2) width and height of each sample's picture in pixels."""


class PixelStore:
    """Takes lines one after the other. Past `memory_limit` bytes they go on in a file.

    Raises `CrnnocrError` where that file cannot be written. Left without `finish`, it removes what it has written.
    """

    def __init__(self, memory_limit: int) -> None:
        self._limit = memory_limit
        self._buffer = bytearray()
        self._file: BinaryIO | None = None
        self._folder: Path | None = None

    def __enter__(self) -> PixelStore:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._file:
            with suppress(OSError):  # said before, or no matter any more
                self._file.close()
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)

    def append(self, line: NDArray[np.uint8]) -> None:
        """Take a line."""
        self._buffer += line.tobytes()
        if len(self._buffer) > (self._limit if self._file is None else 2**24):
            self._flush()

    def finish(self, key: str, widths: NDArray[np.int64], sizes: NDArray[np.int64]) -> Stored:
        """All lines. What had to go to a file is found again by `key`."""
        if self._file is None:
            return Stored(np.frombuffer(self._buffer, np.uint8), widths, sizes)
        self._flush()
        assert self._folder is not None
        try:
            self._file.close()
            np.save(self._folder / _WIDTHS, widths)
            np.save(self._folder / _SIZES, sizes)
            _move(self._folder, key)
        except OSError as error:
            raise cannot_write(self._folder, error) from error
        _forget_old()
        stored = find(key)
        assert stored is not None
        return stored

    def _flush(self) -> None:
        try:
            if self._file is None:
                _root().mkdir(parents=True, exist_ok=True)
                self._folder = Path(tempfile.mkdtemp(prefix=".", dir=_root()))
                self._file = (self._folder / _PIXELS).open("wb")
            self._file.write(self._buffer)
            self._buffer.clear()
        except OSError as error:
            raise cannot_write(_root(), error) from error


def _move(folder: Path, key: str) -> None:
    """Put a whole set of lines in its place, unless another training on the same pictures was faster."""
    try:
        folder.rename(_place(key))
    except OSError:
        if find(key) is None:  # what is there is damaged
            shutil.rmtree(_place(key), ignore_errors=True)
            folder.rename(_place(key))


def is_empty() -> bool:
    """Whether nothing is kept in files."""
    return not any(_root().glob("*/" + _SIZES))


def find(key: str) -> Stored | None:
    """What was kept under `key`, mapped into memory; None if it is not there or damaged."""
    folder = _place(key)
    try:
        widths, sizes = np.load(folder / _WIDTHS), np.load(folder / _SIZES)
        pixels = np.memmap(folder / _PIXELS, np.uint8, "r")
        os.utime(folder)
    except (OSError, EOFError, ValueError):
        return None
    if len(pixels) % max(1, int(widths.sum())):  # no whole number of rows
        return None
    return Stored(pixels, widths, sizes)


def _forget_old() -> None:
    """Remove all but the sets used last, and what a killed process left a day ago or earlier."""
    for pixels in _root().glob(f".*/{_PIXELS}"):
        if time.time() - pixels.stat().st_mtime > _A_DAY:
            shutil.rmtree(pixels.parent, ignore_errors=True)
    folders = sorted((path.parent for path in _root().glob(f"[!.]*/{_SIZES}")), key=lambda folder: folder.stat().st_mtime)
    for folder in folders[:-_KEPT]:
        shutil.rmtree(folder, ignore_errors=True)


def _place(key: str) -> Path:
    return _root() / key


def _root() -> Path:
    return cache_directory() / "lines"
