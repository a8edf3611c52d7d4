"""The looks of trdg's own pictures: grey ink on noisy paper, skewed and blurred a little. Kept as it is for good."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from crnnocr.synth import trdg_adapter

INK = "#282828"
MARGIN = 5
"""Pixels of paper on each side."""
MAX_SKEW = 2
"""Largest rotation either way, in whole degrees."""
MAX_BLUR = 1
"""Largest radius of the Gaussian blur, in whole pixels."""
PAPER_MEAN, PAPER_DEVIATION = 235, 10
"""Grey of the paper: normally distributed noise, each pixel by itself."""


def draw(text: str, font: Path, height: int, rng: np.random.Generator) -> Image.Image:
    """Draw `text` as trdg does with `--skew_angle 2 --random_skew --blur 1 --random_blur`; a grey picture `height` high.

    The order of the steps, the resampling and the distributions are those of trdg's `FakeTextDataGenerator`.
    """
    skew = int(rng.integers(-MAX_SKEW, MAX_SKEW + 1))
    blur = int(rng.integers(0, MAX_BLUR + 1))
    line = trdg_adapter.draw_line(text, font, height, INK).rotate(skew, expand=True)
    inner = height - 2 * MARGIN
    line = line.resize((max(1, line.width * inner // line.height), inner), Image.Resampling.LANCZOS)
    noise = rng.normal(PAPER_MEAN, PAPER_DEVIATION, size=(height, line.width + 2 * MARGIN))
    paper = Image.fromarray(np.clip(noise, 0, 255).astype(np.uint8))
    paper.paste(line.convert("L"), (MARGIN, MARGIN), line.getchannel("A"))
    return paper.filter(ImageFilter.GaussianBlur(blur))
