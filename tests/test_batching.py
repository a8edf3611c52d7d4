"""What each step shows, how pictures are cut into batches, and the thread that prepares them."""

from __future__ import annotations

import itertools
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from crnnocr.config import AugmentConfig, Conv, ModelConfig, Orientation, Pool
from crnnocr.datasets import Sample
from crnnocr.datasets.lines import LabeledLine, LineDataset
from crnnocr.errors import DataError
from crnnocr.text.charset import Charset, frames_needed
from crnnocr.training.batching import Plan, cut
from crnnocr.training.batching import Pool as PoolOfPictures
from crnnocr.training.distributed import Ranks
from crnnocr.training.loader import Batch, Loader
from crnnocr.training.synthetic import drawn, drawn_lines

SHAPE = ModelConfig(preset="flat", height=4, backbone=(Conv(2), Pool((2, 2), (2, 2))), hidden=2)
"""A frame for every two pixels of width."""

UNCHANGED = AugmentConfig().times(0)

HORIZONTAL = Orientation.HORIZONTAL

MANY = Charset("".join(chr(0x4E00 + i) for i in range(6000)))
"""A character for each picture, so that the class id of a label, less 1, is the picture's number."""


def plans() -> Iterator[Plan]:
    """Of a data set alone, of one with drawn pictures, and of these alone."""
    for examples in (1, 15, 16, 17, 384, 385, 1000):  # around a batch and a pool, of 24 batches
        yield Plan(examples, 16, seed=3)
        yield Plan(examples, 16, seed=3, mix=0.3)
    yield Plan(0, 16, seed=3, mix=0.3)


every_plan = pytest.mark.parametrize("plan", [*plans()], ids=lambda plan: f"{plan.examples}+{plan.mix}")


def first_epochs(plan: Plan, count: int) -> list[PoolOfPictures]:
    return list(itertools.takewhile(lambda pool: pool.epoch <= count, plan.pools(0)))


# What is shown in which step


@every_plan
def test_an_epoch_holds_every_picture_once(plan: Plan) -> None:
    for epoch, pools in itertools.groupby(first_epochs(plan, 3), lambda pool: pool.epoch):
        assert sorted(i for pool in pools for i in pool.examples) == list(range(plan.examples)), f"in epoch {epoch}"


@every_plan
def test_pools_follow_each_other_without_a_gap(plan: Plan) -> None:
    step = 0
    for pool in first_epochs(plan, 3):
        assert pool.first_step == step
        step += pool.batches
    assert step == 3 * plan.steps_an_epoch


