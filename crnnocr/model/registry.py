"""Where models are kept and how they are named. Imports no torch.

A model is a folder `NAME` with `model.safetensors` in it, under `models` in the platform's data directory; the file
`current-model` beside `models` names the one that is taken when nobody says which. Shipped models are such folders in the
package, and their names are theirs alone.

The models that there are, and what is to be known of each at a glance. Needs no torch.

Taking a model that was made elsewhere into the store.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from crnnocr.config import AUTO, DEFAULT_PRESET, SCRATCH
from crnnocr.errors import CrnnocrError, ModelError, UsageError
from crnnocr.files import adding, cannot_write, data_directory, replacing, sha256_of
from crnnocr.model import checkpoint
from crnnocr.model.card import Card

SHIPPED = {"small": "en", "base": "en-base"}
"""Names of the models that come with crnnocr, by preset. No other model is called so."""

SHIPPED_FOLDER = Path(__file__).parent / "pretrained"
"""Where those of them are that did come with it."""

WEIGHTS = "model.safetensors"
"""Name of the file that holds a model."""

GRAPH = "model.onnx"
"""Name of the file that holds it for onnxruntime: beside a model, or in the folder of an export."""

_CURRENT = "current-model"

_DEVICES_OF_WINDOWS = {"con", "prn", "aux", "nul", *(f"{kind}{n}" for kind in ("com", "lpt") for n in range(10))}

_NAME = re.compile(r"[\w][\w.-]{0,99}")


@dataclass(frozen=True)
class FoundModel:
    """A model file, and how it was found."""

    path: Path
    """A `.safetensors` or `.onnx` file."""
    name: str
    """What to call it."""
    is_current: bool = False
    """Whether it was taken as the current one, since no model was named."""
    is_shipped: bool = False
    """Whether it came with crnnocr."""

    @property
    def told(self) -> str:
        """Its name, and why it is this one, in words."""
        why = ", ".join([*["the current one"] * self.is_current, *["shipped"] * self.is_shipped])
        return f"{self.name} ({why})" if why else self.name


def find(model: str | None) -> FoundModel:
    """The model of a name, a folder or a file; for None the current one, or where there is none the shipped one.

    The name of a shipped model means that one, whatever is in the working directory. Any other goes to a folder or file first.

    Raises `ModelError` where there is no such model.
    """
    if model is None:
        return _current()
    if model in shipped_names():
        return named(model)
    path = Path(model)
    if path.is_file():
        if path.suffix not in (".safetensors", ".onnx"):
            raise ModelError(f"{path} is not a model: expected a folder, a .safetensors or an .onnx file")
        return FoundModel(path, path.resolve().parent.name if path.name in (WEIGHTS, GRAPH) else path.stem)
    for file in (WEIGHTS, GRAPH):
        if (path / file).is_file():
            return FoundModel(path / file, path.resolve().name)
    if found := _named(model):
        return found
    if (path / "index.html").is_file() and (path / "model.json").is_file():
        raise ModelError(f"{path} is a page for browsers: export without --format web what is to be read with here")
    raise ModelError(
        f"no model {model}: neither a file or folder with {WEIGHTS} or {GRAPH}, nor the name of a model ({_listed()})"
    )


def named(name: str) -> FoundModel:
    """The shipped or own model of a name. Raises `ModelError` where there is none."""
    found = _named(name)
    if found is None:
        raise ModelError(f"no model is called {name} ({_listed()})")
    return found


def shipped(preset: str = DEFAULT_PRESET) -> FoundModel | None:
    """The model that came with crnnocr for a preset; None where there is none."""
    return _shipped(SHIPPED[preset]) if preset in SHIPPED else None


def shipped_names() -> list[str]:
    """Names of the models that did come with crnnocr, the smallest first."""
    return [name for name in SHIPPED.values() if _shipped(name)]


def names() -> list[str]:
    """Names of the models in the data directory, sorted."""
    return sorted(name for path in _models().glob(f"*/{WEIGHTS}") if _named(name := path.parent.name))


def free_name(wanted: str) -> str:
    """`wanted`, or if a model of this name is there or may be shipped, `wanted-2`, `wanted-3`, …"""
    name, number = wanted, 2
    while path_of(name).exists() or name in SHIPPED.values():
        name, number = f"{wanted[:90]}-{number}", number + 1
    return name


def checked_name(name: str) -> str:
    """`name` itself. Raises `UsageError` where it is a shipped model's, or cannot be a folder's name on every platform."""
    if name in SHIPPED.values():
        raise UsageError(f"--name {name} is the name of a shipped model: choose another")
    if not _is_possible(name):
        raise UsageError(
            f"--name {name!r} cannot be a folder everywhere: use letters, digits, '.', '_' and '-', a letter or digit first"
        )
    return name


def name_like(text: str) -> str:
    """A name as like `text` as one can be that is a folder's on every platform."""
    name = "".join(c if c.isalnum() or c in "._-" else "-" for c in text).strip(".-_")[:100].rstrip(".")
    return name if _is_possible(name) else "model"


def _is_possible(name: str) -> bool:
    is_reserved = name in (SCRATCH, AUTO) or name.split(".")[0].lower() in _DEVICES_OF_WINDOWS
    return bool(_NAME.fullmatch(name)) and not is_reserved and not name.endswith(".")


def path_of(name: str) -> Path:
    """The file of the model of a name in the data directory, whether it is there or not."""
    return _models() / name / WEIGHTS


