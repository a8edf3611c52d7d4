"""The command line as people type it: stdout, stderr and the exit code."""

from __future__ import annotations

import json
import os
import pty
import re
import runpy
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cards import trained_card
from typer.testing import Result

from crnnocr import __version__
from crnnocr.datasets.detection import load_dataset
from crnnocr.images import load_gray
from crnnocr.model import registry

RunCli = Callable[..., Result]
RunProcess = Callable[..., subprocess.CompletedProcess[str]]

ROOT = Path(__file__).parents[1]
REAL = ROOT / "tests/data/real"

COMMANDS = ("synth", "train", "eval", "predict", "export", "models")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def crops(folder: Path, tiny_data: Path) -> list[str]:
    """Names of four images of several widths, and of a file between them that is no image, in the working folder."""
    names = ["a.png", "b.png", "broken.png", "c.png", "d.png"]
    for name, image in zip(names, sorted(tiny_data.glob("*.png")), strict=False):
        shutil.copy(image, folder / name)
    (folder / "broken.png").write_bytes(b"not a image")
    widths = {load_gray(folder / name).width for name in names if name != "broken.png"}
    assert len(widths) >= 3
    return names


@pytest.fixture
def reads(current_model: str, run_cli: RunCli) -> Callable[[object], str]:
    """The text that the current model gives for an image."""
    return lambda image: run_cli("predict", image).stdout.removesuffix("\n")


def rows(output: str) -> list[list[str]]:
    """The lines of an output, cut at their tabs."""
    return [line.split("\t") for line in output.splitlines()]


# Help and version


def test_help_loads_nothing_heavy(run_process: RunProcess) -> None:
    code = f"""
import sys
from typer.testing import CliRunner
from crnnocr.cli import app
for command in ("", *{COMMANDS}, "models import"):
    result = CliRunner().invoke(app, [*command.split(), "--help"], prog_name="crnnocr")
    assert result.exit_code == 0 and result.stdout.startswith("Usage: " + f"crnnocr {{command}}".strip()), result.output
print(*sorted({{"torch", "trdg", "onnx", "onnxruntime", "numpy", "PIL", "rich", "wordfreq", "faker"}} & sys.modules.keys()))
"""
    result = run_process("-c", code)
    assert (result.stderr, result.stdout) == ("", "\n")


def test_the_help_names_every_command(run_cli: RunCli) -> None:
    assert all(f"  {name} " in run_cli("--help").stdout for name in COMMANDS)


def test_importing_the_package_loads_no_torch(run_process: RunProcess) -> None:
    code = "import sys, crnnocr; print(crnnocr.__version__, 'torch' in sys.modules, 'numpy' in sys.modules)"
    assert run_process("-c", code).stdout == f"{__version__} False False\n"


def test_public_names_are_loaded_on_demand(run_process: RunProcess) -> None:
    code = "import crnnocr; print(*(getattr(crnnocr, name).__name__ for name in crnnocr.__all__ if name[0] != '_'))"
    assert run_process("-c", code).stdout == (
        "Alternative Character Charset CrnnocrError DecodeConfig Prediction ReadConfig Recognizer Sampler Style SynthConfig\n"
    )


def test_the_version(run_process: RunProcess) -> None:
    result = run_process("-m", "crnnocr", "--version")
    assert (result.returncode, result.stdout, result.stderr) == (0, f"crnnocr {__version__}\n", "")


# The lines of the README


