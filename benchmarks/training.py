"""Training against a plain loop of the same preset: images per second, and the time to a fixed character error rate (CER).

The plain loop is what a good tutorial has: a `Dataset` that decodes and resizes each file with Pillow when it is asked for, a
shuffling `DataLoader`, batches of 16 padded to their widest line, torch's own layers, as many and as wide as the preset says,
torch's CTC loss, and Adam with a constant learning rate. Convolutions start alike in both. Ours is the default recipe,
augmentation included.

Both run in this process with one thread, and what counts is its CPU time (decoding, augmentation and validation included), so
that other work on the machine changes little. The speed is that of whole epochs of lines of 1 to 7 words, in turns, after an
epoch that warms up. The CER is that of greedy decoding on synthetic images that the training has not seen.

    python benchmarks/training.py
    python benchmarks/training.py --parts speed --presets small
    python benchmarks/training.py --parts time --target 0.1 --minutes 8
"""

from __future__ import annotations

import argparse
import json
import statistics
import string
import sys
import tempfile
import time
from collections import deque
from collections.abc import Generator, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils import data

from crnnocr import runtime
from crnnocr.config import PRESETS, SCRATCH, Conv, ModelConfig, Pool, Style, SynthConfig, TrainConfig
from crnnocr.datasets import Dataset
from crnnocr.datasets.detection import load_dataset
from crnnocr.decoding.hypothesis import greedy
from crnnocr.metrics.scores import Scorer
from crnnocr.synth.dataset.folder import generate
from crnnocr.text.charset import BLANK, Charset
from crnnocr.training.batching import BatchSampler
from crnnocr.training.loader import Loader
from crnnocr.training.prepare import inspect, prepare
from crnnocr.training.schedule import Budget, Progress
from crnnocr.training.trainer import Trainer
from crnnocr.training.validation import Validation

BATCH = 16
SPEED_TARGET, TIME_TARGET = 1.5, 5.0
CPU = torch.device("cpu")

LEARNING_RATE = 3e-4
"""Of the plain loop with Adam: of 1e-3, 5e-4 and 3e-4, that with the lowest loss after 350 steps."""

Batch = tuple[Tensor, Tensor, Tensor, list[str]]
"""(N, 1, H, W) images, the class ids of their labels one after the other, (N,) characters of each label, and the labels."""


@dataclass(frozen=True)
class Speed:
    """Images per second: medians over the turns."""

    ours: float
    plain: float
    ratio: float
    least: float
    """Smallest ratio of a turn."""
    most: float
    """Largest ratio of a turn."""


@dataclass(frozen=True)
class Arrival:
    """State of a training when it reached the CER, or ended without."""

    seconds: float
    """CPU time."""
    images: int
    """Images seen."""
    cer: float
    reached: bool


