"""The samples of each step, how they are split into batches, and the threads that prepare these."""

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
from crnnocr.training.batching import BatchSampler, Bucket, split_by_width
from crnnocr.training.distributed import SINGLE_PROCESS, DistributedContext
from crnnocr.training.loader import Batch, Loader
from crnnocr.training.synthetic import synthetic_dataset, synthetic_lines

SHAPE = ModelConfig(preset="flat", height=4, backbone=(Conv(2), Pool((2, 2), (2, 2))), hidden=2)
"""A frame for every two pixels of width."""

UNCHANGED = AugmentConfig().times(0)

HORIZONTAL = Orientation.HORIZONTAL

MANY = Charset("".join(chr(0x4E00 + i) for i in range(6000)))
"""A character for each image, so that the class id of a label, minus 1, is the image's number."""


def samplers() -> Iterator[BatchSampler]:
    """Of a data set alone, of one with synthetic images, and of these alone."""
    for size in (1, 15, 16, 17, 384, 385, 1000):  # around a batch and a bucket, of 24 batches
        yield BatchSampler(size, 16, seed=3)
        yield BatchSampler(size, 16, seed=3, synthetic_share=0.3)
    yield BatchSampler(0, 16, seed=3, synthetic_share=0.3)


every_sampler = pytest.mark.parametrize(
    "sampler", [*samplers()], ids=lambda sampler: f"{sampler.dataset_size}+{sampler.synthetic_share}"
)


def first_epochs(sampler: BatchSampler, count: int) -> list[Bucket]:
    return list(itertools.takewhile(lambda bucket: bucket.epoch <= count, sampler.buckets(0)))


# The samples of each step


@every_sampler
def test_an_epoch_holds_every_sample_once(sampler: BatchSampler) -> None:
    for epoch, buckets in itertools.groupby(first_epochs(sampler, 3), lambda bucket: bucket.epoch):
        assert sorted(i for bucket in buckets for i in bucket.indices) == list(range(sampler.dataset_size)), f"in epoch {epoch}"


@every_sampler
def test_buckets_follow_each_other_without_a_gap(sampler: BatchSampler) -> None:
    step = 0
    for bucket in first_epochs(sampler, 3):
        assert bucket.first_step == step
        step += bucket.batches
    assert step == 3 * sampler.steps_per_epoch