def test_the_lines_of_the_readme_work_in_order(folder: Path, run_cli: RunCli) -> None:
    synth = run_cli("synth", "--count", 40, "--lang", "en", "--words", 1)
    assert (synth.exit_code, synth.stdout) == (0, "")
    assert len(list((folder / "data").glob("*.png"))) == 40

    train = run_cli("train", "data/", "--epochs", 1)
    assert (train.exit_code, train.stdout) == (0, "")
    assert registry.find(None).name == "data"

    evaluation = run_cli("eval", "data/")
    assert evaluation.exit_code == 0
    assert "character error rate (CER)" in evaluation.stdout

    shutil.copy(folder / "data" / "000000.png", folder / "crop.png")
    crop = run_cli("predict", "crop.png", "--beam", 5)
    assert (crop.exit_code, crop.stdout.count("\n")) == (0, 1)

    names = [f"data/{index:06d}.png" for index in range(10)]
    listed = run_cli("predict", "--files-from", "-", stdin="\n".join(names).encode())
    assert [row[0] for row in rows(listed.stdout)] == names

    export = run_cli("export")
    assert (export.exit_code, export.stdout) == (0, "")
    exported = run_cli("predict", "--model", "data-onnx", "--files-from", "-", stdin="\n".join(names).encode())
    assert exported.stdout == listed.stdout
    assert sorted(path.name for path in folder.iterdir()) == ["crop.png", "data", "data-onnx"]


# predict: what is read, in which order, and how it is printed


@pytest.mark.usefixtures("current_model")
def test_a_single_file_gives_just_its_text(tiny_data: Path, run_cli: RunCli) -> None:
    samples = load_dataset(tiny_data).samples[:8]  # which the model was overfitted to; a slip or two are left
    results = [run_cli("predict", sample.path) for sample in samples]
    assert sum(result.stdout == f"{sample.text}\n" for result, sample in zip(results, samples, strict=True)) >= 6
    assert {result.exit_code for result in results} == {0}
    assert {result.stderr for result in results} == {"model: tiny (the current one), by torch on cpu\n"}


def test_a_dash_takes_the_bytes_of_an_image(tiny_data: Path, reads: Callable[[object], str], run_cli: RunCli) -> None:
    image = tiny_data / "000000.png"
    assert run_cli("predict", "-", stdin=image.read_bytes()).stdout == reads(image) + "\n"


@pytest.mark.parametrize(
    ("arguments", "stdin"),
    [
        (("predict", "images"), b""),
        (("predict", "images/*.png"), b""),
        (("predict", "--files-from", "list.txt"), b""),
        (("predict", "--files-from", "-"), b"images/one.png\n"),
        (("predict", "--files-from", "-"), b"\r\n\nimages/one.png\r\n"),
        (("predict",), b"images/one.png"),
    ],
    ids=["folder", "glob", "list", "list on stdin", "with empty lines", "piped"],
)
def test_folders_globs_and_lists_give_path_and_text_even_for_one_image(
    arguments: tuple[str, ...], stdin: bytes, folder: Path, tiny_data: Path, reads: Callable[[object], str], run_cli: RunCli
) -> None:
    (folder / "images").mkdir()
    shutil.copy(tiny_data / "000000.png", folder / "images" / "one.png")
    (folder / "list.txt").write_text("images/one.png\n")
    result = run_cli(*arguments, stdin=stdin)
    assert (result.exit_code, result.stdout) == (0, f"images/one.png\t{reads('images/one.png')}\n")


def test_a_folder_is_read_in_natural_order(folder: Path, current_model: str, tiny_data: Path, run_cli: RunCli) -> None:
    for name in ("img10.png", "img2.png", "img1.PNG"):
        shutil.copy(tiny_data / "000000.png", folder / name)
    (folder / "notes.txt").write_text("not a image")
    assert [row[0] for row in rows(run_cli("predict", ".").stdout)] == ["img1.PNG", "img2.png", "img10.png"]


def test_rows_keep_the_order_with_several_widths_and_a_broken_image(
    crops: list[str], reads: Callable[[object], str], run_cli: RunCli
) -> None:
    result = run_cli("predict", "--json", *crops)
    predictions = [json.loads(line) for line in result.stdout.splitlines()]
    assert [prediction["path"] for prediction in predictions] == crops
    assert [list(prediction) for prediction in predictions] == [["path", "text", "confidence", "error"]] * 5
    good = [prediction for prediction in predictions if prediction["path"] != "broken.png"]
    assert [prediction["text"] for prediction in good] == [reads(prediction["path"]) for prediction in good]
    assert all(0 < prediction["confidence"] <= 1 and prediction["error"] is None for prediction in good)
    assert predictions[2] == {
        "path": "broken.png",
        "text": "",
        "confidence": 0.0,
        "error": "broken.png: not a readable image (its format is unknown)",
    }
    assert result.exit_code == 3
    assert "warning: broken.png: " in result.stderr
    assert "error: 1 of 5 " in result.stderr


