"""Every kind of image becomes the same gray line, or one error that names it."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from crnnocr.config import MAX_WIDTH, Orientation
from crnnocr.errors import ImageError
from crnnocr.images import ImageWarning, Preprocessor, Source, View, load_gray, loading, to_batch

JPEG_ERROR = 3
"""Gray values that a JPEG of flat areas at quality 95 may be off by."""


def encoded(image: Image.Image, format: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def gray_values(source: Source) -> NDArray[np.uint8]:
    gray = load_gray(source)
    assert gray.mode == "L"
    return np.asarray(gray)


def noise(height: int, width: int, channels: int = 0) -> NDArray[np.uint8]:
    size = (height, width, channels) if channels else (height, width)
    return np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8)


def png_header(width: int, height: int) -> bytes:
    """A PNG of 8-bit gray pixels that claims a size and holds no pixel."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", b""), (b"IEND", b"")]
    parts = [struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


PNG = encoded(Image.fromarray(noise(31, 77)), "PNG")
JPEG = encoded(Image.fromarray(noise(31, 77)), "JPEG")

BROKEN = {
    "empty.png": b"",
    "one-byte.png": b"\x89",
    "half.png": PNG[: len(PNG) // 2],
    "half.jpg": JPEG[: len(JPEG) // 2],
    "header-only.png": PNG[:40],
    "header-only.jpg": JPEG[:40],
    "overwritten.png": PNG[:200] + bytes(500) + PNG[700:],
    "prose.png": b"This is a text, whatever its name says.\n" * 20,
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_an_error_that_names_it(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(BROKEN[name])
    with pytest.raises(ImageError, match=name):
        load_gray(path)


@pytest.mark.parametrize("name", BROKEN)
def test_broken_bytes_are_an_error(name: str) -> None:
    with pytest.raises(ImageError, match="the image bytes"):
        load_gray(BROKEN[name])


def test_a_missing_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"gone\.png: there is no such file"):
        load_gray(tmp_path / "gone.png")


def test_a_folder_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(ImageError, match=r"folder\.png"):
        load_gray(tmp_path / "folder.png")


def test_a_huge_image_is_refused_by_its_header_alone(tmp_path: Path) -> None:
    path = tmp_path / "huge.png"
    path.write_bytes(png_header(8_000, 8_000))  # 64 million pixels: over our limit, and below where Pillow warns
    with pytest.raises(ImageError, match=r"huge\.png: 8000 x 8000 pixels are over the limit of 50 million"):
        load_gray(path)  # decoding it would say that it is truncated


@pytest.mark.parametrize("side", [10_000, 100_000])  # Pillow itself warns above 89 million pixels, and refuses above 179
@pytest.mark.parametrize("action", ["error", "ignore"])
def test_an_image_over_pillows_own_limits_is_refused_in_the_same_words(
    action: Literal["error", "ignore"], side: int, tmp_path: Path
) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(png_header(side, side))
    with warnings.catch_warnings():
        warnings.simplefilter(action)
        with pytest.raises(ImageError, match=r"bomb\.png: .* pixels are over the limit of 50 million"):
            load_gray(path)


def test_an_image_of_exactly_the_limit_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "MAX_PIXELS", 16)
    assert load_gray(np.zeros((4, 4), np.uint8)).size == (4, 4)
    with pytest.raises(ImageError, match="17 x 1 pixels"):
        load_gray(np.zeros((1, 17), np.uint8))


def test_path_string_bytes_pillow_image_and_array_give_the_same_line(tmp_path: Path) -> None:
    colors = noise(20, 30, 3)
    image = Image.fromarray(colors)
    path = tmp_path / "line.png"
    image.save(path)
    preprocessor = Preprocessor(32, 8)
    expected = preprocessor.line(path)
    for source in (str(path), path.read_bytes(), image, colors):
        assert np.array_equal(preprocessor.line(source), expected)


def test_a_pillow_image_is_left_as_it_was() -> None:
    image = Image.new("RGBA", (3, 2), (0, 0, 0, 0))
    load_gray(image)
    assert image.mode == "RGBA"
    assert image.getpixel((0, 0)) == (0, 0, 0, 0)


def test_color_is_weighted_as_the_eye_does() -> None:
    red_green_blue = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8)
    assert gray_values(red_green_blue).tolist() == [[76, 150, 29]]  # ITU-R 601-2: 0.299, 0.587 and 0.114 of 255


def test_a_gray_array_is_taken_as_it_is() -> None:
    values = noise(5, 8)
    assert np.array_equal(gray_values(values), values)
    assert np.array_equal(gray_values(values[:, ::2]), values[:, ::2])


def test_a_16_bit_array_is_scaled() -> None:
    values = np.array([[0, 257, 32768, 65535]], np.uint16)
    assert gray_values(values).tolist() == [[0, 1, 128, 255]]  # 65535 = 257 × 255; 32768 / 257 = 127.5


def test_a_bool_array_is_black_and_white() -> None:
    assert gray_values(np.array([[True, False, True]])).tolist() == [[255, 0, 255]]


@pytest.mark.parametrize("kind", ["complex128", "object", "datetime64[s]", "U1"])
def test_an_array_that_holds_no_numbers_is_refused(kind: str) -> None:
    with pytest.raises(ImageError, match="of numbers, not "):
        load_gray(np.zeros((4, 4), kind))


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (4, 4, 5)])
def test_an_array_that_is_no_image_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ImageError, match="the image: "):
        load_gray(np.zeros(shape, np.uint8))


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparent_black_is_white_paper(mode: str) -> None:
    transparent = Image.new(mode, (4, 3), (0,) * len(mode))
    assert (gray_values(encoded(transparent, "PNG")) == 255).all()


