"""How often a reading of some probability is right: a model's own probability, brought to what was seen on held-out pictures.

A model's probability of a reading is a product over its characters, by a network that was trained to be sure: it tells which
readings are the better ones, but not how often such readings are right. Its log-odds are therefore divided by a temperature
and shifted by a bias, and turned into a probability again. That is Platt's sigmoid (Platt 1999, "Probabilistic Outputs for
Support Vector Machines") on the log-odds, and without the bias it is temperature scaling (Guo et al. 2017, "On Calibration of
Modern Neural Networks", section 4.2) for the two classes right and wrong. A temperature alone cannot move a probability of one
half, where a model may be wrong by much: of receipts read with about it 68 % were right without case and spaces, 38 % with
them. Beta calibration (Kull et al. 2017), with one parameter more, was a little better on some data and worse on other.

Only the confidence is changed: neither the texts, nor which of two readings of one picture is the more probable.

What confidences are worth: whether they are true, and what is gained by refusing what is least sure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crnnocr.config import CONFIDENCE_BINS
from crnnocr.errors import DataError, ModelError

ENOUGH_ERRORS = 30
"""Errors that a calibration must have seen to count as one."""

LOG_PROBS = (-100.0, math.log1p(-1e-6))
"""Bounds of a log-probability: a network in single precision can be no surer than this."""
LOG_ODDS = (-700.0, 36.0)
"""Between them a probability in double precision is neither 0 nor 1."""

_PRIOR_DEVIATIONS = np.array([0.25, 0.5])
"""Of the log temperature and the bias from 0. Of real readings, 20 to 1,000 at a time: half as wide, the prior keeps a wrong
confidence for too long; twice as wide, it lets chance lead where errors are few."""
_LONGEST_STEP = 1.0
_MOST_ITERATIONS = 100
_CONVERGED = 1e-10

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Calibration:
    """From a model's probability of a reading to how often such readings are right. By default nothing is changed."""

    temperature: float = 1.0
    """What log-odds are divided by: above 1 the model is too sure of what it is sure of."""
    bias: float = 0.0
    """What is added then: above 0 more readings are right than the model thinks."""
    readings: int = 0
    """Held-out readings that it was fitted on."""
    errors: int = 0
    """How many of them were wrong."""

    @property
    def is_calibrated(self) -> bool:
        """Whether it has seen enough errors, and anything right; if not, it is mostly the model's own probability."""
        return ENOUGH_ERRORS <= self.errors < self.readings

    @overload
    def apply(self, log_probs: float) -> float: ...
    @overload
    def apply(self, log_probs: Sequence[float] | Array) -> Array: ...
    def apply(self, log_probs: float | Sequence[float] | Array) -> float | Array:
        """The calibrated confidence of readings, between 0 and 1 and neither of them, growing with their probability.

        Args:
            log_probs: natural log of each reading's probability by the model, summed over its alignments; -inf is one.
        """
        odds = _log_odds(log_probs) / self.temperature + self.bias
        confidences = _sigmoid(np.clip(odds, *LOG_ODDS))
        return float(confidences) if confidences.ndim == 0 else confidences

    def to_json(self) -> dict[str, Any]:
        """The calibration as values that JSON can hold."""
        return {**asdict(self), "is_calibrated": self.is_calibrated}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Calibration:
        """The calibration that `to_json` wrote. Raises `ModelError` where it is none."""
        try:
            numbers = float(data["temperature"]), float(data["bias"])
            counts = int(data["readings"]), int(data["errors"])
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise ModelError(f"this is no calibration: {data!r}") from error
        if not (math.isfinite(numbers[0]) and math.isfinite(numbers[1]) and numbers[0] > 0):
            raise ModelError(f"a calibration needs a temperature above 0 and a finite bias: {data!r}")
        return cls(*numbers, *counts)


