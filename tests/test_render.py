"""Labels are true: many synthetic images, measured against what Pillow and fontTools say about their texts and fonts."""

from __future__ import annotations

import functools
import hashlib
import re
import subprocess
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fontTools.pens.boundsPen import BoundsPen
from fontTools.ttLib import TTFont
from PIL import Image, ImageDraw, ImageFilter
from render_spy import Measured, Spy, measure

from crnnocr.config import Orientation, Style, SynthConfig
from crnnocr.errors import DataError
from crnnocr.synth import trdg
from crnnocr.synth.fonts import collect, load
from crnnocr.synth.render import background
from crnnocr.synth.render import image as images
from crnnocr.synth.render import ink as inks
from crnnocr.synth.render.color_pairs import COLOR_PAIRS
from crnnocr.synth.render.display_glyphs import Display
from crnnocr.synth.render.recipe import RECIPES, STYLE_SHARES, Effect, Recipe, at_height
from crnnocr.synth.sampler import Sampler

LUMINANCE = np.array([0.299, 0.587, 0.114])
"""ITU-R BT.601."""

SETS = [
    (SynthConfig(), 700),
    *((SynthConfig(style=style, seed=1), 250) for style in RECIPES),
    (SynthConfig(lang=("ru",)), 250),
    (SynthConfig(lang=("ja",)), 200),
    (SynthConfig(lang=("ar",)), 200),
    (SynthConfig(lang=("ja",), orientation=Orientation.VERTICAL), 100),
]
"""2,450 samples in all."""

FEW = [
    (SynthConfig(), 120),
    (SynthConfig(style=Style.DISPLAY), 40),
    (SynthConfig(lang=("ar",)), 15),
    (SynthConfig(lang=("ja",), orientation=Orientation.VERTICAL), 10),
]
"""The quick form of `SETS`."""


@pytest.fixture(scope="module", params=[FEW, pytest.param(SETS, marks=pytest.mark.slow)], ids=["few", "all"])
def measured(request: pytest.FixtureRequest) -> Iterator[list[Measured]]:
    with pytest.MonkeyPatch.context() as patch:
        spy = Spy(patch)
        yield [
            measure(spy, sampler, i) for config, count in request.param for sampler in [Sampler(config)] for i in range(count)
        ]


@functools.cache
def table(path: Path, number: int) -> tuple[Any, dict[int, str]]:
    """Glyphs of a face and the glyph of each code point, by fontTools."""
    font = TTFont(path, fontNumber=number, lazy=True)
    return font.getGlyphSet(), font.getBestCmap()


@functools.cache
def outline(path: Path, number: int, character: str) -> tuple[float, float, float, float] | None:
    """Left, bottom, right and top of a character's outline in font units; None if it is blank."""
    glyphs, cmap = table(path, number)
    pen = BoundsPen(glyphs)
    glyphs[cmap[ord(character)]].draw(pen)
    bounds: tuple[float, float, float, float] | None = pen.bounds
    return None if bounds is None or bounds[0] == bounds[2] or bounds[1] == bounds[3] else bounds


def test_labels_are_normal_text_with_single_spaces_inside(measured: list[Measured]) -> None:
    for sample in measured:
        assert sample.line.text == " ".join(unicodedata.normalize("NFC", sample.line.text).split()) != ""


def test_every_character_has_ink_of_its_own_in_its_font(measured: list[Measured]) -> None:
    for sample in (sample for sample in measured if sample.line.style is not Style.DISPLAY):
        path, number = sample.line.font.path, sample.line.font.number
        _, cmap = table(path, number)
        for character in sample.line.text.replace("\u200c", "").replace("\u200d", ""):  # joiners have none
            assert cmap.get(ord(character), ".notdef") != ".notdef", (sample, character)
            assert (outline(path, number, character) is None) == character.isspace(), (sample, character)


