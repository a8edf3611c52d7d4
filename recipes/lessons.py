"""Prepare what the pretrained models learn from: lines, their texts, and what a strong reader sees in each frame.

    python recipes/lessons.py FOLDER --real shared/data_train --fonts fonts/ --synthetic 100_000

Synthetic lines come from the stream of `recipes/stream.py`. Of real images there are the words of `scene_words`, each four
times, three of these augmented, and the lines of `receipt_lines` once, every second one augmented. The labels of the receipts
are upper-case: they get the reader's case if its text is the label apart from case and spaces, else the line is left out. Their
spaces stay, for the reader loses some. What the reader sees in a line is kept if its text is that of the label. It is PP-OCRv6
small.

Of short real lines with even paper some are put side by side, far apart, as the columns of a receipt are.

Each file holds some thousand lines, so the work is shared by calling this several times with other `--part`s, and goes on where
it ended. Every tenth receipt and every tenth word are kept apart, in files called `held-out`.
"""

from __future__ import annotations

import argparse
import json
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count, islice
from pathlib import Path

import numpy as np
import torch
from bodies import HEIGHT, Recognizer, in_colors
from numpy.typing import NDArray
from PIL import Image
from stream import CHARSET, STREAM, Stream

from crnnocr.config import AugmentConfig
from crnnocr.files import atomic_write
from crnnocr.images import Line, Preprocessor, to_batch
from crnnocr.text.charset import BLANK, Charset
from crnnocr.training.augmentation import augment

FILE_LINES = 2000
KEPT = 8
"""Classes of each frame whose probabilities are kept."""
MAX_WIDTH = 1600
"""Of a line, in pixels."""
WIDEST_BLANK = 3000
"""Of a line with nothing on it."""
USUAL_WIDTH = 320
"""Of the images that the reader was trained on, narrow ones padded: it reads these better so."""
FRAME = 8
"""Columns of each of its frames."""
ROW_PLACE = 5
"""Of twenty synthetic lines, the one that is a row of single characters."""
SHORT = 14
"""Characters of lines that are put side by side, at most."""
EVEN = 14
"""Standard deviation of the paper at their ends, at most, in gray levels."""
ALIKE = 30
"""Lines with the most similar paper that each is put beside."""
COPIES = 4
"""How often each word is taken."""

_PREPROCESSOR = Preprocessor(HEIGHT, min_width=8)


@dataclass(frozen=True)
class Lesson:
    """A line with its text and, if it is known, what a strong reader sees in it."""

    line: Line
    text: str
    ids: NDArray[np.uint16]
    """(T, 8) most probable classes of each 8 columns; T is 0 if they are not known."""
    probabilities: NDArray[np.float16]
    """(T, 8)."""


