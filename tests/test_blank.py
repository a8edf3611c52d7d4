"""Images that show nothing but have a label are found; faint, small and crowded texts are not taken for them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from crnnocr.config import DEFAULT_PRESET, PRESETS, TrainConfig
from crnnocr.datasets.detection import load_dataset
from crnnocr.datasets.lint.blank import is_blank
from crnnocr.images import Preprocessor
from crnnocr.training.prepare import inspect

PREPROCESSOR = Preprocessor.for_model(PRESETS[DEFAULT_PRESET])


def paper(size: tuple[int, int] = (240, 48), value: float = 215) -> NDArray[np.float64]:
    return np.full(size[::-1], value)


def shade(size: tuple[int, int] = (240, 48)) -> NDArray[np.float64]:
    y, x = np.mgrid[: size[1], : size[0]]
    return np.asarray(200 - 60 * x / size[0] - 30 * ((y / size[1] - 0.5) ** 2))


def noise(deviation: float, size: tuple[int, int] = (240, 48), seed: int = 0) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(0, deviation, size[::-1])


def text(contrast: float, value: str = "5 July 1986", size: tuple[int, int] = (240, 48)) -> NDArray[np.float64]:
    image = Image.new("L", size, 0)
    ImageDraw.Draw(image).text((8, 8), value, 255, ImageFont.load_default(28))
    return 215 - np.asarray(image, dtype=np.float64) * contrast / 255


def as_image(values: NDArray[np.float64]) -> Image.Image:
    return Image.fromarray(np.clip(np.round(values), 0, 255).astype(np.uint8))


BLANK: dict[str, Callable[[], NDArray[np.float64]]] = {
    "white": lambda: paper(value=255),
    "black": lambda: paper(value=0),
    "gray": paper,
    "noise": lambda: paper() + noise(4),
    "strong noise": lambda: paper() + noise(12),
    "shade": shade,
    "shade and noise": lambda: shade() + noise(6),
    "a narrow crop": lambda: paper((30, 40)) + noise(5, (30, 40)),
    "a long crop": lambda: paper((1500, 60)) + noise(5, (1500, 60)),
    "a large scan": lambda: paper((900, 200)) + noise(10, (900, 200)),
}

INKED: dict[str, Callable[[], NDArray[np.float64]]] = {
    "text": lambda: text(200),
    "faint": lambda: text(8),
    "faint and noisy": lambda: text(30) + noise(6),
    "light on dark": lambda: 255 - text(200),
    "in shade": lambda: shade() - 215 + text(20) + noise(2),
    "a dot": lambda: text(120, ".") + noise(3),
    "a dash in a long crop": lambda: text(120, "-", (900, 48)) + noise(5, (900, 48)),
    "one digit": lambda: text(120, "1") + noise(5),
    "crowded": lambda: text(90, "MWMWMWMWMWMWMW") + noise(5),
}


@pytest.mark.parametrize("kind", BLANK)
def test_paper_is_blank(kind: str) -> None:
    assert is_blank(PREPROCESSOR.line(as_image(BLANK[kind]())))


@pytest.mark.parametrize("kind", INKED)
def test_ink_is_not(kind: str) -> None:
    assert not is_blank(PREPROCESSOR.line(as_image(INKED[kind]())))


def test_most_noisy_papers_are_found() -> None:
    rng = np.random.default_rng(7)
    sizes = [(int(rng.integers(60, 600)), int(rng.integers(24, 100))) for _ in range(60)]
    papers = [paper(size) + noise(rng.uniform(0.5, 12), size, seed) for seed, size in enumerate(sizes)]
    assert sum(is_blank(PREPROCESSOR.line(as_image(each))) for each in papers) >= 57


def test_a_blank_image_with_a_label_is_an_issue(tmp_path: Path) -> None:
    for name, values in (("a", text(200)), ("b", paper() + noise(5)), ("c", text(10))):
        as_image(values).save(tmp_path / f"{name}.png")
    (tmp_path / "labels.csv").write_text("a.png,5 July 1986\nb.png,7 July\nc.png,5 July 1986\n")
    inspected = inspect([load_dataset(tmp_path)], [], TrainConfig(start="scratch"))
    (issue,) = (issue for issue in inspected.issues if issue.code == "blank-picture")
    assert [location.path for location in issue.locations] == [str(tmp_path / "b.png")]
    assert issue.severity == "warning"
