"""Gray values show the text whatever its colors are: transparent paper, equal brightness, hardly any contrast."""

from __future__ import annotations

import io

import numpy as np
import pytest
from drawn import TEXTS, drawn, with_noise
from PIL import Image

from crnnocr.images import load_gray
from crnnocr.images.contrast import stretched

Color = tuple[int, int, int]


def inked(text: str, ink: Color, paper: Color) -> Image.Image:
    """A text in one color on another, with what is between them at its edges."""
    mask = drawn(text, ink=255, paper=0)
    image = Image.new("RGB", mask.size, paper)
    image.paste(ink, (0, 0), mask)
    return image


def sticker(text: str, ink: Color, edge: Color | None = None) -> Image.Image:
    """A text on nothing, RGBA."""
    mask = drawn(text, ink=255, paper=0)
    image = Image.new("RGBA", mask.size, (*(edge or ink), 0))
    image.paste((*ink, 255), (0, 0), mask)
    image.putalpha(mask)
    return image


def through_jpeg(image: Image.Image, quality: int = 90) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return file.getvalue()


def contrast(gray: Image.Image) -> int:
    values = np.asarray(gray)
    return int(np.percentile(values, 99) - np.percentile(values, 1))


LIGHT: list[Color] = [(255, 255, 255), (235, 240, 245), (255, 240, 120)]
DARK: list[Color] = [(0, 0, 0), (60, 10, 10), (30, 60, 110)]


@pytest.mark.parametrize("ink", LIGHT + DARK)
@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA"])
def test_transparent_paper_stands_out_from_the_ink(ink: Color, mode: str) -> None:
    image = sticker("Logo 7", ink)
    gray = load_gray(image.convert("RGBA").convert("P").convert("RGBA") if mode == "PA" else image.convert(mode))
    assert contrast(gray) > 120
    assert gray.getpixel((0, 0)) == (0 if ink in LIGHT else 255)


@pytest.mark.parametrize("ink", [255, 0])
def test_a_palette_with_a_transparent_color_does_so_too(ink: int) -> None:
    mask = drawn("Logo 7", ink=1, paper=0).point(lambda value: value > 0 and 1)
    image = Image.frombytes("P", mask.size, mask.tobytes())
    image.putpalette([128, 128, 128, ink, ink, ink])
    file = io.BytesIO()
    image.save(file, "PNG", transparency=0)
    assert contrast(load_gray(file.getvalue())) == 255


def test_light_ink_with_a_dark_outline_and_what_is_hardly_transparent_have_white_paper() -> None:
    outlined = sticker("Logo", (255, 255, 255))
    outline = drawn("Logo", ink=255, paper=0).point(lambda value: 255 if 0 < value < 255 else 0)
    outlined.paste((0, 0, 0, 255), (0, 0), outline.resize(outlined.size))
    label = Image.new("RGBA", (200, 40), (255, 255, 255, 255))
    label.paste((0, 0, 0, 255), (20, 8), drawn("Logo", margin=0, ink=255, paper=0))
    label.putpixel((0, 0), (0, 0, 0, 0))
    assert [load_gray(image).getpixel((0, 0)) for image in (outlined, label)] == [255, 255]


def test_an_image_without_any_ink_is_white() -> None:
    assert load_gray(Image.new("RGBA", (20, 10))).getextrema() == (255, 255)


EQUAL: list[tuple[Color, Color]] = [
    ((255, 0, 0), (0, 130, 0)),
    ((0, 130, 0), (255, 0, 0)),
    ((60, 60, 255), (120, 75, 0)),
    ((230, 60, 200), (128, 128, 128)),
    ((190, 60, 60), (60, 105, 150)),
]


@pytest.mark.parametrize(("ink", "paper"), EQUAL)
def test_colors_of_equal_brightness_are_told_apart(ink: Color, paper: Color) -> None:
    image = inked("Total: 49.50", ink, paper)
    for source in (image, through_jpeg(image)):
        gray = load_gray(source)
        assert contrast(gray) > 70
        assert np.median(np.asarray(gray)) > np.mean(np.asarray(gray))  # paper is light


def test_other_colors_keep_their_brightness() -> None:
    rng = np.random.default_rng(0)
    photo = Image.fromarray(rng.integers(0, 256, (40, 90, 3), dtype=np.uint8))
    for image in (photo, inked("Total", (0, 0, 0), (250, 250, 240)), inked("Total", (200, 30, 30), (255, 255, 255))):
        assert load_gray(image) == image.convert("L")


@pytest.mark.parametrize("paper", [30, 128, 230])
@pytest.mark.parametrize("difference", [2, 3, 5, 8, 20, -2, -6])
def test_what_is_nearly_flat_gets_the_contrast_of_print(paper: int, difference: int) -> None:
    text = drawn("Total: 49.50", margin=8, ink=0, paper=255)
    image = drawn("Total: 49.50", margin=8, ink=paper - difference, paper=paper)
    strong = stretched(image)
    assert strong is not None
    expected = np.asarray(text) < 128 if difference > 0 else np.asarray(text) >= 128
    assert np.mean((np.asarray(strong) < 128) == expected) > 0.97


def test_an_image_with_contrast_is_not_stretched() -> None:
    assert stretched(drawn("Total", ink=100, paper=160)) is None
    assert stretched(Image.new("L", (100, 40), 90)) is None


@pytest.mark.parametrize("deviation", [0.3, 1, 2, 4])
@pytest.mark.parametrize("width", [60, 200, 500])
def test_noise_is_not_stretched(width: int, deviation: float) -> None:
    for seed in range(5):
        blank = with_noise(Image.new("L", (width, 40), 200), deviation, seed)
        assert stretched(blank) is None
        assert stretched(load_gray(through_jpeg(blank, 75))) is None


@pytest.mark.parametrize("text", TEXTS)
def test_a_little_noise_does_not_hide_it(text: str) -> None:
    image = with_noise(drawn(text, ink=192, paper=200), 1)
    assert stretched(image) is not None
