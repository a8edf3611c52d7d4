"""The proof that an export reads as its model does: over pictures of many widths, alone, and padded in batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from crnnocr import images
from crnnocr.decoders.greedy import greedy
from crnnocr.decoders.hypothesis import LogProbs
from crnnocr.decoders.lattice import score
from crnnocr.engines import Engine, OnnxEngine
from crnnocr.errors import GateError, ImageError
from crnnocr.exporting import self_contained
from crnnocr.exporting.evidence import Picture
from crnnocr.metrics import Scorer
from crnnocr.model.checkpoint import Card

TOLERANCE = 1e-4
"""Largest difference of two log-probabilities that is no mismatch; and where two texts are as near, either is right."""
LEAST_EQUAL = 0.99
"""Least share of equal texts where the numbers are not the same."""
CER_LIMIT = 0.001
"""How far apart the character error rates may be there."""
BATCH_SIZES = (1, 3, 8)

_TOGETHER = 24
"""Pictures that are looked at together: whole batches of each size."""
_NOT_KEPT = "the export reads otherwise than the model, so it was not kept"
_NAMED = 20
"""Mismatches that are named; of more, how many there are."""

Grey = NDArray[np.uint8]
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
    """Largest difference of two confidences of a same text, where the export gives confidences."""
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


@dataclass(frozen=True)
class Reading:
    """What one side reads in a picture."""

    text: str
    """The text of its best path."""
    log_probs: LogProbs | None = None
    """(T, C), where it gives them."""
    confidence: float | None = None
    """How likely the text is right, where it says that."""


class Side(Protocol):
    """One side of a comparison."""

    def read(self, pictures: Sequence[Grey]) -> list[Reading]:
        """Read grey pictures in one batch."""
        ...


class Lines:
    """A network that is given lines, as its card says."""

    def __init__(self, card: Card, engine: Engine) -> None:
        self._card, self._engine = card, engine

    def line(self, grey: Grey) -> images.Line:
        """The line that a picture shows."""
        picture = images.turned(Image.fromarray(grey), self._card.orientation)
        return images.to_line(picture, self._card.config.height, self._card.config.min_width)

    def read(self, pictures: Sequence[Grey]) -> list[Reading]:
        """See `Side`."""
        log_probs, frames = self._engine.log_probs(*images.to_batch([self.line(picture) for picture in pictures]))
        own = [log_probs[row, :count] for row, count in enumerate(frames.tolist())]
        return [Reading(self._card.charset.decode(greedy(line).ids), line) for line in own]

    def confidences(self, readings: Sequence[Reading]) -> list[float]:
        """How likely each text is right, by all of its alignments."""
        lines = [reading.log_probs for reading in readings if reading.log_probs is not None]
        exact = score(lines, [greedy(line).ids for line in lines])
        return [self._card.calibration.apply(float(log_prob)) for log_prob in exact]


class Pictures:
    """A self-contained graph."""

    def __init__(self, engine: OnnxEngine) -> None:
        self._engine = engine

    def read(self, pictures: Sequence[Grey]) -> list[Reading]:
        """See `Side`."""
        found = self_contained.readings(self._engine, pictures)
        charset = self._engine.card.charset
        return [
            Reading(charset.decode(ids) if all(0 < i < charset.classes for i in ids) else str(ids), confidence=confidence)
            for ids, confidence in found
        ]


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
    """Where log-probabilities are too far apart."""
    ties: dict[str, None] = field(default_factory=dict)
    difference: float = 0.0
    confidence_difference: float = 0.0


def prove(source: Lines, export: Side, pictures: Iterable[Picture], exact: bool) -> Proof:
    """Compare what is read in pictures alone, in threes and in eights.

    Args:
        source: the model.
        export: what was made of it.
        pictures: what to read.
        exact: whether its log-probabilities are to be the same, and all of its texts; else it is to read as well, and nearly
            always the same.

    Raises:
        GateError: that does not hold; it names the pictures.
    """
    seen = _Comparison()
    for some in _groups(_opened(pictures, seen), _TOGETHER):
        _compare(source, export, some, exact, seen)
    if not seen.scorer.pairs:
        raise GateError("the export was not kept: there is no picture to prove it with")
    count, source_cer = seen.scorer.pairs, seen.scorer.summary().cer
    worst = max((one.scorer.summary().cer for one in seen.passes), key=lambda cer: abs(cer - source_cer))
    equal = min(one.equal for one in seen.passes) / count
    if exact and (seen.apart or seen.otherwise):
        raise GateError(f"{_NOT_KEPT}: {_listed({**seen.otherwise, **seen.apart})}")
    if not exact and (equal < LEAST_EQUAL or abs(worst - source_cer) > CER_LIMIT):
        raise GateError(
            f"{_NOT_KEPT}: of {count:,} texts {equal:.1%} are the same (at least {LEAST_EQUAL:.0%} must be), the CER is "
            f"{worst:.2%} and the model's {source_cer:.2%} ({CER_LIMIT:.1%} apart at most): {_listed(seen.otherwise)}"
        )
    return Proof(
        pictures=count,
        widths=len(seen.widths),
        batch_sizes=BATCH_SIZES,
        equal=equal,
        cer=worst,
        source_cer=source_cer,
        difference=seen.difference if exact else None,
        ties=tuple(seen.ties),
        confidence_difference=seen.confidence_difference if isinstance(export, Pictures) else None,
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
    confidences = source.confidences(wanted) if isinstance(export, Pictures) else [None] * len(some)
    seen.widths |= {source.line(grey).shape[1] for grey in greys}
    for truth, reading in zip(truths, wanted, strict=True):
        seen.scorer.update(truth, reading.text)
    for one in seen.passes:
        given = _in_batches(export, greys, one.size)
        for name, truth, ours, theirs, confidence in zip(names, truths, wanted, given, confidences, strict=True):
            one.scorer.update(truth, theirs.text)
            one.equal += ours.text == theirs.text
            if exact:
                _compare_numbers(name, one.size, ours, theirs, seen)
            if ours.text != theirs.text and name not in seen.ties:
                seen.otherwise.setdefault(name, f"{name} as {theirs.text!r} instead of {ours.text!r} ({_of(one.size)})")
            elif confidence is not None and theirs.confidence is not None:
                seen.confidence_difference = max(seen.confidence_difference, abs(confidence - theirs.confidence))


def _in_batches(side: Side, greys: Sequence[Grey], size: int) -> list[Reading]:
    return [reading for batch in _groups(greys, size) for reading in side.read(batch)]


def _compare_numbers(name: str, size: int, ours: Reading, theirs: Reading, seen: _Comparison) -> None:
    """Note how far the log-probabilities of two readings are apart, and whether their texts tie."""
    assert ours.log_probs is not None
    assert theirs.log_probs is not None
    a, b = ours.log_probs, theirs.log_probs
    difference = float(np.abs(a - b).max()) if a.shape == b.shape else np.inf
    seen.difference = max(seen.difference, difference)
    if not difference <= TOLERANCE:
        seen.apart.setdefault(name, f"{name} by {difference:.1e} ({_of(size)})")
    elif ours.text != theirs.text:
        frames = np.arange(len(a))
        lead = float((a.max(axis=1) - a[frames, b.argmax(axis=1)]).sum())  # of our best path over theirs
        if lead <= TOLERANCE:
            seen.ties[name] = None


def _groups(things: Iterable[T], size: int) -> Iterator[list[T]]:
    left = iter(things)
    while group := list(islice(left, size)):
        yield group


def _of(size: int) -> str:
    return "alone" if size == 1 else f"in a batch of {size}"


def _listed(places: dict[str, str]) -> str:
    shown = "; ".join(list(places.values())[:_NAMED])
    return shown + (f"; and {len(places) - _NAMED} more" if len(places) > _NAMED else "")