class Reader:
    """The strong reader, whose characters are ours."""

    def __init__(self, charset: Charset) -> None:
        self._recognizer = Recognizer("small", charset.characters)
        self._charset = charset
        self._own = np.array([BLANK, *charset.encode(self._recognizer.characters)])

    def __call__(self, line: Line) -> tuple[str, NDArray[np.uint16], NDArray[np.float16]]:
        """The text of a line, and the classes and probabilities of each frame."""
        image = in_colors(line)
        columns = image.shape[3]
        if columns < USUAL_WIDTH:
            image = np.pad(image, ((0, 0), (0, 0), (0, 0), (0, USUAL_WIDTH - columns)))
        probabilities = self._recognizer.probabilities(image)[0, : -(-columns // FRAME)]
        best = np.argsort(-probabilities, axis=1)[:, :KEPT]
        ids = self._own[best]
        greedy = ids[:, 0]
        kept = greedy[(greedy != BLANK) & (greedy != np.concatenate(([BLANK], greedy[:-1])))]
        values = np.take_along_axis(probabilities, best, axis=1)
        return self._charset.decode(kept.tolist()), ids.astype(np.uint16), values.astype(np.float16)


def synthetic(fonts: str | None, start: int) -> Iterator[tuple[Line, str]]:
    """Endless synthetic lines: one in a hundred is blank, five are rows of single characters."""
    stream = Stream(replace(STREAM, fonts=fonts))
    for index in count(start):
        if index % 100:
            image, text = stream[index] if index % 20 != ROW_PLACE else stream.row(index)
            yield _PREPROCESSOR.line(image), text
        else:
            yield blank(np.random.default_rng([STREAM.seed, index])), ""


def blank(rng: np.random.Generator) -> Line:
    """Paper with nothing on it: of any gray, width and unevenness, and with more or less noise."""
    width = round(float(np.exp(rng.uniform(np.log(16), np.log(WIDEST_BLANK)))))
    slope = np.linspace(-1, 1, width) * rng.uniform(-30, 30) + np.linspace(-1, 1, HEIGHT)[:, None] * rng.uniform(-20, 20)
    noise = rng.normal(size=(HEIGHT, width)) * rng.choice([0, rng.uniform(0, 4), rng.uniform(0, 15)])
    line: Line = np.clip(np.round(rng.uniform(0, 255) + slope + noise), 0, 255).astype(np.uint8)
    return line


def columns(known: Sequence[Lesson], rng: np.random.Generator) -> Iterator[Lesson]:
    """Endless pairs of short lines on like paper, side by side, with 0.4 to 9 times their height between them."""
    short = [each for each in known if each.text and len(each.text) <= SHORT and each.line.shape[1] < USUAL_WIDTH]
    ends = [np.concatenate((each.line[:, :2].ravel(), each.line[:, -2:].ravel())) for each in short]
    even = sorted((i for i in range(len(short)) if ends[i].std() < EVEN), key=lambda i: float(np.median(ends[i])))
    while True:
        place = rng.integers(len(even) - ALIKE)
        left, right = (short[even[i]] for i in rng.permutation([place, place + rng.integers(1, ALIKE)]))
        gap = int(rng.uniform(20, 60) if rng.random() < 0.5 else rng.uniform(60, 420))
        share = np.linspace(0, 1, gap)
        paper = left.line[:, -2:].mean(1)[:, None] * (1 - share) + right.line[:, :2].mean(1)[:, None] * share
        paper += rng.normal(size=paper.shape) * min(float(ends[even[place]].std()), 6)
        line = np.concatenate((left.line, np.clip(paper, 0, 255).astype(np.uint8), right.line), axis=1)
        yield Lesson(line, f"{left.text} {right.text}", left.ids[:0], left.probabilities[:0])


@dataclass(frozen=True)
class RealImage:
    """An image of the real world, with its label."""

    path: Path
    text: str
    is_reliable: bool
    """Whether case and spaces of the label are what the image shows."""
    seed: int | None
    """Of its augmentation, if it is changed."""

    def line(self) -> Line:
        """The line to learn from."""
        line = _PREPROCESSOR.line(Image.open(self.path).convert("L"))
        return line if self.seed is None else augmented(line, self.seed)


def real(folder: Path, held_out: bool) -> Iterator[RealImage]:
    """The real images to learn from, or those that are kept apart."""
    for kind, copies in (("scene_words", COPIES), ("receipt_lines", 1)):
        is_receipt = kind == "receipt_lines"
        rows = (folder / kind / "labels.tsv").read_text(encoding="utf-8").splitlines()
        for number, row in enumerate(rows):
            name, text = row.split("\t")
            group = name.partition("_")[0] if is_receipt else name
            if (zlib.crc32(group.encode()) % 10 == 0) != held_out:
                continue
            for copy in range(1 if held_out else copies):
                is_changed = not held_out and (number % 2 if is_receipt else copy > 0)
                yield RealImage(folder / kind / name, text, not is_receipt, number * COPIES + copy if is_changed else None)


def augmented(line: Line, seed: int) -> Line:
    """The line, changed as in training."""
    images, widths = (torch.from_numpy(each) for each in to_batch([line]))
    config = replace(AugmentConfig(), changed=1.0)
    changed, [width] = augment(images, widths, config, 8, torch.Generator().manual_seed(seed))
    return np.round((changed[0, 0, :, : int(width)].numpy() + 1) * 127.5).astype(np.uint8)


def bare(text: str) -> str:
    """A text without case and spaces."""
    return re.sub(r"\s", "", text).upper()


def in_case(label: str, found: str) -> str:
    """The label in the case of a text that is the same apart from case and spaces."""
    letters = iter(re.sub(r"\s", "", found))
    return "".join(each if each.isspace() else next(letters, "") for each in label)


def write(path: Path, lessons: Sequence[Lesson]) -> None:
    """Store lessons in one file."""
    with atomic_write(path) as part, part.open("wb") as file:
        np.savez(
            file,
            pixels=np.concatenate([each.line for each in lessons], axis=1),
            widths=np.array([each.line.shape[1] for each in lessons]),
            frames=np.array([len(each.ids) for each in lessons]),
            ids=np.concatenate([each.ids for each in lessons]),
            probabilities=np.concatenate([each.probabilities for each in lessons]),
            texts=np.frombuffer(json.dumps([each.text for each in lessons]).encode(), np.uint8),
        )


def read(path: Path) -> list[Lesson]:
    """The lessons of one file."""
    with np.load(path) as stored:
        texts = json.loads(stored["texts"].tobytes())
        lines = np.split(stored["pixels"], np.cumsum(stored["widths"])[:-1], axis=1)
        ends = np.cumsum(stored["frames"])[:-1]
        ids, probabilities = np.split(stored["ids"], ends), np.split(stored["probabilities"], ends)
    return [Lesson(*each) for each in zip(map(np.ascontiguousarray, lines), texts, ids, probabilities, strict=True)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--real", type=Path, help="the folder that holds scene_words and receipt_lines")
    parser.add_argument("--fonts", help="the folder that recipes/fonts.py made; by default what is installed")
    parser.add_argument("--synthetic", type=int, default=0, help="synthetic lines")
    parser.add_argument("--part", default="0/1", help="which files of all are made: 1/2 every second one, from the second on")
    options = parser.parse_args()
    torch.set_num_threads(1)
    part, parts = map(int, options.part.split("/"))
    options.folder.mkdir(parents=True, exist_ok=True)
    reader = Reader(Charset(CHARSET))
    for held_out in (False, True) if options.real else ():
        images = list(real(options.real, held_out))
        for number, start in enumerate(range(0, len(images), FILE_LINES)):
            path = options.folder / f"{'held-out' if held_out else 'real'}-{number:03}.npz"
            if number % parts == part and not path.exists():
                given = images[start : start + FILE_LINES]
                found = (learned(reader, each.line(), each.text, each.is_reliable) for each in given)
                write(path, lessons := [each for each in found if each])
                print(f"{path}: {len(lessons)} of {len(given)} lines", flush=True)
    path = options.folder / "real-columns.npz"
    if options.real and not part and not path.exists():
        known = [each for other in sorted(options.folder.glob("real-0*.npz"))[::3] for each in read(other)]
        write(path, list(islice(columns(known, np.random.default_rng(0)), FILE_LINES)))
    for number in range(part, options.synthetic // FILE_LINES, parts):
        path = options.folder / f"synthetic-{number:03}.npz"
        if not path.exists():
            lines = synthetic(options.fonts, number * FILE_LINES)
            found = (learned(reader, *next(lines), is_reliable=True) for _ in range(FILE_LINES))
            write(path, lessons := [each for each in found if each])
            agree = sum(len(each.ids) > 0 for each in lessons)
            print(f"{path}: {len(lessons)} lines, {agree} read as they are labeled", flush=True)


def learned(reader: Reader, line: Line, text: str, is_reliable: bool) -> Lesson | None:
    """What is learned from a line; None if it is left out."""
    if not 8 <= line.shape[1] <= MAX_WIDTH or any(each not in CHARSET for each in text):
        return None
    found, ids, probabilities = reader(line)
    if not is_reliable:
        if bare(found) != bare(text):
            return None
        text = in_case(text, found)
    return Lesson(line, text, ids, probabilities) if found == text else Lesson(line, text, ids[:0], probabilities[:0])


if __name__ == "__main__":
    main()
