"""Suspected label errors: how they are ranked, and the files that list them."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from columns import recognizer_of_columns
from evaluations import draw
from PIL import Image

from crnnocr.config import DecodeConfig, ReadConfig
from crnnocr.datasets import Sample, regions
from crnnocr.datasets.detection import load_dataset
from crnnocr.errors import ConfigError, DataError
from crnnocr.evaluation.label_errors import LabelError, find_label_errors
from crnnocr.evaluation.outcomes import predict_samples, score_samples
from crnnocr.images import View
from crnnocr.inference.recognizer import Recognizer
from crnnocr.report import label_error_files


@pytest.fixture
def recognizer() -> Recognizer:
    return recognizer_of_columns()


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    """Images, one with a wrong label, one with an impossible one, and one with a character that the model does not know."""
    labels = {
        "right.png": ("abab", "abab"),
        "wrong.png": ("abba", "abbb"),
        "long.png": ("a", "a" * 30),
        "unknown.png": ("ab", "aé"),
    }
    for name, (text, _) in labels.items():
        draw(tmp_path / name, text)
    return [Sample(tmp_path / name, label) for name, (_, label) in labels.items()]


@pytest.fixture
def errors(recognizer: Recognizer, samples: list[Sample]) -> tuple[LabelError, ...]:
    outcomes = score_samples(predict_samples(recognizer, samples, DecodeConfig())).outcomes
    return find_label_errors(recognizer, outcomes, ReadConfig()).found


def test_label_errors_are_ranked_by_confidence_and_exact_probabilities(recognizer: Recognizer, samples: list[Sample]) -> None:
    result = score_samples(predict_samples(recognizer, samples, DecodeConfig()))
    errors = find_label_errors(recognizer, result.outcomes, ReadConfig())
    assert {each.outcome.sample.path.name for each in errors.found} == {"wrong.png", "long.png"}
    assert errors.unjudged == 1
    wrong, long = sorted(errors.found, key=lambda each: each.outcome.sample.path.name, reverse=True)
    assert long.label_log_prob == -np.inf
    assert wrong.label_log_prob < wrong.predicted_log_prob - 3
    ratio = wrong.predicted_log_prob - wrong.label_log_prob
    assert wrong.suspicion == pytest.approx(wrong.outcome.prediction.confidence * ratio)
    assert long.suspicion == pytest.approx(long.outcome.prediction.confidence * 100)
    assert [each.suspicion for each in errors.found] == [long.suspicion, wrong.suspicion]


def test_probabilities_are_those_of_the_view_that_was_predicted(recognizer: Recognizer, samples: list[Sample]) -> None:
    wrong, *_ = score_samples(predict_samples(recognizer, samples[1:2], DecodeConfig())).outcomes
    wide = replace(wrong, prediction=replace(wrong.prediction, view=View(width=2.0)))
    plain, rescaled = (find_label_errors(recognizer, [each], ReadConfig()).found[0] for each in (wrong, wide))
    assert rescaled.label_log_prob != plain.label_log_prob  # in twice as many frames


@pytest.mark.parametrize("name", ["suspects.csv", "suspects.tsv", "suspects.jsonl"])
def test_a_table_is_a_data_set_of_its_own(name: str, errors: tuple[LabelError, ...], tmp_path: Path) -> None:
    label_error_files.write(tmp_path / name, errors, "model")
    assert {sample.text for sample in load_dataset(tmp_path / name).samples} == {"abbb", "a" * 30}


def test_a_table_lists_predictions_with_the_most_suspicious_first(errors: tuple[LabelError, ...], tmp_path: Path) -> None:
    label_error_files.write(tmp_path / "suspects.csv", errors, "model")
    with (tmp_path / "suspects.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert [float(row["doubt"]) for row in table] == sorted((float(row["doubt"]) for row in table), reverse=True)
    assert {row["reading"] for row in table} == {"abba", "a"}


def test_tasks_for_label_studio_have_image_prediction_and_label(errors: tuple[LabelError, ...], tmp_path: Path) -> None:
    label_error_files.write(tmp_path / "suspects.json", errors, "model")
    tasks = json.loads((tmp_path / "suspects.json").read_text(encoding="utf-8"))
    task = next(task for task in tasks if task["data"]["file_name"] == "wrong.png")
    assert task["data"]["image"] == f"/data/local-files/?d={tmp_path.name}/wrong.png"
    assert {result["from_name"] for result in task["predictions"][0]["result"]} == {"transcription"}
    assert task["predictions"][0]["result"][0]["value"] == {"text": ["abba"]}
    assert task["annotations"][0]["result"][0]["value"] == {"text": ["abbb"]}


@pytest.mark.parametrize("name", ["suspects.csv", "suspects.tsv", "suspects.jsonl", "suspects.json"])
def test_a_file_beside_the_labels_of_a_folder_does_not_replace_them(
    name: str, errors: tuple[LabelError, ...], samples: list[Sample], tmp_path: Path
) -> None:
    (tmp_path / "labels.tsv").write_text("".join(f"{each.path.name}\t{each.text}\n" for each in samples), encoding="utf-8")
    label_error_files.write(tmp_path / name, errors, "model")
    assert len(load_dataset(tmp_path).samples) == 4
    (tmp_path / "labels.tsv").unlink()
    with pytest.raises(DataError, match="no labels in a known format"):  # a few of the labels are not taken for all of them
        load_dataset(tmp_path)


def test_an_empty_list_has_a_header(tmp_path: Path) -> None:
    label_error_files.write(tmp_path / "suspects.csv", [], "model")
    assert (tmp_path / "suspects.csv").read_text(encoding="utf-8").startswith("file_name,text,reading,doubt,")


def test_a_place_that_makes_the_file_no_data_set_is_explained(tmp_path: Path) -> None:
    files = [Sample(tmp_path / "a" / "x.png", "x"), Sample(tmp_path / "b" / "y.png", "y")]
    assert label_error_files.limitation(tmp_path / "suspects.csv", files) == ""
    assert f"write it to {tmp_path}," in label_error_files.limitation(tmp_path / "a" / "suspects.csv", files)
    entries = [Sample(tmp_path, "x", "image-000000001")]
    assert "in a database" in label_error_files.limitation(tmp_path / "suspects.csv", entries)
    for path, samples in ((tmp_path / "a" / "suspects.json", files), (tmp_path / "suspects.json", entries)):
        with pytest.raises(ConfigError) as raised:
            label_error_files.limitation(path, samples)
        assert raised.value.field == "suspect_labels"


@pytest.mark.parametrize("name", ["suspects.csv", "suspects.tsv", "suspects.jsonl", "suspects.json"])
def test_label_errors_of_lines_in_pages_are_read_back_as_the_same_lines(
    name: str, recognizer: Recognizer, tmp_path: Path
) -> None:
    draw(tmp_path / "line.png", "abba")
    line = Image.open(tmp_path / "line.png")
    page = Image.new("L", (line.width + 37, line.height + 61), 255)
    page.paste(line, (21, 33))
    page.save(tmp_path / "page.png")
    region = regions.box(21, 33, 21 + line.width, 33 + line.height)
    sample = Sample(tmp_path / "page.png", "abbb", region=region)
    outcomes = score_samples(predict_samples(recognizer, [sample], DecodeConfig())).outcomes
    found = find_label_errors(recognizer, outcomes, ReadConfig()).found
    label_error_files.write(tmp_path / name, found, "model")
    assert load_dataset(tmp_path / name).samples == (sample,)
    if name == "suspects.json":
        [task] = json.loads((tmp_path / name).read_text())
        [_, outline] = task["annotations"][0]["result"]
        assert outline["value"]["points"][0] == [pytest.approx(100 * 21 / page.width), pytest.approx(100 * 33 / page.height)]


FORMULAS = ("=1+1", "-5.00", "+49 170", "@home", "'=x", "''-1", "'quoted'", "＝Ａ１", "plain, 1-2", "100%")


@pytest.mark.parametrize("name", ["suspects.csv", "suspects.tsv"])
def test_no_cell_of_a_table_is_a_formula_and_labels_come_back(
    name: str, errors: tuple[LabelError, ...], tmp_path: Path
) -> None:
    listed = []
    for i, text in enumerate(FORMULAS):
        path = tmp_path / f"={i}.png"
        draw(path, "ab")
        outcome = errors[0].outcome
        prediction = replace(outcome.prediction, text=text)
        listed.append(replace(errors[0], outcome=replace(outcome, sample=Sample(path, text), prediction=prediction)))
    label_error_files.write(tmp_path / name, listed, "model")
    with (tmp_path / name).open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t" if name.endswith("tsv") else ","))
    for row in rows:
        assert not any(row[column].startswith(tuple("=+-@＝")) for column in ("file_name", "text", "reading"))
    assert rows[1]["text"] == "'-5.00"
    loaded = load_dataset(tmp_path / name).samples
    assert {sample.path.name: sample.text for sample in loaded} == {f"={i}.png": text for i, text in enumerate(FORMULAS)}
