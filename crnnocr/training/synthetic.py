"""Drawn pictures to learn from, made by worker processes ahead of their use."""

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
from crnnocr.images import Line, Preprocessor
from crnnocr.runtime import cores, exit_with_parent
from crnnocr.text.charset import Charset, frames_needed
from crnnocr.training.distributed import launched

_AT_A_TIME = 8
"""Pictures that a worker hands over together."""
_AHEAD = 16
"""Times as many that each worker is ahead."""


class Sampler(Protocol):
    """Draws a labelled picture for every index, the same each time."""

    @property
    def charset(self) -> str:
        """Every character that its texts may hold."""
        ...

    def __getitem__(self, index: int) -> tuple[Image.Image, str]:
        """The picture of an index, and its text."""
        ...


def drawn(
    sampler: Sampler,
    charset: Charset,
    shape: ModelConfig,
    orientation: Orientation,
    start: int = 0,
    step: int = 1,
    workers: int | None = None,
) -> Iterator[LabeledLine | None]:
    """Draw samples `start`, `start + step`, … without end; None for one whose text needs more frames than its line has.

    Args:
        sampler: what draws.
        charset: gives the class ids.
        shape: gives the lines' height.
        orientation: which way the lines run in the pictures.
        start: index of the first sample.
        step: from one index to the next.
        workers: processes that draw; 0 draws in this one. By default one a core, those of all trainings that were launched
            together on this machine counted.
    """
    task = _Task(sampler, Preprocessor.for_model(shape, orientation))
    if workers is None:
        workers = max(1, cores() // launched().on_this_machine)
    loader = DataLoader(
        task,
        batch_size=_AT_A_TIME if workers else 1,
        sampler=_Endless(start, step),
        num_workers=workers,
        collate_fn=list,
        prefetch_factor=_AHEAD if workers else None,
        generator=torch.Generator(),  # not the one that the training thread draws from
        multiprocessing_context="spawn" if workers else None,
        worker_init_fn=exit_with_parent,
    )
    for lines in loader:
        for line, text in lines:
            fits = frames_needed(charset.encode(text)) <= shape.frames(line.shape[1])
            yield LabeledLine(line, text) if fits else None


def drawn_lines(sampler: Sampler, charset: Charset, shape: ModelConfig, orientation: Orientation, count: int) -> LineDataset:
    """Those of the first `count` samples that can be learnt, drawn in this process."""
    found = [line for line in islice(drawn(sampler, charset, shape, orientation, workers=0), count) if line]
    samples = [Sample(Path("synthetic"), line.text, str(index)) for index, line in enumerate(found)]
    widths = np.array([line.pixels.shape[1] for line in found], dtype=np.int64)
    pixels = np.concatenate([np.zeros(0, np.uint8), *(line.pixels.ravel() for line in found)])
    ids = np.full(len(found), -1, dtype=np.int64)
    return LineDataset(samples, pixels, shape.height, widths, ids, np.stack([widths, np.full_like(widths, shape.height)], 1))


class _Task(Dataset[tuple[Line, str]]):
    """Draws a sample as a line."""

    def __init__(self, sampler: Sampler, preprocessor: Preprocessor) -> None:
        self._sampler, self._preprocessor = sampler, preprocessor

    def __getitem__(self, index: int) -> tuple[Line, str]:
        image, text = self._sampler[index]
        return self._preprocessor.line(image), text


class _Endless:
    """Sample indices without end."""

    def __init__(self, start: int, step: int) -> None:
        self._start, self._step = start, step

    def __iter__(self) -> Iterator[int]:
        return count(self._start, self._step)