@every_plan
def test_an_epoch_shows_as_many_pictures_as_it_says_in_batches_of_the_size_on_average(plan: Plan) -> None:
    pools = first_epochs(plan, 1)
    assert sum(len(pool.examples) + len(pool.drawn) for pool in pools) == plan.pictures_an_epoch
    for pool in pools:
        pictures = len(pool.examples) + len(pool.drawn)
        assert pool.batches == -(-pictures // 16)


@every_plan
def test_what_a_step_shows_does_not_depend_on_where_one_begins(plan: Plan) -> None:
    whole = first_epochs(plan, 3)
    for step in range(3 * plan.steps_an_epoch):
        tail = [pool for pool in whole if pool.first_step + pool.batches > step]
        assert list(itertools.islice(plan.pools(step), len(tail))) == tail


def test_each_epoch_and_each_seed_has_an_order_of_its_own() -> None:
    orders = [pool.examples for seed in (0, 1) for pool in first_epochs(Plan(100, 16, seed), 2)]
    assert len(set(orders)) == 4


@every_plan
def test_a_drawn_picture_never_comes_again(plan: Plan) -> None:
    indices = [i for pool in first_epochs(plan, 3) for i in pool.drawn]
    assert indices == list(range(len(indices)))


@pytest.mark.parametrize("mix", [0.1, 0.3, 0.5, 0.9])
def test_drawn_pictures_are_their_share_of_each_pool(mix: float) -> None:
    for pool in first_epochs(Plan(5000, 16, 0, mix), 1):
        share = len(pool.drawn) / (len(pool.drawn) + len(pool.examples))
        assert share == pytest.approx(mix, abs=0.5 / len(pool.examples) + 0.005)  # no half pictures


# Batches


def columns(widths: Sequence[int], batches: Sequence[Sequence[int]]) -> int:
    """Columns of all batches, each as wide as its widest line."""
    return sum(len(batch) * max(widths[i] for i in batch) for batch in batches)


@given(st.lists(st.integers(1, 5000), min_size=1, max_size=80), st.data())
def test_pictures_are_cut_into_as_many_batches_as_asked_for_and_each_comes_once(widths: list[int], data: st.DataObject) -> None:
    batches = data.draw(st.integers(1, len(widths)))
    least = data.draw(st.integers(1, len(widths) // batches))
    parts = cut(widths, batches, least)
    assert len(parts) == batches
    assert sorted(itertools.chain(*parts)) == list(range(len(widths)))
    assert min(map(len, parts)) >= least
    in_order = [widths[i] for i in itertools.chain(*parts)]
    assert in_order == sorted(in_order)


def test_batches_hold_like_widths() -> None:
    # Words and lines: half of the widths within 70 and 180 pixels, and one in a hundred over 500.
    widths = np.random.default_rng(0).lognormal(np.log(112), 0.7, 384).astype(int).tolist()
    at_random = [list(range(start, start + 16)) for start in range(0, 384, 16)]
    padding = columns(widths, cut(widths, 24)) - sum(widths)
    # Sorted, only the widest batches waste: a tenth of what batches at random do is far from both.
    assert padding < (columns(widths, at_random) - sum(widths)) / 10
    assert padding < 0.15 * sum(widths)


def test_batches_have_about_as_many_columns_each() -> None:
    widths = np.random.default_rng(0).integers(50, 400, 384).tolist()
    sizes = [columns(widths, [batch]) for batch in cut(widths, 24)]
    assert max(sizes) < 1.5 * min(sizes)  # a picture more or less of 400 pixels, of about 3,600 in each


def test_a_line_that_is_very_wide_is_a_batch_of_its_own() -> None:
    widths = [20] * 100 + [5000]
    *narrow, widest = cut(widths, 7)
    assert widest == [100]
    assert max(map(len, narrow)) <= 4 * 15  # four times the average number of 101 / 7, rounded up
    assert columns(widths, [*narrow, widest]) == sum(widths)


def test_a_batch_of_narrow_lines_holds_four_times_the_average_at_most() -> None:
    # By columns, all hundred narrow lines would be one batch.
    sizes = list(map(len, cut([10] * 100 + [1000] * 20, 12)))
    assert max(sizes) == 40  # four times the average of 10


def test_one_narrow_line_among_wide_ones_does_not_take_a_batch_from_them() -> None:
    batches = cut([5000] * 47 + [20], 3)
    assert sorted(map(len, batches)) == [16, 16, 16]


# The thread that prepares them


def line(width: int) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    return np.random.default_rng(width).integers(0, 256, (SHAPE.height, width)).astype(np.uint8)


def dataset(widths: NDArray[np.int64], texts: Iterable[str]) -> LineDataset:
    """Lines of these widths."""
    samples = [Sample(Path(f"{number}.png"), text) for number, text in enumerate(texts)]
    pixels = np.concatenate([np.zeros(0, np.uint8), *(line(int(width)).ravel() for width in widths)])
    sizes = np.stack([widths, np.full_like(widths, SHAPE.height)], axis=1)
    return LineDataset(samples, pixels, SHAPE.height, widths, np.arange(len(widths)), sizes)


def numbered(count: int, seed: int = 0) -> LineDataset:
    """Lines of several widths, each labeled with the one character of its number."""
    return dataset(np.random.default_rng(seed).integers(8, 60, count), MANY.characters[:count])


def numbers(batch: Batch) -> list[int]:
    """Which pictures are in it."""
    return [i - 1 for i in batch.ids.tolist()]


FIRST_DRAWN = 5000
"""The character that the first drawn picture is labelled with, so that it can be told from others."""


class Drawer:
    """Draws a picture for every index, of some width, labelled with a character of its own."""

    charset = MANY.characters

    def __getitem__(self, index: int) -> tuple[Image.Image, str]:
        return Image.fromarray(line(8 + index * 7 % 50)), MANY.characters[FIRST_DRAWN + index]


def loader(plan: Plan, step: int = 0, ranks: Ranks = Ranks(), augmentation: AugmentConfig = UNCHANGED) -> Loader:  # noqa: B008
    """As a training makes it, with what is drawn drawn in this process."""
    share = ranks.share(next(plan.pools(step)).drawn)
    stream = drawn(Drawer(), MANY, SHAPE, HORIZONTAL, share.start, share.step, workers=0)
    return Loader(plan, numbered(plan.examples), stream, MANY, SHAPE, augmentation, ranks, step)


def batches(plan: Plan, count: int, step: int = 0, ranks: Ranks = Ranks(), strength: float = 0) -> list[Batch]:  # noqa: B008
    with loader(plan, step, ranks, AugmentConfig().times(strength)) as prepared:
        return list(itertools.islice(prepared, count))


def same(one: Batch, other: Batch) -> bool:
    """To the bit."""
    tensors = ((one.lines, other.lines), (one.widths, other.widths), (one.ids, other.ids), (one.lengths, other.lengths))
    return (one.step, one.epoch) == (other.step, other.epoch) and all(torch.equal(a, b) for a, b in tensors)


three_plans = pytest.mark.parametrize(
    "plan", [Plan(100, 8, 1), Plan(100, 8, 1, mix=0.4), Plan(0, 8, 1)], ids=["data", "mixed", "drawn"]
)


@three_plans
def test_batches_are_the_same_from_a_step_on_wherever_one_begins(plan: Plan) -> None:
    torch.manual_seed(0)
    whole = batches(plan, 45, strength=1)  # over three epochs of 13, two of 21, and two pools of 24 that are drawn
    assert [batch.step for batch in whole] == list(range(45))
    for step in (1, 13, 20, 30):
        torch.manual_seed(step)  # which nothing depends on
        tail = batches(plan, 45 - step, step, strength=1)
        assert all(itertools.starmap(same, zip(whole[step:], tail, strict=True)))


def test_each_step_and_each_process_changes_a_picture_otherwise() -> None:
    alone = Plan(1, 1, 1)  # the same picture in each step
    steps = [batch for rank in range(2) for batch in batches(Plan(1, 2, 1), 3, ranks=Ranks(rank, 2), strength=1)]
    steps += batches(alone, 3, strength=1)
    assert {tuple(numbers(batch)) for batch in steps} == {(0,)}
    looks = {batch.lines.numpy().tobytes() for batch in steps}
    assert len(looks) >= 5  # of 6: one alone is the same as the first of two, and one in ten is left as it is


def test_an_epoch_of_batches_holds_every_picture_once_with_its_line_and_label() -> None:
    data, plan = numbered(100), Plan(100, 8, 1)
    epoch = batches(plan, plan.steps_an_epoch)
    assert sorted(itertools.chain(*map(numbers, epoch))) == list(range(100))
    assert {batch.epoch for batch in epoch} == {1}
    for batch in epoch:
        for number, shown, width in zip(numbers(batch), batch.lines, batch.widths.tolist(), strict=True):
            grey = torch.from_numpy(data[number].pixels / 127.5 - 1).float()  # 0 to 255 is -1 to 1
            assert torch.allclose(shown[0, :, :width], grey, atol=1e-6)
            assert not shown[0, :, width:].any()


def test_what_is_mixed_in_is_a_share_of_each_pool_and_never_comes_again() -> None:
    plan = Plan(100, 8, 1, mix=0.4)
    shown = [number for batch in batches(plan, 3 * plan.steps_an_epoch) for number in numbers(batch)]
    fresh = [number for number in shown if number >= FIRST_DRAWN]
    assert sorted(fresh) == list(range(FIRST_DRAWN, FIRST_DRAWN + len(fresh)))
    assert len(fresh) / len(shown) == pytest.approx(0.4, abs=0.01)  # 67 of 167 an epoch
    assert sorted(number for number in shown if number < FIRST_DRAWN) == sorted([*range(100)] * 3)


def test_no_line_gets_too_narrow_for_its_label() -> None:
    words = Charset("ab")
    text = "aabb" * 3  # six of its characters are repeats, so it needs 18 frames, of two pixels each
    widths = np.full(32, 2 * frames_needed(words.encode(text)))
    data = dataset(widths, [text] * 32)
    with Loader(Plan(32, 32, 0), data, iter(()), words, SHAPE, AugmentConfig(stretch=0.4)) as prepared:
        for batch in itertools.islice(prepared, 5):
            assert int(SHAPE.frames(batch.widths).min()) >= 18


class Stop(Exception):  # noqa: N818 (not an error)
    """Nothing else raises it."""


def test_what_goes_wrong_in_the_thread_is_raised_where_the_batches_are_used() -> None:
    def breaks() -> Iterator[LabeledLine | None]:
        yield from itertools.islice(drawn(Drawer(), MANY, SHAPE, HORIZONTAL, workers=0), 24 * 8)  # one pool
        raise Stop

    with Loader(Plan(0, 8, 0), numbered(0), breaks(), MANY, SHAPE, UNCHANGED) as prepared:
        steps = iter(prepared)
        assert [next(steps).step for _ in range(24)] == list(range(24))
        with pytest.raises(Stop):
            next(steps)


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "loader"]


def test_leaving_the_block_ends_the_thread_though_batches_are_ready() -> None:
    with loader(Plan(100, 8, 1)) as prepared:
        next(iter(prepared))
        deadline = time.monotonic() + 10
        while not prepared._queue.full():
            assert time.monotonic() < deadline, "four batches take milliseconds"
        assert len(threads()) == 1
    assert not threads()


def test_leaving_the_block_by_an_exception_ends_the_thread() -> None:
    with pytest.raises(Stop), loader(Plan(100, 8, 1)):
        raise Stop
    assert not threads()


def test_time_is_counted_only_while_one_waits() -> None:
    def slow() -> Iterator[LabeledLine | None]:
        for example in drawn(Drawer(), MANY, SHAPE, HORIZONTAL, workers=0):
            time.sleep(0.002)
            yield example

    with Loader(Plan(0, 4, 0), numbered(0), slow(), MANY, SHAPE, UNCHANGED) as prepared:
        next(iter(prepared))
        assert prepared.waited >= 0.19  # a pool of 96 pictures at 2 ms


# Several processes


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("count", [100, 1, 9])  # of 9 a last batch has one, and each process needs one all the same
def test_processes_share_each_batch(size: int, count: int) -> None:
    plan = Plan(count, 8, 1)
    steps = 2 * plan.steps_an_epoch
    alone = batches(plan, steps)
    shares = [batches(plan, steps, ranks=Ranks(rank, size)) for rank in range(size)]
    for step, whole in enumerate(alone):
        parts = [numbers(share[step]) for share in shares]
        assert min(map(len, parts)) >= 1
        if count == 100:  # there are enough of them for all
            assert sorted(itertools.chain(*parts)) == sorted(numbers(whole))
        else:
            assert set(itertools.chain(*parts)) <= set(range(count))


def test_as_many_pictures_a_step_as_processes_are_one_for_each() -> None:
    plan = Plan(5, 2, 1)
    for rank in range(2):
        # 5 pictures are three steps, and the sixth place is one of them again.
        assert [len(batch.widths) for batch in batches(plan, 3, ranks=Ranks(rank, 2))] == [1, 1, 1]


@pytest.mark.parametrize("plan", [Plan(100, 8, 1, mix=0.4), Plan(0, 8, 1)], ids=["mixed", "drawn"])
@pytest.mark.parametrize("step", [0, 17, 30])
def test_processes_draw_what_no_other_draws_also_when_they_go_on(plan: Plan, step: int) -> None:
    steps = 72  # three pools that are drawn, and over three epochs of 21 steps of data with drawn ones
    shares = [batches(plan, steps, ranks=Ranks(rank, 3)) for rank in range(3)]
    fresh = [[n for batch in share for n in numbers(batch) if n >= FIRST_DRAWN] for share in shares]
    together = sorted(itertools.chain(*fresh))
    assert len(together) == len(set(together))
    assert set(range(FIRST_DRAWN, FIRST_DRAWN + 200)) <= set(together)
    for rank in range(3):
        tail = batches(plan, steps - step, step, Ranks(rank, 3))
        assert all(itertools.starmap(same, zip(shares[rank][step:], tail, strict=True)))


def test_a_pool_too_small_for_all_processes_shows_some_pictures_twice() -> None:
    # A pool of 24 batches of 3 holds 36 of the data, and the last one of an epoch 1, with one that is drawn.
    plan = Plan(37, 3, 1, mix=0.5)
    for rank in range(3):
        steps = batches(plan, 3 * plan.steps_an_epoch, ranks=Ranks(rank, 3))
        assert min(len(batch.widths) for batch in steps) >= 1


def test_a_range_is_shared_and_the_next_goes_on_from_it() -> None:
    for size in (1, 2, 3):
        ranges = [range(7), range(7, 9), range(9, 9), range(9, 20)]
        shares = [[i for part in ranges for i in Ranks(rank, size).share(part)] for rank in range(size)]
        assert sorted(itertools.chain(*shares)) == list(range(20))
        for rank, share in enumerate(shares):
            assert share == list(range(rank, 20, size))  # what one stream of the process gives


# What is drawn


class Long(Drawer):
    """Every third text has as many characters as there is no room for."""

    def __getitem__(self, index: int) -> tuple[Image.Image, str]:
        picture, text = super().__getitem__(index)
        return picture, text * 100 if index % 3 == 0 else text


def texts(stream: Iterator[LabeledLine | None], count: int) -> list[str | None]:
    return [line.text if line else None for line in itertools.islice(stream, count)]


def test_drawn_pictures_come_in_the_order_of_their_index() -> None:
    expected = [MANY.characters[FIRST_DRAWN + index] for index in (5, 7, 9, 11)]
    assert texts(drawn(Drawer(), MANY, SHAPE, HORIZONTAL, start=5, step=2, workers=0), 4) == expected


def test_batches_are_the_same_whatever_the_threads_that_make_them() -> None:
    def made(threads: int) -> list[Batch]:
        with Loader(Plan(100, 16, 0), numbered(100), iter(()), MANY, SHAPE, AugmentConfig(), threads=threads) as loader:
            return list(itertools.islice(loader, 30))

    for one, other in zip(made(1), made(5), strict=True):
        assert one.step == other.step
        assert torch.equal(one.lines, other.lines)
        assert torch.equal(one.ids, other.ids)


def test_a_drawn_text_that_has_no_room_keeps_its_place_and_is_left_out() -> None:
    assert [text is None for text in texts(drawn(Long(), MANY, SHAPE, HORIZONTAL, workers=0), 7)] == [
        True,
        False,
        False,
    ] * 2 + [True]
    assert len(drawn_lines(Long(), MANY, SHAPE, HORIZONTAL, 7)) == 4


@pytest.mark.parametrize("batch_size", [1, 8])
def test_texts_without_room_leave_batches_smaller_and_none_empty(batch_size: int) -> None:
    stream = drawn(Long(), MANY, SHAPE, HORIZONTAL, workers=0)
    with Loader(Plan(0, batch_size, 0), numbered(0), stream, MANY, SHAPE, UNCHANGED) as prepared:
        sizes = [len(batch.widths) for batch in itertools.islice(prepared, 24)]
    assert min(sizes) >= 1
    assert sum(sizes) == max(24, 24 * batch_size * 2 // 3)


def test_texts_of_which_none_has_room_are_an_error_that_says_what_to_change() -> None:
    never = itertools.repeat(None)
    with (
        Loader(Plan(0, 4, 0), numbered(0), never, MANY, SHAPE, UNCHANGED) as prepared,
        pytest.raises(DataError, match="need more frames than their pictures have: take another --preset"),
    ):
        next(iter(prepared))
    assert len(drawn_lines(Long(), MANY, SHAPE, HORIZONTAL, 1)) == 0


def test_drawing_leaves_the_numbers_of_the_training_thread_alone() -> None:
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    next(drawn(Drawer(), MANY, SHAPE, HORIZONTAL, workers=0))
    assert torch.equal(torch.rand(3), expected)


KILLED_WHILE_IT_DRAWS = """
import multiprocessing, os, signal
from digits import CHARACTERS, Drawer
from crnnocr.text.charset import Charset
from crnnocr.config import PRESETS, Orientation
from crnnocr.training.synthetic import drawn

stream = drawn(Drawer(), Charset(CHARACTERS), PRESETS["tiny"], Orientation.HORIZONTAL, workers=2)
next(stream)
print(len(multiprocessing.active_children()), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_draws_ends_with_a_killed_training(run_process: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    killed = run_process("-c", KILLED_WHILE_IT_DRAWS, cwd=Path(__file__).parent)  # until all have closed its output
    assert (killed.returncode, killed.stdout) == (-signal.SIGKILL, "2\n")
