"""Where the network runs: CUDA, MPS or the CPU, chosen by itself.

What this machine has.
"""

from __future__ import annotations

import ctypes
import os
import platform
import signal
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from threading import Thread
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from crnnocr.errors import UsageError

if TYPE_CHECKING:
    import torch

Device: TypeAlias = Literal["auto", "cuda", "mps", "cpu"]


def select(device: str) -> torch.device:
    """The torch device for a name; `auto` takes CUDA, else MPS, else the CPU.

    Raises `UsageError` where the device is not one of these, or this machine has none such.
    """
    import torch

    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if device == "auto":
        return torch.device(next(name for name, there in present.items() if there))
    if device not in present:
        raise UsageError(f"--device {device} is none of {', '.join(get_args(Device))}")
    if not present[device]:
        raise UsageError(f"--device {device}: this machine has none that torch can use; leave --device out, or take cpu")
    return torch.device(device)


def may_have_gpu() -> bool:
    """Whether it is worth loading torch to look for a GPU: a CUDA driver that knows a device, or a Mac with Apple's chip."""
    if sys.platform == "darwin":
        return platform.machine() == "arm64"
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
        count = ctypes.c_int(0)
        return driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0 and count.value > 0
    except (OSError, AttributeError):
        return False


def autocast(device: torch.device, on_cpu: bool = False) -> AbstractContextManager[object]:
    """Half precision where it is quicker and safe: on CUDA, in bfloat16 if the GPU has it, else in float16.

    On a CPU in bfloat16, if that is asked for: one with instructions for it trains wide networks quicker so.
    """
    import torch

    if device.type == "cuda":
        return torch.autocast("cuda", half_precision())
    return torch.autocast("cpu", torch.bfloat16) if on_cpu and device.type == "cpu" else nullcontext()


def half_precision() -> torch.dtype:
    """The 16-bit numbers that the GPU computes with."""
    import torch

    return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16


def be_deterministic() -> None:
    """Have torch take only kernels that give the same bits each time. To be called before the GPU is first used."""
    import torch

    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False


def share_cores() -> None:
    """Have torch's threads wait for each other asleep, but for a moment. To be called before torch is loaded.

    They wait awake by default, and where another program uses a core too, each then waits for one that does not run: training
    took ten times as long. With this it takes three times as long, and as long as before where nothing else runs.
    """
    os.environ.setdefault("GOMP_SPINCOUNT", "5000")


def without_blas_threads() -> None:
    """Have numpy start no threads for linear algebra: reading has none, and they cost a fifth of what it takes to read one
    picture. To be called before numpy is loaded.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def cores() -> int:
    """How many processor cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def exit_with_parent(_worker: int = 0) -> None:
    """Make this worker process end as soon as its parent process has ended, even if that was killed.

    Fits as `worker_init_fn` of a torch `DataLoader`, whose workers otherwise wait for ever.
    """
    from multiprocessing import parent_process

    parent = parent_process()
    assert parent is not None

    def follow() -> None:
        parent.join()
        os._exit(1)

    Thread(target=follow, name="exit with parent", daemon=True).start()


@contextmanager
def blocked_signals() -> Iterator[None]:
    """Block SIGINT and SIGTERM, which reach a whole process group, in the processes that are started in this block.

    They inherit the block for good. This process gets the signals after the block. Systems without signal masks block nothing.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # otherwise it starts with the first process, and unblocks the signals
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