def test_small_letters_are_drawn_as_small_letters(measured: list[Measured]) -> None:
    in_fonts = [sample.line for sample in measured if sample.line.style is not Style.DISPLAY]
    lines = [line for line in in_fonts if any(map(str.islower, filter(str.isascii, line.text)))]
    faces = {(line.font.path, line.font.number) for line in lines}
    assert len(faces) > 0.04 * len(measured)
    for path, number in faces:
        (_, foot, _, of_x), (_, _, _, of_capital), (_, below, _, _) = (
            outline(path, number, each) or (0,) * 4 for each in "xXp"
        )
        # If small letters are drawn as capitals, x is as high as X or p stands on the line.
        assert of_capital > 1.05 * of_x, path
        assert below < foot - 0.05 * of_x, path


def test_all_of_the_text_is_drawn(measured: list[Measured]) -> None:
    for sample in measured:
        assert sample.ink == pytest.approx(1, abs=1e-6), sample  # pixel for pixel, except for the rounding of sums


def test_no_ink_is_lost_by_the_warp(measured: list[Measured]) -> None:
    shares = np.array([sample.warped for sample in measured])
    # Thin strokes that are scaled down without a filter become a little heavier or lighter.
    assert shares.min() > 0.85
    assert shares.max() < 1.15
    assert np.quantile(np.abs(shares - 1), 0.99) < 0.06


def test_without_a_cut_no_ink_is_lost(measured: list[Measured]) -> None:
    whole = [sample for sample in measured if not sample.cut]
    assert len(whole) > 0.8 * len(measured)
    assert max(sample.lost for sample in whole) == 0


def test_a_cut_takes_less_than_a_quarter_of_any_character(measured: list[Measured]) -> None:
    cut = [sample for sample in measured if sample.cut]
    assert len(cut) > 0.04 * len(measured)
    worst = max(cut, key=lambda sample: sample.lost)
    assert 0.03 < worst.lost < 0.25, worst


def test_every_character_stands_out_from_its_paper(measured: list[Measured]) -> None:
    contrasts = np.concatenate([sample.contrasts for sample in measured])
    assert len(contrasts) > 8 * len(measured)
    assert np.mean(contrasts >= 20) > 0.999
    assert np.mean(contrasts > 5) > 0.9997  # the others are points and dashes in worn spots


def test_letters_are_never_too_small_to_read(measured: list[Measured]) -> None:
    smallest = min(measured, key=lambda sample: sample.x_height)
    # An e has three bars and two gaps; the far end of a slanted line is a bit smaller, and a part of a distorted letter too.
    assert smallest.x_height >= 4.7, smallest


def test_mixed_has_each_style_by_its_share(measured: list[Measured]) -> None:
    counts = Counter(sample.line.style for sample in measured if sample.config.style is Style.MIXED)
    for style, share in STYLE_SHARES.items():
        four_deviations = 4 * np.sqrt(0.25 / counts.total())
        assert counts[style] / counts.total() == pytest.approx(share, abs=four_deviations)


def test_few_attempts_are_needed(measured: list[Measured]) -> None:
    attempts = [sample.line.attempts for sample in measured]
    assert np.mean(attempts) < 1.6
    assert np.mean(np.array(attempts) > 12) < 0.002  # hardly any needs the plain style


DIGEST = """
import hashlib, sys
from crnnocr.config import SynthConfig
from crnnocr.synth.sampler import Sampler
sampler = Sampler(SynthConfig(seed=5))
for index in map(int, sys.argv[1:]):
    image, text = sampler[index]
    print(index, text.encode().hex(), hashlib.sha256(image.mode.encode() + image.tobytes()).hexdigest())
"""


def test_a_sample_is_the_same_in_any_order_and_process(run_process: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    sampler, expected = Sampler(SynthConfig(seed=5)), {}
    for index in range(12):
        image, text = sampler[index]
        pixels = hashlib.sha256(image.mode.encode() + image.tobytes()).hexdigest()
        expected[index] = f"{index} {text.encode().hex()} {pixels}"
        assert text == sampler.text(index)
    printed = run_process("-c", DIGEST, 7, 3, 11, 0, 3).stdout.splitlines()
    assert printed == [expected[index] for index in (7, 3, 11, 0, 3)]
    assert len(set(expected.values())) == 12


UNREADABLE = Recipe(em=(24, 24), contrast=(0, 0))


def test_a_text_that_its_style_cannot_show_gets_the_plain_style(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RECIPES, Style.DOCUMENT, UNREADABLE)
    line = Sampler(SynthConfig(style=Style.DOCUMENT)).render(0)
    assert line.attempts > 12
    assert line.text == Sampler(SynthConfig(style=Style.DOCUMENT)).text(0)


def test_a_text_that_no_attempt_can_show_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RECIPES, Style.CLEAN, UNREADABLE)
    sampler = Sampler(SynthConfig(style=Style.CLEAN))
    with pytest.raises(DataError, match="could not be drawn legibly in 40 attempts"):
        sampler.render(0)


