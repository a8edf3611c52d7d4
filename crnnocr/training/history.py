"""`history.jsonl`: how a training went, one JSON row a validation."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from crnnocr.errors import DataError
from crnnocr.files import cannot_write, replacing

if TYPE_CHECKING:
    from crnnocr.training.validation import Validation


@dataclass(frozen=True)
class Row:
    """Where the training stood at one validation."""

    step: int
    """Steps made."""
    pictures: int
    """Pictures shown."""
    epoch: int
    """The running epoch, from 1."""
    seconds: float
    """Wall time of the training, that before an interruption included."""
    loss: float
    """CTC loss in nats a character, averaged over the last steps of training."""
    learning_rate: float
    """Of the last step."""
    cer: float
    """Character error rate on the held-out pictures."""
    exact: float
    """Share of them that were read without an error."""
    mean_levenshtein: float
    """Mean Levenshtein distance on them, in characters a picture."""
    waiting: float
    """Share of the time that the network waited for pictures, 0 to 1."""
    kept: bool
    """Whether these were the weights to keep so far."""

    @classmethod
    def of(cls, event: Validation) -> Row:
        """The row of a validation."""
        return cls(
            step=event.step,
            pictures=event.pictures,
            epoch=event.epoch,
            seconds=round(event.seconds, 2),
            loss=event.loss,
            learning_rate=event.learning_rate,
            cer=event.scores.cer,
            exact=event.scores.exact,
            mean_levenshtein=event.scores.mean_levenshtein,
            waiting=round(event.waiting, 4),
            kept=event.is_best,
        )


class History:
    """The rows of one training, in memory and in its file, where each stands as soon as it is added."""

    def __init__(self, path: Path, rows: list[Row]) -> None:
        self._path = path
        self._rows = rows
        try:
            self._file = path.open("a", encoding="utf-8")
        except OSError as error:
            raise cannot_write(path, error) from error

    @classmethod
    def open(cls, path: Path, up_to_step: int = 0) -> History:
        """Begin a history, or go on with the one in `path`, of which the rows past `up_to_step` are dropped.

        Args:
            path: the file; its folder is made if need be.
            up_to_step: where the training goes on; 0 begins anew.

        Raises:
            DataError: a row before the last is none. The last one may be cut off, as a kill leaves it: then it is dropped.
            CrnnocrError: the file cannot be written.
        """
        rows = [row for row in read(path) if row.step <= up_to_step] if path.exists() else []
        with replacing(path) as part:
            part.write_text("".join(map(_line, rows)), encoding="utf-8")
        return cls(path, rows)

    @property
    def rows(self) -> tuple[Row, ...]:
        """All rows so far."""
        return tuple(self._rows)

    def add(self, event: Validation) -> Row:
        """Write the row of a validation, and return it. Raises `CrnnocrError` where it cannot be written."""
        row = Row.of(event)
        try:
            self._file.write(_line(row))
            self._file.flush()
        except OSError as error:
            raise cannot_write(self._path, error) from error
        self._rows.append(row)
        return row

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()


def read(path: Path) -> Iterator[Row]:
    """The rows of a history file, but for a last one that was cut off.

    Raises `DataError`, naming the line, where another one is no row.
    """
    lines = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines, start=1):
        if number == len(lines):  # whole lines end in a line end, so this is empty, or cut off
            return
        try:
            data = json.loads(line)
            yield Row(**{field.name: data[field.name] for field in fields(Row)})
        except (ValueError, TypeError, KeyError) as error:
            raise DataError(f"{path}, line {number}: this is no row of a history; remove the line to go on") from error


def _line(row: Row) -> str:
    return json.dumps(asdict(row)) + "\n"
