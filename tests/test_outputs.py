"""Outputs that would destroy something are refused, and a closed stdout is one sentence."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import Result

RunCli = Callable[..., Result]
RunProcess = Callable[..., subprocess.CompletedProcess[str]]

pytestmark = pytest.mark.usefixtures("current_model")


@pytest.fixture
def crops(tmp_path: Path) -> Path:
    folder = tmp_path / "crops"
    folder.mkdir()
    for name in ("a.png", "b.png", "c.png"):
        Image.new("L", (40, 16), 255).save(folder / name)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_an_output_that_the_shell_has_made_of_a_glob_overwrites_no_image(crops: Path, run_cli: RunCli) -> None:
    before = contents(crops)
    for resume in ((), ("--resume",)):
        result = run_cli("predict", "-o", *sorted(crops.glob("*.png")), *resume)
        assert result.exit_code == 2
        assert "a.png is the name of an image" in result.stderr
    assert contents(crops) == before


@pytest.mark.parametrize("name", ["new.jpg", "new.HEIC", "new.pdf"])
def test_rows_are_not_called_an_image(name: str, crops: Path, run_cli: RunCli) -> None:
    assert run_cli("predict", crops, "-o", crops.parent / name).exit_code == 2
    assert not (crops.parent / name).exists()


def test_a_file_that_holds_no_rows_is_not_overwritten(crops: Path, tiny_model: Path, run_cli: RunCli, tmp_path: Path) -> None:
    others = {
        "image": (crops / "a.png").read_bytes(),
        "weights": tiny_model.read_bytes(),
        "words.txt": b"one\ntwo\n",
        "metadata.jsonl": b'{"file_name": "a.png", "text": "word"}\n',
    }
    for name, content in others.items():
        (tmp_path / name).write_bytes(content)
        result = run_cli("predict", crops, "-o", tmp_path / name, "--format", "jsonl")
        assert (result.exit_code, (tmp_path / name).read_bytes()) == (2, content)
    assert run_cli("predict", crops, "-o", crops).exit_code == 2


@pytest.mark.parametrize("format", ["text", "tsv", "jsonl"])
def test_rows_replace_rows_of_any_format(format: str, crops: Path, run_cli: RunCli, tmp_path: Path) -> None:
    output = tmp_path / "rows"
    assert run_cli("predict", crops, "-o", output, "--format", format).exit_code == 0
    assert run_cli("predict", crops, "-o", output, "--format", "tsv").exit_code == 0
    assert output.read_text(encoding="utf-8").startswith("path\ttext\tconfidence\n")


def test_drawings_do_not_go_where_images_are_read(crops: Path, run_cli: RunCli) -> None:
    before = contents(crops)
    assert run_cli("predict", crops, "--draw", crops).exit_code == 2
    assert run_cli("predict", crops, "-r", "--draw", crops / "drawn").exit_code == 2
    assert run_cli("predict", crops, "--draw", crops / "a.png").exit_code == 2
    assert contents(crops) == before
    assert run_cli("predict", crops, "--draw", crops / "drawn").exit_code == 0


def test_a_sheet_replaces_a_sheet_and_no_other_image(
    crops: Path, run_cli: RunCli, plain_options: list[str], tmp_path: Path
) -> None:
    before = (crops / "a.png").read_bytes()
    assert run_cli("synth", "--preview", crops / "a.png", "-n", 1, *plain_options).exit_code == 2
    assert (crops / "a.png").read_bytes() == before
    for _ in range(2):
        assert run_cli("synth", "--preview", tmp_path / "sheet.png", "-n", 1, *plain_options).exit_code == 0


PRINTING = (
    ("predict", "crops"),
    ("predict", "crops/a.png", "--json"),
    ("models",),
    ("models", "path", "tiny"),
    ("models", "show", "tiny", "--json"),
    ("synth", "set", "--dry-run", "-n", "1"),
    ("eval", "DATA", "--all", "--report", "page.html"),
    ("--help",),
    ("--version",),
)


@pytest.mark.skipif(os.name == "nt", reason="there is no >&-")
@pytest.mark.parametrize("arguments", PRINTING, ids=" ".join)
def test_a_closed_stdout_is_one_sentence(
    arguments: tuple[str, ...], crops: Path, tiny_data: Path, run_process: RunProcess
) -> None:
    given = [str(tiny_data) if argument == "DATA" else argument for argument in arguments]
    closed = "import os, sys; os.close(1); os.execv(sys.executable, [sys.executable, '-m', 'crnnocr', *sys.argv[1:]])"
    done = run_process("-c", closed, *given, cwd=crops.parent)
    assert done.returncode == 1
    assert [line for line in done.stderr.splitlines() if line.startswith("error: ")] == [done.stderr.splitlines()[-1]]
    assert "stdout is closed" in done.stderr
    assert "Traceback" not in done.stderr
    assert (crops.parent / "page.html").exists() == ("--report" in arguments)  # what is asked for in a file is there


@pytest.mark.skipif(os.name == "nt", reason="there is no >&-")
def test_with_all_streams_closed_a_file_is_written_all_the_same(crops: Path, run_process: RunProcess, tmp_path: Path) -> None:
    closed = (
        "import os, sys; os.close(0); os.close(1); os.close(2);"
        "os.execv(sys.executable, [sys.executable, '-m', 'crnnocr', *sys.argv[1:]])"
    )
    assert run_process("-c", closed, "predict", crops, "-o", tmp_path / "rows.tsv").returncode == 0
    assert (tmp_path / "rows.tsv").read_text(encoding="utf-8").count("\n") == 4
