"""What lint looks at, and what it finds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from crnnocr.config import Pair
from crnnocr.datasets import Sample

_NAMED = 8
_SHOWN = 60


@dataclass(frozen=True)
class Seen:
    """A sample whose picture was read."""

    sample: Sample
    """The picture's file and the label."""
    content_id: int
    """Stands for the content of the picture's file."""
    size: Pair
    """Width and height of the picture in pixels, as it is read (a vertical one is turned)."""

    @property
    def text(self) -> str:
        """The label."""
        return self.sample.text


class Severity(StrEnum):
    """What a finding means for the training, the gravest first."""

    FATAL = "fatal"
    """It cannot begin, or would be in vain."""
    SET_ASIDE = "set-aside"
    """These samples are left out of it."""
    WARNING = "warning"
    """They are used as they are, and are probably wrong."""
    NOTE = "note"
    """Worth knowing, and no fault by itself."""


@dataclass(frozen=True)
class Place:
    """Where something was found."""

    path: str
    """The picture's file, the database and key, or the place in a label file."""
    detail: str
    """What is there."""


@dataclass(frozen=True)
class Finding:
    """One kind of fault, with all places where it was found."""

    kind: str
    """A name for it that stays the same."""
    severity: Severity
    """What it means for the training."""
    message: str
    """How many, what is wrong and how to mend it, in one sentence without file names."""
    places: tuple[Place, ...] = ()
    """All of them; none where it is about the whole set."""

    @property
    def count(self) -> int:
        """How many places."""
        return len(self.places)

    def to_json(self) -> dict[str, Any]:
        """This finding as values that JSON can hold."""
        places = [{"path": place.path, "detail": place.detail} for place in self.places]
        return {**vars(self), "severity": self.severity.value, "count": self.count, "places": places}


def place(seen: Seen, detail: str | None = None) -> Place:
    """The place of a sample; by default with its label."""
    return Place(seen.sample.name, quoted(seen.text) if detail is None else detail)


def quoted(text: str) -> str:
    """A label in quotes, the end of a long one left out, and unprintable characters as escapes."""
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")


def enumerated(parts: Sequence[str]) -> str:
    """The first few of `parts`, and how many more there are."""
    more = f" and {len(parts) - _NAMED:,} more" if len(parts) > _NAMED else ""
    return ", ".join(parts[:_NAMED]) + more
