"""A training that was interrupted or killed is resumed to the same bits.

This file is also the script of the trainings that are killed: `python tests/test_resume.py CASE FOLDER WHEN`.
"""

from __future__ import annotations

import copy
import itertools
import json
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
import torch
from cards import trained_card
from digits import CONFIG, WITHOUT_ONNX, Drawer, numbers, prepared
from digits import SHAPE as WITHOUT_DROPOUT
from networks import NORMED
from numpy.typing import NDArray

from crnnocr.config import DEFAULT_PRESET, PRESETS, TrainConfig
from crnnocr.errors import CrnnocrError, UsageError
from crnnocr.files import folder_lock
from crnnocr.model import registry
from crnnocr.training import run as training
from crnnocr.training.batching import BatchSampler
from crnnocr.training.finalize import STEPS, Finished, Step, export_onnx, remove_run
from crnnocr.training.history import HISTORY
from crnnocr.training.loader import Loader
from crnnocr.training.resume import Run, interrupted_runs
from crnnocr.training.run import Begun, Event, Finalizing
from crnnocr.training.schedule import Budget, Progress
from crnnocr.training.stages import Order, StageBegun
from crnnocr.training.trainer import Trainer, TrainerState
from crnnocr.training.validation import Validation

SHAPE = replace(WITHOUT_DROPOUT, dropout=0.2)

BODY = "tiny"
"""The preset that has every kind of layer here."""

SHORT = replace(CONFIG, steps=12, validations=3, batch_size=4)

OTHER = replace(SHORT, seed=3, steps=13)

CASES = {
    "steps": SHORT,
    "epochs": replace(SHORT, steps=None, epochs=2, augment=1),
    "mixed": replace(SHORT, synth="digits", mix=0.5),
    # The second validation, after 4 steps, brings no progress yet: the decay begins, and ends after 8.
    "plateau": replace(SHORT, synth="digits", mix=0.5, steps=20, validations=10, patience=1),
    "body": replace(SHORT, preset=BODY, augment=1),
    "folds": replace(SHORT, steps=5, folds=2),
}


def order(case: TrainConfig, folder: Path, name: str = "x", **options: Any) -> Order:
    """A training on 24 numbers, some of them held out, that saves its state after every step."""
    data, synthetic = numbers(folder, 24), Drawer() if case.synth else None
    defaults: dict[str, Any] = {
        "device": "cpu",
        "save_seconds": -1,
        "report_seconds": -1,
        "synthetic_workers": 0,
        "untrained_cer": 9,  # so that a plateau is found at once
        "finalization": WITHOUT_ONNX,
    }
    return Order(prepared(data, case, synthetic=synthetic, name=name), case, (data,), synthetic, **defaults | options)


