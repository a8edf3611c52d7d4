"""A model and how it reads: what an evaluation measures.

A model over labelled pictures: reading them, and what came of it.

How fast a model reads.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from crnnocr.config import DecodeConfig, ReadConfig
from crnnocr.datasets import Dataset, Sample
from crnnocr.datasets.lines import content_id
from crnnocr.decoding.decoder import Decoder
from crnnocr.errors import DataError, ImageError
from crnnocr.inference.pipeline import paired
from crnnocr.inference.recognizer import Prediction, Recognizer
from crnnocr.metrics.scores import Counts, Scorer, Scores, count
from crnnocr.runtime import cores
from crnnocr.text.normalization import Normalization


@dataclass(frozen=True)
class Reader:
    """A model, how it finds texts, and what it does with pictures."""

    model: str
    """What the model is called."""
    recognizer: Recognizer
    """What reads."""
    decoder: Decoder
    """What finds texts, as `Recognizer.decoder` makes it."""
    read: ReadConfig = field(default_factory=ReadConfig)
    """What is done with the pictures."""
    options: str = ""
    """How texts are found, in words; empty where by the defaults."""
    name: str = ""
    """What to call it beside another reader; by default as its model."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.name or self.model)


@dataclass(frozen=True, slots=True)
class Outcome:
    """A labelled picture, and what was read in it."""

    sample: Sample
    """The picture and its label."""
    truth: str
    """The label as it is compared."""
    reading: str
    """What was read, as it is compared."""
    prediction: Prediction
    """What was read, as it is."""
    counts: Counts
    """What it adds to the scores."""

    @property
    def is_right(self) -> bool:
        """Whether it was read without an error that counts."""
        return self.truth == self.reading


@dataclass(frozen=True)
class EvalResult:
    """What came of an evaluation."""

    scores: Scores
    """Over all pictures that could be read."""
    unreadable: tuple[str, ...]
    """Why each of the others could not; they are not scored."""
    outcomes: tuple[Outcome, ...] = ()
    """The pictures that could be read, in their order."""
    normalization: Normalization = field(default_factory=Normalization)
    """What labels and readings were brought to before they were compared."""


def unseen(samples: Sequence[Sample], *recognizers: Recognizer) -> list[Sample]:
    """The samples whose pictures no model was trained on, by the content of their files."""
    trained_on = frozenset[int]().union(*(recognizer.trained_on for recognizer in recognizers))
    if not trained_on:
        return list(samples)
    return [sample for sample in samples if _content_id(sample) not in trained_on]


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


def score(
    readings: Iterable[tuple[Sample, Prediction]],
    normalization: Normalization = Normalization(),  # noqa: B008 (frozen)
) -> EvalResult:
    """Compare what was read with the labels: where no permitted text fits a picture, the empty text.

    Raises `DataError` where not one picture could be read.
    """
    scorer = Scorer()
    outcomes: list[Outcome] = []
    unreadable: list[str] = []
    for sample, prediction in readings:
        if prediction.error is None or prediction.is_impossible:
            truth, reading = normalization(sample.text), normalization(prediction.text)
            outcomes.append(Outcome(sample, truth, reading, prediction, count(truth, reading)))
            scorer.add(outcomes[-1].counts)
        else:
            unreadable.append(prediction.error)
    if unreadable and not scorer.samples:
        if len(unreadable) == 1:
            raise DataError(f"the picture could not be read ({unreadable[0]})")
        raise DataError(f"none of the {len(unreadable):,} pictures could be read (first: {unreadable[0]})")
    return EvalResult(scorer.summary(), tuple(unreadable), tuple(outcomes), normalization)


def sources(datasets: Sequence[Dataset], names: Sequence[str]) -> dict[Sample, str]:
    """Where each sample is from: of several data sets the name of one, of one the folder below it that its picture lies in."""
    if len(datasets) > 1:
        return {sample: name for name, dataset in zip(names, datasets, strict=True) for sample in dataset.samples}
    (dataset,) = datasets
    folder = dataset.source if dataset.source.is_dir() else dataset.source.parent
    found: dict[Sample, str] = {}
    for sample in dataset.samples:
        inside = sample.path.is_relative_to(folder) and sample.path.relative_to(folder).parts[:-1]
        found[sample] = inside[0] if inside else "."
    return found


_ALONE = 50
"""Pictures that are read one by one."""


@dataclass(frozen=True)
class Speed:
    """How fast pictures were read, from opening their files to their texts; loading the model does not count."""

    engine: str
    """What ran the network."""
    threads: int
    """Threads that worked."""
    pictures: int
    """Pictures that were read together."""
    seconds: float
    """What that took."""
    alone_ms: float
    """Median milliseconds for one picture alone, with one thread."""
    alone_p95_ms: float
    """The same in the slowest of twenty."""

    @property
    def per_second(self) -> float:
        """Pictures a second, read together."""
        return self.pictures / max(self.seconds, 1e-9)


def timed(readings: Iterable[tuple[Sample, Prediction]]) -> tuple[list[tuple[Sample, Prediction]], float]:
    """All readings, and the seconds until the last one."""
    started = time.perf_counter()
    read = list(readings)
    return read, time.perf_counter() - started


def measure(reader: Reader, samples: Sequence[Sample], pictures: int, seconds: float) -> Speed:
    """The speed of a reader that has read some pictures in so many seconds; some are read again, one by one."""
    alone = replace(reader.read, threads=1)
    times = []
    for sample in samples[:: max(1, len(samples) // _ALONE)][:_ALONE]:
        _, taken = timed((sample, prediction) for prediction in reader.recognizer.predict(sample, reader.decoder, alone))
        times.append(1000 * taken)
    median, slow = np.percentile(times, [50, 95]).tolist()
    return Speed(reader.recognizer.engine.description, reader.read.threads or cores(), pictures, seconds, median, slow)
