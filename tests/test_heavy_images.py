"""No small file takes long or much memory, and the threads share what there is."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from heavy_images import HEAVY, bmp_rle, pnm, tiff_chain
from PIL import Image

from crnnocr.config import Orientation
from crnnocr.errors import ImageError
from crnnocr.images import Preprocessor, View, limits, load_gray

RunProcess = Callable[..., subprocess.CompletedProcess[str]]

MAX_SECONDS = 2.0
MAX_MEMORY = 500 * 2**20

QUICK = {
    "tiff: 60,000 directories",
    "png: 49 MP of RGBA",
    "jpeg: 4 MP, progressive, with 3,000 scans",
    "jpeg: 4 million markers",
    "pnm: 6 MP of colors up to 100",
    "gif: 800,000 frames",
}
"""Some of each sort, which are made in a second."""

MEASURE = f"""
import json, sys, time, warnings
sys.path.append({str(Path(__file__).parent)!r})
from memory import peak
warnings.simplefilter("ignore")
from crnnocr.errors import ImageError
from crnnocr.images import Preprocessor
start = time.process_time()
try:
    Preprocessor(32, 16).views(sys.argv[1])
    error = ""
except ImageError as raised:
    error = str(raised)
print(json.dumps([time.process_time() - start, peak(), error]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no module resource")
@pytest.mark.parametrize("name", [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in HEAVY])
def test_no_small_file_takes_long_or_much_memory(name: str, tmp_path: Path, run_process: RunProcess) -> None:
    data = HEAVY[name]()
    assert len(data) < 20_000_000
    path = tmp_path / "heavy"
    path.write_bytes(data)
    done = run_process("-c", MEASURE, path)
    assert done.returncode == 0, done.stderr
    seconds, memory, _ = json.loads(done.stdout)
    assert seconds <= MAX_SECONDS
    assert memory <= MAX_MEMORY


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there is no module resource")
def test_several_threads_share_one_budget(tmp_path: Path, tiny_model: Path, run_process: RunProcess) -> None:
    data = HEAVY["png: 49 MP of 16 bits"]()
    for i in range(8):
        (tmp_path / f"{i}.png").write_bytes(data)
    code = f"""
import json, sys
sys.path.append({str(Path(__file__).parent)!r})
from memory import peak
from crnnocr import ReadConfig, Recognizer
from pathlib import Path
files = sorted(Path(sys.argv[2]).iterdir())
texts = [one.error for one in Recognizer.load(sys.argv[1], "cpu").predict(files, read=ReadConfig(threads=4))]
print(json.dumps([texts, peak()]))
"""
    # The libraries alone take hundreds of megabytes.
    _, base = json.loads(run_process("-c", code, tiny_model, tiny_model.parent).stdout)
    texts, memory = json.loads(run_process("-c", code, tiny_model, tmp_path).stdout)
    assert texts == [None] * 8
    assert memory - base <= MAX_MEMORY


@pytest.mark.parametrize("directories", [1, 2])
def test_a_second_page_is_told_without_counting_all(directories: int, recwarn: pytest.WarningsRecorder) -> None:
    load_gray(tiff_chain(directories))
    assert len(recwarn) == directories - 1


def noise(height: int, width: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(1).integers(0, 256, (height, width), np.uint8))


@pytest.mark.parametrize("format", ["PNG", "JPEG"])
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "1", "CMYK", "I;16"])
def test_a_large_image_is_seen_reduced_at_its_own_places(mode: str, format: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if mode in {"PNG": ("CMYK",), "JPEG": ("RGBA", "P", "1", "I;16")}[format]:
        pytest.skip("there is no such image")
    drawn = Image.new("L", (800, 200), 255)
    drawn.paste(0, (0, 0, 400, 200))
    image = Image.fromarray(np.asarray(drawn).astype(np.uint16) * 257) if mode == "I;16" else drawn.convert(mode)
    file = io.BytesIO()
    image.save(file, format, **({"quality": 95} if format == "JPEG" else {}))
    preprocessor = Preprocessor(32, 16)
    whole = preprocessor.view(file.getvalue())
    monkeypatch.setattr(limits, "ENOUGH", 10_000)
    seen = preprocessor.view(file.getvalue())
    assert (seen.size, seen.length, seen.width) == (whole.size, whole.length, whole.width) == ((800, 200), 800, 128)
    assert seen.gray.width * seen.gray.height <= 10_000
    assert np.abs(seen.line.astype(int) - whole.line)[:, np.r_[:60, 68:128]].max() <= 3
    assert load_gray(file.getvalue()).size == (800, 200)


def test_a_large_vertical_line_has_its_own_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ENOUGH", 10_000)
    seen = Preprocessor(32, 16).view(noise(800, 200), View(Orientation.VERTICAL))
    assert (seen.size, seen.length, seen.width) == ((200, 800), 800, 128)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_exif_orientation_turns_the_place_of_every_pixel(orientation: int) -> None:
    from PIL import ImageOps

    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    noise(5, 8).save(file, "PNG", exif=exif)
    expected = ImageOps.exif_transpose(Image.open(file))
    assert np.array_equal(np.asarray(load_gray(file.getvalue())), np.asarray(expected))


@pytest.mark.parametrize("highest", [1, 100, 255, 1000, 65535])
@pytest.mark.parametrize("kind", [2, 3, 5, 6])
def test_a_pnm_is_scaled_by_its_highest_value(kind: int, highest: int) -> None:
    channels = 3 if kind in (3, 6) else 1
    values = np.random.default_rng(0).integers(0, highest + 1, (4, 7, 1)).repeat(channels, axis=2)
    values[0, 0], values[0, 1] = 0, highest
    body = values.astype(">u2" if highest > 255 else "u1").tobytes()
    if kind < 4:
        body = b"# digits\n" + " ".join(map(str, values.ravel())).encode()
    data = f"P{kind}\n7 4\n{highest}\n".encode() + body
    expected = np.round(values[:, :, 0] / highest * 255)
    assert np.abs(np.asarray(load_gray(data)).astype(int) - expected).max() <= 1


@pytest.mark.parametrize("body", [b"1 0 1\n0 1 0", b"101010", b"10 # ink\n1010"])
def test_the_ones_of_a_bitmap_in_digits_are_ink(body: bytes) -> None:
    assert np.asarray(load_gray(b"P1\n3 2\n" + body)).tolist() == [[0, 255, 0], [255, 0, 255]]


@pytest.mark.parametrize(
    "data", [pnm(2, 9, 9)[:-30], b"P2 2 1 9\n5 x", b"P2 2 1 9\n5 10", b"P1 2 1\n0 2", pnm(6, 5, 5, 9)[:-1]]
)
def test_a_damaged_pnm_is_an_error(data: bytes) -> None:
    with pytest.raises(ImageError):
        load_gray(data)


def test_a_bitmap_of_runs_is_read() -> None:
    assert load_gray(bmp_rle(1500, 900)).size == (1500, 900)


def test_images_wait_for_each_other_beyond_the_shared_memory() -> None:
    memory = limits.SharedMemory(100 * limits._FREE)
    under_way, most = 0, 0
    lock = threading.Lock()

    def decode(share: int) -> None:
        nonlocal under_way, most
        with memory.reserved(share * limits._FREE):
            with lock:
                under_way += share
                most = max(most, under_way)
            time.sleep(0.005)
            with lock:
                under_way -= share

    threads = [threading.Thread(target=decode, args=(share,)) for share in (60, 30, 50, 40, 99, 2) * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    assert 0 < most <= 100
    with memory.reserved(1000 * limits._FREE):  # more than there is: alone
        pass
