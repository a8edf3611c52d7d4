"""`crnnocr train` as it is typed: several sources, issues, start models, synthetic images, and a run that is resumed."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest
from cards import trained_card
from PIL import Image
from synthetic_sets import few
from typer.testing import Result

from crnnocr.cli import train as train_module
from crnnocr.config import ModelConfig
from crnnocr.errors import GateError
from crnnocr.export import folder as exporting
from crnnocr.model import checkpoint, registry
from crnnocr.text.charset import Charset
from crnnocr.training import resume
from crnnocr.training.stages import Order

RunCli: TypeAlias = Callable[..., Result]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_several_sources_are_one_and_val_is_the_validation_split(
    folder: Path, tiny_data: Path, tiny_preset: str, run_cli: RunCli
) -> None:
    few(tiny_data, folder / "a", 0, 15)
    few(tiny_data, folder / "b", 15, 30)
    few(tiny_data, folder / "v", 28, 40)  # two of them are trained on too
    result = run_cli("train", "a", "b", "--val", "v", "--preset", tiny_preset, "--steps", 2, "--verbose")
    assert result.exit_code == 0, result.stderr
    assert "a/metadata.jsonl: 15 labeled images" in result.stderr
    assert "v/metadata.jsonl: 12 labeled images to validate on" in result.stderr
    assert "30 images to train on, 10 held out" in result.stderr
    card, record = trained_card(registry.path_of("a"))
    assert [source.samples for source in record.data.sources] == [15, 15]
    assert card.scores
    assert card.scores.n == 10


def test_check_shows_issues_and_trains_nothing(folder: Path, tiny_data: Path, run_cli: RunCli) -> None:
    few(tiny_data, folder / "data", 0, 10)
    (folder / "data/000003.png").write_bytes(b"broken")
    result = run_cli("train", "data", "--check", "--json")
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert (found["samples"], found["fatal"]) == (9, False)
    [broken] = [finding for finding in found["findings"] if finding["kind"] == "unreadable-picture"]
    assert (broken["severity"], broken["count"]) == ("set-aside", 1)
    assert "000003.png" in broken["places"][0]["path"]
    assert "000003.png" in result.stderr
    assert "warning: 1 excluded: " in result.stderr
    assert "[unreadable-picture]" in result.stderr
    assert registry.own_names() == []


def test_check_ends_with_1_if_training_cannot_begin(folder: Path, run_cli: RunCli) -> None:
    (folder / "data").mkdir()
    Image.new("L", (20, 32), 255).save(folder / "data/a.png")
    (folder / "data/labels.csv").write_text("file_name,text\na.png,a text that is far too long for it\n", encoding="utf-8")
    result = run_cli("train", "data", "--check", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["fatal"] is True
    assert run_cli("train", "data").exit_code == 1
    assert registry.own_names() == []


def test_files_beside_the_model(folder: Path, tiny_data: Path, tiny_preset: str, run_cli: RunCli) -> None:
    (folder / "data").symlink_to(tiny_data)
    assert run_cli("train", "data", "--preset", tiny_preset, "--steps", 3).exit_code == 0
    model = registry.path_of("data").parent
    assert sorted(path.name for path in model.iterdir()) == [
        "curves.svg",
        "history.jsonl",
        "model.int8.onnx",
        "model.onnx",
        "model.safetensors",
    ]
    rows = [json.loads(row) for row in (model / "history.jsonl").read_text(encoding="utf-8").splitlines()]
    assert rows[-1]["step"] == 3
    card = checkpoint.load_card(model / "model.safetensors")
    assert card.scores
    assert rows[-1]["cer"] == pytest.approx(card.scores.cer)
    assert card.calibration.samples == card.scores.n
    assert resume.interrupted_runs() == []


def test_it_says_that_an_export_would_be_refused(
    folder: Path, tiny_data: Path, tiny_preset: str, run_cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    def differ(*_: object, **__: object) -> None:
        raise GateError("it differs")

    (folder / "data").symlink_to(tiny_data)
    monkeypatch.setattr(exporting, "verify", differ)
    result = run_cli("train", "data", "--preset", tiny_preset, "--steps", 3)
    assert result.exit_code == 0
    assert "gives other results when it is exported: `crnnocr export` would not keep it" in result.stderr
    assert not (registry.path_of("data").parent / "model.onnx").exists()
    assert run_cli("export").exit_code == 4


def test_from_a_model_it_learns_new_characters(
    folder: Path, tiny_data: Path, current_model: str, tiny_preset: str, run_cli: RunCli
) -> None:
    few(tiny_data, folder / "data", 8, 30)
    (folder / "data/metadata.jsonl").write_text(
        (folder / "data/metadata.jsonl").read_text(encoding="utf-8").replace('"text": "', '"text": "é'), encoding="utf-8"
    )
    known = checkpoint.load_card(registry.path_of("tiny")).charset
    result = run_cli("train", "data", "--from", current_model, "--steps", 2)
    assert result.exit_code == 0, result.stderr
    assert (
        "training 'data' (tiny, from tiny) for 2 steps, 5 times, on cpu: 22 images to train on, measured in 4-fold"
        in result.stderr
    )
    assert "new to tiny: é" in result.stderr
    assert checkpoint.load_card(registry.path_of("data")).charset == Charset(known.characters + "é")
    assert run_cli("train", "data", "--from", current_model, "--steps", 2, "--charset", "data").exit_code == 0
    characters = set(checkpoint.load_card(registry.path_of("data-2")).charset.characters)
    assert characters < set(known.characters + "é")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--mix", "0.5"], "--mix is the share of synthetic images beside those of DATA"),
        (["--mix", "0.3"], "--mix is the share of synthetic images beside those of DATA"),
        (["--from", "nosuch"], "no model nosuch"),
        (["--name", ""], "--name ''"),
        (["--synth", "xx"], "--synth xx: "),
    ],
)
def test_wrong_options_are_named(options: list[str], message: str, folder: Path, tiny_data: Path, run_cli: RunCli) -> None:
    result = run_cli("train", tiny_data, *options)
    assert result.exit_code in (1, 2)
    assert f"error: {message}" in result.stderr


def test_without_a_pretrained_model_auto_starts_from_scratch_and_says_so(
    folder: Path, tiny_data: Path, current_model: str, run_cli: RunCli
) -> None:
    (folder / "data").symlink_to(tiny_data)
    result = run_cli("train", "data", "--steps", 1)
    assert "from scratch (there is no pretrained model)" in result.stderr
    assert current_model not in result.stderr


@pytest.mark.parametrize("orientation", ["vertical", "auto"])
def test_vertical_lines_are_turned_and_the_model_remembers(
    orientation: str, folder: Path, tiny_data: Path, tiny_preset: str, run_cli: RunCli
) -> None:
    few(tiny_data, folder / "data", 0, 40)
    for path in (folder / "data").glob("*.png"):
        Image.open(path).transpose(Image.Transpose.ROTATE_270).save(path)
    result = run_cli("train", "data", "--preset", tiny_preset, "--steps", 1, "--orientation", orientation)
    assert result.exit_code == 0, result.stderr
    assert checkpoint.load_card(registry.path_of("data")).orientation == orientation
    assert run_cli("eval", "data").exit_code == 0


@pytest.mark.slow
def test_synthetic_images_alone_make_a_model(folder: Path, tiny_preset: str, run_process: Callable[..., object]) -> None:
    # In a process of its own: the worker processes import the main module again.
    script = folder / "train_on_synthetic.py"
    script.write_text(
        "import os, pickle\n"
        "from crnnocr.cli import app\n"
        "from crnnocr.config import PRESETS, ModelConfig, Conv, Pool\n"
        "if __name__ == '__main__':\n"
        "    layers = (Conv(4), Pool((2, 2), (2, 2)), Conv(8), Pool((8, 1), (8, 1)))\n"
        "    PRESETS['tiny'] = ModelConfig('tiny', 16, layers, 8)\n"
        "    app(['train', '--synth', 'en:clean', '--steps', '2', '--preset', 'tiny'])\n",
        encoding="utf-8",
    )
    result = run_process(script)
    assert isinstance(result, subprocess.CompletedProcess)
    assert result.returncode == 0, result.stderr
    assert "synthetic images (en:clean) to train on, 400 held out" in result.stderr
    assert trained_card(registry.path_of("synth-en-clean"))[1].pictures_shown >= 2


TRAINING = """
import signal
from functools import partial
from crnnocr.cli import app
from crnnocr.config import PRESETS, Conv, ModelConfig, Pool
from crnnocr.training import run

signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs the tests may have it ignored
PRESETS["tiny"] = {shape!r}
run.Order = partial(run.Order, save_seconds=0)
app({arguments!r})
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is no signal there")
@pytest.mark.parametrize(
    "how", [signal.SIGINT, *(pytest.param(each, marks=pytest.mark.slow) for each in (signal.SIGTERM, signal.SIGKILL))]
)
def test_an_interrupted_run_is_resumed(
    how: signal.Signals, tiny_data: Path, tiny_config: ModelConfig, tiny_preset: str, run_cli: RunCli
) -> None:
    train = ["train", str(tiny_data), "--preset", tiny_preset]
    script = TRAINING.format(shape=tiny_config, arguments=[*train, "--epochs", "2000"])
    with subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE, encoding="utf-8") as process:
        while not resume.interrupted_runs():
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(how)
        _, stderr = process.communicate(timeout=60)
    if how is signal.SIGINT:
        assert process.returncode == 130
        assert stderr.splitlines()[-1] == "interrupted: no model was stored; the same command with --resume resumes 'data'"
    if how is signal.SIGTERM:
        assert process.returncode == 143
        assert stderr.splitlines()[-1] == "ended: no model was stored; the same command with --resume resumes 'data'"
    other = run_cli(*train, "--epochs", 2, "--resume")
    assert other.exit_code == 2
    assert "no interrupted run has the same data and options: 'data' (started" in other.stderr
    assert "with --epochs 2000)" in other.stderr
    # To its end it would take a minute, so it gets a state near the end.
    [run] = resume.interrupted_runs()
    state = run.load()
    run.save(state._replace(values=state.values | {"step": 5990}))
    result = run_cli(*train, "--epochs", 2000, "--resume")
    assert result.exit_code == 0, result.stderr
    assert "resuming the run 'data' at step 5,990" in result.stderr
    assert registry.own_names() == ["data"]
    assert resume.interrupted_runs() == []


