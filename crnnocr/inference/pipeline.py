"""Threads that work on an endless stream: results come in the order of the items, and only a few windows are under way.

Items are taken in windows, within which they can be grouped. A window is full, or holds the items there are when the source
pauses: a slow source is answered at once, a fast one in large windows. The first windows are smaller, so that no thread waits
for their last items.

Memory has a bound, too: a window takes no more heavy items than fit its share, and those of its items that are prepared are
finished early if they fill it. While all shares are full, nothing more is prepared.
"""

from __future__ import annotations

import atexit
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from functools import partial
from operator import itemgetter
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
        weigh_item: Callable[[Item], int] = lambda _: 0,
        weigh: Callable[[Prepared], int] = lambda _: 0,
        share: int = 2**25,
    ) -> None:
        """Name the work.

        Args:
            prepare: makes one item ready.
            groups: divides prepared items into groups of indices. Each index must be in exactly one group.
            finish: gives the results of a group, in its order.
            window: largest number of items in a window.
            threads: number of threads that prepare and finish.
            weigh_item: bytes that an item keeps until it is prepared.
            weigh: bytes that a prepared item keeps.
            share: bytes of a window. As much again waits for a window, and each thread adds one item that it prepares.
        """
        self._prepare, self._groups, self._finish = prepare, groups, finish
        self._window, self._threads = window, threads
        self._weigh_item, self._weigh, self._share = weigh_item, weigh, share

    def run(self, items: Iterable[Item]) -> Iterator[Result]:
        """The results, in order. An error of the source, of an item or of its group is raised in its place."""
        workers = _Workers(self._threads, _MAX_UNDER_WAY * self._share)
        feed = _Feed(items, self._window, self._weigh_item, self._share)
        under_way: deque[Future[list[Result]]] = deque()
        size = min(_FIRST_WINDOW, self._window)
        try:
            while True:
                has_room = len(under_way) < _MAX_UNDER_WAY and not (under_way and under_way[0].done())
                window = feed.window(size, wait=not under_way) if has_room else []
                if window:
                    under_way.append(_Window(self, window, workers).done)
                    del window
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