@pytest.mark.parametrize("style", RECIPES)
def test_paper_and_ink_differ_in_luminance(style: Style) -> None:
    recipe, rng = RECIPES[style], np.random.default_rng(0)
    modes, darker = Counter[bool](), 0
    for _ in range(2000):
        colors = background.choose_colors(recipe, rng)
        levels = [np.broadcast_to(color, 3) @ LUMINANCE for color in (colors.paper, colors.ink)]
        assert abs(levels[0] - levels[1]) >= recipe.contrast[0] - 0.01  # float32 rounds in the fifth digit
        assert all(color.min() >= -0.01 and color.max() <= 255.01 for color in (colors.paper, colors.ink))
        modes[colors.is_color] += 1
        darker += levels[0] < levels[1]
    # Four standard deviations of a share of 2,000 draws are 0.045 at most.
    assert modes[True] / 2000 == pytest.approx(recipe.color, abs=0.045)
    assert darker / 2000 == pytest.approx(recipe.dark, abs=0.045)


def test_colors_of_photographs_differ_as_much_as_each_recipe_that_takes_them_asks_for() -> None:
    contrasts = (COLOR_PAIRS[:, 1] - COLOR_PAIRS[:, 0]) @ LUMINANCE
    assert len(np.unique(COLOR_PAIRS.reshape(-1, 6), axis=0)) == len(COLOR_PAIRS) > 100
    takers = [recipe for recipe in RECIPES.values() if recipe.photo_colors]
    assert takers
    assert contrasts.min() > max(recipe.contrast[0] for recipe in takers)
    pairs = {tuple(pair.ravel()) for pair in COLOR_PAIRS}
    for recipe in takers:
        chosen = [background.choose_colors(recipe, np.random.default_rng(seed)) for seed in range(1000)]
        in_colors = [sorted((each.paper, each.ink), key=background.luminance) for each in chosen if each.is_color]
        share = np.mean([tuple(np.concatenate(colors)) in pairs for colors in in_colors])
        assert share == pytest.approx(recipe.photo_colors, abs=0.07)  # four standard deviations


@pytest.mark.parametrize("seed", range(12))
def test_a_texture_makes_ink_uneven_and_leaves_its_mean_color(seed: int) -> None:
    texture = background.ink_texture((120, 40), 24, False, np.random.default_rng(seed))
    assert texture.shape == (40, 120, 1)
    assert texture.std() > 0.05
    assert abs(texture.mean()) < 0.3
    assert np.quantile(np.abs(texture), 0.9) <= 0.76  # of the contrast, at the strength 1


class Calm(np.random.Generator):
    """A generator without randomness, so that images differ by their recipes only."""

    def random(self, size: Any = None, dtype: Any = np.float64, out: Any = None) -> Any:
        return 0.3 if size is None else np.full(size, 0.3, dtype)

    def uniform(self, low: Any = 0.0, high: Any = 1.0, size: Any = None) -> Any:
        return low + 0.4 * (high - low) if size is None else low + (high - low) * np.linspace(0.3, 1, size)

    def integers(self, low: Any, high: Any = None, *others: Any, **options: Any) -> Any:
        return 0

    def permutation(self, x: Any, axis: int = 0) -> Any:
        return np.arange(x)[::-1]