@every_sampler
def test_an_epoch_has_as_many_samples_as_it_says_in_batches_of_the_size_on_average(sampler: BatchSampler) -> None:
    buckets = first_epochs(sampler, 1)
    assert sum(len(bucket.indices) + len(bucket.synthetic) for bucket in buckets) == sampler.samples_per_epoch
    for bucket in buckets:
        samples = len(bucket.indices) + len(bucket.synthetic)
        assert bucket.batches == -(-samples // 16)


@every_sampler
def test_the_samples_of_a_step_do_not_depend_on_where_one_begins(sampler: BatchSampler) -> None:
    whole = first_epochs(sampler, 3)
    for step in range(3 * sampler.steps_per_epoch):
        tail = [bucket for bucket in whole if bucket.first_step + bucket.batches > step]
        assert list(itertools.islice(sampler.buckets(step), len(tail))) == tail


def test_each_epoch_and_each_seed_has_an_order_of_its_own() -> None:
    orders = [bucket.indices for seed in (0, 1) for bucket in first_epochs(BatchSampler(100, 16, seed), 2)]
    assert len(set(orders)) == 4


@every_sampler
def test_a_synthetic_image_never_comes_again(sampler: BatchSampler) -> None:
    indices = [i for bucket in first_epochs(sampler, 3) for i in bucket.synthetic]
    assert indices == list(range(len(indices)))


@pytest.mark.parametrize("mix", [0.1, 0.3, 0.5, 0.9])
def test_synthetic_images_are_their_share_of_each_bucket(mix: float) -> None:
    for bucket in first_epochs(BatchSampler(5000, 16, 0, mix), 1):
        share = len(bucket.synthetic) / (len(bucket.synthetic) + len(bucket.indices))
        assert share == pytest.approx(mix, abs=0.5 / len(bucket.indices) + 0.005)  # no half images


# Batches


def columns(widths: Sequence[int], batches: Sequence[Sequence[int]]) -> int:
    """Columns of all batches, each as wide as its widest line."""
    return sum(len(batch) * max(widths[i] for i in batch) for batch in batches)


@given(st.lists(st.integers(1, 5000), min_size=1, max_size=80), st.data())
def test_lines_are_split_into_as_many_batches_as_asked_for_and_each_comes_once(widths: list[int], data: st.DataObject) -> None:
    batches = data.draw(st.integers(1, len(widths)))
    min_size = data.draw(st.integers(1, len(widths) // batches))
    parts = split_by_width(widths, batches, min_size)
    assert len(parts) == batches
    assert sorted(itertools.chain(*parts)) == list(range(len(widths)))
    assert min(map(len, parts)) >= min_size
    in_order = [widths[i] for i in itertools.chain(*parts)]
    assert in_order == sorted(in_order)


def test_batches_hold_similar_widths() -> None:
    # Words and lines: half of the widths within 70 and 180 pixels, and one in a hundred over 500.
    widths = np.random.default_rng(0).lognormal(np.log(112), 0.7, 384).astype(int).tolist()
    at_random = [list(range(start, start + 16)) for start in range(0, 384, 16)]
    padding = columns(widths, split_by_width(widths, 24)) - sum(widths)
    # Sorted, only the widest batches waste: a tenth of what batches at random do is far from both.
    assert padding < (columns(widths, at_random) - sum(widths)) / 10
    assert padding < 0.15 * sum(widths)


def test_batches_have_about_as_many_columns_each() -> None:
    widths = np.random.default_rng(0).integers(50, 400, 384).tolist()
    sizes = [columns(widths, [batch]) for batch in split_by_width(widths, 24)]
    assert max(sizes) < 1.5 * min(sizes)  # a line more or less of 400 pixels, of about 3,600 in each


def test_a_line_that_is_very_wide_is_a_batch_of_its_own() -> None:
    widths = [20] * 100 + [5000]
    *narrow, widest = split_by_width(widths, 7)
    assert widest == [100]
    assert max(map(len, narrow)) <= 4 * 15  # four times the average number of 101 / 7, rounded up
    assert columns(widths, [*narrow, widest]) == sum(widths)


def test_a_batch_of_narrow_lines_holds_four_times_the_average_at_most() -> None:
    # By columns, all hundred narrow lines would be one batch.
    sizes = list(map(len, split_by_width([10] * 100 + [1000] * 20, 12)))
    assert max(sizes) == 40  # four times the average of 10


def test_one_narrow_line_among_wide_ones_does_not_take_a_batch_from_them() -> None:
    batches = split_by_width([5000] * 47 + [20], 3)
    assert sorted(map(len, batches)) == [16, 16, 16]


# The threads that prepare them


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
    """The numbers of its images."""
    return [i - 1 for i in batch.ids.tolist()]


FIRST_SYNTHETIC = 5000
"""Index of the character that labels the first synthetic image."""


class Drawer:
    """Makes an image for every index, of some width, labeled with a character of its own."""

    charset = MANY.characters

    def __getitem__(self, index: int) -> tuple[Image.Image, str]:
        return Image.fromarray(line(8 + index * 7 % 50)), MANY.characters[FIRST_SYNTHETIC + index]


def loader(
    sampler: BatchSampler, step: int = 0, context: DistributedContext = SINGLE_PROCESS, augmentation: AugmentConfig = UNCHANGED
) -> Loader:
    """As a training makes it, with synthetic images made in this process."""
    share = context.shard(next(sampler.buckets(step)).synthetic)
    stream = synthetic_lines(Drawer(), MANY, SHAPE, HORIZONTAL, share.start, share.step, workers=0)
    return Loader(sampler, numbered(sampler.dataset_size), stream, MANY, SHAPE, augmentation, context, step)


def batches(
    sampler: BatchSampler, count: int, step: int = 0, context: DistributedContext = SINGLE_PROCESS, strength: float = 0
) -> list[Batch]:
    with loader(sampler, step, context, AugmentConfig().times(strength)) as prepared:
        return list(itertools.islice(prepared, count))


def same(one: Batch, other: Batch) -> bool:
    """To the bit."""
    tensors = ((one.lines, other.lines), (one.widths, other.widths), (one.ids, other.ids), (one.lengths, other.lengths))
    return (one.step, one.epoch) == (other.step, other.epoch) and all(torch.equal(a, b) for a, b in tensors)


three_samplers = pytest.mark.parametrize(
    "sampler",
    [BatchSampler(100, 8, 1), BatchSampler(100, 8, 1, synthetic_share=0.4), BatchSampler(0, 8, 1)],
    ids=["data", "mixed", "synthetic"],
)


@three_samplers
def test_batches_are_the_same_from_a_step_on_wherever_one_begins(sampler: BatchSampler) -> None:
    torch.manual_seed(0)
    whole = batches(sampler, 45, strength=1)  # over three epochs of 13, two of 21, and two synthetic buckets of 24
    assert [batch.step for batch in whole] == list(range(45))
    for step in (1, 13, 20, 30):
        torch.manual_seed(step)  # has no effect
        tail = batches(sampler, 45 - step, step, strength=1)
        assert all(itertools.starmap(same, zip(whole[step:], tail, strict=True)))


def test_each_step_and_each_process_augments_an_image_in_another_way() -> None:
    alone = BatchSampler(1, 1, 1)  # the same image in each step
    steps = [
        batch
        for rank in range(2)
        for batch in batches(BatchSampler(1, 2, 1), 3, context=DistributedContext(rank, 2), strength=1)
    ]
    steps += batches(alone, 3, strength=1)
    assert {tuple(numbers(batch)) for batch in steps} == {(0,)}
    results = {batch.lines.numpy().tobytes() for batch in steps}
    assert len(results) >= 5  # of 6: one alone is the same as the first of two, and one in ten is left as it is


def test_an_epoch_of_batches_holds_every_sample_once_with_its_pixels_and_label() -> None:
    data, sampler = numbered(100), BatchSampler(100, 8, 1)
    epoch = batches(sampler, sampler.steps_per_epoch)
    assert sorted(itertools.chain(*map(numbers, epoch))) == list(range(100))
    assert {batch.epoch for batch in epoch} == {1}
    for batch in epoch:
        for number, shown, width in zip(numbers(batch), batch.lines, batch.widths.tolist(), strict=True):
            gray = torch.from_numpy(data[number].pixels / 127.5 - 1).float()  # 0 to 255 is -1 to 1
            assert torch.allclose(shown[0, :, :width], gray, atol=1e-6)
            assert not shown[0, :, width:].any()


def test_synthetic_images_are_a_share_of_each_bucket_and_never_come_again() -> None:
    sampler = BatchSampler(100, 8, 1, synthetic_share=0.4)
    shown = [number for batch in batches(sampler, 3 * sampler.steps_per_epoch) for number in numbers(batch)]
    fresh = [number for number in shown if number >= FIRST_SYNTHETIC]
    assert sorted(fresh) == list(range(FIRST_SYNTHETIC, FIRST_SYNTHETIC + len(fresh)))
    assert len(fresh) / len(shown) == pytest.approx(0.4, abs=0.01)  # 67 of 167 an epoch
    assert sorted(number for number in shown if number < FIRST_SYNTHETIC) == sorted([*range(100)] * 3)


def test_no_line_gets_too_narrow_for_its_label() -> None:
    words = Charset("ab")
    text = "aabb" * 3  # six of its characters are repeats, so it needs 18 frames, of two pixels each
    widths = np.full(32, 2 * frames_needed(words.encode(text)))
    data = dataset(widths, [text] * 32)
    with Loader(BatchSampler(32, 32, 0), data, iter(()), words, SHAPE, AugmentConfig(stretch=0.4)) as prepared:
        for batch in itertools.islice(prepared, 5):
            assert int(SHAPE.frames(batch.widths).min()) >= 18


class Stop(Exception):  # noqa: N818 (not an error)
    """Nothing else raises it."""


def test_an_error_in_the_thread_is_raised_where_the_batches_are_used() -> None:
    def breaks() -> Iterator[LabeledLine | None]:
        yield from itertools.islice(synthetic_lines(Drawer(), MANY, SHAPE, HORIZONTAL, workers=0), 24 * 8)  # one bucket
        raise Stop

    with Loader(BatchSampler(0, 8, 0), numbered(0), breaks(), MANY, SHAPE, UNCHANGED) as prepared:
        steps = iter(prepared)
        assert [next(steps).step for _ in range(24)] == list(range(24))
        with pytest.raises(Stop):
            next(steps)


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "loader"]


def test_leaving_the_block_ends_the_thread_though_batches_are_ready() -> None:
    with loader(BatchSampler(100, 8, 1)) as prepared:
        next(iter(prepared))
        deadline = time.monotonic() + 10
        while not prepared._queue.full():
            assert time.monotonic() < deadline, "four batches take milliseconds"
        assert len(threads()) == 1
    assert not threads()


def test_leaving_the_block_by_an_exception_ends_the_thread() -> None:
    with pytest.raises(Stop), loader(BatchSampler(100, 8, 1)):
        raise Stop
    assert not threads()


def test_time_is_counted_only_while_one_waits() -> None:
    def slow() -> Iterator[LabeledLine | None]:
        for example in synthetic_lines(Drawer(), MANY, SHAPE, HORIZONTAL, workers=0):
            time.sleep(0.002)
            yield example

    with Loader(BatchSampler(0, 4, 0), numbered(0), slow(), MANY, SHAPE, UNCHANGED) as prepared:
        next(iter(prepared))
        assert prepared.seconds_waited >= 0.19  # a bucket of 96 images at 2 ms


# Several processes


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("count", [100, 1, 9])  # of 9 a last batch has one, and each process needs one all the same
def test_processes_share_each_batch(size: int, count: int) -> None:
    sampler = BatchSampler(count, 8, 1)
    steps = 2 * sampler.steps_per_epoch
    alone = batches(sampler, steps)
    shares = [batches(sampler, steps, context=DistributedContext(rank, size)) for rank in range(size)]
    for step, whole in enumerate(alone):
        parts = [numbers(share[step]) for share in shares]
        assert min(map(len, parts)) >= 1
        if count == 100:  # there are enough of them for all
            assert sorted(itertools.chain(*parts)) == sorted(numbers(whole))
        else:
            assert set(itertools.chain(*parts)) <= set(range(count))


def test_if_there_are_as_many_samples_per_step_as_processes_each_gets_one() -> None:
    sampler = BatchSampler(5, 2, 1)
    for rank in range(2):
        # 5 samples are three steps, and the sixth place is one of them again.
        assert [len(batch.widths) for batch in batches(sampler, 3, context=DistributedContext(rank, 2))] == [1, 1, 1]


@pytest.mark.parametrize(
    "sampler", [BatchSampler(100, 8, 1, synthetic_share=0.4), BatchSampler(0, 8, 1)], ids=["mixed", "synthetic"]
)
@pytest.mark.parametrize("step", [0, 17, 30])
def test_each_process_has_synthetic_images_of_its_own_also_when_resumed(sampler: BatchSampler, step: int) -> None:
    steps = 72  # three synthetic buckets, and over three epochs of 21 mixed steps
    shares = [batches(sampler, steps, context=DistributedContext(rank, 3)) for rank in range(3)]
    fresh = [[n for batch in share for n in numbers(batch) if n >= FIRST_SYNTHETIC] for share in shares]
    together = sorted(itertools.chain(*fresh))
    assert len(together) == len(set(together))
    assert set(range(FIRST_SYNTHETIC, FIRST_SYNTHETIC + 200)) <= set(together)
    for rank in range(3):
        tail = batches(sampler, steps - step, step, DistributedContext(rank, 3))
        assert all(itertools.starmap(same, zip(shares[rank][step:], tail, strict=True)))


def test_a_bucket_too_small_for_all_processes_repeats_some_samples() -> None:
    # A bucket of 24 batches of 3 has 36 samples of the data; the last one of an epoch has 1, and a synthetic one.
    sampler = BatchSampler(37, 3, 1, synthetic_share=0.5)
    for rank in range(3):
        steps = batches(sampler, 3 * sampler.steps_per_epoch, context=DistributedContext(rank, 3))
        assert min(len(batch.widths) for batch in steps) >= 1


def test_shards_of_consecutive_ranges_join_seamlessly() -> None:
    for size in (1, 2, 3):
        ranges = [range(7), range(7, 9), range(9, 9), range(9, 20)]
        shares = [[i for part in ranges for i in DistributedContext(rank, size).shard(part)] for rank in range(size)]
        assert sorted(itertools.chain(*shares)) == list(range(20))
        for rank, share in enumerate(shares):
            assert share == list(range(rank, 20, size))  # what one stream of the process gives


# Synthetic lines


class Long(Drawer):
    """Every third text does not fit its image."""

    def __getitem__(self, index: int) -> tuple[Image.Image, str]:
        image, text = super().__getitem__(index)
        return image, text * 100 if index % 3 == 0 else text


def texts(stream: Iterator[LabeledLine | None], count: int) -> list[str | None]:
    return [line.text if line else None for line in itertools.islice(stream, count)]


def test_synthetic_images_come_in_the_order_of_their_index() -> None:
    expected = [MANY.characters[FIRST_SYNTHETIC + index] for index in (5, 7, 9, 11)]
    assert texts(synthetic_lines(Drawer(), MANY, SHAPE, HORIZONTAL, start=5, step=2, workers=0), 4) == expected


def test_batches_are_the_same_whatever_the_threads_that_make_them() -> None:
    def made(threads: int) -> list[Batch]:
        with Loader(BatchSampler(100, 16, 0), numbered(100), iter(()), MANY, SHAPE, AugmentConfig(), threads=threads) as loader:
            return list(itertools.islice(loader, 30))

    for one, other in zip(made(1), made(5), strict=True):
        assert one.step == other.step
        assert torch.equal(one.lines, other.lines)
        assert torch.equal(one.ids, other.ids)


def test_a_synthetic_text_that_does_not_fit_keeps_its_place_and_is_left_out() -> None:
    assert [text is None for text in texts(synthetic_lines(Long(), MANY, SHAPE, HORIZONTAL, workers=0), 7)] == [
        True,
        False,
        False,
    ] * 2 + [True]
    assert len(synthetic_dataset(Long(), MANY, SHAPE, HORIZONTAL, 7)) == 4


@pytest.mark.parametrize("batch_size", [1, 8])
def test_texts_that_do_not_fit_make_batches_smaller_and_none_empty(batch_size: int) -> None:
    stream = synthetic_lines(Long(), MANY, SHAPE, HORIZONTAL, workers=0)
    with Loader(BatchSampler(0, batch_size, 0), numbered(0), stream, MANY, SHAPE, UNCHANGED) as prepared:
        sizes = [len(batch.widths) for batch in itertools.islice(prepared, 24)]
    assert min(sizes) >= 1
    assert sum(sizes) == max(24, 24 * batch_size * 2 // 3)


def test_if_no_text_fits_that_is_an_error() -> None:
    never = itertools.repeat(None)
    with (
        Loader(BatchSampler(0, 4, 0), numbered(0), never, MANY, SHAPE, UNCHANGED) as prepared,
        pytest.raises(DataError, match="need more frames than their images have"),
    ):
        next(iter(prepared))
    assert len(synthetic_dataset(Long(), MANY, SHAPE, HORIZONTAL, 1)) == 0


def test_making_images_does_not_consume_the_random_numbers_of_training() -> None:
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    next(synthetic_lines(Drawer(), MANY, SHAPE, HORIZONTAL, workers=0))
    assert torch.equal(torch.rand(3), expected)


KILLED_WITH_WORKERS = """
import multiprocessing, os, signal
from digits import CHARACTERS, Drawer
from crnnocr.text.charset import Charset
from crnnocr.config import PRESETS, Orientation
from crnnocr.training.synthetic import synthetic_lines

stream = synthetic_lines(Drawer(), Charset(CHARACTERS), PRESETS["tiny"], Orientation.HORIZONTAL, workers=2)
next(stream)
print(len(multiprocessing.active_children()), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
def test_workers_end_with_a_killed_training(run_process: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    killed = run_process("-c", KILLED_WITH_WORKERS, cwd=Path(__file__).parent)  # until all have closed its output
    assert (killed.returncode, killed.stdout) == (-signal.SIGKILL, "2\n")
