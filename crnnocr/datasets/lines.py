"""Labeled images as lines of a model's height, decoded once for all epochs, and the split into training and validation.

Lines are kept in memory as long as they fit, else in a memory-mapped file in the cache directory, where the next run on the
same images finds them.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from copy import copy
from dataclasses import dataclass, replace
from itertools import compress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from crnnocr import images
from crnnocr.datasets import Sample
from crnnocr.datasets.groups import split_ids
from crnnocr.datasets.issues import UNREADABLE_IMAGE, Issue, merged
from crnnocr.errors import ImageError
from crnnocr.files import cache_directory, write_error
from crnnocr.runtime import cores

MEMORY_LIMIT = 2 * 2**30
"""Bytes of lines that are kept in memory; more go to a file."""

Result = TypeVar("Result")

_CHUNK = 512
"""Images that the threads read before progress is reported."""
_READING = 4
"""Threads more than cores, because some wait for the disk."""
_MAX_THREADS = 32
_PREPROCESSING = 2
"""A part of the cache key. To be changed when preprocessing makes another line of the same image."""


class LabeledLine(NamedTuple):
    """A line and its label."""

    pixels: images.Line
    """(H, W) gray values."""
    text: str
    """The label, in NFC."""
    weight: float = 1.0
    """How much it counts in training."""


class LineDataset:
    """Labeled images as lines of one height. The gray values of all lines are one array, which subsets share."""

    def __init__(
        self,
        samples: Sequence[Sample],
        pixels: NDArray[np.uint8],
        height: int,
        widths: NDArray[np.int64],
        content_ids: NDArray[np.int64],
        sizes: NDArray[np.int64],
    ) -> None:
        """Make a data set of lines that lie one after the other in `pixels`, each row by row.

        Args:
            samples: n labeled images.
            pixels: (height x the sum of `widths`,) gray values.
            height: of every line in pixels.
            widths: (n,) width of each line in pixels.
            content_ids: (n,) stands for the content of each image file.
            sizes: (n, 2) width and height of each image in pixels, after a vertical one was turned.
        """
        self.samples = tuple(samples)
        self.widths = widths
        self.content_ids = content_ids
        self.sizes = sizes
        self._pixels, self._height = pixels, height
        self._starts = np.concatenate(([0], np.cumsum(widths * height)))[:-1]

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> LabeledLine:
        start, width = self._starts[index], self.widths[index]
        pixels = self._pixels[start : start + width * self._height]
        sample = self.samples[index]
        return LabeledLine(pixels.reshape(self._height, width), sample.text, sample.weight)

    @property
    def split_ids(self) -> NDArray[np.int64]:
        """(n,) what decides about the split: images of one group, or of one content, have the same number."""
        return split_ids(self.samples, self.content_ids)

    @property
    def texts(self) -> list[str]:
        """The labels, in NFC."""
        return [sample.text for sample in self.samples]

    def subset(self, mask: NDArray[np.bool_]) -> LineDataset:
        """Return the lines for which the (n,) `mask` is true."""
        part = copy(self)
        part.samples = tuple(compress(self.samples, mask.tolist()))
        part.widths, part.content_ids, part.sizes = self.widths[mask], self.content_ids[mask], self.sizes[mask]
        part._starts = self._starts[mask]
        return part

    def with_labels(self, texts: Sequence[str], weights: Sequence[float]) -> LineDataset:
        """Return the same lines with other labels, of which each counts as its weight says."""
        other = copy(self)
        labels = zip(self.samples, texts, weights, strict=True)
        other.samples = tuple(replace(sample, text=text, weight=weight) for sample, text, weight in labels)
        return other

    def joined(self, other: LineDataset, times: int = 1) -> LineDataset:
        """Return these lines, each `times` times, and after them those of another data set of the same height."""
        pixels = [part[i].pixels.ravel() for part in (self, other) for i in range(len(part))]
        joined = LineDataset(
            self.samples + other.samples,
            np.concatenate([np.zeros(0, np.uint8), *pixels]),
            self._height,
            np.concatenate([self.widths, other.widths]),
            np.concatenate([self.content_ids, other.content_ids]),
            np.concatenate([self.sizes, other.sizes]),
        )
        order = np.concatenate([np.tile(np.arange(len(self)), times), np.arange(len(self), len(joined))])
        joined.samples = tuple(joined.samples[i] for i in order.tolist())
        joined.widths, joined.content_ids, joined.sizes = joined.widths[order], joined.content_ids[order], joined.sizes[order]
        joined._starts = joined._starts[order]
        return joined


def load_lines(
    samples: Sequence[Sample],
    preprocessor: images.Preprocessor,
    memory_limit: int = MEMORY_LIMIT,
    progress: Callable[[int], None] = lambda _: None,
) -> tuple[LineDataset, tuple[Issue, ...]]:
    """Read the images of `samples` as lines.

    Args:
        samples: labeled images.
        preprocessor: makes a line of each image.
        memory_limit: if the lines have more bytes than this, they are kept in a file.
        progress: is called with the number of samples that were read so far.

    Returns:
        The lines of the images that could be read, in the order of `samples`, and the issue of the others.

    Raises:
        CrnnocrError: the lines do not fit into memory, and the cache directory cannot be written.
    """

    def load(sample: Sample) -> _Loaded:
        return _load(sample, preprocessor)

    ids, stored = _cached(samples, preprocessor)
    issues: list[Issue | None]
    if stored is not None:
        issues = [load(s).issue if not width else None for s, width in zip(samples, stored.widths.tolist(), strict=True)]
        progress(len(samples))
    else:
        issues = []
        loaded_ids: list[int] = []
        sizes: list[tuple[int, int]] = []
        widths: list[int] = []
        with _PixelStore(memory_limit) as pixels:
            for loaded in _in_threads(load, samples):
                if loaded.line is not None:
                    pixels.append(loaded.line)
                issues.append(loaded.issue)
                loaded_ids.append(loaded.content_id)
                sizes.append(loaded.size)
                widths.append(0 if loaded.line is None else loaded.line.shape[1])
                if len(issues) % _CHUNK == 0 or len(issues) == len(samples):
                    progress(len(issues))
            ids = np.array(loaded_ids, dtype=np.int64)
            key = _key(ids, preprocessor)
            stored = pixels.finish(key, np.array(widths, np.int64), np.array(sizes, np.int64).reshape(-1, 2))
    lines = LineDataset(samples, stored.pixels, preprocessor.height, stored.widths, ids, stored.sizes)
    return lines.subset(stored.widths > 0), merged(issue for issue in issues if issue)


def content_id(data: bytes) -> int:
    """Return a 63-bit number that stands for the content of an image file (BLAKE2b)."""
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "big") >> 1


def held_out(ids: Sequence[int], share: float) -> list[bool]:
    """Return for each id of a content or group whether it is held out: those below `share` of the range, so about that many.

    The split depends on the ids alone, so that adding images moves none of the others. If one side would be empty, only the
    lowest id is held out; in so small a set an added image may change that. A single image is never held out.
    """
    flags = [identity < share * 2**63 for identity in ids]
    if any(flags) and not all(flags):
        return flags
    lowest = min(ids, default=0)
    return [len(set(ids)) > 1 and share > 0 and identity == lowest for identity in ids]


@dataclass(frozen=True)
class _Loaded:
    content_id: int = 0
    size: tuple[int, int] = (0, 0)
    line: images.Line | None = None
    issue: Issue | None = None


def _load(sample: Sample, preprocessor: images.Preprocessor) -> _Loaded:
    identity = 0
    try:
        data = sample.read()
        identity = content_id(data)
        image = preprocessor.view(data, name=sample.name)
        return _Loaded(identity, image.gray.size, image.line)
    except ImageError as error:
        return _Loaded(identity, issue=UNREADABLE_IMAGE.at(sample.path, str(error)))


def _in_threads(function: Callable[[Sample], Result], samples: Sequence[Sample]) -> Iterator[Result]:
    with ThreadPoolExecutor(min(_MAX_THREADS, cores() + _READING)) as threads:
        for start in range(0, len(samples), _CHUNK):
            yield from threads.map(function, samples[start : start + _CHUNK])


class _Stored(NamedTuple):
    pixels: NDArray[np.uint8]
    """Gray values of one line after the other, each row by row."""
    widths: NDArray[np.int64]
    """(n,) width of each sample's line in pixels; 0 if its image could not be read."""
    sizes: NDArray[np.int64]
    """(n, 2) width and height of each sample's image in pixels."""