def test_half_transparent_black_is_mid_gray() -> None:
    half = Image.new("RGBA", (1, 1), (0, 0, 0, 128))
    assert gray_values(encoded(half, "PNG")).tolist() == [[127]]  # 255 × (1 - 128 / 255)


def test_the_transparent_color_of_a_palette_is_white_paper() -> None:
    image = Image.new("P", (2, 1), 0)
    image.putpalette([0, 0, 0, 40, 40, 40])
    image.putpixel((1, 0), 1)
    assert gray_values(encoded(image, "PNG", transparency=0)).tolist() == [[255, 40]]


def test_a_palette_without_transparency_gives_its_colors() -> None:
    image = Image.new("P", (2, 1), 0)
    image.putpalette([0, 0, 0, 40, 40, 40])
    image.putpixel((1, 0), 1)
    assert gray_values(encoded(image, "PNG")).tolist() == [[0, 40]]


def test_a_16_bit_gray_png_is_scaled_and_not_clipped() -> None:
    image = Image.fromarray(np.array([[0, 257, 32768, 65535]], np.uint16))
    data = encoded(image, "PNG")
    assert data[24] == 16  # the bit depth, in byte 24 of a PNG
    assert gray_values(data).tolist() == [[0, 1, 128, 255]]


def test_a_1_bit_png_is_black_and_white() -> None:
    data = encoded(Image.fromarray(np.array([[True, False, True]])), "PNG")
    assert data[24] == 1  # the bit depth, in byte 24 of a PNG
    assert gray_values(data).tolist() == [[255, 0, 255]]


@pytest.mark.parametrize(("values", "expected"), [([0.0, 0.2, 1.0], [0, 51, 255]), ([0.0, 51.0, 255.0], [0, 51, 255])])
def test_a_float_tiff_runs_to_1_or_to_255(values: list[float], expected: list[int]) -> None:
    image = Image.fromarray(np.array([values], np.float32))
    assert gray_values(encoded(image, "TIFF")).tolist() == [expected]


@pytest.mark.parametrize("format", ["GIF", "TIFF", "PNG", "WEBP"])
def test_of_several_frames_the_first_is_read_with_a_warning(format: str, tmp_path: Path) -> None:
    frames = [Image.new("L", (16, 16), value) for value in (10, 200)]
    path = tmp_path / "frames"
    path.write_bytes(encoded(frames[0], format, save_all=True, append_images=frames[1:]))
    with pytest.warns(ImageWarning, match="frames: animated or of several pages, only the first is read"):
        values = gray_values(path)
    assert abs(values.astype(int) - 10).max() <= JPEG_ERROR  # WebP loses a little as well


