"""Runs: trainings that have not ended yet. `runs/NAME` in the data directory holds what is needed to resume one.

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
from crnnocr.training.history import HISTORY

if TYPE_CHECKING:
    from crnnocr.training.trainer import TrainerState

_INFO, _STATE = "run.json", "state.safetensors"
_VALUES = "crnnocr"
_STARTED, _MODEL, _STORED_AS = "started", "model", "stored_as"


@dataclass(frozen=True)
class Run:
    """A training in a folder of its own."""

    folder: Path
    """Where it keeps its files."""
    info: dict[str, Any]
    """Its identity (data and options, which must be the same for it to be resumed), when it started, and its model's name."""

    @property
    def name(self) -> str:
        """The name by which it is resumed."""
        return self.folder.name

    @property
    def model(self) -> str:
        """The name that its model was to have when it began."""
        return str(self.info.get(_MODEL, self.name))

    @property
    def stored_as(self) -> str:
        """The name under which its model is being stored; empty while it is still training."""
        return str(self.info.get(_STORED_AS, ""))

    @property
    def history(self) -> Path:
        """The file with a row for each validation."""
        return self.folder / HISTORY

    @property
    def before(self) -> Path:
        """The file with the start model's predictions for the held-out images."""
        return self.folder / "before.jsonl"

    def predictions(self, stage: int, round: int) -> Path:
        """The file with the predictions for the held-out images of a stage, from 0, after a round of pseudo-labels."""
        return self.folder / f"stage-{stage + 1}-{round}.jsonl"

    def pseudo_labels(self, stage: int, round: int) -> Path:
        """The file with the pseudo-labels of a round, from 1, of a stage."""
        return self.folder / f"pseudo-labels-{stage + 1}-{round}.jsonl"

    def weights(self, round: int) -> Path:
        """The file with the weights of a round of the last stage, to be taken back if it was the best."""
        return self.folder / f"round-{round}.safetensors"

    @property
    def is_resumable(self) -> bool:
        """Whether a state was saved."""
        return (self.folder / _STATE).is_file()

    def note_stored_as(self, name: str) -> None:
        """Note the name under which the model is going to be stored."""
        self.info[_STORED_AS] = name
        self.write_info()

    def write_info(self) -> None:
        """Write `info` to its file."""
        with atomic_write(self.folder / _INFO) as part:
            part.write_text(json.dumps(self.info, indent=1) + "\n", encoding="utf-8")

    def save(self, state: TrainerState, path: Path | None = None) -> None:
        """Replace the saved state, or that in `path`, as a whole or not at all."""
        from safetensors.torch import save

        tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in state.tensors.items()}
        with atomic_write(path or self.folder / _STATE, durable=True) as part:
            part.write_bytes(save(tensors, metadata={_VALUES: json.dumps(state.values)}))

    def load(self, path: Path | None = None) -> TrainerState:
        """The saved state, or that in `path`. Raises `CrnnocrError` if it cannot be read."""
        from safetensors import SafetensorError, safe_open

        from crnnocr.training.trainer import TrainerState

        path = path or self.folder / _STATE
        try:
            with safe_open(path, framework="pt") as file:
                values = dict(json.loads(file.metadata()[_VALUES]))
                return TrainerState({name: file.get_tensor(name) for name in file.keys()}, values)  # noqa: SIM118
        except (OSError, SafetensorError, AttributeError, LookupError, TypeError, ValueError, RecursionError) as error:
            raise CrnnocrError(f"{path} cannot be read ({error}): begin again without `resume`") from error

    def remove(self) -> None:
        """Remove the run, its state first: a part of a run is never resumed."""
        with suppress(OSError):
            (self.folder / _STATE).unlink()
        shutil.rmtree(self.folder, ignore_errors=True)


