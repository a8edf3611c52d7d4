"""Data sets of Hugging Face: parquet files as on the hub, and arrow files as `save_to_disk` writes them, images inside.

Read with pyarrow. Nothing is unpickled, and images are decoded by crnnocr.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

from crnnocr.config import LabelConfig
from crnnocr.datasets import Dataset, Sample, columns
from crnnocr.datasets.issues import MISSING_ENTRY, Issue, merged
from crnnocr.datasets.label_file import issue_of_text, label_of
from crnnocr.errors import DataError, ImageError

SUFFIXES = frozenset({".parquet", ".arrow"})

_SHARDS = ("*.parquet", "data/*.parquet", "data-*.arrow")
"""Where the parts of a data set lie in its folder."""


def load(file: Path, config: LabelConfig) -> Dataset:
    """Load one file. Raises `DataError` if it cannot be read, or has no images and texts."""
    return _load(file, [file], config)


def load_folder(folder: Path, config: LabelConfig) -> Dataset | None:
    """Load the parts of a data set. Returns None if there are none.

    Raises `DataError` if they are of several splits, which are meant to be kept apart, or cannot be read.
    """
    shards = _shards(folder)
    if not shards:
        return None
    splits = sorted({shard.name.split("-")[0] for shard in shards if "-" in shard.name}) or [""]
    if len(splits) > 1:
        names = ", ".join(shard.relative_to(folder).as_posix() for shard in shards)
        raise DataError(f"{folder} holds the splits {', '.join(splits)} ({names}): name the files to read")
    return _load(folder, shards, config)


def holds_labels(folder: Path) -> bool:
    """Whether there are parts of a data set in a folder."""
    return bool(_shards(folder))


def _shards(folder: Path) -> list[Path]:
    return next((found for pattern in _SHARDS if (found := sorted(folder.glob(pattern)))), [])


def read_entry(file: Path, entry: str) -> bytes:
    """Return the bytes of the image in a row, `row/column`. Thread-safe. Raises `ImageError` if there are none."""
    row, _, column = entry.partition("/")
    try:
        with _reading:
            value = _cell(os.path.realpath(file), int(row), column)
    except DataError as error:
        raise ImageError(f"{file}:{entry}: {error}") from error
    data = value.get("bytes") if isinstance(value, dict) else value
    if not isinstance(data, bytes):
        raise ImageError(f"{file}:{entry}: there is no image in it")
    return data


_reading = Lock()


def _load(source: Path, shards: Sequence[Path], config: LabelConfig) -> Dataset:
    samples: list[Sample] = []
    issues: list[Issue] = []
    names = ("", "")
    for shard in shards:
        try:
            names, said = _columns(shard, config)
            issues += said
            for found in _samples(shard, *names, config):
                (samples if isinstance(found, Sample) else issues).append(found)  # type: ignore[arg-type]
        except UnicodeDecodeError as error:  # in the name of a column
            raise _damaged(shard, error) from error
    kind = "parquet" if shards[0].suffix == ".parquet" else "arrow"
    return Dataset(source, f"Hugging Face, {kind}, columns {' and '.join(names)}", tuple(samples), merged(issues))


def _columns(shard: Path, config: LabelConfig) -> tuple[tuple[str, str], tuple[Issue, ...]]:
    """The columns of image and text, and warnings about the choice."""
    schema = _opened(os.path.realpath(shard)).schema
    images = [field.name for field in schema if _holds_images(field.type)]
    texts = [each.name for each in schema if _holds_texts(each.type) or each.name == config.text_column]
    if not images:
        raise DataError(f"{shard} has no column of images, only {', '.join(schema.names)}")
    header = [*images, *texts]
    values = {name: _column(shard, name) for name in texts}

    def rows() -> Iterator[list[str]]:
        return (
            [*("x.png" for _ in images), *("" if text is None else str(text) for text in row)]
            for row in zip(*values.values(), strict=True)
        )

    chosen = columns.choose(shard, header, rows, config, {name for name in texts if columns.text_rank(name) is not None})
    return (header[chosen.images[0]], header[chosen.text]), chosen.issues


def _holds_images(kind: Any) -> bool:
    """Whether a column's type is that of images: bytes, or bytes and a path."""
    import pyarrow.types as types

    if types.is_struct(kind):
        return any(field.name == "bytes" and _holds_images(field.type) for field in kind)
    return bool(types.is_binary(kind) or types.is_large_binary(kind))