def test_exif_orientation_is_applied() -> None:
    stored = Image.new("L", (32, 16), 255)
    stored.paste(0, (0, 0, 16, 16))  # the left half is black
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned by 90° clockwise: what is stored at the left is at the top
    values = gray_values(encoded(stored, "JPEG", quality=95, exif=exif))
    assert values.shape == (32, 16)
    assert values[:16].max() <= JPEG_ERROR
    assert values[16:].min() >= 255 - JPEG_ERROR


@pytest.mark.parametrize("format", ["JPEG", "TIFF"])
def test_cmyk_is_read_the_right_way_up(format: str) -> None:
    image = Image.new("CMYK", (16, 16), (0, 0, 0, 0))  # no ink: white
    image.paste((0, 0, 0, 255), (0, 0, 8, 16))  # full black ink
    options = {"quality": 95} if format == "JPEG" else {}
    data = encoded(image, format, **options)
    with Image.open(io.BytesIO(data)) as stored:
        assert stored.mode == "CMYK"
    values = gray_values(data)
    assert values[:, :8].max() <= JPEG_ERROR
    assert values[:, 8:].min() >= 255 - JPEG_ERROR


def test_a_single_pixel_is_a_line_of_the_least_width() -> None:
    line = Preprocessor(32, 50).line(np.full((1, 1), 90, np.uint8))
    assert line.shape == (32, 50)  # 32 × 32 by its aspect ratio, continued to the right
    assert (line == 90).all()


def test_a_narrow_line_is_padded_with_its_last_column() -> None:
    values = noise(32, 4)
    line = Preprocessor(32, 9).line(values)
    assert np.array_equal(line[:, :4], values)
    assert np.array_equal(line[:, 4:], np.repeat(values[:, 3:], 5, axis=1))


def test_a_line_of_the_right_height_is_not_touched_however_wide() -> None:
    values = noise(32, 30_000)
    assert np.array_equal(Preprocessor(32, 8).line(values), values)


def test_a_very_wide_line_keeps_its_aspect_ratio() -> None:
    assert Preprocessor(32, 8).line(np.zeros((48, 30_000), np.uint8)).shape == (32, 20_000)


def test_an_absurdly_wide_line_is_squeezed() -> None:
    with pytest.warns(ImageWarning, match="a line of 1280000 pixels at the model.s height is squeezed to 32768"):
        line = Preprocessor(32, 8).line(np.zeros((1, 40_000), np.uint8))
    assert line.shape == (32, MAX_WIDTH)  # 1 280 000 pixels by its aspect ratio
    assert MAX_WIDTH == 32_768


def test_an_absurdly_high_line_keeps_a_column() -> None:
    assert Preprocessor(32, 1).line(np.zeros((9_000, 1), np.uint8)).shape == (32, 1)


@pytest.mark.parametrize("height", [31, 32, 48])
@pytest.mark.parametrize(("rows", "columns"), [(1, 97), (7, 13), (33, 101), (97, 101), (1001, 3)])
def test_a_line_has_exactly_the_models_height(rows: int, columns: int, height: int) -> None:
    line = Preprocessor(height, 1).line(noise(rows, columns))
    assert line.shape == (height, max(1, round(columns * height / rows)))
    assert line.dtype == np.uint8


def test_a_batch_holds_each_line_at_the_left_and_zero_beside_it() -> None:
    black, white = np.zeros((4, 3), np.uint8), np.full((4, 5), 255, np.uint8)
    batch, widths = to_batch([black, white])
    assert batch.shape == (2, 1, 4, 5)
    assert batch.dtype == np.float32
    assert widths.tolist() == [3, 5]
    assert (batch[0, 0, :, :3] == -1).all()
    assert (batch[0, 0, :, 3:] == 0).all()
    assert (batch[1] == 1).all()


def test_a_line_is_the_same_alone_and_in_a_batch() -> None:
    short, long = noise(6, 4), noise(6, 9)
    together, _ = to_batch([short, long])
    alone, _ = to_batch([short])
    assert np.array_equal(together[:1, :, :, :4], alone)


