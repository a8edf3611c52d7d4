"""How well the validation split is recognized while a training runs, and which weights are kept."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from crnnocr.config import DecodeConfig, TrainConfig
from crnnocr.datasets.lines import LineDataset
from crnnocr.inference.recognizer import Recognizer
from crnnocr.metrics.scores import Scorer, Scores
from crnnocr.model.crnn import CRNN
from crnnocr.text.charset import canonical
from crnnocr.training.schedule import Progress

UNTRAINED_CER = 0.8
"""A network with a higher character error rate than this has not begun to recognize anything."""

_LINES_AT_A_TIME = 512
"""Lines whose log-probabilities are in memory at the same time."""

_ANNEALED = 0.2
"""Weights count as annealed once the learning rate is at most this share of its highest value."""


@dataclass(frozen=True)
class ValidationSample:
    """A line of the validation split, as it was recognized."""

    reference: str
    """The label."""
    prediction: str
    """The most probable text, by greedy decoding."""
    log_prob: float
    """Natural log of that text's probability, over all its alignments."""


@dataclass(frozen=True)
class Validation:
    """The scores of the averaged weights on the validation split."""

    progress: Progress
    """Where the training stood."""
    scores: Scores
    """Greedy predictions against the labels."""
    samples: tuple[ValidationSample, ...]
    """Each line, in the same order every time."""
    is_best: bool
    """Whether these are the weights to keep so far; only annealed ones ever are."""


def recognize_lines(
    recognizer: Recognizer,
    lines: LineDataset,
    limit: int | None = None,
    decode: DecodeConfig = DecodeConfig(),  # noqa: B008 (frozen)
) -> tuple[Scores, tuple[ValidationSample, ...]]:
    """Recognize and score the lines; if there are more than `limit`, every n-th of them. A text that cannot be is empty."""
    scorer = Scorer()
    samples = []
    charset, decoder = recognizer.card.charset, recognizer.decoder(decode)
    chosen = range(0, len(lines), -(-len(lines) // limit) if limit and lines else 1)
    for start in range(0, len(chosen), _LINES_AT_A_TIME):
        batch = [lines[i] for i in chosen[start : start + _LINES_AT_A_TIME]]
        log_probs = recognizer.log_probs([line.pixels for line in batch])
        for line, found, seen in zip(batch, decoder.decode(log_probs), log_probs, strict=True):
            prediction, log_prob = charset.decode(found[0].ids if found else ()), decoder.certainty(found, seen)
            samples.append(ValidationSample(canonical(line.text), prediction, log_prob))
            scorer.update(line.text, samples[-1].prediction)
    return scorer.summary(), tuple(samples)


class Validator:
    """Scores the validation split, keeps the best annealed weights, and counts validations without progress."""

    def __init__(
        self, recognizer: Recognizer, lines: LineDataset, config: TrainConfig, untrained_cer: float = UNTRAINED_CER
    ) -> None:
        self.best_weights: dict[str, Tensor] | None = None
        """The weights to keep; None before there are annealed ones."""
        self._recognizer, self._lines, self._untrained_cer = recognizer, lines, untrained_cer
        self._limit = config.validation_limit
        self._patience = config.patience
        self._stale = 0
        self._best = self._best_annealed = math.inf

    @property
    def is_on_plateau(self) -> bool:
        """Whether the CER has not fallen for `config.patience` validations."""
        return self._stale >= self._patience

    def validate(self, model: CRNN, rate_share: float) -> tuple[Scores, tuple[ValidationSample, ...], bool]:
        """Score `model`, whose weights the recognizer has, on at most `config.validation_limit` lines; keep it if it is best.

        `rate_share` is the current share of the highest learning rate. The last value tells whether the weights were kept.
        """
        scores, samples = self.score(self._limit)
        # Before the network recognizes anything at all, a lack of progress is no plateau.
        self._stale = 0 if scores.cer < self._best or scores.cer > self._untrained_cer else self._stale + 1
        self._best = min(self._best, scores.cer)
        is_best = rate_share <= _ANNEALED and scores.cer <= self._best_annealed
        if is_best:
            self._best_annealed = scores.cer
            self.best_weights = {name: value.clone() for name, value in model.state_dict().items()}
        return scores, samples, is_best

    def score(self, limit: int | None = None) -> tuple[Scores, tuple[ValidationSample, ...]]:
        """Score the recognizer's current weights on the validation split, or on at most `limit` lines from all over it."""
        return recognize_lines(self._recognizer, self._lines, limit)

    def state_dict(self) -> tuple[dict[str, Tensor], dict[str, float]]:
        """The weights to keep, and the counts and best scores so far."""
        return self.best_weights or {}, {"stale": self._stale, "best": self._best, "best_annealed": self._best_annealed}

    def load_state_dict(self, weights: dict[str, Tensor], values: dict[str, float]) -> None:
        """Take over the result of `state_dict`."""
        self.best_weights = weights or None
        self._stale, self._best, self._best_annealed = int(values["stale"]), values["best"], values["best_annealed"]
