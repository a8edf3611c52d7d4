"""The two sides of a proof: a network that is given lines, and a graph that is given pictures.

The pictures that a proof is over: those that come with crnnocr, or anybody's, and changed copies where they are too few.

The proof that an export reads as its model does: over pictures of many widths, alone, and padded in batches.
"""

from __future__ import annotations

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
from crnnocr.datasets import Sample
from crnnocr.decoding.forward import text_log_probs
from crnnocr.decoding.hypothesis import LogProbs, best_path, greedy_ids
from crnnocr.errors import DataError, GateError, ImageError
from crnnocr.export import end_to_end
from crnnocr.formatting import plural
from crnnocr.images import ImageWarning, Preprocessor
from crnnocr.inference.engines import Engine, OnnxEngine
from crnnocr.metrics.scores import Scorer
from crnnocr.model.card import Card

Grey = NDArray[np.uint8]


@dataclass(frozen=True)
class Reading:
    """What one side reads in a picture."""

    text: str
    """The text of its best path."""
    log_probs: LogProbs
    """(T, C) natural-log probabilities."""
    off: float = 0.0
    """How far the confidences that it gives are from those that its log-probabilities have."""


class Side(Protocol):
    """One side of a comparison."""

    def read(self, pictures: Sequence[Grey]) -> list[Reading]:
        """Read grey pictures in one batch."""
        ...


class Lines:
    """A network that is given lines, as its card says."""

    def __init__(self, card: Card, engine: Engine) -> None:
        self._card, self._engine = card, engine
        self._preprocessor = Preprocessor.for_model(card.config, card.orientation)

    def line(self, grey: Grey) -> images.Line:
        """The line that a picture shows."""
        return self._preprocessor.line(grey)

    def read(self, pictures: Sequence[Grey]) -> list[Reading]:
        """See `Side`."""
        log_probs, frames = self._engine.log_probs(*images.to_batch([self.line(picture) for picture in pictures]))
        own = [log_probs[row, :count] for row, count in enumerate(frames.tolist())]
        return [Reading(self._card.charset.decode(greedy_ids(line)), line) for line in own]


class Pictures:
    """A self-contained graph, which decodes by itself; `card` says how it should."""

    def __init__(self, card: Card, engine: OnnxEngine) -> None:
        self._card, self._engine = card, engine

    def read(self, pictures: Sequence[Grey]) -> list[Reading]:
        """See `Side`."""
        found = end_to_end.readings(self._engine, pictures)
        exact = text_log_probs([one.log_probs for one in found], [greedy_ids(one.log_probs) for one in found])
        return [
            Reading(self._text(one), one.log_probs, self._off(one, float(log_prob)))
            for one, log_prob in zip(found, exact, strict=True)
        ]

    def _text(self, found: end_to_end.Reading) -> str:
        charset = self._card.charset
        return charset.decode(found.ids) if all(0 < i < charset.classes for i in found.ids) else str(found.ids)

    def _off(self, found: end_to_end.Reading, log_prob: float) -> float:
        """How far its confidences are off, the text's log-probability over all alignments given; infinite where its text is."""
        if found.ids != greedy_ids(found.log_probs):
            return np.inf
        given = np.array([found.confidence, *found.character_confidences])
        own = np.array([self._card.calibration.apply(log_prob), *_character_confidences(found.log_probs)])
        return float(np.abs(given - own).max())


def _character_confidences(log_probs: LogProbs) -> list[float]:
    """The highest probability of each character of the best path among its frames."""
    path, begins = best_path(log_probs)
    starts = np.flatnonzero(begins)
    classes, peaks = np.split(path, starts)[1:], np.split(np.exp(log_probs.max(axis=1)), starts)[1:]
    return [float(own[frames == frames[0]].max()) for frames, own in zip(classes, peaks, strict=True)]


ENOUGH = 1000
"""Pictures that shares of equal texts are counted over."""

_GOLDEN = 0.618033988749895
"""Multiples of it, less their whole part, fall evenly between 0 and 1, however many there are."""