@pytest.mark.usefixtures("current_model")
def test_a_broken_image_has_a_row_in_every_format(crops: list[str], run_cli: RunCli) -> None:
    assert rows(run_cli("predict", *crops).stdout)[2] == ["broken.png", ""]
    assert rows(run_cli("predict", *crops, "--format", "tsv").stdout)[3] == ["broken.png", "", ""]


def test_a_long_list_is_recognized_in_order_to_its_end(tiny_data: Path, current_model: str, run_cli: RunCli) -> None:
    names = [str(tiny_data / f"{index % 40:06d}.png") for index in range(150)]  # more than two windows of 64
    result = run_cli("predict", stdin="\n".join(names).encode())
    assert [row[0] for row in rows(result.stdout)] == names


def test_tsv_has_a_header_and_escapes_control_characters(
    folder: Path, tiny_data: Path, reads: Callable[[object], str], run_cli: RunCli
) -> None:
    odd = "tab\there\nand \\ \x1b there.png"
    shutil.copy(tiny_data / "000000.png", folder / odd)
    result = run_cli("predict", odd, "--format", "tsv")
    header, row = rows(result.stdout)
    assert header == ["path", "text", "confidence"]
    assert row[:2] == ["tab\\there\\nand \\\\ \\x1b there.png", reads(odd)]
    assert 0 < float(row[2]) <= 1


@pytest.mark.usefixtures("current_model")
def test_a_file_name_that_is_not_utf8_keeps_its_bytes(folder: Path, tiny_data: Path, run_cli: RunCli) -> None:
    name = b"caf\xe9.png"
    shutil.copy(tiny_data / "000000.png", os.fsdecode(name))
    assert run_cli("predict", stdin=name).stdout_bytes.startswith(name + b"\t")


@pytest.mark.usefixtures("current_model")
@pytest.mark.parametrize("arguments", [("broken.png",), ("broken.png", "missing.png"), ("missing.png",)])
def test_if_no_image_can_be_read_predict_fails(arguments: tuple[str, ...], crops: list[str], run_cli: RunCli) -> None:
    result = run_cli("predict", *arguments)
    assert result.exit_code == 1
    assert result.stderr.count("warning: ") == len(arguments)


@pytest.mark.usefixtures("current_model")
def test_a_missing_file_is_reported_as_missing(folder: Path, run_cli: RunCli) -> None:
    result = run_cli("predict", "missing.png")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "missing.png: " in result.stderr


@pytest.mark.usefixtures("current_model")
def test_an_empty_list_is_a_failure(folder: Path, run_cli: RunCli) -> None:
    result = run_cli("predict", "--files-from", "-", stdin=b"\n")
    assert (result.exit_code, result.stdout) == (1, "")


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
def test_without_arguments_on_a_terminal_predict_says_what_it_needs(run_process: RunProcess) -> None:
    keyboard, terminal = pty.openpty()
    result = run_process("-m", "crnnocr", "predict", stdin=terminal)
    os.close(terminal)
    os.close(keyboard)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == "error: name images, folders or globs, or pipe in a list of paths; see crnnocr predict --help\n"


# eval


@pytest.mark.usefixtures("current_model")
def test_eval_scores_only_images_that_the_model_was_not_trained_on(tiny_data: Path, run_cli: RunCli) -> None:
    result = run_cli("eval", tiny_data, "--json")
    scores = json.loads(result.stdout)
    names = {"n", "mean_levenshtein", "cer", "wer", "exact", "one_minus_ned", "alnum_accuracy", "model"}
    assert result.exit_code == 0
    assert set(scores) >= names
    assert (scores["n"], scores["model"]) == (32, "tiny")
    assert (scores["trained_on"], "(--all)" in result.stderr) == (8, True)


