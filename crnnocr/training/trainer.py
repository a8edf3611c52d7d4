"""The training loop: a generator of events. Whoever consumes it prints, saves and plots."""

from __future__ import annotations

import copy
import math
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

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
from crnnocr.training.batching import derived_seed
from crnnocr.training.distributed import SINGLE_PROCESS, DistributedContext
from crnnocr.training.loader import Batch, Loader
from crnnocr.training.schedule import Budget, Progress, RateMeter, Schedule
from crnnocr.training.validation import UNTRAINED_CER, Validation, ValidationSample, Validator

REPORT_SECONDS = 0.5
"""Time between two reports of progress."""

_LOSSES_AVERAGED = 50

_TRAINING_TO_VALIDATION = 5.0
"""If the budget is in time, training takes at least this many times as long as the validation before it."""

LossFunction: TypeAlias = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor, torch.device], Tensor]


def ctc_loss(log_probs: Tensor, frames: Tensor, ids: Tensor, lengths: Tensor, weights: Tensor, device: torch.device) -> Tensor:
    """The CTC loss of a batch in nats (Graves et al. 2006), summed over its lines; one too narrow for its label adds 0.

    Args:
        log_probs: (N, T, C) natural-log probabilities.
        frames: (N,) int64 true frames, on the CPU.
        ids: class ids of the labels, one label after the other.
        lengths: (N,) int64 characters of each label, on the CPU.
        weights: (N,) by which the losses of the lines are multiplied.
        device: where it is computed. MPS has no such kernel, and CUDA adds up in any order: only the CPU repeats its bits.
    """
    if device.type == "mps":
        device = torch.device("cpu")
    # Targets on the network's device select torch's own kernel: cuDNN's has limits on labels and frames.
    losses = functional.ctc_loss(
        log_probs.to(device).transpose(0, 1), ids.to(device), frames, lengths, BLANK, reduction="none", zero_infinity=True
    )
    return (losses * weights.to(losses)).sum().to(log_probs.device)


@dataclass(frozen=True)
class Trained:
    """The last event: the training is over, and the network holds the weights that are kept."""

    scores: Scores | None
    """Their scores on the whole validation split, if there is one."""
    samples: tuple[ValidationSample, ...]
    """Their predictions on it."""
    step: int
    """Steps made."""
    samples_seen: int
    """Samples trained on, each as often as it was seen."""


class TrainerState(NamedTuple):
    """All that a training needs to continue to the same bits."""

    tensors: dict[str, Tensor]
    """Weights, their average, the best ones, and the optimizer's moments."""
    values: dict[str, Any]
    """The rest, as values that JSON can hold."""

    @property
    def batch_size(self) -> int:
        """Samples in a batch. Raises `CrnnocrError` if the state has none."""
        size = self.values.get("batch_size")
        if type(size) is not int or size < 1:
            raise CrnnocrError("the state of the run is damaged: begin again without `resume`")
        return size


