"""The machine and the process: device, precision, cores, threads, and the end of worker processes.

What is set here for the whole process (environment variables, signal handlers, warning filters, torch's threads and kernels)
is set by the command line alone, inside `restored_process_state`. One exception: `import_onnxruntime` turns telemetry off for
programs that use the library too.
"""

from __future__ import annotations

import ctypes
import math
import os
import platform
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import count
from pathlib import Path, PurePosixPath
from threading import Thread, current_thread, main_thread
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from crnnocr.errors import ConfigError

if TYPE_CHECKING:
    import torch

Device: TypeAlias = Literal["auto", "cuda", "mps", "cpu"]


def select_device(device: str) -> torch.device:
    """The torch device for a name; `auto` takes CUDA, else MPS, else the CPU.

    Raises `ConfigError` if the device is not one of these, or this machine does not have it.
    """
    import torch

    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if device == "auto":
        return torch.device(next(name for name, there in present.items() if there))
    if device not in present:
        *some, last = get_args(Device)
        raise ConfigError("device", f"takes {', '.join(some)} or {last}, not {device}")
    if not present[device]:
        raise ConfigError("device", f"{device}: this machine has none that torch can use; leave `device` out, or take cpu")
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
    """Half precision if it is faster and safe: on CUDA, in bfloat16 if the GPU has it, else in float16.

    On a CPU only `on_cpu`, in bfloat16: a CPU with instructions for it trains wide networks faster.
    """
    import torch

    if device.type == "cuda":
        return torch.autocast("cuda", half_precision())
    return torch.autocast("cpu", torch.bfloat16) if on_cpu and device.type == "cpu" else nullcontext()


def cpu_has_bfloat16() -> bool:
    """Whether the CPU has instructions for bfloat16, as far as torch tells; without them it is ten times as slow."""
    import torch

    capabilities: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()  # which older versions of torch lack
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def half_precision() -> torch.dtype:
    """The 16-bit type that the GPU computes with."""
    import torch

    return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16


def cores() -> int:
    """How many processor cores this process may use: those it may run on, or fewer if its container's quota is less."""
    present = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min(present, cpu_quota())))


