"""The CTC loss (Graves et al. 2006), on whatever device."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from crnnocr.charset import BLANK


def ctc_loss(log_probs: Tensor, frames: Tensor, ids: Tensor, lengths: Tensor, device: torch.device) -> Tensor:
    """The CTC loss of a batch in nats, summed over its lines. A line too narrow for its label counts nothing.

    Args:
        log_probs: (N, T, C) natural-log probabilities.
        frames: (N,) int64 true frames, on the CPU.
        ids: class ids of the labels, one label after the other.
        lengths: (N,) int64 characters of each label, on the CPU.
        device: where it is computed. MPS has no such kernel, and that of CUDA adds up in any order: the CPU repeats itself.
    """
    if device.type == "mps":
        device = torch.device("cpu")
    # Targets on the network's device select torch's own kernel: cuDNN's has limits on labels and frames.
    loss: Tensor = functional.ctc_loss(
        log_probs.to(device).transpose(0, 1), ids.to(device), frames, lengths, BLANK, reduction="sum", zero_infinity=True
    )
    return loss.to(log_probs.device)
