"""A folder of synthetic images is never left in disorder: not by workers, kills, full disks, or foreign images in it."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
from PIL import Image
from typer.testing import Result

from crnnocr.config import LabelFormat, Orientation, Style, SynthConfig
from crnnocr.datasets import imagefolder
from crnnocr.datasets.detection import load_dataset
from crnnocr.errors import CrnnocrError, DataError, UsageError
from crnnocr.files import folder_lock
from crnnocr.synth import fonts, trdg
from crnnocr.synth.dataset import manifest, pool
from crnnocr.synth.dataset.folder import generate
from crnnocr.synth.dataset.pool import Job
from crnnocr.synth.dataset.preview import contact_sheet
from crnnocr.synth.dataset.summary import Histogram
from crnnocr.synth.render.image import RenderedLine
from crnnocr.synth.sampler import Sampler
from crnnocr.synth.text import TextWarning

LINES = (
    "eins",
    "Größe 12,50",
    'ein "Wort"',
    "a, b",
    "naïve (x)",
    "#7 100 %",
    "drei vier fünf",
    "x\\y/z",
    "'s ist",
    "Zoë & Co.",
)
TABLES = {LabelFormat.CSV: "labels.csv", LabelFormat.TSV: "labels.tsv"}

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="signals, locks and limits of POSIX")

RunCli = Callable[..., Result]
RunProcess = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory) -> SynthConfig:
    """Clean images of ten lines in two fonts: quick to set up and to render."""
    folder = tmp_path_factory.mktemp("plain")
    lines_of(folder / "lines.txt", *LINES)
    (folder / "fonts").mkdir()
    for path in trdg.font_files("en"):
        if path.name in ("Roboto-Regular.ttf", "OpenSans-Italic.ttf"):
            shutil.copy(path, folder / "fonts")
    return SynthConfig(style=Style.CLEAN, text=str(folder / "lines.txt"), fonts=str(folder / "fonts"))


@pytest.fixture
def options(plain: SynthConfig) -> list[str]:
    """The command line options of `plain`."""
    return ["--style", "clean", "--text", str(plain.text), "--fonts", str(plain.fonts)]


@pytest.fixture
def started() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts `crnnocr ARGUMENTS` in its own process group, which is killed after the test."""
    processes: list[subprocess.Popen[str]] = []
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a child does not inherit this, but would "ignore"

    def start(*arguments: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "crnnocr", *map(str, arguments)]
        processes.append(subprocess.Popen(command, stderr=subprocess.PIPE, encoding="utf-8", start_new_session=True))
        return processes[-1]

    yield start
    signal.signal(signal.SIGINT, before)
    for process in processes:
        process.kill()
        process.communicate()


def lines_of(path: Path, *lines: str) -> str:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return str(path)


def made(folder: Path, count: int, config: SynthConfig, *, force: bool = False, workers: int | None = None) -> int:
    """The number of new images."""
    return len(list(generate(folder, config, count, force, workers)))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def names(numbers: Iterable[int]) -> list[str]:
    return [f"{number:06d}.png" for number in numbers]


def records(folder: Path) -> list[tuple[str, str]]:
    return [(record["file_name"], record["text"]) for _, record in imagefolder.records(folder / "metadata.jsonl")]


def assert_whole(folder: Path, count: int) -> None:
    """The folder holds the first `count` images, a label for each, and nothing half-written."""
    assert sorted(path.name for path in folder.iterdir()) == [*names(range(count)), "metadata.jsonl", "synth.json"]
    dataset = load_dataset(folder)
    assert [sample.path.name for sample in dataset.samples] == names(range(count))
    assert not dataset.issues


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert condition()


def fail_at(monkeypatch: pytest.MonkeyPatch, index: int, error: BaseException) -> None:
    whole = Sampler.render

    def failing(self: Sampler, asked: int) -> RenderedLine:
        if asked == index:
            raise error
        return whole(self, asked)

    monkeypatch.setattr(Sampler, "render", failing)


def test_a_set_has_exactly_count_images_and_a_record_for_each(tmp_path: Path, plain: SynthConfig) -> None:
    assert list(generate(tmp_path / "data", plain, 5)) == [1, 2, 3, 4, 5]
    assert_whole(tmp_path / "data", 5)
    sampler = Sampler(plain)
    assert records(tmp_path / "data") == [(name, sampler.text(index)) for index, name in enumerate(names(range(5)))]


def test_images_and_labels_are_those_of_the_sampler(tmp_path: Path, plain: SynthConfig) -> None:
    made(tmp_path / "data", 3, plain)
    sampler = Sampler(plain)
    for index, (name, text) in enumerate(records(tmp_path / "data")):
        line = sampler.render(index)
        with Image.open(tmp_path / "data" / name) as image:
            assert np.array_equal(np.asarray(image), np.asarray(line.image))
        assert line.text == text


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path: Path, plain: SynthConfig) -> None:
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        made(tmp_path / name, 4, replace(plain, seed=seed))
    a, b, c = (contents(tmp_path / name) for name in "abc")
    assert a == b
    assert a.keys() == c.keys()
    assert all(a[name] != c[name] for name in a if name != "metadata.jsonl")