@dataclass(frozen=True)
class Picture:
    """A picture to compare readings of."""

    name: str
    """What to call it."""
    source: images.Source | Sample
    """Where it comes from."""
    text: str | None = None
    """What it says, if that is known."""
    copy: int = 0
    """0, or which of its changed copies it is."""

    def grey(self) -> NDArray[np.uint8]:
        """(H, W) its grey values. Raises `ImageError` where it cannot be read."""
        source = self.source.read() if isinstance(self.source, Sample) else self.source
        grey = images.load_gray(source, self.name)
        return np.asarray(_changed(grey, self.copy) if self.copy else grey)

    def can_be_read(self) -> bool:
        """Whether `grey` gives its values."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", images.ImageWarning)
            try:
                self.grey()
            except ImageError:
                return False
        return True


def built_in() -> list[Picture]:
    """The real pictures that come with crnnocr."""
    folder = resources.files("crnnocr.export") / "verification_images"
    files = sorted((f for f in folder.iterdir() if f.name.endswith((".png", ".jpg"))), key=lambda f: f.name)
    return [Picture(f.name, f.read_bytes()) for f in files]


def of_samples(samples: Iterable[Sample]) -> list[Picture]:
    """Labelled pictures of a data set."""
    return [Picture(sample.name, sample, sample.text) for sample in samples]


def enough(pictures: Sequence[Picture], count: int) -> list[Picture]:
    """The pictures, and after them so many copies, larger, smaller, paler and darker, that `count` can be read, if any can."""
    readable = [picture for picture in pictures if picture.can_be_read()]
    lacking = count - len(readable) if readable else 0
    more = (
        replace(picture, name=f"{picture.name}, changed copy {copy}", copy=copy)
        for copy in range(1, lacking + 1)
        for picture in readable
    )
    return [*pictures, *islice(more, max(0, lacking))]


def _changed(grey: Image.Image, copy: int) -> Image.Image:
    """A copy at 0.8 to 1.25 of its size with 0.9 to 1.0 of its contrast."""
    size, paleness = (copy * _GOLDEN) % 1, (copy * _GOLDEN**2) % 1
    factor, contrast = 0.8 * (1.25 / 0.8) ** size, 1 - 0.1 * paleness
    wanted = (max(1, round(grey.width * factor)), max(1, round(grey.height * factor)))
    lift = (1 - contrast) * 255 * ((copy % 3) / 2)
    return grey.resize(wanted, Image.Resampling.BICUBIC).point(lambda value: round(value * contrast + lift))


TOLERANCE = 1e-4
"""Largest difference of two log-probabilities that is no mismatch; and where two texts are as near, either is right."""
LEAST_EQUAL = 0.99
"""Least share of equal texts where the numbers are not the same."""
CER_LIMIT = 0.001
"""How far apart the character error rates may be there."""
CONFIDENCE_TOLERANCE = 1e-3
"""How far a confidence that a graph works out in single precision may be from that of its log-probabilities."""
BATCH_SIZES = (1, 3, 8)

_TOGETHER = 24
"""Pictures that are looked at together: whole batches of each size."""
_NOT_KEPT = "the export reads otherwise than the model, so it was not kept"
_TOLD = 5
"""Mismatches that are told; the others are for those who ask."""

T = TypeVar("T")


@dataclass(frozen=True)
class Proof:
    """What was compared, and how near it came."""

    pictures: int
    """Number of pictures."""
    widths: int
    """Number of different widths among them, at the model's height."""
    batch_sizes: tuple[int, ...]
    """Numbers of pictures that were read together."""
    equal: float
    """Share of equal texts, in the batch size where it is least."""
    cer: float
    """Character error rate of the export; where labels are missing, against the readings of the model."""
    source_cer: float
    """The same of the model."""
    difference: float | None = None
    """Largest difference of two log-probabilities, where the numbers are to be the same."""
    ties: tuple[str, ...] = ()
    """Pictures that read otherwise, for two texts of them are equally probable."""
    confidence_difference: float | None = None
    """Largest difference of a confidence that the export gives from that of its log-probabilities, where it gives any."""
    unreadable: tuple[str, ...] = ()
    """Why some pictures were left out."""

    def to_json(self) -> dict[str, Any]:
        """The proof as values that JSON can hold."""
        return {
            "pictures": self.pictures,
            "widths": self.widths,
            "batch_sizes": list(self.batch_sizes),
            "equal_texts": self.equal,
            "cer": self.cer,
            "model_cer": self.source_cer,
            "max_log_prob_difference": self.difference,
            "ties": list(self.ties),
            "max_confidence_difference": self.confidence_difference,
        }


@dataclass
class _Pass:
    """All pictures, read in batches of one size."""

    size: int
    scorer: Scorer = field(default_factory=Scorer)
    equal: int = 0


@dataclass
class _Comparison:
    """What has been seen so far."""

    passes: tuple[_Pass, ...] = field(default_factory=lambda: tuple(map(_Pass, BATCH_SIZES)))
    scorer: Scorer = field(default_factory=Scorer)
    widths: set[int] = field(default_factory=set)
    unreadable: list[str] = field(default_factory=list)
    otherwise: dict[str, str] = field(default_factory=dict)
    """What was read in the pictures that read otherwise."""
    apart: dict[str, str] = field(default_factory=dict)
    """Where numbers are too far apart."""
    ties: dict[str, None] = field(default_factory=dict)
    difference: float = 0.0
    off: float = 0.0
    """Of confidences."""