@pytest.fixture(autouse=True)
def _as_in_the_killed_processes(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(PRESETS, DEFAULT_PRESET, SHAPE)
    monkeypatch.setitem(PRESETS, BODY, replace(NORMED, dropout=0.2))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # sums come in one order only
    yield
    torch.set_num_threads(threads)


@dataclass
class Outcome:
    """The result of a training, without times."""

    weights: dict[str, NDArray[Any]]
    """Tensors of the stored model, with the images it was trained on."""
    card: dict[str, Any]
    """Scores, calibration and steps."""
    history: list[dict[str, Any]]
    """Its validations."""
    state: dict[str, Any]
    """The last saved state: network, average and optimizer."""


def rows(path: Path) -> list[dict[str, Any]]:
    """A history without times."""
    return [
        {key: value for key, value in json.loads(line).items() if key not in ("seconds", "waiting")}
        for line in path.read_text().splitlines()
    ]


def last_states(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Every state that is saved from now on."""
    states: list[dict[str, Any]] = []
    save = Run.save

    def copied(run: Run, state: TrainerState) -> None:
        save(run, state)
        tensors = {name: tensor.clone() for name, tensor in state.tensors.items()}
        values = {key: copy.deepcopy(value) for key, value in state.values.items() if not key.endswith("seconds")}
        states.append(tensors | values)

    monkeypatch.setattr(Run, "save", copied)
    return states


def finish(events: Iterator[Event], states: list[dict[str, Any]]) -> Outcome:
    *_, finished = events
    assert isinstance(finished, Finished)
    return outcome_of(finished.path, states[-1])


def outcome_of(model: Path, state: dict[str, Any]) -> Outcome:
    card, record = trained_card(model)
    return Outcome(
        weights=safetensors.numpy.load_file(model),
        card={"scores": card.scores, "calibration": card.calibration, "steps": record.steps},
        history=rows(model.parent / HISTORY),
        state=state,
    )


def assert_same(one: Outcome, other: Outcome) -> None:
    """To the bit."""
    assert one.history == other.history
    assert one.card == other.card
    for mine, theirs in ((one.weights, other.weights), (one.state, other.state)):
        assert mine.keys() == theirs.keys()
        for name, value in mine.items():
            equal = np.array_equal(value, theirs[name]) if hasattr(value, "shape") else value == theirs[name]
            assert equal, name


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Outcome]:
    """The outcome of a case without an interruption. Each is trained once."""
    outcomes: dict[str, Outcome] = {}

    def of(case: str) -> Outcome:
        if case not in outcomes:
            folder = tmp_path_factory.mktemp("uninterrupted")
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("CRNNOCR_DATA_DIR", str(folder / "store"))
                states = last_states(patch)
                outcomes[case] = finish(training.run(order(CASES[case], folder / "data")), states)
        return outcomes[case]

    return of


def step_of(event: Event) -> int:
    """The step of a report or a validation; -1 for other events."""
    if isinstance(event, Validation):
        return event.progress.step
    return event.step if isinstance(event, Progress) else -1


def train_to(events: Iterator[Event], step: int, stage: int = 0) -> None:
    """Let a training run to the first event at `step` of a `stage`, at which its state is saved, and close it there."""
    current = 0
    for event in events:
        current = event.number if isinstance(event, StageBegun) else current
        if step_of(event) >= step and current >= stage:
            break
    events.close()  # type: ignore[attr-defined]


# To the same bits


@pytest.mark.parametrize("case", ["epochs", "mixed", "plateau", "body", "folds"])
def test_interrupted_it_is_resumed_to_the_same_bits(
    case: str, uninterrupted: Callable[[str], Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = uninterrupted(case)
    steps = whole.card["steps"]
    assert (
        steps == {"epochs": 10, "mixed": 12, "plateau": 8, "body": 12, "folds": 5}[case]
    )  # twice 18 numbers in batches of 4 are 10
    # At a validation, in the second epoch, and when only the finalization is left.
    for step in {"epochs": (4, 10), "mixed": (10, 12), "plateau": (4, 8), "body": (7, 12), "folds": (3, 5)}[case]:
        monkeypatch.setenv("CRNNOCR_DATA_DIR", str(tmp_path / f"store {step}"))
        train_to(training.run(order(CASES[case], tmp_path)), step)
        with monkeypatch.context() as patch:
            states = last_states(patch)
            assert_same(finish(training.run(order(CASES[case], tmp_path, resume=True)), states), whole)


@pytest.mark.parametrize("stage", [1, 2, 3])
def test_interrupted_in_any_stage_of_a_cross_validation_it_is_resumed_to_the_same_bits(
    stage: int, uninterrupted: Callable[[str], Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_to(training.run(order(CASES["folds"], tmp_path)), 2, stage)
    begun, first, *events = training.run(order(CASES["folds"], tmp_path, resume=True))
    assert isinstance(begun, Begun)
    assert isinstance(first, StageBegun)
    assert (begun.resumed_at, first.number, first.stages) == (2, stage, 3)
    finished = events[-1]
    assert isinstance(finished, Finished)
    card, _ = trained_card(finished.path)
    assert card.scores == uninterrupted("folds").card["scores"]
    assert card.calibration == uninterrupted("folds").card["calibration"]
    same = safetensors.numpy.load_file(finished.path)
    assert all(np.array_equal(same[name], value) for name, value in uninterrupted("folds").weights.items())


def test_it_may_be_interrupted_at_every_step(
    uninterrupted: Callable[[str], Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_to(training.run(order(SHORT, tmp_path)), 1)
    for step in range(2, 12):
        events = training.run(order(SHORT, tmp_path, resume=True))
        begun = next(events)
        assert isinstance(begun, Begun)
        assert begun.resumed_at == step - 1
        train_to(events, step)
    assert_same(finish(training.run(order(SHORT, tmp_path, resume=True)), last_states(monkeypatch)), uninterrupted("steps"))


@pytest.mark.parametrize(
    ("case", "when"),
    [
        pytest.param("epochs", "5", marks=pytest.mark.slow),
        pytest.param("plateau", "4", marks=pytest.mark.slow),
        ("steps", "store_model"),
    ],
)
def test_killed_it_is_resumed_to_the_same_bits(
    case: str,
    when: str,
    uninterrupted: Callable[[str], Outcome],
    tmp_path: Path,
    own_registry: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Without a pipe for its output, nobody waits for the workers that outlive it by some seconds.
    killed = subprocess.run([sys.executable, __file__, case, str(tmp_path), when], stdout=subprocess.DEVNULL, timeout=100)
    assert killed.returncode == -signal.SIGKILL
    assert {path.name for path in (own_registry / "runs" / "x").iterdir()} == {"run.json", "state.safetensors", "history.jsonl"}
    assert registry.own_names() == (["x"] if when == "store_model" else [])
    assert_same(finish(training.run(order(CASES[case], tmp_path, resume=True)), last_states(monkeypatch)), uninterrupted(case))
    assert registry.own_names() == ["x"]
    assert not (own_registry / "runs" / "x").exists()


def test_a_resumed_run_keeps_its_batch_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = replace(SHORT, batch_size=None)
    sizes = iter([5, 9])  # a device may be faster with another at another time
    monkeypatch.setattr(training, "batch_size_for", lambda *_: next(sizes))
    train_to(training.run(order(config, tmp_path)), 2)
    begun, *_, finished = training.run(order(config, tmp_path, resume=True))
    assert isinstance(begun, Begun)
    assert isinstance(finished, Finished)
    assert begun.batch_size == trained_card(finished.path)[1].batch_size == 5


def test_history_rows_after_the_saved_state_are_not_doubled(
    uninterrupted: Callable[[str], Outcome], tmp_path: Path, own_registry: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_to(training.run(order(SHORT, tmp_path)), 3)
    # Killed after the validation at step 4 was written down, and before a state was saved.
    row = uninterrupted("steps").history[0] | {"seconds": 1, "waiting": 0}
    assert row["step"] == 4
    with (own_registry / "runs" / "x" / "history.jsonl").open("a") as file:
        file.write(json.dumps(row) + "\n")
    outcome = finish(training.run(order(SHORT, tmp_path, resume=True)), last_states(monkeypatch))
    assert_same(outcome, uninterrupted("steps"))


def test_a_state_loaded_by_another_trainer_is_the_same_state(tmp_path: Path) -> None:
    config = replace(SHORT, validations=12)
    ready = prepared(numbers(tmp_path, 24), config)
    sampler = BatchSampler(len(ready.train), 4, config.seed)

    def trainer() -> Trainer:
        budget = Budget(config, sampler.samples_per_epoch, sampler.steps_per_epoch)
        model = copy.deepcopy(ready.model)
        return Trainer(model, ready.card, ready.validation, config, budget, torch.device("cpu"), 4)

    first, second = trainer(), trainer()
    with Loader(sampler, ready.train, iter(()), ready.card.charset, SHAPE, config.augmentation.times(0)) as loader:
        for event in first.train(loader):
            if isinstance(event, Progress) and event.step == 11:  # of 12: annealed weights have been kept by then
                break
    tensors, values = first.state_dict()
    assert any(name.startswith("kept.") for name in tensors)
    copies = {name: value.clone() for name, value in tensors.items()}
    second.load_state_dict(TrainerState(copies, json.loads(json.dumps(values))))
    again, values_again = second.state_dict()
    assert tensors.keys() == again.keys()
    assert all(torch.equal(value, again[name]) for name, value in tensors.items())
    assert values | {"seconds": 0} == values_again | {"seconds": 0}
    assert values_again["seconds"] >= values["seconds"]


# From the last step to the stored model


@pytest.fixture
def stored(uninterrupted: Callable[[str], Outcome]) -> Outcome:
    """A training that ended without an interruption."""
    return uninterrupted("steps")


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.__name__)
def test_ended_after_any_step_of_its_finalization_it_is_resumed_to_the_same_model(
    step: Step, stored: Outcome, tmp_path: Path, own_registry: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = own_registry / "models" / "x"
    steps = STEPS if step is export_onnx else WITHOUT_ONNX
    with closing(training.run(order(SHORT, tmp_path, finalization=steps))) as events:
        assert Finalizing(step.__name__) in events  # goes on to it
    if step is not remove_run:
        begun, *_, finished = training.run(order(SHORT, tmp_path, finalization=steps, resume=True))
        assert isinstance(begun, Begun)
        assert isinstance(finished, Finished)
        assert (begun.resumed_at, finished.name) == (12, "x")
    assert registry.own_names() == ["x"]
    assert registry.find(None).name == "x"
    assert interrupted_runs() == []
    assert_same(outcome_of(data / "model.safetensors", stored.state), stored)
    assert (data / "curves.svg").exists()
    assert (data / "model.onnx").exists() == (step is export_onnx)


def test_a_resumed_run_does_not_replace_a_model_that_took_its_name_meanwhile(tmp_path: Path) -> None:
    with closing(training.run(order(SHORT, tmp_path))) as events:
        assert Finalizing("choose_name") in events
    *_, other = training.run(order(OTHER, tmp_path))
    assert isinstance(other, Finished)
    before = other.path.read_bytes()
    *_, finished = training.run(order(SHORT, tmp_path, resume=True))
    assert isinstance(finished, Finished)
    assert (other.name, finished.name) == ("x", "x-2")
    assert other.path.read_bytes() == before


# A budget of minutes


def test_minutes_are_counted_on_from_those_before_the_interruption(tmp_path: Path) -> None:
    seconds_passed = itertools.count(0.0, 1.0)  # one each time the clock is read

    def clock() -> float:
        return next(seconds_passed)

    config = replace(SHORT, steps=None, minutes=2)
    train_to(training.run(order(config, tmp_path, clock=clock)), 20)
    next(itertools.islice(seconds_passed, 1000, None))  # the time in between does not count
    begun, *events, finished = training.run(order(config, tmp_path, clock=clock, resume=True))
    assert isinstance(begun, Begun)
    assert isinstance(finished, Finished)
    assert begun.budget == "2 min"
    first = next(event for event in events if isinstance(event, Progress))
    last = [event for event in events if isinstance(event, Progress)][-1]
    assert first.step == 21
    assert 30 < first.seconds < 120  # 20 steps, each of which reads the clock several times
    assert (last.done, last.seconds_left) == (1, 0)
    assert 120 <= last.seconds <= finished.seconds < 140
    history = (finished.path.parent / HISTORY).read_text().splitlines()
    seconds = [json.loads(line)["seconds"] for line in history]
    assert seconds == sorted(seconds)


def test_minutes_that_are_used_up_leave_only_the_model_to_be_stored(tmp_path: Path) -> None:
    seconds_passed = itertools.count(0.0, 1.0)

    def clock() -> float:
        return next(seconds_passed)

    config = replace(SHORT, steps=None, minutes=1)
    events = training.run(order(config, tmp_path, clock=clock))
    step = next(event.step for event in events if isinstance(event, Progress) and event.done == 1)
    events.close()
    begun, *_, finished = training.run(order(config, tmp_path, clock=clock, resume=True))
    assert isinstance(begun, Begun)
    assert isinstance(finished, Finished)
    assert begun.resumed_at == step
    assert trained_card(finished.path)[1].steps == step


# Which run is resumed


def interrupt(config: TrainConfig, folder: Path, name: str = "x", minutes_ago: float = 0) -> None:
    """Leave an interrupted run."""
    before = {run.name for run in interrupted_runs()}
    train_to(training.run(order(config, folder, name=name)), 1)
    (run,) = [run for run in interrupted_runs() if run.name not in before]
    state = run.folder / "state.safetensors"
    when = state.stat().st_mtime - 60 * minutes_ago
    os.utime(state, (when, when))


def resumed(config: TrainConfig, folder: Path, name: str | None = None) -> str:
    """The name of the run that is resumed."""
    events = training.run(order(config, folder, resume=True, named=name is not None, name=name or "x"))
    begun = next(events)
    events.close()
    assert isinstance(begun, Begun)
    assert begun.resumed_at == 1
    return begun.run


def test_the_newest_run_of_the_same_data_and_options_is_resumed(tmp_path: Path) -> None:
    interrupt(SHORT, tmp_path, minutes_ago=3)
    interrupt(SHORT, tmp_path, minutes_ago=2)
    interrupt(OTHER, tmp_path, minutes_ago=1)
    assert [run.name for run in interrupted_runs()] == ["x-3", "x-2", "x"]
    assert resumed(SHORT, tmp_path) == "x-2"
    assert resumed(OTHER, tmp_path) == "x-3"


def test_a_named_run_is_resumed_though_it_is_not_the_newest(tmp_path: Path) -> None:
    interrupt(SHORT, tmp_path, "plates", minutes_ago=2)
    interrupt(SHORT, tmp_path, "signs", minutes_ago=1)
    assert resumed(SHORT, tmp_path, "plates") == "plates"


def test_a_resumed_run_keeps_the_name_of_its_model(tmp_path: Path) -> None:
    interrupt(SHORT, tmp_path, "plates")
    *_, finished = training.run(order(SHORT, tmp_path, resume=True))  # whose model would be called x
    assert isinstance(finished, Finished)
    assert (finished.name, finished.wanted) == ("plates", "plates")


def test_a_run_is_also_found_by_the_name_of_its_model(tmp_path: Path) -> None:
    interrupt(SHORT, tmp_path, "plates", minutes_ago=2)
    interrupt(SHORT, tmp_path, "plates", minutes_ago=1)
    assert resumed(SHORT, tmp_path, "plates") == "plates-2"


def test_a_run_that_was_killed_before_it_saved_a_state_leaves_its_name_free(tmp_path: Path, own_registry: Path) -> None:
    (own_registry / "runs" / "x").mkdir(parents=True)
    (own_registry / "runs" / "x" / "run.json").write_text("{}", encoding="utf-8")
    with closing(training.run(order(SHORT, tmp_path))) as events:
        begun = next(events)
        assert isinstance(begun, Begun)
        assert begun.run == "x"
        with closing(training.run(order(SHORT, tmp_path))) as others:
            second = next(others)
            assert isinstance(second, Begun)
            assert second.run == "x-2", "the first is still running"


def test_without_resume_an_interrupted_run_stays_as_it_is(tmp_path: Path, own_registry: Path) -> None:
    interrupt(SHORT, tmp_path)
    state = (own_registry / "runs" / "x" / "state.safetensors").read_bytes()
    begun, *_, finished = training.run(order(SHORT, tmp_path))
    assert isinstance(begun, Begun)
    assert (begun.run, begun.resumed_at, begun.interrupted) == ("x-2", 0, "x")
    assert isinstance(finished, Finished)
    assert finished.name == "x"
    assert [run.name for run in interrupted_runs()] == ["x"]
    assert (own_registry / "runs" / "x" / "state.safetensors").read_bytes() == state


def error_of(config: TrainConfig, folder: Path, name: str | None = None) -> str:
    """The error if no run can be resumed."""
    with pytest.raises(UsageError) as caught:
        next(training.run(order(config, folder, resume=True, named=name is not None, name=name or "x")))
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_if_there_is_no_run_that_is_an_error(tmp_path: Path, own_registry: Path) -> None:
    message = error_of(SHORT, tmp_path)
    assert message.startswith("`resume`: no interrupted run has the same data and options: there are none; leave `resume` out")
    assert not (own_registry / "runs").exists()


def test_with_other_options_the_error_names_what_differs_in_each_run(tmp_path: Path) -> None:
    interrupt(SHORT, tmp_path, minutes_ago=1)
    interrupt(OTHER, tmp_path)
    message = error_of(replace(SHORT, seed=5), tmp_path)
    assert message.startswith("`resume`: no interrupted run has the same data and options: 'x-2' (started 2")
    newest, oldest, fix = message.split("; ")
    assert newest.endswith(", with `steps=13`, with `seed=3`)")
    assert oldest.endswith(", with `seed=0`)")
    assert fix == "give the same data and options to resume one, or leave `resume` out to begin anew"
    assert "ema" not in message, "only what differs is named"


def test_a_run_of_other_data_is_not_resumed(tmp_path: Path) -> None:
    interrupt(SHORT, tmp_path)
    data = numbers(tmp_path / "more", 25)
    other = Order(prepared(data, SHORT), SHORT, (data,), device="cpu", resume=True)
    with pytest.raises(UsageError, match="with other data"):
        next(training.run(other))


def test_a_run_with_another_charset_is_not_resumed(tmp_path: Path) -> None:
    interrupt(SHORT, tmp_path)  # e.g. a start model of the same name has other characters by now
    changed = order(SHORT, tmp_path, resume=True)
    card = replace(changed.prepared.card, charset=type(changed.prepared.card.charset)("7532"))
    with pytest.raises(UsageError, match="with other characters"):
        next(training.run(replace(changed, prepared=replace(changed.prepared, card=card))))


def test_a_named_run_of_other_options_is_not_resumed(tmp_path: Path) -> None:
    interrupt(SHORT, tmp_path, "plates")
    message = error_of(SHORT, tmp_path, "signs")
    assert message.startswith("`resume`: no interrupted run called 'signs' has the same data and options: 'plates' (started 2")
    assert "with `steps=12`, with `seed=0`)" in error_of(OTHER, tmp_path, "plates")


def test_a_run_that_another_process_trains_is_not_resumed(tmp_path: Path, own_registry: Path) -> None:
    interrupt(SHORT, tmp_path)
    with folder_lock(own_registry / "runs" / "x"):
        message = error_of(SHORT, tmp_path)
    assert message == "the run x is being trained by another process: wait until it has ended"
    assert resumed(SHORT, tmp_path) == "x"


def test_a_wrong_option_is_not_mistaken_for_another_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(*_: object) -> int:
        raise UsageError("--batch-size 1 is wrong")

    monkeypatch.setattr(training, "batch_size_for", wrong)
    with pytest.raises(UsageError, match="--batch-size 1 is wrong"):
        next(training.run(order(SHORT, tmp_path)))


# Saved state


def cut_off(state: Path) -> None:
    os.truncate(state, state.stat().st_size // 2)


def emptied(state: Path) -> None:
    state.write_bytes(b"")


def garbage(state: Path) -> None:
    state.write_bytes(np.random.default_rng(0).bytes(1000))


def foreign(state: Path) -> None:
    safetensors.numpy.save_file({"x": np.zeros(3)}, state)


def half_written(state: Path) -> None:
    safetensors.numpy.save_file({"x": np.zeros(3)}, state, metadata={"crnnocr": '{"step": 1'})


@pytest.mark.parametrize("harm", [cut_off, emptied, garbage, foreign, half_written])
def test_a_damaged_state_is_an_error_with_a_fix(harm: Callable[[Path], None], tmp_path: Path, own_registry: Path) -> None:
    interrupt(SHORT, tmp_path)
    harm(own_registry / "runs" / "x" / "state.safetensors")
    with pytest.raises(CrnnocrError, match=r"runs/x/state\.safetensors cannot be read .*: begin again without `resume`"):
        next(training.run(order(SHORT, tmp_path, resume=True)))


def test_nothing_is_pickled(tmp_path: Path, own_registry: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("a pickle")

    for module, name in (
        (pickle, "load"),
        (pickle, "loads"),
        (pickle, "Unpickler"),
        (pickle, "dump"),
        (torch, "load"),
        (torch, "save"),
    ):
        monkeypatch.setattr(module, name, never)
    interrupt(SHORT, tmp_path)
    assert resumed(SHORT, tmp_path) == "x"
    state = own_registry / "runs" / "x" / "state.safetensors"
    tensors = safetensors.numpy.load_file(state)
    assert {name.split(".")[0] for name in tensors} == {"model", "average", "optimizer"}
    header = json.loads(state.read_bytes()[8 : 8 + int.from_bytes(state.read_bytes()[:8], "little")])
    assert json.loads(header["__metadata__"]["crnnocr"])["step"] == 1
    about = json.loads((own_registry / "runs" / "x" / "run.json").read_text())
    assert about["options"] == json.loads(json.dumps(asdict(SHORT)))


def test_a_training_that_ends_before_a_state_was_saved_leaves_nothing(tmp_path: Path, own_registry: Path) -> None:
    events = training.run(order(SHORT, tmp_path))
    assert isinstance(next(events), Begun)
    events.close()
    assert not [path for path in own_registry.rglob("*") if path.is_file()]
    assert interrupted_runs() == []


def test_a_full_disk_when_a_state_is_saved_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: Path, __: bytes) -> int:
        raise OSError(28, "No space left on device")

    events = training.run(order(SHORT, tmp_path))
    next(events)
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(CrnnocrError, match=r"cannot write .*state\.safetensors: No space left on device"):
        list(events)


def test_closed_it_keeps_the_state_of_its_train_to(tmp_path: Path) -> None:
    events = training.run(order(SHORT, tmp_path))
    step = next(event.step for event in events if isinstance(event, Progress) and event.step >= 5)
    events.close()
    [left] = interrupted_runs()
    assert left.load().values["step"] == step  # closed between two intervals


def test_between_intervals_no_state_is_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    states = last_states(monkeypatch)
    list(training.run(order(SHORT, tmp_path, save_seconds=1000)))
    assert [state["step"] for state in states] == [12]


def train_and_be_killed(case: str, folder: str, when: str) -> None:
    """Train to a step, whose state is saved, or to the end of a step of the finalization, and be killed."""
    PRESETS[DEFAULT_PRESET] = SHAPE
    torch.set_num_threads(1)
    for event in training.run(order(CASES[case], Path(folder), synthetic_workers=1)):
        if event == Finalizing(when) or (when.isdecimal() and step_of(event) >= int(when)):
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    train_and_be_killed(*sys.argv[1:])
