"""Damaged and hostile files of each kind: they are read, or are an error in one sentence; in a process with limits.

The small form runs always; `python tests/fuzz.py` runs as many as one likes.
"""

from __future__ import annotations

import time
from contextlib import suppress
from copy import deepcopy
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from random import Random

import pytest
from fuzz import fuzz, run
from fuzz_kinds import FAULTS, KINDS, LABELS
from fuzz_mutations import mutate_value

from crnnocr.config import LabelConfig
from crnnocr.datasets import Dataset, detection
from crnnocr.errors import CrnnocrError

FEW, MANY = 25, 2000
GROUPS = {
    "images": [kind for kind in KINDS if kind.startswith("image")],
    "labels": [kind for kind in KINDS if kind.startswith("labels")],
    "models": [kind for kind in KINDS if not kind.startswith(("image", "labels"))],
}


@pytest.mark.parametrize("group", GROUPS)
def test_some_damaged_files_are_read_or_are_errors(group: str) -> None:
    results = run(GROUPS[group], FEW, seed=1)
    failures = [f"{each.kind} {failure['index']}: {failure['what']}" for each in results for failure in each.failures]
    assert not failures, "\n\n".join(failures[:5])
    assert [each.read + each.refused for each in results] == [FEW] * len(GROUPS[group])


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_many_damaged_files_are_read_or_are_errors(kind: str) -> None:
    result = fuzz(kind, MANY, seed=2)
    assert not result.failures, "\n\n".join(f"{kind} {each['index']}: {each['what']}" for each in result.failures[:5])
    assert result.read + result.refused == MANY


FOUND: list[tuple[str, str, str]] = [
    ("labels-label-studio", '"id": "a"', '"id": {"a": 1}'),
    ("labels-label-studio", '"x": 5.0', f'"x": {10**400}'),
    ("labels-label-studio", '"annotations": [', '"annotations": 0.5, "more": ['),
    ("labels-label-studio", '"result": [', '"result": 7, "more": ['),
    ("labels-label-studio-min", "/data/local-files/?d=x/0.png", "/a\\u0000b/0.png"),
    ("labels-label-studio-min", "/data/local-files/?d=x/0.png", "/\\ud800/0.png"),
    ("labels-coco", '"bbox": [1,', f'"bbox": [{10**400},'),
    ("labels-paddleocr", "[50, 1]", f"[{10**400}, 1]"),
    ("run-info", "{", "[{"),
    ("run-info", '"auto"', "[" * 3000),
    ("history", '"seconds": 3.5', f'"seconds": {10**400}'),
    ("history", '"step": 10', '"step": "10"'),
    ("export-folder", '"web"', "[" * 3000),
    ("synth-set", '"en"', "[[]]"),
    ("lexicon", "AB-123", "x" * 100_000),
]
"""What the harness has found, as a change of a good file: the text, and what stands in its place."""


@pytest.mark.parametrize(("kind", "before", "after"), FOUND, ids=range(len(FOUND)))
def test_what_was_found_is_read_or_is_an_error(kind: str, before: str, after: str, tmp_path: Path) -> None:
    path, *_ = KINDS[kind].make(tmp_path)
    content = path.read_text(encoding="utf-8")
    assert before in content
    path.write_text(content.replace(before, after), encoding="utf-8")
    start = time.process_time()
    with suppress(CrnnocrError):
        KINDS[kind].use(path)
    assert time.process_time() - start < 2


def test_an_input_does_not_depend_on_those_before_it() -> None:
    value = {"a": [1, {"b": 2}], "c": {}}
    first = [repr(mutate_value(deepcopy(value), Random(seed))) for seed in range(500)]
    assert [repr(mutate_value(deepcopy(value), Random(seed))) for seed in range(499, -1, -1)] == first[::-1]


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_found(fault: str) -> None:
    result = fuzz(fault, 1)
    assert len(result.failures) == 1
    assert FAULTS[fault].seen_as in result.failures[0]["what"]


def test_each_label_format_is_fuzzed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: set[str] = set()

    def noting(format: detection.Format) -> detection.Format:
        def load(source: Path, config: LabelConfig) -> Dataset | None:
            found = format.load(source, config)
            loaded.update([format.name] if found else [])
            return found

        return replace(format, load=load)

    formats = detection.FORMATS
    monkeypatch.setattr(detection, "FORMATS", tuple(map(noting, formats)))
    for name, make in LABELS.items():
        (tmp_path / name).mkdir()
        assert list(make(tmp_path / name))
        assert detection.load_dataset(tmp_path / name).samples, name
    without_a_file = {"file names of trdg", "a folder of images for each character"}
    optional = set() if find_spec("pyarrow") else {"parquet or arrow files"}
    assert loaded | without_a_file | optional == {format.name for format in formats}
