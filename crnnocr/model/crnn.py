"""The CRNN: convolutions over the image, a bidirectional LSTM along its width, class log-probabilities for each frame.

Shi, Bai, Yao 2015, "An End-to-End Trainable Neural Network for Image-based Sequence Recognition" (arXiv 1507.05717).

A batch holds lines of several widths, padded on the right. The columns past a line's true width are zeroed before every
layer that sees them, and the LSTM runs over the true frames only, so that a line's result is the same in any batch.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from crnnocr.config import (
    NORM_EPSILON,
    Activation,
    Attention,
    Concat,
    Excitation,
    Layer,
    LayerNorm,
    Leaf,
    ModelConfig,
    Pool,
    Residual,
)
from crnnocr.model.layers import (
    BidirectionalLSTM,
    ChannelNorm,
    MaskedAttention,
    MaskedBatchNorm2d,
    MaskedExcitation,
    frame_reversal,
    mask_columns,
)
from crnnocr.text.charset import BLANK, Charset


class CRNN(nn.Module):
    """The network of a `ModelConfig` for C classes (the blank included, class 0)."""

    def __init__(self, config: ModelConfig, classes: int) -> None:
        super().__init__()
        self.config = config
        self.classes = classes
        self.backbone = _Backbone(config)
        self.lstm = _LSTM(config)
        self.head = nn.Linear(2 * config.hidden, classes)
        self.auxiliary = nn.Linear(config.features, classes)
        """A second head, on the convolutional features; for training only, unless the config has a skip."""

    def forward(self, images: Tensor, widths: Tensor) -> tuple[Tensor, Tensor]:
        """Run the network on a batch.

        Args:
            images: (N, 1, H, W) float lines, at their left edge, zero right of each one's width.
            widths: (N,) int64 true widths in pixels, on the CPU; each at least `config.min_width`.

        Returns:
            log_probs: (N, T, C) natural-log probabilities.
            frames: (N,) int64 number of true frames of each line, on the CPU; the frames past them are meaningless.
        """
        features, frames = self.features(images, widths)
        return self.log_probs(features, frames), frames

    def features(self, images: Tensor, widths: Tensor) -> tuple[Tensor, Tensor]:
        """Run the convolutions alone: (N, T, F) features, zero past each line's true frames, and (N,) frames."""
        maps, frames = self.backbone(images, widths)  # (N, K, h, T)
        return maps.permute(0, 3, 1, 2).flatten(2).contiguous(), frames  # (N, T, K·h)

    def log_probs(self, features: Tensor, frames: Tensor) -> Tensor:
        """(N, T, C) log-probabilities of (N, T, F) features with (N,) true frames."""
        scores = self.head(self.lstm(features, frames))
        if self.config.skip:
            scores = scores + self.auxiliary(features)
        return torch.log_softmax(scores.float(), dim=-1)

    def auxiliary_log_probs(self, features: Tensor) -> Tensor:
        """(N, T, C) log-probabilities of the auxiliary head, which sees no more context than the convolutions do."""
        return torch.log_softmax(self.auxiliary(features).float(), dim=-1)


Observer: TypeAlias = Callable[[Tensor, Tensor], None]
"""Is shown maps (N, K, h, W) and their true widths (N,) in columns; what is right of these is meaningless."""


class _Backbone(nn.Module):
    """The layers over the image, each with zeros in the columns past a line's width where it sees them."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.layers = config.backbone
        leaves = {name.removeprefix("backbone.stages."): _module(leaf, channels) for name, leaf, channels in config.leaves()}
        self.stages = nn.ModuleList(_nested(leaves, str(index), layer) for index, layer in enumerate(self.layers))

    def forward(self, images: Tensor, widths: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 1, H, W) lines and (N,) widths → (N, K, h, T) maps and (N,) frames."""
        maps, frames = self.run(images, widths)
        return mask_columns(maps, frames), frames

    def run(self, images: Tensor, widths: Tensor, observe: Observer | None = None) -> tuple[Tensor, Tensor]:
        """As `forward`, but without zeros past the last maps' true widths. An observer is shown, in the order in which they are
        computed, the maps after each layer, and before and after each activation that gives negative values.
        """
        maps = images
        for layer, stage in zip(self.layers, self.stages, strict=True):
            maps, widths = _run(layer, stage, maps, widths, observe or _ignore)
        return maps, widths


def _ignore(maps: Tensor, widths: Tensor) -> None:
    pass


def _nested(leaves: dict[str, nn.Module], name: str, layer: Layer) -> nn.Module:
    """The module of a layer, given those of the layers that hold no others by their names."""
    if isinstance(layer, Residual):
        return _nested_chain(leaves, name, layer.layers)
    if isinstance(layer, Concat):
        return nn.ModuleList(_nested_chain(leaves, f"{name}.{number}", branch) for number, branch in enumerate(layer.branches))
    return leaves[name]


def _nested_chain(leaves: dict[str, nn.Module], name: str, layers: Sequence[Layer]) -> nn.ModuleList:
    return nn.ModuleList(_nested(leaves, f"{name}.{index}", layer) for index, layer in enumerate(layers))


