"""Whatever ends the making of a set, kills, errors in workers or full disks, it stays whole and can be completed."""

from __future__ import annotations

import errno
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest
from PIL import Image
from synthetic_sets import FailingSampler, assert_whole, contents, foreign_folder, lines_of, made, names, records
from typer.testing import Result

from crnnocr.config import LabelFormat, SynthConfig
from crnnocr.errors import CrnnocrError, DataError, UsageError
from crnnocr.synth.dataset import pool
from crnnocr.synth.dataset.folder import generate
from crnnocr.synth.dataset.pool import Job
from crnnocr.synth.sampler import Sampler

RunCli = Callable[..., Result]
RunProcess = Callable[..., subprocess.CompletedProcess[str]]
posix_only = pytest.mark.skipif(sys.platform == "win32", reason="signals, locks and limits of POSIX")


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


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert condition()


@pytest.mark.parametrize("workers", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_any_number_of_workers_gives_the_same_bytes(workers: int, tmp_path: Path, plain_synth: SynthConfig) -> None:
    for count in (1, workers):
        assert list(generate(tmp_path / str(count), plain_synth, 30, workers=count)) == list(range(1, 31))
    assert contents(tmp_path / "1") == contents(tmp_path / str(workers))


def test_a_small_set_needs_no_worker_and_a_large_one_takes_all_cores() -> None:
    assert pool.worker_count(None, bytes(100), cores=8) == 1
    assert pool.worker_count(None, bytes(2000), cores=8) == 5  # 400 images take as long as a process to start
    assert pool.worker_count(None, bytes(100_000), cores=8) == 8
    assert pool.worker_count(None, b"\1" * 500_000 + bytes(10), cores=8) == 8  # their texts have to be made again
    assert pool.worker_count(3, bytes(2), cores=8) == 2
    assert pool.worker_count(3, b"\1" * 9, cores=8) == 1


def test_nothing_is_printed(tmp_path: Path, plain_synth: SynthConfig, capfd: pytest.CaptureFixture[str]) -> None:
    made(tmp_path / "data", 10, plain_synth, workers=2)
    assert capfd.readouterr() == ("", "")


def test_an_abandoned_set_is_whole_and_can_be_completed(tmp_path: Path, plain_synth: SynthConfig) -> None:
    images = generate(tmp_path / "data", plain_synth, 5)
    assert [next(images), next(images)] == [1, 2]
    images.close()
    assert_whole(tmp_path / "data", 2)
    assert made(tmp_path / "data", 5, plain_synth) == 3
    made(tmp_path / "at once", 5, plain_synth)
    assert contents(tmp_path / "data") == contents(tmp_path / "at once")


def test_workers_finish_what_they_have_begun(tmp_path: Path, plain_synth: SynthConfig) -> None:
    images = generate(tmp_path / "data", plain_synth, 1000, workers=2)
    next(images)
    images.close()
    count = len(list(tmp_path.glob("data/*.png")))
    assert 1 <= count < 500
    assert_whole(tmp_path / "data", count)


def test_an_interrupted_set_is_whole_and_can_be_completed(tmp_path: Path, plain_synth: SynthConfig) -> None:
    with pytest.raises(KeyboardInterrupt):
        made(tmp_path / "data", 5, plain_synth, sampler=FailingSampler(plain_synth, 3, KeyboardInterrupt()))
    assert_whole(tmp_path / "data", 3)
    assert made(tmp_path / "data", 5, plain_synth) == 2
    made(tmp_path / "at once", 5, plain_synth)
    assert contents(tmp_path / "data") == contents(tmp_path / "at once")


def test_an_interruption_while_a_lost_image_is_made_keeps_the_labels_of_the_others(
    tmp_path: Path, plain_synth: SynthConfig
) -> None:
    made(tmp_path / "data", 4, plain_synth)
    (tmp_path / "data" / "000001.png").unlink()
    with pytest.raises(KeyboardInterrupt):
        made(tmp_path / "data", 4, plain_synth, sampler=FailingSampler(plain_synth, 1, KeyboardInterrupt()))
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
        ("killpg", signal.SIGHUP, 129, ""),  # as a terminal that is closed
    ],
)
def test_an_interrupted_command_leaves_a_valid_set(
    send: str,
    ending: signal.Signals,
    code: int,
    message: str,
    tmp_path: Path,
    plain_options: list[str],
    started: Callable[..., subprocess.Popen[str]],
) -> None:
    process = started("synth", tmp_path / "data", "--count", 100_000, "--workers", 2, *plain_options)
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
    moment: int,
    tmp_path: Path,
    plain_synth: SynthConfig,
    plain_options: list[str],
    started: Callable[..., subprocess.Popen[str]],
) -> None:
    process = started("synth", tmp_path / "data", "--count", 250, "--workers", 2, *plain_options)
    wait_for(lambda: len(list(tmp_path.glob("data/*.png"))) >= moment)
    process.kill()
    process.wait()
    wait_for(lambda: not processes_of(process.pid), seconds=5)
    made(tmp_path / "data", 250, plain_synth)
    made(tmp_path / "at once", 250, plain_synth)
    assert contents(tmp_path / "data") == contents(tmp_path / "at once")


