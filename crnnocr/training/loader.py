"""Batches for the network, prepared by threads while it learns from the last ones."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from queue import Empty, Full, Queue
from threading import Barrier, Event, Thread
from types import TracebackType
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from crnnocr import images
from crnnocr.config import AugmentConfig, ModelConfig
from crnnocr.datasets.lines import LabeledLine, LineDataset
from crnnocr.errors import DataError
from crnnocr.text.charset import Charset, frames_needed
from crnnocr.training.augmentation import augment
from crnnocr.training.batching import Plan, Pool, cut, seed_of
from crnnocr.training.distributed import Ranks

_AHEAD = 4
"""Batches for each thread that are begun before they are asked for."""

Value = TypeVar("Value")


@dataclass(frozen=True)
class Batch:
    """What one process learns from in one step."""

    step: int
    """The step, from 0."""
    epoch: int
    """The epoch, from 1."""
    lines: Tensor
    """(N, 1, H, W) lines in [-1, 1], changed at random, zero right of each one's width."""
    widths: Tensor
    """(N,) int64 widths in pixels."""
    ids: Tensor
    """Class ids of the labels, one label after the other."""
    lengths: Tensor
    """(N,) int64 characters of each label."""


class Loader:
    """Batches from `step` on, without end, made in threads of their own.

    Each is a function of the plan, its step and the process's rank alone, however many threads there are.
    """

    def __init__(
        self,
        plan: Plan,
        lines: LineDataset,
        drawn: Iterator[LabeledLine | None],
        charset: Charset,
        shape: ModelConfig,
        augmentation: AugmentConfig,
        ranks: Ranks = Ranks(),  # noqa: B008 (frozen)
        step: int = 0,
        threads: int = 1,
    ) -> None:
        """`drawn` gives this process's share of the drawn pictures, from the pool that holds `step` on.

        One of the `threads` keeps up with a network on the CPU, and takes little from it.
        """
        self.waited = 0.0
        """Seconds that were spent waiting for batches."""
        self._plan, self._lines, self._drawn = plan, lines, drawn
        self._charset, self._shape, self._augmentation, self._ranks = charset, shape, augmentation, ranks
        self._step = step
        self._threads = threads
        self._queue: Queue[Future[Batch] | BaseException] = Queue(threads * _AHEAD)
        self._is_alone, self._stop = Event(), Event()
        self._thread = Thread(target=self._run, name="loader", daemon=True)

    def __enter__(self) -> Loader:
        threads = torch.get_num_threads()
        self._thread.start()
        self._is_alone.wait()
        torch.set_num_threads(threads)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        with suppress(Empty):
            while True:
                self._queue.get_nowait()
        self._thread.join()

    def __iter__(self) -> Iterator[Batch]:
        while True:
            asked = time.monotonic()
            made = self._queue.get()
            if isinstance(made, BaseException):
                raise made
            batch = made.result()
            self.waited += time.monotonic() - asked
            yield batch

    def _run(self) -> None:
        with ThreadPoolExecutor(self._threads, "batches", _compute_alone) as makers:
            started = Barrier(self._threads + 1)
            for _ in range(self._threads):
                makers.submit(started.wait)
            started.wait()
            self._is_alone.set()
            try:
                for batch in self._batches(makers):
                    if not self._put(batch):
                        return
            except BaseException as error:
                self._put(error)

    def _put(self, batch: Future[Batch] | BaseException) -> bool:
        while not self._stop.is_set():
            with suppress(Full):
                self._queue.put(batch, timeout=0.1)
                return True
        return False

    def _batches(self, makers: ThreadPoolExecutor) -> Iterator[Future[Batch]]:
        for pool in self._plan.pools(self._step):
            contents = self._shares(pool) if not pool.drawn else self._mixture(pool)
            order = np.random.default_rng([self._plan.seed, pool.first_step]).permutation(pool.batches)
            for step, number in enumerate(order.tolist(), start=pool.first_step):
                if step >= self._step:
                    yield makers.submit(self._batch, contents[number], step, pool.epoch)

    def _shares(self, pool: Pool) -> list[list[LabeledLine]]:
        """Each batch of the pool is formed first, and then this process takes its share of it."""
        indices = _filled(list(pool.examples), pool.batches * self._ranks.size)
        batches = cut(self._lines.widths[indices].tolist(), pool.batches, least=self._ranks.size)
        return [[self._lines[indices[i]] for i in batch[self._ranks.rank :: self._ranks.size]] for batch in batches]

    def _mixture(self, pool: Pool) -> list[list[LabeledLine]]:
        """This process draws its share of the pool's pictures, and forms batches of it alone."""
        own = pool.examples[self._ranks.rank :: self._ranks.size] or pool.examples[:1]
        lines = [self._lines[i] for i in own]
        lines += [line for line in islice(self._drawn, len(self._ranks.share(pool.drawn))) if line]
        if not lines:
            raise DataError("the texts that are drawn need more frames than their pictures have: take another --preset")
        lines = _filled(lines, pool.batches)
        return [[lines[i] for i in batch] for batch in cut([line.pixels.shape[1] for line in lines], pool.batches)]

    def _batch(self, labeled: Sequence[LabeledLine], step: int, epoch: int) -> Batch:
        lines, widths = images.to_batch([line.pixels for line in labeled])
        labels = [self._charset.encode(line.text) for line in labeled]
        least = [self._shape.min_width_for(frames_needed(ids)) for ids in labels]
        generator = torch.Generator().manual_seed(seed_of(self._plan.seed, step, self._ranks.rank))
        changed, widths_after = augment(
            torch.from_numpy(lines),
            torch.from_numpy(widths),
            self._augmentation,
            self._shape.min_width,
            generator,
            torch.tensor(least),
        )
        return Batch(
            step,
            epoch,
            changed,
            widths_after,
            torch.tensor([i for ids in labels for i in ids]),
            torch.tensor([len(ids) for ids in labels]),
        )


def _compute_alone() -> None:
    """Have this thread compute without others: a second team that waits for the same cores costs a sixth of the speed.

    torch takes the number from the process when a thread first computes in parallel; after that that of the process may be
    set right again.
    """
    torch.set_num_threads(1)
    torch.zeros(2**20).add_(1)


def _filled(values: list[Value], least: int) -> list[Value]:
    """`values`, from the first on again where they are fewer than `least`."""
    return values * (least // len(values)) + values[: least % len(values)] if len(values) < least else values
