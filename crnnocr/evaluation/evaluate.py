"""The whole of an evaluation: one system, or two to compare, on labeled images."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from crnnocr.datasets import Dataset, Sample
from crnnocr.datasets.issues import Issue, merged
from crnnocr.datasets.lint.labels import describe_unknown_characters
from crnnocr.errors import DataError
from crnnocr.evaluation.analysis import Analysis
from crnnocr.evaluation.comparison import Comparison, compare
from crnnocr.evaluation.outcomes import EvalResult, Predictions, System, score_samples, unseen
from crnnocr.formatting import plural
from crnnocr.model.card import Card
from crnnocr.runtime import cores
from crnnocr.text.normalization import Normalization

_LATENCY_SAMPLES = 50

Track: TypeAlias = Callable[[Predictions, int], Predictions]
"""Passes predictions on as they come, given their number: for a progress bar."""


@dataclass(frozen=True)
class Speed:
    """Speed from opening image files to having their texts; loading the model does not count."""

    engine: str
    threads: int
    images: int
    """Images recognized together, for the throughput."""
    seconds: float
    """Wall-clock time for all of them."""
    latency_ms: float
    """Median time for a single image with one thread."""
    latency_p95_ms: float
    """95th percentile of that."""

    @property
    def images_per_second(self) -> float:
        """Throughput."""
        return self.images / max(self.seconds, 1e-9)


@dataclass(frozen=True)
class Evaluation:
    """Everything that an evaluation found, for reports to show."""

    models: tuple[str, ...]
    """The evaluated model, and the one it is compared with if that is another model."""
    data: tuple[str, ...]
    """Names of the data sets."""
    formats: tuple[str, ...]
    """Formats of the data sets, in words."""
    options: str
    """Decoding options that differ from the defaults, in words."""
    analysis: Analysis
    speed: Speed
    comparison: Comparison | None = None
    issues: Sequence[Issue] = ()
    """Parts of the data that could not be used."""
    trained_on: int = 0
    """Samples that were left out because a model was trained on them."""
    unknown: Sequence[str] = ()
    """Characters of the labels that are not in the model's charset, in words."""

    @property
    def model(self) -> str:
        """The evaluated model."""
        return self.models[0]


class Evaluator:
    """Evaluates a system on labeled images, and may compare it with another one.

    Example::

        system = System("mine", recognizer, recognizer.decoder(DecodeConfig()))
        evaluation = Evaluator(load_datasets([Path("crops")]), system).run()
        print(evaluation.analysis.scores["cer"])
    """

    def __init__(
        self,
        datasets: Sequence[Dataset],
        system: System,
        other: System | None = None,
        normalization: Normalization = Normalization(),  # noqa: B008 (frozen)
        *,
        everything: bool = False,
        names: Sequence[str] = (),
    ) -> None:
        """Select the samples that no system's model was trained on.

        Args:
            datasets: as `load_datasets` gives them.
            system: to be evaluated.
            other: to compare it with.
            normalization: differences between label and prediction that do not count.
            everything: keep the samples that a model was trained on, too.
            names: of the data sets; by default their folders or label files.

        Raises:
            DataError: a model was trained on every sample.
        """
        self.system, self._other, self._normalization, self._datasets = system, other, normalization, datasets
        self.names = tuple(names or (str(dataset.source) for dataset in datasets))
        systems = [system, other] if other else [system]
        self.models = tuple(dict.fromkeys(each.model for each in systems))
        """The models whose training data is left out."""
        samples = [sample for dataset in datasets for sample in dataset.samples]
        self.unknown = describe_unknown_characters(samples, system.recognizer.card.charset)
        """Characters of the labels that are not in the model's charset, in words."""
        self.samples = samples if everything else unseen(samples, *(each.recognizer for each in systems))
        """The samples to evaluate on."""
        self.trained_on = len(samples) - len(self.samples)
        """Number of samples left out."""
        if not self.samples:
            raise DataError(
                f"{' or '.join(self.models)} was trained on all of {', '.join(self.names)} "
                f"({plural(self.trained_on, 'image')}){_cross_validated(system.recognizer.card)}: "
                "give others, or score them with `everything`"
            )

    def run(self, track: Track = lambda predictions, total: predictions) -> Evaluation:
        """Recognize all samples, with one system after the other, and score them."""
        result, seconds = self._score(self.system, track)
        comparison = None
        if self._other:
            second, _ = self._score(self._other, track)
            comparison = compare(self.system.name, result, self._other.name, second)
        return Evaluation(
            models=self.models,
            data=self.names,
            formats=tuple(dataset.format for dataset in self._datasets),
            options=self.system.options,
            analysis=Analysis(result, _sources(self._datasets, self.names)),
            speed=_speed(self.system, [outcome.sample for outcome in result.outcomes], len(self.samples), seconds),
            comparison=comparison,
            issues=merged(issue for dataset in self._datasets for issue in dataset.issues),
            trained_on=self.trained_on,
            unknown=self.unknown,
        )

    def _score(self, system: System, track: Track) -> tuple[EvalResult, float]:
        """Score a system on all samples, and time the recognition in seconds."""
        started = time.perf_counter()
        predictions = list(track(system.predict(self.samples), len(self.samples)))
        seconds = time.perf_counter() - started
        return score_samples(predictions, self._normalization), seconds


def _sources(datasets: Sequence[Dataset], names: Sequence[str]) -> dict[Sample, str]:
    """Group samples by data set if there are several, and by top-level folder if there is one."""
    if len(datasets) > 1:
        return {sample: name for name, dataset in zip(names, datasets, strict=True) for sample in dataset.samples}
    (dataset,) = datasets
    folder = dataset.source if dataset.source.is_dir() else dataset.source.parent
    sources: dict[Sample, str] = {}
    for sample in dataset.samples:
        inside = sample.path.is_relative_to(folder) and sample.path.relative_to(folder).parts[:-1]
        sources[sample] = inside[0] if inside else "."
    return sources


def _speed(system: System, samples: Sequence[Sample], images: int, seconds: float) -> Speed:
    """Complete the speed of a system that recognized some images in so many seconds by its latency on a few of them."""
    alone = replace(system.read_config, threads=1)
    times = []
    for sample in samples[:: max(1, len(samples) // _LATENCY_SAMPLES)][:_LATENCY_SAMPLES]:
        started = time.perf_counter()
        list(system.recognizer.predict(sample, system.decoder, alone))
        times.append(1000 * (time.perf_counter() - started))
    median, p95 = np.percentile(times, [50, 95]).tolist()
    engine, threads = system.recognizer.engine.description, system.read_config.threads or cores()
    return Speed(engine, threads, images, seconds, latency_ms=median, latency_p95_ms=p95)


def _cross_validated(card: Card) -> str:
    """How a model was measured on the images that it was trained on; empty if it was not."""
    if not card.training or not card.training.data.folds or not card.scores:
        return ""
    return f", and measured on them in {card.training.data.folds}-fold cross-validation: CER {card.scores.cer:.2%}"
