"""Which formats are read, by one list, and what is said of others."""

from __future__ import annotations

import io
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import EpsImagePlugin, Image
from typer.testing import Result

import crnnocr
from crnnocr import images
from crnnocr.datasets.detection import load_dataset
from crnnocr.errors import DataError, ImageError
from crnnocr.images import formats, load_gray

RunCli = Callable[..., Result]

POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 30\n%%EndComments\nshowpage\n"

FOREIGN = {
    "scan.pdf": (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "PDF is not read: turn its pages into images"),
    "photo.heic": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC is not read: pip install pillow-heif"),
    "logo.svg": (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "SVG is not read: render it"),
    "x.png": (POSTSCRIPT, "PostScript is not read: render it"),
    "slice.dcm": (bytes(128) + b"DICM" + bytes(20), "DICOM is not read"),
    "page.jpg": (b"<!DOCTYPE html>\n<html><body>404</body></html>", "web page is not read"),
    "large.tif": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
    "annexed.png": (b"/annex/objects/SHA256E-s7--0a1b.png\n", "git annex get"),
    "clip.mp4": (b"\0\0\0\x20ftypisom\0\0\2\0isom", "video is not read"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_file_of_another_kind_gets_a_sentence_with_the_fix(name: str, tmp_path: Path) -> None:
    data, expected = FOREIGN[name]
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ImageError, match=rf"{re.escape(name)}: .*{expected}"):
        load_gray(tmp_path / name)


def test_no_program_is_run_for_an_image(tmp_path: Path, run_process: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    """Pillow runs Ghostscript for PostScript, whatever the file is called. Here a script stands in for it."""
    script = tmp_path / "gs"
    script.write_text(f"#!/bin/sh\ntouch {tmp_path / 'ran'}\n", encoding="utf-8")
    script.chmod(0o755)
    for name in ("x.png", "x.jpg"):
        (tmp_path / name).write_bytes(POSTSCRIPT)
    code = f"""
from PIL import Image
from crnnocr.images import load_gray, snapshot
given = Image.open({str(tmp_path / "x.jpg")!r})
for source in ({str(tmp_path / "x.png")!r}, given, snapshot(given)):
    try:
        load_gray(source)
    except Exception as error:
        print(type(error).__name__)
"""
    done = run_process("-c", code, env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"})
    assert done.stdout == "ImageError\n" * 3, done.stderr
    assert not (tmp_path / "ran").exists()


def test_an_unread_image_of_pillows_other_formats_is_refused_and_a_read_one_is_not(tmp_path: Path) -> None:
    image = Image.new("RGB", (8, 4), "white")
    for format in ("PCX", "SGI"):
        file = io.BytesIO()
        image.save(file, format)
        with pytest.raises(ImageError, match=f"{format} is a format that crnnocr does not read"):
            load_gray(Image.open(file))
        given = Image.open(file)
        given.load()
        assert load_gray(given).size == (8, 4)
    assert EpsImagePlugin.EpsImageFile.format not in formats.FORMATS


def test_only_one_place_opens_images() -> None:
    package = Path(crnnocr.__file__).parent
    found = [path.name for path in package.rglob("*.py") if re.search(r"\bImage\.open\(", path.read_text(encoding="utf-8"))]
    assert found == ["formats.py"]


SUFFIXES = {".jfif": "JPEG", ".jpe": "JPEG", ".avif": "AVIF", ".tga": "TGA", ".pnm": "PPM", ".j2k": "JPEG2000", ".TIF": "TIFF"}


def saved(folder: Path) -> list[str]:
    """An image under each of the suffixes; returns the names."""
    folder.mkdir(exist_ok=True)
    for suffix, format in SUFFIXES.items():
        Image.new("L", (40, 16), 255).save(folder / f"crop{suffix}", format)
    return [f"crop{suffix}" for suffix in SUFFIXES]


def test_the_same_endings_count_for_folders_sidecars_tables_and_names(
    tmp_path: Path, run_cli: RunCli, current_model: str
) -> None:
    names = saved(tmp_path / "plain")
    rows = run_cli("predict", tmp_path / "plain", "--quiet").stdout.splitlines()
    assert sorted(Path(row.split("\t")[0]).name for row in rows) == sorted(names)

    saved(tmp_path / "sidecars")
    (tmp_path / "sidecars/crop.gt.txt").write_text("word\n", encoding="utf-8")
    for i, name in enumerate(names):
        (tmp_path / "sidecars" / name).rename(tmp_path / f"sidecars/{i}{Path(name).suffix}")
        (tmp_path / f"sidecars/{i}.gt.txt").write_text("word\n", encoding="utf-8")
    assert len(load_dataset(tmp_path / "sidecars").samples) == len(names)

    saved(tmp_path / "table")
    (tmp_path / "table/labels.txt").write_text("".join(f"{name} two words\n" for name in names), encoding="utf-8")
    samples = load_dataset(tmp_path / "table").samples
    assert {sample.text for sample in samples} == {"two words"}
    assert len(samples) == len(names)


def test_a_folder_says_what_it_passes_over(tmp_path: Path, run_cli: RunCli, current_model: str) -> None:
    Image.new("L", (40, 16), 255).save(tmp_path / "a.png")
    for name in ("a.heic", "b.heic", "page.pdf", "notes.txt", ".hidden.png"):
        (tmp_path / name).write_bytes(b"?")
    result = run_cli("predict", tmp_path)
    assert "5 files passed over: 2 HEIC (pip install pillow-heif" in result.stderr
    assert all(part in result.stderr for part in ("1 PDF", "1 .txt", "1 hidden"))
    (tmp_path / "a.png").unlink()
    result = run_cli("predict", tmp_path)
    assert result.exit_code == 1
    assert "holds no images" in result.stderr
    assert "2 HEIC" in result.stderr


def test_a_labeled_folder_says_so_too(tmp_path: Path) -> None:
    Image.new("L", (40, 16), 255).save(tmp_path / "a.png")
    (tmp_path / "b.heic").write_bytes(b"?")
    with pytest.raises(DataError, match=r"1 HEIC \(pip install pillow-heif"):
        load_dataset(tmp_path)
    for stem in "ab":
        (tmp_path / f"{stem}.gt.txt").write_text("word\n", encoding="utf-8")
    issues = {issue.code: issue for issue in load_dataset(tmp_path).issues}
    assert [location.path for location in issues["foreign-picture"].locations] == ["b.heic"]
    assert "pip install pillow-heif" in issues["foreign-picture"].fix


HEIF_PLUGIN = """
from PIL import Image, ImageFile, PngImagePlugin
class Heif(PngImagePlugin.PngImageFile):
    format = "HEIF"
    def _open(self):
        self.fp.seek(16)
        import io
        self.fp = io.BytesIO(self.fp.read())
        super()._open()
def register_heif_opener():
    Image.register_open("HEIF", Heif, lambda prefix: prefix[4:8] == b"ftyp")
"""
"""Stands in for pillow-heif: a PNG behind 16 bytes."""


def test_heic_is_read_and_looked_for_if_a_plugin_is_there(
    tmp_path: Path, run_process: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    (tmp_path / "pillow_heif.py").write_text(HEIF_PLUGIN, encoding="utf-8")
    file = io.BytesIO()
    Image.new("L", (9, 5), 70).save(file, "PNG")
    (tmp_path / "x.HEIC").write_bytes(b"\0\0\0\x10ftypheic\0\0\0\0" + file.getvalue())
    code = (
        "from crnnocr.images import load_gray, image_files; from pathlib import Path; p = Path('x.HEIC');"
        "print(image_files([p]), load_gray(p).getextrema())"
    )
    path = f"{tmp_path}:{Path(crnnocr.__file__).parents[1]}"
    done = run_process("-c", code, cwd=tmp_path, env={**os.environ, "PYTHONPATH": path})
    assert done.stdout == "[PosixPath('x.HEIC')] (70, 70)\n", done.stderr


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_bytes_of_any_kind_are_one_image(kind: Callable[[bytes], object], tiny_model: Path, tiny_data: Path) -> None:
    data = (tiny_data / "000000.png").read_bytes()
    assert images.is_source(kind(data))
    recognizer = crnnocr.Recognizer.load(tiny_model, "cpu")
    (one,) = recognizer.predict(kind(data))  # type: ignore[arg-type]
    assert (one.error, [one]) == (None, list(recognizer.predict(tiny_data / "000000.png")))


def test_the_memory_of_an_array_is_no_file() -> None:
    values = memoryview(np.zeros((4, 4), np.uint8))  # type: ignore[arg-type]
    with pytest.raises(ImageError, match="give the array itself"):
        load_gray(images.snapshot(values))


def test_a_buffer_that_is_filled_again_gives_each_image_as_it_was() -> None:
    buffer = bytearray()
    kept = []
    for value in (10, 200):
        file = io.BytesIO()
        Image.new("L", (4, 4), value).save(file, "PNG")
        buffer[:] = file.getvalue()
        kept.append(images.snapshot(buffer))
    assert [np.asarray(load_gray(source)).max() for source in kept] == [10, 200]


def test_a_file_opened_as_text_is_an_error_with_the_fix() -> None:
    with pytest.raises(ImageError, match="binary mode"):
        load_gray(io.StringIO("text"))  # type: ignore[arg-type]