@pytest.mark.usefixtures("current_model")
def test_eval_with_all_scores_training_images_too(tiny_data: Path, run_cli: RunCli) -> None:
    held_out, everything = (json.loads(run_cli("eval", tiny_data, "--json", *more).stdout) for more in ((), ("--all",)))
    assert everything["n"] == 40
    assert everything["exact"] > held_out["exact"]  # it was overfitted to the others


@pytest.mark.usefixtures("current_model")
def test_eval_identifies_an_image_by_its_content(folder: Path, tiny_data: Path, run_cli: RunCli) -> None:
    shutil.copy(tiny_data / "000000.png", folder / "renamed.png")
    (folder / "labels.csv").write_text("file_name,text\nrenamed.png,tabularize\n")
    result = run_cli("eval", ".")
    assert result.exit_code == 1
    assert "tiny was trained on all of ." in result.stderr


@pytest.mark.usefixtures("current_model")
def test_eval_with_a_broken_image_is_done_in_part(crops: list[str], folder: Path, run_cli: RunCli) -> None:
    (folder / "labels.tsv").write_text("".join(f"{name}\tword\n" for name in crops))
    result = run_cli("eval", "labels.tsv", "--all", "--json")
    assert result.exit_code == 3
    assert (json.loads(result.stdout)["n"], json.loads(result.stdout)["unreadable"]) == (4, 1)
    assert "broken.png" in result.stderr


# Names of models


def test_a_taken_name_becomes_the_next_free_one(tiny_data: Path, tiny_preset: str, run_cli: RunCli) -> None:
    train = ("train", tiny_data, "--preset", tiny_preset, "--epochs", 1)
    assert run_cli(*train).exit_code == 0
    again = run_cli(*train, "--json")
    assert "data-2" in again.stderr
    assert json.loads(again.stdout)["model"] == "data-2"
    assert registry.find(None).name == "data-2"
    assert json.loads(run_cli(*train, "--json", "--force", "--seed", 9).stdout)["model"] == "data"
    assert registry.own_names() == ["data", "data-2"]
    assert trained_card(registry.find(None).path)[1].config["seed"] == 9


def test_a_model_is_named_after_its_data_folder(folder: Path, tiny_data: Path, tiny_preset: str, run_cli: RunCli) -> None:
    shutil.copytree(tiny_data, folder / "plates-2024.05")
    result = run_cli("train", "plates-2024.05", "--preset", tiny_preset, "--epochs", 1, "--json")
    assert json.loads(result.stdout)["model"] == "plates-2024.05"


def test_training_on_a_folder_called_current(folder: Path, tiny_data: Path, tiny_preset: str, run_cli: RunCli) -> None:
    shutil.copytree(tiny_data, folder / "current")
    result = run_cli("train", "current", "--preset", tiny_preset, "--epochs", 1)
    assert result.exit_code == 0, result.stderr
    assert run_cli("predict", "current/000000.png").exit_code == 0


@pytest.mark.parametrize("arguments", [("predict", "x.png"), ("export",), ("eval", "data")])
def test_without_a_model_the_error_says_how_to_make_one(
    arguments: tuple[str, ...], folder: Path, tiny_data: Path, run_cli: RunCli
) -> None:
    (folder / "data").symlink_to(tiny_data)
    result = run_cli(*arguments)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "error: there is no model yet: make one with `crnnocr train DATA`" in result.stderr


def test_an_unknown_model_is_an_error_that_lists_the_models(folder: Path, current_model: str, run_cli: RunCli) -> None:
    result = run_cli("predict", "x.png", "--model", "plates")
    assert result.exit_code == 1
    assert "no model plates" in result.stderr
    assert "(tiny)" in result.stderr


# export


