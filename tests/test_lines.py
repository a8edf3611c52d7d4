"""Images as lines: in memory or in a file, decoded once."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, ClassVar

import numpy as np
import pytest
from PIL import Image

from crnnocr import images
from crnnocr.config import Conv, ModelConfig, Orientation
from crnnocr.datasets import Sample
from crnnocr.datasets.lines import LineDataset, content_id, held_out, load_lines
from crnnocr.errors import CrnnocrError
from crnnocr.images import Preprocessor
from crnnocr.images.preprocessor import LineImage, View


class Recording(Preprocessor):
    """A preprocessor that notes the names of the images it loads."""

    names: ClassVar[list[str]] = []

    def view(self, source: images.Source, view: View | None = None, name: str | None = None) -> LineImage:
        self.names.append(Path(name or "").name)
        return super().view(source, view, name)


PREPROCESSOR = Recording.for_model(ModelConfig(preset="flat", height=8, backbone=(Conv(2),), hidden=2))

NO_MEMORY = 0
"""Bytes from which on lines go to a file: all of them do."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of the images."""
    path = tmp_path / "images"
    path.mkdir()
    return path


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """The folder of cached lines, in this test's cache directory."""
    return tmp_path / "cache" / "lines"


@pytest.fixture
def decoded() -> list[str]:
    """The images that were decoded so far, by name."""
    Recording.names.clear()
    return Recording.names


def noise_images(folder: Path, count: int = 5, seed: int = 0) -> list[Sample]:
    """Noise images of several widths and heights."""
    chance = np.random.default_rng(seed)
    samples = []
    for number in range(count):
        path = folder / f"{seed}-{number}.png"
        height, width = chance.integers(6, 12), chance.integers(8, 40)
        Image.fromarray(chance.integers(0, 256, (height, width)).astype(np.uint8)).save(path)
        samples.append(Sample(path, f"text {number}"))
    return samples


def read(
    samples: list[Sample], memory_limit: int = NO_MEMORY, preprocessor: Preprocessor = PREPROCESSOR, **others: Any
) -> LineDataset:
    lines, _ = load_lines(samples, preprocessor, memory_limit, **others)
    return lines


def same(one: LineDataset, other: LineDataset) -> bool:
    """Except for the samples' paths."""
    return (
        one.texts == other.texts
        and all(np.array_equal(one[i].pixels, other[i].pixels) for i in range(max(len(one), len(other))))
        and np.array_equal(one.widths, other.widths)
        and np.array_equal(one.content_ids, other.content_ids)
        and np.array_equal(one.sizes, other.sizes)
    )


# Loading


@pytest.mark.parametrize("memory_limit", [NO_MEMORY, 500, 10**6])  # a line has up to 8 × 53 bytes
def test_each_image_becomes_its_line(memory_limit: int, folder: Path) -> None:
    samples = noise_images(folder)
    result = read(samples, memory_limit)
    assert result.samples == tuple(samples)
    assert len(result) == 5
    for index, sample in enumerate(samples):
        image = images.load_gray(sample.path)
        assert np.array_equal(result[index].pixels, PREPROCESSOR.line(image))
        assert result.widths[index] == result[index].pixels.shape[1]
        assert result.sizes[index].tolist() == list(image.size)
        assert result.content_ids[index] == content_id(sample.path.read_bytes())


@pytest.mark.parametrize("memory_limit", [NO_MEMORY, 10**6])
def test_images_that_cannot_be_read_are_issues_and_the_others_keep_their_order(memory_limit: int, folder: Path) -> None:
    first, broken, missing, last = noise_images(folder, 4)
    broken.path.write_bytes(b"no image")
    missing.path.unlink()
    for _ in range(2):  # the second time they may come from the cache
        result, issues = load_lines([first, broken, missing, last], PREPROCESSOR, memory_limit=memory_limit)
        assert result.samples == (first, last)
        assert np.array_equal(result[1].pixels, read([last])[0].pixels)
        (issue,) = issues
        assert issue.code == "unreadable-picture"
        assert [location.path for location in issue.locations] == [str(broken.path), str(missing.path)]
        assert "0-1.png" in issue.locations[0].detail
        assert issue.locations[1].detail.endswith("0-2.png: there is no such file")


