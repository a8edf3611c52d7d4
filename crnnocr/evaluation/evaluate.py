"""All that an evaluation has found, and a report tells of.

The whole of an evaluation: labelled pictures are read by one reader or by two, and measured.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from crnnocr.datasets import Dataset, Sample
from crnnocr.datasets.issues import Issue, merged
from crnnocr.datasets.lint.labels import describe_unknown_characters
from crnnocr.errors import DataError
from crnnocr.evaluation.analysis import Analysis
from crnnocr.evaluation.comparison import Comparison, compare
from crnnocr.evaluation.outcomes import EvalResult, Reader, Speed, measure, read_samples, score, sources, timed, unseen
from crnnocr.formatting import plural
from crnnocr.inference.recognizer import Prediction
from crnnocr.text.normalization import Normalization


@dataclass(frozen=True)
class Evidence:
    """What was measured, of what."""

    models: tuple[str, ...]
    """The model that is measured, and the one that it is compared with if that is another."""
    data: tuple[str, ...]
    """Folders and label files, as they were named."""
    formats: tuple[str, ...]
    """Their formats, in words."""
    options: str
    """How texts were found, in words; empty where by the defaults."""
    analysis: Analysis
    """How well the model reads."""
    speed: Speed
    """How fast."""
    comparison: Comparison | None = None
    """With another reader, if there is one."""
    issues: Sequence[Issue] = ()
    """What of the data could not be used."""
    trained_on: int = 0
    """Pictures that were left out since a model was trained on them."""
    unknown: Sequence[str] = ()
    """Characters of the labels that the model does not know, in words."""

    @property
    def model(self) -> str:
        """The model that is measured."""
        return self.models[0]


Readings: TypeAlias = Iterable[tuple[Sample, Prediction]]
Track: TypeAlias = Callable[[Readings, int], Readings]


class Evaluation:
    """Labelled pictures, and who reads them."""

    def __init__(
        self,
        datasets: Sequence[Dataset],
        reader: Reader,
        other: Reader | None = None,
        normalization: Normalization = Normalization(),  # noqa: B008 (frozen)
        *,
        everything: bool = False,
        names: Sequence[str] = (),
    ) -> None:
        """Choose the pictures: those that no reader's model was trained on.

        Args:
            datasets: the labelled pictures, as `load_datasets` gives them.
            reader: what is measured.
            other: what it is compared with.
            normalization: which differences between label and reading do not count.
            everything: take the pictures that a model was trained on, too.
            names: what to call the data sets; by default their folder or label file.

        Raises:
            DataError: the models were trained on all pictures.
        """
        self.reader, self._other, self._normalisation, self._datasets = reader, other, normalization, datasets
        self.names = tuple(names or (str(dataset.source) for dataset in datasets))
        """What the data sets are called."""
        readers = [reader, other] if other else [reader]
        self.models = tuple(dict.fromkeys(each.model for each in readers))
        """Whose training counts."""
        samples = [sample for dataset in datasets for sample in dataset.samples]
        self.unknown = describe_unknown_characters(samples, reader.recognizer.card.charset)
        """Characters of the labels that the model does not know, in words."""
        self.samples = samples if everything else unseen(samples, *(each.recognizer for each in readers))
        """The pictures that are read."""
        self.trained_on = len(samples) - len(self.samples)
        """Pictures that are left out."""
        if not self.samples:
            raise DataError(
                f"{' or '.join(self.models)} was trained on all of {', '.join(self.names)} "
                f"({plural(self.trained_on, 'picture')}): give others, or score them with --all"
            )

    def measure(self, track: Track = lambda readings, total: readings) -> Evidence:
        """Read the pictures, and measure.

        Args:
            track: is given the readings of each reader and their number, and gives them on: for a progress bar.
        """
        result, seconds = self._read(self.reader, track)
        comparison = None
        if self._other:
            second, _ = self._read(self._other, track)
            comparison = compare(self.reader.name, result, self._other.name, second)
        samples = [outcome.sample for outcome in result.outcomes]
        return Evidence(
            self.models,
            self.names,
            tuple(dataset.format for dataset in self._datasets),
            self.reader.options,
            Analysis(result, sources(self._datasets, self.names)),
            measure(self.reader, samples, len(self.samples), seconds),
            comparison,
            merged(issue for dataset in self._datasets for issue in dataset.issues),
            self.trained_on,
            self.unknown,
        )

    def _read(self, reader: Reader, track: Track) -> tuple[EvalResult, float]:
        """What a reader reads, and in how many seconds."""
        readings = read_samples(reader.recognizer, self.samples, reader.decoder, reader.read)
        read, seconds = timed(track(readings, len(self.samples)))
        return score(read, self._normalisation), seconds
