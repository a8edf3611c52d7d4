"""Find models by name, folder or file, and store one's own. Needs no torch.

A model of one's own is a folder `NAME` with `model.safetensors` in it, under `models` in the data directory. The file
`current-model` beside `models` names the one that is used if nobody names one. Pretrained models are such folders inside the
package, and no other model may have their names. The folder of an imported graph has `model.onnx` alone.
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

from crnnocr.config import AUTO, SCRATCH
from crnnocr.errors import ConfigError, CrnnocrError, ModelError, UsageError
from crnnocr.files import atomic_files, atomic_write, data_directory, sha256_of, write_error
from crnnocr.model import checkpoint, exported
from crnnocr.model.card import Card

PRETRAINED = ("en-fast", "en", "en-base")
"""Names of the pretrained models, the fastest first. They are reserved, whether the models are there or not."""

_DEFAULT = "en"
"""The one that is used if none is named."""

_BY_PRESET = {"small": "en-fast"}
"""Those whose architecture is a preset."""

PRETRAINED_FOLDER = Path(__file__).parent / "pretrained"

WEIGHTS = "model.safetensors"
"""File name of a model."""

GRAPH = "model.onnx"
"""File name of a model for onnxruntime: beside `WEIGHTS`, or alone in the folder of an export."""

_CURRENT = "current-model"
_NAME = re.compile(r"[\w][\w.-]{0,99}")
_WINDOWS_DEVICES = {"con", "prn", "aux", "nul", *(f"{kind}{n}" for kind in ("com", "lpt") for n in range(10))}


@dataclass(frozen=True)
class FoundModel:
    """A model file, and how it was found."""

    path: Path
    """A `.safetensors` or `.onnx` file."""
    name: str
    is_current: bool = False
    """Whether it was found as the current model, since none was named."""
    is_pretrained: bool = False
    """Whether it comes with crnnocr."""

    @property
    def label(self) -> str:
        """Its name and, in parentheses, why it is this one."""
        why = ", ".join([*["the current one"] * self.is_current, *["comes with crnnocr"] * self.is_pretrained])
        return f"{self.name} ({why})" if why else self.name


def find(model: str | None) -> FoundModel:
    """Find a model by name, folder or file; for None the default: the current model or, if there is none, a pretrained one.

    The name of a pretrained model means that model, whatever is in the working directory. Otherwise a folder or file takes
    precedence over a name.

    Raises:
        ModelError: there is no such model.
    """
    if model is None:
        return _find_default()
    if model in pretrained_names():
        return find_named(model)
    path = Path(model)
    if path.is_file():
        if path.suffix not in (".safetensors", ".onnx"):
            raise ModelError(f"{path} is not a model: expected a folder, a .safetensors or an .onnx file")
        return FoundModel(path, path.resolve().parent.name if path.name in (WEIGHTS, GRAPH) else path.stem)
    for file in (WEIGHTS, GRAPH):
        if (path / file).is_file():
            return FoundModel(path / file, path.resolve().name)
    if found := _find_named(model):
        return found
    if (path / "index.html").is_file() and (path / "model.json").is_file():
        raise ModelError(f"{path} is a page for browsers, which crnnocr does not run: export the model as a graph")
    raise ModelError(
        f"no model {model}: neither a file or folder with {WEIGHTS} or {GRAPH}, nor the name of a model ({_known_names()})"
    )


def find_named(name: str) -> FoundModel:
    """Find a pretrained model or one's own by its name. Raises `ModelError` if there is none."""
    found = _find_named(name)
    if found is None:
        raise ModelError(f"no model is called {name} ({_known_names()})")
    return found


def pretrained(preset: str | None = None) -> FoundModel | None:
    """Find the pretrained model of a preset, or the default one; None if there is none."""
    name = _BY_PRESET.get(preset) if preset else _DEFAULT
    return _find_pretrained(name) if name else None


def pretrained_names() -> list[str]:
    """Names of the pretrained models that are there, the fastest first."""
    return [name for name in PRETRAINED if _find_pretrained(name)]


def own_names() -> list[str]:
    """Names of the models in the data directory, sorted."""
    return sorted(
        {
            name
            for file in (WEIGHTS, GRAPH)
            for path in _models_folder().glob(f"*/{file}")
            if _find_named(name := path.parent.name)
        }
    )


def default_path() -> Path | None:
    """The file of the model that is used if none is named; None if there is none."""
    try:
        return find(None).path
    except ModelError:
        return None


def _find_default() -> FoundModel:
    name = _current_name()
    if name is None:
        if found := pretrained():
            return found
        if own_names():
            raise ModelError(f"no model is the current one: choose one with `crnnocr models use NAME` ({_known_names()})")
        raise ModelError("there is no model yet: make one with `crnnocr train DATA`")
    found = _find_named(name)
    if found is None:
        raise ModelError(
            f"the current model {name} is gone ({path_of(name)}): "
            "choose another with `crnnocr models use NAME`, or train it again"
        )
    return replace(found, is_current=True)