def fit(log_probs: Sequence[float] | Array, correct: Sequence[bool] | NDArray[np.bool_]) -> Calibration:
    """The most probable calibration after readings of held-out pictures.

    Maximises the likelihood of which ones were right, times a Gaussian prior of the log temperature and of the bias around
    no change. The prior takes the place of Platt's smoothed targets: it does for few errors what they do, and pulls to the
    model's own probability instead of the mean. The more errors there are, the less it weighs. Newton's method with the
    expected Hessian (Fisher scoring), no step longer than 1 and each halved until it leads down.

    Args:
        log_probs: (N,) natural log of each reading's probability by the model, summed over its alignments.
        correct: (N,) whether the reading was right.
    """
    right = np.asarray(correct, dtype=np.float64)
    log_odds = _log_odds(log_probs)
    if right.shape != log_odds.shape or right.ndim != 1:
        raise ValueError(f"as many verdicts as readings are needed: {right.shape} and {log_odds.shape}")
    parameters = np.zeros(2)  # log temperature, bias
    loss = _loss(parameters, log_odds, right)
    for _ in range(_MOST_ITERATIONS):
        step = _newton_step(parameters, log_odds, right)
        while (reached := _loss(parameters + step, log_odds, right)) > loss:
            step /= 2
        parameters = parameters + step
        gain, loss = loss - reached, reached
        if gain < _CONVERGED:
            break
    return Calibration(
        temperature=math.exp(parameters[0]), bias=float(parameters[1]), readings=right.size, errors=int((1 - right).sum())
    )


def expected_calibration_error(
    confidences: Sequence[float] | Array,
    correct: Sequence[bool] | NDArray[np.bool_],
    bins: int = CONFIDENCE_BINS,
    equal_mass: bool = False,
) -> float:
    """How far confidence is from the share of right readings, on average: |share right - mean confidence|, bin by bin.

    Guo et al. 2017, equation 3, with bins of equal width, each closed above: what the field reports, with 15 bins. With
    `equal_mass` each bin holds as many readings instead (Nixon et al. 2019, "Measuring Calibration in Deep Learning").
    Chance alone makes it more than 0: about 0.02 for 1,200 readings of which 85 % are right, however well calibrated.

    Raises `DataError` where there are no readings.
    """
    values, right = np.asarray(confidences, dtype=np.float64), np.asarray(correct, dtype=np.float64)
    if values.shape != right.shape or values.ndim != 1:
        raise ValueError(f"as many verdicts as confidences are needed: {right.shape} and {values.shape}")
    if not values.size:
        raise DataError("there is nothing to score")
    if equal_mass:
        ranks = np.empty(values.size, dtype=np.int64)
        ranks[np.argsort(values, kind="stable")] = np.arange(values.size)
        places = ranks * bins // values.size
    else:
        places = np.searchsorted(np.arange(1, bins) / bins, values)
    gaps = np.bincount(places, right - values, minlength=bins)
    return float(np.abs(gaps).sum() / values.size)


def _log_odds(log_probs: ArrayLike) -> Array:
    """The log-odds of probabilities given as logs, bounded at both ends."""
    bounded = np.clip(np.asarray(log_probs, dtype=np.float64), *LOG_PROBS)
    odds: Array = bounded - np.log(-np.expm1(bounded))
    return odds


def _sigmoid(log_odds: Array) -> Array:
    return np.exp(-np.logaddexp(0.0, -log_odds))


def _loss(parameters: Array, log_odds: Array, right: Array) -> float:
    """The negative log of likelihood and prior."""
    odds = log_odds * math.exp(-parameters[0]) + parameters[1]
    return float((np.logaddexp(0.0, odds) - right * odds).sum() + 0.5 * ((parameters / _PRIOR_DEVIATIONS) ** 2).sum())


def _newton_step(parameters: Array, log_odds: Array, right: Array) -> Array:
    scaled = log_odds * math.exp(-parameters[0])
    confidences = _sigmoid(scaled + parameters[1])
    jacobian = np.stack([-scaled, np.ones_like(scaled)])  # (2, N), of the log-odds by the parameters
    gradient = jacobian @ (confidences - right) + parameters / _PRIOR_DEVIATIONS**2
    information = (jacobian * confidences * (1 - confidences)) @ jacobian.T + np.diag(_PRIOR_DEVIATIONS**-2.0)
    step = np.linalg.solve(information, -gradient)
    return step / max(1.0, float(np.abs(step).max()) / _LONGEST_STEP)