@pytest.mark.usefixtures("current_model")
def test_export_replaces_files_only_with_force(folder: Path, run_cli: RunCli) -> None:
    there = folder / "tiny-onnx"
    there.mkdir()
    for name in ("README.md", "notes.txt"):
        (there / name).write_text("somebody's", encoding="utf-8")
    stopped = run_cli("export")
    assert stopped.exit_code == 2
    assert "README.md" in stopped.stderr
    assert {path.read_text(encoding="utf-8") for path in there.iterdir()} == {"somebody's"}
    assert run_cli("export", "--force").exit_code == 0
    assert (there / "README.md").read_text(encoding="utf-8").startswith("# tiny\n")
    assert (there / "notes.txt").read_text(encoding="utf-8") == "somebody's"


def test_an_exported_model_gives_the_same_texts(folder: Path, current_model: str, tiny_data: Path, run_cli: RunCli) -> None:
    result = run_cli("export", "--output", "handed-over", "--json")
    assert json.loads(result.stdout)["path"] == "handed-over/model.onnx"
    readings = [run_cli("predict", tiny_data, *more).stdout for more in ((), ("--model", "handed-over/model.onnx"))]
    assert readings[0] == readings[1]
    assert sum(bool(text) for _, text in rows(readings[0])) >= 8


