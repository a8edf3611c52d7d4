"""How well the held-out pictures are read while training goes on, and which weights are kept."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from crnnocr.config import DecodeConfig, TrainConfig
from crnnocr.datasets.lines import LineDataset
from crnnocr.inference.recognizer import Recognizer
from crnnocr.metrics.scores import Scorer, Scores
from crnnocr.model.crnn import CRNN

_READS_NOTHING = 0.8
"""Character error rate above which a network has not begun to read."""

_AT_A_TIME = 512
"""Pictures whose log-probabilities are held at a time."""

_ANNEALED = 0.2
"""Share of the highest learning rate from which on down weights count as annealed."""


@dataclass(frozen=True)
class Reading:
    """What was read in a held-out picture."""

    truth: str
    """Its label."""
    text: str
    """The best text, by greedy decoding."""
    log_prob: float
    """Natural log of that text's probability, over all its alignments."""


@dataclass(frozen=True)
class Validation:
    """How the averaged weights read the held-out pictures."""

    step: int
    """Steps made."""
    epoch: int
    """The running epoch, from 1."""
    pictures: int
    """Pictures shown."""
    seconds: float
    """Since the start."""
    loss: float
    """CTC loss in nats a character, averaged over the last steps of training."""
    learning_rate: float
    """The running learning rate."""
    waiting: float
    """Share of the time that was spent waiting for pictures, lately, 0 to 1."""
    scores: Scores
    """Greedy reading against the labels."""
    readings: tuple[Reading, ...]
    """What was read in each picture, in the same order each time."""
    is_best: bool
    """Whether these are the weights to keep so far; only annealed ones ever are."""


def read_lines(recognizer: Recognizer, lines: LineDataset, limit: int | None = None) -> tuple[Scores, tuple[Reading, ...]]:
    """Read lines, or some from all over if there are more than `limit`, and score that."""
    scorer = Scorer()
    readings = []
    charset, decoder = recognizer.card.charset, recognizer.decoder(DecodeConfig())
    chosen = range(0, len(lines), -(-len(lines) // limit) if limit and lines else 1)
    for start in range(0, len(chosen), _AT_A_TIME):
        some = [lines[i] for i in chosen[start : start + _AT_A_TIME]]
        found = decoder.decode(recognizer.log_probs([line.pixels for line in some]))
        for line, (best, *_) in zip(some, found, strict=True):
            readings.append(Reading(line.text, charset.decode(best.ids), best.log_prob))
            scorer.update(line.text, readings[-1].text)
    return scorer.summary(), tuple(readings)


class Validator:
    """Reads the held-out pictures, keeps the best annealed weights, and counts validations without progress."""

    def __init__(self, recognizer: Recognizer, held_out: LineDataset, config: TrainConfig) -> None:
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

    def validate(self, model: CRNN, rate_share: float) -> tuple[Scores, tuple[Reading, ...], bool]:
        """Score `model` on the held-out pictures (some from all over, if there are many), and keep it if it is the best.

        `rate_share` is the learning rate's share of the highest. Returns whether it was kept, too.
        """
        scores, readings = self.read(self._limit)
        # Before the network reads anything at all, no progress is no sign of an end.
        self._stale = 0 if scores.cer < self._best or scores.cer > _READS_NOTHING else self._stale + 1
        self._best = min(self._best, scores.cer)
        is_best = rate_share <= _ANNEALED and scores.cer <= self._best_annealed
        if is_best:
            self._best_annealed = scores.cer
            self.best_weights = {name: value.clone() for name, value in model.state_dict().items()}
        return scores, readings, is_best

    def read(self, limit: int | None = None) -> tuple[Scores, tuple[Reading, ...]]:
        """Read the held-out pictures, at most `limit` of them, with the recognizer's weights as they are."""
        return read_lines(self._recognizer, self._held_out, limit)

    def state(self) -> tuple[dict[str, Tensor], dict[str, float]]:
        """What an interrupted training needs to go on: the weights to keep, and where the validations stand."""
        return self.best_weights or {}, {"stale": self._stale, "best": self._best, "best_annealed": self._best_annealed}

    def go_on_from(self, weights: dict[str, Tensor], values: dict[str, float]) -> None:
        """Take up what `state` gave."""
        self.best_weights = weights or None
        self._stale, self._best, self._best_annealed = int(values["stale"]), values["best"], values["best_annealed"]
