"""Which character stands where on paper, and back."""

from __future__ import annotations

import ctypes
import ctypes.util
from collections.abc import Iterator
from contextlib import nullcontext
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from evaluations import outcome
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont
from PIL import features as pillow_features

from crnnocr.config import DecodeConfig, Style, SynthConfig
from crnnocr.decoding import Decoder
from crnnocr.decoding.language_model import symbols_of
from crnnocr.errors import ConfigError
from crnnocr.synth import fonts
from crnnocr.synth.render.ink import Pen
from crnnocr.synth.text import create_source
from crnnocr.text.bidi import base_level, in_logical_order, logical_to_visual, visual_to_logical
from crnnocr.text.charset import BLANK, Charset, canonical

LANGUAGES = ("ar", "fa", "he", "ur")
MARKS = ("\u05b8", "\u0301", "\u064b", "\u200d", "\u00ad")
LEFT_TO_RIGHT_OVERRIDE = "\u202d"
CONTROLS = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
OF_EACH_CLASS = "abçאבגابجح129۳٤٥+-−$%#°€.,:/()[]<>&!* \t\u2029\u05b8\u064b\u0301\u200d\u00ad"
PEOPLE = (
    "درجة الحرارة -12°",
    "خصم 50%",
    "السعر 12.50$",
    "رقم #7-8",
    "تخفیف ۵۰٪ تا ۱۴۰۳/۰۱/۲۰",
    "۲۰ - ۳۰",
    "قیمت 1,250 روپے",
    "من 10:30 إلى 12:45",
    "هاتف +966-55-123",
    "آيفون iPhone 15 Pro جديد",
    "مستند (PDF) رقم 3",
    "טמפרטורה -12°",
    "50% הנחה על 3 מוצרים",
    "מחיר: ₪49.90",
    "טלפון 03-1234567",
    "דגם A4 (210×297)",
    "גרסה 2.0 למחשבים עם Windows 11",
)
"""As people write them; each comes back as it is."""


@pytest.mark.parametrize(
    ("logical", "on_paper"),
    [
        ("", ""),
        ("abc 12", "abc 12"),
        ("אבג", "גבא"),
        ("אב גד", "דג בא"),
        ("אב 123 גד", "דג 123 בא"),
        ("אב 12.50", "12.50 בא"),
        ("אב 12-13", "12-13 בא"),
        ("אב 50%", "50% בא"),
        ("אב -5", "5- בא"),
        ("אבגד abc הו", "וה abc דגבא"),
        ("אב abc def גדהו", "והדג abc def בא"),
        ("אבגד abc (x) ה", "ה abc (x) דגבא"),
        ("abcd אב גד def", "abcd דג בא def"),
        ("(אב)", "(בא)"),
        ("אב!", "!בא"),
        ("سعر ١٢٫٥", "١٢٫٥ رعس"),
        ("سعر 12-13", "13-12 رعس"),
        ("سعر 50%", "%50 رعس"),
        ("سعر $50", "50$ رعس"),
        ("سعر 12.50", "12.50 رعس"),
        ("١٢-٣٤", "٣٤-١٢"),
        ("בּג", "גבּ"),
        ("אב C++\u200e גד", "דג C++ בא"),
        ("\u202a+49 170\u202c", "+49 170"),
    ],
)
def test_a_text_and_how_it_stands_on_paper(logical: str, on_paper: str) -> None:
    """By hand, by UAX #9. Digits after Arabic letters are Arabic numbers, to which signs do not belong; a dot in a letter stays
    behind its letter; invisible controls act and are not on paper.
    """
    assert logical_to_visual(logical) == on_paper
    assert logical_to_visual(visual_to_logical(on_paper)) == on_paper


@pytest.mark.parametrize("text", PEOPLE)
def test_what_people_write_comes_back(text: str) -> None:
    assert visual_to_logical(logical_to_visual(text)) == text


def test_of_two_texts_that_look_the_same_the_phrase_is_taken() -> None:
    assert logical_to_visual("نصوص abc 12") == logical_to_visual("نصوص 12 abc") == "abc 12 صوصن"
    assert visual_to_logical("abc 12 صوصن") == "نصوص abc 12"
    assert canonical("نصوص 12 abc") == canonical("نصوص abc 12") == "نصوص abc 12"


@given(st.text(OF_EACH_CLASS + CONTROLS, max_size=16))
@settings(max_examples=500)
@example("ب12-13")
@example("ب50%")
@example("%٤€1٤")
@example("\u202a\u064b \u05d1")
def test_every_text_looks_the_same_after_a_round_trip(text: str) -> None:
    shown = logical_to_visual(text)
    assert not any(character in shown for character in CONTROLS)
    assert logical_to_visual(visual_to_logical(shown)) == shown
    assert canonical(canonical(text)) == canonical(text)


