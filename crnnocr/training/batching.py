"""Which pictures make up which batch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import count, islice
from typing import TypeAlias

import numpy as np

from crnnocr.training.examples import Example

Batch: TypeAlias = tuple[int, list[Example]]
"""The epoch a batch belongs to, from 1, and its examples."""

_BATCHES_A_POOL = 12
"""Batches whose pictures are drawn together and then sorted by width: more waste less padding, and mix less."""


def repeated(examples: Sequence[Example], batch_size: int, seed: int) -> Iterator[Batch]:
    """Batches of `examples` without end, epoch after epoch."""
    widths = [example.line.shape[1] for example in examples]
    epoch = 0
    while True:
        for batch in epoch_batches(widths, batch_size, seed, epoch):
            yield epoch + 1, [examples[i] for i in batch]
        epoch += 1


def streamed(examples: Iterable[Example], batch_size: int, seed: int) -> Iterator[Batch]:
    """Batches of `examples`, as a rule without end, in one epoch; a pool of them is held at a time."""
    stream = iter(examples)
    for pool in count():
        drawn = list(islice(stream, batch_size * _BATCHES_A_POOL))
        if not drawn:
            return
        widths = [example.line.shape[1] for example in drawn]
        for batch in epoch_batches(widths, batch_size, seed, pool):
            yield 1, [drawn[i] for i in batch]


def epoch_batches(widths: Sequence[int], batch_size: int, seed: int, epoch: int) -> list[list[int]]:
    """Every picture once, in batches of like widths, in an order that depends on `seed` and `epoch` only.

    `widths` are those of the pictures' lines in pixels, and the batches hold indices into them; some may be smaller.
    """
    rng = np.random.default_rng([seed, epoch])
    order = rng.permutation(len(widths))
    batches: list[list[int]] = []
    for start in range(0, len(order), batch_size * _BATCHES_A_POOL):
        pool = sorted(order[start : start + batch_size * _BATCHES_A_POOL].tolist(), key=lambda i: widths[i])
        batches += [pool[i : i + batch_size] for i in range(0, len(pool), batch_size)]
    return [batches[i] for i in rng.permutation(len(batches))]
