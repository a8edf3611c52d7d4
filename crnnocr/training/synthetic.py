"""Synthetic lines to train on, made by worker processes ahead of their use."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from crnnocr.config import ModelConfig, Orientation
from crnnocr.datasets import Sample
from crnnocr.datasets.lines import LabeledLine, LineDataset
from crnnocr.images import Preprocessor
from crnnocr.runtime import cores, exit_with_parent
from crnnocr.text.charset import Charset, frames_needed
from crnnocr.training.distributed import DistributedContext

SYNTHETIC = -1
"""The content id of synthetic lines."""
_CHUNK = 8
"""Lines that a worker sends together."""
_CHUNKS_AHEAD = 16
"""Chunks that each worker makes ahead."""


class Sampler(Protocol):
    """Makes a labeled image for every index, the same each time."""

    @property
    def charset(self) -> str:
        """Every character that its texts may hold."""
        ...

    def __getitem__(self, index: int) -> tuple[Image.Image, str]:
        """The image of an index, and its text."""
        ...


def synthetic_lines(
    sampler: Sampler,
    charset: Charset,
    model_config: ModelConfig,
    orientation: Orientation,
    start: int = 0,
    step: int = 1,
    workers: int | None = None,
) -> Iterator[LabeledLine | None]:
    """Make lines `start`, `start + step`, … without end; None for one whose text needs more frames than it has.

    Args:
        sampler: makes the images.
        charset: has every character of the texts.
        model_config: gives the lines' height.
        orientation: which way the lines run in the images.
        start: index of the first image.
        step: difference between indices.
        workers: number of worker processes; 0 works in this process. By default one per core, divided among the trainings
            that were launched together on this machine.
    """
    if workers is None:
        workers = max(1, cores() // DistributedContext.from_environment().local_world_size)
    loader = DataLoader(
        _Lines(sampler, Preprocessor.for_model(model_config, orientation)),
        batch_size=_CHUNK if workers else 1,
        sampler=_Endless(start, step),
        num_workers=workers,
        collate_fn=list,
        prefetch_factor=_CHUNKS_AHEAD if workers else None,
        generator=torch.Generator(),  # not the one of the training thread
        multiprocessing_context="spawn" if workers else None,
        worker_init_fn=exit_with_parent,
    )
    for lines in loader:
        for line in lines:
            fits = frames_needed(charset.encode(line.text)) <= model_config.frames(line.pixels.shape[1])
            yield line if fits else None


def synthetic_dataset(
    sampler: Sampler, charset: Charset, model_config: ModelConfig, orientation: Orientation, count: int
) -> LineDataset:
    """Those of the first `count` lines whose texts fit, made in this process. All have the content id `SYNTHETIC`."""
    stream = synthetic_lines(sampler, charset, model_config, orientation, workers=0)
    lines = [line for line in islice(stream, count) if line]
    samples = [Sample(Path("synthetic"), line.text, str(index)) for index, line in enumerate(lines)]
    widths = np.array([line.pixels.shape[1] for line in lines], dtype=np.int64)
    pixels = np.concatenate([np.zeros(0, np.uint8), *(line.pixels.ravel() for line in lines)])
    sizes = np.stack([widths, np.full_like(widths, model_config.height)], axis=1)
    return LineDataset(samples, pixels, model_config.height, widths, np.full_like(widths, SYNTHETIC), sizes)


class _Lines(Dataset[LabeledLine]):
    """Images of a sampler as lines."""

    def __init__(self, sampler: Sampler, preprocessor: Preprocessor) -> None:
        self._sampler, self._preprocessor = sampler, preprocessor

    def __getitem__(self, index: int) -> LabeledLine:
        image, text = self._sampler[index]
        return LabeledLine(self._preprocessor.line(image), text)


class _Endless:
    """Indices without end."""

    def __init__(self, start: int, step: int) -> None:
        self._start, self._step = start, step

    def __iter__(self) -> Iterator[int]:
        return count(self._start, self._step)
