"""The style `trdg`: lines as the package trdg makes them, frozen so that figures stay comparable.

Words of trdg's dictionaries in dark gray ink on noisy paper, rotated and blurred a little. Text, font and effects of a line
come from one random stream, in this order.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from crnnocr.config import Style, SynthConfig
from crnnocr.errors import DataError, UsageError
from crnnocr.synth import fonts, trdg
from crnnocr.synth.fonts import FontFace
from crnnocr.synth.render import ink
from crnnocr.synth.render.image import RenderedLine
from crnnocr.synth.rng import Random
from crnnocr.synth.text import Text, TextSource, normalize_text
from crnnocr.synth.text.generator import LengthLimits
from crnnocr.synth.text.text_file import TextFile
from crnnocr.synth.text.vocabulary import Alphabet, Vocabulary, parse_charset

INK = "#282828"
MARGIN = 5
"""Pixels of paper on each side."""
MAX_SKEW = 2
"""Largest rotation either way, in whole degrees."""
MAX_BLUR = 1
"""Largest radius of the Gaussian blur, in whole pixels."""
PAPER_MEAN, PAPER_DEVIATION = 235, 10
"""Gray levels of the paper: normally distributed noise, independent for each pixel."""

DEFAULT_WORDS = (1, 3)

_ATTEMPTS = 20
"""Random texts that are tried for a length that is asked for, before one is composed of words of the right lengths."""


class TrdgLines:
    """Renders the lines of `--style trdg`."""

    def __init__(self, config: SynthConfig) -> None:
        """Raises `UsageError` or `DataError` if there are no such texts or fonts."""
        self._config = config
        self.faces = _faces(config)
        self._texts: TextSource = (
            _DictionaryTexts(config) if config.text is None else TextFile(config, fonts.characters(self.faces))
        )

    @property
    def charset(self) -> str:
        """Every character that its texts may hold, in code point order."""
        return self._texts.charset

    def text(self, index: int) -> str:
        """The text of line `index`."""
        return self._text(index, self._rng(index))

    def render(self, index: int) -> RenderedLine:
        """Render line `index`. Raises `DataError` if its text has to be shaped, or no font draws it."""
        rng = self._rng(index)
        text = self._text(index, rng)
        if ink.is_joined(text):
            raise DataError(f"{text!r} has to be shaped, and `style=trdg` shapes nothing: choose another style")
        faces = [face for face in self.faces if face.draws(text)]
        if not faces:
            raise DataError(fonts.missing(self.faces, text, self._config.lang))
        face = faces[int(rng.integers(len(faces)))]
        return RenderedLine(_render(text, face.path, self._config.height, rng), text, face, Style.TRDG, 1)

    def _rng(self, index: int) -> np.random.Generator:
        return np.random.default_rng([self._config.seed, index])

    def _text(self, index: int, rng: np.random.Generator) -> str:
        return self._texts(index, Style.TRDG, rng).text


def _faces(config: SynthConfig) -> tuple[FontFace, ...]:
    """Trdg's own fonts in its order unless others are asked for; of a file its first face, the only one that trdg knows."""
    if config.fonts is None and not config.system_fonts:
        files = dict.fromkeys(path for lang in config.lang for path in trdg.font_files(lang))
        return tuple(map(fonts.load, files))
    return tuple(dict.fromkeys(fonts.load(face.path) for face in fonts.collect(config)))


class _DictionaryTexts:
    """Words of trdg's dictionaries, all with the same probability, each text in one of the languages of `config`."""

    def __init__(self, config: SynthConfig) -> None:
        self._words = {code: _words(code, config) for code in config.lang}
        has_space = config.charset is None or " " in config.charset
        self._limits = LengthLimits.of(config, " ", single=not has_space)
        self._word_range = self._limits.words or (DEFAULT_WORDS if has_space else (1, 1))
        alphabet = frozenset(" " if self._word_range[1] > 1 else "").union(
            *(word for words in self._words.values() for word in words)
        )
        self.charset = "".join(sorted(alphabet))
        self._vocabularies = {
            code: Vocabulary(dict.fromkeys(words, 1.0), Alphabet(alphabet, ())) for code, words in self._words.items()
        }

    def __call__(self, index: int, style: Style, rng: np.random.Generator) -> Text:
        codes = list(self._words)
        code = codes[0] if len(codes) == 1 else codes[int(rng.integers(len(codes)))]
        words = self._words[code]
        for _ in range(_ATTEMPTS):
            count = int(rng.integers(self._word_range[0], self._word_range[1] + 1))
            text = normalize_text(" ".join(words[i] for i in rng.integers(len(words), size=count)))
            if self._limits.allow(text, count):
                return Text(text, code)
        return Text(self._of_exact_length(self._vocabularies[code], Random(rng)), code)

    def _of_exact_length(self, vocabulary: Vocabulary, rng: Random) -> str:
        lengths = self._limits.word_lengths(rng, vocabulary.mean_length)
        return " ".join([vocabulary.of_length(length, rng) for length in lengths])


def _words(code: str, config: SynthConfig) -> tuple[str, ...]:
    """The words of a dictionary that the charset can write and that are not too long."""
    words = trdg.dictionary(code)
    if config.charset is not None:
        allowed = parse_charset(config.charset)
        words = tuple(word for word in words if allowed.issuperset(word))
    if config.chars:
        max_length = config.chars[1]
        words = tuple(word for word in words if len(word) <= max_length)
    if not words:
        raise UsageError(f"trdg's dictionary for `lang={code}` has no word that fits: leave `style=trdg` out")
    return words


def _render(text: str, font: Path, height: int, rng: np.random.Generator) -> Image.Image:
    """Draw `text` as trdg does with `--skew_angle 2 --random_skew --blur 1 --random_blur`; a gray image `height` pixels high.

    The order of the steps, the resampling and the distributions are those of trdg's `FakeTextDataGenerator`.
    """
    skew = int(rng.integers(-MAX_SKEW, MAX_SKEW + 1))
    blur = int(rng.integers(0, MAX_BLUR + 1))
    line = trdg.draw_line(text, font, height, INK).rotate(skew, expand=True)
    inner = height - 2 * MARGIN
    line = line.resize((max(1, line.width * inner // line.height), inner), Image.Resampling.LANCZOS)
    noise = rng.normal(PAPER_MEAN, PAPER_DEVIATION, size=(height, line.width + 2 * MARGIN))
    paper = Image.fromarray(np.clip(noise, 0, 255).astype(np.uint8))
    paper.paste(line.convert("L"), (MARGIN, MARGIN), line.getchannel("A"))
    return paper.filter(ImageFilter.GaussianBlur(blur))
