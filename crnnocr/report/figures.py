"""How figures are written for people."""

from __future__ import annotations

from crnnocr.bootstrap import Estimate

NAMES = {
    "mean_levenshtein": "mean Levenshtein distance",
    "cer": "character error rate (CER)",
    "wer": "word error rate (WER)",
    "exact": "exact match",
    "one_minus_ned": "1 - NED",
    "alnum_accuracy": "alphanumeric, any case",
}
"""Each score in words."""


def value(name: str, number: float) -> str:
    """A score: a distance in characters, else in per cent."""
    return f"{number:.3f}" if name == "mean_levenshtein" else percent(number)


def percent(number: float, digits: int = 2) -> str:
    """A share in per cent."""
    return f"{number:.{digits}%}"


def interval(name: str, estimate: Estimate) -> str:
    """Where the score may lie."""
    return f"{value(name, estimate.low)} – {value(name, estimate.high)}"


def signed(name: str, number: float) -> str:
    """A difference of a score, in points."""
    written = f"{number:+.3f}" if name == "mean_levenshtein" else f"{number * 100:+.2f}"
    return written.replace("-", "−")