def test_a_vertical_line_is_turned_before_it_is_measured(folder: Path) -> None:
    Image.fromarray(np.arange(8 * 24, dtype=np.uint8).reshape(24, 8)).save(folder / "tall.png")
    result = read([Sample(folder / "tall.png", "x")], preprocessor=replace(PREPROCESSOR, orientation=Orientation.VERTICAL))
    assert result.sizes.tolist() == [[24, 8]]
    # Turned counter-clockwise, the top is on the left: the first column is the image's first row, from its end.
    assert result[0].pixels[:, 0].tolist() == list(range(7, -1, -1))


def test_nothing_is_read_from_nothing() -> None:
    result = read([])
    assert (len(result), result.samples) == (0, ())
    assert result.sizes.shape == (0, 2)


def test_progress_is_reported_to_its_end(folder: Path, decoded: list[str]) -> None:
    samples = noise_images(folder, 700)  # 512 at a time
    for found in (False, True):
        reported: list[int] = []
        read(samples, progress=reported.append)
        assert reported[-1] == 700
        assert len(decoded) == 700, f"found: {found}"


# The cache


def test_lines_that_fit_into_memory_leave_no_file(folder: Path, cache: Path, decoded: list[str]) -> None:
    samples = noise_images(folder)
    read(samples, 10**6)
    assert not cache.exists()
    read(samples, 10**6)
    assert len(decoded) == 10


def test_lines_in_a_file_are_the_same_as_in_memory(folder: Path, cache: Path) -> None:
    samples = noise_images(folder)
    in_memory, in_file, found = read(samples, 10**6), read(samples, 500), read(samples, 500)
    assert same(in_memory, in_file)
    assert same(in_memory, found)
    (kept,) = cache.iterdir()
    assert (kept / "pixels").stat().st_size == 8 * int(in_memory.widths.sum())


def test_the_same_images_are_decoded_once_whatever_they_are_called(folder: Path, decoded: list[str]) -> None:
    samples = noise_images(folder)
    first = read(samples)
    assert sorted(decoded) == [sample.path.name for sample in samples]
    renamed = [replace(sample, path=sample.path.rename(folder / f"other {i}.png")) for i, sample in enumerate(samples)]
    again = read(renamed)
    assert len(decoded) == 5
    assert again.samples == tuple(renamed)
    assert same(first, again)


def test_labels_are_not_kept_with_the_lines(folder: Path, decoded: list[str]) -> None:
    samples = noise_images(folder)
    read(samples)
    corrected = [replace(sample, text="corrected") for sample in samples]
    assert read(corrected).samples == tuple(corrected)
    assert len(decoded) == 5


def swap(samples: list[Sample]) -> list[Sample]:
    return samples[::-1]


def repaint(samples: list[Sample]) -> list[Sample]:
    Image.new("L", (20, 8), 77).save(samples[2].path)
    return samples


def add(samples: list[Sample]) -> list[Sample]:
    return samples + noise_images(samples[0].path.parent, 1, seed=1)


@pytest.mark.parametrize("change", [swap, repaint, add])
def test_other_images_or_another_order_are_read_again(
    change: Callable[[list[Sample]], list[Sample]], folder: Path, decoded: list[str]
) -> None:
    samples = noise_images(folder)
    read(samples)
    changed = change(samples)
    decoded.clear()
    in_file = read(changed)
    assert len(decoded) == len(changed)
    assert same(in_file, read(changed, 10**6 + 1))


def test_another_height_or_orientation_is_read_again(folder: Path, decoded: list[str]) -> None:
    samples = noise_images(folder)
    read(samples)
    higher = read(samples, preprocessor=replace(PREPROCESSOR, height=12))
    turned = read(samples, preprocessor=replace(PREPROCESSOR, orientation=Orientation.VERTICAL))
    assert len(decoded) == 15
    assert higher[0].pixels.shape[0] == 12
    assert turned.sizes[:, ::-1].tolist() == read(samples).sizes.tolist()


def test_only_the_four_sets_last_used_are_kept(folder: Path, cache: Path, decoded: list[str]) -> None:
    sets = [noise_images(folder, 2, seed) for seed in range(6)]
    for samples in sets[:4]:
        read(samples)
    read(sets[0])  # used again, so that the second is the oldest
    for samples in sets[4:]:
        read(samples)
    assert len(list(cache.iterdir())) == 4
    decoded.clear()
    for samples in (sets[0], sets[3], sets[4], sets[5]):
        read(samples)
    assert not decoded
    read(sets[1])
    assert len(decoded) == 2


# Damaged caches


def cut_off(kept: Path) -> None:
    os.truncate(kept / "pixels", (kept / "pixels").stat().st_size - 1)


