"""An endless, reproducible sequence of labeled images."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

import numpy as np
from PIL import Image

from crnnocr.config import Orientation, Style, SynthConfig
from crnnocr.errors import DataError
from crnnocr.synth import fonts
from crnnocr.synth.fonts import FontFace
from crnnocr.synth.languages import LANGUAGES
from crnnocr.synth.render import image, ink
from crnnocr.synth.render.display_glyphs import CHARACTERS
from crnnocr.synth.render.image import RenderedLine
from crnnocr.synth.render.recipe import RECIPES, STYLE_SHARES
from crnnocr.synth.text import Text, create_source
from crnnocr.synth.trdg.style import TrdgLines

_TEXT_ATTEMPTS = 50
_RENDER_ATTEMPTS = 40
_PLAIN_FROM = 12
"""Attempt from which a line is rendered in the plain style `clean`: some texts are legible in few styles only."""

_TEXT_STREAM, _RENDER_STREAM = 1, 2
"""The two random streams of an index."""


class Lines(Protocol):
    """Renders the lines of one style."""

    faces: tuple[FontFace, ...]
    """The fonts that it may use."""

    @property
    def charset(self) -> str:
        """Every character that its texts may hold, in code point order."""
        ...

    def text(self, index: int) -> str:
        """The text of line `index`, which costs less than to render it."""
        ...

    def render(self, index: int) -> RenderedLine:
        """Render line `index`. Raises `DataError` if that is impossible."""
        ...


def _create_lines(config: SynthConfig) -> Lines:
    return TrdgLines(config) if config.style is Style.TRDG else _StyledLines(config)


class Sampler:
    """`Sampler(config)[index]` is sample `index`, the same each time and in every process."""

    def __init__(self, config: SynthConfig) -> None:
        """Raises `UsageError` or `DataError` if there are no texts or fonts such as `config` asks for."""
        self.config = config
        self._lines = _create_lines(config)

    def __reduce__(self) -> tuple[type[Sampler], tuple[SynthConfig]]:
        return Sampler, (self.config,)  # to build it again is quicker than to send it

    @property
    def faces(self) -> tuple[FontFace, ...]:
        """The fonts that it may use."""
        return self._lines.faces

    @property
    def charset(self) -> str:
        """Every character that its texts may hold, in code point order."""
        return self._lines.charset

    def text(self, index: int) -> str:
        """The text of sample `index`, without rendering it."""
        return self._lines.text(index)

    def render(self, index: int) -> RenderedLine:
        """Render sample `index` (0 and up). Raises `DataError` if no font draws its text, or no attempt is legible."""
        if index < 0:
            raise IndexError("samples are numbered from 0")
        return self._lines.render(index)

    def __getitem__(self, index: int) -> tuple[Image.Image, str]:
        """Render sample `index` (0 and up): the image, of mode L or RGB, and its text. Raises as `render` does."""
        line = self.render(index)
        return line.image, line.text


class _StyledLines:
    """Renders lines by the recipes of styles, until one is legible."""

    def __init__(self, config: SynthConfig) -> None:
        self._config = config
        self.faces = fonts.collect(config)
        self._chooser = fonts.Chooser(self.faces)
        self._is_display = config.style is Style.DISPLAY
        self._texts = create_source(config, CHARACTERS if self._is_display else fonts.characters(self.faces))

    @property
    def charset(self) -> str:
        return self._texts.charset

    def text(self, index: int) -> str:
        return self._text_and_style(index)[0].text

    def render(self, index: int) -> RenderedLine:
        (text, lang), style = self._text_and_style(index)
        is_vertical = self._config.orientation is Orientation.VERTICAL
        upright = is_vertical and any(map(ink.stands_upright, text))
        for attempt in range(_RENDER_ATTEMPTS):
            rng = self._rng(index, _RENDER_STREAM, attempt)
            recipe = RECIPES[style]
            if attempt >= _PLAIN_FROM:
                recipe = replace(RECIPES[Style.CLEAN], displays=recipe.displays)
            face = self._chooser.choose("" if recipe.displays else text, rng, recipe.fonts)
            if face is None:
                raise DataError(fonts.missing(self.faces, text, self._config.lang))
            rendered = image.render(text, face, LANGUAGES[lang].tag, self._config.height, upright, recipe, rng)
            if rendered is not None:
                if is_vertical:
                    rendered = rendered.transpose(Image.Transpose.ROTATE_270)
                return RenderedLine(rendered, text, face, style, attempt + 1)
        raise DataError(
            f"{text!r} could not be drawn legibly in {_RENDER_ATTEMPTS} attempts: leave it out, or take a larger `height`"
        )

    def _text_and_style(self, index: int) -> tuple[Text, Style]:
        """The text and the style of line `index`; a made-up text that no font draws is replaced by another."""
        for attempt in range(_TEXT_ATTEMPTS):
            rng = self._rng(index, _TEXT_STREAM, attempt)
            style: Style = self._config.style
            if style is Style.MIXED:
                style = _random_style(rng)
            text = self._texts(index, style, rng)
            if self._is_display or self._config.text is not None or self._chooser.can_draw(text.text):
                break
        return text, style

    def _rng(self, index: int, stream: int, attempt: int) -> np.random.Generator:
        return np.random.default_rng([self._config.seed, index, stream, attempt])


def _random_style(rng: np.random.Generator) -> Style:
    return list(STYLE_SHARES)[int(np.searchsorted(np.cumsum(list(STYLE_SHARES.values())), rng.random()))]
