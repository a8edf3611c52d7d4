"""Trainings that have not ended yet: `runs/NAME` in the data directory holds what one needs to go on.

There are no pickles: tensors are in `state.safetensors`, and the rest is JSON.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crnnocr.config import AUTO, SCRATCH
from crnnocr.errors import CrnnocrError, UsageError
from crnnocr.files import atomic_write, data_directory, folder_lock
from crnnocr.model import registry
from crnnocr.model.registry import FoundModel

if TYPE_CHECKING:
    from torch import Tensor

_ABOUT, _STATE, _VALUES, _MODEL = "run.json", "state.safetensors", "crnnocr", "model"
HISTORY = "history.jsonl"
"""Name of the file with a row for each validation."""


@dataclass(frozen=True)
class Run:
    """A training in a folder of its own."""

    folder: Path
    """Where it keeps what it needs."""
    about: dict[str, Any]
    """Its data and options as JSON gives them back: what must be the same for it to go on, and `started`."""

    @property
    def name(self) -> str:
        """The name it goes by."""
        return self.folder.name

    @property
    def model(self) -> str:
        """What the model was to be called when it began."""
        return str(self.about.get(_MODEL, self.name))

    @property
    def history(self) -> Path:
        """The file with a row for each validation."""
        return self.folder / HISTORY

    @property
    def can_go_on(self) -> bool:
        """Whether a state of it was kept."""
        return (self.folder / _STATE).is_file()

    def save(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        """Keep a state of the training in place of the last one, whole or not at all."""
        from safetensors.torch import save

        whole = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
        with atomic_write(self.folder / _STATE, durable=True) as part:
            part.write_bytes(save(whole, metadata={_VALUES: json.dumps(values)}))

    def load(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """The state that was last kept. Raises `CrnnocrError` where it cannot be read."""
        from safetensors import SafetensorError, safe_open

        path = self.folder / _STATE
        try:
            with safe_open(path, framework="pt") as file:
                values = json.loads(file.metadata()[_VALUES])
                return {name: file.get_tensor(name) for name in file.keys()}, values  # noqa: SIM118
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            raise CrnnocrError(f"{path} cannot be read ({error}): begin anew without --resume") from error

    def remove(self) -> None:
        """Forget it: it has ended."""
        shutil.rmtree(self.folder, ignore_errors=True)


def begin(name: str, about: dict[str, Any]) -> Run:
    """A folder for a new training called `name`, or if there is one already, `name-2`, `name-3`, …"""
    folder, number = _runs() / name, 2
    while not _is_free(folder):
        folder, number = _runs() / f"{name}-{number}", number + 1
    run = Run(folder, about | {"started": datetime.now(UTC).isoformat(timespec="seconds"), _MODEL: name})
    with atomic_write(folder / _ABOUT) as part:
        part.write_text(json.dumps(run.about, indent=1) + "\n", encoding="utf-8")
    return run


def _is_free(folder: Path) -> bool:
    """Whether a run may begin there: none did, or it was killed before a state was kept."""
    if not folder.exists():
        return True
    if (folder / _STATE).is_file() or sys.platform == "win32":
        return False
    try:
        with folder_lock(folder):
            return True
    except UsageError:
        return False


@contextmanager
def held(run: Run) -> Iterator[None]:
    """Keep other processes from going on with the same run, and forget it if it ends before a state was kept.

    Raises `UsageError` where another process goes on with it already.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(folder_lock(run.folder))
        except UsageError as error:
            raise UsageError(f"the run {run.name} is being trained by another process: wait until it has ended") from error
        try:
            yield
        finally:
            if not run.can_go_on:
                run.remove()


def interrupted() -> list[Run]:
    """The runs that can go on, the newest first."""
    found = []
    for about in _runs().glob(f"*/{_ABOUT}"):
        with suppress(OSError, ValueError):
            found.append(Run(about.parent, json.loads(about.read_text(encoding="utf-8"))))
    return sorted((run for run in found if run.can_go_on), key=lambda run: (run.folder / _STATE).stat().st_mtime, reverse=True)


def check_unneeded(model: FoundModel) -> None:
    """Raise `UsageError` where an interrupted run began from a model, without which it cannot go on."""
    for run in interrupted():
        if _begun_from(run) == model.path.resolve():
            raise UsageError(
                f"{model.name} is what the interrupted run {run.name} began from, and without it that cannot go on: end the "
                f"run with `crnnocr train` and --resume, or delete {run.folder}"
            )


def _begun_from(run: Run) -> Path | None:
    start = run.about.get("options", {}).get("start", AUTO)
    try:
        return None if start in (AUTO, SCRATCH) else registry.find(start).path.resolve()
    except CrnnocrError:  # it is gone already
        return None


def resumable(name: str | None, about: dict[str, Any]) -> Run:
    """The newest run with the same data and options; where a `name` is given, it or its model must be called so.

    Raises `UsageError`, listing what there is, where there is none such.
    """
    there = interrupted()
    for run in there:
        if name in (None, run.name, run.model) and not _differences(run, about):
            return run
    listed = "; ".join(f"{run.name} ({_why_not(run, about)})" for run in there) or "there are none"
    called = f" called {name}" if name else ""
    wanted = f"no interrupted run{called} has the same data and options"
    raise UsageError(f"--resume: {wanted}: {listed}")


def left_alone(about: dict[str, Any]) -> str:
    """The name of the newest run with the same data and options; empty where there is none."""
    return next((run.name for run in interrupted() if not _differences(run, about)), "")


def _differences(run: Run, about: dict[str, Any]) -> list[str]:
    """What is other than in `about`, in words."""
    found = []
    for key, wanted in about.items():
        had = run.about.get(key)
        if isinstance(wanted, dict) and isinstance(had, dict):
            found += [f"{entry} {had.get(entry)}" for entry in wanted if had.get(entry) != wanted[entry]]
        elif had != wanted:
            found.append(f"other {key}")
    return found


def _why_not(run: Run, about: dict[str, Any]) -> str:
    started = run.about.get("started", "at an unknown time")
    return f"begun {started}, with {', '.join(_differences(run, about)) or 'the same data and options'}"


def _runs() -> Path:
    return data_directory() / "runs"