class _Window(Generic[Item, Prepared, Result]):
    """Items under way. They are finished once all of them are prepared, or as many as fill the window's share of memory."""

    def __init__(self, pipeline: Pipeline[Item, Prepared, Result], items: list[Item], workers: _Workers) -> None:
        self.done: Future[list[Result]] = Future()
        """Their results."""
        self._pipeline, self._workers = pipeline, workers
        self._items: list[Any] = list(items)
        self._results: list[Any] = [None] * len(items)
        self._ready: dict[int, Prepared] = {}
        self._weight, self._unprepared, self._unfinished = 0, len(items), len(items)
        self._lock = threading.Lock()
        for start in range(0, len(items), _PER_TASK):
            self._add(start, min(start + _PER_TASK, len(items)))

    def _add(self, start: int, end: int, is_next: bool = False) -> None:
        self._workers.prepare(partial(self._guarded, partial(self._prepare, start, end)), is_next)

    def _prepare(self, start: int, end: int) -> None:
        """Prepare some items, or the first of them if no more memory is left for others."""
        for i in range(start, end):
            prepared = self._pipeline._prepare(self._items[i])
            self._items[i] = None
            weight = self._pipeline._weigh(prepared)
            self._workers.hold(weight)
            self._finish_if_full(i, prepared, weight)
            if i + 1 < end and self._workers.is_full():
                self._add(i + 1, end, is_next=True)
                return

    def _finish_if_full(self, index: int, prepared: Prepared, weight: int) -> None:
        with self._lock:
            self._ready[index] = prepared
            self._weight += weight
            self._unprepared -= 1
            if self._unprepared and self._weight < self._pipeline._share:
                return
            ready, self._ready, self._weight = sorted(self._ready.items(), key=itemgetter(0)), {}, 0
        for group in self._pipeline._groups([each for _, each in ready]):
            own = [ready[i] for i in group]
            self._workers.finish(partial(self._guarded, partial(self._finish, own)))

    def _finish(self, group: list[tuple[int, Prepared]]) -> None:
        prepared = [each for _, each in group]
        for (i, _), result in zip(group, self._pipeline._finish(prepared), strict=True):
            self._results[i] = result
        self._workers.hold(-sum(map(self._pipeline._weigh, prepared)))
        with self._lock:
            self._unfinished -= len(group)
            is_last = not self._unfinished
        if is_last:
            self.done.set_result(self._results)

    def _guarded(self, task: Callable[[], None]) -> None:
        """Run a task. What it raises becomes the window's error."""
        try:
            task()
        except BaseException as error:
            with self._lock:
                if not self.done.done():
                    self.done.set_exception(error)


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
    finishing hardly ever, so that side by side they delay each other least. None prepares while what is prepared fills the
    memory, unless nothing is left to finish.
    """

    def __init__(self, threads: int, memory: int) -> None:
        self._to_prepare: deque[Callable[[], None]] = deque()
        self._to_finish: deque[Callable[[], None]] = deque()
        self._max_threads, self._waiting = threads, 0
        self._preparing, self._max_preparing = 0, threads // 2
        self._finishing, self._held, self._memory = 0, 0, memory
        self._closed = False
        self._changed = threading.Condition()
        self._threads: list[threading.Thread] = []
        _open_workers.add(self)

    def prepare(self, task: Callable[[], None], is_next: bool = False) -> None:
        """Run a task that prepares items, after those that wait or as the next."""
        self._add(self._to_prepare, task, is_next)

    def finish(self, task: Callable[[], None]) -> None:
        """Run a task that finishes items."""
        self._add(self._to_finish, task)

    def hold(self, weight: int) -> None:
        """Count bytes that a prepared item keeps, or no longer does."""
        with self._changed:
            self._held += weight
            if weight < 0:
                self._changed.notify_all()

    def is_full(self) -> bool:
        """Whether the memory is full."""
        return self._held >= self._memory

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

    def _add(self, tasks: deque[Callable[[], None]], task: Callable[[], None], is_next: bool = False) -> None:
        """Give a task to a waiting thread, or to a new one if more tasks than threads wait and the limit allows."""
        with self._changed:
            tasks.insert(0 if is_next else len(tasks), task)
            lacking = len(self._to_prepare) + len(self._to_finish) > self._waiting
            if lacking and len(self._threads) < self._max_threads and not self._closed:
                thread = threading.Thread(target=self._run, name=f"pipeline {len(self._threads)}", daemon=True)
                self._threads.append(thread)
                thread.start()
            self._changed.notify()

    def _run(self) -> None:
        while task := self._next():
            task()
            del task  # and with it what it holds, while the thread waits

    def _next(self) -> Callable[[], None] | None:
        """The next task; None once closed."""
        with self._changed:
            self._waiting += 1
            self._changed.wait_for(lambda: self._closed or self._to_finish or self._may_prepare())
            self._waiting -= 1
            if self._closed:
                return None
            if self._may_prepare() and (self._preparing < self._max_preparing or not self._to_finish):
                self._preparing += 1
                return partial(self._prepared, self._to_prepare.popleft())
            self._finishing += 1
            return partial(self._finished, self._to_finish.popleft())

    def _may_prepare(self) -> bool:
        nothing_ends = not (self._to_finish or self._finishing or self._preparing)
        return bool(self._to_prepare) and (not self.is_full() or nothing_ends)

    def _prepared(self, task: Callable[[], None]) -> None:
        task()
        with self._changed:
            self._preparing -= 1
            self._changed.notify()

    def _finished(self, task: Callable[[], None]) -> None:
        task()
        with self._changed:
            self._finishing -= 1
            if not self._finishing and self.is_full():
                self._changed.notify_all()


_open_workers: WeakSet[_Workers] = WeakSet()


@atexit.register
def _close_workers() -> None:
    """Wait for running tasks: a thread that Python kills at its end while it runs the network takes the process with it."""
    for workers in list(_open_workers):
        workers.close()


class _Feed(Generic[Item]):
    """Takes items from a source in a thread of its own, so that a slow source can be told from a fast one."""

    def __init__(self, items: Iterable[Item], window: int, weigh: Callable[[Item], int], memory: int) -> None:
        self._waiting: deque[tuple[Item, int]] = deque()
        self._window, self._weigh = window, weigh
        self._weight, self._memory = 0, memory
        self._changed = threading.Condition()
        self._closed = self._ended = False
        self._error: BaseException | None = None
        threading.Thread(target=self._run, args=(items,), name="feed", daemon=True).start()

    def window(self, size: int, wait: bool) -> list[Item]:
        """The next items, `size` at most, or as many as fill the memory.

        There is none at the end, nor, without `wait`, if none has come yet. Raises the source's error after the items
        before it.
        """
        items: list[Item] = []
        weight, until = 0, time.monotonic() + _PATIENCE
        while len(items) < size and weight < self._memory:
            wait_for_first = wait and not items
            with self._changed:
                if not self._waiting and not self._ended:
                    self._changed.wait(_POLL if wait_for_first else max(0.0, until - time.monotonic()))
                if self._waiting:
                    item, own = self._waiting.popleft()
                    self._weight -= own
                    self._changed.notify_all()
                elif wait_for_first and not self._ended:
                    continue
                else:
                    break
            if wait_for_first:
                until = time.monotonic() + _PATIENCE
            items.append(item)
            weight += own
        if self._ended and self._error and wait and not items:
            raise self._error
        return items

    def close(self) -> None:
        """Take no more from the source."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _run(self, items: Iterable[Item]) -> None:
        error: BaseException | None = None
        try:
            for item in items:
                if not self._put(item):
                    return
                del item
        except BaseException as raised:
            error = raised
        with self._changed:
            self._ended, self._error = True, error
            self._changed.notify_all()

    def _put(self, item: Item) -> bool:
        weight = self._weigh(item)
        with self._changed:
            self._changed.wait_for(lambda: self._closed or (len(self._waiting) < self._window and self._weight < self._memory))
            if not self._closed:
                self._waiting.append((item, weight))
                self._weight += weight
                self._changed.notify_all()
            return not self._closed
