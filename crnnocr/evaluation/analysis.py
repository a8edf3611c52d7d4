"""What an evaluation shows: scores and how sure they are, where the errors are, and what confidences are worth."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from crnnocr.datasets import Sample
from crnnocr.evaluation.outcomes import EvalResult, Outcome
from crnnocr.metrics import bootstrap
from crnnocr.metrics.bootstrap import Estimate
from crnnocr.metrics.calibration import Bin, RiskCoverage, bins, brier, expected_calibration_error
from crnnocr.metrics.confusions import CharacterClass, Confusions, edits_by_class
from crnnocr.metrics.scores import METRICS, Counts

_LENGTHS = (4, 8, 16, 32, 64, 128)
"""Characters at which the next group of labels begins."""
_WIDTHS = (32, 64, 128, 256, 512, 1024, 2048)
"""Pixels at which the next group of pictures begins."""


@dataclass(frozen=True)
class Group:
    """Pictures that have something in common."""

    name: str
    """What."""
    n: int
    """How many."""
    characters: int
    """True characters in them."""
    edits: int
    """How many were read otherwise, lost, or added."""
    cer: Estimate | None
    """Edits divided by characters; None where there are none of these."""
    exact: Estimate
    """Share that was read without an error."""


@dataclass(frozen=True)
class ClassScore:
    """How well the characters of a class are read."""

    name: CharacterClass
    """Which class."""
    characters: int
    """How many the labels hold."""
    edits: int
    """How many were read otherwise, lost, or added."""
    cer: Estimate | None
    """Edits divided by characters; None where there are none of these."""


class Analysis:
    """Tells of an evaluation what is asked for. Nothing is computed before that, or twice."""

    def __init__(self, result: EvalResult, sources: Mapping[Sample, str] | None = None) -> None:
        """Take a result, and where each sample is from."""
        self.result = result
        """What is told of."""
        self.outcomes: Sequence[Outcome] = result.outcomes
        """The pictures that could be read."""
        self.sources = sources or {}
        """Where each sample is from."""
        self._counts = {
            name: np.array([getattr(outcome.counts, name) for outcome in result.outcomes], dtype=np.float64)
            for name in Counts._fields
        }
        self._confidences = np.array([outcome.prediction.confidence for outcome in result.outcomes])

    @functools.cached_property
    def scores(self) -> dict[str, Estimate]:
        """Each score with its interval."""
        counts = self._counts
        return {key: bootstrap.ratio(counts[each.numerator], counts[each.denominator]) for key, each in METRICS.items()}

    @property
    def errors_below(self) -> float | None:
        """Where no error was seen, the share of such pictures that have one is below this, at 95 %; None where one was."""
        is_right = self.result.scores.exact_match == 1
        return bootstrap.rule_of_three(self.result.scores.n) if is_right else None

    @functools.cached_property
    def by_length(self) -> list[Group]:
        """By the characters of the label."""
        return self._by_size([len(outcome.truth) for outcome in self.outcomes], _LENGTHS)

    @functools.cached_property
    def by_width(self) -> list[Group]:
        """By the pixels of the picture along its line."""
        return self._by_size([outcome.prediction.length for outcome in self.outcomes], _WIDTHS)

    @functools.cached_property
    def by_source(self) -> list[Group]:
        """By where the pictures are from."""
        names = [self.sources.get(outcome.sample, ".") for outcome in self.outcomes]
        return self._grouped(names, sorted(set(names)))

    @functools.cached_property
    def by_class(self) -> list[ClassScore]:
        """By the class of the characters."""
        tables: dict[CharacterClass, list[tuple[int, int]]] = defaultdict(list)
        for outcome in self.outcomes:
            for name, counts in edits_by_class(outcome.truth, outcome.reading).items():
                tables[name].append(counts)
        found = []
        for name in (each for each in CharacterClass if each in tables):
            # The pictures without one of the class are drawn again like the others.
            table = np.zeros((len(self.outcomes), 2))
            table[: len(tables[name])] = tables[name]
            edits, characters = table.sum(axis=0).astype(int).tolist()
            found.append(ClassScore(name, characters, edits, _rate(table[:, 0], table[:, 1])))
        return found

    @functools.cached_property
    def confusions(self) -> Confusions:
        """What was taken for what."""
        confusions = Confusions()
        for outcome in self.outcomes:
            confusions.update(outcome.truth, outcome.reading)
        return confusions

    @functools.cached_property
    def ece(self) -> float:
        """Expected calibration error, in 15 bins of equal width."""
        return expected_calibration_error(self._confidences, self._right)

    @functools.cached_property
    def ece_equal_mass(self) -> float:
        """The same in 15 bins of as many readings each."""
        return expected_calibration_error(self._confidences, self._right, equal_mass=True)

    @functools.cached_property
    def brier(self) -> float:
        """Mean squared difference of confidence and truth."""
        return brier(self._confidences, self._right)

    @functools.cached_property
    def mean_confidence(self) -> float:
        """Which share of the readings the model takes for right."""
        return float(self._confidences.mean())

    @functools.cached_property
    def reliability(self) -> list[Bin]:
        """How often readings of some confidence are right."""
        return bins(self._confidences, self._right)

    @functools.cached_property
    def risk_coverage(self) -> RiskCoverage:
        """How errors fall as the least sure pictures are refused."""
        return RiskCoverage(self._confidences, self._counts["edits"], self._counts["characters"], self._right)

    @property
    def _right(self) -> NDArray[np.bool_]:
        return self._counts["exact_matches"] > 0

    def _by_size(self, sizes: Sequence[int], starts: Sequence[int]) -> list[Group]:
        places = np.searchsorted(starts, sizes, side="right").tolist()
        names = [f"up to {starts[0] - 1}"]
        names += [f"{start}–{end - 1}" for start, end in pairwise(starts)]
        names.append(f"{starts[-1]} and more")
        return self._grouped([names[place] for place in places], names)

    def _grouped(self, names: Sequence[str], order: Sequence[str]) -> list[Group]:
        """The groups of pictures of one name, in an order; those without pictures are left out."""
        members: dict[str, list[int]] = defaultdict(list)
        for i, name in enumerate(names):
            members[name].append(i)
        return [self._group(name, members[name]) for name in order if name in members]

    def _group(self, name: str, members: list[int]) -> Group:
        own = {of: column[members] for of, column in self._counts.items()}
        characters, edits = int(own["characters"].sum()), int(own["edits"].sum())
        cer, exact = _rate(own["edits"], own["characters"]), bootstrap.ratio(own["exact_matches"], own["samples"])
        return Group(name, len(members), characters, edits, cer, exact)


def _rate(edits: NDArray[np.float64], characters: NDArray[np.float64]) -> Estimate | None:
    return bootstrap.ratio(edits, characters) if characters.any() else None
