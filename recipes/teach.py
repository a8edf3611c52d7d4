"""Train a CRNN on what `recipes/lessons.py` prepared: by the labels, and by what the strong reader sees in each frame.

    python recipes/teach.py lessons/ base --body small --frozen --epochs 4      # LSTMs and heads alone, on cached features
    python recipes/teach.py lessons/ base --epochs 3 --rate 4e-4                # then all of it

The model is `NAME.safetensors`, and the log of errors on the lessons that are kept apart, over the images seen, `NAME.tsv`. A
training that was stopped goes on where it was when it is called again in the same way.

The loss is CTC on the head, CTC with weight 0.5 on the auxiliary head, and the cross-entropy to the reader's probabilities
(Hinton, Vinyals, Dean 2015, arXiv 1503.02531), each frame of ours against the reader's at the same place; each divided by the
characters of the batch. Lines that augmentation has bent are learned by their labels alone. Of long lines some are left out in
each epoch, and from the second epoch on three of four lines whose label had a probability above 0.95.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path

import bodies
import lessons
import numpy as np
import torch
from lessons import Lesson
from numpy.typing import NDArray
from PIL import Image
from rapidfuzz.distance import Levenshtein
from rounding import Rounding
from stream import CHARSET
from torch import Tensor, nn
from torch.nn import functional

from crnnocr.config import AugmentConfig, DecodeConfig, ModelConfig
from crnnocr.decoding import Decoder
from crnnocr.images import Line, Preprocessor, to_batch
from crnnocr.inference.engines import memory_format
from crnnocr.model import checkpoint
from crnnocr.model.card import Card
from crnnocr.model.crnn import CRNN, resize_head
from crnnocr.text.charset import BLANK, Charset, frames_needed
from crnnocr.training.augmentation import augment
from crnnocr.training.trainer import WeightAverage

CPU = torch.device("cpu")
BATCH_COLUMNS = 48 * 128
"""Of a batch, in pixels of a line 48 high."""
BUCKET = 40
"""Batches that are formed together, by width."""
FULL_WIDTH = 320
"""Of the widest lines that are all taken in an epoch, in pixels; of wider ones so many that they take the same time."""
KNOWN = 0.95
SKIPPED = 0.75
"""Share of the lines with a probability above `KNOWN` that are left out."""
AUXILIARY = 0.5
BENT = 0.5
"""Share of the batches whose lines are bent, and learned by their labels alone."""
FLAT = AugmentConfig(stretch=0, elastic=0, scale=0, shear=0, tilt=0, wave=0, shift=0, loosen=0, tighten=0)
"""Augmentation that leaves every letter where it is."""
SAVE_SECONDS = 120


class Teacher:
    """A network whose features another one imitates: FitNets (Romero et al. 2015, arXiv 1412.6550)."""

    def __init__(self, path: Path, pupil: CRNN, bfloat16: bool, has_labels: bool) -> None:
        _, self._model = checkpoint.load(path)
        self._model.eval().to(memory_format=memory_format(CPU))  # type: ignore[call-overload]
        self._preprocessor = Preprocessor.for_model(self._model.config)
        self.height = self._model.config.height
        self._bfloat16 = bfloat16
        ours, its = pupil.config.features, self._model.config.features
        if not has_labels and ours != its:
            raise SystemExit(f"without labels the teacher's features, {its}, must be as many as the pupil's, {ours}")
        self.map = nn.Linear(ours, its)
        if ours == its:
            nn.init.eye_(self.map.weight)
        nn.init.zeros_(self.map.bias)
        self._variance = torch.zeros(its)

    def lines(self, batch: Sequence[Lesson]) -> tuple[Tensor, Tensor]:
        """A batch of lines that are not augmented, and their widths."""
        return tensors([self._preprocessor.line(Image.fromarray(each.line)) for each in batch])

    def loss(self, features: Tensor, frames: Tensor, images: Tensor, widths: Tensor) -> Tensor:
        """The mean squared error of a linear map of (N, T, F) features from its own, as a share of the variance of these."""
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=self._bfloat16):
            seen, counts = self._model.features(images, widths)
        wanted = at_frames(seen.float(), counts, frames, features.shape[1])
        inside = torch.arange(features.shape[1]) < frames[:, None]
        wanted, found = wanted[inside], self.map(features[inside].float())
        variance = wanted.var(0)
        self._variance = torch.where(self._variance > 0, 0.98 * self._variance + 0.02 * variance, variance)
        error: Tensor = ((found - wanted).square() / (self._variance + 1e-4)).mean()
        return error


def at_frames(seen: Tensor, counts: Tensor, frames: Tensor, length: int) -> Tensor:
    """(N, T, F) features with (N,) frames → those at the places of other (N,) frames, (N, length, F), between two linearly."""
    share = counts / frames
    places = ((torch.arange(length) + 0.5) * share[:, None] - 0.5).clamp(min=0).minimum(counts[:, None] - 1.0)
    left = places.long()
    right = torch.minimum(left + 1, counts[:, None] - 1)
    before, after = (seen.gather(1, side[..., None].expand(-1, -1, seen.shape[2])) for side in (left, right))
    return torch.lerp(before, after, (places - left)[..., None])


class Pupil:
    """A network that is trained."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.charset = Charset(CHARSET)
        self.path: Path = options.model.with_suffix(".safetensors")
        self.state_path: Path = options.model.with_suffix(".state")
        if self.path.exists():
            self.card, self.model = checkpoint.load(self.path)
        elif options.start:
            card, model = checkpoint.load(options.start)
            self.model = resize_head(model, card.charset, self.charset)
            self.card = Card(name=options.model.name, charset=self.charset, config=self.model.config)
        else:
            self.model = bodies.network(options.body, CHARSET)
            self.card = Card(name=options.model.name, charset=self.charset, config=self.model.config)
        self.config: ModelConfig = self.model.config
        self.preprocessor = Preprocessor.for_model(self.config)
        self.model.to(memory_format=memory_format(CPU))  # type: ignore[call-overload]
        self.average = WeightAverage(self.model, options.ema)
        self.model.requires_grad_(bool(options.labels)).backbone.requires_grad_(not options.frozen)
        known: list[nn.Parameter] = []
        new: list[nn.Parameter] = []
        for name, each in self.model.named_parameters():
            (known if name.startswith(("backbone.", "auxiliary.")) else new).append(each)
        self.teacher: Teacher | None = None
        if options.teacher:
            self.teacher = Teacher(options.teacher, self.model, options.bfloat16, bool(options.labels))
        new += self.teacher.map.parameters() if self.teacher and options.labels else ()
        groups = [
            {"params": [each for each in new if each.requires_grad], "share": 1.0},
            {"params": [each for each in known if each.requires_grad], "share": options.body_rate},
        ]
        self.optimizer = torch.optim.AdamW(groups, lr=options.rate, weight_decay=0.02, fused=True)
        self.step, self.seen, self.used = 0, 0, 0.0
        self.rounding: Rounding | None = None
        self.error = 0.0
        """Share of the teacher's features that ours do not explain."""

    def learn(
        self, given: Tensor, sizes: Tensor, are_features: bool, batch: Sequence[Lesson], is_bent: bool
    ) -> NDArray[np.float64]:
        """Make a step on lines and their widths, or features and their frames. Returns the probability of each label."""
        self.model.train()
        if self.options.frozen:
            self.model.backbone.eval()
        labels = [self.charset.encode(each.text) for each in batch]
        ids = torch.tensor([i for label in labels for i in label], dtype=torch.int64)
        lengths = torch.tensor([len(label) for label in labels])
        characters = float(lengths.clamp(min=1).sum())
        with self.rounding.weights() if self.rounding else nullcontext():
            with torch.autocast("cpu", torch.bfloat16, enabled=self.options.bfloat16):
                features, frames = (given, sizes) if are_features else self.model.features(given, sizes)
                log_probs = self.model.log_probs(features, frames)
                auxiliary = self.model.auxiliary_log_probs(features)

            def ctc(given: Tensor) -> Tensor:
                time_first = given.transpose(0, 1)
                return functional.ctc_loss(time_first, ids, frames, lengths, BLANK, reduction="none", zero_infinity=True)

            each = ctc(log_probs)
            loss = self.options.labels * (each.sum() + AUXILIARY * ctc(auxiliary).sum()) / characters
            if not is_bent and self.options.soft:
                soft = self.soft(log_probs, frames, batch) + AUXILIARY * self.soft(auxiliary, frames, batch)
                loss = loss + self.options.soft * soft / characters
            if self.teacher and (not is_bent or self.teacher.height == self.config.height):
                lines = (given, sizes) if self.teacher.height == self.config.height else self.teacher.lines(batch)
                error = self.teacher.loss(features, frames, *lines)
                loss = loss + self.options.imitation * error
                self.error = 0.98 * self.error + 0.02 * error.item() if self.error else error.item()
            self.optimizer.zero_grad()
            torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 2.0)
        for group in self.optimizer.param_groups:
            group["lr"] = self.options.rate * group["share"] * self.factor()
        self.optimizer.step()
        self.step += 1
        self.average.update(self.step)
        self.seen += len(batch)
        return torch.exp(-each.detach()).double().numpy()

    def soft(self, log_probs: Tensor, frames: Tensor, batch: Sequence[Lesson]) -> Tensor:
        """The cross-entropy to what the reader sees, summed over the frames."""
        total = torch.zeros(())
        for row, count, lesson in zip(log_probs, frames.tolist(), batch, strict=True):
            if len(lesson.ids):
                place = ((torch.arange(count) + 0.5) * len(lesson.ids) / count).long()
                ids = torch.from_numpy(lesson.ids.astype(np.int64))[place]
                wanted = torch.from_numpy(lesson.probabilities.astype(np.float32))[place]
                total = total - (row[:count].gather(1, ids) * wanted).sum()
        return total

    def factor(self) -> float:
        """Of the learning rate: a warm-up, then constant, then falling to zero over the second half."""
        done = self.used / (self.options.minutes * 60)
        return min((self.step + 1) / 200, 1.0) * (0.5 * (1 + math.cos(math.pi * max(0.0, 2 * done - 1))))

    def save(self) -> None:
        """Store the averaged weights, and all that is needed to go on."""
        checkpoint.save(self.path, self.card, self.average.model, ())
        state = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "map": self.teacher.map.state_dict() if self.teacher else {},
            "counts": torch.tensor([self.step, self.seen, self.used], dtype=torch.float64),
        }
        part = self.state_path.with_suffix(".part")
        torch.save(state, part)
        part.replace(self.state_path)

    def resume(self) -> None:
        """Go on where the last call of the same training ended."""
        state = torch.load(self.state_path, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.teacher:
            self.teacher.map.load_state_dict(state["map"])
        step, seen, self.used = state["counts"].tolist()
        self.step, self.seen = int(step), int(seen)

    def augmented(self, batch: Sequence[Lesson], is_bent: bool) -> tuple[Tensor, Tensor, bool]:
        """The lines of a batch, changed, and their widths."""
        images, widths = tensors([self.scaled(each) for each in batch])
        needed = [self.config.min_width_for(frames_needed(self.charset.encode(each.text))) for each in batch]
        generator = torch.Generator().manual_seed(self.step)
        config = AugmentConfig() if is_bent else FLAT
        return *augment(images, widths, config, self.config.min_width, generator, torch.tensor(needed)), False

    def report(self, kept: Sequence[Lesson]) -> None:
        """Print and log the error on the lessons that are kept apart."""
        rate = self.errors(kept)
        with self.path.with_suffix(".tsv").open("a") as file:
            print(self.seen, round(self.used), f"{rate:.5f}", sep="\t", file=file)
        unlike = f", {self.error:.1%} of the teacher's features not explained" if self.teacher else ""
        print(f"  {self.seen} images, {self.used / 60:.1f} min: CER {rate:.2%}{unlike}", flush=True)

    def note(self, known: int) -> None:
        """Add this training to those that the model has had."""
        path = self.path.with_suffix(".json")
        before = json.loads(path.read_text()) if path.exists() else []
        options = {name: value for name, value in vars(self.options).items() if isinstance(value, int | float | bool)}
        now = {"options": options, "lines": known, "steps": self.step, "seen": self.seen, "seconds": round(self.used, 1)}
        path.write_text(json.dumps([*before, now], indent=1))

    def errors(self, kept: Sequence[Lesson]) -> float:
        """The character error rate of the averaged weights on some lessons, greedy."""
        decoder, wrong, characters = Decoder(DecodeConfig(), self.charset), 0, 0
        self.average.model.eval()
        for batch in batches_by_width(kept, np.arange(len(kept)), np.random.default_rng(0)):
            some = [kept[i] for i in batch]
            images, widths = tensors([self.scaled(each) for each in some])
            with torch.inference_mode():
                log_probs, frames = self.average.model(images, widths)
            found = decoder.decode([row[:count].numpy() for row, count in zip(log_probs, frames.tolist(), strict=True)])
            for [best], lesson in zip(found, some, strict=True):
                wrong += Levenshtein.distance(self.charset.decode(best.ids), lesson.text)
                characters += len(lesson.text)
        return wrong / characters

    def scaled(self, lesson: Lesson) -> Line:
        """The line at the height of the network."""
        if lesson.line.shape[0] == self.config.height:
            return lesson.line
        return self.preprocessor.line(Image.fromarray(lesson.line))


def tensors(lines: Sequence[Line]) -> tuple[Tensor, Tensor]:
    """A batch of lines, and their widths."""
    images, widths = to_batch(lines)
    return torch.from_numpy(images), torch.from_numpy(widths)


def batches_by_width(
    known: Sequence[Lesson], indices: NDArray[np.int64], rng: np.random.Generator
) -> Iterator[NDArray[np.int64]]:
    """The indices as batches of about as many columns each, of lines of about the same width."""
    widths = np.array([known[i].line.shape[1] for i in indices])
    per_bucket = BUCKET * BATCH_COLUMNS
    buckets = np.split(np.arange(len(indices)), np.flatnonzero(np.diff(np.cumsum(widths) // per_bucket)) + 1)
    for bucket in buckets:
        order = bucket[np.argsort(widths[bucket], kind="stable")]
        starts = np.flatnonzero(np.diff(np.cumsum(widths[order]) // BATCH_COLUMNS)) + 1
        parts = np.split(order, starts)
        for place in rng.permutation(len(parts)):
            yield indices[parts[place]]


class School:
    """The lessons, those that came last included, and how well each is known."""

    def __init__(self, pupil: Pupil, folder: Path, limit: int | None) -> None:
        self._pupil, self._folder, self._limit = pupil, folder, limit
        self._files: set[Path] = set()
        self.known: list[Lesson] = []
        self.probability = np.zeros(0)
        """Of each label, when it was last seen."""
        self.is_real = np.zeros(0, bool)
        """Whether each line is one of the real world."""
        self.features: list[tuple[NDArray[np.float16], int]] = []
        """Of each line, and its frames, if the body is frozen."""

    def update(self) -> None:
        """Take in the files that are new."""
        for path in sorted(self._folder.glob("[rs]*-*.npz"), key=lambda path: path.stem[-3:]):
            if path in self._files or (self._limit and len(self.known) >= self._limit):
                continue
            self._files.add(path)
            new = [each for each in lessons.read(path) if fits(self._pupil, each)]
            self.known += new
            self.probability = np.concatenate((self.probability, np.zeros(len(new))))
            self.is_real = np.concatenate((self.is_real, np.full(len(new), path.stem.startswith("real"))))
            if self._pupil.options.frozen:
                self.features += cached(self._pupil, new)

    def epoch(self, rng: np.random.Generator) -> Iterator[NDArray[np.int64]]:
        """Batches of indices, of all lessons that are worth it."""
        self.update()
        indices = rng.permutation(len(self.known))
        widths = np.array([self.known[i].line.shape[1] for i in indices])
        indices = indices[rng.random(len(indices)) * widths < FULL_WIDTH]
        indices = indices[self.is_real[indices] | (rng.random(len(indices)) < self._pupil.options.synthetic)]
        indices = indices[(self.probability[indices] < KNOWN) | (rng.random(len(indices)) >= SKIPPED)]
        print(f"{len(indices)} of {len(self.known)} lines", flush=True)
        return batches_by_width(self.known, indices, rng)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lessons", type=Path)
    parser.add_argument("model", type=Path, help="where it is stored, without .safetensors; the start if it exists")
    parser.add_argument("--body", choices=bodies.SOURCES, help="start from this body")
    parser.add_argument("--start", type=Path, help="start from this model.safetensors")
    parser.add_argument("--frozen", action="store_true", help="train LSTMs and heads alone, on cached features")
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--rate", type=float, default=2e-3, help="highest learning rate")
    parser.add_argument("--body-rate", type=float, default=0.3, help="that of the body and its head, as a share of it")
    parser.add_argument("--ema", type=float, default=0.998)
    parser.add_argument("--soft", type=float, default=0.0, help="weight of the reader's probabilities")
    parser.add_argument("--teacher", type=Path, help="a model.safetensors whose features are imitated")
    parser.add_argument("--imitation", type=float, default=1.0, help="weight of that")
    parser.add_argument("--labels", type=float, default=1.0, help="weight of the labels; with 0 the body alone is trained")
    parser.add_argument("--synthetic", type=float, default=1.0, help="share of the synthetic lines that each epoch takes")
    parser.add_argument("--limit", type=int, help="most lessons")
    parser.add_argument("--rounded", action="store_true", help="round as int8 does, for the last part")
    parser.add_argument("--bfloat16", action="store_true", help="compute in it, on processors with instructions for it")
    options = parser.parse_args()
    torch.set_num_threads(1)
    pupil = Pupil(options)
    if pupil.state_path.exists():
        pupil.resume()
    kept = [each for path in sorted(options.lessons.glob("held-out-*.npz")) for each in lessons.read(path)]
    kept = [each for each in kept[:400] + kept[400::5] if fits(pupil, each)]
    school = School(pupil, options.lessons, options.limit)
    school.update()
    if options.rounded:
        measured = batches_by_width(school.known, np.arange(0, len(school.known), 200), np.random.default_rng(0))
        pupil.rounding = Rounding(pupil.model, [tensors([pupil.scaled(school.known[i]) for i in each]) for each in measured])
    before, started, saved = pupil.used, time.monotonic(), time.monotonic()
    while True:
        rng = np.random.default_rng(pupil.step)
        for batch in school.epoch(rng):
            some = [school.known[i] for i in batch]
            if options.frozen:
                given, is_bent = padded([school.features[i] for i in batch]), False
            else:
                is_bent = bool(rng.random() < BENT)
                given = pupil.augmented(some, is_bent)
            school.probability[batch] = pupil.learn(*given, some, is_bent)
            now = time.monotonic()
            pupil.used = before + now - started
            is_over = pupil.used >= options.minutes * 60
            if is_over or now - saved > SAVE_SECONDS:
                saved = now
                pupil.report(kept)
                pupil.save()
            if is_over:
                pupil.note(len(school.known))
                pupil.state_path.unlink()
                return


def fits(pupil: Pupil, lesson: Lesson) -> bool:
    """Whether the line has frames enough for its label."""
    width = round(lesson.line.shape[1] * pupil.config.height / lesson.line.shape[0])
    return bool(frames_needed(pupil.charset.encode(lesson.text)) <= pupil.config.frames(max(width, pupil.config.min_width)))


def cached(pupil: Pupil, known: Sequence[Lesson]) -> list[tuple[NDArray[np.float16], int]]:
    """The features of each lesson's line, and their frames."""
    found: dict[int, tuple[NDArray[np.float16], int]] = {}
    pupil.model.eval()
    for batch in batches_by_width(known, np.arange(len(known)), np.random.default_rng(0)):
        images, widths = tensors([pupil.scaled(known[i]) for i in batch])
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=pupil.options.bfloat16):
            features, frames = pupil.model.features(images, widths)
        for i, row, count in zip(batch.tolist(), features, frames.tolist(), strict=True):
            found[i] = (row[:count].half().numpy().copy(), count)
    return [found[i] for i in range(len(known))]


def padded(features: Sequence[tuple[NDArray[np.float16], int]]) -> tuple[Tensor, Tensor, bool]:
    """A batch of cached features, and their frames."""
    frames = torch.tensor([count for _, count in features])
    batch = torch.zeros(len(features), int(frames.max()), features[0][0].shape[1])
    for row, (values, count) in zip(batch, features, strict=True):
        row[:count] = torch.from_numpy(values.astype(np.float32))
    return batch, frames, True


if __name__ == "__main__":
    main()
