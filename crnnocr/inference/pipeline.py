"""Threads that work on an endless stream: results come in the order of the items, and only a few windows are under way.

Items are taken in windows, within which they can be grouped. A window is full, or holds the items there are when the source
pauses: a slow source is answered at once, a fast one in large windows. The first windows are smaller, so that no thread waits
for their last items.
"""

from __future__ import annotations

import atexit
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from queue import Empty, Full, Queue
from typing import Any, Generic, TypeVar
from weakref import WeakSet

from crnnocr import runtime

Item = TypeVar("Item")
Prepared = TypeVar("Prepared")
Result = TypeVar("Result")

_MAX_UNDER_WAY = 3
"""Windows at a time: one that is prepared, one that is finished, and one whose results are taken."""

_FIRST_WINDOW = 32
"""Items in the first window; each that follows has twice as many, up to the full size."""

_PER_TASK = 8
"""Items that a thread prepares as one task."""

_PATIENCE = 0.03
"""Seconds after its first item at which a window is closed, full or not."""

_POLL = 0.2
"""Seconds of waiting at a time: a signal that comes just before Python waits for a lock is handled only when it wakes."""


class Pipeline(Generic[Item, Prepared, Result]):
    """Prepares each item, then finishes the items of a window in groups."""

    def __init__(
        self,
        prepare: Callable[[Item], Prepared],
        groups: Callable[[Sequence[Prepared]], Iterable[list[int]]],
        finish: Callable[[list[Prepared]], Sequence[Result]],
        window: int,
        threads: int,
    ) -> None:
        """Name the work.

        Args:
            prepare: makes one item ready.
            groups: divides a window into groups of indices. Each index must be in exactly one group.
            finish: gives the results of a group, in its order.
            window: largest number of items in a window.
            threads: number of threads that prepare and finish.
        """
        self._prepare, self._groups, self._finish = prepare, groups, finish
        self._window, self._threads = window, threads

    def run(self, items: Iterable[Item]) -> Iterator[Result]:
        """The results, in order. An error of the source, of an item or of its group is raised in its place."""
        workers = _Workers(self._threads)
        feed = _Feed(items, self._window)
        under_way: deque[Future[list[Result]]] = deque()
        size = min(_FIRST_WINDOW, self._window)
        try:
            while True:
                has_room = len(under_way) < _MAX_UNDER_WAY and not (under_way and under_way[0].done())
                window = feed.window(size, wait=not under_way) if has_room else []
                if window:
                    under_way.append(self._start(window, workers))
                    size = min(2 * size, self._window)
                elif under_way:
                    yield from under_way.popleft().result()
                else:
                    return
        except (KeyboardInterrupt, SystemExit):
            workers.stop()
            raise
        finally:
            feed.close()
            workers.close()

    def _start(self, window: list[Item], workers: _Workers) -> Future[list[Result]]:
        """Start the work on a window. Its groups are finished once all its items are prepared."""
        done: Future[list[Result]] = Future()
        prepared: list[Any] = [None] * len(window)
        results: list[Any] = [None] * len(window)

        def finish_all() -> None:
            groups = list(self._groups(prepared))
            countdown = _Countdown(len(groups), done, lambda: done.set_result(results))
            for group in groups:
                workers.finish(partial(countdown.after, partial(finish, group)))

        def finish(group: list[int]) -> None:
            for i, result in zip(group, self._finish([prepared[i] for i in group]), strict=True):
                results[i] = result

        def prepare(start: int) -> None:
            for i in range(start, min(start + _PER_TASK, len(window))):
                prepared[i] = self._prepare(window[i])

        starts = range(0, len(window), _PER_TASK)
        countdown = _Countdown(len(starts), done, finish_all)
        for start in starts:
            workers.prepare(partial(countdown.after, partial(prepare, start)))
        return done


def paired(items: Iterable[Item], work: Callable[[Iterable[Item]], Iterator[Result]]) -> Iterator[tuple[Item, Result]]:
    """Each item with its result.

    Args:
        items: the input of `work`.
        work: gives one result for each item, in order. It may take the items in another thread.
    """
    taken: deque[Item] = deque()

    def recorded() -> Iterator[Item]:
        for item in items:
            taken.append(item)
            yield item

    for result in work(recorded()):
        yield taken.popleft(), result