def cpu_quota(groups: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> float:
    """How many cores' time the control groups of this process allow it (Linux, cgroup v1 or v2); infinite without a limit.

    Args:
        groups: where the groups' folders are.
        own: names the groups of this process, one a line, as `number:controllers:/path`.
    """
    try:
        lines = [line.split(":", 2) for line in own.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError):
        return math.inf
    quota = math.inf
    for _, controllers, path in (line for line in lines if len(line) == 3):
        if not controllers:
            roots, read = [groups, groups / "unified"], _quota_v2
        elif "cpu" in controllers.split(","):
            roots, read = [groups / controllers, groups / "cpu"], _quota_v1
        else:
            continue
        # A container may see its own group as the root, and be told the path outside.
        inside = PurePosixPath("/", *(part for part in path.split("/") if part != ".."))
        folders = (root / parent.relative_to("/") for root in roots for parent in (inside, *inside.parents))
        quota = min((quota, *map(read, folders)))
    return quota


def _quota_v2(group: Path) -> float:
    try:
        limit, period = (group / "cpu.max").read_text(encoding="utf-8").split()
        return math.inf if limit == "max" else float(limit) / float(period)
    except (OSError, ValueError, ZeroDivisionError):
        return math.inf


def _quota_v1(group: Path) -> float:
    try:
        limit, period = (float((group / f"cpu.cfs_{part}_us").read_text(encoding="utf-8")) for part in ("quota", "period"))
        return limit / period if limit > 0 else math.inf
    except (OSError, ValueError, ZeroDivisionError):
        return math.inf


def limit_threads() -> None:
    """Have numpy and torch start no more threads than the container's quota pays for. Call it before they are loaded."""
    if hasattr(os, "sched_getaffinity") and cores() < len(os.sched_getaffinity(0)):
        os.environ.setdefault("OMP_NUM_THREADS", str(cores()))


_stops: dict[int, Callable[[], None]] = {}
"""Functions that end the computations under way."""
_stop_numbers = count()


@contextmanager
def stoppable(stop: Callable[[], None]) -> Iterator[None]:
    """Name what ends a computation of unknown length in the block, which may run outside Python; `stop_all` calls it."""
    number = next(_stop_numbers)
    _stops[number] = stop
    try:
        yield
    finally:
        del _stops[number]


def stop_all() -> bool:
    """Stop the `stoppable` computations of all threads, and return whether there were any."""
    stops = list(_stops.values())
    for stop in stops:
        stop()
    return bool(stops)


def exit_with_parent(worker: int = 0) -> None:
    """In a worker process: exit when the parent process does, even if that was killed.

    Takes the worker's number, so that it can be a `worker_init_fn` of torch's `DataLoader`.
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
    """Block SIGINT, SIGTERM and SIGHUP, which reach a whole process group, in the processes that are started in this block.

    They inherit the block for good. This process gets the signals after the block. Systems without signal masks block nothing.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # otherwise it starts with the first process, and unblocks the signals
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def restored_process_state() -> Iterator[None]:
    """Put back, after a block, what it changes of the process as a whole.

    That is: environment variables, signal handlers, warning filters, torch's number of threads and choice of kernels.
    """
    environment = dict(os.environ)
    handlers = {number: signal.getsignal(number) for number in signal.valid_signals()}
    torch = sys.modules.get("torch")
    threads = torch.get_num_threads() if torch else 0
    deterministic, benchmark = _kernel_choice() if torch else (False, False)
    try:
        with warnings.catch_warnings():
            yield
    finally:
        for name in os.environ.keys() - environment.keys():
            del os.environ[name]
        os.environ.update(environment)
        if current_thread() is main_thread():
            for number, handler in handlers.items():
                if handler is not None and signal.getsignal(number) is not handler:
                    signal.signal(number, handler)
        if torch and torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
        if "torch" in sys.modules and _kernel_choice() != (deterministic, benchmark):
            _choose_kernels(deterministic, benchmark)


def use_deterministic_kernels() -> None:
    """Have torch take only kernels that give the same bits each time. Call it before the GPU is first used."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    _choose_kernels(deterministic=True, benchmark=False)


def _kernel_choice() -> tuple[bool, bool]:
    import torch

    return torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark


def _choose_kernels(deterministic: bool, benchmark: bool) -> None:
    import torch

    torch.use_deterministic_algorithms(deterministic)
    torch.backends.cudnn.benchmark = benchmark


def prepare_to_train() -> None:
    """Set what makes training faster and smaller. Call it before torch is loaded.

    torch's threads wait for each other asleep, except for a moment. They wait awake by default, and if another program uses a
    core too, each waits for one that does not run: training took ten times as long. With this it takes three times as long, and
    no longer than before if nothing else runs.

    oneDNN keeps the last 1024 kernels that it has prepared, one for each layer and shape. Lines of many widths have many
    shapes, and the process grew to 5 GB in an hour; with 128 it stays below 1 GB and loses under 5 % of the time.
    """
    os.environ.setdefault("GOMP_SPINCOUNT", "5000")
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "128")


def import_onnxruntime() -> Any:
    """Import onnxruntime, the only place that does, with its telemetry off unless the user has set `ORT_DISABLE_TELEMETRY`.

    From version 1.32 on it writes an id of the device and a database to the user's cache directory as it is imported, and sends
    events. The variable stays set, so that child processes are silent too. A program that has imported onnxruntime before has
    chosen for itself.
    """
    chosen = "onnxruntime" in sys.modules or _ORT_TELEMETRY in os.environ
    os.environ.setdefault(_ORT_TELEMETRY, "1")
    import onnxruntime  # noqa: TID251

    if not chosen:
        onnxruntime.disable_telemetry_events()  # Windows has events of its own
    return onnxruntime


_ORT_TELEMETRY = "ORT_DISABLE_TELEMETRY"


def prepare_to_recognize() -> None:
    """Have numpy start no threads for linear algebra. Call it before numpy is loaded.

    Recognition uses none, and starting them costs a fifth of the time that one image takes.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
