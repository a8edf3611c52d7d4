"""An LMDB of `num-samples`, `image-000000001`, `label-000000001` and so on: MJSynth's, and that of clovaai's benchmark."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from crnnocr.config import EmptyLabels, LabelConfig
from crnnocr.datasets import Dataset, Sample
from crnnocr.datasets.issues import MISSING_ENTRY, NOT_UTF_8, UNLABELED_ENTRY, Issue, merged
from crnnocr.datasets.label_file import issue_of_text, label_of
from crnnocr.errors import DataError, ImageError

if TYPE_CHECKING:
    import lmdb

DATA_FILE = "data.mdb"

_KEYS = "num-samples, image-000000001, label-000000001 and so on"
_DIGITS = 9
"""Digits of the numbers in the keys, and so the most of `num-samples`."""


def load(folder: Path, config: LabelConfig) -> Dataset:
    """Load a database, its samples in the order of their numbers. Raises `DataError` if it is of another kind."""
    samples: list[Sample] = []
    issues: list[Issue] = []
    with _transaction(folder) as transaction:
        count = _count(folder, transaction)
        # Looking up each image would read a good part of the file: it is done only if some are missing.
        is_complete = transaction.stat()["entries"] > 2 * count
        for number in range(1, count + 1):
            for found in _sample(folder, transaction, number, is_complete, config.empty):
                (samples if isinstance(found, Sample) else issues).append(found)  # type: ignore[arg-type]
    return Dataset(folder, "LMDB", tuple(samples), merged(issues))


def read_entry(folder: Path, entry: str) -> bytes:
    """Return the value of a key in a database. Thread-safe. Raises `ImageError` if it cannot be read."""
    try:
        with _transaction(folder) as transaction:
            value = transaction.get(entry.encode())
    except DataError as error:
        raise ImageError(f"{folder}:{entry}: {error}") from error
    if value is None:
        raise ImageError(f"{folder}:{entry}: there is no such entry")
    return bytes(value)


def _count(folder: Path, transaction: lmdb.Transaction) -> int:
    value = transaction.get(b"num-samples")
    if value is None or len(value) > _DIGITS or not bytes(value).isdigit():
        raise DataError(f"{folder} is an LMDB of another kind: expected the keys {_KEYS}")
    count, entries = int(bytes(value)), transaction.stat()["entries"]
    if count > entries:
        raise DataError(f"{folder}: num-samples is {count}, but there are {entries} entries in all: make or copy it again")
    return count


def _sample(
    folder: Path, transaction: lmdb.Transaction, number: int, is_complete: bool, empty: EmptyLabels
) -> Iterator[Sample | Issue]:
    entry = f"image-{number:09}"
    name = f"{folder}:{entry}"
    label = transaction.get(b"label-%09d" % number)
    if label is None:
        yield UNLABELED_ENTRY.at(name)
        return
    if not is_complete and transaction.get(entry.encode()) is None:
        yield MISSING_ENTRY.at(name)
        return
    try:
        text, changes = label_of(bytes(label).decode())
    except UnicodeDecodeError:
        yield NOT_UTF_8.at(name)
        return
    if issue := issue_of_text(text, empty):
        yield issue.at(name)
        return
    yield Sample(folder, text, entry)
    yield from (change.at(name) for change in changes)


_opening = Lock()


@contextmanager
def _transaction(folder: Path) -> Iterator[lmdb.Transaction]:
    """Begin a read transaction. A process opens each database once. Raises `DataError` if it cannot be opened or read."""
    with _opening:
        environment = _opened(os.path.abspath(folder))  # noqa: PTH100 (links are followed once, below)
    import lmdb

    try:
        with environment.begin() as transaction:
            yield transaction
    except lmdb.Error as error:
        raise _damaged(folder, error) from error


@cache
def _opened(folder: str) -> lmdb.Environment:
    return _open(os.path.realpath(folder))


@cache
def _open(folder: str) -> lmdb.Environment:
    try:
        import lmdb
    except ImportError as error:
        raise DataError(f"{folder} is an LMDB, which is read with the package lmdb: pip install 'crnnocr[lmdb]'") from error
    try:
        environment = lmdb.open(folder, readonly=True, create=False, lock=False, readahead=False)
    except lmdb.Error as error:
        raise _damaged(folder, error) from error
    # Reading past the end of a memory-mapped file kills the process.
    data_file = Path(folder, DATA_FILE)
    size, due = data_file.stat().st_size, (environment.info()["last_pgno"] + 1) * environment.stat()["psize"]
    if size < due:
        environment.close()
        raise DataError(f"{data_file} is cut short, {size} of {due} bytes: copy it again")
    return environment


def _damaged(folder: Path | str, error: lmdb.Error) -> DataError:
    return DataError(f"{folder} is not a readable LMDB ({error}): make or copy it again")