BARE = Recipe(em=(28, 28), margin=0.5)
STRONG: dict[str, Any] = {
    "em": (20, 20),
    "margin": 0.2,
    "color": 1.0,
    "photo_colors": 1.0,
    "dark": 1.0,
    "slashed_zero": 1.0,
    "displays": ((Display.SEVEN, 1.0),),
    "lights": ((255, 0, 0),),
    "papers": ((0, 255, 0),),
    "paper": (160, 160),
    "contrast": (60, 60),
    **{
        name: Effect(1.0, strength, strength)
        for name, strength in {
            "spacing": 0.2,
            "gap": 3.0,
            "small_capitals": 0.7,
            "outline": 0.06,
            "shadow": 0.1,
            "underline": 0.08,
            "weight": 0.8,
            "slant": 0.2,
            "ghost": 0.2,
            "glow": 0.5,
            "glare": 0.5,
            "rotation": 0.3,
            "shear": 0.25,
            "perspective": 0.2,
            "curve": 0.3,
            "arc": 0.6,
            "elastic": 0.06,
            "loose": 0.9,
            "paper_around": 3.0,
            "cut": 1.0,
            "neighbors": 0.3,
            "side": 0.3,
            "cut_off": 0.1,
            "border": 0.1,
            "gradient": 50,
            "texture": 12,
            "photo": 0.8,
            "ink_gradient": 50,
            "ink_texture": 0.6,
            "text_behind": 0.4,
            "text_in_front": 0.4,
            "strokes": 0.08,
            "light": 0.4,
            "shade": 0.4,
            "fade": 0.5,
            "patches": 0.9,
            "dot_matrix": 2.5,
            "dropout": 0.35,
            "blur": 1.0,
            "motion": 3.0,
            "noise": 12,
            "low_resolution": 14,
            "jpeg": 20,
            "threshold": 0.5,
        }.items()
    },
}
"""A visible strength of each field of a recipe."""


def rendered_by(recipe: Recipe, text: str = "Hamburg 17", family: str = "Roboto") -> Image.Image:
    face = next(face for face in collect(SynthConfig()) if face.name == f"{family} Regular")
    image = images.render(text, face, "en", 32, False, recipe, Calm(np.random.PCG64(0)))
    assert image is not None
    return image


@pytest.mark.parametrize(
    "name", [field.name for field in fields(Recipe) if field.name != "fonts"]
)  # which concerns the sampler
def test_each_field_of_a_recipe_is_visible_and_leaves_the_text_legible(name: str) -> None:
    what = {"small_capitals": ("HAMBURG 17",), "slashed_zero": ("100", "Inter")}.get(name, ())
    others = {
        **{key: {"displays": STRONG["displays"]} for key in ("slant", "ghost", "glow", "glare")},
        "lights": {"color": 1.0, "dark": 1.0},
        "papers": {"color": 1.0},
        "photo_colors": {"color": 1.0},
    }
    plain = replace(BARE, **others.get(name, {}))
    bare, changed = rendered_by(plain, *what), rendered_by(replace(plain, **{name: STRONG[name]}), *what)
    if changed.mode == bare.mode and changed.size == bare.size:
        difference = np.abs(np.asarray(changed, np.float64) - np.asarray(bare, np.float64))
        assert (difference > 4).mean() > 0.005  # gray levels that an eye notices, in a few dozen pixels


@pytest.mark.parametrize(
    ("text", "allowed"), [("LOSS", False), ("TO BE", False), ("HE HAD", True), ("Had", False), ("A 12", False)]
)
def test_small_capitals_cannot_be_confused_with_small_letters(text: str, allowed: bool) -> None:
    recipe, face = (
        replace(BARE, small_capitals=Effect(1, 0.7, 0.7)),
        next(each for each in collect(SynthConfig()) if each.draws(text)),
    )
    assert bool(inks.draw_text(text, face, 30, "en", False, recipe, np.random.default_rng(0)).pen.small_font) is allowed


def alone(text: str, recipe: Recipe, seed: int, patch: pytest.MonkeyPatch) -> Spy | None:
    spy = Spy(patch)
    font = next(path for path in trdg.font_files("en") if path.name == "Roboto-Regular.ttf")
    found = images.render(text, load(font), "en", 32, False, recipe, np.random.default_rng(seed))
    return spy if found else None


