"""The exported page recognizes in a browser what `predict` does, requests nothing, and is complete or not there."""

from __future__ import annotations

import base64
import io
import json
import os
import random
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import chromium
import numpy as np
import pytest
from drawn import drawn
from PIL import Image
from typer.testing import Result

from crnnocr.config import ExportConfig, ExportFormat, ReadConfig
from crnnocr.errors import CrnnocrError, UsageError
from crnnocr.export import folder as exporting
from crnnocr.export import verify, web
from crnnocr.export.web import Runtime
from crnnocr.images import load_gray
from crnnocr.inference.recognizer import Prediction, Recognizer
from crnnocr.text import bidi

REAL = Path(__file__).parent / "data/real"
CROPS = sorted(path for path in REAL.iterdir() if path.suffix in (".png", ".jpg"))
LOSSLESS = [path for path in CROPS if path.suffix == ".png"]


def package(folder: Path, name: str = "onnxruntime-web") -> Path:
    """A folder that looks like an installed copy of the runtime."""
    (folder / "dist").mkdir(parents=True)
    (folder / "package.json").write_text(json.dumps({"name": name, "version": "1.2.3"}), encoding="utf-8")
    for file in ("ort.wasm.min.js", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm"):
        (folder / "dist" / file).write_bytes(file.encode())
    return folder


def test_an_installed_runtime_is_found_in_a_folder_above(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package(tmp_path / "node_modules/onnxruntime-web")
    (tmp_path / "deep/er").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "deep/er")
    found = web.find_runtime()
    assert (found.version, found.script, found.binary) == ("1.2.3", b"ort.wasm.min.js", b"ort-wasm-simd-threaded.wasm")


def test_a_runtime_is_taken_from_a_folder_or_an_archive(tmp_path: Path) -> None:
    folder = package(tmp_path / "package")
    with tarfile.open(tmp_path / "ort.tgz", "w:gz") as archive:
        archive.add(folder, "package")
    assert web.find_runtime(str(folder)) == web.find_runtime(str(tmp_path / "ort.tgz"))


def test_another_package_is_not_the_runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "no.tgz").write_bytes(b"no archive")
    for given, message in (
        (package(tmp_path / "other", "left-pad"), "this package is left-pad"),
        (tmp_path / "nowhere", "not a copy of onnxruntime-web"),
        (tmp_path / "no.tgz", "not an archive of onnxruntime-web"),
    ):
        with pytest.raises(UsageError, match=message):
            web.find_runtime(str(given))
    monkeypatch.setenv("PATH", "")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="npm install onnxruntime-web"):
        web.find_runtime()
    with pytest.raises(UsageError, match="npm is not installed"):
        web.find_runtime("npm")


def test_npm_fetches_the_runtime_or_says_why_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with tarfile.open(tmp_path / "ort.tgz", "w:gz") as archive:
        archive.add(package(tmp_path / "package"), "package")
    npm = tmp_path / "bin/npm"
    npm.parent.mkdir()
    npm.write_text(f'#!/bin/sh\n[ "$1 $2" = "pack onnxruntime-web@1" ] && /bin/cp {tmp_path}/ort.tgz "$4"\n', encoding="utf-8")
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", str(npm.parent))
    assert web.find_runtime("npm").version == "1.2.3"
    npm.write_text("#!/bin/sh\necho the registry is away >&2\nexit 1\n", encoding="utf-8")
    with pytest.raises(CrnnocrError, match="npm could not fetch onnxruntime-web@1: the registry is away"):
        web.find_runtime("npm")


@pytest.mark.parametrize("min_images", [50, pytest.param(verify.MIN_IMAGES, marks=pytest.mark.slow)])
@pytest.mark.usefixtures("current_model")
def test_the_command_writes_the_page(
    min_images: int, tiny_data: Path, tmp_path: Path, run_cli: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify, "MIN_IMAGES", min_images)
    monkeypatch.chdir(tmp_path)
    given = package(tmp_path / "copy")
    result = run_cli("export", "--format", "web", "--runtime", given, "--verify", tiny_data, "--json")
    assert result.exit_code == 0, result.stderr
    assert "runtime: onnxruntime-web 1.2.3" in result.stderr
    folder = tmp_path / "tiny-web"
    assert {path.name for path in folder.iterdir()} == {*web.FILES, "model.json", "README.md"}
    written = json.loads(result.stdout)
    assert written["path"] == "tiny-web/index.html"
    assert written["bytes"] == sum(path.stat().st_size for path in folder.iterdir())
    assert written["pictures"] == min_images


def test_runtime_is_for_pages_only(current_model: str, run_cli: Callable[..., Result]) -> None:
    result = run_cli("export", "--runtime", "npm")
    assert result.exit_code == 2
    assert "--runtime is for --format web" in result.stderr


