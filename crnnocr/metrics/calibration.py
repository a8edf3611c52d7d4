"""How much confidences can be trusted: calibration of a model's probabilities, and the metrics of calibrated confidences.

A model's probability of a text is a product over its characters, from a network that was trained to be confident. It ranks
predictions well but does not say how often they are correct. `fit` therefore learns from held-out samples a temperature and a
bias: log-odds are divided by the one, shifted by the other, and turned into a probability again. This is Platt's sigmoid (Platt
1999, "Probabilistic Outputs for Support Vector Machines") on the log-odds; without the bias it is temperature scaling (Guo et
al. 2017, "On Calibration of Modern Neural Networks", section 4.2) for the two classes correct and wrong. A temperature alone
cannot move a probability of one half, where a model can be far off: of receipt lines with about that probability 68 % were
correct without case and spaces, and 38 % with them. Beta calibration (Kull et al. 2017), with one more parameter, was a little
better on some data and worse on other.

Calibration changes confidences only: neither the texts, nor which of two texts for one image is more probable.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crnnocr.config import CONFIDENCE_BINS
from crnnocr.errors import DataError, ModelError

MIN_ERRORS = 30
"""Wrong predictions that a calibration needs to count as one."""

LOG_PROBS = (-100.0, math.log1p(-1e-6))
"""Bounds of a log-probability: a network in single precision cannot be more confident than this."""
LOG_ODDS = (-700.0, 36.0)
"""Bounds of log-odds, within which a probability in double precision is neither 0 nor 1."""
REJECTED = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5)
"""Shares of rejected samples in the table of risk and coverage."""

_PRIOR_DEVIATIONS = np.array([0.25, 0.5])
"""Standard deviations of log temperature and bias around 0. On 20 to 1,000 real samples half of this kept wrong confidences for
too long, and twice as much overfitted to few errors."""
_MAX_STEP = 1.0
_MAX_ITERATIONS = 100
_CONVERGED = 1e-10
_CURVE_POINTS = 200
_Z = 1.959963984540054
"""Standard deviations of a normal distribution that hold 95 % of it on both sides."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Calibration:
    """Maps a model's probability of a text to how often such predictions are correct; by default to itself."""

    temperature: float = 1.0
    """Divides log-odds: above 1 if the model is overconfident."""
    bias: float = 0.0
    """Shifts log-odds after that: above 0 if more predictions are correct than the model expects."""
    samples: int = 0
    """Held-out samples that it was fitted on."""
    errors: int = 0
    """How many of their predictions were wrong."""

    @property
    def is_calibrated(self) -> bool:
        """Whether the fit saw enough wrong predictions, and a correct one; if not, the prior dominates it."""
        return MIN_ERRORS <= self.errors < self.samples

    @overload
    def apply(self, log_probs: float) -> float: ...
    @overload
    def apply(self, log_probs: Sequence[float] | Array) -> Array: ...
    def apply(self, log_probs: float | Sequence[float] | Array) -> float | Array:
        """Turn log-probabilities into confidences, strictly between 0 and 1 and in the same order.

        Args:
            log_probs: natural log of each text's probability by the model, summed over its alignments; may be -inf.
        """
        log_odds = _log_odds(log_probs) / self.temperature + self.bias
        confidences = _sigmoid(np.clip(log_odds, *LOG_ODDS))
        return float(confidences) if confidences.ndim == 0 else confidences

    def to_json(self) -> dict[str, Any]:
        """Give the calibration as values that JSON can hold."""
        return {
            "temperature": self.temperature,
            "bias": self.bias,
            "readings": self.samples,
            "errors": self.errors,
            "is_calibrated": self.is_calibrated,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Calibration:
        """Take the calibration from what `to_json` gave. Raises `ModelError` if there is none in it."""
        try:
            temperature, bias = float(data["temperature"]), float(data["bias"])
            samples, errors = int(data["readings"]), int(data["errors"])
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise ModelError(f"this is no calibration: {data!r}") from error
        if not (math.isfinite(temperature) and math.isfinite(bias) and temperature > 0):
            raise ModelError(f"a calibration needs a temperature above 0 and a finite bias: {data!r}")
        return cls(temperature, bias, samples, errors)


def fit(log_probs: Sequence[float] | Array, correct: Sequence[bool] | NDArray[np.bool_]) -> Calibration:
    """Fit the calibration of maximal posterior probability on held-out samples.

    The prior is a Gaussian of the log temperature and of the bias, around no change. It takes the place of Platt's smoothed
    targets: it has the same effect with few errors, but pulls to the model's own probability and not to the mean. It weighs
    less the more errors there are. The optimizer is Newton's method with the expected Hessian (Fisher scoring); a step is at
    most 1 long and is halved until the loss falls.

    Args:
        log_probs: (N,) natural log of each predicted text's probability by the model, summed over its alignments.
        correct: (N,) whether the prediction was correct.
    """
    targets = np.asarray(correct, dtype=np.float64)
    log_odds = _log_odds(log_probs)
    if targets.shape != log_odds.shape or targets.ndim != 1:
        raise ValueError(f"log_probs and correct differ in shape: {log_odds.shape} and {targets.shape}")
    parameters = np.zeros(2)  # log temperature, bias
    loss = _loss(parameters, log_odds, targets)
    for _ in range(_MAX_ITERATIONS):
        step = _newton_step(parameters, log_odds, targets)
        while (new_loss := _loss(parameters + step, log_odds, targets)) > loss:
            step /= 2
        parameters = parameters + step
        gain, loss = loss - new_loss, new_loss
        if gain < _CONVERGED:
            break
    temperature, bias = math.exp(parameters[0]), float(parameters[1])
    return Calibration(temperature, bias, samples=targets.size, errors=int((1 - targets).sum()))


def _log_odds(log_probs: ArrayLike) -> Array:
    """Turn log-probabilities into log-odds, bounded at both ends."""
    bounded = np.clip(np.asarray(log_probs, dtype=np.float64), *LOG_PROBS)
    log_odds: Array = bounded - np.log(-np.expm1(bounded))
    return log_odds


def _sigmoid(log_odds: Array) -> Array:
    return np.exp(-np.logaddexp(0.0, -log_odds))


def _loss(parameters: Array, log_odds: Array, targets: Array) -> float:
    """Compute the negative log of likelihood times prior."""
    calibrated = log_odds * math.exp(-parameters[0]) + parameters[1]
    likelihood = (np.logaddexp(0.0, calibrated) - targets * calibrated).sum()
    return float(likelihood + 0.5 * ((parameters / _PRIOR_DEVIATIONS) ** 2).sum())


def _newton_step(parameters: Array, log_odds: Array, targets: Array) -> Array:
    scaled = log_odds * math.exp(-parameters[0])
    confidences = _sigmoid(scaled + parameters[1])
    jacobian = np.stack([-scaled, np.ones_like(scaled)])  # (2, N), of the log-odds by the parameters
    gradient = jacobian @ (confidences - targets) + parameters / _PRIOR_DEVIATIONS**2
    information = (jacobian * confidences * (1 - confidences)) @ jacobian.T + np.diag(_PRIOR_DEVIATIONS**-2.0)
    step = np.linalg.solve(information, -gradient)
    return step / max(1.0, float(np.abs(step).max()) / _MAX_STEP)


@dataclass(frozen=True)
class Bin:
    """A point of the reliability curve: predictions of similar confidence."""

    n: int
    """Number of predictions."""
    confidence: float
    """Their mean confidence."""
    accuracy: float
    """Share of them that is correct."""
    low: float
    """Lower end of the 95 % interval of the accuracy (Wilson 1927)."""
    high: float
    """Upper end of that interval."""


def reliability(confidences: ArrayLike, correct: ArrayLike, bins: int = CONFIDENCE_BINS) -> list[Bin]:
    """Compute the reliability curve: bins of equal width, each closed above, without empty ones (Guo et al. 2017, figure 1).

    Args:
        confidences: (N,) between 0 and 1.
        correct: (N,) whether each prediction is correct.
        bins: number of bins.
    """
    values, targets = np.asarray(confidences, dtype=np.float64), np.asarray(correct, dtype=np.float64)
    indices = _equal_width_bins(values, bins)
    curve = []
    for index in range(bins):
        inside = indices == index
        if n := int(inside.sum()):
            accuracy = float(targets[inside].mean())
            curve.append(Bin(n, float(values[inside].mean()), accuracy, *wilson_interval(accuracy, n)))
    return curve


def expected_calibration_error(
    confidences: Sequence[float] | Array,
    correct: Sequence[bool] | NDArray[np.bool_],
    bins: int = CONFIDENCE_BINS,
    equal_mass: bool = False,
) -> float:
    """Compute the mean of |accuracy - mean confidence| over bins, weighted by their size (Guo et al. 2017, equation 3).

    Bins have equal width and are closed above: the 15 that papers report. With `equal_mass` each holds as many predictions
    instead (Nixon et al. 2019, "Measuring Calibration in Deep Learning"). Random variation alone keeps the result above 0:
    about 0.02 for 1,200 predictions of which 85 % are correct, however well they are calibrated.

    Raises `DataError` if there are no predictions.
    """
    values, targets = np.asarray(confidences, dtype=np.float64), np.asarray(correct, dtype=np.float64)
    if values.shape != targets.shape or values.ndim != 1:
        raise ValueError(f"confidences and correct differ in shape: {values.shape} and {targets.shape}")
    if not values.size:
        raise DataError("there is nothing to score")
    if equal_mass:
        ranks = np.empty(values.size, dtype=np.int64)
        ranks[np.argsort(values, kind="stable")] = np.arange(values.size)
        indices = ranks * bins // values.size
    else:
        indices = _equal_width_bins(values, bins)
    gaps = np.bincount(indices, targets - values, minlength=bins)
    return float(np.abs(gaps).sum() / values.size)


def _equal_width_bins(values: Array, bins: int) -> NDArray[np.intp]:
    return np.searchsorted(np.arange(1, bins) / bins, values)


def wilson_interval(share: float, n: int) -> tuple[float, float]:
    """Compute the 95 % interval of a share observed in `n` cases (Wilson 1927), which also holds for shares of 0 and 1."""
    center = (share + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
    radius = _Z / (1 + _Z**2 / n) * math.sqrt(share * (1 - share) / n + (_Z / (2 * n)) ** 2)
    return max(0.0, center - radius), min(1.0, center + radius)


def brier_score(confidences: ArrayLike, correct: ArrayLike) -> float:
    """Compute the mean squared difference between confidence and correctness, 1 or 0 (Brier 1950); 0 is best."""
    errors = np.asarray(confidences, dtype=np.float64) - np.asarray(correct, dtype=np.float64)
    return float((errors**2).mean())


@dataclass(frozen=True)
class Rejection:
    """Error rates of the samples that remain after the least confident ones are rejected."""

    rejected: float
    """Share of rejected samples, 0 to 1."""
    threshold: float
    """Lowest confidence of a remaining sample."""
    cer: float
    """Character error rate of the remaining samples."""
    exact_match: float
    """Share of exact matches among them."""


class RiskCoverage:
    """Error rates as the least confident samples are rejected (El-Yaniv and Wiener 2010).

    Samples of equal confidence cannot be told apart: if some of them are rejected, each counts as their mean.
    """

    def __init__(self, confidences: ArrayLike, edits: ArrayLike, characters: ArrayLike, correct: ArrayLike) -> None:
        """Take the samples.

        Args:
            confidences: (N,) between 0 and 1.
            edits: (N,) edits of each sample.
            characters: (N,) characters of each reference.
            correct: (N,) whether each prediction is an exact match.
        """
        values = np.asarray(confidences, dtype=np.float64)
        self._values, indices, counts = np.unique(-values, return_inverse=True, return_counts=True)
        self._kept = np.concatenate(([0.0], np.cumsum(counts)))
        self._edits, self._characters, self._correct = (
            np.concatenate(([0.0], np.cumsum(np.bincount(indices, np.asarray(column, dtype=np.float64)))))
            for column in (edits, characters, correct)
        )

    @property
    def samples(self) -> int:
        """Number of samples."""
        return int(self._kept[-1])

    def at(self, rejected: float) -> Rejection:
        """Compute the error rates after rejecting a share of the samples, which must be below 1."""
        kept = max(self.samples * (1 - rejected), 1.0)
        edits, characters, correct = (
            float(np.interp(kept, self._kept, column)) for column in (self._edits, self._characters, self._correct)
        )
        last = min(int(np.searchsorted(self._kept[1:], kept)), len(self._values) - 1)
        return Rejection(rejected, -float(self._values[last]), edits / max(characters, 1), correct / kept)

    def curve(self) -> list[Rejection]:
        """List the error rates from no rejection to nearly all."""
        return [self.at(i / _CURVE_POINTS) for i in range(_CURVE_POINTS)]

    def table(self, shares: Sequence[float] = REJECTED) -> list[Rejection]:
        """List the error rates at round shares of rejected samples."""
        return [self.at(share) for share in shares]

    def area(self) -> float:
        """Compute the mean error rate over all coverages (AURC, Geifman et al. 2019); lower if errors have low confidence."""
        kept = np.arange(1, self.samples + 1)
        return float((1 - np.interp(kept, self._kept, self._correct) / kept).mean())