@given(st.text(OF_EACH_CLASS, max_size=16).filter(lambda text: text[:1] not in MARKS))
@settings(max_examples=500)
def test_every_order_on_paper_has_its_text(shown: str) -> None:
    """Even one that no text without directional marks has."""
    text = visual_to_logical(shown)
    assert logical_to_visual(text) == shown
    places = [place for _, place in in_logical_order(shown) if place >= 0]
    assert sorted(places) == list(range(len(shown)))


@pytest.mark.parametrize("length", [1, 2, 3, 4, pytest.param(5, marks=pytest.mark.slow)])
def test_marks_are_in_no_text_that_has_another_way(length: int) -> None:
    """Of each class one character, in all orders. Four of 100,000 random longer texts, which nobody writes, keep a mark."""
    for characters in product("aאع1٤%+,. \u064b(", repeat=length):
        text = "".join(characters)
        assert not set(canonical(text)) & set("\u200e\u200f"), text


def drawn(lang: str, count: int) -> Iterator[str]:
    """Texts of a language in all styles that have texts of their own."""
    config = SynthConfig(lang=(lang,))
    source = create_source(config, fonts.characters(fonts.collect(config)))
    for style in (Style.CLEAN, Style.DOCUMENT, Style.SCENE, Style.RECEIPT):
        for index in range(count // 4):
            yield source(index, style, np.random.default_rng([7, index])).text


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("total", [200, pytest.param(8000, marks=pytest.mark.slow)])
def test_synthetic_labels_are_read_as_they_are_learned(lang: str, total: int) -> None:
    """A network that is sure of each class id, in their order on paper, gives texts that count as exact."""
    texts = list(drawn(lang, total))
    charset = Charset.from_texts(texts)
    decoder = Decoder(DecodeConfig(), charset)
    for text in texts:
        ids = charset.encode(text)
        [[best]] = decoder.decode([sure_of(ids, charset.classes)])
        read = charset.decode(best.ids)
        assert charset.encode(read) == ids
        assert read == canonical(text)
        assert not set(read) & set(CONTROLS), "plain text is read as plain text"


def sure_of(ids: list[int], classes: int) -> np.ndarray:
    """(T, C) log-probabilities of a path with a blank after each character."""
    path = [class_ for id_ in ids for class_ in (id_, BLANK)]
    log_probs = np.full((len(path), classes), -30.0)
    log_probs[np.arange(len(path)), path] = -1e-9
    return log_probs


def hebrew_font() -> ImageFont.FreeTypeFont:
    config = SynthConfig(lang=("he",))
    face = next(face for face in fonts.collect(config) if face.draws("א") and face.draws("a") and face.draws("%"))
    return face.pillow(32)


@pytest.mark.skipif(not pillow_features.check("raqm"), reason="needs raqm")
def test_the_renderer_draws_what_labels_say() -> None:
    """Hebrew letters do not join: the text in logical order, and its visual order drawn without reordering, are one image."""
    font, features = hebrew_font(), ["-kern", "-liga"]
    pen = Pen(font, 32, "he", features=features)
    hebrew = [text for text in PEOPLE if "א" <= max(text) <= "ת"]
    for text in [*hebrew, "Name: אבגדהוזח 12", "abc אב", "a(ב) גד-5", "אב-ab 12%", "Windows אבג"]:
        image, reference = (Image.new("L", (900, 80)) for _ in range(2))
        pen.write(image, (20, 60), text)
        in_order = f"{LEFT_TO_RIGHT_OVERRIDE}{logical_to_visual(text)}"
        ImageDraw.Draw(reference).text((20, 60), in_order, 255, font, "ls", features=features, language="he", direction="ltr")
        assert np.array_equal(np.asarray(image), np.asarray(reference)), text
        assert np.asarray(image).any()


@pytest.mark.skipif(not pillow_features.check("raqm"), reason="needs raqm")
def test_lines_of_digits_are_drawn_as_their_labels_say() -> None:
    """Digits do not join either."""
    config = SynthConfig(lang=("fa",))
    face = next(face for face in fonts.collect(config) if face.draws("۱٢-%/ "))
    font = face.pillow(32)
    pen = Pen(font, 32, "fa")
    for text in ("١٢-٣٤", "٥٠%", "-۵", "۲۰ - ۳۰", "۱۴۰۳/۰۱/۲۰", "١٢/٣٤", "-٥"):
        image, reference = (Image.new("L", (900, 80)) for _ in range(2))
        pen.write(image, (20, 60), text)
        in_order = f"{LEFT_TO_RIGHT_OVERRIDE}{logical_to_visual(text)}"
        ImageDraw.Draw(reference).text((20, 60), in_order, 255, font, "ls", language="fa", direction="ltr")
        assert np.array_equal(np.asarray(image), np.asarray(reference)), text


def test_levels_are_those_of_fribidi() -> None:
    """The library that raqm, and thus the renderer, orders characters with."""
    name = ctypes.util.find_library("fribidi")
    if name is None:
        pytest.skip("needs fribidi")
    library = ctypes.CDLL(name)
    rng = np.random.default_rng(5)
    alphabet = "abאבاب12١٢+-$%#.,:()[]&  \u200e\u200f\u061c"
    for _ in range(5000):
        text = "".join(alphabet[i] for i in rng.integers(len(alphabet), size=int(rng.integers(1, 14))))
        assert logical_to_visual(text) == by_fribidi(library, text, base_level(text)), ascii(text)


def by_fribidi(library: ctypes.CDLL, text: str, base: int) -> str:
    """The visual order of a text without marks on letters, without controls."""
    size = len(text)
    codes, ignored = (ctypes.c_uint32 * size)(*map(ord, text)), (ctypes.c_uint32 * (size + 1))()
    direction = ctypes.c_uint32(0x111 if base else 0x110)
    levels, order = (ctypes.c_byte * size)(), (ctypes.c_int * size)()
    assert library.fribidi_log2vis(codes, size, ctypes.byref(direction), ignored, None, order, levels)
    mirrored = str.maketrans("()[]", ")(][")
    shown = (text[i].translate(mirrored) if levels[i] % 2 else text[i] for i in order)
    return "".join(character for character in shown if character not in CONTROLS)


def test_class_ids_run_from_left_to_right() -> None:
    charset = Charset.from_texts(["(אבג", "abc"])
    assert ")" in charset.characters, "which is what stands there"
    assert charset.encode("אבג") == list(reversed([charset.encode(c)[0] for c in "אבג"]))
    assert charset.decode(charset.encode("(אבג")) == "(אבג"
    assert charset.decode(charset.encode("abc")) == "abc"


def test_invisible_controls_are_no_characters_of_a_charset() -> None:
    charset = Charset.from_texts(["\u200fאב C++\u200e", "\u202a+49\u202c"])
    assert not set(charset.characters) & set(CONTROLS)
    assert canonical("\u200fאבג") == "אבג"


def test_language_models_and_training_see_one_order() -> None:
    charset = Charset.from_texts(PEOPLE)
    for text in PEOPLE:
        assert symbols_of([text], charset)[1:-1].tolist() == charset.encode(text)


@pytest.mark.parametrize(("line", "word"), [("خصم 50% كبير", "50%"), ("מידה 12-13 גדול", "12-13"), ("رقم 12-13", "12-13")])
def test_a_lexicon_knows_a_word_as_it_stands_in_the_line(line: str, word: str, tmp_path: Path) -> None:
    charset = Charset.from_texts([line, "0123456789-%"])
    listed = tmp_path / "words.txt"
    listed.write_text("\n".join(line.split()), encoding="utf-8")
    decoder = Decoder(DecodeConfig(beam=5, lexicon=str(listed)), charset)
    [[best]] = decoder.decode([sure_of(charset.encode(line), charset.classes)])
    assert charset.decode(best.ids) == line


def test_a_label_that_looks_the_same_as_the_prediction_is_right() -> None:
    labels = ["نصوص 12 abc", "\u200fאבג", "\u202a+49 170\u202c", "אבג 12"]
    predictions = ["نصوص abc 12", "אבג", "+49 170", "אבג 13"]
    assert [outcome(*pair).is_correct for pair in zip(labels, predictions, strict=True)] == [True, True, True, False]


@pytest.mark.parametrize(
    ("pattern", "is_permitted"),
    [
        ("[٠-٩]{2}/[٠-٩]{4}", True),
        ("[۰-۹]{2}-[۰-۹]{4}", True),
        ("[٠-٩]{2}-[٠-٩]{4}", False),
        ("-?[۰-۹]+", False),
        ("[۰-۹]+", True),
    ],
)
def test_a_pattern_must_not_depend_on_an_order_that_paper_changes(pattern: str, is_permitted: bool) -> None:
    charset = Charset.from_texts(["٠١٢٣٤٥٦٧٨٩۰۱۲۳۴۵۶۷۸۹-/"])
    with nullcontext() if is_permitted else pytest.raises(ConfigError):
        Decoder(DecodeConfig(beam=5, pattern=pattern), charset)