SIDES = Recipe(em=(28, 28), loose=Effect(1, 0.8, 0.8), side=Effect(1, 0.3, 0.3))
LINES = Recipe(em=(28, 28), loose=Effect(1, 0.8, 0.8), neighbors=Effect(1, 0.3, 0.3))


@pytest.mark.parametrize(
    ("recipe", "axis", "text"),
    [*((SIDES, 0, text) for text in ("1.", "li", "'x'", ",7,")), *((LINES, 1, text) for text in ("-", "—", "...", "~", "Ag"))],
)
def test_no_whole_character_of_the_surroundings_is_seen(recipe: Recipe, axis: int, text: str) -> None:
    for seed in range(60):
        with pytest.MonkeyPatch.context() as patch:
            spy = alone(text, recipe, seed, patch)
        if spy is None or spy.ink.around is None or spy.box is None:
            continue
        inner = spy.ink.text.getbbox()
        assert inner is not None
        along = np.asarray(spy.ink.around, np.float64).sum(axis=axis)  # ink in each column, or row
        (first, last), (start, stop) = inner[axis::2], spy.box[axis::2]
        for whole, seen in ((along[:first], along[max(0, start) : first]), (along[last:], along[last:stop])):
            assert not whole.any() or seen.sum() < 0.9 * whole.sum(), seed


CUT_OFF = Recipe(em=(28, 28), cut_off=Effect(1, 0.02, 0.06))


@pytest.mark.parametrize("text", ["HOME", "Hamburg", "NO 17", "1.", "..."])
def test_of_letters_that_a_crop_cuts_through_only_a_bit_is_seen_that_is_no_point(text: str) -> None:
    seen = []
    for seed in range(40):
        with pytest.MonkeyPatch.context() as patch:
            spy = alone(text, CUT_OFF, seed, patch)
        if spy is None or spy.ink.around is None or spy.box is None:
            continue
        left, top, right, bottom = spy.ink.text.getbbox() or (0, 0, 0, 0)
        around = np.asarray(spy.ink.around)[top:bottom] > 64
        for bit in (around[:, max(0, spy.box[0]) : left], around[:, right : spy.box[2]]):
            if bit.any():
                seen.append(np.count_nonzero(bit.any(axis=0)))
                assert np.count_nonzero(bit.any(axis=1)) >= 0.3 * spy.ink.em
                assert seen[-1] <= round(0.06 * spy.ink.em)
    assert bool(seen) is any(map(str.isalpha, text)), "labels without wide letters have none beside them"


OTHER_TEXT = Recipe(
    em=(28, 28),
    paper=(230, 230),
    contrast=(200, 200),
    text_behind=Effect(1, 0.25, 0.25),
    text_in_front=Effect(0.5, 0.3, 0.3),
    strokes=Effect(1, 0.05, 0.05),
)


def test_other_text_and_strokes_are_paler_than_the_text_and_leave_its_ink() -> None:
    count = 0
    for seed in range(40):
        with pytest.MonkeyPatch.context() as patch:
            spy = alone("Hamburg", OTHER_TEXT, seed, patch)
        if spy is None:
            continue
        mask, gray = np.asarray(spy.mask), np.asarray(spy.final.convert("L"))
        paper = ~(np.asarray(spy.mask.filter(ImageFilter.MaxFilter(5))) > 0)
        ink, beside = gray[mask > 250], gray[paper]
        count += np.ptp(beside) > 30  # there is something on the paper
        assert beside.min() > np.median(ink) + 30  # and nothing there is nearly as dark as the text
        assert np.mean(ink < 130) > 0.75
    assert count > 20


def test_single_characters_are_crossed_by_no_stroke() -> None:
    crossed = Recipe(em=(28, 28), strokes=Effect(1, 0.05, 0.05))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inks, "strokes", lambda *_: pytest.fail("crossed"))
        for text in ("O", "l", "1.", "7 1 6"):
            assert alone(text, crossed, 0, patch) is not None


def paper_columns(image: Image.Image) -> np.ndarray[Any, Any]:
    """The columns of a line of dark ink on white that hold none."""
    return np.asarray((np.asarray(image.convert("L")) > 200).all(axis=0))


