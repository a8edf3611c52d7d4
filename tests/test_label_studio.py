"""What Label Studio exports is read: the correction of an annotator, for the task's image, or for each box in it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from label_files import excluded, labels, put
from PIL import Image

from crnnocr.config import LabelConfig
from crnnocr.datasets.detection import load_dataset
from crnnocr.errors import DataError

Task = dict[str, Any]


def text_area(text: str | list[str], name: str = "transcription", **more: Any) -> Task:
    texts = [text] if isinstance(text, str) else text
    value = {"text": texts, **more.pop("value", {})}
    return {"id": "a1", "from_name": name, "to_name": "image", "type": "textarea", "origin": "manual", "value": value, **more}


def annotation(*results: Task, **more: Any) -> Task:
    return {"id": 7, "completed_by": 1, "result": list(results), "was_cancelled": False, "ground_truth": False, **more}


def task(image: str, *annotations: Task, predictions: tuple[Task, ...] = (), **data: Any) -> Task:
    return {"id": 1, "annotations": list(annotations), "predictions": list(predictions), "data": {"image": image, **data}}


def exported(tasks: list[Task], text: Callable[[Task], str]) -> dict[str, str]:
    """The four exports of a project whose tasks are annotated anew, by the name of the file."""
    full, flat = [], []
    for number, each in enumerate(tasks, start=1):
        result = text_area(text(each))
        about = {"created_at": "2026-01-02T03:04:05.000000Z", "updated_at": "2026-01-02T03:04:05.100000Z", "lead_time": 4.2}
        full.append({**each, "id": number, "annotations": [annotation(result, **about)], "drafts": [], "project": 3, **about})
        flat.append(
            {**each["data"], "id": number, "transcription": text(each), "annotator": 1, "annotation_id": 40 + number, **about}
        )
    columns = sorted({key for row in flat for key in row})
    files = {"export.json": json.dumps(full), "export-min.json": json.dumps(flat)}
    for name, separator in (("export.csv", ","), ("export.tsv", "\t")):
        table = io.StringIO(newline="")
        writer = csv.DictWriter(table, columns, delimiter=separator, lineterminator="\n")
        writer.writeheader()
        writer.writerows(flat)
        files[name] = table.getvalue()
    return files


EXPORTS = ["export.json", "export-min.json", "export.csv", "export.tsv"]


def suspects(folder: str) -> list[Task]:
    """Tasks as `eval --suspect-labels suspects.json` writes them."""
    rows = [("a.png", 'the "old" label', "elns"), ("b 1.png", "alt", "zwei")]
    return [
        {
            "data": {
                "file_name": name,
                "text": text,
                "reading": reading,
                "doubt": 3.5,
                "confidence": 0.9,
                "label_log_prob": -9.5,
                "reading_log_prob": -0.1,
                "image": f"/data/local-files/?d={folder}/{name.replace(' ', '%20')}",
            },
            "predictions": [{"model_version": "m", "score": 0.9, "result": [text_area(reading)]}],
            "annotations": [{"result": [text_area(text)]}],
        }
        for name, text, reading in rows
    ]


CORRECTED = {'the "old" label': 'eins, "1"', "alt": "zwei"}


@pytest.mark.parametrize("name", EXPORTS)
def test_the_correction_of_a_suspected_label_is_read_and_not_the_old_label(name: str, tmp_path: Path) -> None:
    files = exported(suspects("crops"), lambda each: CORRECTED[each["data"]["text"]])
    folder = put(tmp_path / "crops", ["a.png", "b 1.png"], {name: files[name]})
    dataset = load_dataset(folder / name)
    assert labels(dataset) == {"a.png": 'eins, "1"', "b 1.png": "zwei"}
    assert not dataset.issues
    assert dataset.format.startswith("Label Studio")


@pytest.mark.parametrize("name", EXPORTS)
def test_the_export_may_lie_elsewhere_if_the_images_are_named(name: str, tmp_path: Path) -> None:
    files = exported(suspects("crops"), lambda each: CORRECTED[each["data"]["text"]])
    images = put(tmp_path / "crops", ["a.png", "b 1.png"])
    put(tmp_path / "downloads", [], {name: files[name]})
    with pytest.raises(DataError, match="`images`"):
        load_dataset(tmp_path / "downloads" / name)
    dataset = load_dataset(tmp_path / "downloads" / name, LabelConfig(images=str(images)))
    assert [sample.text for sample in dataset.samples] == ['eins, "1"', "zwei"]


@pytest.mark.parametrize("name", EXPORTS)
def test_the_field_of_a_correction_may_have_any_name(name: str, tmp_path: Path) -> None:
    files = exported(suspects("crops"), lambda each: CORRECTED[each["data"]["text"]])
    renamed = files[name].replace("transcription", "zz_answer")
    folder = put(tmp_path / "crops", ["a.png", "b 1.png"], {name: renamed})
    assert labels(load_dataset(folder / name)) == {"a.png": 'eins, "1"', "b 1.png": "zwei"}


def test_tasks_that_were_written_and_never_annotated_have_the_labels_they_were_written_with(tmp_path: Path) -> None:
    folder = put(tmp_path / "crops", ["a.png", "b 1.png"], {"suspects.json": json.dumps(suspects("crops"))})
    assert labels(load_dataset(folder / "suspects.json")) == {"a.png": 'the "old" label', "b 1.png": "alt"}


@pytest.mark.parametrize(
    "image",
    [
        "/data/upload/1/1f3870be-a%201.png",
        "/data/upload/1/1f3870be-a 1.png",
        "/data/local-files/?d=crops/a%201.png",
        "/data/local-files/?d=home/me/crops/a%201.png",
        "https://host:8080/data/local-files/?d=crops%2Fa%201.png",
        "s3://bucket/crops/a 1.png",
        "https://bucket.s3.amazonaws.com/crops/a%201.png?X-Amz-Signature=1234",
        "a 1.png",
    ],
)
@pytest.mark.parametrize("name", EXPORTS)
def test_the_image_of_a_task_is_found_by_its_file_name(image: str, name: str, tmp_path: Path) -> None:
    files = exported([task(image)], lambda _: "eins")
    folder = put(tmp_path / "crops", ["a 1.png", "b.png"], {name: files[name]})
    assert labels(load_dataset(folder / name)) == {"a 1.png": "eins"}


def test_an_uploaded_image_may_keep_its_prefix(tmp_path: Path) -> None:
    files = exported([task("/data/upload/1/1f3870be-a.png")], lambda _: "eins")
    folder = put(tmp_path, ["images/1f3870be-a.png"], {"export.json": files["export.json"]})
    assert labels(load_dataset(folder / "export.json")) == {"images/1f3870be-a.png": "eins"}


def test_the_latest_annotation_counts_and_none_that_was_skipped(tmp_path: Path) -> None:
    tasks = [
        task(
            "a.png",
            annotation(text_area("newest"), updated_at="2026-01-03T00:00:00Z"),
            annotation(text_area("older"), updated_at="2026-01-02T00:00:00Z"),
            annotation(text_area("skipped"), updated_at="2026-01-04T00:00:00Z", was_cancelled=True),
            predictions=(annotation(text_area("guess"), updated_at="2026-01-05T00:00:00Z"),),
        ),
        task("b.png", annotation(text_area("x"), was_cancelled=True), predictions=(annotation(text_area("guess")),)),
        task("c.png", annotation(text_area("reviewed"), ground_truth=True), annotation(text_area("y"), updated_at="2026")),
    ]
    dataset = load_dataset(put(tmp_path, ["a.png", "b.png", "c.png"], {"export.json": json.dumps(tasks)}) / "export.json")
    assert labels(dataset) == {"a.png": "newest", "c.png": "reviewed"}
    assert [code for code, _ in excluded(dataset)] == ["not-annotated"]


def test_predictions_alone_are_read_with_a_warning(tmp_path: Path) -> None:
    tasks = [task("a.png", predictions=(annotation(text_area("guess")),))]
    dataset = load_dataset(put(tmp_path, ["a.png"], {"export.json": json.dumps(tasks)}) / "export.json")
    assert labels(dataset) == {"a.png": "guess"}
    assert [issue.code for issue in dataset.issues] == ["not-annotated"]


def test_of_several_fields_the_one_of_the_text_is_read_or_named(tmp_path: Path) -> None:
    results = (text_area("remark", "comment"), text_area("eins", "transcription"))
    put(tmp_path, ["a.png"], {"export.json": json.dumps([task("a.png", annotation(*results))])})
    assert labels(load_dataset(tmp_path / "export.json")) == {"a.png": "eins"}
    assert labels(load_dataset(tmp_path / "export.json", LabelConfig(text_column="comment"))) == {"a.png": "remark"}


PAGE = np.arange(200 * 100, dtype=np.uint32).reshape(100, 200)


def page(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    pixels = np.stack((PAGE % 251, PAGE // 251, np.zeros_like(PAGE)), axis=2).astype(np.uint8)
    Image.fromarray(pixels).save(folder / "page.png")


def crops(folder: Path, name: str) -> dict[str, np.ndarray[Any, Any]]:
    """The part of the image that is seen for each text of a file."""
    samples = load_dataset(folder / name).samples
    return {sample.text: np.asarray(Image.open(io.BytesIO(sample.read())).convert("RGB")) for sample in samples}


BOXES = {"eins": (5.0, 10.0, 20.0, 30.0), "zwei": (50.0, 50.0, 50.0, 25.0)}
"""x, y, width and height in per cent."""


def box(x: float, y: float, width: float, height: float, rotation: float = 0.0) -> Task:
    return {"x": x, "y": y, "width": width, "height": height, "rotation": rotation}


def expected(text: str) -> np.ndarray[Any, Any]:
    x, y, width, height = BOXES[text]
    left, top, right, bottom = round(2 * x), round(y), round(2 * (x + width)), round(y + height)
    part = PAGE[top:bottom, left:right]
    return np.stack((part % 251, part // 251, 0 * part), axis=2).astype(np.uint8)


def results_of_boxes() -> list[Task]:
    size = {"original_width": 200, "original_height": 100, "image_rotation": 0}
    found = []
    for number, (text, corners) in enumerate(BOXES.items()):
        shape: Task = {"id": f"r{number}", "to_name": "image", **size}
        found += [
            {**shape, "from_name": "bbox", "type": "rectangle", "value": box(*corners)},
            {**shape, "from_name": "label", "type": "labels", "value": {**box(*corners), "labels": ["Text"]}},
            text_area(text, value=box(*corners), **shape),
        ]
    return found


def test_each_box_with_a_text_is_cut_out(tmp_path: Path) -> None:
    page(tmp_path)
    put(tmp_path, [], {"export.json": json.dumps([task("/data/upload/9/0a0b0c0d-page.png", annotation(*results_of_boxes()))])})
    found = crops(tmp_path, "export.json")
    assert found.keys() == BOXES.keys()
    for text in BOXES:
        np.testing.assert_array_equal(found[text], expected(text))


@pytest.mark.parametrize("name", ["export.csv", "export.tsv", "export-min.json"])
def test_each_box_of_a_flat_export_is_cut_out(name: str, tmp_path: Path) -> None:
    page(tmp_path)
    shapes = [{**box(*corners), "original_width": 200, "original_height": 100} for corners in BOXES.values()]
    row: Task = {"ocr": "/data/upload/9/0a0b0c0d-page.png", "id": 3, "bbox": shapes, "transcription": list(BOXES)}
    row |= {"label": [{**shape, "labels": ["Text"]} for shape in shapes], "annotator": 1, "annotation_id": 4, "lead_time": 3.1}
    content = json.dumps([row])
    if name != "export-min.json":
        table = io.StringIO(newline="")
        writer = csv.DictWriter(table, sorted(row), delimiter="\t" if name.endswith("tsv") else ",", lineterminator="\n")
        writer.writeheader()
        writer.writerow({key: json.dumps(value) if isinstance(value, list) else value for key, value in row.items()})
        content = table.getvalue()
    put(tmp_path, [], {name: content})
    found = crops(tmp_path, name)
    assert found.keys() == BOXES.keys()
    for text in BOXES:
        np.testing.assert_array_equal(found[text], expected(text))


def test_a_turned_box_is_brought_upright(tmp_path: Path) -> None:
    upright = np.zeros((20, 60, 3), np.uint8)
    upright[:, ::6] = 255
    upright[:4] = (200, 0, 0)
    whole = Image.new("RGB", (200, 100))
    whole.paste(Image.fromarray(upright).rotate(-90, expand=True), (80, 20))
    whole.save(tmp_path / "page.png")
    # Turned clockwise by 90° about its top left corner, which is the top right one of what is seen.
    shape: Task = {"id": "r", "to_name": "image", "original_width": 200, "original_height": 100}
    results = [text_area("eins", value=box(100 / 2, 20, 60 / 2, 20, 90), **shape)]
    put(tmp_path, [], {"export.json": json.dumps([task("page.png", annotation(*results))])})
    found = crops(tmp_path, "export.json")["eins"]
    assert found.shape == upright.shape
    assert np.abs(found.astype(int) - upright).mean() < 3


def test_a_polygon_of_four_corners_is_brought_upright(tmp_path: Path) -> None:
    page(tmp_path)
    points = [[10, 10], [60, 20], [58, 50], [8, 40]]
    results = [{"id": "p", "from_name": "poly", "type": "polygonlabels", "value": {"points": points}}, text_area("x", id="p")]
    put(tmp_path, [], {"export.json": json.dumps([task("page.png", annotation(*results))])})
    height, width, _ = crops(tmp_path, "export.json")["x"].shape
    assert (width, height) == (round(np.hypot(100, 10)), round(np.hypot(4, 30)))


def test_a_box_without_an_area_or_a_text_is_left_out(tmp_path: Path) -> None:
    page(tmp_path)
    alone = {"id": "z", "from_name": "bbox", "type": "rectangle", "value": box(1, 1, 5, 5)}
    results = [*results_of_boxes(), text_area("drei", id="q", value=box(5, 5, 0, 10)), alone]
    put(tmp_path, [], {"export.json": json.dumps([task("page.png", annotation(*results))])})
    dataset = load_dataset(tmp_path / "export.json")
    assert [sample.text for sample in dataset.samples] == list(BOXES)
    assert sorted(code for code, _ in excluded(dataset)) == ["box-without-area", "empty-label"]


@pytest.mark.parametrize("content", ["[" * 100_000, '[{"data": ' * 3000, "[1, 2]", '[{"data": {"image": 3}}]', "[{}]", "[]"])
def test_json_that_is_no_export_is_an_error_that_names_the_file(content: str, tmp_path: Path) -> None:
    put(tmp_path, ["a.png"], {"export.json": content})
    with pytest.raises(DataError, match=r"export\.json"):
        load_dataset(tmp_path / "export.json")


def test_the_group_is_a_value_of_the_task(tmp_path: Path) -> None:
    tasks = [task("a.png", annotation(text_area("eins")), page="p1"), task("b.png", annotation(text_area("zwei")))]
    tasks[1]["meta"] = {"page": "p2"}
    put(tmp_path, ["a.png", "b.png"], {"export.json": json.dumps(tasks)})
    dataset = load_dataset(tmp_path, LabelConfig(group="page"))
    assert [sample.group for sample in dataset.samples] == ["p1", "p2"]


def test_texts_written_about_boxes_themselves_are_read_if_no_field_has_a_text(tmp_path: Path) -> None:
    value = {"x": 10, "y": 20, "width": 50, "height": 60, "rotation": 0, "rectanglelabels": ["Text"]}
    box = {"id": "r1", "from_name": "label", "to_name": "image", "type": "rectanglelabels", "value": value}
    put(tmp_path, ["a.png"], {"export.json": json.dumps([task("a.png", annotation({**box, "meta": {"text": ["eins"]}}))])})
    [sample] = load_dataset(tmp_path).samples
    assert (sample.text, str(sample.region)) == ("eins", "xywh=percent:10,20,50,60")
    put(tmp_path, [], {"export.json": json.dumps([task("a.png", annotation(box))])})
    with pytest.raises(DataError, match="annotations without a text: add a TextArea"):
        load_dataset(tmp_path)


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("/data/local-files/?d=images%5Ca.png", "images/a.png"),
        ("/tasks/12/resolve/?fileuri=czM6Ly9idWNrZXQveC9hLnBuZw==", "a.png"),  # s3://bucket/x/a.png
        ("/data/upload/1/1a2b3c4d-gro%C3%9Fe_Stra%C3%9Fe_2.png", "große Straße (2).png"),  # as Django names uploads
    ],
)
def test_images_are_found_by_addresses_of_storage(image: str, name: str, tmp_path: Path) -> None:
    put(tmp_path, [name], {"export.json": json.dumps([task(image, annotation(text_area("eins")))])})
    assert labels(load_dataset(tmp_path)) == {name: "eins"}


def test_of_several_annotations_in_flat_exports_the_latest_counts(tmp_path: Path) -> None:
    row = {"image": "a.png", "id": 1, "annotator": 1, "lead_time": 2.0}
    rows = [
        {**row, "transcription": "eins", "annotation_id": 2, "updated_at": "2026-01-02"},
        {**row, "transcription": "e1ns", "annotation_id": 1, "updated_at": "2026-01-01"},
    ]
    put(tmp_path, ["a.png"], {"export.json": json.dumps(rows)})
    assert [sample.text for sample in load_dataset(tmp_path).samples] == ["eins"]


def test_a_field_of_numbers_may_be_called_reading(tmp_path: Path) -> None:
    table = "image,id,reading,annotator,annotation_id,lead_time\na.png,1,00123,1,1,1.5\nb.png,2,456,1,2,1.5\n"
    put(tmp_path, ["a.png", "b.png"], {"export.csv": table})
    assert labels(load_dataset(tmp_path)) == {"a.png": "00123", "b.png": "456"}


def test_several_texts_of_one_image_without_boxes_are_not_its_label(tmp_path: Path) -> None:
    values = {"a.png": {"texts": ["eins", "zwei"]}, "b.png": {"texts": ["drei"]}}
    dataset = load_dataset(put(tmp_path, ["a.png", "b.png"], {"own.json": json.dumps(values)}))
    assert labels(dataset) == {"b.png": "drei"}
    assert "boxes-without-texts" in dict(excluded(dataset))
