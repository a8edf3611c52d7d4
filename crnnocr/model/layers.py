"""The layers of the CRNN that know each line's true width: what lies right of it changes nothing.

Batch normalization over the true columns (Ioffe, Szegedy 2015, arXiv 1502.03167), on one device or many: torch's own counts
the padding, so that a line's share in the statistics would depend on the other lines of its batch, and its form for several
processes does not run on the CPU. Squeeze-and-excitation by means over the true columns, attention to these alone. A
bidirectional LSTM over the true frames.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn import functional


def mask_columns(maps: Tensor, widths: Tensor) -> Tensor:
    """Zero the columns of (N, K, h, W) maps from each one's (N,) true width on."""
    may_branch = not torch.compiler.is_compiling()  # an exported program cannot depend on values
    if may_branch and int(widths.min()) >= maps.shape[3]:
        return maps
    columns = torch.arange(maps.shape[3], device=maps.device)
    inside = columns < widths.to(maps.device)[:, None]  # (N, W)
    return maps * inside[:, None, None, :].to(maps.dtype)


class MaskedBatchNorm2d(nn.BatchNorm2d):
    """Batch normalization of maps that are zero right of each line's width.

    It has the weights of `nn.BatchNorm2d` and, if nothing is padded, gives the same.
    """

    def over(self, maps: Tensor, widths: Tensor) -> Tensor:
        """Normalize a batch.

        Args:
            maps: (N, K, h, W) features, zero in the columns from each line's width on.
            widths: (N,) int64 true widths in columns, on the CPU.

        Returns:
            (N, K, h, W) features. The columns of the padding hold no meaningful values, and their gradient must be zero.
        """
        if not self.training:
            normalized: Tensor = self(maps)
            return normalized
        count = torch.tensor(float(widths.sum()) * maps.shape[2], device=maps.device)
        outcome: tuple[Tensor, ...] = _Normalize.apply(maps, self.weight, self.bias, count, self.eps)  # type: ignore[no-untyped-call]
        normalized, mean, variance, total = outcome
        with torch.no_grad():
            assert self.running_mean is not None
            assert self.running_var is not None
            assert self.momentum is not None
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * (total / (total - 1).clamp(min=1)), self.momentum)
        return normalized


