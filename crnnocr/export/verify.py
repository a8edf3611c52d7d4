"""Verification of an export: on images of many widths, alone and padded in batches, it must give the same as its model.

The images are those that come with crnnocr or anybody's, with varied copies if there are too few. Each side of the comparison
is a backend: a network that takes lines, or a self-contained graph that takes images.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from importlib import resources
from itertools import islice
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from crnnocr import images
from crnnocr.config import MAX_PIXELS
from crnnocr.datasets import Sample
from crnnocr.decoding.forward import text_log_probs
from crnnocr.decoding.hypothesis import Hypothesis, Ids, LogProbs, best_path, certainty, greedy_ids
from crnnocr.errors import DataError, GateError, ImageError
from crnnocr.formatting import plural
from crnnocr.graph import end_to_end
from crnnocr.images import ImageWarning, Preprocessor
from crnnocr.inference.engines import Engine, OnnxEngine
from crnnocr.metrics.scores import Scorer
from crnnocr.model.card import Card
from crnnocr.text.charset import BLANK

TOLERANCE = 1e-3
"""Largest accepted difference of two log-probabilities, as a share of the model's own one if that is below -1.

Rounding grows with the numbers: with weights twice as large as those of the models that come with crnnocr, log-probabilities
differ by up to 8e-3, of numbers below -10, and probabilities by 3e-4. Two texts tie if their paths are as near in each frame.
"""
MIN_AS_MANY_RIGHT = 0.99
"""An export that computes with other numbers must have at least this many texts right, as a share of those of the model.

A text that the model is not confident of changes with any rounding, now to a wrong one, now to the right one.
"""
MAX_CER_INCREASE = 0.001
"""By how much the character error rate of such an export may be above the model's."""
CONFIDENCE_TOLERANCE = 1e-3
"""Largest accepted error of a confidence that a graph computes in single precision."""
BATCH_SIZES = (1, 3, 8)
MIN_IMAGES = 1000
"""Images that such shares are counted over."""

_CHUNK = 24
"""Images in memory at a time: whole batches of each size."""
_SHOWN = 5
"""Mismatches in an error message; its details have all of them."""
_NOT_KEPT = "the export differs from the model, so it was not kept"
_GOLDEN_RATIO = 0.618033988749895
"""The fractional parts of its multiples are spread evenly between 0 and 1, however many there are."""

Gray = NDArray[np.uint8]
T = TypeVar("T")


@dataclass(frozen=True)
class Verification:
    """A comparison of model and export: its size, and how near the results are."""

    images: int
    """Number of images."""
    widths: int
    """Number of different widths among them, at the model's height."""
    batch_sizes: tuple[int, ...]
    equal_texts: float
    """Share of equal texts, in the batch size in which it is lowest."""
    as_many_right: float
    """Texts that the export has right, as a share of those that the model has, in the batch size in which it is lowest. Without
    a label, the model's own text is the right one.
    """
    cer: float
    """Character error rate of the export, against the model's predictions if an image has no label."""
    model_cer: float
    """The same of the model."""
    log_prob_difference: float | None = None
    """Largest difference of two log-probabilities; None if the export computes with other numbers."""
    ties: tuple[str, ...] = ()
    """Images with different texts that are equally probable."""
    confidence_error: float | None = None
    """Largest error of a confidence that the graph computes; None if it computes none."""
    unreadable: tuple[str, ...] = ()
    """Why some images were left out."""

    def to_json(self) -> dict[str, Any]:
        """The values that JSON can hold."""
        return {
            "pictures": self.images,
            "widths": self.widths,
            "batch_sizes": list(self.batch_sizes),
            "equal_texts": self.equal_texts,
            "as_many_right": self.as_many_right,
            "cer": self.cer,
            "model_cer": self.model_cer,
            "max_log_prob_difference": self.log_prob_difference,
            "ties": list(self.ties),
            "max_confidence_difference": self.confidence_error,
        }


