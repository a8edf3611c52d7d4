"""Taking a model that was made elsewhere into the store."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from crnnocr.errors import CrnnocrError, ModelError
from crnnocr.files import adding, sha256_of
from crnnocr.model import checkpoint, store


@dataclass(frozen=True)
class Imported:
    """A model that is in the store now."""

    name: str
    """The name it is stored under."""
    wanted: str
    """The name it was to have, if that was free."""
    path: Path
    """Its file."""


def weights_in(source: Path) -> Path:
    """The model file that a path names: itself, or that in a folder. Raises `ModelError` where there is none."""
    if (source / store.WEIGHTS).is_file():
        return source / store.WEIGHTS
    if source.is_file() and source.suffix == ".safetensors":
        return source
    if not source.exists():
        raise ModelError(f"{source} is not there: name a .safetensors file, or a folder with {store.WEIGHTS}")
    raise ModelError(f"{source} is no model that can be imported: name a .safetensors file, or a folder with {store.WEIGHTS}")


def check_hash(file: Path, wanted: str) -> None:
    """Raise `CrnnocrError` where a file is not the one that was meant."""
    if (found := sha256_of(file)) != wanted:
        raise CrnnocrError(f"{file} is not the file that was meant: its SHA-256 is {found}, not {wanted}")


def add(file: Path, derive: Callable[[Path], None], name: str | None = None) -> Imported:
    """Store a copy of a model file, if it can be read; the current model stays what it is.

    Args:
        file: the file.
        derive: writes beside the copy what belongs to it, before it is in the store.
        name: what to call it; by default as it was called when it was trained. A name that is taken becomes `name-2`.

    Raises:
        ModelError: the file is not a model, is damaged, or its weights do not fit its card.
        UsageError: the name cannot be a folder's.
        CrnnocrError: the data directory cannot be written.
    """
    card, _ = checkpoint.load(file)
    wanted = store.name_like(card.name) if name is None else store.checked_name(name)
    free = store.free_name(wanted)
    path = store.path_of(free)
    with file.open("rb") as source, adding(path.parent) as folder:
        copy = folder / path.name
        with copy.open("wb") as target:  # `shutil.copyfile` would name the source where the target cannot be written
            shutil.copyfileobj(source, target)
            target.flush()
            os.fsync(target.fileno())
        derive(copy)
    return Imported(free, wanted, path)