@posix_only
def test_a_kill_leaves_no_label_of_another_image(
    tmp_path: Path, plain_synth: SynthConfig, plain_options: list[str], started: Callable[..., subprocess.Popen[str]]
) -> None:
    made(tmp_path / "data", 8, replace(plain_synth, seed=1))
    process = started("synth", tmp_path / "data", "--count", 100_000, "--workers", 1, "--force", *plain_options)
    wait_for(lambda: len(list(tmp_path.glob("data/*.png"))) >= 12)
    process.kill()
    process.wait()
    assert (tmp_path / "data/metadata.jsonl").read_text() == ""
    count = len(list(tmp_path.glob("data/*.png"))) + 1
    made(tmp_path / "data", count, plain_synth)
    made(tmp_path / "at once", count, plain_synth)
    assert contents(tmp_path / "data") == contents(tmp_path / "at once")


def test_half_written_files_of_a_killed_process_are_removed(tmp_path: Path, plain_synth: SynthConfig) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    for name in (".synth.json.1.part", ".000001.png.23.part", ".000001.gt.txt.23.part", ".labels.csv.1.part"):
        (folder / name).write_bytes(b"half")
    made(folder, 2, plain_synth)
    assert_whole(folder, 2)
    (folder / ".mine.txt.7.part").write_bytes(b"somebody's own")
    made(folder, 2, plain_synth)
    assert (folder / ".mine.txt.7.part").exists()