def test_another_view_of_an_image_is_wider_or_has_space_around_the_text() -> None:
    pixels = np.full((32, 80), 200, np.uint8)
    pixels[:, 20:40] = 10  # a stroke from edge to edge
    preprocessor = Preprocessor(height=32, min_width=16)
    wide = preprocessor.view(pixels, View(width=1.5))
    assert (wide.line.shape, wide.width, wide.length) == ((32, 120), 120, 80)
    assert wide.line[:, 33:57].max() < 20
    assert wide.line[:, 65:].min() > 190
    low = preprocessor.view(pixels, View(width=0.9, height=0.7)).line
    assert low.shape == (32, 72)
    assert (np.concatenate((low[:5], low[-5:])) == 200).all()  # the background's gray above and below
    assert low[5:27, 20:34].max() < 20


@pytest.mark.parametrize("orientation", [Orientation.HORIZONTAL, Orientation.VERTICAL])
def test_a_view_is_the_same_of_a_source_and_of_an_image_seen_before(orientation: Orientation) -> None:
    preprocessor, pixels, view = Preprocessor(32, 16, orientation), noise(200, 190), View(orientation, 0.9, 0.7)
    (seen,) = preprocessor.views(pixels)
    assert np.array_equal(seen.line, preprocessor.line(pixels))
    assert np.array_equal(preprocessor.rescaled(seen, view).line, preprocessor.view(pixels, view).line)
    assert preprocessor.rescaled(seen, view).view == view


def test_with_auto_a_tall_image_is_seen_in_all_orientations() -> None:
    preprocessor, upright = Preprocessor(8, 4, Orientation.AUTO), noise(8, 40)
    lines = {seen.view.orientation: seen.line for seen in preprocessor.views(np.rot90(upright))}
    assert [*lines] == [Orientation.VERTICAL, Orientation.HORIZONTAL, Orientation.UPWARD]
    assert np.array_equal(lines[Orientation.UPWARD], preprocessor.line(upright))
    assert np.array_equal(lines[Orientation.VERTICAL], preprocessor.line(np.rot90(upright)))
    assert [seen.view.orientation for seen in preprocessor.views(upright)] == [Orientation.HORIZONTAL]


@pytest.mark.parametrize(("columns", "width"), [(4, 16), (MAX_WIDTH, MAX_WIDTH)])
def test_another_view_is_as_wide_as_a_line_may_be(columns: int, width: int) -> None:
    wide = Preprocessor(height=32, min_width=16).view(noise(32, columns), View(width=1.5))
    assert (wide.line.shape[1], wide.width) == (width, min(round(1.5 * columns), MAX_WIDTH))


def test_of_a_large_image_no_more_is_kept_than_other_views_need() -> None:
    preprocessor = Preprocessor(height=32, min_width=16)
    (seen,) = preprocessor.views(noise(1000, 4000))
    assert seen.gray.height < 2 * 32
    assert 2 * 128 <= seen.gray.width < 3 * 128
    with pytest.warns(ImageWarning, match="is squeezed"):
        (seen,) = preprocessor.views(noise(8, 400_000))
    assert seen.gray.width < 3 * MAX_WIDTH


def test_a_line_image_knows_how_much_of_it_is_the_image() -> None:
    seen = Preprocessor(height=8, min_width=16).view(noise(8, 3))
    assert (seen.line.shape, seen.width, seen.length) == ((8, 16), 3, 3)


def test_an_image_turned_by_half_is_seen_as_if_it_were_upright() -> None:
    preprocessor = Preprocessor(32, 16)
    for pixels in (noise(32, 90), noise(70, 9)[:32], noise(32, 5)):
        (seen,) = preprocessor.views(Image.fromarray(pixels).transpose(Image.Transpose.ROTATE_180))
        turned = preprocessor.upside_down(seen)
        assert np.array_equal(turned.line, preprocessor.line(pixels))
        assert np.array_equal(np.asarray(turned.gray), pixels)
        assert turned.view.orientation is Orientation.UPSIDE_DOWN
        assert np.array_equal(turned.line, preprocessor.view(np.rot90(pixels, 2), turned.view).line)
