"""How figures are written for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from crnnocr.bootstrap import Estimate
from crnnocr.evaluation.analysis import Group
from crnnocr.evaluation.comparison import Comparison
from crnnocr.metrics import ERRORS

NAMES = {
    "mean_levenshtein": "mean Levenshtein distance",
    "cer": "character error rate (CER)",
    "wer": "word error rate (WER)",
    "exact": "exact match",
    "one_minus_ned": "1 - NED",
    "alnum_accuracy": "alphanumeric, any case",
}
"""Each score in words."""
SHORT_NAMES = {
    "mean_levenshtein": "Levenshtein",
    "cer": "CER",
    "wer": "WER",
    "exact": "exact",
    "one_minus_ned": "1 - NED",
    "alnum_accuracy": "alphanumeric",
}
"""Each score in a word."""


def value(name: str, number: float) -> str:
    """A score: a distance in characters, else in per cent."""
    return f"{number:.3f}" if name == "mean_levenshtein" else percent(number)


def percent(number: float, digits: int = 2) -> str:
    """A share in per cent."""
    return f"{number:.{digits}%}"


def interval(name: str, estimate: Estimate) -> str:
    """Where the score may lie."""
    return f"{value(name, estimate.low)} – {value(name, estimate.high)}"


def is_perfect(name: str, estimate: Estimate) -> bool:
    """Whether a score is as good as it can be: its interval is a point then, and says nothing."""
    return estimate.value == (0 if name in ERRORS else 1)


def rate(estimate: Estimate | None) -> tuple[str, str]:
    """An error rate and where it may lie, for a table; dashes where there is nothing to divide by."""
    if estimate is None:
        return "–", "–"
    return percent(estimate.value), "no error seen" if estimate.value == 0 else interval("cer", estimate)


def largest(groups: Sequence[Group], most: int) -> tuple[Sequence[Group], int]:
    """The groups of the most pictures, and how many others there are; where there are few, all in their own order."""
    if len(groups) <= most:
        return groups, 0
    return sorted(groups, key=lambda group: -group.n)[:most], len(groups) - most


def compared(comparison: Comparison, names: Mapping[str, str] = NAMES) -> Iterator[tuple[str, ...]]:
    """Two readers' scores, a row each: its name, both values, their difference, its interval, and who is better how often."""
    for name, difference in comparison.differences.items():
        yield (
            names[name],
            value(name, getattr(comparison.first, name)),
            value(name, getattr(comparison.second, name)),
            signed(name, difference.value),
            f"{signed(name, difference.low)} … {signed(name, difference.high)}",
            percent(comparison.chance(name), 1),
        )


def signed(name: str, number: float) -> str:
    """A difference of a score, in points."""
    written = f"{number:+.3f}" if name == "mean_levenshtein" else f"{number * 100:+.2f}"
    return written.replace("-", "−")
