"""The machine and the process."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable

import pytest
import torch

from crnnocr import runtime
from crnnocr.errors import ConfigError
from crnnocr.inference.engines import memory_format


@pytest.mark.parametrize(
    ("cuda", "mps", "chosen"), [(True, True, "cuda"), (True, False, "cuda"), (False, True, "mps"), (False, False, "cpu")]
)
def test_auto_takes_cuda_then_mps_then_the_cpu(cuda: bool, mps: bool, chosen: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert runtime.select_device("auto").type == chosen


def test_a_missing_device_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="device cuda: this machine has none"):
        runtime.select_device("cuda")
    with pytest.raises(ConfigError, match="device takes auto, cuda, mps or cpu, not tpu"):
        runtime.select_device("tpu")


def test_only_mps_keeps_channels_first() -> None:
    assert memory_format(torch.device("mps")) is torch.contiguous_format
    assert memory_format(torch.device("cuda")) is torch.channels_last
    assert memory_format(torch.device("cpu")) is torch.channels_last


@pytest.mark.parametrize(("asked", "computed"), [(False, torch.float32), (True, torch.bfloat16)])
def test_a_cpu_computes_in_half_precision_only_if_asked_to(asked: bool, computed: torch.dtype) -> None:
    with runtime.autocast(torch.device("cpu"), asked):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype is computed


KILLED_WITH_A_WORKER = """
import multiprocessing, os, signal, time
from crnnocr.runtime import exit_with_parent

def work():
    exit_with_parent()
    print("working", flush=True)
    time.sleep(1000)

if multiprocessing.parent_process() is None:
    multiprocessing.get_context("fork").Process(target=work).start()
    time.sleep(0.3)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_a_worker_ends_with_its_parent_even_if_that_is_killed(
    run_process: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    killed = run_process("-c", KILLED_WITH_A_WORKER)  # returns when both have closed the output
    assert (killed.returncode, killed.stdout) == (-signal.SIGKILL, "working\n")
