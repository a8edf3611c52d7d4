"""Exports of Label Studio: JSON, JSON-MIN, CSV and TSV, with a text for each image or for each box in it."""

from __future__ import annotations

import math
import re
from base64 import b64decode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from crnnocr.config import EmptyLabels, LabelConfig
from crnnocr.datasets import Dataset, columns, regions
from crnnocr.datasets.issues import BOX_WITHOUT_AREA, BOX_WITHOUT_TEXT, EMPTY_LABEL, Issue, Severity
from crnnocr.datasets.label_file import LabelRecord, dataset_of, parsed_json
from crnnocr.datasets.regions import Region
from crnnocr.errors import DataError

_DATA = frozenset([*columns.SUSPECT_COLUMNS, "entry", columns.REGION])
"""Columns of suspected label errors, which in a task are data: no annotator wrote them."""
_OWN = frozenset(["id", "annotation_id", "annotator", "created_at", "updated_at", "lead_time", "agreement"])
_UPLOAD = re.compile(r"(?:.*[/\\])?[0-9a-f]{8}-([^/\\]+)", re.DOTALL)
"""Label Studio puts eight digits before the name of a file that is uploaded."""

_NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?")

_META = "meta"
"""Stands for what was written about boxes themselves, if no field has a text."""

_FILE_URI = re.compile(r"/(?:resolve|presign)/?\?fileuri=([\w+/-]+)")

_SKIPPED = Issue(
    "not-annotated", Severity.EXCLUDED, "task that was skipped or has no annotation", "annotate it and export again"
)
_UNCHECKED = Issue(
    "not-annotated",
    Severity.WARNING,
    "the labels are predictions that nobody has checked",
    "annotate the tasks and export again",
)
_UNPAIRED = Issue(
    "boxes-without-texts",
    Severity.EXCLUDED,
    "row that has not as many texts as boxes",
    "export as JSON, which says what belongs together",
)


def accepts(values: object) -> bool:
    """Whether JSON is a list of tasks or of other records, such as JSON-MIN."""
    return isinstance(values, list) and bool(values) and all(isinstance(each, dict) for each in values)


def exports(header: Iterable[str]) -> bool:
    """Whether columns are those of an export."""
    return len({"annotation_id", "annotator", "lead_time"} & set(header)) > 1


def load(label_file: Path, values: Any, config: LabelConfig) -> Dataset:
    """Load tasks, JSON-MIN, or other records. Raises `DataError` if they do not tell the images or the texts."""
    if any("data" in task for task in values):
        return _load_tasks(label_file, values, config)
    keys = list(dict.fromkeys(key for row in values for key in row))
    is_export = exports(keys)
    format = "Label Studio, JSON-MIN" if is_export else "JSON"
    return load_rows(label_file, format, [(None, row) for row in values], keys, config, is_export)


def load_rows(
    label_file: Path,
    format: str,
    rows: Sequence[tuple[int | None, Mapping[str, object]]],
    keys: Sequence[str],
    config: LabelConfig,
    is_export: bool,
) -> Dataset:
    """Load flat rows.

    Args:
        label_file: the file.
        format: in words.
        rows: the line number and the cells of each row; a cell may be JSON in a text.
        keys: the columns.
        config: may name the columns.
        is_export: whether Label Studio wrote them.
    """
    boxes = [key for key in keys if any(_boxes(row.get(key)) for _, row in rows)]
    kept = [key for key in keys if key not in boxes]
    texts = None
    if is_export:
        rows = _latest_rows(rows)
        own = _OWN | (_DATA if columns.DOUBT in keys or {columns.READING, "file_name"} <= set(keys) else set())
        possible = {key for key in _results_of(keys) if key in kept and key not in own}
        numeric = {key for key in possible if columns.text_rank(key) is None and _is_numeric(row.get(key) for _, row in rows)}
        texts = possible - numeric or possible

    def cells() -> Iterator[list[str]]:
        return ([(_texts(row.get(key)) or [""])[-1] for key in kept] for _, row in rows)

    chosen = columns.choose(label_file, kept, cells, config, texts)
    images, text = [kept[i] for i in chosen.images], kept[chosen.text]
    group = None if chosen.group is None else kept[chosen.group]
    records = _row_records(rows, images, text, boxes[0] if boxes else None, group, is_export, config.empty)
    return dataset_of(label_file, f"{format}, columns {images[0]} and {text}", records, config, issues=chosen.issues)


def _results_of(keys: Sequence[str]) -> Sequence[str]:
    """The columns that annotators may have filled: those after the task's number, unless they are sorted by name."""
    results = keys[keys.index("id") + 1 : keys.index("annotator")] if {"id", "annotator"} <= set(keys) else ()
    return keys if not results or list(keys) == sorted(keys) else results