@dataclass(frozen=True)
class VerificationImage:
    """An image that both sides recognize."""

    name: str
    """For messages."""
    source: images.Source | Sample
    text: str | None = None
    """Its label, if it has one."""
    variant: int = 0
    """0, or the number of a varied copy."""

    def gray(self) -> Gray:
        """Load its (H, W) gray values. Raises `ImageError` if it cannot be read."""
        source = self.source.read() if isinstance(self.source, Sample) else self.source
        gray = images.load_gray(source, self.name)
        return np.asarray(_varied(gray, self.variant) if self.variant else gray)

    def can_be_read(self) -> bool:
        """Whether `gray` would succeed."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", images.ImageWarning)
            try:
                self.gray()
            except ImageError:
                return False
        return True


def built_in_images() -> list[VerificationImage]:
    """The real images that come with crnnocr, without labels."""
    folder = resources.files("crnnocr.export") / "verification_images"
    files = sorted((f for f in folder.iterdir() if f.name.endswith((".png", ".jpg"))), key=lambda f: f.name)
    return [VerificationImage(f.name, f.read_bytes()) for f in files]


def from_samples(samples: Iterable[Sample]) -> list[VerificationImage]:
    """Labeled images of a data set."""
    return [VerificationImage(sample.name, sample, sample.text) for sample in samples]


def with_copies(some: Sequence[VerificationImage], count: int) -> list[VerificationImage]:
    """The images, followed by as many varied copies as make up `count` readable ones, if any of them can be read."""
    readable = [image for image in some if image.can_be_read()]
    missing = count - len(readable) if readable else 0
    copies = (
        replace(image, name=f"{image.name}, varied copy {variant}", variant=variant)
        for variant in range(1, missing + 1)
        for image in readable
    )
    return [*some, *islice(copies, max(0, missing))]


def _varied(gray: Image.Image, variant: int) -> Image.Image:
    """A copy of 0.8 to 1.25 times the size (at most `MAX_PIXELS`) and 0.9 to 1.0 times the contrast, brighter or darker."""
    size, paleness = (variant * _GOLDEN_RATIO) % 1, (variant * _GOLDEN_RATIO**2) % 1
    factor, contrast = 0.8 * (1.25 / 0.8) ** size, 1 - 0.1 * paleness
    factor = min(factor, math.sqrt(0.99 * MAX_PIXELS / (gray.width * gray.height)))
    new_size = (max(1, round(gray.width * factor)), max(1, round(gray.height * factor)))
    lift = (1 - contrast) * 255 * ((variant % 3) / 2)
    return gray.resize(new_size, Image.Resampling.BICUBIC).point(lambda value: round(value * contrast + lift))


@dataclass(frozen=True)
class BackendResult:
    """A backend's output for one image."""

    text: str
    """The text of its best path."""
    log_probs: LogProbs
    """(T, C) natural-log probabilities."""
    confidence_error: float = 0.0
    """Largest difference of its confidences from those of its log-probabilities."""


class Backend(Protocol):
    """One side of the comparison."""

    def run(self, grays: Sequence[Gray]) -> list[BackendResult]:
        """Recognize gray images in one batch."""
        ...


class LineBackend:
    """A network that takes lines, preprocessed as its card says."""

    def __init__(self, card: Card, engine: Engine) -> None:
        self._card, self._engine = card, engine
        self._preprocessor = Preprocessor.for_model(card.config, card.orientation, rows=card.rows)

    def line(self, gray: Gray) -> images.Line:
        """The line that the network gets for an image."""
        return self._preprocessor.line(gray)

    def run(self, grays: Sequence[Gray]) -> list[BackendResult]:
        """See `Backend`."""
        log_probs, frames = self._engine.log_probs(*images.to_batch([self.line(gray) for gray in grays]))
        own = [log_probs[row, :count] for row, count in enumerate(frames.tolist())]
        charset = self._card.charset
        return [BackendResult(charset.decode(greedy_ids(line, charset.spaces)), line) for line in own]


class EndToEndBackend:
    """A self-contained graph, which decodes by itself. `card` says how it should."""

    def __init__(self, card: Card, engine: OnnxEngine) -> None:
        self._card, self._engine = card, engine

    def run(self, grays: Sequence[Gray]) -> list[BackendResult]:
        """See `Backend`."""
        results = end_to_end.run(self._engine, grays)
        spaces = self._card.charset.spaces
        lines = [one.log_probs for one in results]
        texts = [greedy_ids(line, spaces) for line in lines]
        found = map(Hypothesis, texts, text_log_probs(lines, texts, spaces).tolist())
        expected = [certainty(one, line, spaces) for one, line in zip(found, lines, strict=True)]
        return [
            BackendResult(self._text(one), one.log_probs, self._confidence_error(one, float(log_prob)))
            for one, log_prob in zip(results, expected, strict=True)
        ]

    def _text(self, result: end_to_end.Result) -> str:
        charset = self._card.charset
        return charset.decode(result.ids) if all(0 < i < charset.classes for i in result.ids) else str(result.ids)

    def _confidence_error(self, result: end_to_end.Result, log_prob: float) -> float:
        """Largest error of its confidences, given the text's log-probability; infinite if the text itself is wrong."""
        spaces = self._card.charset.spaces
        if result.ids != greedy_ids(result.log_probs, spaces):
            return np.inf
        given = np.array([result.confidence, *result.character_confidences])
        expected = np.array([self._card.calibration.apply(log_prob), *_character_confidences(result.log_probs, spaces)])
        return float(np.abs(given - expected).max())


