"""How well the held-out pictures are read while training goes on, and which weights are kept."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from crnnocr.config import DecodeConfig, TrainConfig
from crnnocr.metrics import Scorer, Scores
from crnnocr.model.crnn import CRNN
from crnnocr.recognizer import Recognizer, best_hypothesis
from crnnocr.training.examples import Example

_READS_NOTHING = 0.8
"""Character error rate above which a network has not begun to read."""

_ANNEALED = 0.2
"""Share of the highest learning rate from which on down weights count as annealed."""


@dataclass(frozen=True)
class Validation:
    """How the averaged weights read the held-out pictures."""

    step: int
    """Steps made."""
    loss: float
    """CTC loss in nats a character, averaged over the last steps of training."""
    scores: Scores
    """Greedy reading against the labels."""
    readings: tuple[tuple[str, str], ...]
    """Truth and reading of each picture, in the same order each time."""
    is_best: bool
    """Whether these are the weights to keep so far; only annealed ones ever are."""


class Validator:
    """Reads the held-out pictures, keeps the best annealed weights, and counts validations without progress."""

    def __init__(self, recognizer: Recognizer, held_out: Sequence[Example], config: TrainConfig) -> None:
        self.best_weights: dict[str, Tensor] | None = None
        """The weights to keep; None before there are annealed ones."""
        self._recognizer = recognizer
        self._held_out = held_out
        self._limit = config.validation_limit
        self._patience = config.patience
        self._stale = 0
        self._best = self._best_annealed = math.inf

    @property
    def is_on_plateau(self) -> bool:
        """Whether the CER has not sunk for as many validations as patience lasts."""
        return self._stale >= self._patience

    def validate(self, model: CRNN, step: int, loss: float, rate_share: float) -> Validation:
        """Score `model` on the held-out pictures (the first ones, if there are many), and keep it if it is the best.

        `rate_share` is the learning rate's share of the highest, `loss` what goes into the result.
        """
        scores, readings = self._read(self._held_out[: self._limit])
        # Before the network reads anything at all, no progress is no sign of an end.
        self._stale = 0 if scores.cer < self._best or scores.cer > _READS_NOTHING else self._stale + 1
        self._best = min(self._best, scores.cer)
        is_best = rate_share <= _ANNEALED and scores.cer <= self._best_annealed
        if is_best:
            self._best_annealed = scores.cer
            self.best_weights = {name: value.clone() for name, value in model.state_dict().items()}
        return Validation(step, loss, scores, readings, is_best)

    def score_everything(self) -> Scores | None:
        """Scores of the recognizer's weights on all held-out pictures; None if there are none."""
        return self._read(self._held_out)[0] if self._held_out else None

    def _read(self, examples: Sequence[Example]) -> tuple[Scores, tuple[tuple[str, str], ...]]:
        scorer = Scorer()
        readings = []
        charset = self._recognizer.card.charset
        for example, log_probs in zip(examples, self._recognizer.read([e.line for e in examples]), strict=True):
            readings.append((example.text, charset.decode(best_hypothesis(log_probs, DecodeConfig()).ids)))
            scorer.update(*readings[-1])
        return scorer.summary(), tuple(readings)
