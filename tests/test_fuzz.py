"""Damaged and hostile files of each kind: they are read, or are an error in one sentence; in a process with limits.

The small form runs always; `python tests/fuzz.py` runs as many as one likes.
"""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest
from fuzz import fuzz, run
from fuzz_kinds import FAULTS, KINDS, LABELS

from crnnocr.config import LabelConfig
from crnnocr.datasets import Dataset, detection

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
