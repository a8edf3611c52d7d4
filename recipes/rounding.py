"""Train a network with the rounding of int8, so that it reads the same when it is quantized.

Each convolution that is quantized in exports sees its input and gives its output as bytes, and its weights have 7 bits, while
gradients pass as if nothing was rounded: Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference" (arXiv 1712.05877).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import zip_longest
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function

from crnnocr.config import Conv, Excitation
from crnnocr.graph import quantization
from crnnocr.model.crnn import CRNN


class Rounding:
    """Rounds in the quantized convolutions of a network, once it has been shown some batches."""

    def __init__(self, model: CRNN, batches: Sequence[tuple[Tensor, Tensor]]) -> None:
        found = quantized(model)
        self._convolutions = [convolution for convolution, _ in found]
        seen: dict[tuple[int, str], list[Tensor]] = {}

        def keep(index: int, side: str, values: Tensor) -> None:
            flat = values.detach().float().flatten()
            seen.setdefault((index, side), []).append(flat[:: max(1, len(flat) // 8000)].clone())

        hooks = []
        for index, convolution in enumerate(self._convolutions):
            hooks.append(convolution.register_forward_pre_hook(lambda _, given, i=index: keep(i, "in", given[0])))
            hooks.append(convolution.register_forward_hook(lambda _, __, result, i=index: keep(i, "out", result)))
        with torch.no_grad():
            for images, widths in batches:
                model.features(images, widths)
        for hook in hooks:
            hook.remove()
        for index, (convolution, is_rectified) in enumerate(found):
            values = [torch.cat(seen[index, side]) for side in ("in", "out")]
            values[1] = values[1].relu() if is_rectified else values[1]
            ranges = [quantization.best_range(each.numpy()) for each in values]
            convolution.register_forward_pre_hook(lambda _, given, ends=ranges[0]: (rounded(given[0], *ends),))
            convolution.register_forward_hook(lambda _, __, result, ends=ranges[1]: rounded(result, *ends))

    @contextmanager
    def weights(self) -> Iterator[None]:
        """Round the weights in this block; their gradients are those of the rounded ones."""
        exact = [each.weight.detach().clone() for each in self._convolutions]
        with torch.no_grad():
            for each in self._convolutions:
                scale = each.weight.abs().amax((1, 2, 3), keepdim=True).clamp(min=1e-12) / quantization.WEIGHT_LIMIT
                each.weight.copy_((each.weight / scale).round() * scale)
        yield
        with torch.no_grad():
            for each, weight in zip(self._convolutions, exact, strict=True):
                each.weight.copy_(weight)


def quantized(model: CRNN) -> list[tuple[nn.Conv2d, bool]]:
    """The convolutions that exports quantize, and whether a ReLU follows: not the first, and none before a
    squeeze-and-excitation.
    """
    layers = model.config.backbone
    exact = {
        f"backbone.stages.{index}"
        for index, (layer, after) in enumerate(zip_longest(layers, layers[1:]))
        if isinstance(layer, Conv) and (index == 0 or isinstance(after, Excitation))
    }
    modules = dict(model.named_modules())
    found: list[tuple[nn.Conv2d, bool]] = []
    for name, leaf, _ in model.config.leaves():
        if isinstance(leaf, Conv) and name not in exact:
            convolution = modules[f"{name}.0"]
            assert isinstance(convolution, nn.Conv2d)
            assert not leaf.norm, "with batch normalization, other weights are rounded"
            found.append((convolution, leaf.activation == "relu"))
    return found


def rounded(values: Tensor, lowest: float, highest: float) -> Tensor:
    """Values as bytes in a range; gradients pass as if they were not, where they lie in it."""
    result: Tensor = _Round.apply(values, lowest, highest)  # type: ignore[no-untyped-call]
    return result


class _Round(Function):
    """Keeps less for the gradient than torch would by itself."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, lowest: float, highest: float) -> Tensor:
        scale = (highest - lowest) / 255
        zero = round(-lowest / scale)
        ends = -zero * scale, (255 - zero) * scale
        ctx.save_for_backward((values >= ends[0]) & (values <= ends[1]))
        return values.clamp(*ends).div_(scale).round_().mul_(scale)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (inside,) = ctx.saved_tensors
        return gradient * inside, None, None
