"""Names, labels and cards from elsewhere are shown as text: on a terminal, in Markdown, in rows."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from typer.testing import Result

from crnnocr.cli.console import session
from crnnocr.config import ExportConfig
from crnnocr.datasets.detection import load_dataset
from crnnocr.export import folder as exporting
from crnnocr.export import verify
from crnnocr.export.verify import from_samples
from crnnocr.model import checkpoint

RunCli = Callable[..., Result]

HOSTILE = "x\x1b]0;owned\x07\x1b[2J\x9b1A\u202egnp\u2066"
DANGEROUS = set("\x1b\x07\x9b\u202e\u2066\u2028\r")

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="its file systems have no such names")


def is_harmless(result: Result) -> bool:
    """Whether nothing of an answer controls a terminal."""
    return not DANGEROUS & set(result.stdout + result.stderr)


@pytest.fixture
def hostile(tmp_path: Path, tiny_data: Path, current_model: str) -> Path:
    """A folder of data sets whose folders, file names and labels are hostile; one image is broken."""
    part = tmp_path / f"{HOSTILE}part"
    part.mkdir()
    records = []
    other = PngInfo()
    other.add_text("Comment", "another file")
    for i, source in enumerate(sorted(tiny_data.glob("*.png"))[:6]):
        name = f"{part.name}/{HOSTILE}\n{i}.png"
        with Image.open(source) as image:  # another file, which the model was not trained on
            image.save(tmp_path / name, compress_level=1, pnginfo=other)
        records.append({"file_name": name, "text": f"{i}{HOSTILE}" if i else "0"})
    (tmp_path / part.name / f"{HOSTILE}broken.png").write_bytes(b"nothing")
    records.append({"file_name": f"{part.name}/{HOSTILE}broken.png", "text": "1"})
    records.append({"file_name": f"{HOSTILE}absent.png", "text": "1"})
    (tmp_path / "metadata.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("format", ["text", "tsv", "jsonl"])
def test_rows_of_predict_are_harmless_and_name_the_images(format: str, hostile: Path, run_cli: RunCli) -> None:
    result = run_cli("predict", hostile, "--recursive", "--format", format, "--verbose")
    assert result.exit_code == 3
    assert is_harmless(result)
    if format == "jsonl":
        paths = [json.loads(line)["path"] for line in result.stdout.splitlines()]
        assert sorted(paths) == sorted(str(path) for path in hostile.rglob("*.png"))


@pytest.mark.parametrize("options", [(), ("--tsv",), ("--json",)])
def test_evaluations_are_harmless(options: tuple[str, ...], hostile: Path, run_cli: RunCli) -> None:
    result = run_cli("eval", hostile, *options, "--verbose")
    assert result.exit_code in (0, 3)
    assert is_harmless(result)


def test_an_inspection_before_training_is_harmless(hostile: Path, run_cli: RunCli) -> None:
    result = run_cli("train", hostile, "--check", "--verbose")
    assert is_harmless(result)
    assert "absent.png" in result.stderr + result.stdout


def test_errors_and_messages_are_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with session() as now:
        now.print(f"read {HOSTILE}\nerror: forged")
    assert not DANGEROUS & set(shown := capsys.readouterr().err)
    assert shown.count("\n") == 1


def test_a_name_in_a_readme_is_text(tiny_model: Path, tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "MIN_IMAGES", 4)
    name = "<img src=x onerror=alert(1)> [click](javascript:alert(1)) `x`\n# Mine | a | \x1b[2J"
    model = tmp_path / "model.safetensors"
    card, network = checkpoint.load(tiny_model)
    checkpoint.save(model, replace(card, name=name), network, [])
    exporting.export(model, tmp_path / "out", ExportConfig(), from_samples(load_dataset(tiny_data).samples[:8]), min_images=4)
    first, *others = (tmp_path / "out/README.md").read_text(encoding="utf-8").splitlines()
    assert first.startswith(r"# \<img src=x onerror=alert\(1\)\>")
    assert "](" not in first
    assert not any(line.startswith("# ") for line in others)
    assert "\x1b" not in first
