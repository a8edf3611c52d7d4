"""The models that there are, and what is to be known of each at a glance. Needs no torch."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from crnnocr.errors import ModelError
from crnnocr.model import checkpoint, store
from crnnocr.model.checkpoint import Card
from crnnocr.model.store import FoundModel


@dataclass(frozen=True)
class Entry:
    """A model that has a name."""

    found: FoundModel
    """Where it is."""
    is_taken: bool
    """Whether it is the one that is taken when nobody names one."""
    size: int
    """Bytes of its files."""
    modified: datetime
    """When its file was written here."""
    card: Card | None = None
    """All that is known of it; None where its file is damaged."""
    error: str | None = None
    """Why its card cannot be read."""

    @property
    def kind(self) -> str:
        """Whose it is."""
        return "shipped" if self.found.is_shipped else "own"

    def to_json(self) -> dict[str, Any]:
        """The entry as values that JSON can hold."""
        card = self.card
        scores = card.scores if card else {}
        return {
            "name": self.found.name,
            "path": str(self.found.path),
            "kind": self.kind,
            "current": self.is_taken,
            "preset": card.config.preset if card else None,
            "characters": len(card.charset.characters) if card else None,
            "n": scores.get("n"),
            "drawn": card.saw_drawings_only if card else None,
            "cer": scores.get("cer"),
            "exact": scores.get("exact"),
            "bytes": self.size,
            "trained": card.training.get("date") if card else None,
            "modified": self.modified.isoformat(timespec="seconds"),
            "error": self.error,
        }


def entries() -> list[Entry]:
    """All models that have a name: the shipped ones, then the user's own."""
    current = taken()
    return [entry(store.named(name), current) for name in dict.fromkeys([*store.shipped_names(), *store.names()])]


def entry(found: FoundModel, current: Path | None) -> Entry:
    """What is known of a model that has a name, where the file `current` is taken when nobody names one."""
    size = sum(file.stat().st_size for file in files(found))
    modified = datetime.fromtimestamp(found.path.stat().st_mtime, UTC)
    card, error = None, None
    try:
        card = checkpoint.read_card(found.path)
    except ModelError as reason:
        error = str(reason)
    return Entry(found, found.path == current, size, modified, card, error)


def files(found: FoundModel) -> list[Path]:
    """The files of a model: all of its folder if that is the store's or shipped, else its own alone."""
    if not found.is_shipped and found.path != store.path_of(found.name):
        return [found.path]
    return sorted(path for path in found.path.parent.rglob("*") if path.is_file())


def taken() -> Path | None:
    """The file of the model that is taken when nobody names one, if there is one."""
    try:
        return store.find(None).path
    except ModelError:
        return None
