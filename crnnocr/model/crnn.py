"""The CRNN: convolutions over the picture, a bidirectional LSTM along its width, class log-probabilities for each frame.

Shi, Bai, Yao 2015, "An End-to-End Trainable Neural Network for Image-based Sequence Recognition" (arXiv 1507.05717).

A batch holds lines of several widths, padded on the right. What lies right of a line's true width is zero before every
convolution, and the LSTM runs over the true frames only, so that a line's result does not depend on its company.

A network for another charset: what it knows of the characters that stay is kept.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from crnnocr.config import NORM_EPSILON, Conv, Layer, ModelConfig, Pool
from crnnocr.model.layers import TrueColumnsNorm
from crnnocr.text.charset import BLANK, Charset


class CRNN(nn.Module):
    """The network of a `ModelConfig` for a number of classes C (blank included, class 0)."""

    def __init__(self, config: ModelConfig, classes: int) -> None:
        super().__init__()
        self.config = config
        self.classes = classes
        self.backbone = _Backbone(config)
        self.lstm = _LSTM(config)
        self.head = nn.Linear(2 * config.hidden, classes)
        self.auxiliary = nn.Linear(config.features, classes)
        """A second head on the convolutional features, used in training only."""

    def forward(self, images: Tensor, widths: Tensor) -> tuple[Tensor, Tensor]:
        """Read a batch.

        Args:
            images: (N, 1, H, W) float lines, at their left edge, zero right of each one's width.
            widths: (N,) int64 true widths in pixels, on the CPU; each at least `config.min_width`.

        Returns:
            log_probs: (N, T, C) natural-log probabilities.
            frames: (N,) int64 number of true frames of each line, on the CPU; the frames past them mean nothing.
        """
        features, frames = self.features(images, widths)
        return self.read(features, frames), frames

    def features(self, images: Tensor, widths: Tensor) -> tuple[Tensor, Tensor]:
        """What the convolutions see: (N, T, F) features, zero past each line's true frames, and (N,) frames."""
        maps, frames = self.backbone(images, widths)  # (N, K, h, T)
        return maps.permute(0, 3, 1, 2).flatten(2).contiguous(), frames  # (N, T, K·h)

    def read(self, features: Tensor, frames: Tensor) -> Tensor:
        """(N, T, C) log-probabilities of (N, T, F) features with (N,) true frames."""
        return torch.log_softmax(self.head(self.lstm(features, frames)).float(), dim=-1)

    def read_without_context(self, features: Tensor) -> Tensor:
        """(N, T, C) log-probabilities of the auxiliary head, which sees no further than the convolutions do."""
        return torch.log_softmax(self.auxiliary(features).float(), dim=-1)


