"""The comparison of two systems on the same samples: which one is better, how certain that is, and where they differ."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from crnnocr.evaluation.outcomes import EvalResult, Outcome, count_columns
from crnnocr.formatting import plural
from crnnocr.metrics import bootstrap
from crnnocr.metrics.bootstrap import Difference
from crnnocr.metrics.scores import METRICS, Better, Scorer, Scores

_MIN_CHANGES = 6
"""Samples with more or fewer edits that a winner needs: a sign test on five is not significant even if all agree."""


@dataclass(frozen=True)
class Change:
    """A sample in which two systems differ."""

    first: Outcome
    second: Outcome

    @property
    def edits(self) -> int:
        """Edits of the first system minus those of the second: negative if the first is better."""
        return self.first.counts.edits - self.second.counts.edits


@dataclass(frozen=True)
class Comparison:
    """The scores of two systems on the samples that both could read, and their differences."""

    first_name: str
    second_name: str
    n: int
    """Number of samples."""
    first: Scores
    second: Scores
    differences: dict[str, Difference]
    """By metric, the first system minus the second."""
    changes: tuple[Change, ...]
    """The samples with different predictions, in their order."""

    @property
    def better(self) -> list[Change]:
        """Samples in which the first system has fewer edits, the largest difference first."""
        return sorted((change for change in self.changes if change.edits < 0), key=lambda change: change.edits)

    @property
    def worse(self) -> list[Change]:
        """Samples in which the first system has more edits, the largest difference first."""
        return sorted((change for change in self.changes if change.edits > 0), key=lambda change: -change.edits)

    @property
    def only_first(self) -> int:
        """Exact matches of the first system alone."""
        return sum(change.first.is_correct and not change.second.is_correct for change in self.changes)

    @property
    def only_second(self) -> int:
        """Exact matches of the second system alone."""
        return sum(change.second.is_correct and not change.first.is_correct for change in self.changes)

    @property
    def mcnemar_p(self) -> float:
        """P-value of McNemar's exact test that both systems have equally many exact matches."""
        smaller, total = min(self.only_first, self.only_second), self.only_first + self.only_second
        return min(1.0, 2 * _binomial_cdf(smaller, total))

    def probability_of_improvement(self, metric: str) -> float:
        """Share of the resamples in which the first system is better; ties count half (Bisani and Ney 2004, section 3)."""
        above = self.differences[metric].above
        return 1 - above if METRICS[metric].better is Better.LOWER else above

    @property
    def winner(self) -> str | None:
        """Name of the system with the significantly lower character error rate; None if the difference is not significant."""
        is_significant = self.differences["cer"].is_significant and len(self.better) + len(self.worse) >= _MIN_CHANGES
        return self._ranking[0] if is_significant else None

    @property
    def verdict(self) -> str:
        """One sentence on which system has the lower character error rate, and whether that is significant."""
        if not self.changes:
            return "both predict the same text for every image"
        if not (self.better or self.worse):
            return "both have the same number of errors in every image"
        probability, (ahead, behind) = self.probability_of_improvement("cer"), self._ranking
        share = f"better in {_share(max(probability, 1 - probability))} of the resamples"
        if self.winner is None:
            differing = plural(len(self.better) + len(self.worse), "image that differs", "images that differ")
            return f"no significant difference on the {differing}: {ahead} is {share}"
        return f"{ahead} is significantly better than {behind}: {share}"

    @property
    def _ranking(self) -> tuple[str, str]:
        """The system that is better in more of the resamples, and the other one."""
        names = self.first_name, self.second_name
        return names if self.probability_of_improvement("cer") >= 0.5 else names[::-1]


def compare(first_name: str, first: EvalResult, second_name: str, second: EvalResult) -> Comparison:
    """Compare two systems on the samples that both could read. Raises `DataError` if there are none."""
    others = {outcome.sample: outcome for outcome in second.outcomes}
    pairs = [Change(outcome, others[outcome.sample]) for outcome in first.outcomes if outcome.sample in others]
    ours, theirs = [pair.first for pair in pairs], [pair.second for pair in pairs]
    columns, other_columns = count_columns(ours), count_columns(theirs)
    return Comparison(
        first_name=first_name,
        second_name=second_name,
        n=len(pairs),
        first=_scores(ours),
        second=_scores(theirs),
        differences={
            key: bootstrap.difference(
                columns[each.numerator],
                columns[each.denominator],
                other_columns[each.numerator],
                other_columns[each.denominator],
            )
            for key, each in METRICS.items()
        },
        changes=tuple(pair for pair in pairs if pair.first.predicted != pair.second.predicted),
    )


def _scores(outcomes: Sequence[Outcome]) -> Scores:
    scorer = Scorer()
    for outcome in outcomes:
        scorer.add(outcome.counts)
    return scorer.summary()


def _binomial_cdf(k: int, n: int) -> float:
    """Compute the probability of at most `k` heads in `n` tosses of a fair coin."""
    logs = [math.lgamma(n + 1) - math.lgamma(i + 1) - math.lgamma(n - i + 1) - n * math.log(2) for i in range(k + 1)]
    return math.fsum(map(math.exp, logs))


def _share(value: float) -> str:
    """Write a share of the resamples; all of them only bound the probability."""
    bound = 1 - 1 / bootstrap.RESAMPLES
    return f"{value:.1%}" if value < bound else f"more than {bound:.2%}"
