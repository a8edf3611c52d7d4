"""Two processes on torch's own launcher train as one does with the same batches.

This file is also the script that they run: `torchrun --nproc-per-node 2 tests/test_ranks.py FOLDER [killed|resumed]`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
import torch
from digits import CONFIG, SHAPE, numbers, prepared
from numpy.typing import NDArray

from crnnocr.config import DEFAULT_PRESET, PRESETS, TrainConfig
from crnnocr.errors import UsageError
from crnnocr.export import folder as exporting
from crnnocr.model import registry
from crnnocr.training import run as training
from crnnocr.training import trainer as loop
from crnnocr.training.batching import _fastest, batch_size_for
from crnnocr.training.distributed import Ranks
from crnnocr.training.resume import Run
from crnnocr.training.run import Begun, Finished, Order
from crnnocr.training.trainer import Trainer

# The network's usual rate is ten times as high: there, sums in another order would have grown to 1e-2 after 50 steps.
TOGETHER = replace(CONFIG, steps=50, batch_size=10, validations=5, learning_rate=2e-3)


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PRESETS, DEFAULT_PRESET, SHAPE)
    monkeypatch.setattr(exporting, "write_fp32", lambda *_: None)


def order(folder: Path, resume: bool = False, config: TrainConfig = TOGETHER) -> Order:
    """A training on numbers of two to seven digits, so of widths from 24 pixels to 70."""
    data = numbers(folder, 40, longest=7)
    return Order(prepared(data, config), config, (data,), device="cpu", resume=resume)


def note_losses(file: Path, patch: pytest.MonkeyPatch) -> None:
    """Write the loss of each step, as this process counts it, to a line of `file`."""
    learn = Trainer._learn

    def learn_and_note(trainer: Trainer, *arguments: object) -> None:
        learn(trainer, *arguments)  # type: ignore[arg-type]
        with file.open("a") as lines:
            lines.write(f"{trainer._losses[-1].item()}\n")

    patch.setattr(Trainer, "_learn", learn_and_note)


def launch(folder: Path, what: str) -> int:
    """Train with two processes until they are killed, or after that to the end."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone"]
    with (folder / f"said when {what}").open("w") as said:
        result = subprocess.run(
            [*launcher, __file__, str(folder), what], stdout=said, stderr=subprocess.STDOUT, timeout=200, check=False
        )
    return result.returncode


def losses(file: Path) -> NDArray[np.float64]:
    return np.array(file.read_text().split(), dtype=np.float64)


