"""The running average of a network's weights, which reads better than the weights themselves."""

from __future__ import annotations

import copy

import torch

from crnnocr.model.crnn import CRNN


class WeightAverage:
    """An exponential moving average of a network's weights and normalisation statistics."""

    def __init__(self, model: CRNN, decay: float) -> None:
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        """The network with the averaged weights."""
        self._decay = decay
        pairs = list(zip(self.model.state_dict().values(), model.state_dict().values(), strict=True))
        self._means = [mean for mean, value in pairs if value.is_floating_point()]
        self._values = [value for _, value in pairs if value.is_floating_point()]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after `step` steps. The average is shorter in the beginning, so that it forgets the start."""
        decay = min(self._decay, step / (step + 10))
        torch._foreach_lerp_(self._means, self._values, 1 - decay)
