"""Labeled samples, what a system recognizes in them, and how each prediction differs from its reference."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from crnnocr.config import DecodeConfig, ReadConfig
from crnnocr.datasets import Sample
from crnnocr.datasets.groups import group_id
from crnnocr.datasets.lines import content_id
from crnnocr.decoding.decoder import Decoder
from crnnocr.errors import DataError, ImageError
from crnnocr.inference.pipeline import paired
from crnnocr.inference.recognizer import Prediction, Recognizer
from crnnocr.metrics.scores import Counts, Scorer, Scores, count
from crnnocr.text.charset import canonical
from crnnocr.text.normalization import Normalization

Predictions: TypeAlias = Iterable[tuple[Sample, Prediction]]
"""Samples, each with its prediction."""


@dataclass(frozen=True)
class System:
    """A model to evaluate, with its decoder and its views of images."""

    model: str
    """Name of the model."""
    recognizer: Recognizer
    decoder: Decoder
    """As `Recognizer.decoder` makes it."""
    read_config: ReadConfig = field(default_factory=ReadConfig)
    options: str = ""
    """Decoding options that differ from the defaults, in words."""
    name: str = ""
    """Unique among the systems of a comparison; by default the name of the model."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.name or self.model)

    def predict(self, samples: Iterable[Sample]) -> Iterator[tuple[Sample, Prediction]]:
        """Recognize the image of each sample, in order."""
        return predict_samples(self.recognizer, samples, self.decoder, self.read_config)


@dataclass(frozen=True, slots=True)
class Outcome:
    """A sample and its scored prediction."""

    sample: Sample
    reference: str
    """The label, in the form that predictions have (`text.charset.canonical`), normalized for comparison."""
    predicted: str
    """The text of the prediction, normalized alike."""
    prediction: Prediction
    """As the recognizer gave it."""
    counts: Counts

    @property
    def is_correct(self) -> bool:
        """Whether the prediction is an exact match after normalization."""
        return self.reference == self.predicted


@dataclass(frozen=True)
class EvalResult:
    """The scored predictions of one system."""

    scores: Scores
    unreadable: tuple[str, ...]
    """Why each image that could not be read was not scored."""
    outcomes: tuple[Outcome, ...] = ()
    """All scored samples, in their order."""
    normalization: Normalization = field(default_factory=Normalization)
    """Applied to references and predictions before they were compared."""


def unseen(samples: Sequence[Sample], *recognizers: Recognizer) -> list[Sample]:
    """Keep the samples whose image, by the content of its file, was in no model's training data, nor any of their group."""
    trained_on = frozenset[int]().union(*(recognizer.trained_on for recognizer in recognizers))
    if not trained_on:
        return list(samples)
    of_other_groups = (sample for sample in samples if not sample.group or group_id(sample.group) not in trained_on)
    return [sample for sample in of_other_groups if _content_id(sample) not in trained_on]


def _content_id(sample: Sample) -> int | None:
    try:
        return content_id(sample.read())
    except ImageError:  # reported when the sample is recognized
        return None


def predict_samples(
    recognizer: Recognizer,
    samples: Iterable[Sample],
    decode: DecodeConfig | Decoder,
    read_config: ReadConfig = ReadConfig(),  # noqa: B008 (frozen)
) -> Iterator[tuple[Sample, Prediction]]:
    """Recognize the image of each sample, in order."""
    return paired(samples, lambda images: recognizer.predict(images, decode, read_config))


def score_samples(
    predictions: Predictions,
    normalization: Normalization = Normalization(),  # noqa: B008 (frozen)
) -> EvalResult:
    """Compare predictions with the labels. An image that no permitted text fits counts as predicted empty.

    Raises `DataError` if no image could be read.
    """
    scorer = Scorer()
    outcomes: list[Outcome] = []
    unreadable: list[str] = []
    for sample, prediction in predictions:
        if prediction.error is None or prediction.is_impossible:
            reference, predicted = normalization(canonical(sample.text)), normalization(prediction.text)
            outcomes.append(Outcome(sample, reference, predicted, prediction, count(reference, predicted)))
            scorer.add(outcomes[-1].counts)
        else:
            unreadable.append(prediction.error)
    if unreadable and not scorer.samples:
        if len(unreadable) == 1:
            raise DataError(f"the image could not be read ({unreadable[0]})")
        raise DataError(f"none of the {len(unreadable):,} images could be read (first: {unreadable[0]})")
    return EvalResult(scorer.summary(), tuple(unreadable), tuple(outcomes), normalization)


def count_columns(outcomes: Sequence[Outcome]) -> dict[str, NDArray[np.float64]]:
    """Give each field of `Counts` as a column: (N,) one number for each outcome."""
    return {name: np.array([getattr(each.counts, name) for each in outcomes], dtype=np.float64) for name in Counts._fields}
