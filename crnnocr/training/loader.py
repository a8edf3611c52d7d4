"""Batches for the network, prepared by threads while it trains on the ones before."""

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
from crnnocr.training.batching import BatchSampler, Bucket, derived_seed, split_by_width
from crnnocr.training.distributed import SINGLE_PROCESS, DistributedContext

_BATCHES_AHEAD = 4
"""Batches per thread that are begun before they are needed."""

Item = TypeVar("Item")


@dataclass(frozen=True)
class Batch:
    """The samples of one process in one step."""

    step: int
    """The step, from 0."""
    epoch: int
    """The epoch, from 1."""
    lines: Tensor
    """(N, 1, H, W) augmented lines in [-1, 1], zero right of each one's width."""
    widths: Tensor
    """(N,) int64 widths in pixels."""
    ids: Tensor
    """Class ids of the labels, one label after the other."""
    lengths: Tensor
    """(N,) int64 characters of each label."""
    weights: Tensor
    """(N,) how much each line counts."""


class Loader:
    """Batches from a step on, without end, made in threads.

    Each batch is a function of the sampler, its step and the process's rank alone, however many threads there are.
    """

    def __init__(
        self,
        sampler: BatchSampler,
        lines: LineDataset,
        synthetic: Iterator[LabeledLine | None],
        charset: Charset,
        model_config: ModelConfig,
        augmentation: AugmentConfig,
        context: DistributedContext = SINGLE_PROCESS,
        step: int = 0,
        threads: int = 1,
    ) -> None:
        """Get ready to make batches from `step` on.

        Args:
            sampler: decides which samples a batch has.
            lines: the data set.
            synthetic: this process's shard of the synthetic lines, from the bucket that holds `step` on; None for a line whose
                label does not fit it.
            charset: gives the class ids.
            model_config: gives the width that a label needs.
            augmentation: how strongly lines are changed.
            context: the processes that train together.
            step: the first step.
            threads: one keeps up with a network on the CPU, and takes little from it.
        """
        self.seconds_waited = 0.0
        """Time that was spent waiting for batches."""
        self._sampler, self._lines, self._synthetic = sampler, lines, synthetic
        self._charset, self._model_config, self._augmentation, self._context = charset, model_config, augmentation, context
        self._step = step
        self._threads = threads
        self._queue: Queue[Future[Batch] | BaseException] = Queue(threads * _BATCHES_AHEAD)
        self._is_started, self._stop = Event(), Event()
        self._thread = Thread(target=self._run, name="loader", daemon=True)

    def __enter__(self) -> Loader:
        threads = torch.get_num_threads()
        self._thread.start()
        self._is_started.wait()
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
            started = time.monotonic()
            made = self._queue.get()
            if isinstance(made, BaseException):
                raise made
            batch = made.result()
            self.seconds_waited += time.monotonic() - started
            yield batch

    def _run(self) -> None:
        with ThreadPoolExecutor(self._threads, "batches", _use_one_thread) as makers:
            started = Barrier(self._threads + 1)
            for _ in range(self._threads):
                makers.submit(started.wait)
            started.wait()
            self._is_started.set()
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
        for bucket in self._sampler.buckets(self._step):
            batches = self._mixed_batches(bucket) if bucket.synthetic else self._real_batches(bucket)
            order = np.random.default_rng([self._sampler.seed, bucket.first_step]).permutation(bucket.batches)
            for step, number in enumerate(order.tolist(), start=bucket.first_step):
                if step >= self._step:
                    yield makers.submit(self._batch, batches[number], step, bucket.epoch)

    def _real_batches(self, bucket: Bucket) -> list[list[LabeledLine]]:
        """Form each batch of the bucket, and take this process's shard of it."""
        indices = _repeated(list(bucket.indices), bucket.batches * self._context.world_size)
        batches = split_by_width(self._lines.widths[indices].tolist(), bucket.batches, min_size=self._context.world_size)
        return [[self._lines[indices[i]] for i in batch[self._context.rank :: self._context.world_size]] for batch in batches]

    def _mixed_batches(self, bucket: Bucket) -> list[list[LabeledLine]]:
        """Take this process's shard of the bucket, and form batches of it."""
        own = bucket.indices[self._context.rank :: self._context.world_size] or bucket.indices[:1]
        lines = [self._lines[i] for i in own]
        lines += [line for line in islice(self._synthetic, len(self._context.shard(bucket.synthetic))) if line]
        if not lines:
            raise DataError("the synthetic texts need more frames than their images have: take another preset")
        lines = _repeated(lines, bucket.batches)
        batches = split_by_width([line.pixels.shape[1] for line in lines], bucket.batches)
        return [[lines[i] for i in batch] for batch in batches]

    def _batch(self, labeled: Sequence[LabeledLine], step: int, epoch: int) -> Batch:
        lines, widths = images.to_batch([line.pixels for line in labeled])
        labels = [self._charset.encode(line.text) for line in labeled]
        min_widths = [self._model_config.min_width_for(frames_needed(ids)) for ids in labels]
        generator = torch.Generator().manual_seed(derived_seed(self._sampler.seed, step, self._context.rank))
        augmented, new_widths = augment(
            torch.from_numpy(lines),
            torch.from_numpy(widths),
            self._augmentation,
            self._model_config.min_width,
            generator,
            torch.tensor(min_widths),
        )
        return Batch(
            step,
            epoch,
            augmented,
            new_widths,
            torch.tensor([i for ids in labels for i in ids]),
            torch.tensor([len(ids) for ids in labels]),
            torch.tensor([line.weight for line in labeled]),
        )


def _use_one_thread() -> None:
    """Make torch compute in this thread alone: a second pool that waits for the same cores costs a sixth of the speed.

    torch takes the number of threads from the process when a thread first computes in parallel; after that the process may
    have another number again.
    """
    torch.set_num_threads(1)
    torch.zeros(2**20).add_(1)


def _repeated(items: list[Item], length: int) -> list[Item]:
    """`items`, repeated from the first on until there are `length`, if there are fewer."""
    return items * (length // len(items)) + items[: length % len(items)] if len(items) < length else items
