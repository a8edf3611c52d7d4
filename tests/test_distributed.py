"""Two processes on torch's own launcher train as one does with the same batches.

This file is also the script that they run: `torchrun --nproc-per-node 2 tests/test_distributed.py FOLDER MODE`.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
import torch
from digits import CONFIG, SHAPE, WITHOUT_ONNX, numbers, prepared
from networks import NORMED
from numpy.typing import NDArray
from torch import Tensor

from crnnocr.config import DEFAULT_PRESET, PRESETS, TrainConfig
from crnnocr.datasets.lines import LineDataset
from crnnocr.errors import UsageError
from crnnocr.model import registry
from crnnocr.training import run as training
from crnnocr.training.batching import batch_size_for, images_per_second
from crnnocr.training.distributed import SINGLE_PROCESS, DistributedContext
from crnnocr.training.finalize import Finished
from crnnocr.training.prepare import Prepared
from crnnocr.training.resume import Run
from crnnocr.training.run import Begun
from crnnocr.training.stages import Order
from crnnocr.training.trainer import LossFunction, TrainerState, ctc_loss

# The network's usual rate is ten times as high: there, sums in another order would have grown to 1e-2 after 50 steps.
TOGETHER = replace(CONFIG, steps=50, batch_size=10, validations=5, learning_rate=2e-3)


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PRESETS, DEFAULT_PRESET, SHAPE)


def order(folder: Path, resume: bool = False, config: TrainConfig = TOGETHER, **options: Any) -> Order:
    """A training on numbers of two to seven digits, so of widths from 24 pixels to 70."""
    data = numbers(folder, 40, longest=7)
    return Order(prepared(data, config), config, (data,), device="cpu", resume=resume, finalization=WITHOUT_ONNX, **options)


def noted(file: Path) -> LossFunction:
    """The CTC loss. Each is also written to a line of `file`: that of the head and that of the auxiliary head in turns."""

    def loss(log_probs: Tensor, frames: Tensor, ids: Tensor, lengths: Tensor, weights: Tensor, device: torch.device) -> Tensor:
        total = ctc_loss(log_probs, frames, ids, lengths, weights, device)
        with file.open("a") as lines:
            lines.write(f"{total.item()}\n")
        return total

    return loss


def launch(folder: Path, mode: str) -> int:
    """Train with two processes until they are killed, or after that to the end. Returns the exit code."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone"]
    with (folder / f"output when {mode}").open("w") as output:
        result = subprocess.run(
            [*launcher, __file__, str(folder), mode], stdout=output, stderr=subprocess.STDOUT, timeout=200, check=False
        )
    return result.returncode


def losses(file: Path) -> NDArray[np.float64]:
    return np.array(file.read_text().split(), dtype=np.float64)


BRIEF = replace(TOGETHER, steps=5)

SHAPES = {"briefly": SHAPE, "briefly with every kind of layer": NORMED}
"""The network of those modes that are a few steps."""


@pytest.mark.parametrize("mode", SHAPES)
def test_two_processes_have_the_losses_of_one(
    mode: str, tmp_path: Path, own_registry: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PRESETS, DEFAULT_PRESET, SHAPES[mode])
    list(training.run(order(tmp_path / "data", config=BRIEF, loss=noted(tmp_path / "losses alone"))))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        group = {
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(free.getsockname()[1]),
            "WORLD_SIZE": "2",
            "LOCAL_WORLD_SIZE": "2",
        }
    command = [sys.executable, __file__, str(tmp_path), mode]
    with subprocess.Popen(command, env={**os.environ, **group, "RANK": "1", "LOCAL_RANK": "1"}) as other:
        for name, value in {**group, "RANK": "0", "LOCAL_RANK": "0"}.items():
            monkeypatch.setenv(name, value)
        train_with_others(tmp_path, mode)
        assert other.wait(timeout=60) == 0
    shares = [losses(tmp_path / f"losses {rank}") for rank in range(2)]
    assert np.sum(shares, axis=0) == pytest.approx(losses(tmp_path / "losses alone"), rel=1e-5)
    assert np.abs(shares[0] - shares[1]).max() > 0.01, "each has samples of its own"
    assert registry.own_names() == ["x", "x-2"], "only the main process writes"