def _character_confidences(log_probs: LogProbs, spaces: Ids) -> list[float]:
    """The highest probability of each character of the best path among its frames."""
    found: list[float] = []
    gap = 0.0
    path, begins = best_path(log_probs)
    for character, begun, highest in zip(path.tolist(), begins.tolist(), np.exp(log_probs.max(axis=1)).tolist(), strict=True):
        if character in spaces:
            gap = max(gap, highest)
        elif begun:
            found += [gap, highest] if found and gap else [highest]
            gap = 0.0
        elif character != BLANK:
            found[-1] = max(found[-1], highest)
    return found


@dataclass
class _BatchSizeTotals:
    """All images, recognized in batches of one size."""

    size: int
    scorer: Scorer = field(default_factory=Scorer)
    equal: int = 0
    right: int = 0


@dataclass
class _Comparison:
    """The comparison so far."""

    by_batch_size: tuple[_BatchSizeTotals, ...] = field(
        default_factory=lambda: tuple(_BatchSizeTotals(size) for size in BATCH_SIZES)
    )
    scorer: Scorer = field(default_factory=Scorer)
    """Of the model."""
    right: int = 0
    """Texts that the model has right."""
    widths: set[int] = field(default_factory=set)
    unreadable: list[str] = field(default_factory=list)
    other_texts: dict[str, str] = field(default_factory=dict)
    """By image: how its text differs."""
    other_numbers: dict[str, str] = field(default_factory=dict)
    """By image: how far its numbers are apart, if too far."""
    ties: dict[str, None] = field(default_factory=dict)
    log_prob_difference: float = 0.0
    confidence_error: float = 0.0


def verify(
    model: LineBackend, export: Backend, some: Iterable[VerificationImage], is_exact: bool, min_images: int = 1
) -> Verification:
    """Compare the results for images one by one, in threes and in eights.

    Args:
        model: the model.
        export: the export of it.
        some: the images.
        is_exact: whether log-probabilities and texts must be the same. Otherwise nearly all texts, and the error rate.
        min_images: the smallest number of readable images.

    Raises:
        GateError: they differ; the error names the images.
        DataError: no image can be read.
    """
    seen = _Comparison()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ImageWarning)  # both sides get the same part of such an image
        for chunk in _chunks(_loaded(some, seen), _CHUNK):
            _compare(model, export, chunk, is_exact, seen)
    count = seen.scorer.samples
    if not count:
        raise DataError(f"there is no image to verify the export with: {next(iter(seen.unreadable), 'none was given')}")
    if count < min_images:
        raise GateError(
            f"the export was not kept: {plural(count, 'image')} to verify it with: too few, {min_images:,} are needed"
        )
    summary = _summary(seen, is_exact, isinstance(export, EndToEndBackend))
    if seen.other_numbers or (is_exact and seen.other_texts):
        places = {**seen.other_numbers, **seen.other_texts}
        raise GateError(f"{_NOT_KEPT}: {_first(places)}", list(places.values()))
    if not is_exact and (summary.as_many_right < MIN_AS_MANY_RIGHT or summary.cer - summary.model_cer > MAX_CER_INCREASE):
        raise GateError(
            f"{_NOT_KEPT}: of {count:,} texts the model has {seen.right:,} right, and the export {summary.as_many_right:.1%} "
            f"as many (at least {MIN_AS_MANY_RIGHT:.0%} are needed); its CER is {summary.cer:.2%}, the model's "
            f"{summary.model_cer:.2%} (it may be {MAX_CER_INCREASE:.1%} above): {_first(seen.other_texts)}. Choose a higher "
            "`precision`, or verify it on images of your own with `verify`",
            list(seen.other_texts.values()),
        )
    return summary


