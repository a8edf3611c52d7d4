"""`predict --label-next`: which images are chosen, and the files that they are written to."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from PIL import Image

from crnnocr.config import Orientation, ReadConfig
from crnnocr.datasets.detection import load_dataset
from crnnocr.datasets.lines import content_id
from crnnocr.evaluation.active_learning import choose, gradient, k_means_plus_plus
from crnnocr.inference.recognizer import Recognizer
from crnnocr.report import label_tasks

RunCli = Callable[..., Result]


def test_the_gradient_is_that_of_the_cross_entropy_to_the_best_path() -> None:
    rng = np.random.default_rng(0)
    scores = rng.standard_normal((7, 4))

    def loss(bias: np.ndarray) -> float:
        shifted = scores + bias
        log_probs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        return -float(log_probs[np.arange(7), scores.argmax(axis=1)].sum())

    log_probs = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    numeric = [(loss(step) - loss(-step)) / 2e-5 for step in np.eye(4) * 1e-5]
    assert gradient(log_probs) == pytest.approx(np.array(numeric), abs=1e-6)


def test_images_of_each_kind_are_chosen_before_a_second_one_of_a_kind() -> None:
    kinds = np.repeat(np.eye(5)[:4], 25, axis=0) + np.random.default_rng(0).normal(0, 1e-4, (100, 5))
    sure = np.zeros((300, 5))
    chosen = k_means_plus_plus(np.concatenate((kinds, sure)), 4)
    assert sorted(index // 25 for index in chosen) == [0, 1, 2, 3]
    assert chosen == k_means_plus_plus(np.concatenate((kinds, sure)), 4)


def test_if_all_are_sure_any_are_chosen_and_no_more_than_there_are() -> None:
    assert sorted(k_means_plus_plus(np.zeros((3, 2)), 5)) == [0, 1, 2]


@pytest.fixture
def crops(current_model: str, tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The images of the tiny data set, in the working directory."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(tiny_data, tmp_path / "crops")
    return sorted(Path("crops").glob("*.png"))


def test_images_that_the_model_was_trained_on_or_that_cannot_be_read_are_not_chosen(crops: list[Path], tmp_path: Path) -> None:
    recognizer = Recognizer.load()
    (tmp_path / "broken.png").write_bytes(b"no image")
    given = [Path("broken.png"), Path("gone.png"), *crops]
    chosen = [given[i] for i in choose(recognizer, given, 100)]
    learned = [path for path in crops if content_id(path.read_bytes()) in recognizer.trained_on]
    assert learned
    assert sorted(chosen) == sorted(set(crops) - set(learned))


def test_a_table_of_them_is_a_label_file_to_correct(crops: list[Path], run_cli: RunCli) -> None:
    result = run_cli("predict", "crops", "--label-next", 3, "next.csv")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "next.csv: 3 images to label next, with what tiny reads in them" in result.stderr
    texts = {each.path.name: each.text for each in load_dataset(Path("next.csv")).samples}
    rows = dict(row.split("\t") for row in run_cli("predict", *(f"crops/{each}" for each in texts)).stdout.splitlines())
    assert texts == {Path(path).name: text for path, text in rows.items() if text}


def test_label_studio_gets_tasks_with_what_was_read(crops: list[Path], tmp_path: Path, run_cli: RunCli) -> None:
    result = run_cli("predict", "crops", "--label-next", 2, "tasks.json", "-o", "rows.jsonl")
    assert result.exit_code == 0, result.stderr
    tasks = json.loads(Path("tasks.json").read_text(encoding="utf-8"))
    rows = {row["path"]: row for row in map(json.loads, Path("rows.jsonl").read_text(encoding="utf-8").splitlines())}
    assert len(rows) == len(crops)
    assert len(tasks) == 2
    for task in tasks:
        row, (prediction,) = rows[task["data"]["file_name"]], task["predictions"]
        assert task["data"]["image"] == f"/data/local-files/?d={tmp_path.name}/{row['path']}"
        assert prediction["result"][0]["value"]["text"] == [row["text"]] == [task["data"]["text"]]
        assert (prediction["model_version"], prediction["score"]) == ("tiny", row["confidence"])


def test_nothing_that_may_have_been_corrected_is_overwritten(crops: list[Path], run_cli: RunCli) -> None:
    Path("next.csv").write_text("file_name,text\ncrops/1.png,corrected\n")
    before = Path("next.csv").read_bytes()
    result = run_cli("predict", "crops", "--label-next", 3, "next.csv")
    assert (result.exit_code, Path("next.csv").read_bytes()) == (2, before)
    assert "labels in it may have been corrected" in result.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["0", "x.csv"], "at least 1"),
        (["3", "x.png"], "its ending selects"),
        (["3", "crops/sub/x.csv"], "is not in its folder or below: write it to"),
        (["3", "x.csv", "-o", "rows.csv", "--resume"], "chooses among all images, and --resume skips some"),
    ],
)
def test_wrong_wishes_are_named(options: list[str], message: str, crops: list[Path], run_cli: RunCli) -> None:
    Path("crops/sub").mkdir()
    result = run_cli("predict", "crops", "--label-next", *options)
    assert result.exit_code == 2
    assert message in result.stderr


def test_rows_that_are_asked_for_are_printed_too(crops: list[Path], run_cli: RunCli) -> None:
    result = run_cli("predict", "crops", "--label-next", 1, "x.csv", "--json")
    assert len(result.stdout.splitlines()) == len(crops)


def test_a_text_that_a_spreadsheet_would_compute_is_read_back(tmp_path: Path) -> None:
    Image.new("L", (40, 20)).save(tmp_path / "=1.png")
    label_tasks.write(tmp_path / "next.csv", [label_tasks.Task(tmp_path / "=1.png", "=A1", 0.5)], "en")
    assert "\n'=1.png,'=A1," in (tmp_path / "next.csv").read_text(encoding="utf-8")
    assert [(each.text, each.weight) for each in load_dataset(tmp_path / "next.csv").samples] == [("=A1", 1)]


def test_images_are_seen_as_they_are_read(crops: list[Path]) -> None:
    recognizer = Recognizer.load()
    ways = Orientation.HORIZONTAL, Orientation.VERTICAL
    upright, turned = (choose(recognizer, crops, 8, ReadConfig(orientation=each)) for each in ways)
    assert upright != turned