TABLES = Recipe(em=(20, 20), paper=(255, 255), contrast=(250, 250), gap=Effect(1, 8, 8))


def test_a_wide_gap_is_blank_and_its_label_has_one_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lines.txt").write_text("Total 49.50", encoding="utf-8")
    monkeypatch.setitem(RECIPES, Style.RECEIPT, TABLES)
    sampler = Sampler(SynthConfig(style=Style.RECEIPT, text=str(tmp_path / "lines.txt")))
    for index in range(8):
        line = sampler.render(index)
        assert line.text == "Total 49.50"
        assert line.attempts == 1
        ink = np.flatnonzero(~paper_columns(line.image))
        widest = np.diff(ink).max()
        assert 6 < widest / line.image.height < 12  # 8 ems, in a crop of 0.7 to 1.1 ems


@pytest.mark.parametrize("text", ["1 2 3 4 5", "A B 7"])
def test_a_row_of_single_characters_is_widened_evenly(text: str) -> None:
    face = next(face for face in collect(SynthConfig()) if face.name == "Roboto Regular")
    drawn = {inks.draw_text(text, face, 30, "en", False, TABLES, np.random.default_rng(seed)).characters for seed in range(40)}
    widened = drawn - {text}
    assert text in drawn  # half of them stay as they are
    assert widened
    for characters in widened:
        gaps = {len(gap) for gap in re.findall(" +", characters)}
        assert len(gaps) == 1
        assert characters.split() == text.split()


def test_paper_around_a_line_lies_mostly_at_one_end() -> None:
    roomy, ends = Recipe(em=(24, 24), margin=0, paper_around=Effect(1, 4, 4)), []
    for seed in range(30):
        with pytest.MonkeyPatch.context() as patch:
            spy = alone("Hamburg", roomy, seed, patch)
        assert spy is not None
        assert spy.box is not None
        inner = spy.ink.text.getbbox()
        assert inner is not None
        left, above, right, below = (abs(at - edge) / spy.ink.em for at, edge in zip(spy.box, inner, strict=True))
        assert max(left, right) == pytest.approx(4, abs=0.05)
        assert max(above, below) < 1  # or else its letters would be too small in the image
        ends.append(left > right)
    assert 5 < sum(ends) < 25


def test_an_elastic_distortion_moves_parts_of_letters_by_its_strength() -> None:
    deviations = []
    for seed in range(20):
        with pytest.MonkeyPatch.context() as patch:
            spy = alone("Hamburg", Recipe(em=(24, 24), elastic=Effect(1, 0.05, 0.05)), seed, patch)
        assert spy is not None
        height, width = spy.at_first.shape
        for ramp, axis, length in ((spy.x, 1, width), (spy.y, 0, height)):
            came_from = np.asarray(ramp) / length * ramp.size[1 - axis]  # in pixels of the warped line
            moved = came_from - (np.indices(came_from.shape)[axis] + 0.5)
            deviations.append(moved[4:-4, 4:-4].std())  # beyond the edge of the canvas there are only zeros
    assert 0.4 < np.mean(deviations) / (0.05 * 24) < 0.8  # between the field's knots it is smaller than at them


def test_pixels_of_a_recipe_grow_with_the_image() -> None:
    recipe = Recipe(em=(20, 30), blur=Effect(0.5, 0.4, 1.0), cut=Effect(0.1, 1, 2), rotation=Effect(0.3, -0.2, 0.2))
    assert at_height(recipe, 32) == recipe
    assert at_height(recipe, 64) == replace(recipe, em=(40, 60), blur=Effect(0.5, 0.8, 2.0), cut=Effect(0.1, 2, 4))


def test_vertical_latin_is_the_line_rotated_clockwise() -> None:
    across, down = (Sampler(SynthConfig(orientation=way, height=40)) for way in (Orientation.HORIZONTAL, Orientation.VERTICAL))
    for index in range(20):
        (flat, text), (tall, same) = across[index], down[index]
        assert text == same
        assert tall.width == flat.height == 40
        assert np.array_equal(np.rot90(np.asarray(flat), -1), np.asarray(tall))


