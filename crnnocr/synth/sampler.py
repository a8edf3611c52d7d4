"""An endless, reproducible sequence of labelled pictures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from crnnocr.charset import describe
from crnnocr.config import SynthConfig
from crnnocr.errors import DataError
from crnnocr.synth import fonts, texts, trdg_adapter, trdg_style


@dataclass(frozen=True)
class DrawnLine:
    """One drawn picture and what it says."""

    image: Image.Image
    """The picture, mode L."""
    text: str
    """The text in NFC, with single spaces inside."""
    font: Path
    """The font it is drawn in."""


class Sampler:
    """`Sampler(config)[index]` draws sample `index`, the same each time and in every process."""

    def __init__(self, config: SynthConfig) -> None:
        self.config = config
        self.fonts = trdg_adapter.font_files(config.lang)
        if config.text is None:
            self._texts = texts.from_words(trdg_adapter.dictionary(config.lang), *config.words)
        else:
            self._texts = texts.from_file(Path(config.text))

    def text(self, index: int) -> str:
        """The text of sample `index`, without drawing it."""
        return self._texts(index, self._chance(index))

    def __getitem__(self, index: int) -> DrawnLine:
        """Draw sample `index` (0 and up). Raises `DataError` where no font can draw its text."""
        rng = self._chance(index)
        text = self._texts(index, rng)
        able = fonts.able(self.fonts, text)
        if not able:
            raise DataError(self._undrawable(text))
        font = able[int(rng.integers(len(able)))]
        return DrawnLine(trdg_style.draw(text, font, self.config.height, rng), text, font)

    def _chance(self, index: int) -> np.random.Generator:
        return np.random.default_rng([self.config.seed, index])

    def _undrawable(self, text: str) -> str:
        missing = [c for c in dict.fromkeys(text) if not fonts.able(self.fonts, c)]
        what = ", ".join(map(describe, missing)) or "all of its characters together"
        return (
            f"none of the {len(self.fonts)} fonts for --lang {self.config.lang} can draw {what} in {text!r}: leave the text out"
        )