_MAX_CACHED = 4
"""Sets of lines that stay in the cache directory: those used last."""
_LEFTOVER_AGE = 24 * 3600.0
"""Seconds after which an unfinished set belongs to a process that was killed."""
_WRITE_BUFFER = 2**24

_PIXELS, _WIDTHS, _SIZES = "pixels", "widths.npy", "sizes.npy"


class _PixelStore:
    """Collects lines. Past `memory_limit` bytes they go to a file, which is removed unless `finish` is called.

    Raises `CrnnocrError` if that file cannot be written.
    """

    def __init__(self, memory_limit: int) -> None:
        self._limit = memory_limit
        self._buffer = bytearray()
        self._file: BinaryIO | None = None
        self._folder: Path | None = None

    def __enter__(self) -> _PixelStore:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._file:
            with suppress(OSError):  # an error was raised before, or does not matter any more
                self._file.close()
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)

    def append(self, line: NDArray[np.uint8]) -> None:
        self._buffer += line.tobytes()
        if len(self._buffer) > (self._limit if self._file is None else _WRITE_BUFFER):
            self._flush()

    def finish(self, key: str, widths: NDArray[np.int64], sizes: NDArray[np.int64]) -> _Stored:
        """Return all lines. If they are in a file, `_find(key)` finds them from now on."""
        if self._file is None:
            return _Stored(np.frombuffer(self._buffer, np.uint8), widths, sizes)
        self._flush()
        assert self._folder is not None
        try:
            self._file.close()
            np.save(self._folder / _WIDTHS, widths)
            np.save(self._folder / _SIZES, sizes)
            _move(self._folder, key)
        except OSError as error:
            raise write_error(self._folder, error) from error
        _remove_old()
        stored = _find(key)
        assert stored is not None
        return stored

    def _flush(self) -> None:
        try:
            if self._file is None:
                _cache().mkdir(parents=True, exist_ok=True)
                self._folder = Path(tempfile.mkdtemp(prefix=".", dir=_cache()))
                self._file = (self._folder / _PIXELS).open("wb")
            self._file.write(self._buffer)
            self._buffer.clear()
        except OSError as error:
            raise write_error(_cache(), error) from error