def _holds_texts(kind: Any) -> bool:
    """Whether a column's type is that of texts, or of categories with names."""
    import pyarrow.types as types

    kind = kind.value_type if types.is_dictionary(kind) else kind
    return bool(types.is_string(kind) or types.is_large_string(kind))


def _samples(shard: Path, image: str, text: str, config: LabelConfig) -> Iterator[Sample | Issue]:
    present = _present(shard, image)
    named = [name for name in _opened(os.path.realpath(shard)).schema.names if name == config.group]
    groups: Sequence[object] = _column(shard, named[0]) if named else [None] * len(present)
    for row, label in enumerate(_column(shard, text)):
        name, changes = label_of("" if label is None else str(label))
        if issue := issue_of_text(name, config.empty) or (None if present[row] else MISSING_ENTRY):
            yield issue.at(f"{shard}:{row}/{image}")
            continue
        yield Sample(shard, name, f"{row}/{image}", group="" if groups[row] is None else str(groups[row]))
        yield from (change.at(f"{shard}:{row}/{image}") for change in changes)


def _present(shard: Path, image: str) -> list[bool]:
    return list(_opened(os.path.realpath(shard)).present(image))


def _column(shard: Path, name: str) -> list[Any]:
    file = _opened(os.path.realpath(shard))
    return [value for part in file.parts([name]) for value in part.column(name).to_pylist()]


@lru_cache(maxsize=2)
def _group(file: str, group: int, column: str) -> Any:
    return _opened(file).group(group, [column])


def _cell(file: str, row: int, column: str) -> object:
    """The value of a cell. Of parquet a whole group of rows is decoded, and kept for the next ones."""
    opened = _opened(file)
    for group, count in enumerate(opened.counts):
        if row < count:
            return _group(file, group, column).column(column)[row].as_py()
        row -= count
    raise DataError("there is no such row")


class _File:
    """A parquet or arrow file as groups of rows."""

    def __init__(self, file: str) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._name = file
        self._parquet = pq.ParquetFile(file) if file.endswith(".parquet") else None
        self._table: Any = None
        if self._parquet is None:
            source = pa.memory_map(file)
            try:
                self._table = pa.ipc.open_stream(source).read_all()
            except pa.ArrowInvalid:  # a file in place of a stream
                self._table = pa.ipc.open_file(source).read_all()
        self.schema = self._parquet.schema_arrow if self._parquet else self._table.schema
        groups = range(self._parquet.num_row_groups if self._parquet else 1)
        metadata = self._parquet.metadata if self._parquet else None
        self.counts = [metadata.row_group(group).num_rows if metadata else len(self._table) for group in groups]

    def group(self, group: int, columns: list[str]) -> Any:
        """Some columns of a group of rows, whose values lie where they should. Raises `DataError` if they are damaged."""
        import pyarrow as pa

        try:
            part = self._parquet.read_row_group(group, columns) if self._parquet else self._table.select(columns)
            part.validate(full=True)
            if len(part) != self.counts[group]:
                raise pa.ArrowInvalid(f"{len(part)} of {self.counts[group]} rows")
        except (pa.ArrowException, OSError) as error:
            raise _damaged(self._name, error) from error
        return part

    def present(self, image: str) -> Iterator[bool]:
        """Whether each row has an image. Of parquet only the paths beside the bytes are read for this, if there are any."""
        import pyarrow.types as types

        kind = self.schema.field(image).type
        has_path = types.is_struct(kind) and any(field.name == "path" for field in kind)
        columns = [f"{image}.path"] if has_path and self._parquet else [image]
        return (bool(valid) for part in self.parts(columns) for valid in part.column(image).is_valid().to_pylist())

    def parts(self, columns: list[str]) -> Iterator[Any]:
        return (self.group(group, columns) for group in range(len(self.counts)))


def _damaged(file: Path | str, error: Exception) -> DataError:
    return DataError(f"{file} is not a readable parquet or arrow file ({error}): download or write it again")


@cache
def _opened(file: str) -> _File:
    try:
        import pyarrow as pa
    except ImportError as error:
        raise DataError(f"{file} is read with the package pyarrow: pip install 'crnnocr[parquet]'") from error
    try:
        return _File(file)
    except (pa.ArrowException, OSError) as error:
        raise _damaged(file, error) from error
