"""The pictures of samples as lines of a model's height, decoded once and for all epochs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from crnnocr import images
from crnnocr.config import ModelConfig, Orientation, Pair
from crnnocr.datasets import Fault, Sample, line_cache
from crnnocr.datasets.line_cache import PixelStore, Stored
from crnnocr.datasets.split import content_id
from crnnocr.errors import ImageError

MEMORY_LIMIT = 2 * 2**30
"""Bytes of lines that are kept in memory; more go to a memory-mapped file in the cache directory."""

_AT_A_TIME = 512
_PREPROCESSING = 1
"""Changes when the same picture would give another line."""

Result = TypeVar("Result")


class Lines:
    """Lines of one height, one after the other in one array of grey values."""

    def __init__(self, pixels: NDArray[np.uint8], height: int, widths: NDArray[np.int64]) -> None:
        self.widths = widths
        """(n,) width of each line in pixels."""
        self._pixels = pixels
        self._height = height
        self._starts = np.concatenate(([0], np.cumsum(widths * height)))

    def __len__(self) -> int:
        return len(self.widths)

    def __getitem__(self, index: int) -> images.Line:
        start, end = self._starts[index : index + 2]
        return self._pixels[start:end].reshape(self._height, -1)


@dataclass(frozen=True)
class ReadSamples:
    """Samples whose pictures were read, and what was wrong with the others."""

    samples: tuple[Sample, ...]
    """Those that were read, in their order."""
    lines: Lines
    """Their lines."""
    content_ids: NDArray[np.int64]
    """(n,) stands for the content of each one's picture."""
    sizes: NDArray[np.int64]
    """(n, 2) width and height of each one's picture in pixels, as it is read (a vertical one is turned)."""
    faults: tuple[Fault, ...]
    """The others."""


def read_samples(
    samples: Sequence[Sample],
    shape: ModelConfig,
    orientation: Orientation = Orientation.HORIZONTAL,
    memory_limit: int = MEMORY_LIMIT,
    progress: Callable[[int], None] = lambda _: None,
) -> ReadSamples:
    """Read the pictures of `samples` as lines for a model of this shape.

    Args:
        samples: labelled pictures.
        shape: gives the lines' height.
        orientation: which way the lines run in the pictures.
        memory_limit: bytes of lines from which on they are kept in a file instead.
        progress: is told how many samples have been looked at.

    Raises:
        CrnnocrError: the lines do not fit into memory, and the cache directory cannot be written.
    """

    def read(sample: Sample) -> _Found:
        return _read(sample, shape, orientation)

    ids, stored = _kept(samples, shape, orientation)
    faults: list[Fault | None]
    if stored is not None:
        faults = [read(s).fault if not width else None for s, width in zip(samples, stored.widths.tolist(), strict=True)]
        progress(len(samples))
    else:
        faults = []
        found_ids: list[int] = []
        sizes: list[Pair] = []
        widths: list[int] = []
        with PixelStore(memory_limit) as pixels:
            for found in _in_threads(read, samples):
                if found.line is not None:
                    pixels.append(found.line)
                faults.append(found.fault)
                found_ids.append(found.content_id)
                sizes.append(found.size)
                widths.append(0 if found.line is None else found.line.shape[1])
                if len(faults) % _AT_A_TIME == 0 or len(faults) == len(samples):
                    progress(len(faults))
            ids = np.array(found_ids, dtype=np.int64)
            key = _key(ids, shape, orientation)
            stored = pixels.finish(key, np.array(widths, np.int64), np.array(sizes, np.int64).reshape(-1, 2))
    good = stored.widths > 0
    return ReadSamples(
        samples=tuple(sample for sample, is_good in zip(samples, good, strict=True) if is_good),
        lines=Lines(stored.pixels, shape.height, stored.widths[good]),
        content_ids=ids[good],
        sizes=stored.sizes[good],
        faults=tuple(fault for fault in faults if fault),
    )


@dataclass(frozen=True)
class _Found:
    content_id: int = 0
    size: Pair = (0, 0)
    line: images.Line | None = None
    fault: Fault | None = None


def _read(sample: Sample, shape: ModelConfig, orientation: Orientation) -> _Found:
    identity = 0
    try:
        data = sample.read()
        identity = content_id(data)
        grey = images.turned(images.open_grey(data, sample.name), orientation)
        return _Found(identity, grey.size, images.to_line(grey, shape.height, shape.min_width))
    except ImageError as error:
        return _Found(identity, fault=Fault("picture that cannot be read", str(error), sample.path))


def _kept(samples: Sequence[Sample], shape: ModelConfig, orientation: Orientation) -> tuple[NDArray[np.int64], Stored | None]:
    """Content ids and lines of `samples` where they were kept in a file; this reads the pictures' bytes but decodes none."""
    if line_cache.is_empty():
        return np.zeros(0, np.int64), None
    ids = np.array(list(_in_threads(_content_id, samples)), dtype=np.int64)
    return ids, line_cache.find(_key(ids, shape, orientation))


def _content_id(sample: Sample) -> int:
    try:
        return content_id(sample.read())
    except ImageError:
        return 0


def _key(ids: NDArray[np.int64], shape: ModelConfig, orientation: Orientation) -> str:
    about = f"{_PREPROCESSING} {shape.height} {shape.min_width} {orientation}".encode()
    return hashlib.blake2b(ids.tobytes() + about, digest_size=16).hexdigest()


def _in_threads(function: Callable[[Sample], Result], samples: Sequence[Sample]) -> Iterator[Result]:
    with ThreadPoolExecutor() as threads:
        for start in range(0, len(samples), _AT_A_TIME):
            yield from threads.map(function, samples[start : start + _AT_A_TIME])
