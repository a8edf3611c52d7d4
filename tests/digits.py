"""For tests of training: images of short numbers, and a network so small that it learns them in two seconds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from crnnocr.config import DEFAULT_PRESET, PRESETS, Conv, ModelConfig, Pool, TrainConfig
from crnnocr.datasets import Dataset, Sample
from crnnocr.training.finalize import STEPS, export_onnx
from crnnocr.training.prepare import Prepared, inspect, prepare
from crnnocr.training.synthetic import Sampler

SHAPE = ModelConfig(
    preset=DEFAULT_PRESET,
    height=16,
    backbone=(Conv(8), Pool((2, 2), (2, 2)), Conv(16), Pool((2, 2), (2, 2)), Conv(24), Pool((4, 1), (4, 1))),
    hidden=24,
)
"""To be put into `PRESETS` in place of the default one."""

CONFIG = TrainConfig(
    start="scratch",
    steps=60,
    batch_size=12,
    warmup_steps=10,
    learning_rate=2e-2,
    validations=4,
    ema=0.9,
    augment=0,
    held_out=0.25,
)
"""With it 48 numbers are learned to a CER of about 0.1 on those held out; untrained it is 1."""

WITHOUT_ONNX = tuple(step for step in STEPS if step is not export_onnx)
"""All of a training except the exported models, which take longer than it."""

CHARACTERS = "2357"
"""Few, and easy to tell apart, so that they are learned fast."""


def image_of(text: str) -> Image.Image:
    """Black on white, 16 pixels high and about 9 wide for each digit."""
    font = ImageFont.load_default(14)
    image = Image.new("L", (round(font.getlength(text)) + 6, 16), 255)
    ImageDraw.Draw(image).text((3, 0), text, fill=0, font=font)
    return image


def number(index: int, longest: int = 4) -> str:
    """A number of two digits to `longest` for every index."""
    rng = np.random.default_rng([7, index])
    return "".join(CHARACTERS[i] for i in rng.integers(0, len(CHARACTERS), rng.integers(2, longest + 1)))


def dataset(folder: Path, texts: Sequence[str]) -> Dataset:
    """Images of `texts` in a folder, which is made if it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    samples = []
    for index, text in enumerate(texts):
        path = folder / f"{index:03}.png"
        if not path.exists():  # other processes may be reading it
            image_of(text).save(path)
        samples.append(Sample(path, text))
    return Dataset(folder, "hand-made", tuple(samples))


def numbers(folder: Path, count: int = 48, first: int = 0, longest: int = 4) -> Dataset:
    """Images of the numbers from index `first` on."""
    return dataset(folder, [number(first + i, longest) for i in range(count)])


class Drawer:
    """Makes an image of a number for every index. Worker processes import it from here."""

    charset = CHARACTERS

    def __getitem__(self, index: int) -> tuple[Image.Image, str]:
        text = number(10_000 + index)
        return image_of(text), text


def prepared(
    train: Dataset | Sequence[Dataset],
    config: TrainConfig = CONFIG,
    validate: Sequence[Dataset] = (),
    synthetic: Sampler | None = None,
    synthetic_validation: Sampler | None = None,
    synthetic_validation_size: int = 20,
    name: str = "x",
    **options: Any,
) -> Prepared:
    """A training on `train`, with `options` in place of those of `config`; without cross-validation, unless they ask for it."""
    config = replace(config, **{"folds": config.folds or 0} | options)
    sets = [train] if isinstance(train, Dataset) else train
    return prepare(inspect(sets, validate, config), config, name, synthetic, synthetic_validation, synthetic_validation_size)


@contextmanager
def trained_below(folder: Path) -> Iterator[None]:
    """Trainings in this block use the small network, and store their results in a folder: for fixtures of a whole module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CRNNOCR_DATA_DIR", str(folder / "store"))
        patch.setenv("CRNNOCR_CACHE_DIR", str(folder / "cache"))
        patch.setitem(PRESETS, DEFAULT_PRESET, SHAPE)
        yield
