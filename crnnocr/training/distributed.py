"""The processes that train one model together, on torch's own launcher (`torchrun`)."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import distributed

_LAUNCHED = {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_WORLD_SIZE": "1"}
"""What `torchrun` says of a process, and what is so without it."""


@dataclass(frozen=True)
class Ranks:
    """Which of how many processes this is."""

    rank: int = 0
    """Number of this process, from 0. The first one decides, validates and writes."""
    size: int = 1
    """How many there are."""
    on_this_machine: int = 1
    """How many of them run on this machine."""

    @property
    def is_first(self) -> bool:
        """Whether this process decides, validates and writes."""
        return self.rank == 0

    def share(self, indices: range) -> range:
        """Those of `indices` that are this process's; those of a range that follows go on from them."""
        first = indices.start + (self.rank - indices.start) % self.size
        return range(first, indices.stop, self.size)

    def first_says(self, values: Sequence[float]) -> list[float]:
        """What the first process has for `values`."""
        if self.size == 1:
            return list(values)
        told = torch.tensor(values, dtype=torch.float64, device=_device())
        distributed.broadcast(told, 0)
        return told.tolist()

    def totals(self, values: Sequence[float]) -> list[float]:
        """The sums of what the processes have for `values`."""
        if self.size == 1:
            return list(values)
        summed = torch.tensor(values, dtype=torch.float64, device=_device())
        distributed.all_reduce(summed)
        return summed.tolist()


def launched() -> Ranks:
    """What `torchrun` has made of this process; one alone where it was not launched so."""
    rank, size, here = (int(os.environ.get(name, default)) for name, default in _LAUNCHED.items())
    return Ranks(rank, size, here)


@contextmanager
def joined(device: torch.device) -> Iterator[Ranks]:
    """Meet the other processes that `torchrun` has started, if it has, and part from them when the block ends."""
    ranks = launched()
    if ranks.size == 1 or distributed.is_initialized():
        yield ranks
        return
    if device.type == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield ranks
    finally:
        distributed.destroy_process_group()


def _device() -> torch.device:
    return torch.device("cuda" if distributed.get_backend() == "nccl" else "cpu")
