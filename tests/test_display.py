"""Segments and dots of synthetic displays, against tables of what such displays light up."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from crnnocr.config import Style, SynthConfig
from crnnocr.errors import DataError
from crnnocr.synth.dataset.folder import generate
from crnnocr.synth.fonts import FontFace, collect
from crnnocr.synth.render import display
from crnnocr.synth.render.display_glyphs import CHARACTERS, DOTS, FOURTEEN, SEVEN, SHOWN, Display
from crnnocr.synth.render.ink import Ink
from crnnocr.synth.render.recipe import RECIPES, Effect, Recipe
from crnnocr.synth.sampler import Sampler
from crnnocr.synth.text import TextWarning

SEGMENTS = {
    "0": 0x3F,
    "1": 0x06,
    "2": 0x5B,
    "3": 0x4F,
    "4": 0x66,
    "5": 0x6D,
    "6": 0x7D,
    "7": 0x07,
    "8": 0x7F,
    "9": 0x6F,
    "A": 0x77,
    "b": 0x7C,
    "C": 0x39,
    "d": 0x5E,
    "E": 0x79,
    "F": 0x71,
    "H": 0x76,
    "L": 0x38,
    "P": 0x73,
    "U": 0x3E,
    "-": 0x40,
}
"""The bytes that are sent to seven-segment displays: bit 0 is a, the upper segment, and bit 6 is g, the middle one."""

WINDOWS = (
    (slice(0, 25), slice(38, 62)),
    (slice(22, 40), slice(70, 100)),
    (slice(60, 78), slice(70, 100)),
    (slice(75, 100), slice(38, 62)),
    (slice(60, 78), slice(0, 30)),
    (slice(22, 40), slice(0, 30)),
    (slice(40, 60), slice(38, 62)),
)
"""Rows and columns, in hundredths of a cell, where segments a to g are and no other is."""


@pytest.fixture(scope="module")
def face() -> FontFace:
    return next(face for face in collect(SynthConfig()) if face.name == "Roboto Regular")


def shown(text: str, face: FontFace, kind: Display = Display.SEVEN, seed: int = 0, **effects: Any) -> Ink:
    recipe = Recipe(em=(30, 30), displays=((kind, 1.0),), **effects)
    return display.draw(text, face, 60, recipe, np.random.default_rng(seed))


def pixels(ink: Ink) -> NDArray[np.uint8]:
    return np.asarray(ink.text)


@pytest.mark.parametrize("character", SEGMENTS)
def test_seven_segments_light_up_as_on_real_displays(character: str, face: FontFace) -> None:
    for seed in range(12):
        whole, found = (pixels(shown(f"b8{middle}8", face, seed=seed)) for middle in ("8", character))
        assert whole.shape == found.shape  # the letter b keeps digits from having other shapes
        inked = np.flatnonzero(whole.any(axis=0))
        cells = np.split(inked, np.flatnonzero(np.diff(inked) > 3) + 1)
        if len(cells) != 4:  # a blank column inside a cell, between segments
            continue
        rows = np.flatnonzero(whole.any(axis=1))
        cell = found[rows[0] : rows[-1] + 1, cells[2][0] : cells[2][-1] + 1]
        across, down = (np.linspace(0, length - 1, 100).astype(int) for length in cell.shape[::-1])
        scaled = cell[np.ix_(down, across)]
        lit = [scaled[window].max() > 127 for window in WINDOWS]
        assert lit == [bool(SEGMENTS[character] >> bit & 1) for bit in range(7)], seed


@pytest.mark.parametrize("kind", Display)
def test_all_characters_of_a_display_look_different(kind: Display, face: FontFace) -> None:
    drawn = {character: pixels(shown(f"{character}A0", face, kind)) for character in sorted(SHOWN[kind])}
    for one, other in combinations(drawn, 2):
        assert drawn[one].shape != drawn[other].shape or (drawn[one] != drawn[other]).sum() >= 20, (one, other)


def test_displays_show_what_is_documented() -> None:
    ascii_signs = set(map(chr, range(33, 127)))
    assert set("0123456789AbCcdEFHhJLnoPrtUuy°-_=.,:") == SHOWN[Display.SEVEN]
    assert set("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ.,:-+*/%$°") < SHOWN[Display.FOURTEEN] < SHOWN[Display.DOTS]
    assert SHOWN[Display.DOTS] == ascii_signs | set("°µΩ±²³€£")
    for table in (SEVEN, FOURTEEN):
        assert len(set(map(frozenset, table.values()))) == len(table)
    assert len(set(DOTS.values())) == len(DOTS)
    assert SHOWN[Display.DOTS] | {" "} == CHARACTERS


@pytest.mark.parametrize(
    ("text", "kind", "possible"),
    [
        ("12.5", Display.SEVEN, True),
        ("12.5 kWh", Display.SEVEN, True),  # printed beside it
        ("12.5kWh", Display.SEVEN, True),
        ("HELP", Display.SEVEN, True),
        ("OFF", Display.SEVEN, False),  # its O would be a 0
        ("OFF", Display.FOURTEEN, True),
        ("A1Z9", Display.SEVEN, False),
        ("kWh", Display.SEVEN, False),  # alone it is no display
        ("a~b", Display.DOTS, True),
    ],
)
def test_what_a_kind_of_display_can_show(text: str, kind: Display, possible: bool, face: FontFace) -> None:
    assert display.can_show(text, kind, face) is possible


def test_units_are_printed_beside_the_digits(face: FontFace) -> None:
    for seed in range(10):
        digits, whole = (shown(text, face, seed=seed) for text in ("12.5", "12.5 kWh"))
        assert whole.characters == "12.5 kWh"
        assert len(whole.character_starts()) == len("12.5 kWh")
        assert whole.character_starts() == sorted(whole.character_starts())
        assert digits.pen.size == 60
        assert 36 <= whole.pen.size < 60


@pytest.mark.parametrize("kind", Display)
def test_segments_that_are_off_leave_the_text_as_it_is(kind: Display, face: FontFace) -> None:
    for seed in range(10):
        bare = shown("10.7", face, kind, seed)
        with_ghosts = shown("10.7", face, kind, seed, ghost=Effect(1, 0.22, 0.22))
        assert np.array_equal(pixels(bare), pixels(with_ghosts))
        assert bare.faint is not None
        assert not np.asarray(bare.faint).any()
        faint = np.asarray(with_ghosts.faint)
        assert faint.max() == pytest.approx(0.22 * 255, abs=1)
        assert faint[pixels(bare) == 255].mean() < 3  # what is on is not off too


def test_segments_that_are_off_stay_fainter_than_those_that_are_on(monkeypatch: pytest.MonkeyPatch) -> None:
    shares = [recipe.ghost.high for recipe in RECIPES.values()]
    assert max(shares) < 0.25
    plain = RECIPES[Style.DISPLAY]
    for ghost in (Effect(), Effect(1, 0.22, 0.22)):
        monkeypatch.setitem(RECIPES, Style.DISPLAY, replace(plain, ghost=ghost))
        sampler = Sampler(SynthConfig(style=Style.DISPLAY, seed=3))
        assert np.mean([sampler.render(index).attempts for index in range(60)]) < 1.6


def test_texts_are_those_of_meters_and_panels() -> None:
    sampler = Sampler(SynthConfig(style=Style.DISPLAY))
    texts = [sampler.text(index) for index in range(800)]
    assert CHARACTERS.issuperset("".join(texts))
    for pattern, share in {r"\d{5,8}": 0.05, r"\d\d?:\d\d(:\d\d)?": 0.04, r"-?\d+\.\d+ ?°C": 0.02, r"\d+\.\d+": 0.1}.items():
        assert sum(bool(re.fullmatch(pattern, text)) for text in texts) > share * len(texts), pattern
    assert np.mean([any(map(str.isdecimal, text)) for text in texts]) > 0.75
    assert set(sampler.charset) == CHARACTERS


def test_a_charset_of_digits_gives_readings_only() -> None:
    sampler = Sampler(SynthConfig(style=Style.DISPLAY, charset="0123456789.", seed=1))
    texts = [sampler.text(index) for index in range(200)]
    assert set("".join(texts)) == set("0123456789.")
    assert np.mean([bool(re.fullmatch(r"\d+(\.\d+)*", text)) for text in texts]) > 0.7


@pytest.mark.parametrize("lang", ["ru", "ja", "ar", "de"])
def test_every_language_has_displays(lang: str) -> None:
    sampler = Sampler(SynthConfig(style=Style.DISPLAY, lang=(lang,)))
    texts = [sampler.text(index) for index in range(300)]
    assert CHARACTERS.issuperset("".join(texts))
    assert (sum("," in text for text in texts) > 20) == (lang in ("ru", "de"))  # a comma in decimals
    assert sampler.render(0).image.height == 32


def test_characters_that_no_display_shows_are_refused(tmp_path: Path) -> None:
    (tmp_path / "some.txt").write_text("12.5\nстоп\n77\n", encoding="utf-8")
    with pytest.warns(TextWarning, match=r"1 text left out: no display shows 'с'.*line 2"):
        sampler = Sampler(SynthConfig(style=Style.DISPLAY, text=str(tmp_path / "some.txt")))
    assert [sampler.text(index) for index in range(3)] == ["12.5", "77", "12.5"]
    (tmp_path / "none.txt").write_text("стоп\n", encoding="utf-8")
    with pytest.raises(DataError, match="choose another `style`"):
        Sampler(SynthConfig(style=Style.DISPLAY, text=str(tmp_path / "none.txt")))


def test_workers_make_the_same_displays(tmp_path: Path) -> None:
    config, digests = SynthConfig(style=Style.DISPLAY, seed=4), []
    for workers in (1, 2):
        folder = tmp_path / str(workers)
        assert list(generate(folder, config, 12, workers=workers))[-1] == 12
        files = [*sorted(folder.glob("*.png")), folder / "metadata.jsonl"]
        digests.append({path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files})
    assert digests[0] == digests[1]
    assert len(digests[0]) == 13


def test_mixed_has_no_displays() -> None:
    sampler = Sampler(SynthConfig(seed=2))
    assert Style.DISPLAY not in Counter(sampler.render(index).style for index in range(60))