def _find_pretrained(name: str) -> FoundModel | None:
    path = PRETRAINED_FOLDER / name / WEIGHTS
    return FoundModel(path, name, is_pretrained=True) if path.is_file() else None


def _find_named(name: str) -> FoundModel | None:
    if name in PRETRAINED and (found := _find_pretrained(name)):
        return found
    path = _stored(name) if _NAME.fullmatch(name) else None
    return FoundModel(path, name) if path else None


def _stored(name: str) -> Path | None:
    """The file of one's own model of a name: its weights or, if only a graph was imported, that; None if it is not there."""
    weights = path_of(name)
    return next((path for path in (weights, weights.with_name(GRAPH)) if path.is_file()), None)


def is_imported_graph(path: Path) -> bool:
    """Whether a file is a graph that the user has imported, and so trusts."""
    return path.name == GRAPH and path.absolute() == _stored(path.parent.name)


def _known_names() -> str:
    return ", ".join([*pretrained_names(), *own_names()]) or "none yet"


def _current_name() -> str | None:
    try:
        name = (data_directory() / _CURRENT).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return name if _NAME.fullmatch(name) else None  # a crash may have left anything


def path_of(name: str) -> Path:
    """The file of one's own model of a name, whether it is there or not."""
    return _models_folder() / name / WEIGHTS


def files(found: FoundModel) -> list[Path]:
    """The files that belong to a model: its whole folder if the registry manages it, else the file alone."""
    if not found.is_pretrained and found.path.parent != path_of(found.name).parent:
        return [found.path]
    return sorted(path for path in found.path.parent.rglob("*") if path.is_file())


def checked_name(name: str) -> str:
    """`name` itself. Raises `ConfigError` if it is reserved, or cannot be a folder's name on every platform."""
    if name in PRETRAINED:
        raise ConfigError("name", f"{name} is the name of a model that comes with crnnocr: choose another")
    if not _is_possible(name):
        raise ConfigError(
            "name", f"{name!r} cannot be a folder everywhere: use letters, digits, '.', '_' and '-', a letter or digit first"
        )
    return name


def similar_name(text: str) -> str:
    """The name most similar to `text` that `checked_name` accepts; it may be a reserved one."""
    name = "".join(c if c.isalnum() or c in "._-" else "-" for c in text).strip(".-_")[:100].rstrip(".")
    return name if _is_possible(name) else "model"


def free_name(wanted: str) -> str:
    """`wanted` or, if there is a model of that name or it is reserved, `wanted-2`, `wanted-3`, …"""
    name, number = wanted, 2
    while _stored(name) or name in PRETRAINED:
        name, number = f"{wanted[:90]}-{number}", number + 1
    return name


def _is_possible(name: str) -> bool:
    is_reserved = name in (SCRATCH, AUTO) or name.split(".")[0].lower() in _WINDOWS_DEVICES
    return bool(_NAME.fullmatch(name)) and not is_reserved and not name.endswith(".")


def _models_folder() -> Path:
    return data_directory() / "models"


@dataclass(frozen=True)
class ModelInfo:
    """A row of the list of models."""

    found: FoundModel
    is_default: bool
    """Whether it is used if no model is named."""
    size: int
    """Bytes of all its files."""
    modified: datetime
    """When its file was written here."""
    card: Card | None = None
    """None if its file is damaged."""
    error: str | None = None
    """Why the card cannot be loaded."""

    @property
    def kind(self) -> str:
        """`shipped` (with crnnocr) or `own`."""
        return "shipped" if self.found.is_pretrained else "own"

    def to_json(self) -> dict[str, Any]:
        """The values that JSON can hold."""
        card = self.card
        scores = card.scores if card else None
        return {
            "name": self.found.name,
            "path": str(self.found.path),
            "kind": self.kind,
            "current": self.is_default,
            "preset": card.config.preset if card else None,
            "characters": len(card.charset.characters) if card else None,
            "n": scores.n if scores else None,
            "drawn": card.is_synthetic if card else None,
            "cer": scores.cer if scores else None,
            "exact": scores.exact_match if scores else None,
            "bytes": self.size,
            "trained": card.training.date if card and card.training else None,
            "modified": self.modified.isoformat(timespec="seconds"),
            "error": self.error,
        }


def list_models() -> list[ModelInfo]:
    """All models that have a name: the pretrained ones, then one's own."""
    default = default_path()
    return [describe(find_named(name), default) for name in dict.fromkeys([*pretrained_names(), *own_names()])]