def similarity(image: Image.Image, ink: Image.Image) -> float:
    """Correlation of an image of dark ink, cropped to it, with ink."""
    dark = image.convert("L").point(lambda level: 255 - level)
    dark = dark.point(lambda level: level if level > 64 else 0)
    one, other = (each.crop(each.getbbox()).resize((24, 24), Image.Resampling.BOX) for each in (dark, ink))
    return float(np.corrcoef(np.asarray(one).ravel(), np.asarray(other).ravel())[0, 1])


@pytest.mark.parametrize("character", ["語", "あ", "か", "図"])
def test_vertical_cjk_stands_upright(character: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lines.txt").write_text(character, encoding="utf-8")
    monkeypatch.setitem(RECIPES, Style.CLEAN, Recipe(em=(24, 24), paper=(255, 255), contrast=(250, 250)))
    config = SynthConfig(
        lang=("ja",), style=Style.CLEAN, text=str(tmp_path / "lines.txt"), orientation=Orientation.VERTICAL, height=48
    )
    line = Sampler(config).render(0)
    ink = Image.new("L", (200, 200))
    ImageDraw.Draw(ink).text((50, 50), character, 255, line.font.pillow(64))
    by_angle = [similarity(line.image, ink.rotate(angle)) for angle in (0, 90, 180, 270)]
    assert by_angle[0] > 0.8  # resampling leaves some gray
    assert max(by_angle[1:]) < by_angle[0] - 0.2


def test_a_vertical_line_runs_down(tmp_path: Path) -> None:
    (tmp_path / "lines.txt").write_text("日本語図書館", encoding="utf-8")
    config = SynthConfig(lang=("ja",), text=str(tmp_path / "lines.txt"), orientation=Orientation.VERTICAL, height=24)
    for index in range(10):
        image, _ = Sampler(config)[index]
        assert image.width == 24
        assert image.height > 2.5 * image.width  # six squares, less the margins of a loose crop


def test_arabic_is_joined_and_runs_to_the_left_with_a_label_in_logical_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "اسلام ......"  # alef, which is high and thin, is first; the points are last
    (tmp_path / "lines.txt").write_text(text, encoding="utf-8")
    spy = Spy(monkeypatch)
    sampler = Sampler(SynthConfig(lang=("ar",), style=Style.CLEAN, text=str(tmp_path / "lines.txt")))
    for index in range(10):
        line = sampler.render(index)
        assert line.text == text
        ink = spy.at_first[:, spy.at_first.any(axis=0)]
        ends = ink[:, -ink.shape[1] // 8 :], ink[:, : ink.shape[1] // 8]
        first, last = (np.ptp(np.flatnonzero((end > 127).any(axis=1))) for end in ends)
        assert first > 2 * last
        pen = spy.ink.pen
        assert pen.font.getlength(text) < 0.95 * sum(
            pen.font.getlength(letter) for letter in text
        )  # letters in their joined forms


def test_style_trdg_refuses_text_that_has_to_be_shaped(tmp_path: Path) -> None:
    (tmp_path / "lines.txt").write_text("عربي", encoding="utf-8")
    folder = next(face.path for face in collect(SynthConfig(lang=("ar",))) if face.draws("عربي")).parent
    config = SynthConfig(style=Style.TRDG, text=str(tmp_path / "lines.txt"), fonts=str(folder))
    with pytest.raises(DataError, match="`style=trdg` shapes nothing"):
        Sampler(config).render(0)


def test_style_trdg_uses_only_the_first_face_of_a_file() -> None:
    folder = next(face.path for face in collect(SynthConfig()) if face.axes).parent
    faces = Sampler(SynthConfig(style=Style.TRDG, fonts=str(folder))).faces
    assert len(faces) == len({face.path for face in faces}) < len(collect(SynthConfig(fonts=str(folder))))


def test_characters_stand_upright_whatever_language_is_named_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lines.txt").write_text("中文", encoding="utf-8")
    spy = Spy(monkeypatch)
    vertical = Orientation.VERTICAL
    Sampler(SynthConfig(lang=("en", "zh"), orientation=vertical, text=str(tmp_path / "lines.txt"))).render(0)
    assert spy.ink.pen.upright
