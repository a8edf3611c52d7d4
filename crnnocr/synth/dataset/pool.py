"""Draws the pictures of a set in worker processes, or in this one.

A set is done in stretches of a few pictures. Whoever has a hand free takes the next stretch, and the texts come back in the
order of the set.
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
from crnnocr.runtime import blocked_signals, cores, exit_with_parent
from crnnocr.synth.dataset.contents import picture_name
from crnnocr.synth.sampler import Sampler

STRETCH = 4
"""Pictures that a worker draws between two words with the process it works for."""

_AHEAD = 2
"""Stretches that a worker is given at a time, so that it never waits."""

_LABELS = 512
"""Pictures of a stretch that needs no drawing."""

_PICTURES_A_WORKER = 400
"""Fewer than these are drawn before another process has started."""

_LABELS_A_PICTURE = 100
"""Texts that are made in the time of a drawing."""

_PATIENCE = 30.0
"""Seconds that a worker has to finish what it was given."""


class Stretch(NamedTuple):
    """Some neighbouring pictures of a set."""

    start: int
    """The first one's number."""
    there: bytes
    """For each of them 1 where it is there already, and 0 where it is to be drawn."""


class Job(NamedTuple):
    """What a worker needs to know to draw pictures of a set."""

    folder: Path
    config: SynthConfig
    sidecars: bool
    """Write `000000.gt.txt` beside each picture too."""


Texts: TypeAlias = tuple[Stretch, list[str]]


def team_size(workers: int | None, there: bytes) -> int:
    """As many workers as are asked for; else as there are cores, but no more than are busy for longer than they take to start.

    Never more than there are pictures to draw.
    """
    missing = there.count(0)
    work = missing + there.count(1) // _LABELS_A_PICTURE
    return max(1, min(workers, missing) if workers else min(cores(), work // _PICTURES_A_WORKER))


def draw_pictures(job: Job, sampler: Sampler, there: bytes, workers: int) -> Generator[Texts]:
    """Draw all pictures of a set that are not `there`, with `workers` processes. Yields the texts, in order.

    When it is closed, what was begun is finished. Several processes are started afresh and load the main module again: a
    script that calls this guards its own calls by `if __name__ == "__main__"`.
    """
    if workers == 1:
        for stretch in _stretches(there, size=1):
            yield stretch, _draw_stretch(job, sampler, stretch)
    else:
        yield from _draw_in_processes(job, _stretches(there, STRETCH), workers)


def _stretches(there: bytes, size: int) -> Iterator[Stretch]:
    start = 0
    while start < len(there):
        stretch = there[start : start + _LABELS]
        if 0 in stretch:
            stretch = stretch[:size]
        yield Stretch(start, stretch)
        start += len(stretch)


def _draw_stretch(job: Job, sampler: Sampler, stretch: Stretch) -> list[str]:
    return [draw_picture(job, sampler, index, bool(there)) for index, there in enumerate(stretch.there, stretch.start)]


def draw_picture(job: Job, sampler: Sampler, index: int, there: bool) -> str:
    """Draw picture `index`, unless it is `there`, and write the sidecar that it lacks. Returns its text."""
    picture = job.folder / picture_name(index)
    if there:
        text = sampler.text(index)
    else:
        line = sampler.draw(index)
        text = line.text
        with atomic_write(picture) as part:
            line.image.save(part, format="PNG")
    if job.sidecars and not sidecar.label_of(picture).exists():
        sidecar.write(picture, text)
    return text


def _draw_in_processes(job: Job, stretches: Iterator[Stretch], workers: int) -> Generator[Texts]:
    with _team(job, workers) as team:
        free = [member for _ in range(_AHEAD) for member in team]
        given: deque[Stretch] = deque()
        texts: dict[int, list[str]] = {}
        while True:
            while free and (stretch := next(stretches, None)):
                free.pop(0).give(stretch)
                given.append(stretch)
            if not given:
                return
            for member in _ready(team):
                start, done = member.take()
                texts[start] = done
                free.append(member)
            while given and given[0].start in texts:
                stretch = given.popleft()
                yield stretch, texts.pop(stretch.start)


class _Member:
    """A worker process, seen from the one that it works for."""

    def __init__(self, job: Job) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process: BaseProcess = context.Process(target=_work, args=(theirs, job), daemon=True)
        self.process.start()
        theirs.close()  # so that its end is known from the closed connection

    def give(self, stretch: Stretch) -> None:
        try:
            self.connection.send(stretch)
        except OSError:
            raise self._lost() from None

    def take(self) -> tuple[int, list[str]]:
        """What it has done of a stretch. Raises what went wrong in it."""
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
            how = f"was killed ({signal.Signals(-code).name}): if memory is short, take fewer --workers, and"
        else:
            how = f'ended with code {code}: a script keeps its calls under `if __name__ == "__main__"` or takes one worker;'
        return CrnnocrError(f"a worker process {how} the same call goes on where it stopped")


def _ready(team: list[_Member]) -> list[_Member]:
    """Those of the team who have something to say; waits for the first."""
    heard = wait([member.connection for member in team])
    return [member for member in team if member.connection in heard]


@contextmanager
def _team(job: Job, workers: int) -> Iterator[list[_Member]]:
    team: list[_Member] = []
    try:
        with blocked_signals():
            team.extend(_Member(job) for _ in range(workers))
        yield team
    finally:
        try:
            for member in team:
                with suppress(OSError):
                    member.connection.send(None)
            for member in team:
                member.process.join(_PATIENCE)
        finally:
            for member in team:
                member.process.kill()
                member.connection.close()


def _work(connection: Connection, job: Job) -> None:
    """What a worker does: it draws stretch after stretch until it is given None."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # where signals cannot be withheld
    exit_with_parent()
    warnings.simplefilter("ignore")  # the process it works for has given them already
    sampler: Sampler | None = None
    while (stretch := connection.recv()) is not None:
        done: list[str] | Exception
        try:
            sampler = sampler or Sampler(job.config)
            done = _draw_stretch(job, sampler, stretch)
        except Exception as error:  # whatever it is, it is raised where the work was asked for
            error.add_note(f"in a worker process:\n{traceback.format_exc()}")
            done = error
        connection.send((stretch.start, done))