def prove(source: Lines, export: Side, pictures: Iterable[Picture], exact: bool, at_least: int = 1) -> Proof:
    """Compare what is read in pictures alone, in threes and in eights.

    Args:
        source: the model.
        export: what was made of it.
        pictures: what to read.
        exact: whether its log-probabilities are to be the same, and all of its texts; else it is to read as well, and nearly
            always the same.
        at_least: pictures that have to be compared.

    Raises:
        GateError: that does not hold; it names the pictures.
        DataError: no picture can be read.
    """
    seen = _Comparison()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ImageWarning)  # of what they show, both sides see the same
        for some in _groups(_opened(pictures, seen), _TOGETHER):
            _compare(source, export, some, exact, seen)
    count = seen.scorer.samples
    if not count:
        raise DataError(f"there is no picture to prove it with: {next(iter(seen.unreadable), 'none was given')}")
    if count < at_least:
        raise GateError(
            f"the export was not kept: {plural(count, 'picture')} to prove it with: too few, {at_least:,} are needed"
        )
    proof = _concluded(seen, exact, isinstance(export, Pictures))
    if seen.apart or (exact and seen.otherwise):
        places = {**seen.apart, **seen.otherwise}
        raise GateError(f"{_NOT_KEPT}: {_listed(places)}", list(places.values()))
    if not exact and (proof.equal < LEAST_EQUAL or abs(proof.cer - proof.source_cer) > CER_LIMIT):
        raise GateError(
            f"{_NOT_KEPT}: of {count:,} texts {proof.equal:.1%} are the same (at least {LEAST_EQUAL:.0%} must be), the CER is "
            f"{proof.cer:.2%} and the model's {proof.source_cer:.2%} ({CER_LIMIT:.1%} apart at most): "
            f"{_listed(seen.otherwise)}. Take a higher --precision, or prove it on pictures of yours (--verify DATA)",
            list(seen.otherwise.values()),
        )
    return proof


def _concluded(seen: _Comparison, exact: bool, gives_confidences: bool) -> Proof:
    count, source_cer = seen.scorer.samples, seen.scorer.summary().cer
    return Proof(
        pictures=count,
        widths=len(seen.widths),
        batch_sizes=BATCH_SIZES,
        equal=min(one.equal for one in seen.passes) / count,
        cer=max((one.scorer.summary().cer for one in seen.passes), key=lambda cer: abs(cer - source_cer)),
        source_cer=source_cer,
        difference=seen.difference if exact else None,
        ties=tuple(seen.ties),
        confidence_difference=seen.off if gives_confidences else None,
        unreadable=tuple(seen.unreadable),
    )


def _opened(pictures: Iterable[Picture], seen: _Comparison) -> Iterator[tuple[Picture, Grey]]:
    for picture in pictures:
        try:
            yield picture, picture.grey()
        except ImageError as error:
            seen.unreadable.append(str(error))


def _compare(source: Lines, export: Side, some: Sequence[tuple[Picture, Grey]], exact: bool, seen: _Comparison) -> None:
    names, greys = [picture.name for picture, _ in some], [grey for _, grey in some]
    wanted = _in_batches(source, greys, max(BATCH_SIZES))
    truths = [
        reading.text if picture.text is None else picture.text for (picture, _), reading in zip(some, wanted, strict=True)
    ]
    seen.widths |= {source.line(grey).shape[1] for grey in greys}
    for truth, reading in zip(truths, wanted, strict=True):
        seen.scorer.update(truth, reading.text)
    for one in seen.passes:
        given = _in_batches(export, greys, one.size)
        for name, truth, ours, theirs in zip(names, truths, wanted, given, strict=True):
            one.scorer.update(truth, theirs.text)
            one.equal += ours.text == theirs.text
            _note(name, one.size, ours, theirs, exact, seen)


def _in_batches(side: Side, greys: Sequence[Grey], size: int) -> list[Reading]:
    return [reading for batch in _groups(greys, size) for reading in side.read(batch)]


def _note(name: str, size: int, ours: Reading, theirs: Reading, exact: bool, seen: _Comparison) -> None:
    """Note how two readings differ."""
    seen.off = max(seen.off, theirs.off)
    if not theirs.off <= CONFIDENCE_TOLERANCE:
        seen.apart.setdefault(name, f"{name}, its confidences by {theirs.off:.1e} ({_of(size)})")
    if exact:
        difference = _difference(ours, theirs)
        seen.difference = max(seen.difference, difference)
        if not difference <= TOLERANCE:
            seen.apart.setdefault(name, f"{name} by {difference:.1e} ({_of(size)})")
        elif ours.text != theirs.text and _lead(ours, theirs) <= TOLERANCE:
            seen.ties[name] = None
            return
    if ours.text != theirs.text:
        seen.otherwise.setdefault(name, f"{name} as {theirs.text!r} instead of {ours.text!r} ({_of(size)})")


def _difference(ours: Reading, theirs: Reading) -> float:
    """How far two readings' log-probabilities are apart."""
    a, b = ours.log_probs, theirs.log_probs
    return float(np.abs(a - b).max()) if a.shape == b.shape else np.inf


def _lead(ours: Reading, theirs: Reading) -> float:
    """How much more probable our best path is than theirs, by our log-probabilities."""
    a, b = ours.log_probs, theirs.log_probs
    return float((a.max(axis=1) - a[np.arange(len(a)), b.argmax(axis=1)]).sum())


def _groups(things: Iterable[T], size: int) -> Iterator[list[T]]:
    left = iter(things)
    while group := list(islice(left, size)):
        yield group


def _of(size: int) -> str:
    return "alone" if size == 1 else f"in a batch of {size}"


def _listed(places: dict[str, str]) -> str:
    told = "; ".join(list(places.values())[:_TOLD])
    return told + (f"; and {len(places) - _TOLD:,} more (--verbose names all)" if len(places) > _TOLD else "")