def _latest_rows(rows: Sequence[tuple[int | None, Mapping[str, object]]]) -> list[tuple[int | None, Mapping[str, object]]]:
    """The row of each task that was written last: exports have one for each annotation."""
    latest: dict[object, tuple[int | None, Mapping[str, object]]] = {}
    for number, (line, row) in enumerate(rows):
        task = str(row["id"]) if row.get("id") not in (None, "") else (number,)
        if task not in latest or str(row.get("updated_at") or "") >= str(latest[task][1].get("updated_at") or ""):
            latest[task] = line, row
    return list(latest.values())


def _row_records(
    rows: Iterable[tuple[int | None, Mapping[str, object]]],
    images: Sequence[str],
    text: str,
    boxes: str | None,
    group: str | None,
    is_export: bool,
    empty: EmptyLabels,
) -> Iterator[LabelRecord | Issue]:
    for line, row in rows:
        first, *others = _names(row.get(key) for key in images) or [""]
        texts, found = _texts(row.get(text)), _boxes(row.get(boxes)) if boxes else []
        where = first if line is None else f"line {line}: {first}"
        of_row = "" if group is None or row.get(group) is None else str(row[group])
        if not texts and (found or empty is EmptyLabels.SKIP):
            yield (_SKIPPED if is_export else EMPTY_LABEL).at(where)
        elif (not found and (is_export or len(texts) < 2)) or row.get(columns.REGION):
            text_of_image = (texts or [""])[-1]  # of several entries in Label Studio's field
            box, region = regions.of_columns(row), regions.parse(row.get(columns.REGION))
            yield LabelRecord(line, first, text_of_image, tuple(others), region, of_row, box)
        elif len(texts) != len(found):
            yield _UNPAIRED.at(where)
        else:
            for each, values in zip(texts, found, strict=True):
                region = _region(values, values)
                yield LabelRecord(line, first, each, tuple(others), region, of_row) if region else BOX_WITHOUT_AREA.at(where)


def _load_tasks(label_file: Path, tasks: Sequence[dict[str, Any]], config: LabelConfig) -> Dataset:
    """Load the latest annotation of each task; if none has any, the predictions."""
    annotated = any(_annotation(task) for task in tasks)
    found = [(task, _annotation(task) if annotated else _latest(task.get("predictions"))) for task in tasks]
    if any(_results(each) for _, each in found) and not any(_controls(each) for _, each in found):
        raise DataError(
            f"{label_file} holds annotations without a text: add a TextArea to the labeling interface, and write it there"
        )
    controls = list(dict.fromkeys(name for _, each in found for name in _controls(each)))
    controls = [name for name in controls if name != _META] or controls
    chosen = controls[0] if len(controls) == 1 else ""
    issues: tuple[Issue, ...] = () if annotated else (_UNCHECKED,)
    if len(controls) > 1 or (config.text_column and controls):
        rows = [{name: (_texts_of(each, name) or [""])[-1] for name in controls} for _, each in found if each]
        chosen, more = columns.choose_text(label_file, rows, config, controls)
        issues += more
    records = (record for task, each in found for record in _task_records(task, each, chosen, config))
    return dataset_of(label_file, f"Label Studio, {'tasks' if annotated else 'predictions'}", records, config, issues=issues)


def _task_records(
    task: dict[str, Any], annotation: dict[str, Any] | None, control: str, config: LabelConfig
) -> Iterator[LabelRecord | Issue]:
    data = task["data"] if isinstance(task.get("data"), dict) else {}
    keys = sorted((key for key in data if key not in (_DATA - {"file_name"})), key=lambda key: columns.image_rank(key) or 9)
    if config.image_column in data:
        keys = [config.image_column] if config.image_column else keys
    values = [data[key] for key in keys if isinstance(data[key], str)]
    images = [value for value in values if columns.is_image(value)] or values[:1]
    first, *others = _names([*images, task.get("file_upload")]) or [""]
    if annotation is None:
        yield _SKIPPED.at(first or "task", f"task {task.get('id', '')}: {first}")
        return
    about = {**(task["meta"] if isinstance(task.get("meta"), dict) else {}), **data}
    group = "" if config.group is None or about.get(config.group) is None else str(about[config.group])
    results = _results(annotation)
    shapes = {result.get("id"): result for result in results if _is_shape(result.get("value"))}
    texts = [result for result in results if _control(result) == control and _text_of(result)]
    within = [result for result in texts if result.get("id") in shapes and not data.get(columns.REGION)]
    read = {result.get("id") for result in within}
    yield from (BOX_WITHOUT_TEXT.at(first) for each in shapes if within and each not in read)
    if not within:
        text = _text_of(texts[-1])[-1] if texts else ""
        yield LabelRecord(None, first, text, tuple(others), regions.parse(data.get(columns.REGION)), group)
    for result in within:
        shape = shapes[result.get("id")]
        region = _region({**shape, **result}, {**shape["value"], **result["value"]})
        if region is None:
            yield BOX_WITHOUT_AREA.at(first)
        else:
            yield LabelRecord(None, first, _text_of(result)[-1], tuple(others), region, group)