@pytest.mark.parametrize("workers", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_any_number_of_workers_gives_the_same_bytes(workers: int, tmp_path: Path, plain: SynthConfig) -> None:
    for count in (1, workers):
        assert list(generate(tmp_path / str(count), plain, 30, workers=count)) == list(range(1, 31))
    assert contents(tmp_path / "1") == contents(tmp_path / str(workers))


def test_a_small_set_needs_no_worker_and_a_large_one_takes_all_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "cores", lambda: 8)
    assert pool.worker_count(None, bytes(100)) == 1
    assert pool.worker_count(None, bytes(2000)) == 5  # 400 images take as long as a process to start
    assert pool.worker_count(None, bytes(100_000)) == 8
    assert pool.worker_count(None, b"\1" * 500_000 + bytes(10)) == 8  # their texts have to be made again
    assert pool.worker_count(3, bytes(2)) == 2
    assert pool.worker_count(3, b"\1" * 9) == 1


@pytest.mark.parametrize(
    ("count", "workers", "named"),
    [(0, None, "^count takes 1 to 100,000,000"), (10**12, None, "^count takes 1 to"), (1, 0, "^workers must be at least 1")],
)
def test_counts_out_of_range_are_refused(
    count: int, workers: int | None, named: str, tmp_path: Path, plain: SynthConfig
) -> None:
    with pytest.raises(UsageError, match=named):
        made(tmp_path / "data", count, plain, workers=workers)
    assert not (tmp_path / "data").exists()


def test_nothing_is_printed(tmp_path: Path, plain: SynthConfig, capfd: pytest.CaptureFixture[str]) -> None:
    made(tmp_path / "data", 10, plain, workers=2)
    assert capfd.readouterr() == ("", "")


def test_generating_loads_neither_opencv_nor_requests_nor_torch(
    tmp_path: Path, plain: SynthConfig, run_process: RunProcess
) -> None:
    script = (
        "import sys; from pathlib import Path; from crnnocr.config import SynthConfig\n"
        "from crnnocr.synth.dataset.folder import generate\n"
        f"assert list(generate(Path({str(tmp_path / 'data')!r}), SynthConfig(fonts={plain.fonts!r}), 2)) == [1, 2]\n"
        "assert not {'cv2', 'requests', 'tensorflow', 'torch', 'trdg'} & set(sys.modules)"
    )
    done = run_process("-c", script)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_memory_does_not_grow_with_the_set(tmp_path: Path, plain: SynthConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_image(job: Job, sampler: Sampler, index: int, present: bool) -> str:
        return "a text of thirty characters ..."

    def peak(count: int) -> int:
        tracemalloc.start()
        assert sum(1 for _ in generate(tmp_path / str(count), plain, count, workers=1)) == count
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    monkeypatch.setattr(pool, "make_image", no_image)
    peak(10)
    assert peak(13_000) - peak(3_000) < 300_000  # 10,000 texts alone would take 0.8 MB, their names 0.7 MB


def test_the_same_call_again_changes_nothing(tmp_path: Path, plain: SynthConfig) -> None:
    assert made(tmp_path / "data", 4, plain) == 4
    before = contents(tmp_path / "data")
    assert made(tmp_path / "data", 4, plain) == 0
    assert contents(tmp_path / "data") == before


def corrected(folder: Path) -> list[dict[str, str]]:
    """The records of a set after its user has corrected one, added a value to another, and reordered them."""
    found = [record for _, record in imagefolder.records(folder / "metadata.jsonl")]
    found[0]["text"] = "berichtigt"
    found[1]["by"] = "hand"
    (folder / "metadata.jsonl").write_text("".join(map(imagefolder.line, reversed(found))), encoding="utf-8")
    return found


@pytest.mark.parametrize("format", list(LabelFormat))
def test_a_complete_set_is_not_written_to(format: LabelFormat, tmp_path: Path, plain: SynthConfig) -> None:
    folder = tmp_path / "data"
    list(generate(folder, plain, 4, format=format))
    corrected(folder)
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_ino) for path in folder.iterdir()}
    assert list(generate(folder, plain, 4, format=format)) == []
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_ino) for path in folder.iterdir()} == before


@pytest.mark.parametrize("lost", ["metadata.jsonl", "labels.csv", "000002.gt.txt"])
def test_a_label_file_that_is_lost_is_written_again(lost: str, tmp_path: Path, plain: SynthConfig) -> None:
    format = LabelFormat.GT_TXT if lost.endswith(".gt.txt") else LabelFormat.CSV
    list(generate(tmp_path / "data", plain, 4, format=format))
    before = contents(tmp_path / "data")
    (tmp_path / "data" / lost).unlink()
    assert list(generate(tmp_path / "data", plain, 4, format=format)) == []
    assert contents(tmp_path / "data") == before


@pytest.mark.parametrize(("count", "workers"), [(4, 1), (9, 1), pytest.param(9, 2, marks=pytest.mark.slow)])
def test_corrected_labels_survive_completing_and_extending(
    count: int, workers: int, tmp_path: Path, plain: SynthConfig
) -> None:
    folder = tmp_path / "data"
    made(folder, 4, plain)
    before = corrected(folder)
    (folder / "000003.png").unlink()
    list(generate(folder, plain, count, workers=workers, format=LabelFormat.CSV))
    after = [record for _, record in imagefolder.records(folder / "metadata.jsonl")]
    assert after[:4] == before
    assert [record["file_name"] for record in after] == names(range(count))
    assert load_dataset(folder / "labels.csv").samples[0].text == "berichtigt"


