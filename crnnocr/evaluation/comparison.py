"""Two readers of the same pictures: who reads better, how surely, and where they differ."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crnnocr.evaluation.outcomes import EvalResult, Outcome
from crnnocr.formatting import plural
from crnnocr.metrics import bootstrap
from crnnocr.metrics.bootstrap import Difference
from crnnocr.metrics.scores import METRICS, Better, Counts, Scorer, Scores

_LEAST_CHANGES = 6
"""Pictures that must be read better or worse for a winner to be sure: of five, all in one direction, a test of signs is not."""


@dataclass(frozen=True)
class Change:
    """A picture that one reader reads otherwise than the other."""

    first: Outcome
    """What the first one read."""
    second: Outcome
    """What the other one read."""

    @property
    def edits(self) -> int:
        """How many edits more the first one needs: below 0 where it reads better."""
        return self.first.counts.edits - self.second.counts.edits


@dataclass(frozen=True)
class Comparison:
    """What came of comparing two readers."""

    first_name: str
    """What the first reader is called."""
    second_name: str
    """What the other one is called."""
    n: int
    """Pictures that both could read."""
    first: Scores
    """Of the first reader on these."""
    second: Scores
    """Of the other one."""
    differences: dict[str, Difference]
    """Each score of the first minus that of the other."""
    changes: tuple[Change, ...]
    """The pictures that were not read alike, in their order."""

    @property
    def better(self) -> list[Change]:
        """What the first reads better, by the most edits first."""
        return sorted((change for change in self.changes if change.edits < 0), key=lambda change: change.edits)

    @property
    def worse(self) -> list[Change]:
        """What the first reads worse, by the most edits first."""
        return sorted((change for change in self.changes if change.edits > 0), key=lambda change: -change.edits)

    @property
    def only_first(self) -> int:
        """Pictures that only the first reads without an error."""
        return sum(change.first.is_right and not change.second.is_right for change in self.changes)

    @property
    def only_second(self) -> int:
        """Pictures that only the other reads without an error."""
        return sum(change.second.is_right and not change.first.is_right for change in self.changes)

    @property
    def p_exact(self) -> float:
        """McNemar's exact test: how likely chance alone makes the two counts differ as much, if both read as many right."""
        few, all = min(self.only_first, self.only_second), self.only_first + self.only_second
        return min(1.0, 2 * _binomial_below(few, all))

    def chance(self, score: str) -> float:
        """The share of draws in which the first is better by a score; equals count half."""
        above = self.differences[score].above
        return 1 - above if METRICS[score].better is Better.LOWER else above

    @property
    def winner(self) -> str | None:
        """Who reads better by the character error rate; None where that cannot be told."""
        is_sure = self.differences["cer"].is_sure and len(self.better) + len(self.worse) >= _LEAST_CHANGES
        return self._ahead[0] if is_sure else None

    @property
    def verdict(self) -> str:
        """Who reads better by the character error rate, and how surely, in a sentence."""
        if not self.changes:
            return "both read the same in all pictures"
        if not (self.better or self.worse):
            return "both make as many edits in every picture"
        chance, (ahead, behind) = self.chance("cer"), self._ahead
        share = f"in {_share(max(chance, 1 - chance))} of the draws"
        if self.winner is None:
            differing = plural(len(self.better) + len(self.worse), "picture that differs", "pictures that differ")
            return f"who reads better cannot be told from the {differing}: {ahead} {share}"
        return f"{ahead} reads better than {behind}: {share}"

    @property
    def _ahead(self) -> tuple[str, str]:
        """Who is better in more of the draws, and the other one."""
        names = self.first_name, self.second_name
        return names if self.chance("cer") >= 0.5 else names[::-1]


def compare(first_name: str, first: EvalResult, second_name: str, second: EvalResult) -> Comparison:
    """Compare two readers on the pictures that both could read. Raises `DataError` where there are none."""
    others = {outcome.sample: outcome for outcome in second.outcomes}
    pairs = [Change(outcome, others[outcome.sample]) for outcome in first.outcomes if outcome.sample in others]
    columns, other_columns = (_columns([each.first for each in pairs]), _columns([each.second for each in pairs]))
    scores, other_scores = _scores([each.first for each in pairs]), _scores([each.second for each in pairs])
    differences = {
        key: bootstrap.difference(
            columns[each.numerator],
            columns[each.denominator],
            other_columns[each.numerator],
            other_columns[each.denominator],
        )
        for key, each in METRICS.items()
    }
    changes = tuple(pair for pair in pairs if pair.first.reading != pair.second.reading)
    return Comparison(first_name, second_name, len(pairs), scores, other_scores, differences, changes)


def _columns(outcomes: Sequence[Outcome]) -> dict[str, NDArray[np.float64]]:
    return {name: np.array([getattr(each.counts, name) for each in outcomes], dtype=np.float64) for name in Counts._fields}


def _scores(outcomes: Sequence[Outcome]) -> Scores:
    scorer = Scorer()
    for outcome in outcomes:
        scorer.add(outcome.counts)
    return scorer.summary()


def _binomial_below(k: int, n: int) -> float:
    """The probability of at most `k` heads in `n` throws of a fair coin."""
    logs = [math.lgamma(n + 1) - math.lgamma(i + 1) - math.lgamma(n - i + 1) - n * math.log(2) for i in range(k + 1)]
    return math.fsum(map(math.exp, logs))


def _share(value: float) -> str:
    """A share of the draws, never said to be all of them."""
    return f"{value:.1%}" if value < 1 - 1 / bootstrap.RESAMPLES else f"more than {1 - 1 / bootstrap.RESAMPLES:.2%}"