REFUSED = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5)
"""Shares of the pictures that are refused, the least sure first."""
_STEPS = 200
"""Points of a curve."""
_Z = 1.959963984540054
"""Standard deviations of a normal distribution that hold 95 % of it on both sides."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Bin:
    """Readings of about the same confidence."""

    n: int
    """How many."""
    confidence: float
    """Their mean confidence."""
    right: float
    """The share of them that is right."""
    low: float
    """Where the 95 % interval of that share begins (Wilson 1927)."""
    high: float
    """Where it ends."""


@dataclass(frozen=True)
class Refusal:
    """What is left when the least sure pictures are refused."""

    refused: float
    """Share of the pictures that are refused, 0 to 1."""
    confidence: float
    """The least confidence among those that are kept."""
    cer: float
    """Character error rate of those that are kept."""
    exact: float
    """Share of them that was read exactly."""


def bins(confidences: ArrayLike, right: ArrayLike, count: int = CONFIDENCE_BINS) -> list[Bin]:
    """The reliability curve: bins of equal width, each closed above, without the empty ones (Guo et al. 2017, figure 1)."""
    values, verdicts = np.asarray(confidences, dtype=np.float64), np.asarray(right, dtype=np.float64)
    places = np.searchsorted(np.arange(1, count) / count, values)
    found = []
    for place in range(count):
        inside = places == place
        if n := int(inside.sum()):
            share = float(verdicts[inside].mean())
            found.append(Bin(n, float(values[inside].mean()), share, *wilson(share, n)))
    return found


def wilson(share: float, n: int) -> tuple[float, float]:
    """The 95 % interval of a share that was seen in `n` cases (Wilson 1927), which holds for all or none, too."""
    middle = (share + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
    reach = _Z / (1 + _Z**2 / n) * math.sqrt(share * (1 - share) / n + (_Z / (2 * n)) ** 2)
    return max(0.0, middle - reach), min(1.0, middle + reach)


def brier(confidences: ArrayLike, right: ArrayLike) -> float:
    """The mean squared difference of confidence and truth, 1 or 0 (Brier 1950): 0 at best."""
    return float(((np.asarray(confidences, dtype=np.float64) - np.asarray(right, dtype=np.float64)) ** 2).mean())


class RiskCoverage:
    """How errors fall as the least sure pictures are refused (El-Yaniv and Wiener 2010).

    Pictures of equal confidence cannot be told apart: where some of them are refused, they are a mean of all of them.
    """

    def __init__(self, confidences: ArrayLike, edits: ArrayLike, characters: ArrayLike, right: ArrayLike) -> None:
        """Take pictures: (N,) confidences, edits, true characters, and whether each was read exactly."""
        values = np.asarray(confidences, dtype=np.float64)
        self._values, place, counts = np.unique(-values, return_inverse=True, return_counts=True)
        self._kept = np.concatenate(([0.0], np.cumsum(counts)))
        self._edits, self._characters, self._right = (
            np.concatenate(([0.0], np.cumsum(np.bincount(place, np.asarray(column, dtype=np.float64)))))
            for column in (edits, characters, right)
        )

    @property
    def pictures(self) -> int:
        """How many there are."""
        return int(self._kept[-1])

    def at(self, refused: float) -> Refusal:
        """What is left when a share below 1 of the pictures is refused, the least sure."""
        kept = max(self.pictures * (1 - refused), 1.0)
        edits, characters, right = (
            float(np.interp(kept, self._kept, column)) for column in (self._edits, self._characters, self._right)
        )
        last = min(int(np.searchsorted(self._kept[1:], kept)), len(self._values) - 1)
        return Refusal(refused, -float(self._values[last]), edits / max(characters, 1), right / kept)

    def curve(self) -> list[Refusal]:
        """What is left, from none refused to nearly all."""
        return [self.at(i / _STEPS) for i in range(_STEPS)]

    def table(self, shares: Sequence[float] = REFUSED) -> list[Refusal]:
        """What is left at round shares."""
        return [self.at(share) for share in shares]

    def area(self) -> float:
        """The mean share of wrong readings over all coverages (AURC, Geifman et al. 2019): the smaller, the better ordered."""
        kept = np.arange(1, self.pictures + 1)
        return float((1 - np.interp(kept, self._kept, self._right) / kept).mean())
