"""Grow a network into a larger one with the same results, from which the training of a larger pretrained model starts.

The channels and units of the smaller network are the first of the larger one. The others are random and give nothing to them at
first, and an additional convolution passes on its input (Chen, Goodfellow, Shlens 2016, "Net2Net: Accelerating
Learning via Knowledge Transfer").

    python recipes/grow.py en.safetensors base grown.safetensors
    python recipes/shipped.py base --samples 300_000 --from grown.safetensors
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from shipped import STREAM, Stream
from torch import Tensor

from crnnocr import images
from crnnocr.config import NORM_EPSILON, PRESETS, Conv
from crnnocr.images import Preprocessor
from crnnocr.model import checkpoint
from crnnocr.model.crnn import CRNN

LINES = 64
"""Lines of the stream that say how the values are distributed that a further convolution passes on."""

Places = NDArray[np.int64]
Weights = dict[str, Tensor]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="model.safetensors of the smaller network")
    parser.add_argument("preset", choices=PRESETS, help="preset of the larger one")
    parser.add_argument("output", type=Path)
    options = parser.parse_args()
    torch.manual_seed(0)
    card, small = checkpoint.load(options.model)
    large = CRNN(PRESETS[options.preset], card.charset.classes)
    stream = Stream(STREAM)
    preprocessor = Preprocessor.for_model(card.config)
    lines = [preprocessor.line(stream[i][0]) for i in range(LINES)]
    batch, widths = (torch.from_numpy(array) for array in images.to_batch(sorted(lines, key=lambda line: line.shape[1])))
    with torch.inference_mode():
        grow(small.eval(), large, batch, widths)
        (ours, frames), (theirs, _) = small(batch, widths), large.eval()(batch, widths)
    apart = max(float((ours[i, :n] - theirs[i, :n]).abs().max()) for i, n in enumerate(frames.tolist()))
    if not apart < 1e-2:
        raise SystemExit(f"the larger network reads otherwise: log-probabilities are apart by {apart:.1e}")
    checkpoint.save(
        options.output, replace(card, config=large.config, activation_ranges=(), training=None, scores=None), large, ()
    )
    print(f"{options.output}: log-probabilities within {apart:.1e}")


def grow(small: CRNN, large: CRNN, batch: Tensor, widths: Tensor) -> None:
    """Put the weights of a network into a larger one with the same pools; the lines say how values are distributed."""
    old, new = small.state_dict(), large.state_dict()
    maps = [values for values, _ in small.backbone.after_each_layer(batch, widths)]
    columns = [valid for _, valid in small.backbone.after_each_layer(batch, widths)]
    known = 1  # channels of the smaller network at this place
    for theirs, ours in zip(groups(small), groups(large), strict=True):
        for source, target in zip_longest(theirs, ours):
            if source is None:
                pass_on(new, f"backbone.stages.{target}", true_values(maps[theirs[-1]], columns[theirs[-1]]))
                continue
            convolution(old, new, f"backbone.stages.{source}", f"backbone.stages.{target}", known)
            known = len(maps[source][0])
    features = np.arange(small.config.features)
    hidden = small.config.hidden
    both = np.concatenate([np.arange(hidden), large.config.hidden + np.arange(hidden)])
    for layer, inputs in (("first", features), ("second", both)):
        for way in ("along", "against"):
            lstm(old, new, f"lstm.{layer}.{way}", inputs, hidden, large.config.hidden)
    for name, inputs in (("head", both), ("auxiliary", features)):
        put(new[f"{name}.weight"], old[f"{name}.weight"], np.arange(small.classes), inputs)
        new[f"{name}.bias"].copy_(old[f"{name}.bias"])
    large.load_state_dict(new)


def groups(model: CRNN) -> list[list[int]]:
    """The convolutions between the pools, as indices of layers."""
    found: list[list[int]] = [[]]
    for index, layer in enumerate(model.config.backbone):
        if isinstance(layer, Conv):
            found[-1].append(index)
        else:
            found.append([])
    return found


def put(new: Tensor, old: Tensor, rows: Places, columns: Places) -> None:
    """Set some rows of a matrix, or of kernels, to what they were, with nothing from other columns."""
    new[rows] = 0
    new[np.ix_(rows, columns)] = old


def convolution(old: Weights, new: Weights, source: str, target: str, inputs: int) -> None:
    """A convolution with its batch normalization."""
    rows = np.arange(len(old[f"{source}.0.weight"]))
    put(new[f"{target}.0.weight"], old[f"{source}.0.weight"], rows, np.arange(inputs))
    for kind in ("weight", "bias", "running_mean", "running_var"):
        new[f"{target}.1.{kind}"][rows] = old[f"{source}.1.{kind}"]


def pass_on(new: Weights, target: str, values: Tensor) -> None:
    """A convolution that passes on its input, also while its batch normalization uses the statistics of each batch.

    Args:
        new: the weights.
        target: the layer's name.
        values: (K, …) what the first K channels hold.
    """
    rows = np.arange(len(values))
    variance, mean = torch.var_mean(values, dim=1, correction=0)
    kernel = new[f"{target}.0.weight"]
    kernel[rows] = 0
    kernel[rows, rows, 1, 1] = 1
    deviation = torch.sqrt(variance + NORM_EPSILON)
    for kind, value in (("weight", deviation), ("bias", mean), ("running_mean", mean), ("running_var", variance)):
        new[f"{target}.1.{kind}"][rows] = value


def true_values(maps: Tensor, widths: Tensor) -> Tensor:
    """(N, K, h, W) maps → (K, …) values of the columns within each one's width."""
    return torch.cat([each[:, :, :width].flatten(1) for each, width in zip(maps, widths.tolist(), strict=True)], dim=1)


def lstm(old: Weights, new: Weights, name: str, inputs: Places, hidden: int, grown: int) -> None:
    """An LSTM, gate by gate."""
    rows = np.concatenate([gate * grown + np.arange(hidden) for gate in range(4)])
    put(new[f"{name}.weight_ih_l0"], old[f"{name}.weight_ih_l0"], rows, inputs)
    put(new[f"{name}.weight_hh_l0"], old[f"{name}.weight_hh_l0"], rows, np.arange(hidden))
    for kind in ("bias_ih_l0", "bias_hh_l0"):
        new[f"{name}.{kind}"][rows] = old[f"{name}.{kind}"]


if __name__ == "__main__":
    main()
