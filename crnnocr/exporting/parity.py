"""The proof that an export reads as its model does: over pictures of many widths, alone, and padded in batches."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypeVar

import numpy as np

from crnnocr.errors import DataError, GateError, ImageError
from crnnocr.exporting.proof_pictures import Picture
from crnnocr.exporting.sides import Grey, Lines, Pictures, Reading, Side
from crnnocr.images import ImageWarning
from crnnocr.metrics import Scorer
from crnnocr.plurals import counted

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
    count = seen.scorer.pairs
    if not count:
        raise DataError(f"there is no picture to prove it with: {next(iter(seen.unreadable), 'none was given')}")
    if count < at_least:
        raise GateError(
            f"the export was not kept: {counted(count, 'picture')} to prove it with: too few, {at_least:,} are needed"
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
    count, source_cer = seen.scorer.pairs, seen.scorer.summary().cer
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