@dataclass(frozen=True)
class Times:
    """Both trainings, and how many times longer the plain one took (or more than that, if it gave up)."""

    ours: Arrival
    plain: Arrival
    ratio: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=("speed", "time"), default=["speed", "time"])
    parser.add_argument("--presets", nargs="+", choices=PRESETS, default=["classic", "small"], help="speed: networks")
    parser.add_argument("--images", type=int, default=160, help="speed: images per epoch")
    parser.add_argument("--rounds", type=int, default=3, help="speed: epochs of each")
    parser.add_argument("--preset", choices=PRESETS, default="classic", help="time: network")
    parser.add_argument("--learn", type=int, default=2000, help="time: images to train on")
    parser.add_argument("--check", type=int, default=200, help="time: images that the CER is measured on")
    parser.add_argument("--style", type=Style, default=Style.CLEAN, help="time: style of the images")
    parser.add_argument("--charset", default=string.digits, help="time: what the texts, of 3 to 8 characters, are made of")
    parser.add_argument("--target", type=float, default=0.1, help="time: the CER that is to be reached")
    parser.add_argument("--minutes", type=float, default=8.0, help="time: the CPU time that our training is planned for")
    parser.add_argument("--learning-rate", type=float, default=LEARNING_RATE, help="time: of the plain loop")
    parser.add_argument("--give-up", type=float, default=8.0, help="time: the plain loop may take so many times ours")
    parser.add_argument("--seed", type=int, default=0, help="time: of both trainings")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    options = parser.parse_args()
    runtime.prepare_to_train()
    torch.set_num_threads(1)
    speeds: dict[str, Speed] = {}
    times = None
    with tempfile.TemporaryDirectory() as folder:
        if "speed" in options.parts:
            learn = synthetic_set(Path(folder) / "mixed", SynthConfig(seed=1, style=Style.MIXED, words=(1, 7)), options.images)
            speeds = {preset: compare_speed(learn, preset, options.rounds) for preset in options.presets}
        if "time" in options.parts:
            learn = synthetic_set(Path(folder) / "learn", easy(1, options), options.learn)
            times = compare_times(learn, synthetic_set(Path(folder) / "check", easy(2, options), options.check), options)
    if options.json:
        print(json.dumps({"speed": {p: asdict(s) for p, s in speeds.items()}, "time": asdict(times) if times else None}))
        return
    for preset, speed in speeds.items():
        print(
            f"{preset}: {speed.ours:.1f} images/s, the plain loop {speed.plain:.1f}: {speed.ratio:.2f} times as many, "
            f"from {speed.least:.2f} to {speed.most:.2f}  (target: {SPEED_TARGET})"
        )
    if times:
        for name, one in (("ours", times.ours), ("plain", times.plain)):
            print(f"{options.preset}, {name}: CER {one.cer:.1%} after {one.seconds:.0f} s CPU, {one.images} images")
        more = "" if times.plain.reached else "more than "
        print(f"CER {options.target:.0%} in a time {more}{times.ratio:.1f} times shorter  (target: {TIME_TARGET})")


def easy(seed: int, options: argparse.Namespace) -> SynthConfig:
    return SynthConfig(seed=seed, style=options.style, chars=(3, 8), charset=options.charset)


def synthetic_set(folder: Path, config: SynthConfig, count: int) -> Dataset:
    for _ in generate(folder, config, count):
        pass
    return load_dataset(folder)


def charset_of(*datasets: Dataset) -> Charset:
    return Charset("".join(sorted({c for dataset in datasets for sample in dataset.samples for c in sample.text})))


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def compare_speed(learn: Dataset, preset: str, rounds: int) -> Speed:
    ours, plain = our_epochs(learn, preset, rounds + 1), plain_epochs(learn, preset)
    pairs = []
    for turn in range(rounds + 1):
        pairs.append((next(ours), next(plain)))
        say(f"{preset}: ours {pairs[-1][0]:.1f}, plain {pairs[-1][1]:.1f} images/s" + ("" if turn else " (warming up)"))
    ours.close()
    pairs = pairs[1:]
    ratios = [one / other for one, other in pairs]
    median = statistics.median
    return Speed(median(p[0] for p in pairs), median(p[1] for p in pairs), median(ratios), min(ratios), max(ratios))


def our_epochs(learn: Dataset, preset: str, epochs: int) -> Generator[float]:
    """Images per second of each epoch of our training."""
    config = TrainConfig(preset=preset, start=SCRATCH, held_out=0.0, epochs=epochs, validations=epochs)
    prepared = prepare(inspect((learn,), (), config), config, "training")
    sampler = BatchSampler(len(prepared.train), config.base_batch, config.seed)
    budget = Budget(config, sampler.samples_per_epoch, sampler.steps_per_epoch)
    trainer = Trainer(prepared.model, prepared.card, prepared.validation, config, budget, CPU, config.base_batch)
    with Loader(sampler, prepared.train, iter(()), prepared.card.charset, prepared.card.config, config.augmentation) as loader:
        settle()
        started = time.process_time()
        for event in trainer.train(loader):
            if isinstance(event, Progress) and event.step % sampler.steps_per_epoch == 0:
                settle()  # as before the epoch, batches are ready for the next one
                yield sampler.samples_per_epoch / (time.process_time() - started)
                started = time.process_time()