def _cached(samples: Sequence[Sample], preprocessor: images.Preprocessor) -> tuple[NDArray[np.int64], _Stored | None]:
    """Content ids and lines of `samples`, if they are in the cache. This reads the image files but decodes none."""
    if not any(_cache().glob(f"*/{_SIZES}")):
        return np.zeros(0, np.int64), None
    ids = np.array(list(_in_threads(_content_id, samples)), dtype=np.int64)
    return ids, _find(_key(ids, preprocessor))


def _content_id(sample: Sample) -> int:
    try:
        return content_id(sample.read())
    except ImageError:
        return 0


def _key(ids: NDArray[np.int64], preprocessor: images.Preprocessor) -> str:
    about = (preprocessor.height, preprocessor.min_width, preprocessor.orientation, preprocessor.rows)
    prefix = " ".join(map(str, (_PREPROCESSING, *about))).encode()
    return hashlib.blake2b(ids.tobytes() + prefix, digest_size=16).hexdigest()


def _find(key: str) -> _Stored | None:
    """The lines in the cache under `key`, mapped into memory; None if they are not there or damaged."""
    folder = _cache() / key
    try:
        widths, sizes = np.load(folder / _WIDTHS), np.load(folder / _SIZES)
        pixels = np.memmap(folder / _PIXELS, np.uint8, "r")
        os.utime(folder)
    except (OSError, EOFError, ValueError):
        return None
    if len(pixels) % max(1, int(widths.sum())):  # no whole number of rows
        return None
    return _Stored(pixels, widths, sizes)


def _move(folder: Path, key: str) -> None:
    """Move a whole set of lines to its place, unless another training on the same images did so first."""
    target = _cache() / key
    try:
        folder.rename(target)
    except OSError:
        if _find(key) is None:  # what is there is damaged
            shutil.rmtree(target, ignore_errors=True)
            folder.rename(target)


def _remove_old() -> None:
    """Remove all sets except those used last, and what a killed process left."""
    for pixels in _cache().glob(f".*/{_PIXELS}"):
        if time.time() - pixels.stat().st_mtime > _LEFTOVER_AGE:
            shutil.rmtree(pixels.parent, ignore_errors=True)
    folders = sorted((path.parent for path in _cache().glob(f"[!.]*/{_SIZES}")), key=lambda folder: folder.stat().st_mtime)
    for folder in folders[:-_MAX_CACHED]:
        shutil.rmtree(folder, ignore_errors=True)


def _cache() -> Path:
    return cache_directory() / "lines"