def describe(found: FoundModel, default: Path | None) -> ModelInfo:
    """Load the card of a model that has a name; `default` is the file of the model that is used if none is named."""
    size = sum(file.stat().st_size for file in files(found))
    modified = datetime.fromtimestamp(found.path.stat().st_mtime, UTC)
    card, error = None, None
    try:
        card = load_card(found.path)
    except ModelError as reason:
        error = str(reason)
    return ModelInfo(found, found.path == default, size, modified, card, error)


def check_writable() -> None:
    """Raise `CrnnocrError` if no model could be stored."""
    probe = _models_folder() / ".writable"
    try:
        with atomic_write(probe) as part:
            part.touch()
        probe.unlink(missing_ok=True)
    except (CrnnocrError, OSError) as error:
        reason = error.__cause__ or error
        raise CrnnocrError(
            f"cannot write in the data directory {data_directory()}: {getattr(reason, 'strerror', None) or reason} "
            "(CRNNOCR_DATA_DIR names another)"
        ) from error


def load_card(path: Path) -> Card:
    """Load the card of a model or of an exported one. Raises `ModelError` if the file is neither."""
    return exported.load_card(path) if path.suffix == ".onnx" else checkpoint.load_card(path)


def make_current(name: str) -> None:
    """Use the model of this name from now on if none is named."""
    with atomic_write(data_directory() / _CURRENT, durable=True) as part:
        part.write_text(name + "\n", encoding="utf-8")


def remove(found: FoundModel) -> None:
    """Remove one's own model. If it was the current one, there is no current one then.

    Raises:
        UsageError: it is a pretrained one.
        CrnnocrError: its folder cannot be written.
    """
    if found.is_pretrained:
        raise UsageError(f"{found.name} comes with crnnocr and is a part of it: only models of your own are removed")
    folder = path_of(found.name).parent
    try:
        link = folder.is_symlink()  # its target is not ours
        (folder if link else found.path).unlink()  # there is no model then, whatever happens next
        if _current_name() == found.name:
            (data_directory() / _CURRENT).unlink()
        if not link:
            shutil.rmtree(folder)
    except OSError as error:
        raise write_error(folder, error) from error


@dataclass(frozen=True)
class Imported:
    """A model file that was stored."""

    name: str
    wanted: str
    """The name it would have if that had been free."""
    path: Path


def file_at(source: Path) -> Path:
    """The file of a model or graph at a path: itself, or the one in a folder. Raises `ModelError` if there is none."""
    for file in (source / WEIGHTS, source / GRAPH, source / "inference.onnx"):  # the last is PaddleOCR's name
        if file.is_file():
            return file
    if source.is_file() and source.suffix in (".safetensors", ".onnx"):
        return source
    files = f"a .safetensors or .onnx file, or a folder with {WEIGHTS} or {GRAPH}"
    if not source.exists():
        raise ModelError(f"{source} is not there: name {files}")
    raise ModelError(f"{source} is no model that can be imported: name {files}")


def check_hash(file: Path, wanted: str) -> None:
    """Raise `CrnnocrError` if the SHA-256 of a file is not the wanted one."""
    if (found := sha256_of(file)) != wanted:
        raise CrnnocrError(f"{file} is not the file that was meant: its SHA-256 is {found}, not {wanted}")


def add(file: Path, derive: Callable[[Path], None], name: str | None = None) -> Imported:
    """Store a copy of a model file. The current model stays what it is.

    Args:
        file: the model file.
        derive: writes the ONNX files beside the copy, before it is moved into the registry.
        name: its name; by default the one in its card. A name that is taken becomes `name-2`.

    Raises:
        ModelError: the file is not a model, is damaged, or its weights do not fit its card.
        ConfigError: the name is reserved, or cannot be a folder's.
        CrnnocrError: the data directory cannot be written.
    """
    card, _ = checkpoint.load(file)
    return _add(file, WEIGHTS, card, derive, name)


def add_graph(file: Path, check: Callable[[Path], None], name: str | None = None) -> Imported:
    """Store a copy of an exported graph, which is trusted from then on, once `check` has accepted it.

    Raises what `add` does.
    """
    card = exported.load_card(file)
    check(file)
    return _add(file, GRAPH, card, lambda _: None, name)


def _add(file: Path, file_name: str, card: Card, complete: Callable[[Path], None], name: str | None) -> Imported:
    wanted = similar_name(card.name) if name is None else checked_name(name)
    free = free_name(wanted)
    path = path_of(free).with_name(file_name)
    with file.open("rb") as source, atomic_files(path.parent) as folder:
        copy = folder / path.name
        with copy.open("wb") as target:  # `shutil.copyfile` would name the source if the target cannot be written
            shutil.copyfileobj(source, target)
            target.flush()
            os.fsync(target.fileno())
        complete(copy)
    return Imported(free, wanted, path)