def _module(layer: Leaf, channels: int) -> nn.Module:
    if isinstance(layer, Excitation):
        return MaskedExcitation(channels, layer.units)
    if isinstance(layer, Attention):
        return MaskedAttention(channels, layer.heads)
    if isinstance(layer, LayerNorm):
        return ChannelNorm(channels, layer.epsilon)
    if isinstance(layer, Pool):
        kind = nn.AvgPool2d if layer.is_average else nn.MaxPool2d
        return kind(layer.kernel, layer.stride, layer.padding)
    groups = channels if layer.is_depthwise else 1
    convolution = nn.Conv2d(
        channels, layer.channels, layer.kernel, layer.stride, layer.padding, groups=groups, bias=not layer.norm
    )
    if not convolution.weight.is_meta:  # for which torch would import half of itself
        nn.init.kaiming_normal_(convolution.weight, nonlinearity="linear" if layer.activation == "none" else "relu")
    norm = [MaskedBatchNorm2d(layer.channels, eps=NORM_EPSILON)] if layer.norm else []
    return nn.Sequential(convolution, *norm, *_ACTIVATIONS[layer.activation]())


_ACTIVATIONS: dict[Activation, Callable[[], list[nn.Module]]] = {
    "none": list,
    "relu": lambda: [nn.ReLU(inplace=True)],
    "gelu": lambda: [nn.GELU()],
    "swish": lambda: [nn.SiLU()],
    "hard-swish": lambda: [nn.Hardswish()],
}


def _run(layer: Layer, stage: nn.Module, maps: Tensor, widths: Tensor, observe: Observer) -> tuple[Tensor, Tensor]:
    """Run one layer on (N, K, h, W) maps with (N,) true widths."""
    if isinstance(layer, Residual):
        maps = maps + _run_chain(layer.layers, stage, maps, widths, observe)
    elif isinstance(layer, Concat):
        assert isinstance(stage, nn.ModuleList)
        branches = zip(layer.branches, stage, strict=True)
        maps = torch.cat([_run_chain(branch, modules, maps, widths, observe) for branch, modules in branches], dim=1)
    elif isinstance(layer, Excitation | Attention):
        maps = stage(mask_columns(maps, widths), widths)
    elif isinstance(layer, LayerNorm):
        maps = stage(maps)
    else:
        if layer.sees_beside:
            maps = mask_columns(maps, widths)
        widths = layer.output_size(widths, axis=1)
        if any(layer.more_padding):
            maps = nn.functional.pad(maps, (0, layer.more_padding[1], 0, layer.more_padding[0]))
        for module in stage if isinstance(stage, nn.Sequential) else [stage]:
            if isinstance(module, nn.GELU | nn.SiLU | nn.Hardswish):
                observe(maps, widths)
            maps = module.over(mask_columns(maps, widths), widths) if isinstance(module, MaskedBatchNorm2d) else module(maps)
    observe(maps, widths)
    return maps, widths


def _run_chain(layers: Sequence[Layer], stages: Any, maps: Tensor, widths: Tensor, observe: Observer) -> Tensor:
    """Run layers that keep the size, one after the other."""
    for layer, stage in zip(layers, stages, strict=True):
        maps, _ = _run(layer, stage, maps, widths, observe)
    return maps


class _LSTM(nn.Module):
    """Two bidirectional LSTM layers over the true frames, with a linear projection between them if the config has one."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.dropout = nn.Dropout(config.dropout)
        self.first = BidirectionalLSTM(config.features, config.hidden)
        # The projection; tensors in model files have this name.
        self.between = nn.Linear(2 * config.hidden, config.projection) if config.projection else nn.Identity()
        self.second = BidirectionalLSTM(config.projection or 2 * config.hidden, config.hidden)

    def forward(self, features: Tensor, frames: Tensor) -> Tensor:
        """(N, T, F) features with (N,) true frames → (N, T, 2·hidden)."""
        reversal = frame_reversal(frames, features.shape[1]).to(features.device)
        first = self.first(self.dropout(features), reversal)
        second = self.second(self.dropout(self.between(first)), reversal)
        dropped: Tensor = self.dropout(second)
        return dropped


_NEW_BIAS = -2.0
"""Added to the bias of a new character, in nats, so that it hardly disturbs the result until it is trained."""


def resize_head(model: CRNN, known: Charset, wanted: Charset) -> CRNN:
    """Copy `model`, a network for the charset `known`, with output layers for `wanted`.

    The characters that stay keep their weights. A new one starts with the weights of the known one that it looks like,
    without its marks or in the other case; else with the mean of all known ones. Both are made less likely.
    """
    sources = [_source(character, known) for character in wanted.characters]
    resized = CRNN(model.config, wanted.classes)
    state = model.state_dict()
    for name in ("head", "auxiliary"):
        bias = 0 if name == "head" and model.config.skip else _NEW_BIAS  # with a skip, the auxiliary head's is added
        state |= {f"{name}.{key}": value for key, value in _rows(getattr(model, name), sources, wanted, known, bias).items()}
    resized.load_state_dict(state)
    return resized.train(model.training)


def _rows(layer: nn.Linear, sources: list[int | None], wanted: Charset, known: Charset, new_bias: float) -> dict[str, Tensor]:
    weight, bias = layer.weight.detach(), layer.bias.detach()
    mean_weight, mean_bias = weight[BLANK + 1 :].mean(0), bias[BLANK + 1 :].mean()
    weights, biases = [weight[BLANK]], [bias[BLANK]]
    for character, source in zip(wanted.characters, sources, strict=True):
        weights.append(mean_weight if source is None else weight[source])
        is_new = known.id_of(character) is None
        biases.append((mean_bias if source is None else bias[source]) + new_bias * is_new)
    return {"weight": torch.stack(weights), "bias": torch.stack(biases)}


def _source(character: str, known: Charset) -> int | None:
    """The class whose weights a character starts with: its own, or that of one like it; None if there is none."""
    bare = unicodedata.normalize("NFKD", character)[:1]
    ids = (known.id_of(like) for like in (character, bare, bare.swapcase()))
    return next((own for own in ids if own is not None), None)
