"""The samples of each step, as a function of the seed and the step alone, and the number of samples per step."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from crnnocr import runtime
from crnnocr.config import TrainConfig
from crnnocr.errors import ConfigError
from crnnocr.inference.engines import on_device
from crnnocr.model.crnn import CRNN
from crnnocr.training.distributed import DistributedContext
from crnnocr.training.prepare import Prepared

_MAX_BATCH_GROWTH = 4
"""A batch of narrow lines holds at most this many times the average number."""

_BATCH_SIZES = (16, 32, 64, 128, 256)
_WORTHWHILE_SPEEDUP = 1.15
"""A batch twice as large is taken if it is at least this many times as fast."""
_MIN_STEPS_PER_EPOCH = 20
"""Batches of a small data set are not so large that an epoch has fewer steps."""
_DEFAULT_WIDTH = 256
"""Width in pixels of lines that are not known yet."""


@dataclass(frozen=True)
class Bucket:
    """Samples that are split into batches by width together."""

    epoch: int
    """The epoch they belong to, from 1."""
    first_step: int
    """The step of their first batch, from 0."""
    batches: int
    """How many batches they are split into."""
    indices: tuple[int, ...]
    """Indices into the data set."""
    synthetic: range
    """Indices of synthetic images."""


@dataclass(frozen=True)
class BatchSampler:
    """The samples of each step: every one of a data set once an epoch, mixed with synthetic ones that never come again."""

    dataset_size: int
    """Number of samples in the data set; 0 for synthetic images only."""
    batch_size: int
    """Samples per step, on average."""
    seed: int
    """Random seed."""
    synthetic_share: float = 0.0
    """Share of synthetic images among the samples."""
    batches_per_bucket: int = 24
    """Batches that are split by width together: with more, batches have less padding, and are less mixed."""

    @property
    def steps_per_epoch(self) -> int:
        """Steps in which every sample of the data set is seen once; for synthetic images only, the steps of a bucket."""
        return sum(_batches(real + synthetic, self.batch_size) for real, synthetic in self._bucket_sizes())

    @property
    def samples_per_epoch(self) -> int:
        """Samples seen in an epoch, including synthetic ones."""
        return sum(real + synthetic for real, synthetic in self._bucket_sizes())

    def buckets(self, step: int) -> Iterator[Bucket]:
        """The bucket that holds `step`, and all after it, without end."""
        sizes = self._bucket_sizes()
        synthetic_per_epoch = sum(synthetic for _, synthetic in sizes)
        epoch = step // self.steps_per_epoch
        while True:
            order = np.random.default_rng([self.seed, epoch]).permutation(self.dataset_size).tolist()
            first_step, seen, made = epoch * self.steps_per_epoch, 0, epoch * synthetic_per_epoch
            for real, synthetic in sizes:
                batches = _batches(real + synthetic, self.batch_size)
                if first_step + batches > step:
                    indices = tuple(order[seen : seen + real])
                    yield Bucket(epoch + 1, first_step, batches, indices, range(made, made + synthetic))
                first_step, seen, made = first_step + batches, seen + real, made + synthetic
            epoch += 1

    def _bucket_sizes(self) -> list[tuple[int, int]]:
        """Numbers of data set samples and of synthetic images in each bucket of an epoch."""
        size = self.batch_size * self.batches_per_bucket
        if not self.dataset_size:
            return [(0, size)]
        full = max(1, round(size * (1 - self.synthetic_share)))
        parts = [min(full, self.dataset_size - start) for start in range(0, self.dataset_size, full)]
        return [(part, round(part * self.synthetic_share / (1 - self.synthetic_share))) for part in parts]


def _batches(samples: int, batch_size: int) -> int:
    return -(-samples // batch_size)


def split_by_width(widths: Sequence[int], batches: int, min_size: int = 1) -> list[list[int]]:
    """Split lines into batches of similar widths, each with about as many columns, including padding.

    Args:
        widths: of the lines, in pixels.
        batches: their number.
        min_size: least size of each batch, if there are enough lines.

    Returns:
        Indices into `widths` for each batch, the narrowest lines first.
    """
    order = sorted(range(len(widths)), key=lambda i: widths[i])
    max_size = _MAX_BATCH_GROWTH * -(-len(order) // batches)
    split: list[list[int]] = []
    start, columns_left = 0, float(sum(widths))
    for batches_after in range(batches - 1, -1, -1):
        available = len(order) - start - batches_after * min_size
        share, size = columns_left / (batches_after + 1), 0
        while size < available and (
            size < min_size or (size < max_size and (size + 0.5) * widths[order[start + size]] <= share)
        ):
            size += 1
        size = available if not batches_after else size
        batch = order[start : start + size]
        split.append(batch)
        start += size
        columns_left -= sum(widths[i] for i in batch)
    return split


def derived_seed(*numbers: int) -> int:
    """A seed that depends on all `numbers`."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))


def images_per_second(model: CRNN, batch_size: int, width: int, device: torch.device) -> float:
    """Measure the speed of training on lines of this width in pixels; the weights stay as they are."""
    on_device(model, device).train()
    statistics = {name: value.clone() for name, value in model.named_buffers()}
    lines = torch.zeros(batch_size, 1, model.config.height, width, device=device)
    seconds = 0.0
    for attempt in range(4):
        started = time.monotonic()
        with runtime.autocast(device):
            features, frames = model.features(lines, torch.full((batch_size,), width))
            loss = model.log_probs(features, frames).mean()
        torch.autograd.backward(loss)
        model.zero_grad()
        float(loss.detach())
        if attempt:
            seconds += time.monotonic() - started
    for name, value in model.named_buffers():
        value.copy_(statistics[name])
    return 3 * batch_size / seconds


def batch_size_for(
    config: TrainConfig,
    prepared: Prepared,
    device: torch.device,
    context: DistributedContext,
    measure: Callable[[CRNN, int, int, torch.device], float] = images_per_second,
) -> int:
    """The samples per step, of all processes together.

    A CPU is as fast with small batches as with large ones, and small ones learn more from each sample. On other devices the
    size is doubled as long as that pays, by the speed that `measure` finds.

    Raises `ConfigError` if the size is less than the number of processes.
    """
    size = config.batch_size
    if size is None:
        size = config.base_batch if device.type == "cpu" else context.world_size * _fastest(prepared, device, context, measure)
    if size < context.world_size:
        raise ConfigError("batch_size", f"{size} is less than an image for each of {context.world_size} processes")
    return size


def _fastest(
    prepared: Prepared,
    device: torch.device,
    context: DistributedContext,
    measure: Callable[[CRNN, int, int, torch.device], float],
) -> int:
    samples = len(prepared.train)
    width = int(np.mean(prepared.train.widths)) if samples else _DEFAULT_WIDTH
    best, best_speed = _BATCH_SIZES[0], 0.0
    for size in _BATCH_SIZES:
        if samples and samples / size < _MIN_STEPS_PER_EPOCH:
            break
        try:
            speed = measure(prepared.model, size, width, device)
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()
            speed = 0.0
        speed = context.broadcast([speed])[0]
        if speed <= _WORTHWHILE_SPEEDUP * best_speed:
            break
        best, best_speed = size, speed
    return best
