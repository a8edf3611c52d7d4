"""A folder of synthetic images: `000000.png`, …, their labels in `metadata.jsonl`, and how they were made in `synth.json`.

Each image is written whole or not at all, and depends on its index only. So the same call completes an interrupted set, and
extends it if the count is larger. In memory there are never more than a few bytes an image.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from crnnocr.config import LabelFormat, SynthConfig
from crnnocr.errors import ConfigError, CrnnocrError, UsageError
from crnnocr.files import folder_lock
from crnnocr.runtime import cores
from crnnocr.synth.dataset import labels, manifest
from crnnocr.synth.dataset.labels import MAX_COUNT, ExistingRecords, Record, image_name
from crnnocr.synth.dataset.pool import Chunk, Job, make_image, make_images, worker_count
from crnnocr.synth.dataset.resume import SPARE, inspect, resume, scan
from crnnocr.synth.sampler import Sampler

_SPARE_BYTES = 64 * 1024


def generate(
    folder: Path,
    config: SynthConfig,
    count: int,
    *,
    force: bool = False,
    workers: int | None = None,
    format: LabelFormat = LabelFormat.IMAGEFOLDER,
    sampler: Sampler | None = None,
) -> Generator[int]:
    """Render images until `folder` holds samples 0 to `count` - 1, and write their labels.

    However it ends, the labels of all images that are there are written. Records that exist stay as they are. If nothing is
    missing, nothing is written.

    Args:
        folder: is made if it is not there.
        config: what to render.
        count: how many images the folder is to hold.
        force: mix into a folder that holds something else, and replace a set of other options.
        workers: number of processes that render; by default as fits the cores and the work. They are spawned and load the
            caller's main module, so a script guards its calls by `if __name__ == "__main__"` or asks for one worker.
        format: labels to write besides `metadata.jsonl`.
        sampler: a sampler of `config`, if there is one already.

    Yields:
        How many images are there, after each new one.

    Raises:
        UsageError: the folder holds something else, and not `force`; or it holds more images of this set than `count`.
        DataError: no font can draw a text.
        CrnnocrError: a file cannot be written, or a worker process was killed.
    """
    check_arguments(folder, count, workers)
    sampler = sampler or Sampler(config)
    now = manifest.create(config, sampler.faces)
    with folder_lock(folder):
        state = inspect(folder, now, count, force, format)
        foreign, own = resume(state, now, count, format)
        if state.is_complete(own, count, format):
            return
        present = state.present(count)
        job = Job(folder, config, sidecars=format is LabelFormat.GT_TXT)
        with (
            _labels(job, sampler, count, foreign, own, format) as label,
            closing(make_images(job, sampler, present, worker_count(workers, present, cores()))) as made,
        ):
            total = present.count(1)
            for chunk, texts in made:
                label(chunk, texts)
                for _ in range(chunk.present.count(0)):
                    total += 1
                    yield total


def check_arguments(folder: Path, count: int, workers: int | None) -> None:
    """Raise `UsageError` if no set can be made with these."""
    if not 1 <= count <= MAX_COUNT:
        raise ConfigError("count", f"takes 1 to {MAX_COUNT:,}")
    if workers is not None and workers < 1:
        raise ConfigError("workers", "must be at least 1")
    if folder.is_file():
        raise UsageError(f"{folder} is a file: name a folder")


@contextmanager
def _labels(
    job: Job, sampler: Sampler, count: int, foreign: list[Record], own: ExistingRecords, format: LabelFormat
) -> Iterator[Callable[[Chunk, list[str]], None]]:
    """A function that labels the images of one chunk after the other.

    If the block ends early, the other images that are there are labeled too. If that cannot be written either, the error that
    ended the block is raised.
    """
    labeled = 0
    stopped: BaseException | None = None
    try:
        with _spare_room(job.folder) as spare, labels.open_label_files(job.folder, format) as write:

            def label(chunk: Chunk, texts: list[str]) -> None:
                nonlocal labeled
                for index, text in enumerate(texts, chunk.start):
                    write(own[index] or _record(index, text))
                    labeled = index + 1

            for record in foreign:
                write(record)
            try:
                yield label
            except BaseException as error:  # Ctrl-C too; raised again below
                stopped = error
                spare.unlink(missing_ok=True)
                for record in _records_of_present(job, sampler, own, range(labeled, count)):
                    write(record)
    except CrnnocrError:
        if stopped is None:
            raise
    if stopped is not None:
        raise stopped


@contextmanager
def _spare_room(folder: Path) -> Iterator[Path]:
    """A file that is removed if the disk is full, to make room for the last labels."""
    spare = folder / f".{SPARE}.{os.getpid()}.part"
    try:
        with suppress(OSError):
            spare.write_bytes(bytes(_SPARE_BYTES))
        yield spare
    finally:
        spare.unlink(missing_ok=True)


def _records_of_present(job: Job, sampler: Sampler, own: ExistingRecords, indices: range) -> Iterator[Record]:
    present = scan(job.folder, indices.stop).present(indices.stop)
    for index in indices:
        if present[index]:
            text = make_image(job, sampler, index, present=True)
            yield own[index] or _record(index, text)


def _record(index: int, text: str) -> Record:
    return {"file_name": image_name(index), "text": text}