def _summary(seen: _Comparison, is_exact: bool, has_confidences: bool) -> Verification:
    count, model_cer = seen.scorer.samples, seen.scorer.summary().cer
    return Verification(
        images=count,
        widths=len(seen.widths),
        batch_sizes=BATCH_SIZES,
        equal_texts=min(one.equal for one in seen.by_batch_size) / count,
        as_many_right=min(one.right for one in seen.by_batch_size) / seen.right if seen.right else 1.0,
        cer=max(one.scorer.summary().cer for one in seen.by_batch_size),
        model_cer=model_cer,
        log_prob_difference=seen.log_prob_difference if is_exact else None,
        ties=tuple(seen.ties),
        confidence_error=seen.confidence_error if has_confidences else None,
        unreadable=tuple(seen.unreadable),
    )


def _loaded(some: Iterable[VerificationImage], seen: _Comparison) -> Iterator[tuple[VerificationImage, Gray]]:
    for image in some:
        try:
            yield image, image.gray()
        except ImageError as error:
            seen.unreadable.append(str(error))


def _compare(
    model: LineBackend, export: Backend, chunk: Sequence[tuple[VerificationImage, Gray]], is_exact: bool, seen: _Comparison
) -> None:
    names, grays = [image.name for image, _ in chunk], [gray for _, gray in chunk]
    expected = _run_in_batches(model, grays, max(BATCH_SIZES))
    references = [result.text if image.text is None else image.text for (image, _), result in zip(chunk, expected, strict=True)]
    seen.widths |= {model.line(gray).shape[1] for gray in grays}
    for reference, result in zip(references, expected, strict=True):
        seen.scorer.update(reference, result.text)
        seen.right += result.text == reference
    for totals in seen.by_batch_size:
        given = _run_in_batches(export, grays, totals.size)
        for name, reference, ours, theirs in zip(names, references, expected, given, strict=True):
            totals.scorer.update(reference, theirs.text)
            totals.equal += ours.text == theirs.text
            totals.right += theirs.text == reference
            _note(name, totals.size, ours, theirs, is_exact, seen)


def _run_in_batches(backend: Backend, grays: Sequence[Gray], size: int) -> list[BackendResult]:
    return [result for batch in _chunks(grays, size) for result in backend.run(batch)]


def _note(name: str, size: int, ours: BackendResult, theirs: BackendResult, is_exact: bool, seen: _Comparison) -> None:
    """Note how the model's result and the export's differ."""
    seen.confidence_error = max(seen.confidence_error, theirs.confidence_error)
    if not theirs.confidence_error <= CONFIDENCE_TOLERANCE:
        seen.other_numbers.setdefault(name, f"{name}, its confidences by {theirs.confidence_error:.1e} ({_in_words(size)})")
    if is_exact:
        absolute, relative = _differences(ours, theirs)
        seen.log_prob_difference = max(seen.log_prob_difference, absolute)
        if not relative <= TOLERANCE:
            seen.other_numbers.setdefault(name, f"{name} by {absolute:.1e} ({_in_words(size)})")
        elif ours.text != theirs.text and _is_tie(ours, theirs):
            seen.ties[name] = None
            return
    if ours.text != theirs.text:
        seen.other_texts.setdefault(name, f"{name} as {theirs.text!r} instead of {ours.text!r} ({_in_words(size)})")


def _differences(ours: BackendResult, theirs: BackendResult) -> tuple[float, float]:
    """Largest difference of the log-probabilities, and the largest one as a share of ours where that is below -1."""
    a, b = ours.log_probs, theirs.log_probs
    if a.shape != b.shape:
        return np.inf, np.inf
    differences = np.abs(a - b)
    return float(differences.max()), float((differences / np.maximum(1, np.abs(a))).max())


def _is_tie(ours: BackendResult, theirs: BackendResult) -> bool:
    """Whether two texts have different paths, and our own is hardly more probable in any frame."""
    a, path = ours.log_probs, theirs.log_probs.argmax(axis=1)
    leads = a.max(axis=1) - a[np.arange(len(a)), path]
    return bool((path != a.argmax(axis=1)).any() and leads.max() <= TOLERANCE)


def _chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    left = iter(items)
    while chunk := list(islice(left, size)):
        yield chunk


def _in_words(batch_size: int) -> str:
    return "alone" if batch_size == 1 else f"in a batch of {batch_size}"


def _first(places: dict[str, str]) -> str:
    some = "; ".join(list(places.values())[:_SHOWN])
    return some + (f"; and {len(places) - _SHOWN:,} more (`verbose` names all)" if len(places) > _SHOWN else "")
