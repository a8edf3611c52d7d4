"""Where models are kept and how they are named. Imports no torch.

A model is a folder `NAME` with `model.safetensors` in it, under `models` in the platform's data directory; the file
`current-model` beside `models` names the one that is taken when nobody says which.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from crnnocr.config import AUTO, SCRATCH
from crnnocr.directories import data_directory
from crnnocr.errors import CrnnocrError, ModelError, UsageError
from crnnocr.files import replacing

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
    """Whether it was taken because no model was named."""


def find(model: str | None) -> FoundModel:
    """The model of a name, a folder, a file, or (None) the current one. Raises `ModelError` where there is none."""
    if model is None:
        return _current()
    path = Path(model)
    if path.is_file():
        if path.suffix not in (".safetensors", ".onnx"):
            raise ModelError(f"{path} is not a model: expected a folder, a .safetensors or an .onnx file")
        return FoundModel(path, path.resolve().parent.name if path.name in (WEIGHTS, GRAPH) else path.stem)
    for file in (WEIGHTS, GRAPH):
        if (path / file).is_file():
            return FoundModel(path / file, path.resolve().name)
    if _NAME.fullmatch(model) and (_models() / model / WEIGHTS).is_file():
        return FoundModel(_models() / model / WEIGHTS, model)
    there = ", ".join(names()) or "none yet"
    raise ModelError(f"no model {model}: neither a file or folder with {WEIGHTS}, nor one of the trained ones ({there})")


def shipped(preset: str) -> FoundModel | None:
    """The model that came with crnnocr for a preset; None where there is none."""
    path = Path(__file__).parent / "shipped" / preset / WEIGHTS
    return FoundModel(path, f"the shipped {preset} model") if path.is_file() else None


def names() -> list[str]:
    """Names of the models in the data directory, sorted."""
    return sorted(path.parent.name for path in _models().glob(f"*/{WEIGHTS}"))


def free_name(wanted: str) -> str:
    """`wanted`, or if a model of this name is there, `wanted-2`, `wanted-3`, …"""
    name, number = wanted, 2
    while path_of(name).exists():
        name, number = f"{wanted}-{number}", number + 1
    return name


def checked_name(name: str) -> str:
    """`name` itself. Raises `UsageError` where it cannot be a folder's name on every platform."""
    reserved = name in (SCRATCH, AUTO) or name.split(".")[0].lower() in _DEVICES_OF_WINDOWS
    if reserved or not _NAME.fullmatch(name) or name.endswith("."):
        raise UsageError(
            f"--name {name!r} cannot be a folder everywhere: use letters, digits, '.', '_' and '-', a letter or digit first"
        )
    return name


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
    with replacing(data_directory() / _CURRENT) as part:
        part.write_text(name + "\n", encoding="utf-8")


def _models() -> Path:
    return data_directory() / "models"


def _current() -> FoundModel:
    try:
        name = (data_directory() / _CURRENT).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ModelError("there is no model yet: make one with `crnnocr train DATA`, or name one with --model") from error
    path = path_of(name)
    if not path.is_file():
        raise ModelError(f"the current model {name} is gone ({path}): train anew, or name one with --model")
    return FoundModel(path, name, is_current=True)
