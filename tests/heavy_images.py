"""Small files that are slow or large to decode: what a crafted, or simply odd, image can ask of a reader."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image

MEGA = 1_000_000


def encoded(image: Image.Image, format: str, **options: Any) -> bytes:
    """The bytes of an image in a format."""
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def side(pixels: float) -> int:
    """Side of a square of so many pixels."""
    return int(pixels**0.5)


def png(width: int, height: int, depth: int, color_type: int, *extra: tuple[bytes, bytes], interlace: int = 0) -> bytes:
    """A PNG of zeros, made without its pixels; `extra` chunks come before them."""
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[color_type]
    compressor = zlib.compressobj(9)
    if interlace:
        passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
        sizes = [(-(-(width - x) // dx), -(-(height - y) // dy)) for x, y, dx, dy in passes]
    else:
        sizes = [(width, height)]
    parts = [compressor.compress(bytes((w * channels * depth + 7) // 8 + 1)) for w, h in sizes for _ in range(h)]
    data = b"".join([*parts, compressor.flush()])
    palette = [(b"PLTE", bytes(range(256)) * 3), (b"tRNS", bytes(256))] if color_type == 3 else []
    header = struct.pack(">IIBBBBB", width, height, depth, color_type, 0, 0, interlace)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        chunk(*each) for each in [(b"IHDR", header), *palette, *extra, (b"IDAT", data), (b"IEND", b"")]
    )


def chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def tiff(width: int, height: int, *, bits: tuple[int, ...] = (8,), photometric: int = 1, sample_format: int = 1) -> bytes:
    """A TIFF of zeros in one deflated strip."""
    compressor = zlib.compressobj(9)
    row = bytes((width * sum(bits) + 7) // 8)
    data = b"".join([*(compressor.compress(row) for _ in range(height)), compressor.flush()])
    bits_at, data_at = 8, 8 + 2 * len(bits)
    tags = [
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, len(bits), bits[0] if len(bits) == 1 else bits_at),
        (259, 3, 1, 8),
        (262, 3, 1, photometric),
        (273, 4, 1, data_at),
        (277, 3, 1, len(bits)),
        (278, 4, 1, height),
        (279, 4, 1, len(data)),
        *([(338, 3, 1, 2)] if len(bits) == 4 and photometric == 2 else []),
        (339, 3, 1, sample_format),
    ]
    directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in tags) + struct.pack("<I", 0)
    body = struct.pack(f"<{len(bits)}H", *bits) + data
    return b"II*\0" + struct.pack("<I", 8 + len(body)) + body + directory


_ONE_PIXEL = [
    *((256, 4, 1, 1), (257, 4, 1, 1), (258, 3, 1, 8), (259, 3, 1, 1)),
    *((262, 3, 1, 1), (273, 4, 1, 8), (278, 4, 1, 1), (279, 4, 1, 1)),
]
"""The tags of an image of one gray pixel, which is at byte 8."""


def tiff_chain(directories: int) -> bytes:
    """A TIFF of one pixel in each of so many directories, one after the other."""
    tags = _ONE_PIXEL
    body = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in tags)
    size = len(body) + 4
    chain = b"".join(body + struct.pack("<I", 0 if i == directories - 1 else 10 + (i + 1) * size) for i in range(directories))
    return b"II*\0" + struct.pack("<I", 10) + b"\0\0" + chain


def tiff_tags(count: int) -> bytes:
    """A TIFF of one pixel with so many tags."""
    tags = _ONE_PIXEL + [(1000 + i, 2, 200, 8) for i in range(count)]
    directory = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    return b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(tags)) + directory + bytes(300)


def gif_frames(frames: int) -> bytes:
    """A GIF of one pixel in each of so many frames."""
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x4c\x01\x00"
    return b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0x80, 0, 0) + bytes(3) + b"\xff" * 3 + frame * frames + b"\x3b"


def gif(width: int, height: int) -> bytes:
    """A GIF of one color, by Pillow."""
    return encoded(Image.new("L", (width, height)), "GIF")


def jpeg_markers(count: int) -> bytes:
    """A JPEG with so many empty segments before the image."""
    data = encoded(Image.new("L", (16, 16)), "JPEG")
    return data[:2] + b"\xff\xe9\0\2" * count + data[2:]


def jpeg_scans(pixels: float, count: int) -> bytes:
    """A progressive JPEG whose last scan comes so many times."""
    data = encoded(Image.new("L", (side(pixels),) * 2, 90), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    scan = data[last:-2]
    return data[:last] + scan * count + b"\xff\xd9"


def pnm(kind: int, width: int, height: int, highest: int = 255) -> bytes:
    """A PNM of zeros: kind 1 to 3 in decimal digits, 4 to 6 in bytes."""
    header = f"P{kind}\n{width} {height}\n" + (f"{highest}\n" if kind not in (1, 4) else "")
    values = width * height * (3 if kind in (3, 6) else 1)
    if kind <= 3:
        return header.encode() + b"0 " * values
    return header.encode() + bytes(-(-width // 8) * height if kind == 4 else values * (1 + (highest > 255)))


def bmp_rle(width: int, height: int) -> bytes:
    """A BMP of runs."""
    row = b"".join(bytes((min(255, width - x), 0)) for x in range(0, width, 255)) + b"\0\0"
    data = row * height + b"\0\1"
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(data), 0, 0, 256, 0)
    return b"BM" + struct.pack("<IHHI", 54 + 1024 + len(data), 0, 0, 54 + 1024) + info + bytes(1024) + data


def tga_rle(width: int, height: int, bits: int = 32) -> bytes:
    """A TGA of runs."""
    run = b"\xff" + bytes(bits // 8)
    header = struct.pack(
        "<BBBHHBHHHHBB", 0, 0, 10 if bits > 8 else 11, 0, 0, 0, 0, 0, width, height, bits, 8 if bits == 32 else 0
    )
    return header + run * (-(-width * height // 128))


def jp2(pixels: float, **options: Any) -> bytes:
    """A JPEG 2000 of one color."""
    return encoded(Image.new("L", (side(pixels),) * 2), "JPEG2000", irreversible=False, **options)


def noisy(width: int, height: int, mode: str = "L", seed: int = 0) -> Image.Image:
    """Noise, which no format stores well."""
    channels = {"L": 1, "RGB": 3, "RGBA": 4}[mode]
    values = np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)
    return Image.fromarray(values[:, :, 0] if channels == 1 else values)


def tiff_by_pillow(pixels: float, mode: str, compression: str) -> bytes:
    """A TIFF of one color, by libtiff."""
    return encoded(Image.new(mode, (side(pixels),) * 2), "TIFF", compression=compression)


HEAVY: dict[str, Callable[[], bytes]] = {
    "tiff: 60,000 directories": lambda: tiff_chain(60_000),
    "tiff: 190,000 directories": lambda: tiff_chain(190_000),
    "tiff: 60,000 tags": lambda: tiff_tags(60_000),
    "tiff: 49 MP of 16 bits": lambda: tiff(7000, 7000, bits=(16,)),
    "tiff: 49 MP of 32-bit floats": lambda: tiff(7000, 7000, bits=(32,), sample_format=3),
    "tiff: 49 MP of 16-bit RGB": lambda: tiff(7000, 7000, bits=(16,) * 3, photometric=2),
    "tiff: 49 MP of RGBA": lambda: tiff(7000, 7000, bits=(8,) * 4, photometric=2),
    "tiff: 49 MP of CMYK": lambda: tiff(7000, 7000, bits=(8,) * 4, photometric=5),
    "tiff: 49 MP of LZW": lambda: tiff_by_pillow(49 * MEGA, "RGB", "tiff_lzw"),
    "tiff: 49 MP of JPEG": lambda: tiff_by_pillow(49 * MEGA, "RGB", "jpeg"),
    "tiff: 49 MP of LZMA": lambda: tiff_by_pillow(49 * MEGA, "L", "lzma"),
    "tiff: 49 MP of group 4": lambda: tiff_by_pillow(49 * MEGA, "1", "group4"),
    "png: 49 MP of 16 bits": lambda: png(7000, 7000, 16, 0),
    "png: 49 MP of RGB": lambda: png(7000, 7000, 8, 2),
    "png: 49 MP of RGBA": lambda: png(7000, 7000, 8, 6),
    "png: 49 MP of 16-bit RGBA": lambda: png(7000, 7000, 16, 6),
    "png: 49 MP of 16-bit RGBA, interlaced": lambda: png(7000, 7000, 16, 6, interlace=1),
    "png: 49 MP of a palette with transparency": lambda: png(7000, 7000, 8, 3),
    "png: 49 MP of gray with transparency": lambda: png(7000, 7000, 8, 4),
    "png: 1.6 million chunks": lambda: png(16, 16, 8, 0, *[(b"prVt", b"")] * 1_600_000),
    "png: 60 text bombs": lambda: png(16, 16, 8, 0, *[(b"zTXt", b"x\0\0" + zlib.compress(bytes(1_000_000)))] * 60),
    "png: a profile bomb": lambda: png(16, 16, 8, 0, (b"iCCP", b"x\0\0" + zlib.compress(bytes(900_000_000), 9))),
    "png: a large exif": lambda: png(16, 16, 8, 0, (b"eXIf", tiff_tags(60_000))),
    "png: 1,000,000 x 40": lambda: png(1_000_000, 40, 8, 0),
    "png: 70,000 x 32": lambda: png(70_000, 32, 8, 0),
    "png: 70,000 x 600 of noise rows": lambda: png(70_000, 600, 8, 0),
    "png: 40 x 1,000,000": lambda: png(40, 1_000_000, 8, 0),
    "jpeg: 49 MP": lambda: encoded(Image.new("RGB", (7000, 7000), "red"), "JPEG"),
    "jpeg: 12 MP of noise": lambda: encoded(noisy(5000, 2400), "JPEG", quality=80),
    "jpeg: 49 MP of CMYK": lambda: encoded(Image.new("CMYK", (7000, 7000)), "JPEG"),
    "jpeg: 49 MP, progressive, with 150 scans": lambda: jpeg_scans(49 * MEGA, 150),
    "jpeg: 4 MP, progressive, with 3,000 scans": lambda: jpeg_scans(4 * MEGA, 3000),
    "jpeg: 4 million markers": lambda: jpeg_markers(4_000_000),
    "gif: 800,000 frames": lambda: gif_frames(800_000),
    "gif: 49 MP": lambda: gif(7000, 7000),
    "webp: 49 MP, lossless": lambda: encoded(Image.new("RGB", (7000, 7000)), "WEBP", lossless=True),
    "webp: 49 MP": lambda: encoded(Image.new("RGB", (7000, 7000)), "WEBP"),
    "webp: 49 MP of RGBA": lambda: encoded(Image.new("RGBA", (7000, 7000), (0, 0, 0, 9)), "WEBP"),
    "avif: 49 MP": lambda: encoded(Image.new("RGB", (7000, 7000)), "AVIF", speed=10),
    "jp2: 49 MP": lambda: jp2(49 * MEGA),
    "jp2: 49 MP of RGBA": lambda: encoded(Image.new("RGBA", (7000, 7000)), "JPEG2000"),
    "jp2: 4 MP in tiles of 16": lambda: jp2(4 * MEGA, tile_size=(16, 16), num_resolutions=1),
    "jp2: 4 MP of noise": lambda: encoded(noisy(2000, 2000), "JPEG2000"),
    "jp2: 16 MP of noise": lambda: encoded(noisy(4000, 4000), "JPEG2000"),
    "pnm: 10 MP of bits in digits": lambda: pnm(1, 3200, 3100),
    "pnm: 10 MP of grays in digits": lambda: pnm(2, 3200, 3100),
    "pnm: 3 MP of colors in digits": lambda: pnm(3, 1800, 1800),
    "pnm: 6 MP of colors up to 100": lambda: pnm(6, 2500, 2500, 100),
    "pnm: 9 MP of grays up to 1000": lambda: pnm(5, 3000, 3000, 1000),
    "bmp: 49 MP of runs": lambda: bmp_rle(7000, 7000),
    "tga: 49 MP of runs": lambda: tga_rle(7000, 7000),
    "webp: noise, 4 MP lossless": lambda: encoded(noisy(2000, 2000, "RGB"), "WEBP", lossless=True),
    "webp: noise, 20 MP": lambda: encoded(noisy(5000, 4000, "RGB"), "WEBP", quality=60, method=0),
    "avif: noise, 9 MP": lambda: encoded(noisy(3000, 3000, "RGB"), "AVIF", speed=10, quality=60),
}
"""Files under 20 MB, by what is heavy about them."""
