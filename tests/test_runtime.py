"""The machine and the process."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

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


@pytest.mark.parametrize(
    ("capabilities", "has_it"),
    [({"avx512_bf16": True}, True), ({"amx_bf16": True}, True), ({"avx512_f": True}, False), (None, False)],
)
def test_bfloat16_is_used_where_the_cpu_has_instructions_for_it(
    capabilities: dict[str, bool] | None, has_it: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if capabilities is None:  # an older torch
        monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    else:
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert runtime.cpu_has_bfloat16() is has_it


def control_groups(folder: Path, own: str, files: dict[str, str]) -> float:
    """The quota of a process whose `/proc/self/cgroup` is `own`, in groups that hold these files."""
    for name, content in files.items():
        (folder / "cgroup" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "cgroup" / name).write_text(content, encoding="utf-8")
    (folder / "own").write_text(own, encoding="utf-8")
    return runtime.cpu_quota(folder / "cgroup", folder / "own")


V1 = "4:memory:/x\n2:cpu,cpuacct:/docker/abc\n1:name=systemd:/x\n"


@pytest.mark.parametrize(
    ("own", "files", "expected"),
    [
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 1.5),  # inside a container, whose own group is the root
        ("0::/\n", {"cpu.max": "max 100000\n"}, math.inf),
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000\n", "a/cpu.max": "200000 100000\n"}, 2.0),  # of a group above
        ("0::/a/b\n", {"a/b/cpu.max": "50000 100000\n", "a/cpu.max": "200000 100000\n"}, 0.5),
        ("0::/../../pod/1\n", {"cpu.max": "300000 100000\n"}, 3.0),  # the path outside, not there inside
        ("0::/\n", {}, math.inf),
        ("0::/\n", {"cpu.max": "nonsense\n"}, math.inf),
        (V1, {"cpu,cpuacct/cpu.cfs_quota_us": "400000", "cpu,cpuacct/cpu.cfs_period_us": "100000"}, 4.0),
        (V1, {"cpu/docker/abc/cpu.cfs_quota_us": "250000", "cpu/docker/abc/cpu.cfs_period_us": "100000"}, 2.5),
        (V1, {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, math.inf),
        (V1 + "0::/a\n", {"unified/a/cpu.max": "100000 100000"}, 1.0),  # both versions at once
        ("no such line", {"cpu.max": "100000 100000"}, math.inf),
    ],
)
def test_the_quota_of_a_container_is_the_least_of_its_groups(
    own: str, files: dict[str, str], expected: float, tmp_path: Path
) -> None:
    assert control_groups(tmp_path, own, files) == expected


def test_a_system_without_control_groups_has_no_quota(tmp_path: Path) -> None:
    assert runtime.cpu_quota(tmp_path, tmp_path / "none") == math.inf


@pytest.mark.parametrize(("quota", "expected"), [(math.inf, 4), (8.0, 4), (2.0, 2), (1.5, 2), (0.2, 1)])
def test_cores_are_those_that_are_there_and_paid_for(quota: float, expected: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3}, raising=False)
    monkeypatch.setattr(runtime, "cpu_quota", lambda: quota)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert runtime.cores() == expected
    with runtime.restored_process_state():
        runtime.limit_threads()
        assert os.environ.get("OMP_NUM_THREADS") == (str(expected) if expected < 4 else None)


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
