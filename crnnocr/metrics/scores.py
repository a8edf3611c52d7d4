"""The metrics that predictions are scored by: one table, which JSON, terminal, HTML page and model cards all read.

To add a metric, add a row to `METRICS`; if its ratio needs a new count, add a field to `Counts` and fill it in `count`.

A character is a code point after NFC. An edit replaces, removes or inserts one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import Levenshtein

from crnnocr.errors import DataError
from crnnocr.text.charset import nfc


class Counts(NamedTuple):
    """The counts of one sample, or their sums over many."""

    samples: int = 0
    characters: int = 0
    """Characters of the reference."""
    edits: int = 0
    """Levenshtein distance of reference and prediction, in characters."""
    words: int = 0
    """Words of the reference, separated by white space."""
    word_edits: int = 0
    """Levenshtein distance in whole words."""
    exact_matches: int = 0
    """Samples whose prediction is the reference."""
    similarity: float = 0.0
    """1 minus the distance divided by the length of the longer text, summed over the samples."""
    alphanumeric_matches: int = 0
    """Samples whose prediction is the reference if only letters and digits count, and not their case."""


class Unit(StrEnum):
    """The unit of a metric."""

    CHARACTERS = "characters"
    PERCENT = "percent"


class Better(StrEnum):
    """The better direction of a metric."""

    LOWER = "lower"
    HIGHER = "higher"


@dataclass(frozen=True)
class Metric:
    """A ratio of two counts, each summed over all samples, and how to show it."""

    key: str
    """Its name in JSON and in model cards, which never changes."""
    title: str
    short_title: str
    """For narrow tables."""
    numerator: str
    """Field of `Counts`."""
    denominator: str
    """Field of `Counts`."""
    better: Better
    unit: Unit = Unit.PERCENT
    is_headline: bool = False
    """Whether one line about a model names it."""

    @property
    def best(self) -> float:
        """The value if every prediction is right."""
        return 0.0 if self.better is Better.LOWER else 1.0

    def format(self, value: float) -> str:
        """Write a value for people: `12.34%`, or `1.800` characters."""
        return f"{value:.2%}" if self.unit is Unit.PERCENT else f"{value:.3f}"

    def format_difference(self, value: float) -> str:
        """Write a difference of two values with its sign, in percentage points or characters."""
        written = f"{value * 100:+.2f}" if self.unit is Unit.PERCENT else f"{value:+.3f}"
        return written.replace("-", "−")


METRICS: Mapping[str, Metric] = {
    metric.key: metric
    for metric in (
        Metric(
            key="mean_levenshtein",
            title="mean Levenshtein distance",
            short_title="Levenshtein",
            numerator="edits",
            denominator="samples",
            better=Better.LOWER,
            unit=Unit.CHARACTERS,
            is_headline=True,
        ),
        Metric(
            key="cer",
            title="character error rate (CER)",
            short_title="CER",
            numerator="edits",
            denominator="characters",
            better=Better.LOWER,
            is_headline=True,
        ),
        Metric(
            key="wer",
            title="word error rate (WER)",
            short_title="WER",
            numerator="word_edits",
            denominator="words",
            better=Better.LOWER,
            is_headline=True,
        ),
        Metric(
            key="exact",
            title="exact match",
            short_title="exact",
            numerator="exact_matches",
            denominator="samples",
            better=Better.HIGHER,
            is_headline=True,
        ),
        Metric(  # 1-N.E.D. of ICDAR's competitions
            key="one_minus_ned",
            title="1 - NED",
            short_title="1 - NED",
            numerator="similarity",
            denominator="samples",
            better=Better.HIGHER,
        ),
        Metric(  # what papers on scene text report
            key="alnum_accuracy",
            title="alphanumeric, any case",
            short_title="alphanumeric",
            numerator="alphanumeric_matches",
            denominator="samples",
            better=Better.HIGHER,
        ),
    )
}
"""Every metric by its key, in the order in which they are shown. Error rates may exceed 100 %."""


def headline(values: Mapping[str, float]) -> str:
    """Name the headline metrics that have a value, in one line; empty if none has."""
    named = ((metric, values.get(key)) for key, metric in METRICS.items() if metric.is_headline)
    return ", ".join(f"{metric.title} {metric.format(value)}" for metric, value in named if value is not None)


@dataclass(frozen=True)
class Scores:
    """The values of all metrics over some samples."""

    n: int
    """Number of samples."""
    values: Mapping[str, float]
    """By the keys of `METRICS`."""

    def __getitem__(self, key: str) -> float:
        return self.values[key]

    @property
    def cer(self) -> float:
        """Character error rate: all edits divided by all characters of the references."""
        return self["cer"]

    @property
    def exact_match(self) -> float:
        """Share of samples whose prediction is the reference."""
        return self["exact"]

    def to_json(self) -> dict[str, float]:
        """Give the number of samples as `n`, and each metric by its key."""
        return {"n": self.n, **self.values}


class Scorer:
    """Sums the counts of samples.

    Example::

        scorer = Scorer()
        scorer.update("kitten", "sitting")
        scorer.summary().cer  # 3 edits in 6 characters: 0.5
    """

    def __init__(self) -> None:
        self._sums = Counts()

    @property
    def samples(self) -> int:
        """Number of samples so far."""
        return self._sums.samples

    def update(self, reference: str, prediction: str) -> None:
        """Add one sample."""
        self.add(count(reference, prediction))

    def add(self, counts: Counts) -> None:
        """Add samples that are already counted."""
        self._sums = Counts._make(map(sum, zip(self._sums, counts, strict=True)))

    def summary(self) -> Scores:
        """Score all samples so far. Raises `DataError` if there are none."""
        if not self.samples:
            raise DataError("there is nothing to score")
        sums = self._sums._asdict()
        values = {key: sums[metric.numerator] / max(sums[metric.denominator], 1) for key, metric in METRICS.items()}
        return Scores(self.samples, values)


def count(reference: str, prediction: str) -> Counts:
    """Count what one sample adds to the scores."""
    reference, prediction = nfc(reference), nfc(prediction)
    edits = Levenshtein.distance(reference, prediction)
    return Counts(
        samples=1,
        characters=len(reference),
        edits=edits,
        words=len(reference.split()),
        word_edits=Levenshtein.distance(reference.split(), prediction.split()),
        exact_matches=int(reference == prediction),
        similarity=1 - edits / max(len(reference), len(prediction), 1),
        alphanumeric_matches=int(alphanumeric(reference) == alphanumeric(prediction)),
    )


def alphanumeric(text: str) -> str:
    """Keep the letters and digits of `text`, case-folded: what papers on scene text compare."""
    return "".join(filter(str.isalnum, text.casefold()))
