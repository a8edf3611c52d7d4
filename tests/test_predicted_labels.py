"""What `predict` writes is a label file: its texts are labels, and its confidences their weights in training."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from PIL import Image

from crnnocr.cli.prediction_rows import HEADERS, Format, format_row
from crnnocr.datasets import Dataset
from crnnocr.datasets.detection import load_dataset
from crnnocr.inference.recognizer import Prediction

RunCli = Callable[..., Result]
FILES = ("rows.csv", "rows.tsv", "rows.jsonl")


def written(folder: Path, name: str, *predictions: Prediction) -> Dataset:
    """The data set of rows of predictions for images that are there."""
    format = Format(name.partition(".")[2])
    rows = [HEADERS[format]] if format in HEADERS else []
    for number, each in enumerate(predictions):
        Image.new("L", (40, 20), number).save(folder / f"{number}.png")
        rows.append(format_row(f"{number}.png", each, format))
    (folder / name).write_text("\n".join(rows) + "\n", encoding="utf-8")
    return load_dataset(folder / name)


@pytest.mark.parametrize("name", FILES)
def test_texts_are_labels_and_confidences_weights(name: str, tmp_path: Path) -> None:
    texts = ['a,b "c"', "C:\\new\\x41", "1", "ä;ö|ü"]
    found = written(tmp_path, name, *(Prediction(text, 0.25 * i) for i, text in enumerate(texts, start=1)))
    assert [(sample.text, sample.weight) for sample in found.samples] == list(zip(texts, (0.25, 0.5, 0.75, 1), strict=True))
    assert found.format.endswith(", weighted by confidence")


@pytest.mark.parametrize("name", FILES)
def test_images_that_could_not_be_read_are_no_samples(name: str, tmp_path: Path) -> None:
    found = written(tmp_path, name, Prediction("a", 0.5), Prediction("", 0.0, error="not an image"), Prediction("", 0.9))
    assert [sample.text for sample in found.samples] == ["a"]
    assert [(issue.code, issue.count) for issue in found.issues] == [("empty-label", 2)]


@pytest.mark.parametrize("name", FILES)
def test_train_reads_what_predict_writes(
    name: str, current_model: str, tiny_data: Path, tmp_path: Path, run_cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "crops").symlink_to(tiny_data)
    assert run_cli("predict", "crops", "--min-confidence", 0.1, "-o", name).exit_code == 0
    found = load_dataset(Path(name))
    assert found.samples
    assert all(0.1 <= sample.weight <= 1 for sample in found.samples)
    result = run_cli("train", name, "--from", current_model, "--steps", 2, "--name", "taught")
    assert result.exit_code == 0, result.stderr
    assert f"{len(found.samples)} labeled images" in result.stderr
    assert "weighted by confidence" in result.stderr


def test_a_corrected_label_counts_in_full(tmp_path: Path) -> None:
    for i in range(3):
        Image.new("L", (40, 20), i).save(tmp_path / f"{i}.png")
    with (tmp_path / "rows.csv").open("w", newline="") as file:
        csv.writer(file).writerows(
            [
                ("path", "text", "confidence", "corrected"),
                ("0.png", "a", "0.5", ""),
                ("1.png", "b", "0.5", "B"),
                ("2.png", "c", "50 %", ""),
            ]
        )
    found = load_dataset(tmp_path / "rows.csv")
    assert [(sample.text, sample.weight) for sample in found.samples] == [("a", 0.5), ("B", 1), ("c", 1)]


def test_confidences_in_lists_of_label_errors_are_those_of_other_texts(tmp_path: Path) -> None:
    Image.new("L", (40, 20)).save(tmp_path / "0.png")
    row = {"file_name": "0.png", "text": "a", "reading": "b", "doubt": 0.9, "confidence": 0.2}
    (tmp_path / "errors.jsonl").write_text(json.dumps(row) + "\n")
    assert [sample.weight for sample in load_dataset(tmp_path / "errors.jsonl").samples] == [1]