def test_corrected_labels_survive_an_interruption(tmp_path: Path, plain: SynthConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    made(tmp_path / "data", 4, plain)
    before = corrected(tmp_path / "data")
    (tmp_path / "data/000000.png").unlink()
    fail_at(monkeypatch, 0, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        made(tmp_path / "data", 6, plain)
    assert [record for _, record in imagefolder.records(tmp_path / "data/metadata.jsonl")] == before[1:]


def test_an_empty_image_file_is_made_again(tmp_path: Path, plain: SynthConfig) -> None:
    made(tmp_path / "data", 4, plain)
    before = contents(tmp_path / "data")
    (tmp_path / "data/000002.png").write_bytes(b"")
    assert made(tmp_path / "data", 4, plain) == 1
    assert contents(tmp_path / "data") == before
    (tmp_path / "data/000002.png").write_bytes(b"")
    made(tmp_path / "data", 2, replace(plain, seed=1), force=True)
    assert_whole(tmp_path / "data", 2)


def test_lost_images_and_labels_are_made_again(tmp_path: Path, plain: SynthConfig) -> None:
    made(tmp_path / "data", 4, plain)
    before = contents(tmp_path / "data")
    (tmp_path / "data" / "000001.png").unlink()
    (tmp_path / "data" / "metadata.jsonl").unlink()
    assert made(tmp_path / "data", 4, plain) == 1
    assert contents(tmp_path / "data") == before


def test_a_larger_count_extends_the_set_as_if_made_at_once(tmp_path: Path, plain: SynthConfig) -> None:
    made(tmp_path / "data", 2, plain)
    before = {name: (tmp_path / "data" / name).stat().st_mtime_ns for name in names(range(2))}
    assert list(generate(tmp_path / "data", plain, 5)) == [3, 4, 5]
    assert {name: (tmp_path / "data" / name).stat().st_mtime_ns for name in before} == before
    made(tmp_path / "at once", 5, plain)
    assert contents(tmp_path / "data") == contents(tmp_path / "at once")


def test_a_smaller_count_is_refused(tmp_path: Path, plain: SynthConfig) -> None:
    made(tmp_path / "data", 4, plain)
    before = contents(tmp_path / "data")
    with pytest.raises(UsageError, match="holds 4 images of this set already: ask for `count=4` or more"):
        made(tmp_path / "data", 3, plain)
    assert contents(tmp_path / "data") == before


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ({"seed": 1}, "`seed=0`, not 1"),
        ({"lang": ("en", "de")}, "`lang=en`, not en,de"),
        ({"height": 48}, "`height=32`, not 48"),
        ({"style": Style.TRDG}, "`style=clean`, not trdg"),
        ({"orientation": Orientation.VERTICAL}, "`orientation=horizontal`, not vertical"),
        ({"words": (2, 3), "seed": 5}, "`seed=0`, not 5; `words=unset`, not 2-3"),
        ({"charset": "ba"}, "`charset=unset`, not ab"),
    ],
)
def test_other_options_are_refused_with_the_difference(change: dict[str, object], difference: str, plain: SynthConfig) -> None:
    faces = Sampler(plain).faces
    other = replace(plain, **change)  # type: ignore[arg-type]
    assert manifest.difference(manifest.create(plain, faces), manifest.create(other, faces)) == f"it was made with {difference}"


def test_a_set_with_other_options_is_left_alone(tmp_path: Path, plain: SynthConfig) -> None:
    made(tmp_path / "data", 1, plain)
    before = contents(tmp_path / "data")
    with pytest.raises(UsageError, match=r"is not empty \(it was made with `seed=0`, not 1\): name another folder.*`force`"):
        made(tmp_path / "data", 2, replace(plain, seed=1))
    assert contents(tmp_path / "data") == before


def test_a_changed_text_file_and_other_fonts_are_refused(tmp_path: Path, plain: SynthConfig) -> None:
    assert plain.fonts is not None
    shutil.copytree(plain.fonts, tmp_path / "fonts")
    config = replace(plain, text=lines_of(tmp_path / "lines.txt", *LINES), fonts=str(tmp_path / "fonts"))
    made(tmp_path / "data", 1, config)
    lines_of(tmp_path / "lines.txt", *LINES, "mehr")
    with pytest.raises(UsageError, match="it was made with another `text` file"):
        made(tmp_path / "data", 1, config)
    lines_of(tmp_path / "lines.txt", *LINES)
    (tmp_path / "fonts/Roboto-Regular.ttf").unlink()
    with pytest.raises(UsageError, match=r"it was made with other fonts \(2 files, not 1\)"):
        made(tmp_path / "data", 1, config)


def test_the_places_of_text_file_and_fonts_do_not_matter(tmp_path: Path, plain: SynthConfig) -> None:
    assert plain.fonts is not None
    shutil.copytree(plain.fonts, tmp_path / "elsewhere")
    made(tmp_path / "data", 2, plain)
    moved = replace(plain, text=lines_of(tmp_path / "moved.txt", *LINES), fonts=str(tmp_path / "elsewhere"))
    assert made(tmp_path / "data", 3, moved) == 1
    assert str(plain.fonts) not in (tmp_path / "data/synth.json").read_text()