def check_writable() -> None:
    """Raise `CrnnocrError` where a model could not be stored."""
    probe = _models() / ".writable"
    try:
        with replacing(probe) as part:
            part.touch()
        probe.unlink(missing_ok=True)
    except (CrnnocrError, OSError) as error:
        reason = error.__cause__ or error
        raise CrnnocrError(
            f"cannot write in the data directory {data_directory()}: {getattr(reason, 'strerror', None) or reason} "
            "(CRNNOCR_DATA_DIR names another)"
        ) from error


def make_current(name: str) -> None:
    """Take the model of this name from now on when nobody names one."""
    with replacing(data_directory() / _CURRENT, durable=True) as part:
        part.write_text(name + "\n", encoding="utf-8")


def remove(found: FoundModel) -> None:
    """Remove a model of the user's own; where it was the current one, there is none then.

    Raises:
        UsageError: it is a shipped one.
        CrnnocrError: its folder cannot be written.
    """
    if found.is_shipped:
        raise UsageError(f"{found.name} is a shipped model, a part of crnnocr itself: only models of your own are removed")
    folder = path_of(found.name).parent
    try:
        link = folder.is_symlink()  # what it leads to is not ours
        (folder if link else folder / WEIGHTS).unlink()  # there is no model then, whatever happens next
        if _current_name() == found.name:
            (data_directory() / _CURRENT).unlink()
        if not link:
            shutil.rmtree(folder)
    except OSError as error:
        raise cannot_write(folder, error) from error


def _models() -> Path:
    return data_directory() / "models"


def _shipped(name: str) -> FoundModel | None:
    path = SHIPPED_FOLDER / name / WEIGHTS
    return FoundModel(path, name, is_shipped=True) if path.is_file() else None


def _named(name: str) -> FoundModel | None:
    if name in SHIPPED.values() and (found := _shipped(name)):
        return found
    return FoundModel(path_of(name), name) if _NAME.fullmatch(name) and path_of(name).is_file() else None


def _listed() -> str:
    """The names that there are, for an error."""
    return ", ".join([*shipped_names(), *names()]) or "none yet"


def _current_name() -> str | None:
    try:
        name = (data_directory() / _CURRENT).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return name if _NAME.fullmatch(name) else None  # what a crash has left may be anything


def _current() -> FoundModel:
    name = _current_name()
    if name is None:
        if found := shipped():
            return found
        if names():
            raise ModelError(
                f"no model is the current one: `crnnocr models use NAME` takes one ({_listed()}), or name one with --model"
            )
        raise ModelError("there is no model yet: make one with `crnnocr train DATA`, or name one with --model")
    found = _named(name)
    if found is None:
        raise ModelError(
            f"the current model {name} is gone ({path_of(name)}): train anew, take another with `crnnocr models use NAME`, "
            "or name one with --model"
        )
    return replace(found, is_current=True)


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
        scores = card.scores if card else None
        return {
            "name": self.found.name,
            "path": str(self.found.path),
            "kind": self.kind,
            "current": self.is_taken,
            "preset": card.config.preset if card else None,
            "characters": len(card.charset.characters) if card else None,
            "n": scores.n if scores else None,
            "drawn": card.is_synthetic if card else None,
            "cer": scores.values.get("cer") if scores else None,
            "exact": scores.values.get("exact") if scores else None,
            "bytes": self.size,
            "trained": card.training.date if card and card.training else None,
            "modified": self.modified.isoformat(timespec="seconds"),
            "error": self.error,
        }


def entries() -> list[Entry]:
    """All models that have a name: the shipped ones, then the user's own."""
    current = taken()
    return [entry(named(name), current) for name in dict.fromkeys([*shipped_names(), *names()])]


def entry(found: FoundModel, current: Path | None) -> Entry:
    """What is known of a model that has a name, where the file `current` is taken when nobody names one."""
    size = sum(file.stat().st_size for file in files(found))
    modified = datetime.fromtimestamp(found.path.stat().st_mtime, UTC)
    card, error = None, None
    try:
        card = checkpoint.load_card(found.path)
    except ModelError as reason:
        error = str(reason)
    return Entry(found, found.path == current, size, modified, card, error)


def files(found: FoundModel) -> list[Path]:
    """The files of a model: all of its folder if that is the store's or shipped, else its own alone."""
    if not found.is_shipped and found.path != path_of(found.name):
        return [found.path]
    return sorted(path for path in found.path.parent.rglob("*") if path.is_file())


def taken() -> Path | None:
    """The file of the model that is taken when nobody names one, if there is one."""
    try:
        return find(None).path
    except ModelError:
        return None


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
    if (source / WEIGHTS).is_file():
        return source / WEIGHTS
    if source.is_file() and source.suffix == ".safetensors":
        return source
    if not source.exists():
        raise ModelError(f"{source} is not there: name a .safetensors file, or a folder with {WEIGHTS}")
    raise ModelError(f"{source} is no model that can be imported: name a .safetensors file, or a folder with {WEIGHTS}")


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
    wanted = name_like(card.name) if name is None else checked_name(name)
    free = free_name(wanted)
    path = path_of(free)
    with file.open("rb") as source, adding(path.parent) as folder:
        copy = folder / path.name
        with copy.open("wb") as target:  # `shutil.copyfile` would name the source where the target cannot be written
            shutil.copyfileobj(source, target)
            target.flush()
            os.fsync(target.fileno())
        derive(copy)
    return Imported(free, wanted, path)
