"""Values of more than 8 bits are scaled by what they hold."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from crnnocr.errors import ImageError
from crnnocr.images import load_gray

WORD = np.array([[255, 255, 0, 128, 255], [255, 0, 64, 0, 255]], np.uint8)
"""Black and gray ink on white, in 8 bits."""


def gray(source: Any) -> NDArray[np.uint8]:
    return np.asarray(load_gray(source))


def tiff(values: NDArray[Any]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(values).save(file, "TIFF")
    return file.getvalue()


def deep_png(values: NDArray[np.uint16], color_type: int) -> bytes:
    """A PNG of 16 bits a channel, which Pillow cannot write: color type 0 gray, 2 RGB, 6 RGBA."""
    height, width = values.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 16, color_type, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    ]
    parts = [struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("kind", [np.uint16, np.int32, np.uint32, np.int64, np.float32, np.float64])
def test_an_array_is_scaled_by_the_fewest_bits_that_hold_it(bits: int, kind: type[np.generic]) -> None:
    values = np.round(WORD / 255 * (2**bits - 1)).astype(kind)
    assert np.abs(gray(values).astype(int) - WORD).max() <= 1


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("kind", [np.uint16, np.int32, np.float32])
def test_so_is_a_file(bits: int, kind: type[np.generic]) -> None:
    values = np.round(WORD / 255 * (2**bits - 1)).astype(kind)
    assert np.abs(gray(tiff(values)).astype(int) - WORD).max() <= 1


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("color_type", [0, 2, 6])
def test_so_is_a_png_of_16_bits_a_channel(bits: int, color_type: int) -> None:
    values = np.round(WORD / 255 * (2**bits - 1)).astype(np.uint16)
    if color_type:
        values = np.stack([values] * 3 + [np.full_like(values, 65535)] * (color_type == 6), axis=2)
    assert np.abs(gray(deep_png(values, color_type)).astype(int) - WORD).max() <= 1


def test_so_is_an_array_of_colors_whose_opacity_is_scaled_by_itself() -> None:
    values = np.stack([WORD.astype(np.uint16) * 4] * 3 + [np.full(WORD.shape, 255, np.uint16)], axis=2)
    assert np.abs(gray(values).astype(int) - WORD).max() <= 1


@pytest.mark.parametrize("kind", [np.uint16, np.int32, np.int64, np.float32])
def test_zeros_and_ones_are_black_and_white(kind: type[np.generic]) -> None:
    assert gray(np.array([[0, 1, 0]], kind)).tolist() == [[0, 255, 0]]


def test_above_16_bits_the_largest_value_is_white() -> None:
    assert gray(np.array([[0, 2**30, 2**31]], np.int64)).tolist() == [[0, 128, 255]]


@pytest.mark.parametrize(("kind", "values"), [(np.int16, [-1000, 0, 1000]), (np.float32, [-1.0, 0.0, 1.0])])
def test_with_values_below_zero_the_range_is_taken(kind: type[np.generic], values: list[float]) -> None:
    assert gray(np.array([values], kind)).tolist() == [[0, 128, 255]]


@pytest.mark.parametrize("white", [1.0, 255.0])
def test_the_overshoot_of_resampling_is_cut_off(white: float) -> None:
    values = np.array([[-0.05, 0.0, 0.2, 1.0, 1.06]], np.float32) * white
    assert gray(values).tolist() == [[0, 0, 51, 255, 255]]


def test_an_image_without_a_number_is_an_error_and_not_blank() -> None:
    with pytest.raises(ImageError, match="none of its values is a finite number"):
        gray(np.full((8, 20), np.nan))


def test_what_is_no_number_is_black_and_infinity_the_nearest_end() -> None:
    assert gray(np.array([[np.nan, -np.inf, 0.4, 1.0, np.inf]])).tolist() == [[0, 0, 102, 255, 255]]


@pytest.mark.parametrize("value", [0, 7, -3])
@pytest.mark.parametrize("kind", [np.int32, np.float32])
def test_an_image_of_one_value_is_an_image(value: int, kind: type[np.generic]) -> None:
    assert len(np.unique(gray(np.full((4, 4), value, kind)))) == 1


def test_bytes_are_left_as_they_are_however_dark() -> None:
    assert gray(np.array([[0, 1, 2]], np.uint8)).tolist() == [[0, 1, 2]]


def test_one_channel_is_gray() -> None:
    assert np.array_equal(gray(WORD[:, :, None]), WORD)
