"""The CTC loss (Graves et al. 2006), on whatever device.

The running average of a network's weights, which reads better than the weights themselves.

The training loop: a generator that yields what happens. It prints, saves and draws nothing.
"""

from __future__ import annotations

import copy
import math
import warnings
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel

from crnnocr import runtime
from crnnocr.config import ModelConfig, TrainConfig
from crnnocr.datasets.lines import LineDataset
from crnnocr.errors import CrnnocrError
from crnnocr.inference.engines import TorchEngine, memory_format, on_device
from crnnocr.inference.recognizer import Recognizer
from crnnocr.metrics.scores import Scores
from crnnocr.model.card import Card
from crnnocr.model.crnn import CRNN
from crnnocr.text.charset import BLANK
from crnnocr.training.batching import seed_of
from crnnocr.training.distributed import Ranks
from crnnocr.training.loader import Batch, Loader
from crnnocr.training.schedule import Budget, Pace, Schedule
from crnnocr.training.validation import Reading, Validation, Validator


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


class WeightAverage:
    """An exponential moving average of a network's weights and normalisation statistics."""

    def __init__(self, model: CRNN, decay: float) -> None:
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        """The network with the averaged weights."""
        self._decay = decay
        pairs = list(zip(self.model.state_dict().values(), model.state_dict().values(), strict=True))
        self._means = [mean for mean, value in pairs if value.is_floating_point()]
        self._values = [value for _, value in pairs if value.is_floating_point()]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after `step` steps. The average is shorter in the beginning, so that it forgets the start."""
        decay = min(self._decay, step / (step + 10))
        torch._foreach_lerp_(self._means, self._values, 1 - decay)


_REPORT_SECONDS = 0.5
_LOSSES_AVERAGED = 50
_LEARNING_TO_VALIDATING = 5.0
"""How many times as long as a validation takes is learnt before the next, where the budget is in time."""


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
    learning_rate: float
    """The running learning rate."""
    rate: float
    """Pictures a second, lately."""
    waiting: float
    """Share of the time that was spent waiting for pictures, lately, 0 to 1."""
    seconds: float
    """Since the start."""
    seconds_left: float
    """Until the end of the budget, by the pace lately."""


@dataclass(frozen=True)
class Trained:
    """The last event: the training is over, and the network holds the weights that are kept."""

    scores: Scores | None
    """Their scores on all held-out pictures, if there are any."""
    readings: tuple[Reading, ...]
    """What they read in them."""
    step: int
    """Steps made."""
    pictures: int
    """Pictures shown."""


class Trainer:
    """A training that can be asked for its state at each event, and go on from that in another process."""

    def __init__(
        self,
        model: CRNN,
        card: Card,
        held_out: LineDataset,
        config: TrainConfig,
        budget: Budget,
        device: torch.device,
        batch_size: int,
        ranks: Ranks = Ranks(),  # noqa: B008 (frozen)
    ) -> None:
        """Make ready to train.

        Args:
            model: the network; it is moved to `device` and trained in place.
            card: its charset and shape.
            held_out: what it is validated on; where there is none, the last weights are kept.
            config: the recipe.
            budget: when it ends.
            device: where it runs.
            batch_size: pictures a step, of all processes together.
            ranks: the processes that train together.
        """
        self.step = 0
        """Steps made."""
        self._model, self._config, self._budget, self._device, self._ranks = model, config, budget, device, ranks
        self._held_out = held_out
        on_device(model, device)
        model.backbone.requires_grad_(not config.freeze)
        self._learner: nn.Module = _Learner(model)
        if ranks.size > 1:
            with warnings.catch_warnings():  # newer versions of torch have another name for it, which older ones lack
                warnings.simplefilter("ignore", FutureWarning)
                self._learner = DistributedDataParallel(self._learner, broadcast_buffers=False)
        self._average = WeightAverage(model, config.ema)
        self._validator = Validator(Recognizer(card, TorchEngine(self._average.model, device)), held_out, config)
        self._optimiser = _optimiser(model, config)
        self._scaler = torch.amp.GradScaler(
            device.type, enabled=device.type == "cuda" and runtime.half_precision() is torch.float16
        )
        self._highest_rate = _highest_rate(config, model.config, batch_size)
        self._schedule = Schedule(budget, config)
        self._losses: deque[Tensor] = deque(maxlen=_LOSSES_AVERAGED)
        self._pictures, self._validated, self._validation_seconds = 0, 0.0, 0.0

    def train(self, loader: Loader) -> Iterator[Progress | Validation | Trained]:
        """Train on the batches of `loader`; at the end the network holds the best of the annealed weights.

        Raises `CrnnocrError` where the loss is no longer a number.
        """
        pace, picture_pace, wait_pace = (Pace(self._budget.seconds, v) for v in (self._now(), float(self._pictures), 0.0))
        reported = self._budget.seconds
        now = self._now()
        at_end = self.step > 0 and self._schedule.finished(now)  # where the last state was kept
        for batch in () if at_end else loader:
            self._learn(batch, now)
            self.step += 1
            self._average.update(self.step)
            now = self._now()
            finished = self._schedule.finished(now)
            due = now - self._validated >= self._between_validations() or finished
            if self._budget.seconds - reported > _REPORT_SECONDS or due:
                reported = self._budget.seconds
                progress = Progress(
                    done=min(1.0, now / self._schedule.end),
                    step=self.step,
                    epoch=batch.epoch,
                    pictures=self._pictures,
                    loss=self._loss(),
                    learning_rate=self._rate(now),
                    rate=picture_pace.update(reported, self._pictures),
                    waiting=min(1.0, wait_pace.update(reported, loader.waited)),
                    seconds=reported,
                    seconds_left=max(0.0, self._schedule.end - now) / max(pace.update(reported, now), 1e-9),
                )
                if due:  # first, so that the state at the next event knows of it
                    yield from self._validate(now, progress)
                yield progress
            if finished:
                break
        yield self._end()

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """All that the training needs to go on to the same bits: tensors by name, and values that JSON can hold."""
        kept, validator = self._validator.state()
        tensors = {f"model.{name}": value for name, value in self._model.state_dict().items()}
        tensors |= {f"average.{name}": value for name, value in self._average.model.state_dict().items()}
        tensors |= {f"kept.{name}": value for name, value in kept.items()}
        for index, parameter in enumerate(self._parameters()):
            tensors |= {f"optimiser.{index}.{key}": value for key, value in self._optimiser.state[parameter].items()}
        values = {
            "step": self.step,
            "pictures": self._pictures,
            "validated": self._validated,
            "seconds": self._budget.seconds,
            "losses": [float(loss) for loss in self._losses],
            "schedule": [self._schedule.decay_start, self._schedule.end],
            "validator": validator,
            "scaler": self._scaler.state_dict(),
        }
        return tensors, values

    def go_on_from(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        """Take up what `state` gave."""
        self.step, self._pictures, self._validated = values["step"], values["pictures"], values["validated"]
        self._budget.go_on_from(values["seconds"])
        self._losses.extend(torch.tensor(values["losses"], device=self._device))
        self._schedule.decay_start, self._schedule.end = values["schedule"]
        self._scaler.load_state_dict(values["scaler"])
        self._model.load_state_dict(_named(tensors, "model."))
        self._average.model.load_state_dict(_named(tensors, "average."))
        kept = {name: value.to(self._device) for name, value in _named(tensors, "kept.").items()}
        self._validator.go_on_from(kept, values["validator"])
        for index, parameter in enumerate(self._parameters()):
            for key, value in _named(tensors, f"optimiser.{index}.").items():
                like = parameter if value.ndim else value.to(self._device)
                self._optimiser.state[parameter][key] = torch.empty_like(like).copy_(value)

    def _between_validations(self) -> float:
        """How much of the budget lies between two validations; those of a budget in time take no more than a part of it."""
        share = self._budget.total / self._config.validations
        return max(share, _LEARNING_TO_VALIDATING * self._validation_seconds) if self._budget.in_seconds else share

    def _parameters(self) -> list[nn.Parameter]:
        return [parameter for group in self._optimiser.param_groups for parameter in group["params"]]

    def _now(self) -> float:
        now = self._budget.now(self.step)
        return self._ranks.first_says([now])[0] if self._budget.in_seconds else now

    def _rate(self, now: float) -> float:
        return self._highest_rate * self._schedule.factor(now, self.step)

    def _loss(self) -> float:
        """The loss lately. One process alone waits for a GPU only here."""
        loss = float(torch.stack(list(self._losses)).mean())
        if not math.isfinite(loss):
            raise CrnnocrError(f"the loss is no longer a number after {self.step} steps: begin anew with another --seed")
        return loss

    def _learn(self, batch: Batch, now: float) -> None:
        """One step on a batch, at time `now`."""
        for group in self._optimiser.param_groups:
            group["lr"] = self._rate(now)
        torch.manual_seed(seed_of(self._config.seed, self.step, self._ranks.rank))  # for dropout
        self._learner.train()
        if self._config.freeze:
            self._model.backbone.eval()
        lines = batch.lines.to(device=self._device, memory_format=memory_format(self._device), non_blocking=True)
        with runtime.autocast(self._device, self._config.bfloat16):
            log_probs, auxiliary, frames = self._learner(lines, batch.widths)
        # The gradients are averaged over the processes, so each counts its part of all characters that many times.
        all_characters, pictures = self._ranks.totals([float(batch.lengths.sum()), len(batch.widths)])
        characters = all_characters / self._ranks.size
        where = torch.device("cpu") if self._config.deterministic else self._device
        loss = ctc_loss(log_probs, frames, batch.ids, batch.lengths, where) / characters
        whole = loss + self._config.auxiliary_weight * ctc_loss(auxiliary, frames, batch.ids, batch.lengths, where) / characters
        self._optimiser.zero_grad()
        torch.autograd.backward(self._scaler.scale(whole))
        self._scaler.unscale_(self._optimiser)
        nn.utils.clip_grad_norm_(self._model.parameters(), self._config.clip_norm)
        self._scaler.step(self._optimiser)
        self._scaler.update()
        self._losses.append(loss.detach())
        self._pictures += round(pictures)

    def _validate(self, now: float, progress: Progress) -> Iterator[Validation]:
        """Validate in the first process; all learn whether it is time to end."""
        began = self._budget.seconds
        validation, plateau = None, False
        if self._ranks.is_first and self._held_out:
            share = self._schedule.factor(now, self.step) if self._schedule.decaying(now) else 1.0
            scores, readings, is_best = self._validator.validate(self._average.model, share)
            plateau = self._validator.is_on_plateau
            validation = Validation(
                step=progress.step,
                epoch=progress.epoch,
                pictures=progress.pictures,
                seconds=progress.seconds,
                loss=progress.loss,
                learning_rate=progress.learning_rate,
                waiting=progress.waiting,
                scores=scores,
                readings=readings,
                is_best=is_best,
            )
        if self._ranks.first_says([plateau])[0]:
            self._schedule.start_decay(now)
        self._validation_seconds = self._budget.seconds - began
        self._validated = self._now() if self._budget.in_seconds else now
        if validation:
            yield validation

    def _end(self) -> Trained:
        self._average.model.load_state_dict(self._validator.best_weights or self._average.model.state_dict())
        self._model.load_state_dict(self._average.model.state_dict())
        self._model.requires_grad_(True)
        if not self._held_out or not self._ranks.is_first:
            return Trained(None, (), self.step, self._pictures)
        scores, readings = self._validator.read()
        return Trained(scores, readings, self.step, self._pictures)


class _Learner(nn.Module):
    """A training pass: both heads over one run of the convolutions."""

    def __init__(self, model: CRNN) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor, widths: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(N, T, C) log-probabilities of the head and of the auxiliary head, and (N,) frames; the arguments of `CRNN`."""
        features, frames = self.model.features(images, widths)
        return self.model.log_probs(features, frames), self.model.auxiliary_log_probs(features), frames


def _highest_rate(config: TrainConfig, shape: ModelConfig, batch_size: int) -> float:
    growth = min(math.sqrt(batch_size / config.base_batch), config.rate_growth)
    return config.learning_rate * growth * (1 if shape.is_normalized else 0.5)


def _optimiser(model: CRNN, config: TrainConfig) -> torch.optim.AdamW:
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.learning_rate, fused=True)


def _named(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
