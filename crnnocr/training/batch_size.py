"""How many pictures a step the device is fastest with."""

from __future__ import annotations

import time

import numpy as np
import torch

from crnnocr import devices
from crnnocr.config import TrainConfig
from crnnocr.engines import on_device
from crnnocr.errors import UsageError
from crnnocr.model.crnn import CRNN
from crnnocr.training.preparation import Prepared
from crnnocr.training.ranks import Ranks

_TRIED = (16, 32, 64, 128, 256)
_WORTH = 1.15
"""A batch twice as large is taken if it is that many times as fast."""
_STEPS_AN_EPOCH = 20
"""A small data set is not shown in fewer steps than these."""
_MEAN_WIDTH = 256
"""Width in pixels of a line that is not known yet."""


def batch_size_for(config: TrainConfig, prepared: Prepared, device: torch.device, ranks: Ranks) -> int:
    """Pictures a step, of all processes together.

    A CPU is as fast with few as with many, and few learn more from each picture. On other devices the number is doubled
    while that pays.

    Raises `UsageError` where there are fewer than processes.
    """
    size = config.batch_size
    if size is None:
        size = config.base_batch if device.type == "cpu" else ranks.size * _fastest(prepared, device, ranks)
    if size < ranks.size:
        raise UsageError(f"--batch-size {size} is less than a picture for each of {ranks.size} processes")
    return size


def _fastest(prepared: Prepared, device: torch.device, ranks: Ranks) -> int:
    pictures = len(prepared.examples)
    width = int(np.mean(prepared.examples.widths)) if pictures else _MEAN_WIDTH
    best, best_rate = _TRIED[0], 0.0
    for size in _TRIED:
        if pictures and pictures / size < _STEPS_AN_EPOCH:
            break
        try:
            rate = _rate(prepared.model, size, width, device)
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()
            rate = 0.0
        rate = ranks.first_says([rate])[0]
        if rate <= _WORTH * best_rate:
            break
        best, best_rate = size, rate
    return best


def _rate(model: CRNN, size: int, width: int, device: torch.device) -> float:
    """Pictures a second that are learnt from; leaves the weights as they are."""
    on_device(model, device).train()
    statistics = {name: value.clone() for name, value in model.named_buffers()}
    lines = torch.zeros(size, 1, model.config.height, width, device=device)
    seconds = 0.0
    for attempt in range(4):
        started = time.monotonic()
        with devices.autocast(device):
            features, frames = model.features(lines, torch.full((size,), width))
            loss = model.read(features, frames).mean()
        torch.autograd.backward(loss)
        model.zero_grad()
        float(loss.detach())
        if attempt:
            seconds += time.monotonic() - started
    for name, value in model.named_buffers():
        value.copy_(statistics[name])
    return 3 * size / seconds