@pytest.mark.slow
def test_two_processes_train_as_one_does_though_they_are_killed_in_between(tmp_path: Path, own_registry: Path) -> None:
    *_, finished = training.run(order(tmp_path / "data", loss=noted(tmp_path / "losses alone")))
    assert isinstance(finished, Finished)
    one = safetensors.numpy.load_file(finished.path)
    finished.path.unlink()

    assert launch(tmp_path, "killed") != 0
    assert (own_registry / "runs" / "x" / "state.safetensors").exists()
    # The second process had a data directory of its own.
    assert not [path for path in (tmp_path / "second").rglob("*") if path.is_file()], "only the main process writes"
    assert launch(tmp_path, "resumed") == 0
    assert "resuming at step 20" in (tmp_path / "output when resumed").read_text()
    assert not (own_registry / "runs" / "x").exists()

    alone = losses(tmp_path / "losses alone")
    shares = [losses(tmp_path / f"losses {rank}") for rank in range(2)]
    together = np.sum(shares, axis=0)
    assert np.abs(shares[0] - together).max() > 0.01, "each has samples of its own"
    apart = np.abs(together / alone - 1)
    assert apart[:20].max() < 1e-5  # ten steps of both heads, in single precision, with sums in another order,
    assert apart.max() < 1e-3  # and what has grown out of that
    two = safetensors.numpy.load_file(registry.path_of("x"))
    for name, value in order(tmp_path / "data").prepared.model.state_dict().items():
        change = np.linalg.norm(one[name] - value.numpy())
        assert np.linalg.norm(two[name] - one[name]) <= 0.05 * change, name  # at most 0.02 were seen, in the first bias


def test_a_step_needs_an_image_for_each_process(tmp_path: Path) -> None:
    ready = order(tmp_path).prepared
    with pytest.raises(UsageError, match="3 is less than an image for each of 4 processes"):
        batch_size_for(replace(TOGETHER, batch_size=3), ready, torch.device("cpu"), DistributedContext(0, 4))


@pytest.mark.parametrize(("given", "size"), [(None, 16), (4, 4), (100, 100)])
@pytest.mark.parametrize("processes", [1, 2])
def test_on_a_cpu_the_batch_is_the_one_asked_for_or_the_base_however_many_share_it(
    given: int | None, size: int, processes: int, tmp_path: Path
) -> None:
    ready = order(tmp_path).prepared
    config = replace(TOGETHER, batch_size=given)
    assert config.base_batch == 16
    assert batch_size_for(config, ready, torch.device("cpu"), DistributedContext(0, processes)) == size


ANY_SIZE = replace(TOGETHER, batch_size=None)


def repeated(ready: Prepared, times: int) -> Prepared:
    """A training on each of its lines so many times."""
    lines = ready.train
    pixels = np.concatenate([lines[i].pixels.ravel() for i in range(len(lines))] * times)
    parts = (np.tile(lines.widths, times), np.tile(lines.content_ids, times), np.tile(lines.sizes, (times, 1)))
    return replace(ready, train=LineDataset(lines.samples * times, pixels, SHAPE.height, *parts))


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
    def measure(_: object, size: int, *__: object) -> float:
        if size not in rates:
            raise torch.OutOfMemoryError
        return rates[size]

    ready = repeated(order(tmp_path).prepared, 200)
    monkeypatch.setattr(DistributedContext, "broadcast", lambda _, values: list(values))
    for processes in (1, 2):
        context = DistributedContext(0, processes)
        assert batch_size_for(ANY_SIZE, ready, torch.device("meta"), context, measure) == best * processes


def test_a_small_data_set_keeps_twenty_steps_per_epoch(tmp_path: Path) -> None:
    ready = repeated(order(tmp_path).prepared, 25)
    assert 640 <= len(ready.train) < 1280  # 20 batches of 32, but not of 64
    assert batch_size_for(ANY_SIZE, ready, torch.device("meta"), SINGLE_PROCESS, lambda _, size, *__: size**2) == 32


def test_measuring_the_speed_leaves_the_network_as_it_was(tmp_path: Path) -> None:
    ready = order(tmp_path).prepared
    before = {name: value.clone() for name, value in ready.model.state_dict().items()}
    assert images_per_second(ready.model, 4, 30, torch.device("cpu")) > 0
    assert all(torch.equal(value, before[name]) for name, value in ready.model.state_dict().items())
    assert all(parameter.grad is None for parameter in ready.model.parameters())


def train_with_others(folder: Path, mode: str) -> None:
    """Train briefly, or until the state of step 20 is saved, or from there to the end."""
    rank = int(os.environ["RANK"])
    PRESETS[DEFAULT_PRESET] = SHAPES.get(mode, SHAPE)
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        options: dict[str, Any] = {}
        if mode == "killed":
            if rank:
                os.environ["CRNNOCR_DATA_DIR"] = str(folder / "second")
            options = {"save_seconds": -1, "report_seconds": -1}
            patch.setattr(Run, "save", save_and_die)
        options["loss"] = noted(folder / f"losses {rank}")
        config = BRIEF if mode in SHAPES else TOGETHER
        for event in training.run(order(folder / "data", mode == "resumed", config, **options)):
            if isinstance(event, Begun):
                print(f"resuming at step {event.resumed_at}")  # noqa: T201 (the test reads it)


save = Run.save


def save_and_die(run: Run, state: TrainerState) -> None:
    """Save a state, and be killed after that of step 20."""
    save(run, state)
    if state.values["step"] == 20:
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    train_with_others(Path(sys.argv[1]), sys.argv[2])
