"""Renders the images of a set in worker processes, or in this one.

A set is divided into chunks of a few images. Each idle worker receives the next chunk, and the texts come back in the order of
the set.
"""

from __future__ import annotations

import multiprocessing
import signal
import traceback
import warnings
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import NamedTuple, TypeAlias

from crnnocr.config import SynthConfig
from crnnocr.datasets import sidecar
from crnnocr.errors import CrnnocrError
from crnnocr.files import atomic_write
from crnnocr.runtime import blocked_signals, exit_with_parent
from crnnocr.synth.dataset.labels import image_name
from crnnocr.synth.sampler import Sampler

CHUNK = 4
"""Images of a chunk of which some have to be rendered."""

_AHEAD = 2
"""Chunks that a worker is sent at a time, so that it never waits."""

_LABEL_CHUNK = 512
"""Images of a chunk of which all are there, so that only texts are made."""

_IMAGES_PER_WORKER = 400
"""About so many images are rendered while another process starts."""

_TEXTS_PER_IMAGE = 100
"""Texts that are made in the time of rendering an image."""

_PATIENCE = 30.0
"""Seconds that a worker has to finish what it was sent."""


class Chunk(NamedTuple):
    """Some consecutive images of a set."""

    start: int
    """The index of the first."""
    present: bytes
    """For each image 1 if it is there already, and 0 if it has to be rendered."""


class Job(NamedTuple):
    """Everything a worker needs to render images of a set."""

    folder: Path
    config: SynthConfig
    sidecars: bool
    """Write `000000.gt.txt` beside each image too."""


Texts: TypeAlias = tuple[Chunk, list[str]]


def worker_count(workers: int | None, present: bytes, cores: int) -> int:
    """The number of workers for a set: `workers`, or one for each core, as far as they are worth the time they take to start.

    Never more than there are images to render.
    """
    missing = present.count(0)
    work = missing + present.count(1) // _TEXTS_PER_IMAGE
    return max(1, min(workers, missing) if workers else min(cores, work // _IMAGES_PER_WORKER))


def make_images(job: Job, sampler: Sampler, present: bytes, workers: int) -> Generator[Texts]:
    """Render all images of a set that are not `present`, with `workers` processes. Yields the texts of all, in order.

    If it is closed, images that were begun are finished. Several processes are spawned and load the main module again: a script
    that calls this guards its own calls by `if __name__ == "__main__"`.
    """
    if workers == 1:
        for chunk in _chunks(present, size=1):
            yield chunk, _make_chunk(job, sampler, chunk)
    else:
        yield from _make_in_processes(job, _chunks(present, CHUNK), workers)


def _chunks(present: bytes, size: int) -> Iterator[Chunk]:
    start = 0
    while start < len(present):
        chunk = present[start : start + _LABEL_CHUNK]
        if 0 in chunk:
            chunk = chunk[:size]
        yield Chunk(start, chunk)
        start += len(chunk)


def _make_chunk(job: Job, sampler: Sampler, chunk: Chunk) -> list[str]:
    return [make_image(job, sampler, index, bool(present)) for index, present in enumerate(chunk.present, chunk.start)]


def make_image(job: Job, sampler: Sampler, index: int, present: bool) -> str:
    """Render image `index` unless it is `present`, and write its sidecar if that is missing. Returns its text."""
    path = job.folder / image_name(index)
    if present:
        text = sampler.text(index)
    else:
        line = sampler.render(index)
        text = line.text
        with atomic_write(path) as part:
            line.image.save(part, format="PNG")
    if job.sidecars and not sidecar.label_of(path).exists():
        sidecar.write(path, text)
    return text


def _make_in_processes(job: Job, chunks: Iterator[Chunk], workers: int) -> Generator[Texts]:
    with _pool(job, workers) as pool:
        idle = [worker for _ in range(_AHEAD) for worker in pool]
        sent: deque[Chunk] = deque()
        texts: dict[int, list[str]] = {}
        while True:
            while idle and (chunk := next(chunks, None)):
                idle.pop(0).send(chunk)
                sent.append(chunk)
            if not sent:
                return
            for worker in _ready(pool):
                start, done = worker.receive()
                texts[start] = done
                idle.append(worker)
            while sent and sent[0].start in texts:
                chunk = sent.popleft()
                yield chunk, texts.pop(chunk.start)


class _Worker:
    """A worker process, seen from its parent."""

    def __init__(self, job: Job) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process: BaseProcess = context.Process(target=_work, args=(theirs, job), daemon=True)
        self.process.start()
        theirs.close()  # so that the connection breaks if the process ends

    def send(self, chunk: Chunk) -> None:
        try:
            self.connection.send(chunk)
        except OSError:
            raise self._lost() from None

    def receive(self) -> tuple[int, list[str]]:
        """The start of a chunk and its texts. Raises the error that ended it in the worker."""
        try:
            start, done = self.connection.recv()
        except (EOFError, OSError):
            raise self._lost() from None
        if isinstance(done, Exception):
            raise done
        return start, done

    def _lost(self) -> CrnnocrError:
        self.process.join(_PATIENCE)
        code = self.process.exitcode or 0
        if code < 0:
            how = f"was killed ({signal.Signals(-code).name}): if memory is short, take fewer `workers`;"
        else:
            how = f'ended with code {code}: a script keeps its calls under `if __name__ == "__main__"` or takes one worker;'
        return CrnnocrError(f"a worker process {how} the same call continues where it stopped")


def _ready(pool: list[_Worker]) -> list[_Worker]:
    """The workers that have something to receive; waits for the first."""
    ready = wait([worker.connection for worker in pool])
    return [worker for worker in pool if worker.connection in ready]


@contextmanager
def _pool(job: Job, workers: int) -> Iterator[list[_Worker]]:
    pool: list[_Worker] = []
    try:
        with blocked_signals():
            pool.extend(_Worker(job) for _ in range(workers))
        yield pool
    finally:
        try:
            for worker in pool:
                with suppress(OSError):
                    worker.connection.send(None)
            for worker in pool:
                worker.process.join(_PATIENCE)
        finally:
            for worker in pool:
                worker.process.kill()
                worker.connection.close()


def _work(connection: Connection, job: Job) -> None:
    """The worker process: makes chunk after chunk until it receives None."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # on systems where signals cannot be blocked
    exit_with_parent()
    warnings.simplefilter("ignore")  # the parent has given them already
    sampler: Sampler | None = None
    while (chunk := connection.recv()) is not None:
        done: list[str] | Exception
        try:
            sampler = sampler or Sampler(job.config)
            done = _make_chunk(job, sampler, chunk)
        except Exception as error:  # any error is raised again in the parent
            error.add_note(f"in a worker process:\n{traceback.format_exc()}")
            done = error
        connection.send((chunk.start, done))