def test_another_environment_is_refused_with_the_difference(
    tmp_path: Path, plain: SynthConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(tmp_path / "data", 1, plain)
    monkeypatch.setattr(manifest, "version", lambda package: "1.2.3" if package == "pillow" else version(package))
    with pytest.raises(UsageError, match=rf"it was made with pillow {re.escape(version('pillow'))}, not 1\.2\.3\)"):
        made(tmp_path / "data", 1, plain)


def test_the_manifest_names_all_that_images_depend_on(tmp_path: Path, plain: SynthConfig) -> None:
    made(tmp_path / "data", 1, plain)
    written = json.loads((tmp_path / "data/synth.json").read_text(encoding="utf-8"))
    assert written["count"] == 1
    assert written["options"]["lang"] == ["en"]
    libraries = {"crnnocr", "trdg", "pillow", "freetype", "raqm", "harfbuzz", "fribidi", "libjpeg", "zlib", "numpy", "unicode"}
    assert libraries | {"wordfreq", "faker", "fonttools", "fonts"} == set(written["environment"])


@pytest.mark.parametrize("damaged", ["{", '{"count": -1}', '{"count": 1e999}', '{"count": 1000000000000}', '{"count": "2"}'])
def test_a_damaged_manifest_is_an_error_that_names_it(damaged: str, tmp_path: Path, plain: SynthConfig) -> None:
    made(tmp_path / "data", 1, plain)
    (tmp_path / "data/synth.json").write_text(damaged)
    with pytest.raises(DataError, match=r"synth\.json is damaged: name another folder"):
        made(tmp_path / "data", 1, plain)


def test_force_replaces_a_set_of_other_options(tmp_path: Path, plain: SynthConfig) -> None:
    made(tmp_path / "data", 4, plain)
    assert made(tmp_path / "data", 2, replace(plain, seed=1), force=True) == 2
    made(tmp_path / "fresh", 2, replace(plain, seed=1))
    assert contents(tmp_path / "data") == contents(tmp_path / "fresh")


@posix_only
def test_two_at_a_time_in_one_folder_are_refused(tmp_path: Path, plain: SynthConfig) -> None:
    with folder_lock(tmp_path / "data"), pytest.raises(UsageError, match=r"another process is writing to .*data: wait"):
        made(tmp_path / "data", 1, plain)
    assert made(tmp_path / "data", 1, plain) == 1


def foreign_folder(folder: Path, name: str = "mine.png") -> Path:
    """Somebody's own labeled image."""
    folder.mkdir()
    Image.new("L", (9, 9), 7).save(folder / name)
    (folder / "metadata.jsonl").write_text(json.dumps({"file_name": name, "text": "mein", "by": "hand"}) + "\n")
    return folder


def test_a_foreign_folder_is_refused_and_left_alone(tmp_path: Path, plain: SynthConfig) -> None:
    folder = foreign_folder(tmp_path / "data")
    before = contents(folder)
    with pytest.raises(UsageError, match=r"is not empty \(it holds metadata\.jsonl\).*`force`"):
        made(folder, 2, plain)
    assert contents(folder) == before


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path, plain: SynthConfig) -> None:
    (tmp_path / "data").write_text("x")
    with pytest.raises(UsageError, match="data is a file: name a folder"):
        made(tmp_path / "data", 2, plain, force=True)


def test_force_mixes_into_a_foreign_folder_and_keeps_its_labels(tmp_path: Path, plain: SynthConfig) -> None:
    folder = foreign_folder(tmp_path / "data")
    image, label = (folder / "mine.png").read_bytes(), (folder / "metadata.jsonl").read_text()
    assert made(folder, 2, plain, force=True) == 2
    assert [name for name, _ in records(folder)] == ["mine.png", *names(range(2))]
    assert (folder / "mine.png").read_bytes() == image
    assert (folder / "metadata.jsonl").read_text().startswith(label)


def test_force_keeps_foreign_labels_of_another_format(tmp_path: Path, plain: SynthConfig) -> None:
    folder = foreign_folder(tmp_path / "data")
    (folder / "metadata.jsonl").unlink()
    (folder / "mine.gt.txt").write_text("mein")
    made(folder, 2, plain, force=True)
    assert records(folder)[0] == ("mine.png", "mein")
    assert len(load_dataset(folder).samples) == 3


@pytest.mark.parametrize("force", [True, False])
@pytest.mark.parametrize("count", [2, 3])
def test_foreign_labels_survive_completing_and_extending(count: int, force: bool, tmp_path: Path, plain: SynthConfig) -> None:
    folder = foreign_folder(tmp_path / "data")
    made(folder, 2, plain, force=True)
    made(folder, count, plain, force=force)
    assert [name for name, _ in records(folder)] == ["mine.png", *names(range(count))]


def test_foreign_labels_survive_a_set_of_other_options(tmp_path: Path, plain: SynthConfig) -> None:
    folder = foreign_folder(tmp_path / "data")
    made(folder, 3, plain, force=True)
    made(folder, 2, replace(plain, seed=1), force=True)
    assert [name for name, _ in records(folder)] == ["mine.png", *names(range(2))]


def test_a_foreign_image_with_a_number_for_a_name_is_never_deleted(tmp_path: Path, plain: SynthConfig) -> None:
    folder = foreign_folder(tmp_path / "data", "123456.png")
    image = (folder / "123456.png").read_bytes()
    made(folder, 2, plain, force=True)
    made(folder, 2, replace(plain, seed=1), force=True)
    assert contents(folder).get("123456.png") == image
    assert records(folder)[0] == ("123456.png", "mein")
    assert made(folder, 3, replace(plain, seed=1), force=True) == 1  # it does not count as one of the set


def test_a_foreign_file_is_never_overwritten(tmp_path: Path, plain: SynthConfig) -> None:
    folder = foreign_folder(tmp_path / "data", "000001.png")
    (folder / "labels.csv").write_text("mine")
    (folder / "000000.gt.txt").write_text("mine")
    before = contents(folder)
    for format, count, name in ((LabelFormat.IMAGEFOLDER, 2, "000001.png"), (LabelFormat.CSV, 1, "labels.csv")):
        with pytest.raises(UsageError, match=f"{re.escape(name)} is not of this set"):
            list(generate(folder, plain, count, force=True, format=format))
    with pytest.raises(UsageError, match=r"000000\.gt\.txt is not of this set"):
        list(generate(folder, plain, 1, force=True, format=LabelFormat.GT_TXT))
    assert contents(folder) == before


