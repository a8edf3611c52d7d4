"""The training loop: a generator that yields what happens. It prints, saves and draws nothing."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from crnnocr import images
from crnnocr.charset import BLANK
from crnnocr.config import TrainConfig
from crnnocr.engines import TorchEngine, memory_format, on_device
from crnnocr.errors import CrnnocrError
from crnnocr.metrics import Scores
from crnnocr.model.checkpoint import Card
from crnnocr.model.crnn import CRNN
from crnnocr.recognizer import Recognizer
from crnnocr.training.augmentation import augment
from crnnocr.training.averaging import WeightAverage
from crnnocr.training.batching import Batch
from crnnocr.training.examples import Example
from crnnocr.training.schedule import Budget, Pace, Schedule
from crnnocr.training.validation import Validation, Validator

_REPORT_SECONDS = 0.5
_LOSSES_AVERAGED = 50


@dataclass(frozen=True)
class Progress:
    """Where the training stands."""

    done: float
    """Share of the budget that is used up, 0 to 1."""
    step: int
    """Steps made."""
    epoch: int
    """The running epoch, from 1."""
    pictures: int
    """Pictures shown so far."""
    loss: float
    """CTC loss in nats a character, averaged over the last steps."""
    rate: float
    """Pictures a second, lately."""
    seconds_left: float
    """Until the end of the budget, by the pace lately."""


@dataclass(frozen=True)
class Trained:
    """The last event: the training is over, and the network holds the weights that are kept."""

    scores: Scores | None
    """Their scores on all held-out pictures, if there are any."""
    step: int
    """Steps made."""
    pictures: int
    """Pictures shown."""


def train(
    model: CRNN,
    card: Card,
    batches: Iterable[Batch],
    held_out: Sequence[Example],
    config: TrainConfig,
    budget: Budget,
    device: torch.device,
) -> Iterator[Progress | Validation | Trained]:
    """Train `model` in place; when the generator ends, it holds the best of the annealed weights.

    Args:
        model: the network; it is moved to `device`.
        card: its charset and shape.
        batches: what it learns from, without end.
        held_out: what it is validated on; where there is none, the last weights are kept.
        config: the recipe.
        budget: when it ends.
        device: where it runs.

    Raises:
        CrnnocrError: the loss is no longer a number.
    """
    on_device(model, device)
    average = WeightAverage(model, config.ema)
    validator = Validator(Recognizer(card, TorchEngine(average.model, device)), held_out, config)
    optimiser = _optimiser(model, config)
    schedule = Schedule(budget.total, config)
    losses: deque[float] = deque(maxlen=_LOSSES_AVERAGED)
    pace, picture_pace = Pace(), Pace()
    step, pictures, reported, validated = 0, 0, 0.0, 0.0

    for epoch, batch in batches:
        now = budget.now(step)
        for group in optimiser.param_groups:
            group["lr"] = config.learning_rate * schedule.factor(now, step)
        losses.append(_learn(model, optimiser, batch, step, config, device))
        if not math.isfinite(losses[-1]):
            raise CrnnocrError(f"the loss is no longer a number after {step} steps: begin anew with another --seed")
        step, pictures = step + 1, pictures + len(batch)
        average.update(model, step)
        now = budget.now(step)
        finished = schedule.finished(now)
        if budget.seconds - reported > _REPORT_SECONDS or finished:
            reported = budget.seconds
            left = max(0.0, schedule.end - now) / max(pace.update(reported, now), 1e-9)
            rate = picture_pace.update(reported, pictures)
            yield Progress(min(1.0, now / schedule.end), step, epoch, pictures, float(np.mean(losses)), rate, left)
        if held_out and (now - validated >= budget.total / config.validations or finished):
            validated = now
            yield validator.validate(average.model, step, float(np.mean(losses)), schedule.factor(now, step))
            if validator.is_on_plateau:
                schedule.start_decay(now)
        if finished:
            break
    average.model.load_state_dict(validator.best_weights or average.model.state_dict())
    model.load_state_dict(average.model.state_dict())
    yield Trained(validator.score_everything(), step, pictures)


def _optimiser(model: CRNN, config: TrainConfig) -> torch.optim.AdamW:
    matrices = [parameter for parameter in model.parameters() if parameter.ndim > 1]
    vectors = [parameter for parameter in model.parameters() if parameter.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": config.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=config.learning_rate, fused=True)


def _learn(
    model: CRNN,
    optimiser: torch.optim.AdamW,
    batch: Sequence[Example],
    step: int,
    config: TrainConfig,
    device: torch.device,
) -> float:
    """One step on a batch; returns the loss of the main head in nats a character."""
    arrays, widths_array = images.to_batch([example.line for example in batch])
    generator = torch.Generator().manual_seed(config.seed * 2**32 + step)
    lines, widths = augment(
        torch.from_numpy(arrays), torch.from_numpy(widths_array), config.augment, model.config.min_width, generator
    )
    model.train()
    features, frames = model.features(lines.to(device=device, memory_format=memory_format(device)), widths)
    loss = ctc_loss(model.read(features, frames), frames, [example.ids for example in batch])
    auxiliary = ctc_loss(model.read_without_context(features), frames, [example.ids for example in batch])
    optimiser.zero_grad()
    torch.autograd.backward(loss + config.auxiliary_weight * auxiliary)
    torch.nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm)
    optimiser.step()
    return float(loss.detach())


def ctc_loss(log_probs: Tensor, frames: Tensor, targets: Sequence[Sequence[int]]) -> Tensor:
    """The CTC loss of a batch in nats a character: the sum over its lines divided by the sum of their lengths.

    A line that augmentation has made too narrow for its label counts nothing.

    Args:
        log_probs: (N, T, C) natural-log probabilities.
        frames: (N,) int64 true frames, on the CPU.
        targets: class ids of each line's text.
    """
    lengths = torch.tensor([len(target) for target in targets])
    flat = torch.tensor([i for target in targets for i in target])
    if log_probs.device.type == "mps":  # torch has no CTC loss there
        log_probs = log_probs.cpu()
    # Targets on the network's device select torch's own kernel: cuDNN's has limits on labels and frames.
    loss = functional.ctc_loss(
        log_probs.transpose(0, 1), flat.to(log_probs.device), frames, lengths, BLANK, reduction="sum", zero_infinity=True
    )
    return loss / lengths.sum()
