"""A folder of drawn pictures: `000000.png`, …, their labels in `metadata.jsonl`, and how they were made in `synth.json`.

Picture by picture is written whole or not at all, and each depends on its index alone: an interrupted set is completed, and
a larger one extended, by the same call again. Of a whole set, no more than a few bytes a picture are kept in memory.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from crnnocr.config import LabelFormat, SynthConfig
from crnnocr.errors import CrnnocrError, UsageError
from crnnocr.files import folder_lock
from crnnocr.synth.dataset import contents, manifest
from crnnocr.synth.dataset.contents import MOST, OwnRows, Row, look, picture_name
from crnnocr.synth.dataset.pool import Job, Stretch, draw_picture, draw_pictures, team_size
from crnnocr.synth.dataset.resume import SPARE, examine, take_over
from crnnocr.synth.sampler import Sampler

_SPARE_BYTES = 64 * 1024


def draw(
    folder: Path,
    config: SynthConfig,
    count: int,
    force: bool = False,
    workers: int | None = None,
    format: LabelFormat = LabelFormat.IMAGEFOLDER,
    sampler: Sampler | None = None,
) -> Generator[int]:
    """Draw until `folder` holds samples 0 to `count` - 1, and write their labels.

    However it ends, the labels of the pictures that are there are written; rows that are there already stay as they are.
    Where nothing is missing, nothing is written.

    Args:
        folder: where they go; it is made.
        config: what is drawn.
        count: how many pictures there are to be.
        force: mix into a folder that holds something else; a set of other options in it is replaced.
        workers: how many processes draw; by default as fits the cores and the work. They are started afresh and load the
            caller's main module, so a script guards its calls by `if __name__ == "__main__"` or asks for one process.
        format: the labels that are written beside `metadata.jsonl`.
        sampler: a sampler of `config`, if there is one already.

    Yields:
        How many pictures are there, after each one that was drawn.

    Raises:
        UsageError: the folder holds something else, and not `force`; or it holds more pictures of this set than `count`.
        DataError: no font can draw a text.
        CrnnocrError: a file cannot be written, or a process that draws was killed.
    """
    check(folder, count, workers)
    sampler = sampler or Sampler(config)
    now = manifest.of(config, sampler.faces)
    with folder_lock(folder):
        found = examine(folder, now, count, force, format)
        foreign, own = take_over(found, now, count, format)
        if found.is_finished(own, count, format):
            return
        there = found.there(count)
        job = Job(folder, config, sidecars=format is LabelFormat.GT_TXT)
        with (
            _labels(job, sampler, count, foreign, own, format) as label,
            closing(draw_pictures(job, sampler, there, team_size(workers, there))) as drawn,
        ):
            total = there.count(1)
            for stretch, texts in drawn:
                label(stretch, texts)
                for _ in range(stretch.there.count(0)):
                    total += 1
                    yield total


def check(folder: Path, count: int, workers: int | None) -> None:
    """Raise `UsageError` where this cannot be meant."""
    if not 1 <= count <= MOST:
        raise UsageError(f"--count takes 1 to {MOST:,}")
    if workers is not None and workers < 1:
        raise UsageError("--workers must be at least 1")
    if folder.is_file():
        raise UsageError(f"{folder} is a file: name a folder")


@contextmanager
def _labels(
    job: Job, sampler: Sampler, count: int, foreign: list[Row], own: OwnRows, format: LabelFormat
) -> Iterator[Callable[[Stretch, list[str]], None]]:
    """A function that labels the pictures of one stretch after the other.

    If the block ends before its time the rest of the pictures that are there is labelled too. If that cannot be written
    either, what ended the block is what is raised.
    """
    labelled = 0
    stopped: BaseException | None = None
    try:
        with _spare_room(job.folder) as spare, contents.opened(job.folder, format) as write:

            def label(stretch: Stretch, texts: list[str]) -> None:
                nonlocal labelled
                for index, text in enumerate(texts, stretch.start):
                    write(own[index] or _row(index, text))
                    labelled = index + 1

            for row in foreign:
                write(row)
            try:
                yield label
            except BaseException as error:  # Ctrl-C too; raised again below
                stopped = error
                spare.unlink(missing_ok=True)
                for row in _rows_of_those_there(job, sampler, own, range(labelled, count)):
                    write(row)
    except CrnnocrError:
        if stopped is None:
            raise
    if stopped is not None:
        raise stopped


@contextmanager
def _spare_room(folder: Path) -> Iterator[Path]:
    """A file to be removed when the disk is full, for the room that the last labels need."""
    spare = folder / f".{SPARE}.{os.getpid()}.part"
    try:
        with suppress(OSError):
            spare.write_bytes(bytes(_SPARE_BYTES))
        yield spare
    finally:
        spare.unlink(missing_ok=True)


def _rows_of_those_there(job: Job, sampler: Sampler, own: OwnRows, indices: range) -> Iterator[Row]:
    there = look(job.folder, indices.stop).drawn(indices.stop)
    for index in indices:
        if there[index]:
            text = draw_picture(job, sampler, index, there=True)
            yield own[index] or _row(index, text)


def _row(index: int, text: str) -> Row:
    return {"file_name": picture_name(index), "text": text}