class _Backbone(nn.Module):
    """The layers over the picture, with the columns past a line's width held at zero throughout."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.layers = config.backbone
        channels = 1
        modules: list[nn.Module] = []
        for layer in self.layers:
            modules.append(_module(layer, channels))
            channels = layer.channels if isinstance(layer, Conv) else channels
        self.stages = nn.ModuleList(modules)

    def forward(self, images: Tensor, widths: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 1, H, W) lines and (N,) widths → (N, K, h, T) maps and (N,) frames."""
        for result in self.after_each_layer(images, widths):  # noqa: B007 (the last one counts)
            pass
        return result

    def after_each_layer(self, images: Tensor, widths: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """What each layer gives: (N, K, h, W) maps and their (N,) true widths in columns."""
        maps = images
        for layer, stage in zip(self.layers, self.stages, strict=True):
            widths = layer.output_size(widths, axis=1)
            maps = _mask(_run(stage, maps, widths), widths)
            yield maps, widths


def _module(layer: Layer, channels: int) -> nn.Module:
    if isinstance(layer, Pool):
        return nn.MaxPool2d(layer.kernel, layer.stride, layer.padding)
    convolution = nn.Conv2d(channels, layer.channels, layer.kernel, padding=layer.padding, bias=not layer.norm)
    if not convolution.weight.is_meta:  # for which torch would load half of itself
        nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
    norm = [TrueColumnsNorm(layer.channels, eps=NORM_EPSILON)] if layer.norm else []
    return nn.Sequential(convolution, *norm, nn.ReLU(inplace=True))


def _run(stage: nn.Module, maps: Tensor, widths: Tensor) -> Tensor:
    """(N, K, h, W) maps → what a layer makes of them, of lines that are then `widths` columns wide."""
    for module in stage if isinstance(stage, nn.Sequential) else [stage]:
        maps = module.over(_mask(maps, widths), widths) if isinstance(module, TrueColumnsNorm) else module(maps)
    return maps


def _mask(maps: Tensor, widths: Tensor) -> Tensor:
    """Zero the columns of (N, K, h, W) maps from each one's width on."""
    may_branch = not torch.compiler.is_compiling()  # a program that is written down cannot depend on values
    if may_branch and int(widths.min()) >= maps.shape[3]:
        return maps
    columns = torch.arange(maps.shape[3], device=maps.device)
    inside = columns < widths.to(maps.device)[:, None]  # (N, W)
    return maps * inside[:, None, None, :].to(maps.dtype)


class _LSTM(nn.Module):
    """Two bidirectional LSTM layers over the true frames, with a linear layer between them where the shape has one."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.dropout = nn.Dropout(config.dropout)
        self.first = _BidirectionalLSTM(config.features, config.hidden)
        self.between = nn.Linear(2 * config.hidden, config.projection) if config.projection else nn.Identity()
        self.second = _BidirectionalLSTM(config.projection or 2 * config.hidden, config.hidden)

    def forward(self, features: Tensor, frames: Tensor) -> Tensor:
        """(N, T, F) features with (N,) true frames → (N, T, 2·hidden)."""
        backwards = _reversal(frames, features.shape[1]).to(features.device)
        first = self.first(self.dropout(features), backwards)
        second = self.second(self.dropout(self.between(first)), backwards)
        dropped: Tensor = self.dropout(second)
        return dropped


class _BidirectionalLSTM(nn.Module):
    """One LSTM along the line and one against it, each line turned within its own frames.

    The same as `nn.LSTM(bidirectional=True)` on a packed sequence, but the backward pass of the packed form on the CPU
    fills a gradient of the whole sequence with zeros at every step, which took a third of a training step.
    """

    def __init__(self, features: int, hidden: int) -> None:
        super().__init__()
        self.along = nn.LSTM(features, hidden, batch_first=True)
        self.against = nn.LSTM(features, hidden, batch_first=True)

    def forward(self, features: Tensor, backwards: Tensor) -> Tensor:
        """(N, T, F) features and the (N, T) frame order that `_reversal` gives → (N, T, 2·hidden)."""
        along, _ = self.along(features)
        against, _ = self.against(_reorder(features, backwards))
        return torch.cat((along, _reorder(against, backwards)), dim=2)


def _reversal(frames: Tensor, length: int) -> Tensor:
    """(N, T) frame indices that turn each line within its (N,) true frames; padding frames stay where they are."""
    position = torch.arange(length)
    return torch.where(position < frames[:, None], frames[:, None] - 1 - position, position)


def _reorder(features: Tensor, order: Tensor) -> Tensor:
    """(N, T, F) features with the frames of each line in the (N, T) order."""
    return features.gather(1, order[:, :, None].expand(-1, -1, features.shape[2]))


_UNLIKELY = 2.0
"""What is taken from a new character's bias, in nats: until it is learnt, it hardly disturbs the reading."""


def with_charset(model: CRNN, known: Charset, wanted: Charset) -> CRNN:
    """`model`, which reads the charset `known`, with output layers for `wanted`.

    A new character begins as the known one that it looks like, without its marks or in the other case; else as the mean of
    all known ones. Both are made less likely than those.
    """
    sources = [_source(character, known) for character in wanted.characters]
    grown = CRNN(model.config, wanted.classes)
    state = model.state_dict()
    for name in ("head", "auxiliary"):
        state |= {f"{name}.{key}": value for key, value in _rows(getattr(model, name), sources, wanted, known).items()}
    grown.load_state_dict(state)
    return grown.train(model.training)


def _rows(layer: nn.Linear, sources: list[int | None], wanted: Charset, known: Charset) -> dict[str, Tensor]:
    weight, bias = layer.weight.detach(), layer.bias.detach()
    mean_weight, mean_bias = weight[BLANK + 1 :].mean(0), bias[BLANK + 1 :].mean()
    weights, biases = [weight[BLANK]], [bias[BLANK]]
    for character, source in zip(wanted.characters, sources, strict=True):
        weights.append(mean_weight if source is None else weight[source])
        is_new = known.id_of(character) is None
        biases.append((mean_bias if source is None else bias[source]) - _UNLIKELY * is_new)
    return {"weight": torch.stack(weights), "bias": torch.stack(biases)}


def _source(character: str, known: Charset) -> int | None:
    """The class that a character begins as: its own, or that of one like it; None if there is none."""
    bare = unicodedata.normalize("NFKD", character)[:1]
    ids = (known.id_of(like) for like in (character, bare, bare.swapcase()))
    return next((own for own in ids if own is not None), None)
