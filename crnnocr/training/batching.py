"""What is shown in which step: a function of the seed and the step, and of nothing that has happened before.

How many pictures a step the device is fastest with.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from crnnocr import runtime
from crnnocr.config import TrainConfig
from crnnocr.errors import UsageError
from crnnocr.inference.engines import on_device
from crnnocr.model.crnn import CRNN
from crnnocr.training.distributed import Ranks
from crnnocr.training.prepare import Prepared

_BATCHES_A_POOL = 24
"""Batches whose pictures are drawn together and then sorted by width: more waste less padding, and mix less."""

_MOST = 4
"""A batch of narrow lines holds at most so many times the average number."""


@dataclass(frozen=True)
class Pool:
    """Pictures that are cut into batches together."""

    epoch: int
    """The epoch they belong to, from 1."""
    first_step: int
    """The step of their first batch, from 0."""
    batches: int
    """How many batches they are cut into."""
    examples: tuple[int, ...]
    """Indices of data to learn from."""
    drawn: range
    """Indices of drawn pictures."""


@dataclass(frozen=True)
class Plan:
    """Which pictures each step shows: every one of a data set once an epoch, mixed with drawn ones that never come again."""

    examples: int
    """Number of pictures in the data set; 0 to show drawn ones only."""
    batch_size: int
    """Pictures a step, on average."""
    seed: int
    """Start of all chance."""
    mix: float = 0.0
    """Share of drawn pictures."""

    @property
    def steps_an_epoch(self) -> int:
        """Steps in which every picture of the data set is shown once; of drawn pictures alone, those of a pool."""
        return sum(_batches(real + drawn, self.batch_size) for real, drawn in self._sizes())

    @property
    def pictures_an_epoch(self) -> int:
        """Pictures that are shown in an epoch, drawn ones included."""
        return sum(real + drawn for real, drawn in self._sizes())

    def pools(self, step: int) -> Iterator[Pool]:
        """The pools from that on which holds `step`, without end."""
        sizes = self._sizes()
        drawn_an_epoch = sum(drawn for _, drawn in sizes)
        epoch = step // self.steps_an_epoch
        while True:
            order = np.random.default_rng([self.seed, epoch]).permutation(self.examples).tolist()
            first, shown, drawn = epoch * self.steps_an_epoch, 0, epoch * drawn_an_epoch
            for real, more in sizes:
                batches = _batches(real + more, self.batch_size)
                if first + batches > step:
                    examples = tuple(order[shown : shown + real])
                    yield Pool(epoch + 1, first, batches, examples, range(drawn, drawn + more))
                first, shown, drawn = first + batches, shown + real, drawn + more
            epoch += 1

    def _sizes(self) -> list[tuple[int, int]]:
        """For each pool of an epoch, how many examples and how many drawn pictures it has."""
        size = self.batch_size * _BATCHES_A_POOL
        if not self.examples:
            return [(0, size)]
        whole = max(1, round(size * (1 - self.mix)))
        parts = [min(whole, self.examples - start) for start in range(0, self.examples, whole)]
        return [(part, round(part * self.mix / (1 - self.mix))) for part in parts]


def _batches(pictures: int, batch_size: int) -> int:
    return -(-pictures // batch_size)


def seed_of(*numbers: int) -> int:
    """A seed that depends on all `numbers`."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))


def cut(widths: Sequence[int], batches: int, least: int = 1) -> list[list[int]]:
    """Cut pictures into that many batches of like widths, each with about as many columns, padding included.

    Args:
        widths: of the pictures' lines, in pixels.
        batches: how many.
        least: pictures that each batch holds at least, if there are as many in all.

    Returns:
        Indices into `widths`, the narrowest first.
    """
    order = sorted(range(len(widths)), key=lambda i: widths[i])
    most = _MOST * -(-len(order) // batches)
    cuts: list[list[int]] = []
    start, left = 0, float(sum(widths))
    for after in range(batches - 1, -1, -1):
        room = len(order) - start - after * least
        share, size = left / (after + 1), 0
        while size < room and (size < least or (size < most and (size + 0.5) * widths[order[start + size]] <= share)):
            size += 1
        size = room if not after else size
        batch = order[start : start + size]
        cuts.append(batch)
        start += size
        left -= sum(widths[i] for i in batch)
    return cuts


_TRIED = (16, 32, 64, 128, 256)
_WORTH = 1.15
"""A batch twice as large is taken if it is that many times as fast."""
_STEPS_AN_EPOCH = 20
"""A small data set is not shown in fewer steps than these."""
_MEAN_WIDTH = 256
"""Width in pixels of a line that is not known yet."""


def batch_size_for(config: TrainConfig, prepared: Prepared, device: torch.device, ranks: Ranks) -> int:
    """Pictures a step, of all processes together.

    A CPU is as fast with few as with many, and few learn more from each picture. On other devices the number is doubled
    while that pays.

    Raises `UsageError` where there are fewer than processes.
    """
    size = config.batch_size
    if size is None:
        size = config.base_batch if device.type == "cpu" else ranks.size * _fastest(prepared, device, ranks)
    if size < ranks.size:
        raise UsageError(f"--batch-size {size} is less than a picture for each of {ranks.size} processes")
    return size


def _fastest(prepared: Prepared, device: torch.device, ranks: Ranks) -> int:
    pictures = len(prepared.train)
    width = int(np.mean(prepared.train.widths)) if pictures else _MEAN_WIDTH
    best, best_rate = _TRIED[0], 0.0
    for size in _TRIED:
        if pictures and pictures / size < _STEPS_AN_EPOCH:
            break
        try:
            rate = _rate(prepared.model, size, width, device)
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()
            rate = 0.0
        rate = ranks.first_says([rate])[0]
        if rate <= _WORTH * best_rate:
            break
        best, best_rate = size, rate
    return best


def _rate(model: CRNN, size: int, width: int, device: torch.device) -> float:
    """Pictures a second that are learnt from; leaves the weights as they are."""
    on_device(model, device).train()
    statistics = {name: value.clone() for name, value in model.named_buffers()}
    lines = torch.zeros(size, 1, model.config.height, width, device=device)
    seconds = 0.0
    for attempt in range(4):
        started = time.monotonic()
        with runtime.autocast(device):
            features, frames = model.features(lines, torch.full((size,), width))
            loss = model.log_probs(features, frames).mean()
        torch.autograd.backward(loss)
        model.zero_grad()
        float(loss.detach())
        if attempt:
            seconds += time.monotonic() - started
    for name, value in model.named_buffers():
        value.copy_(statistics[name])
    return 3 * size / seconds