def settle() -> None:
    """Wait until the thread that prepares batches has as many as it is to be ahead."""
    before = -1.0
    while time.process_time() - before > 0.002:
        before = time.process_time()
        time.sleep(0.1)


def plain_epochs(learn: Dataset, preset: str) -> Iterator[float]:
    """Images per second of each epoch of the plain loop."""
    torch.manual_seed(0)
    loop = PlainLoop(learn, PRESETS[preset], charset_of(learn), LEARNING_RATE)
    while True:
        started, seen = time.process_time(), 0
        for batch in loop.batches:
            loop.step(batch)
            seen += len(batch[0])
        yield seen / (time.process_time() - started)


def compare_times(learn: Dataset, check: Dataset, options: argparse.Namespace) -> Times:
    ours = our_arrival(learn, check, options)
    if not ours.reached:
        raise SystemExit("our training ended before it reached the CER: give it more --minutes, or a larger --target")
    every = options.minutes * 60 / TrainConfig().validations  # as often as ours
    plain = plain_arrival(learn, check, options, every, options.give_up * ours.seconds)
    return Times(ours, plain, plain.seconds / ours.seconds)


def our_arrival(learn: Dataset, check: Dataset, options: argparse.Namespace) -> Arrival:
    started = time.process_time()
    config = TrainConfig(preset=options.preset, start=SCRATCH, minutes=options.minutes, seed=options.seed)
    prepared = prepare(inspect((learn,), (check,), config), config, "training")
    sampler = BatchSampler(len(prepared.train), config.base_batch, config.seed)
    budget = Budget(config, sampler.samples_per_epoch, sampler.steps_per_epoch, clock=time.process_time)
    trainer = Trainer(prepared.model, prepared.card, prepared.validation, config, budget, CPU, config.base_batch)
    arrival = Arrival(0.0, 0, 1.0, False)
    with Loader(sampler, prepared.train, iter(()), prepared.card.charset, prepared.card.config, config.augmentation) as loader:
        for event in trainer.train(loader):
            if isinstance(event, Validation):
                cer = event.scores.cer
                stats = event.progress
                arrival = Arrival(time.process_time() - started, stats.samples_seen, cer, cer <= options.target)
                say(f"ours {arrival.seconds:5.0f} s, {stats.samples_seen} images: loss {stats.loss:.2f}, CER {cer:.1%}")
            if arrival.reached:
                break
    return arrival


def plain_arrival(learn: Dataset, check: Dataset, options: argparse.Namespace, every: float, limit: float) -> Arrival:
    """Of the plain loop, which is validated `every` so many seconds and ends at the `limit`."""
    started = time.process_time()
    torch.manual_seed(options.seed)
    loop = PlainLoop(learn, PRESETS[options.preset], charset_of(learn, check), options.learning_rate)
    arrival = Arrival(0.0, 0, 1.0, False)
    losses: deque[float] = deque(maxlen=50)
    seen = 0
    while True:
        for batch in loop.batches:
            losses.append(loop.step(batch))
            seen += len(batch[0])
            if time.process_time() - started < arrival.seconds + every:
                continue
            cer = loop.cer(check)
            arrival = Arrival(time.process_time() - started, seen, cer, cer <= options.target)
            say(f"plain {arrival.seconds:5.0f} s, {seen} images: loss {statistics.mean(losses):.2f}, CER {cer:.1%}")
            if arrival.reached or arrival.seconds > limit:
                return arrival