def read_back(folder: Path, format: LabelFormat) -> list[tuple[str, str]]:
    """What a tool reads that knows only this format."""
    if format is not LabelFormat.IMAGEFOLDER:
        (folder / "metadata.jsonl").unlink()
    (folder / "synth.json").unlink()
    dataset = load_dataset(folder)
    assert not dataset.issues
    return [(sample.path.name, sample.text) for sample in dataset.samples]


@pytest.mark.parametrize(
    ("format", "workers"),
    [
        *((format, 1) for format in LabelFormat),
        (LabelFormat.GT_TXT, 2),
        *(pytest.param(format, 2, marks=pytest.mark.slow) for format in LabelFormat if format is not LabelFormat.GT_TXT),
    ],
)
def test_every_format_is_read_back_as_it_was_written(
    format: LabelFormat, workers: int, tmp_path: Path, plain: SynthConfig
) -> None:
    list(generate(tmp_path / "data", plain, 12, workers=workers, format=format))
    together = [(sample.path.name, sample.text) for sample in load_dataset(tmp_path / "data").samples]
    sampler = Sampler(plain)
    assert together == [(name, sampler.text(index)) for index, name in enumerate(names(range(12)))]
    assert read_back(tmp_path / "data", format) == together


@pytest.mark.parametrize(("format", "name"), TABLES.items())
def test_a_table_named_by_itself_is_read_too(format: LabelFormat, name: str, tmp_path: Path, plain: SynthConfig) -> None:
    list(generate(tmp_path / "data", plain, 12, format=format))
    assert [s.text for s in load_dataset(tmp_path / "data" / name).samples] == [text for _, text in records(tmp_path / "data")]


def test_the_labels_are_those_of_the_last_call(tmp_path: Path, plain: SynthConfig) -> None:
    folder = tmp_path / "data"
    for format in (LabelFormat.GT_TXT, LabelFormat.CSV, LabelFormat.TSV, LabelFormat.GT_TXT, LabelFormat.IMAGEFOLDER):
        list(generate(folder, plain, 3, format=format))
        extra = set(contents(folder)) - {*names(range(3)), "metadata.jsonl", "synth.json"}
        sidecars = {f"{index:06d}.gt.txt" for index in range(3)} if format is LabelFormat.GT_TXT else set()
        assert extra == sidecars | ({TABLES[format]} if format in TABLES else set())


def test_foreign_records_are_in_the_table_too(tmp_path: Path, plain: SynthConfig) -> None:
    folder = foreign_folder(tmp_path / "data")
    list(generate(folder, plain, 2, force=True, format=LabelFormat.CSV))
    assert [sample.path.name for sample in load_dataset(folder / "labels.csv").samples] == ["mine.png", *names(range(2))]


def test_an_abandoned_set_is_whole_and_can_be_completed(tmp_path: Path, plain: SynthConfig) -> None:
    images = generate(tmp_path / "data", plain, 5)
    assert [next(images), next(images)] == [1, 2]
    images.close()
    assert_whole(tmp_path / "data", 2)
    assert made(tmp_path / "data", 5, plain) == 3
    made(tmp_path / "at once", 5, plain)
    assert contents(tmp_path / "data") == contents(tmp_path / "at once")


def test_workers_finish_what_they_have_begun(tmp_path: Path, plain: SynthConfig) -> None:
    images = generate(tmp_path / "data", plain, 1000, workers=2)
    next(images)
    images.close()
    count = len(list(tmp_path.glob("data/*.png")))
    assert 1 <= count < 500
    assert_whole(tmp_path / "data", count)