class Trainer:
    """A training whose state can be saved at each event, for another process to resume it."""

    def __init__(
        self,
        model: CRNN,
        card: Card,
        validation: LineDataset,
        config: TrainConfig,
        budget: Budget,
        device: torch.device,
        batch_size: int,
        context: DistributedContext = SINGLE_PROCESS,
        loss: LossFunction = ctc_loss,
        report_seconds: float = REPORT_SECONDS,
        untrained_cer: float = UNTRAINED_CER,
        is_start_trained: bool = False,
    ) -> None:
        """Get ready to train.

        Args:
            model: the network; it is moved to `device` and trained in place.
            card: its charset and configuration.
            validation: the validation split; if it is empty, the last weights are kept.
            config: the options.
            budget: when the training ends.
            device: where it runs.
            batch_size: samples per step, of all processes together.
            context: the processes that train together.
            loss: the loss of a batch, with the signature of `ctc_loss`.
            report_seconds: least time between two reports of progress; a negative one reports each step.
            untrained_cer: a higher CER than this is never taken for a plateau.
            is_start_trained: whether a start model gave the weights.
        """
        self.step = 0
        """Steps made."""
        self._model, self._config, self._budget, self._device, self._context = model, config, budget, device, context
        self._loss_function, self._report_seconds = loss, report_seconds
        self._has_validation = len(validation) > 0
        on_device(model, device)
        model.backbone.requires_grad_(not config.freeze)
        self._network: nn.Module = TwoHeadForward(model)
        if context.world_size > 1:
            with warnings.catch_warnings():  # newer versions of torch have another name for it, which older ones lack
                warnings.simplefilter("ignore", FutureWarning)
                self._network = DistributedDataParallel(self._network, broadcast_buffers=False)
        self._average = WeightAverage(model, config.ema)
        recognizer = Recognizer(card, TorchEngine(self._average.model, device))
        self._validator = Validator(recognizer, validation, config, untrained_cer)
        self._optimizer = _optimizer(model, config)
        self._scaler = torch.amp.GradScaler(
            device.type, enabled=device.type == "cuda" and runtime.half_precision() is torch.float16
        )
        self._bfloat16 = is_start_trained and runtime.cpu_has_bfloat16() if config.bfloat16 is None else config.bfloat16
        self._highest_rate = _highest_rate(config, model.config, batch_size, is_start_trained)
        self._schedule = Schedule(budget, config)
        self._losses: deque[Tensor] = deque(maxlen=_LOSSES_AVERAGED)
        self._samples_seen, self._last_validation, self._validation_seconds = 0, 0.0, 0.0

    def train(self, loader: Loader) -> Iterator[Progress | Validation | Trained]:
        """Train on the batches of `loader`; at the end the network holds the best of the annealed weights.

        Raises `CrnnocrError` if the loss is no longer finite.
        """
        now, reported = self._now(), self._budget.seconds
        budget_rate, sample_rate, wait_rate = (RateMeter(reported, value) for value in (now, self._samples_seen, 0.0))
        was_finished = self.step > 0 and self._schedule.is_finished(now)  # when the state was saved
        for batch in () if was_finished else loader:
            self._train_step(batch, now)
            self.step += 1
            self._average.update(self.step)
            now = self._now()
            finished = self._schedule.is_finished(now)
            validate = finished or now - self._last_validation >= self._validation_interval()
            if validate or self._budget.seconds - reported > self._report_seconds:
                reported = self._budget.seconds
                progress = Progress(
                    step=self.step,
                    epoch=batch.epoch,
                    samples_seen=self._samples_seen,
                    seconds=reported,
                    loss=self._mean_loss(),
                    learning_rate=self._learning_rate(now),
                    data_wait=min(1.0, wait_rate.update(reported, loader.seconds_waited)),
                    done=min(1.0, now / self._schedule.end),
                    images_per_second=sample_rate.update(reported, self._samples_seen),
                    seconds_left=max(0.0, self._schedule.end - now) / max(budget_rate.update(reported, now), 1e-9),
                )
                if validate:  # first, so that the state at the next event includes it
                    yield from self._validate(now, progress)
                yield progress
            if finished:
                break
        yield self._finish()

    def state_dict(self) -> TrainerState:
        """The state after the last event."""
        best_weights, validator = self._validator.state_dict()
        tensors = {f"model.{name}": value for name, value in self._model.state_dict().items()}
        tensors |= {f"average.{name}": value for name, value in self._average.model.state_dict().items()}
        tensors |= {f"kept.{name}": value for name, value in best_weights.items()}
        for index, parameter in enumerate(self._parameters()):
            tensors |= {f"optimizer.{index}.{key}": value for key, value in self._optimizer.state[parameter].items()}
        values = {
            "step": self.step,
            "samples_seen": self._samples_seen,
            "last_validation": self._last_validation,
            "seconds": self._budget.seconds,
            "losses": [float(loss) for loss in self._losses],
            "schedule": [self._schedule.decay_start, self._schedule.end],
            "validator": validator,
            "scaler": self._scaler.state_dict(),
        }
        return TrainerState(tensors, values)

    def load_state_dict(self, state: TrainerState) -> None:
        """Continue from the result of `state_dict`. Raises `KeyError` or `RuntimeError` if it is of another network."""
        tensors, values = state
        self.step, self._samples_seen = values["step"], values["samples_seen"]
        self._last_validation = values["last_validation"]
        self._budget.resume_at(values["seconds"])
        self._losses.extend(torch.tensor(values["losses"], device=self._device))
        self._schedule.decay_start, self._schedule.end = values["schedule"]
        self._scaler.load_state_dict(values["scaler"])
        self._model.load_state_dict(_with_prefix(tensors, "model."))
        self._average.model.load_state_dict(_with_prefix(tensors, "average."))
        best_weights = {name: value.to(self._device) for name, value in _with_prefix(tensors, "kept.").items()}
        self._validator.load_state_dict(best_weights, values["validator"])
        for index, parameter in enumerate(self._parameters()):
            for key, value in _with_prefix(tensors, f"optimizer.{index}.").items():
                like = parameter if value.ndim else value.to(self._device)
                self._optimizer.state[parameter][key] = torch.empty_like(like).copy_(value)

    def _train_step(self, batch: Batch, now: float) -> None:
        for group in self._optimizer.param_groups:
            group["lr"] = self._learning_rate(now)
        self._network.train()
        if self._config.freeze:
            self._model.backbone.eval()
        lines = batch.lines.to(device=self._device, memory_format=memory_format(self._device), non_blocking=True)
        with self._seeded(), runtime.autocast(self._device, self._bfloat16):
            log_probs, auxiliary, frames = self._network(lines, batch.widths)
        # Gradients are averaged over the processes, so each process divides by its share of the characters of all. An empty
        # label counts as one.
        own_characters = float((batch.lengths.clamp(min=1) * batch.weights).sum())
        all_characters, samples = self._context.all_reduce_sum([own_characters, len(batch.widths)])
        characters = all_characters / self._context.world_size or 1.0
        where = torch.device("cpu") if self._config.deterministic else self._device
        loss = self._loss_function(log_probs, frames, batch.ids, batch.lengths, batch.weights, where) / characters
        auxiliary_loss = self._loss_function(auxiliary, frames, batch.ids, batch.lengths, batch.weights, where)
        total = loss + self._config.auxiliary_weight * auxiliary_loss / characters
        self._optimizer.zero_grad()
        torch.autograd.backward(self._scaler.scale(total))
        self._scaler.unscale_(self._optimizer)
        nn.utils.clip_grad_norm_(self._model.parameters(), self._config.clip_norm)
        self._scaler.step(self._optimizer)
        self._scaler.update()
        self._losses.append(loss.detach())
        self._samples_seen += round(samples)

    @contextmanager
    def _seeded(self) -> Iterator[None]:
        """Seed dropout for this step and process. After the block, the caller's random numbers go on as before."""
        with torch.random.fork_rng([self._device] if self._device.type == "cuda" else ()):
            torch.manual_seed(derived_seed(self._config.seed, self.step, self._context.rank))
            yield

    def _validate(self, now: float, progress: Progress) -> Iterator[Validation]:
        """Validate in the main process, and begin the decay in all of them if the CER is on a plateau."""
        began = self._budget.seconds
        validation, is_on_plateau = None, False
        if self._context.is_main and self._has_validation:
            rate_share = self._schedule.factor(now, self.step) if self._schedule.is_decaying(now) else 1.0
            scores, samples, is_best = self._validator.validate(self._average.model, rate_share)
            is_on_plateau = self._validator.is_on_plateau
            validation = Validation(progress, scores, samples, is_best)
        if self._context.broadcast([is_on_plateau])[0]:
            self._schedule.start_decay(now)
        self._validation_seconds = self._budget.seconds - began
        self._last_validation = self._now() if self._budget.in_seconds else now
        if validation:
            yield validation

    def _finish(self) -> Trained:
        self._average.model.load_state_dict(self._validator.best_weights or self._average.model.state_dict())
        self._model.load_state_dict(self._average.model.state_dict())
        self._model.requires_grad_(True)
        if not self._has_validation or not self._context.is_main:
            return Trained(None, (), self.step, self._samples_seen)
        scores, samples = self._validator.score()
        return Trained(scores, samples, self.step, self._samples_seen)

    def _now(self) -> float:
        """The part of the budget that is used up. In seconds, the clock of the main process counts."""
        now = self._budget.used(self.step)
        return self._context.broadcast([now])[0] if self._budget.in_seconds else now

    def _validation_interval(self) -> float:
        """Part of the budget between two validations. If it is in time, validating never takes most of it."""
        interval = self._budget.total / self._config.validations
        return max(interval, _TRAINING_TO_VALIDATION * self._validation_seconds) if self._budget.in_seconds else interval

    def _learning_rate(self, now: float) -> float:
        return self._highest_rate * self._schedule.factor(now, self.step)

    def _mean_loss(self) -> float:
        """The mean loss of the last steps. A single process waits for a GPU only here."""
        loss = float(torch.stack(list(self._losses)).mean())
        if not math.isfinite(loss):
            raise CrnnocrError(f"the loss is no longer a number after {self.step} steps: begin again with another seed")
        return loss

    def _parameters(self) -> list[nn.Parameter]:
        return [parameter for group in self._optimizer.param_groups for parameter in group["params"]]