class _Normalize(Function):
    """Normalization by the statistics of all processes, and the gradient through them."""

    @staticmethod
    def forward(
        ctx: Any, maps: Tensor, weight: Tensor, bias: Tensor, count: Tensor, eps: float
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        in_one_pass = maps.device.type in ("cpu", "cuda")  # MPS lacks the kernel
        sums = torch.cat((*channel_sums(maps, in_one_pass), count[None]))
        _all_reduce(sums)
        channels = maps.shape[1]
        total = sums[-1]
        mean = sums[:channels] / total
        variance = (sums[channels:-1] / total - mean * mean).clamp(min=0)
        normalized, _, _ = torch.native_batch_norm(maps, weight, bias, mean, variance, False, 0.0, eps)
        ctx.save_for_backward(maps, weight, mean, (variance + eps).rsqrt(), total)
        ctx.mark_non_differentiable(mean, variance, total)
        return normalized, mean, variance, total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        maps, weight, mean, scale, total = ctx.saved_tensors
        if maps.is_contiguous():  # then torch's kernel misreads a gradient of single rows in another order
            gradient = gradient.contiguous()
        # torch's kernel sums the gradients of weight and bias; over all processes, these sums are what the statistics' own
        # gradient is made of.
        _, of_weight, of_bias = torch.ops.aten.native_batch_norm_backward(
            gradient, maps, weight, None, None, mean, scale, True, 0.0, [False, True, True]
        )
        sums = torch.stack((of_weight, of_bias))
        _all_reduce(sums)
        slope = weight * scale
        by_value = -slope * scale * sums[0] / total
        constant = -slope * sums[1] / total - by_value * mean
        of_maps = torch.addcmul(_per_channel(constant), maps, _per_channel(by_value)).addcmul_(gradient, _per_channel(slope))
        return of_maps.to(maps.dtype), of_weight, of_bias, None, None


def channel_sums(maps: Tensor, in_one_pass: bool) -> tuple[Tensor, Tensor]:
    """The (K,) sums of the values and of their squares. Zeros right of a line add nothing to either."""
    if not in_one_pass:
        return maps.sum((0, 2, 3)), maps.square().sum((0, 2, 3))
    mean, variance = torch.batch_norm_update_stats(maps, None, None, 0.0)
    columns = maps.numel() / maps.shape[1]
    return mean * columns, (variance + mean * mean) * columns


def _all_reduce(sums: Tensor) -> None:
    """Sum over the processes, in place."""
    if distributed.is_available() and distributed.is_initialized():
        distributed.all_reduce(sums)


def _per_channel(values: Tensor) -> Tensor:
    return values[None, :, None, None]


class MaskedExcitation(nn.Module):
    """Squeeze-and-excitation (Hu, Shen, Sun 2018, arXiv 1709.01507) whose means are those of the true columns."""

    def __init__(self, channels: int, units: int) -> None:
        super().__init__()
        self.squeeze = nn.Linear(channels, units)
        self.excite = nn.Linear(units, channels)

    def forward(self, maps: Tensor, widths: Tensor) -> Tensor:
        """(N, K, h, W) maps that are zero right of each line's (N,) width → the same, each channel times its factor."""
        sums = maps.sum((2, 3), dtype=torch.promote_types(maps.dtype, torch.float32))  # which no half can hold
        means = (sums / (widths * maps.shape[2]).to(sums)[:, None]).to(maps.dtype)
        factors = functional.hardsigmoid(self.excite(functional.relu(self.squeeze(means))))
        return maps * factors[:, :, None, None]


class ChannelNorm(nn.LayerNorm):
    """Layer normalization of the channels at each place of (N, K, h, W) maps: Ba, Kiros, Hinton 2016 (arXiv 1607.06450)."""

    def forward(self, maps: Tensor) -> Tensor:
        """(N, K, h, W) → (N, K, h, W)."""
        return super().forward(maps.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class MaskedAttention(nn.Module):
    """Self-attention along each row (Vaswani et al. 2017, arXiv 1706.03762) that sees the true columns alone."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.given = nn.Linear(channels, 3 * channels)
        """Queries, keys and values, each of all heads."""
        self.result = nn.Linear(channels, channels)

    def forward(self, maps: Tensor, widths: Tensor) -> Tensor:
        """(N, K, h, W) maps that are finite right of each line's (N,) width → the same; there it has no meaning."""
        places = self.given(maps.permute(0, 2, 3, 1))  # (N, h, W, 3·K)
        lines, rows, columns, _ = places.shape
        split = places.view(lines * rows, columns, 3, self.heads, -1).permute(2, 0, 3, 1, 4)  # (3, N·h, heads, W, K/heads)
        queries, keys, values = split
        inside = torch.arange(columns, device=maps.device) < widths.to(maps.device)[:, None]  # (N, W)
        mask = inside.repeat_interleave(rows, dim=0)[:, None, None]
        seen = functional.scaled_dot_product_attention(queries, keys, values, mask)
        result: Tensor = self.result(seen.transpose(1, 2).reshape(lines, rows, columns, -1))  # (N, h, W, K)
        return result.permute(0, 3, 1, 2)


class BidirectionalLSTM(nn.Module):
    """A forward LSTM and a backward one, which begins at each line's own last frame.

    The same as `nn.LSTM(bidirectional=True)` on a packed sequence, except that the backward pass of that one, on the CPU,
    fills a gradient of the whole sequence with zeros at every step, which took a third of a training step.
    """

    def __init__(self, features: int, hidden: int) -> None:
        super().__init__()
        # Tensors in model files have these names. A module cannot be called `forward`.
        self.along = nn.LSTM(features, hidden, batch_first=True)
        self.against = nn.LSTM(features, hidden, batch_first=True)

    def forward(self, features: Tensor, reversal: Tensor) -> Tensor:
        """(N, T, F) features and the (N, T) frame order of `frame_reversal` → (N, T, 2·hidden)."""
        forward, _ = self.along(features)
        backward, _ = self.against(_reorder(features, reversal))
        return torch.cat((forward, _reorder(backward, reversal)), dim=2)


def frame_reversal(frames: Tensor, length: int) -> Tensor:
    """(N, T) frame indices that reverse each line's (N,) true frames and leave the padding where it is."""
    position = torch.arange(length)
    return torch.where(position < frames[:, None], frames[:, None] - 1 - position, position)


def _reorder(features: Tensor, order: Tensor) -> Tensor:
    """(N, T, F) features with the frames of each line in the (N, T) order."""
    return features.gather(1, order[:, :, None].expand(-1, -1, features.shape[2]))