class _Workers:
    """Threads that run tasks, which raise nothing.

    At most half of them prepare while there is something to finish: preparing holds Python's global lock much of the time,
    finishing hardly ever, so that side by side they delay each other least.
    """

    def __init__(self, threads: int) -> None:
        self._to_prepare: deque[Callable[[], None]] = deque()
        self._to_finish: deque[Callable[[], None]] = deque()
        self._max_threads, self._waiting = threads, 0
        self._preparing, self._max_preparing = 0, threads // 2
        self._closed = False
        self._changed = threading.Condition()
        self._threads: list[threading.Thread] = []
        _open_workers.add(self)

    def prepare(self, task: Callable[[], None]) -> None:
        """Run a task that prepares items."""
        self._add(self._to_prepare, task)

    def finish(self, task: Callable[[], None]) -> None:
        """Run a task that finishes items."""
        self._add(self._to_finish, task)

    def stop(self) -> None:
        """Start no further task, and have the network end those that are running."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        runtime.stop_all()

    def close(self) -> None:
        """Start no further task, and wait for those that are running."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _add(self, tasks: deque[Callable[[], None]], task: Callable[[], None]) -> None:
        """Give a task to a waiting thread, or to a new one if more tasks than threads wait and the limit allows."""
        with self._changed:
            tasks.append(task)
            lacking = len(self._to_prepare) + len(self._to_finish) > self._waiting
            if lacking and len(self._threads) < self._max_threads and not self._closed:
                thread = threading.Thread(target=self._run, name=f"pipeline {len(self._threads)}", daemon=True)
                self._threads.append(thread)
                thread.start()
            self._changed.notify()

    def _run(self) -> None:
        while task := self._next():
            task()

    def _next(self) -> Callable[[], None] | None:
        """The next task; None once closed."""
        with self._changed:
            self._waiting += 1
            self._changed.wait_for(lambda: self._closed or self._to_prepare or self._to_finish)
            self._waiting -= 1
            if self._closed:
                return None
            if self._to_prepare and (self._preparing < self._max_preparing or not self._to_finish):
                self._preparing += 1
                return partial(self._prepared, self._to_prepare.popleft())
            return self._to_finish.popleft()

    def _prepared(self, task: Callable[[], None]) -> None:
        task()
        with self._changed:
            self._preparing -= 1


_open_workers: WeakSet[_Workers] = WeakSet()


@atexit.register
def _close_workers() -> None:
    """Wait for running tasks: a thread that Python kills at its end while it runs the network takes the process with it."""
    for workers in list(_open_workers):
        workers.close()


class _Countdown:
    """Calls a function after the last of several tasks."""

    def __init__(self, count: int, failed: Future[Any], then: Callable[[], None]) -> None:
        self._left, self._failed, self._then = count, failed, then
        self._lock = threading.Lock()

    def after(self, task: Callable[[], None]) -> None:
        """Run one of the tasks. If one raises, `failed` gets the error, and the function is not called."""
        try:
            task()
            with self._lock:
                self._left -= 1
                last = not self._left
            if last:
                self._then()
        except BaseException as error:
            with self._lock:
                if not self._failed.done():
                    self._failed.set_exception(error)


class _Feed(Generic[Item]):
    """Takes items from a source in a thread of its own, so that a slow source can be told from a fast one."""

    def __init__(self, items: Iterable[Item], window: int) -> None:
        self._queue: Queue[tuple[bool, Any]] = Queue(window)
        self._closed = threading.Event()
        self._ended = False
        self._error: BaseException | None = None
        threading.Thread(target=self._run, args=(items,), name="feed", daemon=True).start()

    def window(self, size: int, wait: bool) -> list[Item]:
        """The next items, `size` at most; none at the end, or, without `wait`, if there is none yet.

        Raises the source's error after the items before it.
        """
        items: list[Item] = []
        until = time.monotonic() + _PATIENCE
        while len(items) < size and not self._ended:
            wait_for_first = wait and not items
            try:
                is_item, value = self._queue.get(timeout=_POLL if wait_for_first else max(0.0, until - time.monotonic()))
            except Empty:
                if wait_for_first:
                    continue
                break
            if wait_for_first:
                until = time.monotonic() + _PATIENCE
            if is_item:
                items.append(value)
            else:
                self._ended, self._error = True, value
        if self._ended and self._error and wait and not items:
            raise self._error
        return items

    def close(self) -> None:
        """Take no more from the source."""
        self._closed.set()

    def _run(self, items: Iterable[Item]) -> None:
        error: BaseException | None = None
        try:
            for item in items:
                if not self._put((True, item)):
                    return
        except BaseException as raised:
            error = raised
        self._put((False, error))

    def _put(self, entry: tuple[bool, Any]) -> bool:
        while not self._closed.is_set():
            with suppress(Full):
                self._queue.put(entry, timeout=0.1)
                return True
        return False