# Calls that cannot work


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("train", "data", "--preset", "huge"), "--preset takes tiny, small, base or classic, not huge"),
        (("train", "data", "--epochs", 1, "--minutes", 1), "give only one of --epochs, --steps and --minutes"),
        (("train", "data", "--steps", 0), "--steps"),
        (("train", "data", "--batch-size", "many"), "--batch-size many: give a number, or auto"),
        (("train", "data", "--mix", 1), "--mix"),
        (("train", "data", "--augment", -1), "--augment"),
        (("train", "data", "--freeze"), "--freeze"),
        (("train", "data", "--synth", "en:gothic"), "--synth en:gothic: the style is one of"),
        (("train", "data", "--resume"), "--resume: no interrupted run has the same data and options: there are none"),
        (("train", "data", "--epochs", 0), "--epochs"),
        (("train", "data", "--minutes", -1), "--minutes"),
        (("train", "data", "--batch-size", 0), "--batch-size"),
        (("train", "data", "--name", "a/b"), "--name"),
        (("train", "data", "--device", "cuda"), "--device cuda: this machine has none"),
        (("train",), "--synth"),
        (("synth", "--words", "x"), "--words x"),
        (("synth", "--words", "3-1"), "--words 3-1: the smaller number comes first, so write 1-3"),
        (("synth", "--count", 0), "--count"),
        (("synth", "--count", "many"), "--count"),
        (("synth", "--lang", "klingon"), "--lang klingon"),
        (("synth", "--lang", ","), "--lang"),
        (("synth", "--chars", "9-"), "--chars 9-"),
        (("synth", "--charset", ""), "--charset"),
        (("synth", "--workers", 0), "--workers"),
        (("synth", "--seed", -1), "--seed"),
        (("predict", "data/000000.png", "--beam", -1), "--beam"),
        (("predict", "data/000000.png", "--device", "cuda"), "--device cuda: this machine has none"),
        (("predict", "data/000000.png", "--device", "abacus"), "--device takes auto, cuda, mps or cpu, not abacus"),
        (("predict", "data/000000.png", "--format", "xml"), "--format"),
        (("predict", "-", "--files-from", "-"), "stdin can be read only once"),
        (("predict", "--files-from", "none.txt"), "none.txt"),
        (("eval", "data", "--device", "cuda"), "--device cuda: this machine has none"),
        (("export", "--output", "model.onnx"), "--output model.onnx: name a folder"),
        (("export", "--format", "pickle"), "--format"),
        (("export", "--precision", "int4"), "--precision"),
        (("export", "--orientation", "auto"), "--orientation takes horizontal or vertical"),
        (("export", "--format", "web", "--runtime", "nowhere"), "--runtime nowhere"),
        (("deploy",), "deploy"),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, tuple) else None,
)
@pytest.mark.usefixtures("current_model")
def test_a_call_that_cannot_work_ends_with_2_and_names_the_option(
    arguments: tuple[object, ...], named: str, folder: Path, tiny_data: Path, run_cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    (folder / "data").symlink_to(tiny_data)
    (folder / "empty").mkdir()
    result = run_cli(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert named in result.stderr
    assert "Traceback" not in result.stderr


def test_an_unknown_device_is_a_usage_error_for_an_exported_model_too(
    folder: Path, current_model: str, tiny_data: Path, run_cli: RunCli
) -> None:
    run_cli("export")
    result = run_cli("predict", tiny_data / "000000.png", "--model", "tiny-onnx", "--device", "abacus")
    assert result.exit_code == 2
    assert "--device abacus" in result.stderr


def test_an_error_is_one_sentence_with_a_traceback_only_for_debug(folder: Path, run_cli: RunCli) -> None:
    result = run_cli("eval", "nowhere")
    assert (result.exit_code, result.stderr) == (1, "error: nowhere: there is no such file or folder\n")
    shown = run_cli("eval", "nowhere", "--debug")
    assert shown.exit_code == 1
    assert shown.stderr.startswith("Traceback")
    assert shown.stderr.endswith(result.stderr)


def test_a_system_error_is_one_sentence_too(folder: Path, run_cli: RunCli) -> None:
    (folder / "file").write_text("in the way")
    result = run_cli("synth", "file/data", "--count", 1)
    assert result.exit_code in (1, 2)
    assert result.stderr.count("\n") == 1
    assert "file/data" in result.stderr
    assert ".part" not in result.stderr


# Streams


def test_stdout_has_results_only_and_stderr_no_colors_or_bars(folder: Path, tiny_preset: str, run_cli: RunCli) -> None:
    synth = run_cli("synth", "--count", 12, "--words", 1)
    train = run_cli("train", "data", "--preset", tiny_preset, "--epochs", 2)
    assert (synth.stdout, train.stdout) == ("", "")
    for result in (synth, train, run_cli("eval", "data"), run_cli("predict", "none.png"), run_cli("export")):
        assert "\x1b" not in result.output
        assert "\r" not in result.output
        assert "━" not in result.stderr


def test_quiet_leaves_warnings_and_errors(folder: Path, tiny_preset: str, run_cli: RunCli) -> None:
    calls = [
        ("synth", "--count", 12, "--words", 1),
        ("train", "data", "--preset", tiny_preset, "--epochs", 1),
        ("eval", "data"),
        ("predict", "data"),
        ("export",),
    ]
    results = [run_cli(*call, "--quiet") for call in calls]
    assert [result.exit_code for result in results] == [0] * 5
    trained = results.pop(1)
    assert [result.stderr for result in results] == [""] * 4
    assert trained.stderr.startswith("warning: ")  # two epochs are too few
    assert trained.stderr.count("\n") == 1
    assert "warning: none.png: there is no such file" in run_cli("predict", "none.png", "--quiet").stderr


def keys(value: object) -> set[str]:
    """The keys of a JSON value, and of those in it, except those that are characters or names of scores."""
    if isinstance(value, list):
        return {key for each in value for key in keys(each)}
    if not isinstance(value, dict):
        return set()
    return set(value) | {key for name, each in value.items() if name != "intervals" for key in keys(each) if len(key) > 1}


def test_json_is_one_line_on_stdout_whose_keys_are_documented(folder: Path, tiny_preset: str, run_cli: RunCli) -> None:
    page = (ROOT / "docs/commands.md").read_text(encoding="utf-8")
    sections = {section.partition("`")[0]: section for section in page.split("\n### `")[1:]}
    for call in (
        ("synth", "--count", 12, "--words", 1),
        ("synth", "--count", 12, "--words", 1, "--dry-run"),
        ("synth", "--count", 12, "--words", 1, "--preview", "x.png"),
        ("train", "data", "--check"),
        ("train", "data", "--preset", tiny_preset, "--epochs", 1),
        ("eval", "data", "--compare", "--beam 2"),
        ("predict", "data/000000.png", "--characters", "--top-k", 2),
        ("export",),
        ("models",),
    ):
        result = run_cli(*call, "--json")
        assert result.stdout.count("\n") == 1, result.stderr
        found = keys(json.loads(result.stdout))
        section = sections[str(call[0])] + (sections["eval"] if call[0] == "train" else "")
        assert found
        assert found <= set(re.findall(r"`(\w+)`", section)), call


def shown_on_a_terminal(*arguments: str) -> str:
    """Return what `crnnocr ARGUMENTS` writes to stderr if that is a terminal."""
    screen, terminal = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color"}
    command = [sys.executable, "-m", "crnnocr", *arguments]
    subprocess.run(command, stderr=terminal, stdout=subprocess.DEVNULL, env=environment, check=False, timeout=60)
    os.close(terminal)
    shown = os.read(screen, 10_000).decode()
    os.close(screen)
    return shown


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
def test_errors_are_colored_on_a_terminal_unless_no_color_is_set(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\x1b[31merror: nowhere" in shown_on_a_terminal("eval", "nowhere")
    monkeypatch.setenv("NO_COLOR", "1")
    assert shown_on_a_terminal("eval", "nowhere") == "error: nowhere: there is no such file or folder\r\n"


@pytest.mark.skipif(sys.platform == "win32", reason="there are no closed pipes to write to")
@pytest.mark.parametrize(
    "command",
    ["predict", pytest.param("eval", marks=pytest.mark.slow), pytest.param("eval --json", marks=pytest.mark.slow)],
)
@pytest.mark.usefixtures("current_model")
def test_a_closed_pipe_ends_quietly(command: str, tiny_data: Path) -> None:
    assert written_to_a_closed_pipe(*command.split(), str(tiny_data), "--quiet") == (0, "")


@pytest.mark.skipif(sys.platform == "win32", reason="there are no closed pipes to write to")
@pytest.mark.parametrize(
    "form", [pytest.param("", marks=pytest.mark.slow), pytest.param("--json", marks=pytest.mark.slow), "--tsv"]
)
@pytest.mark.usefixtures("current_model")
def test_the_gate_counts_even_if_nobody_reads_the_result(form: str, tiny_data: Path) -> None:
    code, said = written_to_a_closed_pipe("eval", str(tiny_data), "--max-cer", "0.05", "--quiet", *form.split())
    assert code == 4
    assert "--max-cer" in said


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there are no closed pipes to write to")
@pytest.mark.usefixtures("current_model")
def test_the_gate_counts_even_if_nobody_reads_messages(tiny_data: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_data, tmp_path / "data")
    (tmp_path / "data" / "more.png").touch()  # the first message is plain, and the warning after it in color
    for folder in (tiny_data, tmp_path / "data"):
        assert written_to_a_closed_pipe("eval", str(folder), "--max-cer", "0.05", stderr=subprocess.STDOUT)[0] == 4


def written_to_a_closed_pipe(*arguments: str, stderr: int = subprocess.PIPE) -> tuple[int, str]:
    """The exit code of `crnnocr ARGUMENTS` if the reader of stdout has gone, and what is on stderr."""
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "crnnocr", *arguments]
    result = subprocess.run(command, stdout=writer, stderr=stderr, encoding="utf-8", check=False, timeout=60)
    os.close(writer)
    return result.returncode, result.stderr


# Ctrl-C


@pytest.fixture
def started() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts `crnnocr ARGUMENTS` in a process that Ctrl-C can reach, whoever runs the tests and how."""
    processes: list[subprocess.Popen[str]] = []
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a child does not inherit this, but would "ignore"

    def start(*arguments: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "crnnocr", *map(str, arguments)]
        processes.append(subprocess.Popen(command, stderr=subprocess.PIPE, encoding="utf-8"))
        return processes[-1]

    yield start
    signal.signal(signal.SIGINT, before)
    for process in processes:
        process.kill()
        process.communicate()


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is no signal there")
def test_an_interrupted_training_changes_no_model(
    tiny_data: Path, current_model: str, own_registry: Path, started: Callable[..., subprocess.Popen[str]]
) -> None:
    (own_registry / "runs").mkdir(exist_ok=True)
    before = sorted(own_registry.rglob("*"))
    process = started("train", tiny_data, "--preset", "tiny", "--minutes", 1, "--name", "fresh")
    assert process.stderr is not None
    assert any(line.startswith("step ") for line in process.stderr)  # after the first validation
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    end = said.splitlines()[-1]
    assert end.startswith("interrupted: ")
    assert "--resume" in end
    assert "fresh" in end
    assert [path for path in sorted(own_registry.rglob("*")) if "fresh" not in path.parts] == before
    assert registry.find(None).name == current_model


def test_eval_of_the_real_crops_names_the_characters_that_the_model_does_not_know(current_model: str, run_cli: RunCli) -> None:
    result = run_cli("eval", REAL, "--json", "--verbose")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["n"] == 32
    # Each says what it is and where: the words of the tiny data set hold no digits.
    assert f"{current_model} cannot read characters that it does not know: " in result.stderr
    assert "'2' (U+0032 DIGIT TWO) in 5 files (baiona-03.png, " in result.stderr


@pytest.mark.usefixtures("folder", "current_model")
def test_the_onnx_example_gives_the_same_texts_as_predict(run_cli: RunCli) -> None:
    assert run_cli("export", "-o", "x").exit_code == 0
    recognize = runpy.run_path(str(ROOT / "docs/examples/read_onnx.py"))["recognize"]
    for image in sorted(REAL.glob("*.png")):
        assert run_cli("predict", image, "--quick").stdout == recognize("x/model.onnx", str(image)) + "\n"


@pytest.mark.usefixtures("folder", "current_model")
def test_a_dash_in_a_list_is_a_file_name(tiny_data: Path, run_cli: RunCli) -> None:
    names = [str(tiny_data / "000000.png"), "-", str(tiny_data / "000001.png")]
    result = run_cli("predict", "--format", "jsonl", stdin="\n".join(names).encode())
    assert [json.loads(line)["error"] is None for line in result.stdout.splitlines()] == [True, False, True]


@pytest.mark.usefixtures("current_model")
def test_paths_in_text_rows_are_not_escaped(folder: Path, tiny_data: Path, run_cli: RunCli) -> None:
    shutil.copy(tiny_data / "000000.png", folder / "back\\slash.png")
    result = run_cli("predict", "--files-from", "-", stdin=b"back\\slash.png")
    assert result.stdout.startswith("back\\slash.png\t")


@pytest.mark.parametrize(
    "arguments",
    [
        ("synth", "--preview", "x.jpg"),
        ("synth", "--seed", 5_000_000_000),
        ("train", "data", "--seed", 5_000_000_000),
        ("train", "data", "--name", "scratch"),
        ("predict", "x.png", "--json", "--format", "tsv"),
        ("predict", "--files-from", "missing.txt", "--format", "tsv"),
    ],
)
def test_contradicting_options_are_a_usage_error_before_anything_is_printed(
    arguments: tuple[object, ...], folder: Path, run_cli: RunCli
) -> None:
    (folder / "x.txt").write_text("a line")
    result = run_cli(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")


@pytest.mark.parametrize(
    ("argument", "named"), [("nothing/*.png", "no file fits nothing/*.png"), ("empty", "empty holds no images")]
)
@pytest.mark.usefixtures("current_model")
def test_no_image_at_all_is_a_failure(argument: str, named: str, folder: Path, run_cli: RunCli) -> None:
    (folder / "empty").mkdir()
    result = run_cli("predict", argument)
    assert result.exit_code == 1
    assert named in result.stderr