def test_few_codes_are_mixed_with_synthetic_ones_of_their_form_unless_that_is_turned_off(
    folder: Path, current_model: str, run_cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "codes").mkdir()
    rng = np.random.default_rng(0)
    for i in range(10):
        Image.fromarray(rng.integers(0, 256, (24, 120), np.uint8)).save(folder / f"codes/AB{rng.integers(1000, 9999)}_{i}.png")
    orders: list[Order] = []

    def kept(order: Order, _: object) -> None:
        orders.append(order)

    monkeypatch.setattr(train_module, "train", kept)
    options = ("train", "codes", "--from", current_model)
    shown = "the labels look like AB\\d{4}: 30% synthetic images of this form are mixed in (--synth off for none)"
    assert shown in run_cli(*options).stderr
    assert shown not in run_cli(*options, "--synth", "off").stderr
    assert shown not in run_cli("train", "codes", "--from", "scratch").stderr
    with_codes, off, scratch = orders
    assert with_codes.synthetic is not None
    image, text = with_codes.synthetic[3]
    assert re.fullmatch(r"AB\d{4}", text)
    assert image.height >= 32
    assert off.synthetic is scratch.synthetic is None


def test_unlabeled_images_are_trained_on_as_far_as_they_are_recognized(
    folder: Path, tiny_data: Path, current_model: str, run_cli: RunCli
) -> None:
    few(tiny_data, folder / "data", 0, 12)
    few(tiny_data, folder / "more", 10, 24)  # two of them have a label
    options = ("train", "data", "--from", current_model, "--steps", 2, "--folds", 2)
    result = run_cli(*options, "--unlabelled", "more", "--min-confidence", 0.0001, "--json")
    assert result.exit_code == 0, result.stderr
    assert (
        "for 2 steps and half as many with pseudo-labels, 3 times, on cpu: 12 images to train on and 12 unlabeled ones"
        in result.stderr
    )
    assert "fold 1/2: 12 of 12 unlabeled images recognized confidently, to train on" in result.stderr
    assert re.search(
        r"pseudo-labels: CER [\d.]+% without, [\d.]+%, [\d.]+% after each round, on \d+ held-out images: ", result.stderr
    )
    assert re.search(r"on \d+ images in 2-fold cross-validation: .* \(tiny → data\)", result.stderr)
    found = json.loads(result.stdout)
    assert found["folds"] == 2
    low, high = found["cer_interval"]
    assert low <= found["cer"] <= high
    evaluated = run_cli("eval", "data", "--model", "data")
    assert evaluated.exit_code == 1
    repeated = f"(12 images), and measured on them in 2-fold cross-validation: CER {found['cer']:.2%}: give others"
    assert repeated in evaluated.stderr
    _, record = trained_card(registry.path_of("data"))
    assert record.data.pseudo_labeled == found.get("pseudo_labeled", 0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--unlabelled", "nope"], "--unlabelled nope: there is no such file or folder"),
        (["--unlabelled", "data", "--pattern", "e{9}"], "--pattern e{9}: none of the labels matches it, such as "),
        (["--unlabelled", "data", "--pattern", "[a"], "--pattern"),
        (["--unlabelled", "data", "--allow", "#"], "--allow"),
        (["--pattern", "a"], "--pattern says what is taken from the images of --unlabelled: give these, too"),
        (["--min-confidence", "0.5"], "--min-confidence says what is taken from the images of --unlabelled"),
        (["--folds", "3", "--val", "data"], "--folds measures on the images of DATA, --val on others"),
        (["--folds", "1"], "--folds 1"),
    ],
)
def test_options_for_few_labels_that_cannot_be_are_named(
    options: list[str], message: str, folder: Path, tiny_data: Path, current_model: str, run_cli: RunCli
) -> None:
    few(tiny_data, folder / "data", 0, 8)
    result = run_cli("train", "data", "--from", current_model, "--steps", 1, *options)
    assert result.exit_code in (1, 2)
    assert "error: " in result.stderr
    assert message in result.stderr


def test_of_unlabeled_images_that_all_have_a_label_none_is_left(
    folder: Path, tiny_data: Path, current_model: str, run_cli: RunCli
) -> None:
    few(tiny_data, folder / "data", 0, 8)
    result = run_cli("train", "data", "--from", current_model, "--steps", 1, "--folds", 2, "--unlabelled", "data")
    assert result.exit_code == 0
    assert "no image of --unlabelled is left: all have a label in the data, or cannot be read" in result.stderr