def test_two_processes_learn_what_one_does_though_they_are_killed_in_between(
    tmp_path: Path, own_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        note_losses(tmp_path / "losses alone", patch)
        *_, finished = training.run(order(tmp_path / "data"))
    assert isinstance(finished, Finished)
    one = safetensors.numpy.load_file(finished.path)
    finished.path.unlink()

    assert launch(tmp_path, "killed") != 0
    assert (own_store / "runs" / "x" / "state.safetensors").exists()
    # The second process had a store of its own.
    assert not [path for path in (tmp_path / "second").rglob("*") if path.is_file()], "the first alone writes"
    assert launch(tmp_path, "resumed") == 0
    assert "going on at step 20" in (tmp_path / "said when resumed").read_text()
    assert not (own_store / "runs" / "x").exists()

    alone = losses(tmp_path / "losses alone")
    shares = [losses(tmp_path / f"losses {rank}") for rank in range(2)]
    # A process counts its part of the characters twice, so that the mean over both is the loss of all.
    together = np.mean(shares, axis=0)
    assert np.abs(shares[0] - together).max() > 0.01, "each has pictures of its own"
    apart = np.abs(together / alone - 1)
    assert apart[:10].max() < 1e-5  # single precision, where sums come in another order,
    assert apart.max() < 1e-3  # and what has grown out of it
    two = safetensors.numpy.load_file(registry.path_of("x"))
    for name, value in order(tmp_path / "data").prepared.model.state_dict().items():
        learnt = np.linalg.norm(one[name] - value.numpy())
        assert np.linalg.norm(two[name] - one[name]) <= 0.05 * learnt, name  # at most 0.02 were seen, in the first bias


def test_a_step_needs_a_picture_for_each_process(tmp_path: Path) -> None:
    ready = order(tmp_path).prepared
    with pytest.raises(UsageError, match="--batch-size 3 is less than a picture for each of 4 processes"):
        batch_size_for(replace(TOGETHER, batch_size=3), ready, torch.device("cpu"), Ranks(0, 4))


@pytest.mark.parametrize(("given", "size"), [(None, 16), (4, 4), (100, 100)])
@pytest.mark.parametrize("processes", [1, 2])
def test_on_a_cpu_the_batch_is_the_one_asked_for_or_the_base_however_many_share_it(
    given: int | None, size: int, processes: int, tmp_path: Path
) -> None:
    ready = order(tmp_path).prepared
    config = replace(TOGETHER, batch_size=given)
    assert config.base_batch == 16
    assert batch_size_for(config, ready, torch.device("cpu"), Ranks(0, processes)) == size


@pytest.mark.parametrize(
    ("rates", "best"),
    [
        ({16: 100, 32: 190, 64: 300, 128: 310, 256: 900}, 64),  # 128 is not worth it, so 256 is not tried
        ({16: 100, 32: 110}, 16),
        ({16: 100, 32: 190, 64: 300, 128: 600, 256: 1200}, 256),
        ({16: 100, 32: 190}, 32),  # there is no memory for more
    ],
)
def test_on_other_devices_the_batch_doubles_while_that_pays(
    rates: dict[int, float], best: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rate(_: object, size: int, *__: object) -> float:
        if size not in rates:
            raise torch.OutOfMemoryError
        return rates[size]

    monkeypatch.setattr("crnnocr.training.batching._rate", rate)
    monkeypatch.setattr("crnnocr.training.batching._STEPS_AN_EPOCH", 0)
    ready = order(tmp_path).prepared
    for processes in (1, 2):
        ranks = Ranks(0, processes)
        monkeypatch.setattr(Ranks, "first_says", lambda _, values: list(values))
        size = batch_size_for(replace(TOGETHER, batch_size=None), ready, torch.device("meta"), ranks)
        assert size == best * processes


def test_a_small_data_set_is_not_shown_in_a_few_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crnnocr.training.batching._rate", lambda _, size, *__: size**2)
    data = numbers(tmp_path, 40).samples * 20  # 800 pictures are 25 batches of 32, and 12 of 64
    ready = order(tmp_path).prepared
    monkeypatch.setattr(type(ready.train), "__len__", lambda _: len(data))
    assert batch_size_for(replace(TOGETHER, batch_size=None), ready, torch.device("meta"), Ranks()) == 32


def test_trying_batch_sizes_leaves_the_network_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crnnocr.training.batching._TRIED", (4,))
    ready = order(tmp_path).prepared
    before = {name: value.clone() for name, value in ready.model.state_dict().items()}
    assert _fastest(ready, torch.device("cpu"), Ranks()) == 4
    assert all(torch.equal(value, before[name]) for name, value in ready.model.state_dict().items())
    assert all(parameter.grad is None for parameter in ready.model.parameters())


def train_with_others(folder: Path, what: str) -> None:
    """Train until a state of step 20 was kept, or from there to the end."""
    rank = int(os.environ["RANK"])
    PRESETS[DEFAULT_PRESET] = SHAPE
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exporting, "write_fp32", lambda *_: None)
        if what == "killed":
            if rank:
                os.environ["CRNNOCR_DATA_DIR"] = str(folder / "second")
            patch.setattr(training, "_SAVE_SECONDS", -1)
            patch.setattr(loop, "_REPORT_SECONDS", -1)
            patch.setattr(Run, "save", save_and_die)
        note_losses(folder / f"losses {rank}", patch)
        for event in training.run(order(folder / "data", resume=what == "resumed")):
            if isinstance(event, Begun):
                print(f"going on at step {event.resumed_at}")  # noqa: T201 (the test reads it)


save = Run.save


def save_and_die(run: Run, tensors: dict[str, torch.Tensor], values: dict[str, object]) -> None:
    """Keep a state, and be killed after that of step 20."""
    save(run, tensors, values)
    if values["step"] == 20:
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    train_with_others(Path(sys.argv[1]), sys.argv[2])
