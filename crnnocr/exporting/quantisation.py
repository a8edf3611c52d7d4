"""How far the values of a network reach: what its quantised form takes its scales from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from crnnocr import images
from crnnocr.model.crnn import CRNN

LINES = 400
"""As many say enough."""
_AT_A_TIME = 16


@torch.inference_mode()
def peaks(model: CRNN, lines: Sequence[images.Line]) -> tuple[float, ...]:
    """The highest value of the maps after each layer of the backbone, over the lines.

    Reaching up to the highest value measured better than cutting off the highest thousandth or ten thousandth: on real crops
    the character error rate was within 0.1 points of single precision, where those cost up to 0.2.
    """
    model.eval()
    chosen = sorted(lines, key=lambda line: line.shape[1])
    highest = np.zeros(len(model.config.backbone))
    for start in range(0, len(chosen), _AT_A_TIME):
        batch, widths = images.to_batch(chosen[start : start + _AT_A_TIME])
        layers = model.backbone.after_each_layer(torch.from_numpy(batch), torch.from_numpy(widths))
        highest = np.maximum(highest, [float(maps.max()) for maps, _ in layers])
    return tuple(float(peak) for peak in np.maximum(highest, 1e-6))
