"""Work in threads: the order, how much is under way, and what becomes of errors."""

from __future__ import annotations

import itertools
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pytest

from crnnocr.inference.pipeline import Pipeline, paired

WINDOW = 16


def pairs(prepared: Sequence[int]) -> Iterator[list[int]]:
    """Groups of two, from both ends, so that their order is not that of the items."""
    indices = list(range(len(prepared)))
    while indices:
        yield [indices.pop(), *([indices.pop(0)] if indices else [])]


def pipeline(prepare: object = None, finish: object = None, threads: int = 3) -> Pipeline[int, int, str]:
    return Pipeline(
        prepare=prepare or (lambda item: item * 10),  # type: ignore[arg-type]
        groups=pairs,
        finish=finish or (lambda group: [str(value) for value in group]),  # type: ignore[arg-type]
        window=WINDOW,
        threads=threads,
    )


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("count", [0, 1, 15, 16, 17, 1000])
def test_results_come_in_the_order_of_the_items(count: int, threads: int) -> None:
    assert list(pipeline(threads=threads).run(range(count))) == [str(10 * i) for i in range(count)]


def test_tasks_of_any_length_change_no_order() -> None:
    def prepare(item: int) -> int:
        time.sleep((item * 7 % 5) / 2000)
        return item * 10

    assert list(pipeline(prepare).run(range(100))) == [str(10 * i) for i in range(100)]


def test_a_slow_source_is_answered_at_once() -> None:
    answered = threading.Event()

    def items() -> Iterator[int]:
        yield 1
        assert answered.wait(10), "the first result did not come before the second item"
        yield 2

    results = pipeline().run(items())
    assert next(results) == "10"
    answered.set()
    assert list(results) == ["20"]


def test_a_slow_consumer_keeps_the_source_waiting() -> None:
    taken = itertools.count()
    count = 0

    def items() -> Iterator[int]:
        nonlocal count
        while True:
            count = next(taken)
            yield count

    results = pipeline().run(items())
    for _ in range(5):
        next(results)
    time.sleep(0.2)
    assert count < 8 * WINDOW
    results.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_no_more_is_prepared_than_fits_the_memory(threads: int) -> None:
    held, most = 0, 0
    lock = threading.Lock()

    def count(weight: int) -> None:
        nonlocal held, most
        with lock:
            held += weight
            most = max(most, held)

    def prepare(item: int) -> int:
        count(item % 50)
        return item

    def finish(group: list[int]) -> list[str]:
        time.sleep(0.0005)
        count(-sum(item % 50 for item in group))
        return [str(item) for item in group]

    limited = Pipeline[int, int, str](prepare, pairs, finish, 256, threads, weigh=lambda item: item % 50, share=100)
    assert list(limited.run(range(1000))) == [str(item) for item in range(1000)]
    assert most <= 3 * 100 + (threads + 1) * 50


def test_one_item_may_be_heavier_than_all_memory() -> None:
    limited = Pipeline[int, int, str](lambda item: item, pairs, lambda group: [str(i) for i in group], 256, 3, share=100)
    limited._weigh = limited._weigh_item = lambda item: 10**6 if item % 3 else 0
    assert list(limited.run(range(100))) == [str(item) for item in range(100)]


def test_heavy_items_are_not_taken_before_there_is_room() -> None:
    taken = 0

    def items() -> Iterator[int]:
        nonlocal taken
        while True:
            taken += 1
            yield taken

    answered = threading.Event()

    def finish(group: list[int]) -> list[str]:
        answered.wait(10)
        return [str(item) for item in group]

    limited = Pipeline[int, int, str](lambda item: item, pairs, finish, 256, 2, weigh_item=lambda _: 10, share=100)
    results = limited.run(items())
    threading.Timer(0.3, answered.set).start()
    assert next(results) == "1"
    assert taken <= 10 + 3 * 10 + 2
    results.close()  # type: ignore[attr-defined]


def test_an_error_among_heavy_items_is_raised() -> None:
    def prepare(item: int) -> int:
        if item == 500:
            raise ZeroDivisionError
        return item

    limited = Pipeline[int, int, str](
        prepare, pairs, lambda group: [str(i) for i in group], 64, 3, weigh=lambda _: 60, share=100
    )
    results = limited.run(range(1000))
    with pytest.raises(ZeroDivisionError):
        list(results)


def test_closed_it_leaves_no_thread_at_work() -> None:
    before = threading.active_count()
    results = pipeline().run(itertools.count())
    next(results)
    results.close()  # type: ignore[attr-defined]
    until = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < until:
        time.sleep(0.01)
    assert threading.active_count() <= before


def test_what_the_source_raises_comes_after_the_items_before_it() -> None:
    def items() -> Iterator[int]:
        yield from range(20)
        raise OSError("the pipe broke")

    results = pipeline().run(items())
    assert [next(results) for _ in range(20)] == [str(10 * i) for i in range(20)]
    with pytest.raises(OSError, match="the pipe broke"):
        next(results)


@pytest.mark.parametrize("step", ["prepare", "finish"])
def test_what_a_step_raises_is_raised(step: str) -> None:
    def fail(value: int | list[int]) -> list[str]:
        if value == 50 or (isinstance(value, list) and 50 in value):
            raise ZeroDivisionError
        return value * 10 if isinstance(value, int) else [str(v) for v in value]  # type: ignore[return-value]

    wrong = pipeline(prepare=fail if step == "prepare" else None, finish=fail if step == "finish" else None)
    items: Iterable[int] = range(100) if step == "finish" else [1, 50, 2]
    with pytest.raises(ZeroDivisionError):
        list(wrong.run(items))


def test_threads_work_at_the_same_time() -> None:
    together = threading.Barrier(3, timeout=10)

    def finish(group: list[int]) -> list[str]:
        together.wait()  # which three groups must reach
        return [str(value) for value in group]

    assert len(list(pipeline(finish=finish).run(range(6)))) == 6


def test_a_steady_source_that_is_no_fast_one_is_answered_soon() -> None:
    """One item every 5 ms: a window that waits for each of its items anew would never end."""
    taken = []

    def items() -> Iterator[int]:
        for item in range(200):
            time.sleep(0.005)
            taken.append(item)
            yield item

    assert next(pipeline().run(items())) == "0"
    assert len(taken) < 100


def test_each_item_comes_with_its_own_result() -> None:
    work = pipeline().run
    assert list(paired((i % 7 for i in range(100)), work)) == [(i % 7, str(i % 7 * 10)) for i in range(100)]


def test_what_the_source_of_pairs_raises_is_raised() -> None:
    def items() -> Iterator[int]:
        yield from range(50)
        raise OSError("the list has ended early")

    found: list[tuple[int, str]] = []
    with pytest.raises(OSError, match="ended early"):
        found.extend(paired(items(), pipeline().run))
    assert len(found) in (0, 50)


def test_a_program_that_stops_in_the_middle_ends_as_it_would(tiny_data: Path, tiny_model: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from crnnocr import ReadConfig, Recognizer\n"
        "files = sorted(Path(sys.argv[1]).glob('*.png')) * 20\n"
        "readings = Recognizer.load(sys.argv[2], 'cpu').predict(files, read=ReadConfig(threads=4))\n"
        "next(readings)\n"
        "sys.exit(5)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program, tiny_data, tiny_model], capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (5, "")


def test_threads_are_started_as_they_are_needed() -> None:
    started: list[int] = []

    def prepare(item: int) -> int:
        started.append(sum(thread.name.startswith("pipeline") for thread in threading.enumerate()))
        return item

    assert list(pipeline(prepare, threads=64).run([1])) == ["1"]
    assert started == [1]
