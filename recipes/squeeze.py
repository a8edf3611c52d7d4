"""Make a smaller network of a trained one: lower lines, and fewer units in the pairs of pointwise convolutions.

    python recipes/squeeze.py lessons/ small.safetensors smaller.safetensors --height 32 --share 0.5

The pairs do most of the work. Of each, those units are kept that explain its result best, chosen one after the other, and the
second convolution becomes the least-squares fit to that result. This is channel pruning by reconstruction (He, Zhang, Sun 2017,
arXiv 1707.06168) with forward selection in place of their LASSO. The pairs come in the order of the network, each fitted to
what the smaller ones before it give. Training with `recipes/teach.py` follows.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import lessons
import numpy as np
import torch
from PIL import Image
from teach import batches_by_width, tensors
from torch import Tensor, nn

from crnnocr.config import Conv, Layer, ModelConfig, Pool, Residual
from crnnocr.images import Preprocessor
from crnnocr.model import checkpoint
from crnnocr.model.card import Card
from crnnocr.model.crnn import CRNN

PLACES = 400
"""Places of each batch of maps by which units are chosen."""


def is_pair(first: Layer, second: Layer) -> bool:
    """Whether two layers are a pointwise convolution to more channels and the one behind it."""
    return (
        isinstance(first, Conv)
        and isinstance(second, Conv)
        and first.kernel == second.kernel == (1, 1)
        and (first.activation, second.activation) == ("gelu", "none")
    )


def pairs(config: ModelConfig) -> list[tuple[str, str]]:
    """The names of the layers of each pair, in the order of the network."""
    return [(name, after) for (name, first, _), (after, second, _) in pairwise(config.leaves()) if is_pair(first, second)]


def smaller(config: ModelConfig, height: int, share: float) -> ModelConfig:
    """The config with lower lines, and a share of the units in each pair; the pooling at the end takes all rows."""
    layers: list[Layer] = []
    for layer in config.backbone:
        if isinstance(layer, Residual):
            layers.append(Residual(_fewer(layer.layers, share)))
        elif isinstance(layer, Pool) and layer.is_average:
            rows = replace(config, height=height, backbone=tuple(layers)).rows
            layers.append(replace(layer, kernel=(rows, layer.kernel[1]), stride=(rows, layer.stride[1])))
        else:
            layers.append(layer)
    return replace(config, preset=f"{config.preset}-{height}", height=height, backbone=_fewer(tuple(layers), share))


def _fewer(layers: tuple[Layer, ...], share: float) -> tuple[Layer, ...]:
    found = list(layers)
    for index, (first, second) in enumerate(pairwise(layers)):
        if isinstance(first, Conv) and is_pair(first, second):
            found[index] = replace(first, channels=round(first.channels * share))
    return tuple(found)


def chosen(units: Tensor, result: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """The (count,) units of (P, U) that explain the (P, K) result best, with the (K, count) weights and the (K,) bias."""
    units, result = units.double(), result.double()
    mean, mean_result = units.mean(0), result.mean(0)
    centered, wanted = units - mean, result - mean_result
    products = centered.T @ centered / len(units)
    products += torch.eye(len(products)) * 1e-4 * products.diagonal().mean()
    with_result = centered.T @ wanted / len(units)
    left, left_with_result, kept = products.clone(), with_result.clone(), list[int]()
    for _ in range(count):
        own = left.diagonal().clamp(min=1e-12)
        gain = left_with_result.square().sum(1) / own
        gain[kept] = -1
        best = int(gain.argmax())
        kept.append(best)
        column = left[:, best] / own[best]
        left_with_result = left_with_result - column[:, None] * left_with_result[best]
        left = left - column[:, None] * left[best]
    places = torch.tensor(sorted(kept))
    weights = torch.linalg.solve(products[places][:, places], with_result[places]).T
    return places, weights.float(), (mean_result - weights @ mean[places]).float()


def squeeze(model: CRNN, config: ModelConfig, batches: Sequence[tuple[Tensor, Tensor]]) -> CRNN:
    """A network of a smaller config, with a line height that `model` has too, which gives nearly the same for such batches."""
    units = {name: leaf.channels for name, leaf, _ in config.leaves() if isinstance(leaf, Conv)}
    for name, after in pairs(config):
        first, second = (convolution(model, each) for each in (name, after))
        seen = _Seen()
        hook = second.register_forward_hook(seen)
        with torch.inference_mode():
            for images, widths in batches:
                model.features(images, widths)
        hook.remove()
        given, result = torch.cat(seen.given), torch.cat(seen.results)
        places, weights, bias = chosen(given, result, units[name])
        lost = (given[:, places] @ weights.T + bias - result).square().mean() / result.var(0).mean()
        print(f"{name}: {len(places)} of {given.shape[1]} units explain {1 - lost:.1%}", flush=True)
        assert first.bias is not None
        first.weight, first.bias = (nn.Parameter(each.detach()[places].clone()) for each in (first.weight, first.bias))
        second.weight, second.bias = nn.Parameter(weights[:, :, None, None]), nn.Parameter(bias)
    found = CRNN(config, model.classes)
    found.load_state_dict(model.state_dict())
    return found


def convolution(model: CRNN, name: str) -> nn.Conv2d:
    """That of a layer."""
    found = model.get_submodule(f"{name}.0")
    assert isinstance(found, nn.Conv2d)
    return found


class _Seen:
    """Remembers some of what a convolution is given, and what it makes of it."""

    def __init__(self) -> None:
        self.given: list[Tensor] = []
        """(P, U) each."""
        self.results: list[Tensor] = []
        """(P, K) each."""

    def __call__(self, _: nn.Module, given: tuple[Tensor, ...], result: Tensor) -> None:
        given_places, result_places = (maps.permute(0, 2, 3, 1).flatten(0, 2) for maps in (given[0], result))
        some = torch.randint(len(given_places), (PLACES,), generator=torch.Generator().manual_seed(len(self.given)))
        self.given.append(given_places[some])
        self.results.append(result_places[some])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lessons", type=Path)
    parser.add_argument("given", type=Path)
    parser.add_argument("made", type=Path)
    parser.add_argument("--height", type=int, required=True)
    parser.add_argument("--share", type=float, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    card, known = checkpoint.load(options.given)
    config = smaller(known.config, options.height, options.share)
    model = CRNN(smaller(known.config, options.height, 1.0), known.classes).eval()
    model.load_state_dict(known.state_dict())
    preprocessor = Preprocessor.for_model(config)
    some = [each for path in sorted(options.lessons.glob("[rs]*-*.npz"))[::12] for each in lessons.read(path)[::40]]
    lines = [preprocessor.line(Image.fromarray(each.line)) for each in some]
    batches = batches_by_width(some, np.arange(len(some)), np.random.default_rng(0))
    small = squeeze(model, config, [tensors([lines[i] for i in batch]) for batch in batches])
    checkpoint.save(options.made, Card(name=options.made.stem, charset=card.charset, config=config), small, ())


if __name__ == "__main__":
    main()
