"""Ink is found whatever is around it: paper, noise, gradients, rules; and rows of text are told from marks and dots."""

from __future__ import annotations

import numpy as np
import pytest
from drawn import TEXTS, drawn, framed, with_noise
from PIL import Image, ImageDraw, ImageOps

from crnnocr.images.ink import Box, find, trimmed


def on_gradient(image: Image.Image) -> Image.Image:
    values = np.asarray(image).astype(float) * 0.6
    return Image.fromarray((values + np.linspace(0, 90, image.width)).astype(np.uint8))


def is_near(box: Box | None, margin: int, size: tuple[int, int]) -> bool:
    expected = (margin, margin, size[0] - margin, size[1] - margin)
    return box is not None and max(abs(a - b) for a, b in zip(box, expected, strict=True)) <= 2


VARIANTS = {
    "as it is": lambda image: image,
    "light on dark": ImageOps.invert,
    "noise": lambda image: with_noise(image, 12),
    "gradient": on_gradient,
}


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("text", [*TEXTS, ".", "-", "_", "'", "…", "i", "|", "Éöï", ",", "l1", ":", "="])
def test_the_box_holds_all_ink_and_little_else(text: str, variant: str) -> None:
    image = drawn(text, margin=40)
    assert is_near(find(VARIANTS[variant](image)).box, 40, image.size)


@pytest.mark.parametrize("text", TEXTS)
def test_a_frame_is_no_text(text: str) -> None:
    image = framed(drawn(text, margin=0), gap=5, paper=8)
    found = find(image)
    assert is_near(found.box, 15, image.size)
    assert len(found.rules) == 4
    cut, start = trimmed(image, found) or (image, 0)
    assert min(np.asarray(cut)[0].min(), np.asarray(cut)[:, 0].min()) > 200  # what is left of the frame is painted over
    assert 0 < start <= 15


@pytest.mark.parametrize("text", ["Invoice 2026", "e-mail", "jagged quays"])
def test_a_rule_below_or_above_is_no_text(text: str) -> None:
    image = Image.new("L", (400, 70), 255)
    word = drawn(text, margin=0)
    image.paste(word, (100, 18))
    for y in (4, 60):
        ImageDraw.Draw(image).rectangle((0, y, 400, y + 2), fill=0)
    found = find(image)
    assert found.box is not None
    assert max(abs(a - b) for a, b in zip(found.box, (100, 18, 100 + word.width, 18 + word.height), strict=True)) <= 2


@pytest.mark.parametrize("text", ["TTTT", "EEEE", "|abc|", "[abc]", "a_b", "—", "_____", "= =", "___x___", "नमस्ते"])
def test_bars_of_letters_are_no_rules(text: str) -> None:
    image = drawn(text, margin=20)
    assert find(image).rules == ()
    assert is_near(find(image).box, 20, image.size)


def test_a_line_through_letters_from_which_they_hang_is_no_rule() -> None:
    image = drawn("TLTLTLTLTL", margin=10)
    ImageDraw.Draw(image).rectangle((10, 10, image.width - 11, 12), fill=0)
    assert find(image).rules == ()


def test_a_text_that_fills_its_image_is_not_trimmed() -> None:
    for margin in (0, 3, 6):
        image = drawn("Invoice", margin=margin)
        assert trimmed(image, find(image)) is None


@pytest.mark.parametrize("deviation", [0, 0.5, 1, 3, 8, 20])
@pytest.mark.parametrize("width", [30, 100, 400])
def test_a_blank_image_has_no_ink(width: int, deviation: float) -> None:
    blank = with_noise(Image.new("L", (width, 40), 180), deviation)
    assert find(blank).box is None
    assert find(on_gradient(blank)).box is None


ROWS = [("59", "60"), ("AB", "1234"), ("Total", "49.50"), ("12:30", "14:45"), ("the quick brown", "fox jumps over")]


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("lines", ROWS)
def test_two_rows_are_several_lines(lines: tuple[str, str], variant: str) -> None:
    for spacing in (0.2, 0.4, 0.7):
        assert find(VARIANTS[variant](drawn(*lines, spacing=spacing))).has_several_lines


def stacked(upper: Image.Image, lower: Image.Image, gap: int, margin: int = 8) -> Image.Image:
    size = max(upper.width, lower.width) + 2 * margin, upper.height + gap + lower.height + 2 * margin
    image = Image.new("L", size, 255)
    image.paste(upper, (margin, margin))
    image.paste(lower, (margin, margin + upper.height + gap))
    return image


@pytest.mark.parametrize("share", [0.4, 0.6])
@pytest.mark.parametrize("is_title_first", [True, False])
def test_a_title_and_small_print_are_several_lines(is_title_first: bool, share: float) -> None:
    title, other = drawn("INVOICE", margin=0), drawn("no. 4711 of March", margin=0)
    small = other.resize((round(share * other.width), round(share * other.height)))
    pair = (title, small) if is_title_first else (small, title)
    assert find(stacked(*pair, gap=10)).has_several_lines


def test_what_is_cut_off_from_the_next_line_is_no_row() -> None:
    line, other = drawn("time frame may be based", margin=0), drawn("discretion is the next", margin=0)
    image = stacked(line, other, gap=6)
    assert not find(image.crop((0, 0, image.width, 8 + line.height + 6 + round(0.35 * other.height)))).has_several_lines


def test_a_page_is_several_lines() -> None:
    words = ["the", "quick", "brown", "fox", "jumps", "over", "a", "lazy", "dog", "and", "runs"]
    page = drawn(*(" ".join(words[i % 5 :]) for i in range(30)), size=16, margin=20)
    assert find(page).has_several_lines


@pytest.mark.parametrize("angle", [-2, 2])
def test_rows_that_are_askew_are_several_lines(angle: float) -> None:
    page = drawn("the quick brown fox jumps over", "a lazy dog and runs home again", margin=15)
    assert find(page.rotate(angle, fillcolor=255, resample=Image.Resampling.BILINEAR)).has_several_lines


@pytest.mark.parametrize(
    "text",
    [*TEXTS, "iiijjj", "ÄÖÜ", "ïîíì", "::::", "====", "÷÷", "!?!?", "%%%", '"it\'s"', "EEE", "ZZZ", "g;j;", "±±", "…", "“x”"],
)
@pytest.mark.parametrize("variant", VARIANTS)
def test_marks_dots_and_bars_are_no_lines(text: str, variant: str) -> None:
    for margin in (2, 20):
        assert not find(VARIANTS[variant](drawn(text, margin=margin))).has_several_lines


@pytest.mark.parametrize("text", TEXTS)
def test_frames_and_rules_are_no_lines(text: str) -> None:
    assert not find(framed(drawn(text))).has_several_lines
