"""Batch normalisation over the true columns of padded lines, on one device or many.

Ioffe, Szegedy 2015 (arXiv 1502.03167). torch's own counts the padding too, so that what a line adds to the statistics would
depend on its company; and its form for several processes does not run on the CPU.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

_IN_ONE_PASS = ("cpu", "cuda")
"""Devices for which torch has a kernel that finds mean and variance at once; MPS has none."""


class TrueColumnsNorm(nn.BatchNorm2d):
    """Batch normalisation of maps that are zero right of each line's width.

    Its weights are those of `nn.BatchNorm2d`, and so is its result where nothing is padded.
    """

    def over(self, maps: Tensor, widths: Tensor) -> Tensor:
        """Normalise a batch.

        Args:
            maps: (N, K, h, W) features, zero in the columns from each line's width on.
            widths: (N,) int64 true widths in columns, on the CPU.

        Returns:
            (N, K, h, W) features. What stands in the columns of the padding means nothing, and its gradient must be zero.
        """
        if not self.training:
            normal: Tensor = self(maps)
            return normal
        count = torch.tensor(float(widths.sum()) * maps.shape[2], device=maps.device)
        outcome: tuple[Tensor, ...] = _Normalise.apply(maps, self.weight, self.bias, count, self.eps)  # type: ignore[no-untyped-call]
        normal, mean, variance, total = outcome
        with torch.no_grad():
            assert self.running_mean is not None
            assert self.running_var is not None
            assert self.momentum is not None
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * (total / (total - 1).clamp(min=1)), self.momentum)
        return normal


class _Normalise(Function):
    """Statistics over the true columns of all processes, and the gradient through them."""

    @staticmethod
    def forward(
        ctx: Any, maps: Tensor, weight: Tensor, bias: Tensor, count: Tensor, eps: float
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        sums = torch.cat((*_sums(maps), count[None]))
        _add_up(sums)
        channels = maps.shape[1]
        total = sums[-1]
        mean = sums[:channels] / total
        variance = (sums[channels:-1] / total - mean * mean).clamp(min=0)
        normal, _, _ = torch.native_batch_norm(maps, weight, bias, mean, variance, False, 0.0, eps)
        ctx.save_for_backward(maps, weight, mean, (variance + eps).rsqrt(), total)
        ctx.mark_non_differentiable(mean, variance, total)
        return normal, mean, variance, total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        maps, weight, mean, scale, total = ctx.saved_tensors
        # torch's kernel adds up the gradients of weight and bias; these sums, over all processes, are the gradient's mean part.
        _, of_weight, of_bias = torch.ops.aten.native_batch_norm_backward(
            gradient, maps, weight, None, None, mean, scale, True, 0.0, [False, True, True]
        )
        sums = torch.stack((of_weight, of_bias))
        _add_up(sums)
        steepness = weight * scale
        along = -steepness * scale * sums[0] / total  # of what lies over the mean
        level = -steepness * sums[1] / total - along * mean
        of_maps = torch.addcmul(_per_channel(level), maps, _per_channel(along)).addcmul_(gradient, _per_channel(steepness))
        return of_maps.to(maps.dtype), of_weight, of_bias, None, None


def _sums(maps: Tensor) -> tuple[Tensor, Tensor]:
    """The (K,) sums of the values and of their squares. Zeros right of a line add nothing to either."""
    if maps.device.type not in _IN_ONE_PASS:
        return maps.sum((0, 2, 3)), maps.square().sum((0, 2, 3))
    mean, variance = torch.batch_norm_update_stats(maps, None, None, 0.0)
    columns = maps.numel() / maps.shape[1]
    return mean * columns, (variance + mean * mean) * columns


def _add_up(sums: Tensor) -> None:
    """Add up over the processes, in place."""
    if distributed.is_available() and distributed.is_initialized():
        distributed.all_reduce(sums)


def _per_channel(values: Tensor) -> Tensor:
    return values[None, :, None, None]