def emptied(kept: Path) -> None:
    """As a file system may leave a file when the power is cut."""
    (kept / "widths.npy").write_bytes(b"")


def lost(kept: Path) -> None:
    (kept / "pixels").unlink()


@pytest.mark.parametrize("harm", [cut_off, emptied, lost])
def test_a_damaged_set_is_read_again_and_replaced(
    harm: Callable[[Path], None], folder: Path, cache: Path, decoded: list[str]
) -> None:
    samples = noise_images(folder)
    whole = read(samples)
    expected = [whole[i].pixels.copy() for i in range(5)]
    (kept,) = cache.iterdir()
    harm(kept)
    again = read(samples)
    assert all(np.array_equal(again[i].pixels, line) for i, line in enumerate(expected))
    assert len(decoded) == 10
    read(samples)
    assert len(decoded) == 10
    assert list(cache.iterdir()) == [kept]


def test_a_cache_directory_that_cannot_be_made_is_one_clear_error(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("CRNNOCR_CACHE_DIR", str(tmp_path / "file"))
    samples = noise_images(folder)
    with pytest.raises(CrnnocrError, match=r"cannot write .*/file/lines"):
        read(samples)
    assert len(read(samples, 10**6)) == 5, "in memory it is not needed"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a disk that is always full")
@pytest.mark.parametrize("count", [2, 2000])  # less than a file's buffer, so that only closing it fails, and more
def test_a_full_disk_is_one_clear_error_and_leaves_nothing(
    count: int, folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Path.open

    def full(path: Path, *arguments: Any, **options: Any) -> IO[Any]:
        file: IO[Any] = whole(Path("/dev/full") if path.name == "pixels" else path, *arguments, **options)
        return file

    monkeypatch.setattr(Path, "open", full)
    samples = noise_images(folder, 2) * (count // 2)
    with pytest.raises(CrnnocrError, match=r"cannot write .*: No space left on device \(make room there"):
        read(samples)
    assert not list(cache.iterdir())


def test_an_interrupted_read_leaves_nothing(folder: Path, cache: Path) -> None:
    def stop(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        read(noise_images(folder, 20), progress=stop)
    assert not list(cache.iterdir())


# The split


def test_a_content_id_is_the_top_of_blake2b_for_good() -> None:
    assert content_id(b"crnnocr") == 0x8E43CCF54C78FF70 >> 1  # printf crnnocr | b2sum -l 64


def random_ids(count: int) -> list[int]:
    return [int(number) for number in np.random.default_rng(0).integers(2**63, size=count, dtype=np.uint64)]


def test_about_the_given_share_is_held_out() -> None:
    flags = held_out(random_ids(10_000), 0.1)
    assert sum(flags) == pytest.approx(1000, abs=150)  # five standard deviations of √(10000 × 0.1 × 0.9) = 30


def test_adding_files_moves_none_to_the_other_side() -> None:
    ids = random_ids(2_000)
    before = dict(zip(ids[:300], held_out(ids[:300], 0.1), strict=True))  # about 30 of 300: the share rules
    after = dict(zip(ids, held_out(ids, 0.1), strict=True))
    assert {identity: after[identity] for identity in before} == before


def test_the_order_of_the_files_does_not_matter() -> None:
    ids = random_ids(100)
    assert held_out(ids[::-1], 0.1) == held_out(ids, 0.1)[::-1]


def test_duplicates_stay_on_one_side() -> None:
    ids = random_ids(100)
    flags = held_out(ids + ids, 0.1)
    assert flags[:100] == flags[100:]


@pytest.mark.parametrize("share", [0.001, 0.1, 0.5, 0.999])
def test_of_two_images_one_is_held_out(share: float) -> None:
    for low, high in ((1, 2), (1, 2**63 - 1), (2**63 - 2, 2**63 - 1)):
        assert held_out([high, low], share) == [False, True]


@pytest.mark.parametrize("ids", [[], [5], [5, 5, 5]])
def test_a_single_image_is_never_held_out(ids: list[int]) -> None:
    assert not any(held_out(ids, 0.5))


def test_nothing_is_held_out_for_a_share_of_zero() -> None:
    assert not any(held_out(random_ids(100), 0.0))


def test_a_tiny_set_with_the_lowest_image_twice_holds_out_both() -> None:
    assert held_out([2**63 - 2, 2**63 - 1, 2**63 - 2], 0.1) == [True, False, True]
