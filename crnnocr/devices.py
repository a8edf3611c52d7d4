"""Where the network runs: CUDA, MPS or the CPU, chosen by itself."""

from __future__ import annotations

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