class TwoHeadForward(nn.Module):
    """The forward pass of training: both heads over one run of the convolutions."""

    def __init__(self, model: CRNN) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor, widths: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(N, 1, H, W) images and (N,) widths → (N, T, C) log-probabilities of the head, the same of the auxiliary head, and
        (N,) frames.
        """
        features, frames = self.model.features(images, widths)
        if features.device.type == "cpu":  # in bfloat16 the LSTM and the heads learn much less, and are hardly faster
            features = features.float()
        with torch.autocast("cpu", enabled=False):
            return self.model.log_probs(features, frames), self.model.auxiliary_log_probs(features), frames


class WeightAverage:
    """An exponential moving average of a network's weights and normalization statistics, which is the better network."""

    def __init__(self, model: CRNN, decay: float) -> None:
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        """The network with the averaged weights."""
        self._decay = decay
        pairs = list(zip(self.model.state_dict().values(), model.state_dict().values(), strict=True))
        self._averages = [average for average, value in pairs if value.is_floating_point()]
        self._values = [value for _, value in pairs if value.is_floating_point()]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after `step` steps. The average is shorter in the beginning, so that it forgets the start."""
        decay = min(self._decay, step / (step + 10))
        torch._foreach_lerp_(self._averages, self._values, 1 - decay)


def _highest_rate(config: TrainConfig, model_config: ModelConfig, batch_size: int, is_start_trained: bool) -> float:
    rate = config.learning_rate * min(math.sqrt(batch_size / config.base_batch), config.rate_growth)
    if model_config.is_normalized:
        return rate
    return rate * (config.bare_start_rate if is_start_trained else config.bare_rate)


def _optimizer(model: CRNN, config: TrainConfig) -> torch.optim.AdamW:
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.learning_rate, fused=True)


def _with_prefix(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
