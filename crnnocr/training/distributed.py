"""The processes that train one model together, started by torch's own launcher (`torchrun`)."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import distributed


@dataclass(frozen=True)
class DistributedContext:
    """The place of this process among those that train together. The main one decides, validates and writes."""

    rank: int = 0
    """Number of this process, from 0."""
    world_size: int = 1
    """How many processes there are."""
    local_world_size: int = 1
    """How many of them run on this machine."""

    @classmethod
    def from_environment(cls) -> DistributedContext:
        """The context that `torchrun` gives this process; a single process if it was started otherwise."""
        rank = int(os.environ.get("RANK", "0"))
        return cls(rank, int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("LOCAL_WORLD_SIZE", "1")))

    @property
    def is_main(self) -> bool:
        """Whether this process decides, validates and writes."""
        return self.rank == 0

    def shard(self, indices: range) -> range:
        """The `indices` that fall to this process: each `world_size`-th one. Shards of consecutive ranges join seamlessly."""
        first = indices.start + (self.rank - indices.start) % self.world_size
        return range(first, indices.stop, self.world_size)

    def broadcast(self, values: Sequence[float]) -> list[float]:
        """The `values` of the main process."""
        if self.world_size == 1:
            return list(values)
        tensor = torch.tensor(values, dtype=torch.float64, device=_communication_device())
        distributed.broadcast(tensor, 0)
        return tensor.tolist()

    def all_reduce_sum(self, values: Sequence[float]) -> list[float]:
        """The sums of the `values` of all processes."""
        if self.world_size == 1:
            return list(values)
        tensor = torch.tensor(values, dtype=torch.float64, device=_communication_device())
        distributed.all_reduce(tensor)
        return tensor.tolist()


SINGLE_PROCESS = DistributedContext()


@contextmanager
def process_group(device: torch.device) -> Iterator[DistributedContext]:
    """Join the processes that `torchrun` has started, if it has, and leave them when the block ends."""
    context = DistributedContext.from_environment()
    if context.world_size == 1 or distributed.is_initialized():
        yield context
        return
    if device.type == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield context
    finally:
        distributed.destroy_process_group()


def _communication_device() -> torch.device:
    return torch.device("cuda" if distributed.get_backend() == "nccl" else "cpu")
