"""A network for another charset: what it knows of the characters that stay is kept."""

from __future__ import annotations

import unicodedata

import torch
from torch import Tensor, nn

from crnnocr.charset import BLANK, Charset
from crnnocr.model.crnn import CRNN

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
