"""The analysis of one system's predictions: scores with intervals, where the errors are, and how much confidences are worth."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from crnnocr.datasets import Sample
from crnnocr.evaluation.outcomes import EvalResult, Outcome, count_columns
from crnnocr.metrics import bootstrap, calibration
from crnnocr.metrics.bootstrap import Estimate
from crnnocr.metrics.calibration import Bin, RiskCoverage
from crnnocr.metrics.confusions import CharacterClass, Confusions, edits_by_class
from crnnocr.metrics.scores import METRICS

_LENGTHS = (4, 8, 16, 32, 64, 128)
"""First lengths of the groups of labels after the first, in characters."""
_WIDTHS = (32, 64, 128, 256, 512, 1024, 2048)
"""First widths of the groups of images after the first, in pixels."""


@dataclass(frozen=True)
class Group:
    """The scores of samples that have something in common."""

    name: str
    n: int
    """Number of samples."""
    characters: int
    """Characters of their references."""
    edits: int
    cer: Estimate | None
    """None if the references hold no characters."""
    exact_match: Estimate


@dataclass(frozen=True)
class ClassScore:
    """The error rate of a class of characters."""

    name: CharacterClass
    characters: int
    """Characters of this class in the references."""
    edits: int
    cer: Estimate | None
    """None if the references hold no characters of this class."""


class Analysis:
    """Computes the parts of an analysis when they are first asked for."""

    def __init__(self, result: EvalResult, sources: Mapping[Sample, str] | None = None) -> None:
        """Take the scored predictions, and the source of each sample (a data set or folder)."""
        self.result = result
        self.outcomes: Sequence[Outcome] = result.outcomes
        self.sources = sources or {}
        self._counts = count_columns(result.outcomes)
        self._confidences = np.array([outcome.prediction.confidence for outcome in result.outcomes])

    @functools.cached_property
    def scores(self) -> dict[str, Estimate]:
        """Estimate every metric, by its key."""
        counts = self._counts
        return {key: bootstrap.ratio(counts[each.numerator], counts[each.denominator]) for key, each in METRICS.items()}

    @property
    def errors_below(self) -> float | None:
        """The 95 % bound of the error rate if no error was seen; None if one was."""
        is_perfect = self.result.scores.exact_match == 1
        return bootstrap.rule_of_three(self.result.scores.n) if is_perfect else None

    @functools.cached_property
    def by_length(self) -> list[Group]:
        """Scores by the length of the label in characters."""
        return self._grouped_by_size([len(outcome.reference) for outcome in self.outcomes], _LENGTHS)

    @functools.cached_property
    def by_width(self) -> list[Group]:
        """Scores by the width of the image along its line, in pixels."""
        return self._grouped_by_size([outcome.prediction.length for outcome in self.outcomes], _WIDTHS)

    @functools.cached_property
    def by_source(self) -> list[Group]:
        """Scores by data set or folder."""
        names = [self.sources.get(outcome.sample, ".") for outcome in self.outcomes]
        return self._grouped(names, sorted(set(names)))

    @functools.cached_property
    def by_class(self) -> list[ClassScore]:
        """Error rates by class of characters."""
        tables: dict[CharacterClass, list[tuple[int, int]]] = defaultdict(list)
        for outcome in self.outcomes:
            for name, counts in edits_by_class(outcome.reference, outcome.predicted).items():
                tables[name].append(counts)
        classes = []
        for name in (each for each in CharacterClass if each in tables):
            # Samples without a character of the class take part in the resampling with zeros.
            table = np.zeros((len(self.outcomes), 2))
            table[: len(tables[name])] = tables[name]
            edits, characters = table.sum(axis=0).astype(int).tolist()
            classes.append(ClassScore(name, characters, edits, _error_rate(table[:, 0], table[:, 1])))
        return classes

    @functools.cached_property
    def confusions(self) -> Confusions:
        """All edits, counted."""
        confusions = Confusions()
        for outcome in self.outcomes:
            confusions.update(outcome.reference, outcome.predicted)
        return confusions

    @functools.cached_property
    def ece(self) -> float:
        """Expected calibration error in 15 bins of equal width."""
        return calibration.expected_calibration_error(self._confidences, self._correct)

    @functools.cached_property
    def ece_equal_mass(self) -> float:
        """Expected calibration error in 15 bins of equally many samples."""
        return calibration.expected_calibration_error(self._confidences, self._correct, equal_mass=True)

    @functools.cached_property
    def brier(self) -> float:
        """Brier score of the confidences."""
        return calibration.brier_score(self._confidences, self._correct)

    @functools.cached_property
    def mean_confidence(self) -> float:
        """The share of exact matches that the model expects."""
        return float(self._confidences.mean())

    @functools.cached_property
    def reliability(self) -> list[Bin]:
        """Accuracy against confidence."""
        return calibration.reliability(self._confidences, self._correct)

    @functools.cached_property
    def risk_coverage(self) -> RiskCoverage:
        """Error rates as the least confident samples are rejected."""
        return RiskCoverage(self._confidences, self._counts["edits"], self._counts["characters"], self._correct)

    @property
    def _correct(self) -> NDArray[np.bool_]:
        return self._counts["exact_matches"] > 0

    def _grouped_by_size(self, sizes: Sequence[int], starts: Sequence[int]) -> list[Group]:
        indices = np.searchsorted(starts, sizes, side="right").tolist()
        names = [f"up to {starts[0] - 1}"]
        names += [f"{start}–{end - 1}" for start, end in pairwise(starts)]
        names.append(f"{starts[-1]} and more")
        return self._grouped([names[index] for index in indices], names)

    def _grouped(self, names: Sequence[str], order: Sequence[str]) -> list[Group]:
        """Group the samples by one name each, in an order, without empty groups."""
        members: dict[str, list[int]] = defaultdict(list)
        for i, name in enumerate(names):
            members[name].append(i)
        return [self._group(name, members[name]) for name in order if name in members]

    def _group(self, name: str, members: list[int]) -> Group:
        counts = {field: column[members] for field, column in self._counts.items()}
        return Group(
            name=name,
            n=len(members),
            characters=int(counts["characters"].sum()),
            edits=int(counts["edits"].sum()),
            cer=_error_rate(counts["edits"], counts["characters"]),
            exact_match=bootstrap.ratio(counts["exact_matches"], counts["samples"]),
        )


def _error_rate(edits: NDArray[np.float64], characters: NDArray[np.float64]) -> Estimate | None:
    return bootstrap.ratio(edits, characters) if characters.any() else None
