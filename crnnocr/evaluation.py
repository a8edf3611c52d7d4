"""A model over labelled pictures, scored."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from crnnocr.config import DecodeConfig, ReadConfig
from crnnocr.datasets import Sample
from crnnocr.datasets.split import content_id
from crnnocr.decoders.decoder import Decoder
from crnnocr.errors import DataError, ImageError
from crnnocr.metrics import Scorer, Scores
from crnnocr.pipeline import paired
from crnnocr.recognizer import Prediction, Recognizer


@dataclass(frozen=True)
class EvalResult:
    """What came of an evaluation."""

    scores: Scores
    """Over all pictures that could be read."""
    unreadable: tuple[str, ...]
    """Why each of the others could not; they are not scored."""


def unseen(samples: Sequence[Sample], recognizer: Recognizer) -> list[Sample]:
    """The samples whose pictures the model was not trained on, by the content of their files."""
    if not recognizer.trained_on:
        return list(samples)
    return [sample for sample in samples if _content_id(sample) not in recognizer.trained_on]


def _content_id(sample: Sample) -> int | None:
    try:
        return content_id(sample.read())
    except ImageError:  # it will be reported when it is to be read
        return None


def read_samples(
    recognizer: Recognizer,
    samples: Iterable[Sample],
    decode: DecodeConfig | Decoder,
    read: ReadConfig = ReadConfig(),  # noqa: B008 (frozen)
) -> Iterator[tuple[Sample, Prediction]]:
    """Read each sample's picture, in their order."""
    return paired(samples, lambda them: recognizer.predict(them, decode, read))


def score(readings: Iterable[tuple[Sample, Prediction]]) -> EvalResult:
    """Compare what was read with the labels: where no permitted text fits a picture, the empty text.

    Raises `DataError` where not one picture could be read.
    """
    scorer = Scorer()
    unreadable: list[str] = []
    for sample, prediction in readings:
        if prediction.error is None or prediction.is_impossible:
            scorer.update(sample.text, prediction.text)
        else:
            unreadable.append(prediction.error)
    if unreadable and not scorer.pairs:
        raise DataError(f"none of the {len(unreadable)} pictures could be read (first: {unreadable[0]})")
    return EvalResult(scorer.summary(), tuple(unreadable))