class PlainLoop:
    """A network, its data and its optimizer."""

    def __init__(self, learn: Dataset, config: ModelConfig, charset: Charset, learning_rate: float) -> None:
        self.files = Files(learn, config.height)
        self.charset = charset
        self.batches = data.DataLoader(self.files, BATCH, shuffle=True, collate_fn=self.collate)
        self.model = PlainCRNN(config, charset.classes)
        self.loss = nn.CTCLoss(BLANK, zero_infinity=True)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=learning_rate)

    def collate(self, samples: list[tuple[Tensor, str]]) -> Batch:
        """Pad images on the right, with zeros, to the widest of them."""
        images = torch.zeros(len(samples), *samples[0][0].shape[:2], max(image.shape[2] for image, _ in samples))
        for row, (image, _) in zip(images, samples, strict=True):
            row[:, :, : image.shape[2]] = image
        texts = [text for _, text in samples]
        ids = [self.charset.encode(text) for text in texts]
        return images, torch.tensor([i for label in ids for i in label]), torch.tensor([len(label) for label in ids]), texts

    def step(self, batch: Batch) -> float:
        """Train on a batch. Returns the loss."""
        images, ids, lengths, _ = batch
        self.model.train()
        log_probs = self.model(images)
        frames = torch.full((len(images),), log_probs.shape[0])
        loss: Tensor = self.loss(log_probs, ids, frames, lengths)
        self.optimizer.zero_grad()
        torch.autograd.backward(loss)
        self.optimizer.step()
        return float(loss.detach())

    @torch.no_grad()
    def cer(self, check: Dataset) -> float:
        """The CER of greedy decoding, in batches in the order of the files."""
        self.model.eval()
        scorer = Scorer()
        for images, _, _, texts in data.DataLoader(Files(check, self.files.height), BATCH, collate_fn=self.collate):
            for log_probs, reference in zip(self.model(images).transpose(0, 1).numpy(), texts, strict=True):
                scorer.update(reference, self.charset.decode(greedy(log_probs).ids))
        return scorer.summary().cer


class Files(data.Dataset[tuple[Tensor, str]]):
    """Labeled images as (1, H, W) tensors from -1 to 1, read each time."""

    def __init__(self, dataset: Dataset, height: int) -> None:
        self.samples = dataset.samples
        self.height = height

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[Tensor, str]:
        sample = self.samples[index]
        with Image.open(sample.path) as image:
            gray = image.convert("L")
        width = max(1, round(gray.width * self.height / gray.height))
        pixels = np.asarray(gray.resize((width, self.height), Image.Resampling.BILINEAR), dtype=np.float32)
        return torch.from_numpy(pixels / 127.5 - 1)[None], sample.text


class PlainCRNN(nn.Module):
    """The layers of a preset as torch has them: as many weights as ours, except the auxiliary head."""

    def __init__(self, config: ModelConfig, classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 1
        for layer in config.backbone:
            if not isinstance(layer, Conv):
                assert isinstance(layer, Pool)
                layers.append(nn.MaxPool2d(layer.kernel, layer.stride, layer.padding))
                continue
            convolution = nn.Conv2d(channels, layer.channels, layer.kernel, padding=layer.padding, bias=not layer.norm)
            nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")  # better than torch's default, for both
            layers.append(convolution)
            layers += [nn.BatchNorm2d(layer.channels)] if layer.norm else []
            layers.append(nn.ReLU(inplace=True))
            channels = layer.channels
        self.backbone = nn.Sequential(*layers)
        self.dropout = nn.Dropout(config.dropout)
        self.first = nn.LSTM(config.features, config.hidden, bidirectional=True)
        self.between = nn.Linear(2 * config.hidden, config.projection) if config.projection else nn.Identity()
        self.second = nn.LSTM(config.projection or 2 * config.hidden, config.hidden, bidirectional=True)
        self.head = nn.Linear(2 * config.hidden, classes)

    def forward(self, images: Tensor) -> Tensor:
        """(N, 1, H, W) images → (T, N, C) log-probabilities."""
        features = self.dropout(self.backbone(images).flatten(1, 2).permute(2, 0, 1))
        first, _ = self.first(features)
        second, _ = self.second(self.dropout(self.between(first)))
        return torch.log_softmax(self.head(self.dropout(second)), dim=2)


if __name__ == "__main__":
    main()
