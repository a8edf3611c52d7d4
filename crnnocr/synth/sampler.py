"""An endless, reproducible sequence of labelled pictures."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from PIL import Image

from crnnocr.config import Orientation, Style, SynthConfig
from crnnocr.errors import DataError
from crnnocr.synth import fonts, trdg
from crnnocr.synth import text as texts
from crnnocr.synth.fonts import FontFace
from crnnocr.synth.languages import LANGUAGES
from crnnocr.synth.render import image as picture
from crnnocr.synth.render import ink
from crnnocr.synth.render.recipe import RECIPES, SHARES
from crnnocr.synth.text import Text

_TEXT_ATTEMPTS = 50
_ATTEMPTS = 40
_PLAIN_FROM = 12
"""Attempt from which on a line is drawn plainly: some texts are readable in few looks only."""

_TEXT, _LOOKS = 1, 2
"""Streams of chance of one index."""


class DrawnLine(NamedTuple):
    """One drawn picture and what it says."""

    image: Image.Image
    """The picture, of mode L or RGB."""
    text: str
    """The text in NFC and logical order, with single spaces inside."""
    font: FontFace
    """The font it is drawn in."""
    style: Style
    """Its looks; never `mixed`."""
    attempts: int
    """How many times it was drawn until its text could be read in it."""


class Sampler:
    """`Sampler(config)[index]` draws sample `index`, the same each time and in every process."""

    def __init__(self, config: SynthConfig) -> None:
        """Raises `UsageError` or `DataError` where texts or fonts cannot be as `config` asks for."""
        self.config = config
        self.faces = _trdg_faces(config) if config.style is Style.TRDG else fonts.collect(config)
        """The fonts that it may draw with."""
        self._chooser = fonts.Chooser(self.faces)
        self._texts = texts.source(config, fonts.characters(self.faces))

    def __reduce__(self) -> tuple[type[Sampler], tuple[SynthConfig]]:
        return Sampler, (self.config,)  # built anew where it is unpickled, which is quicker than to send it

    @property
    def charset(self) -> str:
        """Every character that its texts may hold, in code point order."""
        return self._texts.charset

    def text(self, index: int) -> str:
        """The text of sample `index`, without drawing it."""
        return self._line(index)[0].text

    def __getitem__(self, index: int) -> tuple[Image.Image, str]:
        """Draw sample `index` (0 and up): the picture and its text. Raises as `draw` does."""
        line = self.draw(index)
        return line.image, line.text

    def draw(self, index: int) -> DrawnLine:
        """Draw sample `index` (0 and up). Raises `DataError` where no font can draw its text."""
        if self.config.style is Style.TRDG:
            return self._draw_trdg(index)
        if index < 0:
            raise IndexError("samples are numbered from 0")
        (text, lang), style = self._line(index)
        turned = self.config.orientation is Orientation.VERTICAL
        upright = turned and any(map(ink.stands, text))
        for attempt in range(_ATTEMPTS):
            rng = np.random.default_rng([self.config.seed, index, _LOOKS, attempt])
            recipe = RECIPES[style if attempt < _PLAIN_FROM else Style.CLEAN]
            face = self._chooser.choose(text, rng, recipe.fonts)
            if face is None:
                raise DataError(fonts.missing(self.faces, text, self.config.lang))
            image = picture.draw(text, face, LANGUAGES[lang].tag, self.config.height, upright, recipe, rng)
            if image is not None:
                return DrawnLine(
                    image.transpose(Image.Transpose.ROTATE_270) if turned else image, text, face, style, attempt + 1
                )
        raise DataError(
            f"{text!r} could not be drawn readably in {_ATTEMPTS} attempts: leave it out, or draw a larger --height"
        )

    def _draw_trdg(self, index: int) -> DrawnLine:
        """As the first version of crnnocr did: text, font and looks from one stream of chance."""
        rng = np.random.default_rng([self.config.seed, index])
        text = self._texts(index, Style.TRDG, rng).text
        if ink.is_joined(text):
            raise DataError(f"{text!r} has to be shaped, and --style trdg shapes nothing: choose another style")
        able = [face for face in self.faces if face.draws(text)]
        if not able:
            raise DataError(fonts.missing(self.faces, text, self.config.lang))
        face = able[int(rng.integers(len(able)))]
        return DrawnLine(trdg.draw(text, face.path, self.config.height, rng), text, face, Style.TRDG, 1)

    def _line(self, index: int) -> tuple[Text, Style]:
        """The text and the style of sample `index`; of texts that no font draws, another one is made up."""
        if self.config.style is Style.TRDG:
            return self._texts(index, Style.TRDG, np.random.default_rng([self.config.seed, index])), Style.TRDG
        for attempt in range(_TEXT_ATTEMPTS):
            rng = np.random.default_rng([self.config.seed, index, _TEXT, attempt])
            style: Style = self.config.style
            if style is Style.MIXED:
                style = _one_of(SHARES, rng)
            text = self._texts(index, style, rng)
            if self.config.text is not None or self._chooser.can(text.text):
                break
        return text, style


def _one_of(shares: dict[Style, float], rng: np.random.Generator) -> Style:
    return list(shares)[int(np.searchsorted(np.cumsum(list(shares.values())), rng.random()))]


def _trdg_faces(config: SynthConfig) -> tuple[FontFace, ...]:
    """The first version's fonts in its order, unless others are asked for; of a file its first face: trdg knows no other."""
    if config.fonts is None and not config.system_fonts:
        files = dict.fromkeys(path for lang in config.lang for path in trdg.font_files(lang))
        return tuple(map(fonts.load, files))
    return tuple(dict.fromkeys(fonts.load(face.path) for face in fonts.collect(config)))
