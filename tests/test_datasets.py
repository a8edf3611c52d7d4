"""Samples read their images, and issues are summed up."""

from __future__ import annotations

from pathlib import Path

import pytest
from label_files import EMPTY, MISSING, put

from crnnocr.datasets import Sample
from crnnocr.datasets.issues import EMPTY_LABEL, MISSING_IMAGE, merged, summary
from crnnocr.errors import ImageError


def test_a_sample_reads_its_image(tmp_path: Path) -> None:
    put(tmp_path, [], {"a.png": b"\x89PNG"})
    sample = Sample(tmp_path / "a.png", "eins")
    assert sample.read() == b"\x89PNG"
    assert sample.name == str(tmp_path / "a.png")


def test_an_image_that_cannot_be_read_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"gone\.png: there is no such file"):
        Sample(tmp_path / "gone.png", "eins").read()
    with pytest.raises(ImageError, match=rf"{tmp_path}: Is a directory"):
        Sample(tmp_path, "eins").read()


def test_a_summary_counts_each_kind_of_issue_and_names_its_first_location() -> None:
    found = merged([EMPTY_LABEL.at("line 2"), MISSING_IMAGE.at("line 3"), EMPTY_LABEL.at("line 7")])
    assert [(issue.code, issue.count) for issue in found] == [(EMPTY, 2), (MISSING, 1)]
    assert summary(found) == [
        f"2 excluded: empty label (first: line 2): {EMPTY_LABEL.fix}",
        f"1 excluded: row whose image is not there (first: line 3): {MISSING_IMAGE.fix}",
    ]
    assert summary([]) == []