def _annotation(task: Mapping[str, Any]) -> dict[str, Any] | None:
    """The annotation of a task that counts: one that is marked as ground truth, else the latest, none that was skipped."""
    given = task.get("annotations") or task.get("completions") or []
    listed = given if isinstance(given, list) else []
    kept = [each for each in listed if isinstance(each, dict) and not each.get("was_cancelled") and not each.get("skipped")]
    return _latest([each for each in kept if each.get("ground_truth")] or kept)


def _latest(given: object) -> dict[str, Any] | None:
    """The annotation or prediction that was written last; of those without a date the last."""
    found = [each for each in given if isinstance(each, dict)] if isinstance(given, list) else []
    return max(found, key=lambda each: str(each.get("updated_at") or each.get("created_at") or "")) if found else None


def _results(annotation: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    results = annotation.get("result") if annotation else None
    given = (each for each in (results if isinstance(results, list) else ()) if isinstance(each, dict))
    return [each for each in given if isinstance(each.get("value"), dict) and isinstance(each.get("id"), str | int | None)]


def _controls(annotation: Mapping[str, Any] | None) -> list[str]:
    """The names of the fields of a labeling configuration that texts were written in."""
    return [_control(each) for each in _results(annotation) if _text_of(each)]


def _control(result: Mapping[str, Any]) -> str:
    """The field of a result; what was written about a box itself (Label Studio's "meta") is one of its own."""
    return str(result.get("from_name")) if _texts(result["value"].get("text")) else _META


def _text_of(result: Mapping[str, Any]) -> list[str]:
    meta = result.get("meta")
    return _texts(result["value"].get("text")) or _texts(meta.get("text") if isinstance(meta, dict) else None)


def _texts_of(annotation: Mapping[str, Any] | None, control: str) -> list[str]:
    return [text for each in _results(annotation) if _control(each) == control for text in _text_of(each)]


def _names(values: Iterable[object]) -> list[str]:
    """The names by which an image may be found: as they stand, and uploaded ones as they were before."""
    names = [_resolved(value) for value in values if isinstance(value, str) and value]
    return list(dict.fromkeys([*names, *(found[1] for name in names if (found := _UPLOAD.fullmatch(name)))]))


def _resolved(name: str) -> str:
    """The address in storage that `/tasks/1/resolve/?fileuri=` has in base 64."""
    encoded = _FILE_URI.search(name)
    with suppress(ValueError):
        return b64decode(encoded[1] + "==", validate=False).decode() if encoded else name
    return name


def _texts(value: object) -> list[str]:
    """The texts in a cell or a value: one, or a list of them, which may be JSON in a text."""
    if isinstance(value, str):
        value = parsed_json(value, '["') or value
    if isinstance(value, Mapping):
        value = value.get("text")
    if isinstance(value, str):
        return [value] if value.strip() else []
    if isinstance(value, bool | float | int):
        return [str(value)] if not isinstance(value, float) or math.isfinite(value) else []
    return [text for each in value for text in _texts(each)] if isinstance(value, list) else []


def _boxes(value: object) -> list[dict[str, Any]]:
    """The shapes in a cell, which may be JSON in a text."""
    if isinstance(value, str):
        value = parsed_json(value, "[{")
    return [each for each in value if _is_shape(each)] if isinstance(value, list) else []


def _is_shape(value: object) -> bool:
    return isinstance(value, dict) and ({"x", "y", "width", "height"} <= value.keys() or "points" in value)


def _is_numeric(values: Iterable[object]) -> bool:
    """Whether a column holds numbers alone."""
    return all(_NUMBER.fullmatch(text) for value in values for text in _texts(value))


def _region(about: Mapping[str, Any], value: Mapping[str, Any]) -> Region | None:
    """The region of a shape in per cent of its image; a turned one needs the image's size, which is in `about`."""
    try:
        if "points" in value:
            points = [(regions.number(x) / 100, regions.number(y) / 100) for x, y in value["points"]]
            return regions.polygon(points, is_relative=True)
        x, y, width, height = (regions.number(value[key]) / 100 for key in ("x", "y", "width", "height"))
        turn = regions.number(value.get("rotation") or 0)
        if not turn % 360:
            return regions.box(x, y, x + width, y + height, is_relative=True)
        size = regions.number(about["original_width"]), regions.number(about["original_height"])
        region = regions.rotated((x * size[0], y * size[1]), width * size[0], height * size[1], turn, about_corner=True)
        return region and region.scaled(1 / size[0], 1 / size[1], is_relative=True)
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