def test_a_kill_before_any_label_is_written_loses_no_foreign_label(
    tmp_path: Path, plain_synth: SynthConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = foreign_folder(tmp_path / "data")
    (folder / "metadata.jsonl").unlink()
    (folder / "mine.csv").write_text("file_name,text\nmine.png,mein\n")

    def killed(*arguments: object) -> NoReturn:
        raise MemoryError  # stands for a kill: what follows is not done

    with monkeypatch.context() as patch:
        patch.setattr("crnnocr.synth.dataset.folder.labels.open_label_files", killed)
        with pytest.raises(MemoryError):
            list(generate(folder, plain_synth, 2, force=True, format=LabelFormat.GT_TXT))
    list(generate(folder, plain_synth, 2, force=True, format=LabelFormat.GT_TXT))
    assert [name for name, _ in records(folder)] == ["mine.png", *names(range(2))]


@posix_only
def test_a_killed_worker_is_one_error_and_the_set_can_be_completed(tmp_path: Path, plain_synth: SynthConfig) -> None:
    images = generate(tmp_path / "data", plain_synth, 1000, workers=2)
    next(images)
    victim = multiprocessing.active_children()[0]
    os.kill(victim.pid or 0, signal.SIGKILL)
    with pytest.raises(CrnnocrError, match=r"a worker process was killed \(SIGKILL\).* take fewer `workers`"):
        list(images)
    assert not multiprocessing.active_children()
    there = sorted(path.name for path in tmp_path.glob("data/*.png"))
    assert [name for name, _ in records(tmp_path / "data")] == there
    count = int(there[-1][:6]) + 5
    made(tmp_path / "data", count, plain_synth)
    assert_whole(tmp_path / "data", count)


def test_an_error_in_a_worker_is_raised_here(tmp_path: Path, plain_synth: SynthConfig) -> None:
    config = replace(plain_synth, text=lines_of(tmp_path / "lines.txt", "not \U00012345 drawn"))
    with pytest.raises(DataError, match=r"U\+12345"):
        made(tmp_path / "data", 20, config, workers=2)


def test_an_error_while_a_worker_starts_is_raised_here_too(tmp_path: Path, plain_synth: SynthConfig) -> None:
    sampler = Sampler(plain_synth)
    gone = replace(plain_synth, text=str(tmp_path / "gone.txt"))  # since the sampler was made
    job = Job(tmp_path, gone, sidecars=False)
    with pytest.raises(UsageError, match=r"cannot read `text=.*gone\.txt"):
        list(pool.make_images(job, sampler, bytes(8), 2))


def test_a_script_without_a_guard_ends_with_an_error_that_says_so(
    tmp_path: Path, plain_synth: SynthConfig, run_process: RunProcess
) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from pathlib import Path\nfrom crnnocr.config import SynthConfig\nfrom crnnocr.synth.dataset.folder import generate\n"
        f"config = SynthConfig(text={plain_synth.text!r}, fonts={plain_synth.fonts!r}, style='clean')\n"
        f"list(generate(Path({str(tmp_path / 'data')!r}), config, 20, workers=2))\n"
    )
    done = run_process(script)
    assert done.returncode == 1
    assert 'a script keeps its calls under `if __name__ == "__main__"`' in done.stderr


def test_a_full_disk_is_one_error_that_names_the_file(
    tmp_path: Path, plain_synth: SynthConfig, monkeypatch: pytest.MonkeyPatch
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
            made(tmp_path / "data", 4, plain_synth)
    assert_whole(tmp_path / "data", 2)
    assert made(tmp_path / "data", 4, plain_synth) == 2


def test_if_the_labels_cannot_be_written_either_the_first_error_is_raised(
    tmp_path: Path, plain_synth: SynthConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    replaced = os.replace

    def full(source: Path, target: Path) -> None:
        if target.name in ("000003.png", "metadata.jsonl"):
            raise OSError(errno.ENOSPC, "No space left on device", str(source))
        replaced(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        with pytest.raises(CrnnocrError, match=r"cannot write .*000003\.png: No space left"):
            made(tmp_path / "data", 5, plain_synth)
    assert made(tmp_path / "data", 5, plain_synth) == 2
    assert_whole(tmp_path / "data", 5)


@posix_only
@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_images_over_the_shells_file_size_limit_are_one_error(
    workers: int, tmp_path: Path, plain_synth: SynthConfig, plain_options: list[str]
) -> None:
    command = f"ulimit -f 1; exec {sys.executable} -m crnnocr synth data --count 40 --height 200 --workers {workers} "
    done = subprocess.run(
        ["bash", "-c", command + " ".join(plain_options)],
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert re.fullmatch(r"error: cannot write data/0000\d\d\.png: File too large \(raise the limit .*\)\n", done.stderr)
    made(tmp_path / "data", 40, replace(plain_synth, height=200))
    assert_whole(tmp_path / "data", 40)


def test_a_folder_that_cannot_be_written_is_one_error_that_names_the_file(
    tmp_path: Path, plain_synth: SynthConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_only(self: Path, *arguments: object, **plain_options: object) -> NoReturn:
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    monkeypatch.setattr(Path, "write_text", read_only)
    with pytest.raises(CrnnocrError, match=r"cannot write .*synth\.json: Permission denied \(write somewhere else"):
        made(tmp_path / "data", 1, plain_synth)
    assert not list((tmp_path / "data").iterdir())
