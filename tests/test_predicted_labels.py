"""What `predict` writes is a label file: its texts are labels, and its confidences their weights in training."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from click.testing import Result
from PIL import Image

from crnnocr.cli.prediction_rows import HEADERS, Format, format_row
from crnnocr.config import PRESETS, AugmentConfig
from crnnocr.datasets import Dataset
from crnnocr.datasets.detection import load_dataset
from crnnocr.datasets.lines import load_lines
from crnnocr.images import Preprocessor
from crnnocr.inference.recognizer import Prediction
from crnnocr.text.charset import Charset
from crnnocr.training.batching import BatchSampler
from crnnocr.training.loader import Loader
from crnnocr.training.trainer import ctc_loss

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
    texts = ['a,b "c"', "C:\\new\\x41", '"abc"', "ä;ö|ü"]
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


def table(folder: Path, name: str, *rows: dict[str, object]) -> Dataset:
    """The data set of a file of rows, each of an image that is there."""
    for row in rows:
        Image.new("L", (40, 20)).save(folder / str(row["path"]))
    if name.endswith(".jsonl"):
        (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    else:
        with (folder / name).open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(
                file, list(rows[0]), delimiter="\t" if name.endswith(".tsv") else ",", quoting=csv.QUOTE_NONE
            )
            writer.writeheader()
            writer.writerows(rows)
    return load_dataset(folder / name)


@pytest.mark.parametrize("name", FILES)
def test_a_corrected_label_counts_in_full(name: str, tmp_path: Path) -> None:
    found = table(
        tmp_path,
        name,
        {"path": "0.png", "text": "a", "confidence": 0.5, "corrected": ""},
        {"path": "1.png", "text": "b", "confidence": 0.5, "corrected": "B"},
    )
    assert [(sample.text, sample.weight) for sample in found.samples] == [("a", 0.5), ("B", 1)]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("column", ["verified", "transcription"])
def test_a_label_that_a_person_gave_counts_in_full(column: str, name: str, tmp_path: Path) -> None:
    found = table(tmp_path, name, {"path": "0.png", "text": "a", "confidence": 0.1, column: "b"})
    assert [(sample.text, sample.weight) for sample in found.samples] == [("b", 1)]
    assert "weighted" not in found.format


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("confidence", ["97", "50 %", "high"])
def test_confidences_on_another_scale_weight_nothing_and_a_warning_says_so(confidence: str, name: str, tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {"path": f"{i}.png", "text": "ab"[i], "confidence": each} for i, each in enumerate(("0.6", confidence))
    ]
    found = table(tmp_path, name, *rows)
    assert [sample.weight for sample in found.samples] == [1, 1]
    assert [issue.code for issue in found.issues] == ["confidence-scale"]


def test_a_sample_of_weight_0_changes_nothing(tmp_path: Path) -> None:
    charset, config = Charset("ab"), PRESETS["tiny"]
    rows: list[dict[str, object]] = [
        {"path": f"{i}.png", "text": text, "confidence": weight} for i, (text, weight) in enumerate((("ab", 1), ("ba", 0)))
    ]
    lines, _ = load_lines(table(tmp_path, "rows.csv", *rows).samples, Preprocessor.for_model(config))
    with Loader(BatchSampler(2, 2, 0), lines, iter(()), charset, config, AugmentConfig().times(0)) as loader:
        batch = next(iter(loader))
    assert sorted(batch.weights.tolist()) == [0, 1]
    log_probs = torch.randn(2, 9, 3, generator=torch.Generator().manual_seed(0)).log_softmax(2).requires_grad_()
    frames = torch.tensor([9, 9])
    loss = ctc_loss(log_probs, frames, batch.ids, batch.lengths, batch.weights, torch.device("cpu"))
    (gradients,) = torch.autograd.grad(loss, log_probs)
    assert [bool(gradient.any()) for gradient in gradients] == [weight == 1 for weight in batch.weights.tolist()]


def test_confidences_in_lists_of_label_errors_are_those_of_other_texts(tmp_path: Path) -> None:
    Image.new("L", (40, 20)).save(tmp_path / "0.png")
    row = {"file_name": "0.png", "text": "a", "reading": "b", "doubt": 0.9, "confidence": 0.2}
    (tmp_path / "errors.jsonl").write_text(json.dumps(row) + "\n")
    assert [sample.weight for sample in load_dataset(tmp_path / "errors.jsonl").samples] == [1]
