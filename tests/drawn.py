"""Texts drawn black on white, for tests of what is around a text: paper, frames, rules, other lines."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFont

TEXTS = ("Invoice 2026", "Total: 49.50", "AB-1234", "it is, in fact, fine.", "e-mail", "page 17", "(see below)", "Hamburg")


def drawn(*lines: str, size: int = 30, margin: int = 4, ink: int = 0, paper: int = 255, spacing: float = 0.5) -> Image.Image:
    """Lines of text above each other, with `margin` pixels of paper on each side of the ink."""
    font, height = ImageFont.load_default(size), round(size * (0.8 + spacing))
    sheet = Image.new("L", (2 * size * max(map(len, lines)), height * len(lines) + 2 * size), 0)
    for row, line in enumerate(lines):
        ImageDraw.Draw(sheet).text((size, size // 2 + row * height), line, fill=255, font=font)
    cut = sheet.crop(sheet.getbbox())
    image = Image.new("L", (cut.width + 2 * margin, cut.height + 2 * margin), paper)
    image.paste(ink, (margin, margin), cut)
    return image


def framed(image: Image.Image, gap: int = 3, width: int = 2, paper: int = 6) -> Image.Image:
    """An image in a frame, `gap` pixels from it, with paper around the frame."""
    wide = Image.new("L", (image.width + 2 * (gap + width + paper), image.height + 2 * (gap + width + paper)), 255)
    wide.paste(image, (gap + width + paper,) * 2)
    box = (paper, paper, wide.width - paper - 1, wide.height - paper - 1)
    ImageDraw.Draw(wide).rectangle(box, outline=0, width=width)
    return wide


def with_noise(image: Image.Image, deviation: float, seed: int = 0) -> Image.Image:
    """The image with normal noise in every pixel."""
    noise = np.random.default_rng(seed).normal(0, deviation, (image.height, image.width))
    return Image.fromarray(np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8))
