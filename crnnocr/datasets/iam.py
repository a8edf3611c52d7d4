"""`words.txt` and `lines.txt` of the IAM handwriting database: `a01-000u-00 ok 154 19 408 746 1661 89 A|MOVE|to`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from crnnocr.config import LabelConfig
from crnnocr.datasets import Dataset
from crnnocr.datasets.issues import Issue, Severity
from crnnocr.datasets.label_file import LabelRecord, broken_row, dataset_of, numbered_lines

_RECORD = re.compile(r"(?P<id>[a-z]\d\d-\d{3}[a-z]?-\d\d(?P<word>-\d\d)?) (?P<status>ok|err|prt) (?:-?\d+ ){5}\S+ (?P<text>.+)")
"""The text follows eight columns: of a word the last is its part of speech, of a line the box's height."""
_ERRONEOUS = Issue(
    "erroneous-crop", Severity.EXCLUDED, "word that is marked err: it was cut out wrongly", "cut it out again, and mark it ok"
)


def accepts(line: str) -> bool:
    """Whether a line is of this format."""
    return _RECORD.fullmatch(line.strip()) is not None


def load(label_file: Path, content: str, config: LabelConfig) -> Dataset:
    """Load a list with this content. Raises `DataError`, naming a line, if at least half are of another format."""
    return dataset_of(label_file, "IAM", _records(label_file, content), config)


def _records(label_file: Path, content: str) -> Iterator[LabelRecord | Issue]:
    for number, line in numbered_lines(content):
        if line.startswith("#"):
            continue
        found = _RECORD.fullmatch(line.strip())
        if found is None:
            yield broken_row(label_file, number, f"is not a record of IAM, as the lines before: {line!r}")
            continue
        form, page, *_ = found["id"].split("-")
        name = f"{form}/{form}-{page}/{found['id']}.png"
        if found["word"] and found["status"] == "err":
            yield _ERRONEOUS.at(name, f"{label_file.name} line {number}: {found['id']}")
        else:
            yield LabelRecord(number, name, found["text"].replace("|", " "), (f"{found['id']}.png",))