def begin(name: str, identity: dict[str, Any]) -> Run:
    """Make a folder for a new training called `name` or, if there is one already, `name-2`, `name-3`, …"""
    folder, number = _runs() / name, 2
    while not _is_free(folder):
        folder, number = _runs() / f"{name}-{number}", number + 1
    run = Run(folder, identity | {_STARTED: datetime.now(UTC).isoformat(timespec="seconds"), _MODEL: name})
    run.write_info()
    return run


def _is_free(folder: Path) -> bool:
    """Whether a run may begin there: there is none, or it was killed before a state was saved."""
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
def locked(run: Run) -> Iterator[None]:
    """Keep other processes from resuming the same run, and remove it if it ends before a state was saved.

    Raises `UsageError` if another process has resumed it already.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(folder_lock(run.folder))
        except UsageError as error:
            raise UsageError(f"the run {run.name} is being trained by another process: wait until it has ended") from error
        try:
            yield
        finally:
            if not run.is_resumable:
                run.remove()


def interrupted_runs() -> list[Run]:
    """The runs that can be resumed, the newest first."""
    found = []
    for info in _runs().glob(f"*/{_INFO}"):
        with suppress(OSError, ValueError, RecursionError):
            if isinstance(values := json.loads(info.read_text(encoding="utf-8")), dict):
                found.append(Run(info.parent, values))
    resumable = (run for run in found if run.is_resumable)
    return sorted(resumable, key=lambda run: (run.folder / _STATE).stat().st_mtime, reverse=True)


def find_resumable(name: str | None, identity: dict[str, Any]) -> Run:
    """The newest run with the same data and options; with a `name`, only one of this name or whose model has it.

    Raises `UsageError`, listing the runs there are, if there is none.
    """
    runs = interrupted_runs()
    for run in runs:
        if name in (None, run.name, run.model) and not _differences(run, identity):
            return run
    called = f" called {name!r}" if name else ""
    message = f"`resume`: no interrupted run{called} has the same data and options"
    if not runs:
        raise UsageError(f"{message}: there are none; leave `resume` out to begin anew")
    listed = "; ".join(f"{run.name!r} ({_described(run, identity)})" for run in runs)
    fix = "give the same data and options to resume one, or leave `resume` out to begin anew"
    raise UsageError(f"{message}: {listed}; {fix}")


def find_interrupted(identity: dict[str, Any]) -> str:
    """The name of the newest run with the same data and options; empty if there is none."""
    return next((run.name for run in interrupted_runs() if not _differences(run, identity)), "")


def check_unneeded(model: FoundModel) -> None:
    """Raise `UsageError` if an interrupted run started from a model, without which it cannot be resumed."""
    for run in interrupted_runs():
        if _start_model(run) == model.path.resolve():
            raise UsageError(
                f"the interrupted run {run.name} started from {model.name}, and cannot be resumed without it: resume the run "
                f"with `crnnocr train`, or delete {run.folder}"
            )


def _start_model(run: Run) -> Path | None:
    start = run.info.get("options", {}).get("start", AUTO)
    try:
        return None if start in (AUTO, SCRATCH) else registry.find(start).path.resolve()
    except CrnnocrError:  # it was removed
        return None


def _differences(run: Run, identity: dict[str, Any]) -> list[str]:
    """How the run differs from `identity`, in words."""
    found = []
    for key, wanted in identity.items():
        value = run.info.get(key)
        if isinstance(wanted, dict) and isinstance(value, dict):
            found += [_option_in_words(entry, value.get(entry)) for entry in wanted if value.get(entry) != wanted[entry]]
        elif value != wanted:
            found.append(f"with other {key}")
    return found


def _described(run: Run, identity: dict[str, Any]) -> str:
    started = run.info.get(_STARTED, "at an unknown time")
    return f"started {started}, {', '.join(_differences(run, identity)) or 'with the same data and options'}"


def _option_in_words(option: str, value: object) -> str:
    return f"without `{option}`" if value is None or value is False else f"with `{option}={value}`"


def _runs() -> Path:
    return data_directory() / "runs"