def test_the_logical_order_is_that_of_the_library(tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs node")
    characters = "אבגדשלוםعربينص aBc0129٣٤۵.,:-+%$#°()[]«»/\u05b8\u064b\t\u00ad"
    rng = random.Random(4)
    texts = ["".join(rng.choices(characters, k=rng.randint(0, 14))) for _ in range(6000)]
    texts += ["".join(rng.choices("אب12٣ -%,()a", k=rng.randint(1, 10))) for _ in range(6000)]
    given = {"texts": texts, "model": web.directions(characters)}
    (tmp_path / "given.json").write_text(json.dumps(given), encoding="utf-8")
    script = (resources.files("crnnocr.export") / "web_files/direction.js").read_text(encoding="utf-8") + (
        'const given = JSON.parse(require("fs").readFileSync(process.argv[2], "utf8"));'
        "console.log(JSON.stringify(given.texts.map((text) => visualToLogical(text, given.model))));"
    )
    (tmp_path / "run.js").write_text(script, encoding="utf-8")
    done = subprocess.run([node, tmp_path / "run.js", tmp_path / "given.json"], capture_output=True, check=True, timeout=60)
    assert json.loads(done.stdout) == [bidi.visual_to_logical(text) for text in texts]


@pytest.fixture(scope="module")
def runtime() -> Runtime:
    try:
        return web.find_runtime(os.environ.get("ONNXRUNTIME_WEB"))
    except UsageError as error:
        pytest.skip(f"needs onnxruntime-web: {error}")


@pytest.fixture(scope="module")
def opened(
    browser: chromium.Chromium, runtime: Runtime, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> chromium.Chromium:
    """The page of the tiny model, ready to read, opened as a file."""
    folder = tmp_path_factory.mktemp("page") / "web"
    exporting.export(tiny_model, folder, ExportConfig(format=ExportFormat.WEB), runtime=runtime, min_images=8)
    browser.open((folder / "index.html").as_uri(), "document.body?.dataset.ready")
    assert browser.evaluate("document.body.dataset.ready") == "yes"
    return browser


@pytest.fixture(scope="module")
def predictions(tiny_model: Path) -> list[Prediction]:
    return list(Recognizer.load(tiny_model, "cpu").predict(CROPS, read=ReadConfig(quick=True)))


def test_the_page_reads_real_crops_as_predict_does(opened: chromium.Chromium, predictions: list[Prediction]) -> None:
    found = opened.readings(CROPS)
    for path, row, prediction in zip(CROPS, found, predictions, strict=True):
        assert row["text"] == prediction.text, path
        assert row["confidence"] == pytest.approx(prediction.confidence, abs=1e-3), path
        assert len(row["characters"]) == len(prediction.text)
        assert row["milliseconds"] > 0
    assert len(LOSSLESS) >= 25
    assert len({prediction.text for prediction in predictions}) > 10


def test_the_page_sees_colors_and_transparency_as_predict_does(opened: chromium.Chromium) -> None:
    mask = drawn("Total 49", ink=255, paper=0)
    for mode, ink, paper in (
        ("RGBA", (255, 255, 240, 255), (255, 255, 240, 0)),
        ("RGBA", (20, 0, 90, 255), (0, 0, 0, 0)),
        ("RGB", (255, 0, 0), (0, 130, 0)),
        ("RGB", (60, 60, 255), (120, 75, 0)),
        ("RGB", (120, 120, 120), (130, 128, 128)),
        ("RGB", (255, 255, 0), (200, 10, 30)),
    ):
        image = Image.new(mode, mask.size, paper)
        image.paste(ink, (0, 0), mask)
        file = io.BytesIO()
        image.save(file, "PNG")
        content = base64.b64encode(file.getvalue()).decode()
        seen = opened.evaluate(f"grayOf(new Blob([bytesOf('{content}')])).then(({{ gray }}) => Array.from(gray))")
        expected = np.asarray(load_gray(file.getvalue()), dtype=int).ravel()
        assert np.abs(np.array(seen) - expected).max() <= 2, (ink, paper)  # browsers keep colors multiplied by their opacity


@pytest.mark.parametrize(("event", "data"), [("DragEvent('drop'", "dataTransfer"), ("ClipboardEvent('paste'", "clipboardData")])
def test_an_image_can_be_dropped_or_pasted(
    event: str, data: str, opened: chromium.Chromium, predictions: list[Prediction]
) -> None:
    content = base64.b64encode(LOSSLESS[0].read_bytes()).decode()
    opened.evaluate(
        f"(() => {{ const {data} = new DataTransfer();"
        f"{data}.items.add(new File([bytesOf('{content}')], 'one.png', {{type: 'image/png'}}));"
        f"document.dispatchEvent(new {event}, {{{data}, bubbles: true, cancelable: true}})) }})()"
    )
    (row,) = opened.rows(1)
    assert row["text"] == predictions[CROPS.index(LOSSLESS[0])].text


def test_a_broken_image_is_reported_and_the_next_one_recognized(opened: chromium.Chromium, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no image")
    opened.choose("#files", [tmp_path / "broken.png", LOSSLESS[0]])
    opened.wait("document.querySelectorAll('li[data-reading]').length === 2")
    assert "This image cannot be read" in opened.evaluate("document.body.innerText")
    broken, read = opened.rows(2)
    assert broken["error"]
    assert "error" not in read


def test_the_page_requests_only_its_own_files(opened: chromium.Chromium) -> None:
    assert opened.requests
    assert {address.partition(":")[0] for address in opened.requests} <= {"file", "blob", "data"}
