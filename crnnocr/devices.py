"""Where the network runs: CUDA, MPS or the CPU, chosen by itself."""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from contextlib import AbstractContextManager, nullcontext
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