def test_an_interrupted_set_is_whole_and_can_be_completed(
    tmp_path: Path, plain: SynthConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        fail_at(patch, 3, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            made(tmp_path / "data", 5, plain)
    assert_whole(tmp_path / "data", 3)
    assert made(tmp_path / "data", 5, plain) == 2
    made(tmp_path / "at once", 5, plain)
    assert contents(tmp_path / "data") == contents(tmp_path / "at once")


def test_an_interruption_while_a_lost_image_is_made_keeps_the_labels_of_the_others(
    tmp_path: Path, plain: SynthConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(tmp_path / "data", 4, plain)
    (tmp_path / "data" / "000001.png").unlink()
    fail_at(monkeypatch, 1, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        made(tmp_path / "data", 4, plain)
    assert [name for name, _ in records(tmp_path / "data")] == names([0, 2, 3])


@posix_only
@pytest.mark.parametrize(
    ("send", "ending", "code", "message"),
    [
        ("killpg", signal.SIGINT, 130, "interrupted: the images so far are kept, and the same command completes the set\n"),
        pytest.param(
            "kill",
            signal.SIGINT,
            130,
            "interrupted: the images so far are kept, and the same command completes the set\n",
            marks=pytest.mark.slow,
        ),
        ("killpg", signal.SIGTERM, 143, ""),
    ],
)
def test_an_interrupted_command_leaves_a_valid_set(
    send: str,
    ending: signal.Signals,
    code: int,
    message: str,
    tmp_path: Path,
    options: list[str],
    started: Callable[..., subprocess.Popen[str]],
) -> None:
    process = started("synth", tmp_path / "data", "--count", 100_000, "--workers", 2, *options)
    wait_for(lambda: len(list(tmp_path.glob("data/*.png"))) >= 20)
    getattr(os, send)(process.pid, ending)
    _, stderr = process.communicate(timeout=60)
    assert (process.returncode, stderr) == (code, message)
    assert_whole(tmp_path / "data", len(list(tmp_path.glob("data/*.png"))))


def processes_of(group: int) -> list[int]:
    """The processes of a group that are still running."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, process_group = stat.read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue
        if int(process_group) == group and state != "Z":
            found.append(int(stat.parent.name))
    return found


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")
@pytest.mark.parametrize("moment", [0, 102, *(pytest.param(moment, marks=pytest.mark.slow) for moment in (53, 127, 170))])
def test_a_set_killed_at_any_moment_is_completed_to_the_same_bytes(
    moment: int, tmp_path: Path, plain: SynthConfig, options: list[str], started: Callable[..., subprocess.Popen[str]]
) -> None:
    process = started("synth", tmp_path / "data", "--count", 250, "--workers", 2, *options)
    wait_for(lambda: len(list(tmp_path.glob("data/*.png"))) >= moment)
    process.kill()
    process.wait()
    wait_for(lambda: not processes_of(process.pid), seconds=5)
    made(tmp_path / "data", 250, plain)
    made(tmp_path / "at once", 250, plain)
    assert contents(tmp_path / "data") == contents(tmp_path / "at once")


@posix_only
def test_a_kill_leaves_no_label_of_another_image(
    tmp_path: Path, plain: SynthConfig, options: list[str], started: Callable[..., subprocess.Popen[str]]
) -> None:
    made(tmp_path / "data", 8, replace(plain, seed=1))
    process = started("synth", tmp_path / "data", "--count", 100_000, "--workers", 1, "--force", *options)
    wait_for(lambda: len(list(tmp_path.glob("data/*.png"))) >= 12)
    process.kill()
    process.wait()
    assert (tmp_path / "data/metadata.jsonl").read_text() == ""
    count = len(list(tmp_path.glob("data/*.png"))) + 1
    made(tmp_path / "data", count, plain)
    made(tmp_path / "at once", count, plain)
    assert contents(tmp_path / "data") == contents(tmp_path / "at once")


def test_half_written_files_of_a_killed_process_are_removed(tmp_path: Path, plain: SynthConfig) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    for name in (".synth.json.1.part", ".000001.png.23.part", ".000001.gt.txt.23.part", ".labels.csv.1.part"):
        (folder / name).write_bytes(b"half")
    made(folder, 2, plain)
    assert_whole(folder, 2)
    (folder / ".mine.txt.7.part").write_bytes(b"somebody's own")
    made(folder, 2, plain)
    assert (folder / ".mine.txt.7.part").exists()


def test_a_kill_before_any_label_is_written_loses_no_foreign_label(
    tmp_path: Path, plain: SynthConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = foreign_folder(tmp_path / "data")
    (folder / "metadata.jsonl").rename(folder / "mine.jsonl")
    (folder / "mine.csv").write_text("file_name,text\nmine.png,mein\n")

    def killed(*arguments: object) -> NoReturn:
        raise MemoryError  # stands for a kill: what follows is not done

    with monkeypatch.context() as patch:
        patch.setattr("crnnocr.synth.dataset.folder.labels.open_label_files", killed)
        with pytest.raises(MemoryError):
            list(generate(folder, plain, 2, force=True, format=LabelFormat.GT_TXT))
    list(generate(folder, plain, 2, force=True, format=LabelFormat.GT_TXT))
    assert [name for name, _ in records(folder)] == ["mine.png", *names(range(2))]


@posix_only
def test_a_killed_worker_is_one_error_and_the_set_can_be_completed(tmp_path: Path, plain: SynthConfig) -> None:
    images = generate(tmp_path / "data", plain, 1000, workers=2)
    next(images)
    victim = multiprocessing.active_children()[0]
    os.kill(victim.pid or 0, signal.SIGKILL)
    with pytest.raises(CrnnocrError, match=r"a worker process was killed \(SIGKILL\).* take fewer `workers`"):
        list(images)
    assert not multiprocessing.active_children()
    there = sorted(path.name for path in tmp_path.glob("data/*.png"))
    assert [name for name, _ in records(tmp_path / "data")] == there
    count = int(there[-1][:6]) + 5
    made(tmp_path / "data", count, plain)
    assert_whole(tmp_path / "data", count)


def test_an_error_in_a_worker_is_raised_here(tmp_path: Path, plain: SynthConfig) -> None:
    config = replace(plain, text=lines_of(tmp_path / "lines.txt", "not \U00012345 drawn"))
    with pytest.raises(DataError, match=r"U\+12345"):
        made(tmp_path / "data", 20, config, workers=2)


def test_an_error_while_a_worker_starts_is_raised_here_too(tmp_path: Path, plain: SynthConfig) -> None:
    sampler = Sampler(plain)
    gone = replace(plain, text=str(tmp_path / "gone.txt"))  # since the sampler was made
    job = Job(tmp_path, gone, sidecars=False)
    with pytest.raises(UsageError, match=r"cannot read `text=.*gone\.txt"):
        list(pool.make_images(job, sampler, bytes(8), 2))


def test_a_text_that_no_font_draws_is_left_out_with_a_warning(tmp_path: Path, plain: SynthConfig) -> None:
    config = replace(plain, text=lines_of(tmp_path / "lines.txt", "eins", "not \U00012345 drawn"))
    with pytest.warns(TextWarning, match=r"1 text left out: .*U\+12345 .*line 2"):
        made(tmp_path / "data", 2, config)
    assert records(tmp_path / "data") == [("000000.png", "eins"), ("000001.png", "eins")]


def test_a_script_without_a_guard_ends_with_an_error_that_says_so(
    tmp_path: Path, plain: SynthConfig, run_process: RunProcess
) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from pathlib import Path\nfrom crnnocr.config import SynthConfig\nfrom crnnocr.synth.dataset.folder import generate\n"
        f"config = SynthConfig(text={plain.text!r}, fonts={plain.fonts!r}, style='clean')\n"
        f"list(generate(Path({str(tmp_path / 'data')!r}), config, 20, workers=2))\n"
    )
    done = run_process(script)
    assert done.returncode == 1
    assert 'a script keeps its calls under `if __name__ == "__main__"`' in done.stderr


def test_a_full_disk_is_one_error_that_names_the_file(
    tmp_path: Path, plain: SynthConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved: list[Path] = []
    whole = Image.Image.save

    def until_full(self: Image.Image, path: Path, format: str) -> None:
        if len(saved) == 2:
            path.write_bytes(b"half an image")
            raise OSError(errno.ENOSPC, "No space left on device")
        whole(self, path, format)
        saved.append(path)

    with monkeypatch.context() as patch:
        patch.setattr(Image.Image, "save", until_full)
        with pytest.raises(CrnnocrError, match=r"cannot write .*000002\.png: No space left on device \(make room"):
            made(tmp_path / "data", 4, plain)
    assert_whole(tmp_path / "data", 2)
    assert made(tmp_path / "data", 4, plain) == 2


def test_if_the_labels_cannot_be_written_either_the_first_error_is_raised(
    tmp_path: Path, plain: SynthConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    replaced = os.replace

    def full(source: Path, target: Path) -> None:
        if target.name in ("000003.png", "metadata.jsonl"):
            raise OSError(errno.ENOSPC, "No space left on device", str(source))
        replaced(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        with pytest.raises(CrnnocrError, match=r"cannot write .*000003\.png: No space left"):
            made(tmp_path / "data", 5, plain)
    assert made(tmp_path / "data", 5, plain) == 2
    assert_whole(tmp_path / "data", 5)


@posix_only
@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_images_over_the_shells_file_size_limit_are_one_error(
    workers: int, tmp_path: Path, plain: SynthConfig, options: list[str]
) -> None:
    command = f"ulimit -f 1; exec {sys.executable} -m crnnocr synth data --count 40 --height 200 --workers {workers} "
    done = subprocess.run(
        ["bash", "-c", command + " ".join(options)],
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert re.fullmatch(r"error: cannot write data/0000\d\d\.png: File too large \(raise the limit .*\)\n", done.stderr)
    made(tmp_path / "data", 40, replace(plain, height=200))
    assert_whole(tmp_path / "data", 40)


def test_a_folder_that_cannot_be_written_is_one_error_that_names_the_file(
    tmp_path: Path, plain: SynthConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_only(self: Path, *arguments: object, **options: object) -> NoReturn:
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    monkeypatch.setattr(Path, "write_text", read_only)
    with pytest.raises(CrnnocrError, match=r"cannot write .*synth\.json: Permission denied \(write somewhere else"):
        made(tmp_path / "data", 1, plain)
    assert not list((tmp_path / "data").iterdir())


def test_a_preview_is_one_image_and_nothing_else(tmp_path: Path, options: list[str], run_cli: RunCli) -> None:
    sheet = tmp_path / "sheet.png"
    result = run_cli("synth", tmp_path / "data", "--preview", sheet, "--json", *options)
    assert json.loads(result.stdout) == {"preview": str(sheet), "samples": 60}
    assert [path.name for path in tmp_path.iterdir()] == ["sheet.png"]
    with Image.open(sheet) as image:
        assert (image.format, image.mode) == ("PNG", "RGB")
    assert run_cli("synth", "--preview", tmp_path / "sheet.jpg").exit_code == 2


@pytest.mark.parametrize("orientation", [Orientation.HORIZONTAL, Orientation.VERTICAL])
def test_a_sheet_shows_every_image_whole(orientation: Orientation, plain: SynthConfig) -> None:
    sampler = Sampler(replace(plain, orientation=orientation))
    sheet = np.asarray(contact_sheet(sampler, 7).convert("L"))
    for index in range(7):
        image = sampler.render(index).image.convert("L")
        assert contains(sheet, np.asarray(image.resize((2 * image.width, 2 * image.height), Image.Resampling.NEAREST)))


def contains(
    sheet: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], part: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
) -> bool:
    """Whether `part` is somewhere in `sheet`, pixel for pixel."""
    height, width = part.shape
    fitting = sheet[: sheet.shape[0] - height + 1, : sheet.shape[1] - width + 1] == part[0, 0]
    fitting &= sheet[height - 1 :, width - 1 :] == part[-1, -1]
    return any(np.array_equal(sheet[y : y + height, x : x + width], part) for y, x in np.argwhere(fitting))


def test_a_dry_run_estimates_and_writes_nothing(tmp_path: Path, options: list[str], run_cli: RunCli) -> None:
    result = run_cli("synth", tmp_path / "data", "--count", 500, "--dry-run", *options)
    assert (result.exit_code, result.stderr) == (0, "")
    assert "500 images would be made, 0 are there" in result.stdout
    assert "fonts: 2 files, 2 faces of 2 families: Open Sans, Roboto" in result.stdout
    estimate = json.loads(run_cli("synth", tmp_path / "data", "--count", 500, "--dry-run", "--json", *options).stdout)
    assert (estimate["count"], estimate["there"], estimate["fonts"], len(estimate["texts"])) == (500, 0, 2, 12)
    assert set(estimate["texts"]) <= set(LINES)
    assert estimate["seconds"] > 0
    assert not list(tmp_path.iterdir())


def test_a_dry_run_knows_what_is_there_and_refuses_what_would_fail(
    tmp_path: Path, plain: SynthConfig, options: list[str], run_cli: RunCli
) -> None:
    made(tmp_path / "data", 3, plain)
    before = contents(tmp_path / "data")
    estimate = json.loads(run_cli("synth", tmp_path / "data", "--count", 20, "--dry-run", "--json", *options).stdout)
    size = sum(len(data) for name, data in before.items() if name.endswith(".png")) / 3
    assert estimate["there"] == 3
    assert 20 * size / 3 < estimate["bytes"] < 20 * size * 3
    refused = run_cli("synth", tmp_path / "data", "--seed", 1, "--dry-run", *options)
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "--seed 0, not 1" in refused.stderr
    assert contents(tmp_path / "data") == before


def test_the_summary_counts_the_characters_of_the_whole_set(tmp_path: Path, options: list[str], run_cli: RunCli) -> None:
    run_cli("synth", tmp_path / "data", "--count", 10, *options)
    result = run_cli("synth", tmp_path / "data", "--count", 30, "--json", *options)
    summary = json.loads(result.stdout)
    texts = [text for _, text in records(tmp_path / "data")]
    plural = {character: count for character, count in summary["characters"].items() if count}
    assert plural == {character: "".join(texts).count(character) for character in set("".join(texts))}
    assert (summary["count"], summary["drawn"], summary["fonts"]) == (30, 20, 2)
    assert summary["mean_length"] == round(sum(map(len, texts)) / 30, 2)
    assert summary["bytes"] == sum(path.stat().st_size for path in tmp_path.glob("data/*.png"))
    assert "30 images, 20 of them made in" in result.stderr
    assert "all there already" in run_cli("synth", tmp_path / "data", "--count", 30, *options).stderr


def test_fonts_that_draw_no_text_are_not_counted(tmp_path: Path, plain: SynthConfig, run_cli: RunCli) -> None:
    greek = lines_of(tmp_path / "greek.txt", "άλφα", "βήτα")
    shutil.copytree(str(plain.fonts), tmp_path / "fonts")
    latin = next(path for path in trdg.font_files("en") if not fonts.load(path).draws("άλφα"))
    shutil.copy(latin, tmp_path / "fonts")
    typed = (
        "synth",
        tmp_path / "data",
        "--count",
        3,
        "--style",
        "clean",
        "--text",
        greek,
        "--fonts",
        tmp_path / "fonts",
        "--json",
    )
    estimate = json.loads(run_cli(*typed, "--dry-run").stdout)
    assert (estimate["fonts"], estimate["faces"], estimate["families"]) == (2, 2, ["Open Sans", "Roboto"])
    assert json.loads(run_cli(*typed).stdout)["fonts"] == 2


def test_the_help_of_force_says_that_it_replaces_a_set(run_cli: RunCli) -> None:
    assert "a set of other options in it is replaced" in " ".join(run_cli("synth", "--help").stdout.replace("│", " ").split())


def test_a_histogram_lists_rare_characters() -> None:
    histogram = Histogram.of(iter(["aab 1", "é!a"] * 5), charset="abcx\u0301")
    assert histogram.mean_length == 4
    assert histogram.counts == {"a": 15, " ": 5, "!": 5, "1": 5, "b": 5, "é": 5, "c": 0, "x": 0, "\u0301": 0}
    assert histogram.lines(whole=False) == [
        "9 characters in the charset: letters 62.5%, spaces 12.5%, punctuation 12.5%, digits 12.5%, marks 0.0%",
        "rarest: ◌\u0301 0, x 0, c 0, é 5, b 5, 1 5, ! 5, space 5, a 15",
        "8 of them occur fewer than 10 times",
    ]


def test_options_are_parsed_as_typed(tmp_path: Path, run_cli: RunCli) -> None:
    characters = tmp_path / "characters.txt"
    characters.write_text("\ufeffab c\r\nß\n", encoding="utf-8")
    typed = ("--lang", "en, de", "--lang", "fr,en", "--words", "2", "--chars", "4-12", "--charset", characters)
    stderr = run_cli("synth", tmp_path / "data", "--count", 0, "--verbose", *typed).stderr
    assert "lang=('en', 'de', 'fr')" in stderr
    assert "words=(2, 2), chars=(4, 12)" in stderr
    assert "charset='ab cß'" in stderr
    assert "charset='xyz'" in run_cli("synth", tmp_path / "data", "--count", 0, "--verbose", "--charset", "xyz").stderr


def test_a_set_without_any_image_is_not_in_the_way(tmp_path: Path, plain: SynthConfig) -> None:
    (tmp_path / "lines.txt").write_text("not \U00012345 drawn\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"U\+12345"):
        made(tmp_path / "data", 2, replace(plain, text=str(tmp_path / "lines.txt")))
    assert not list((tmp_path / "data").glob("*.png"))
    assert made(tmp_path / "data", 2, SynthConfig(style=Style.TRDG)) == 2
    (tmp_path / "data" / "000000.png").unlink()
    (tmp_path / "data" / "000001.png").unlink()
    (tmp_path / "data" / "notes.txt").touch()
    with pytest.raises(UsageError, match="is not empty"):
        made(tmp_path / "data", 2, plain)
