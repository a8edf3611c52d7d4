"""A folder of synthetic images: what it holds, how it is resumed, and what it does with foreign files."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from synthetic_sets import LINES, TABLES, FailingSampler, assert_whole, contents, foreign_folder, lines_of, made, names, records
from typer.testing import Result

from crnnocr.config import LabelFormat, Orientation, Style, SynthConfig
from crnnocr.datasets import imagefolder
from crnnocr.datasets.detection import load_dataset
from crnnocr.errors import DataError, UsageError
from crnnocr.files import folder_lock
from crnnocr.synth.dataset import manifest, pool
from crnnocr.synth.dataset.folder import generate
from crnnocr.synth.dataset.pool import Job
from crnnocr.synth.sampler import Sampler
from crnnocr.synth.text import TextWarning

RunCli = Callable[..., Result]
RunProcess = Callable[..., subprocess.CompletedProcess[str]]
posix_only = pytest.mark.skipif(sys.platform == "win32", reason="signals, locks and limits of POSIX")


def test_a_set_has_exactly_count_images_and_a_record_for_each(tmp_path: Path, plain_synth: SynthConfig) -> None:
    assert list(generate(tmp_path / "data", plain_synth, 5)) == [1, 2, 3, 4, 5]
    assert_whole(tmp_path / "data", 5)
    sampler = Sampler(plain_synth)
    assert records(tmp_path / "data") == [(name, sampler.text(index)) for index, name in enumerate(names(range(5)))]


def test_images_and_labels_are_those_of_the_sampler(tmp_path: Path, plain_synth: SynthConfig) -> None:
    made(tmp_path / "data", 3, plain_synth)
    sampler = Sampler(plain_synth)
    for index, (name, text) in enumerate(records(tmp_path / "data")):
        line = sampler.render(index)
        with Image.open(tmp_path / "data" / name) as image:
            assert np.array_equal(np.asarray(image), np.asarray(line.image))
        assert line.text == text


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path: Path, plain_synth: SynthConfig) -> None:
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        made(tmp_path / name, 4, replace(plain_synth, seed=seed))
    a, b, c = (contents(tmp_path / name) for name in "abc")
    assert a == b
    assert a.keys() == c.keys()
    assert all(a[name] != c[name] for name in a if name != "metadata.jsonl")


@pytest.mark.parametrize(
    ("count", "workers", "named"),
    [(0, None, "^count takes 1 to 100,000,000"), (10**12, None, "^count takes 1 to"), (1, 0, "^workers must be at least 1")],
)
def test_counts_out_of_range_are_refused(
    count: int, workers: int | None, named: str, tmp_path: Path, plain_synth: SynthConfig
) -> None:
    with pytest.raises(UsageError, match=named):
        made(tmp_path / "data", count, plain_synth, workers=workers)
    assert not (tmp_path / "data").exists()


def test_generating_loads_neither_opencv_nor_requests_nor_torch(
    tmp_path: Path, plain_synth: SynthConfig, run_process: RunProcess
) -> None:
    script = (
        "import sys; from pathlib import Path; from crnnocr.config import SynthConfig\n"
        "from crnnocr.synth.dataset.folder import generate\n"
        f"assert list(generate(Path({str(tmp_path / 'data')!r}), SynthConfig(fonts={plain_synth.fonts!r}), 2)) == [1, 2]\n"
        "assert not {'cv2', 'requests', 'tensorflow', 'torch', 'trdg'} & set(sys.modules)"
    )
    done = run_process("-c", script)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_memory_does_not_grow_with_the_set(tmp_path: Path, plain_synth: SynthConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_image(job: Job, sampler: Sampler, index: int, present: bool) -> str:
        return "a text of thirty characters ..."

    def peak(count: int) -> int:
        tracemalloc.start()
        assert sum(1 for _ in generate(tmp_path / str(count), plain_synth, count, workers=1)) == count
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    monkeypatch.setattr(pool, "make_image", no_image)
    peak(10)
    assert peak(13_000) - peak(3_000) < 300_000  # 10,000 texts alone would take 0.8 MB, their names 0.7 MB


def test_the_same_call_again_changes_nothing(tmp_path: Path, plain_synth: SynthConfig) -> None:
    assert made(tmp_path / "data", 4, plain_synth) == 4
    before = contents(tmp_path / "data")
    assert made(tmp_path / "data", 4, plain_synth) == 0
    assert contents(tmp_path / "data") == before


def corrected(folder: Path) -> list[dict[str, str]]:
    """The records of a set after its user has corrected one, added a value to another, and reordered them."""
    found = [record for _, record in imagefolder.records(folder / "metadata.jsonl")]
    found[0]["text"] = "berichtigt"
    found[1]["by"] = "hand"
    (folder / "metadata.jsonl").write_text("".join(map(imagefolder.line, reversed(found))), encoding="utf-8")
    return found


@pytest.mark.parametrize("format", list(LabelFormat))
def test_a_complete_set_is_not_written_to(format: LabelFormat, tmp_path: Path, plain_synth: SynthConfig) -> None:
    folder = tmp_path / "data"
    list(generate(folder, plain_synth, 4, format=format))
    corrected(folder)
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_ino) for path in folder.iterdir()}
    assert list(generate(folder, plain_synth, 4, format=format)) == []
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_ino) for path in folder.iterdir()} == before


@pytest.mark.parametrize("lost", ["metadata.jsonl", "labels.csv", "000002.gt.txt"])
def test_a_label_file_that_is_lost_is_written_again(lost: str, tmp_path: Path, plain_synth: SynthConfig) -> None:
    format = LabelFormat.GT_TXT if lost.endswith(".gt.txt") else LabelFormat.CSV
    list(generate(tmp_path / "data", plain_synth, 4, format=format))
    before = contents(tmp_path / "data")
    (tmp_path / "data" / lost).unlink()
    assert list(generate(tmp_path / "data", plain_synth, 4, format=format)) == []
    assert contents(tmp_path / "data") == before


@pytest.mark.parametrize(("count", "workers"), [(4, 1), (9, 1), pytest.param(9, 2, marks=pytest.mark.slow)])
def test_corrected_labels_survive_completing_and_extending(
    count: int, workers: int, tmp_path: Path, plain_synth: SynthConfig
) -> None:
    folder = tmp_path / "data"
    made(folder, 4, plain_synth)
    before = corrected(folder)
    (folder / "000003.png").unlink()
    list(generate(folder, plain_synth, count, workers=workers, format=LabelFormat.CSV))
    after = [record for _, record in imagefolder.records(folder / "metadata.jsonl")]
    assert after[:4] == before
    assert [record["file_name"] for record in after] == names(range(count))
    assert load_dataset(folder / "labels.csv").samples[0].text == "berichtigt"


def test_corrected_labels_survive_an_interruption(tmp_path: Path, plain_synth: SynthConfig) -> None:
    made(tmp_path / "data", 4, plain_synth)
    before = corrected(tmp_path / "data")
    (tmp_path / "data/000000.png").unlink()
    with pytest.raises(KeyboardInterrupt):
        made(tmp_path / "data", 6, plain_synth, sampler=FailingSampler(plain_synth, 0, KeyboardInterrupt()))
    assert [record for _, record in imagefolder.records(tmp_path / "data/metadata.jsonl")] == before[1:]


def test_an_empty_image_file_is_made_again(tmp_path: Path, plain_synth: SynthConfig) -> None:
    made(tmp_path / "data", 4, plain_synth)
    before = contents(tmp_path / "data")
    (tmp_path / "data/000002.png").write_bytes(b"")
    assert made(tmp_path / "data", 4, plain_synth) == 1
    assert contents(tmp_path / "data") == before
    (tmp_path / "data/000002.png").write_bytes(b"")
    made(tmp_path / "data", 2, replace(plain_synth, seed=1), force=True)
    assert_whole(tmp_path / "data", 2)


def test_lost_images_and_labels_are_made_again(tmp_path: Path, plain_synth: SynthConfig) -> None:
    made(tmp_path / "data", 4, plain_synth)
    before = contents(tmp_path / "data")
    (tmp_path / "data" / "000001.png").unlink()
    (tmp_path / "data" / "metadata.jsonl").unlink()
    assert made(tmp_path / "data", 4, plain_synth) == 1
    assert contents(tmp_path / "data") == before


def test_a_larger_count_extends_the_set_as_if_made_at_once(tmp_path: Path, plain_synth: SynthConfig) -> None:
    made(tmp_path / "data", 2, plain_synth)
    before = {name: (tmp_path / "data" / name).stat().st_mtime_ns for name in names(range(2))}
    assert list(generate(tmp_path / "data", plain_synth, 5)) == [3, 4, 5]
    assert {name: (tmp_path / "data" / name).stat().st_mtime_ns for name in before} == before
    made(tmp_path / "at once", 5, plain_synth)
    assert contents(tmp_path / "data") == contents(tmp_path / "at once")


def test_a_smaller_count_is_refused(tmp_path: Path, plain_synth: SynthConfig) -> None:
    made(tmp_path / "data", 4, plain_synth)
    before = contents(tmp_path / "data")
    with pytest.raises(UsageError, match="holds 4 images of this set already: ask for `count=4` or more"):
        made(tmp_path / "data", 3, plain_synth)
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
def test_other_options_are_refused_with_the_difference(
    change: dict[str, object], difference: str, plain_synth: SynthConfig
) -> None:
    faces = Sampler(plain_synth).faces
    other = replace(plain_synth, **change)  # type: ignore[arg-type]
    assert (
        manifest.difference(manifest.create(plain_synth, faces), manifest.create(other, faces))
        == f"it was made with {difference}"
    )


def test_a_set_with_other_options_is_left_alone(tmp_path: Path, plain_synth: SynthConfig) -> None:
    made(tmp_path / "data", 1, plain_synth)
    before = contents(tmp_path / "data")
    with pytest.raises(UsageError, match=r"is not empty \(it was made with `seed=0`, not 1\): name another folder.*`force`"):
        made(tmp_path / "data", 2, replace(plain_synth, seed=1))
    assert contents(tmp_path / "data") == before


def test_a_changed_text_file_and_other_fonts_are_refused(tmp_path: Path, plain_synth: SynthConfig) -> None:
    assert plain_synth.fonts is not None
    shutil.copytree(plain_synth.fonts, tmp_path / "fonts")
    config = replace(plain_synth, text=lines_of(tmp_path / "lines.txt", *LINES), fonts=str(tmp_path / "fonts"))
    made(tmp_path / "data", 1, config)
    lines_of(tmp_path / "lines.txt", *LINES, "mehr")
    with pytest.raises(UsageError, match="it was made with another `text` file"):
        made(tmp_path / "data", 1, config)
    lines_of(tmp_path / "lines.txt", *LINES)
    (tmp_path / "fonts/Roboto-Regular.ttf").unlink()
    with pytest.raises(UsageError, match=r"it was made with other fonts \(2 files, not 1\)"):
        made(tmp_path / "data", 1, config)


def test_the_places_of_text_file_and_fonts_do_not_matter(tmp_path: Path, plain_synth: SynthConfig) -> None:
    assert plain_synth.fonts is not None
    shutil.copytree(plain_synth.fonts, tmp_path / "elsewhere")
    made(tmp_path / "data", 2, plain_synth)
    moved = replace(plain_synth, text=lines_of(tmp_path / "moved.txt", *LINES), fonts=str(tmp_path / "elsewhere"))
    assert made(tmp_path / "data", 3, moved) == 1
    assert str(plain_synth.fonts) not in (tmp_path / "data/synth.json").read_text()


def test_another_environment_is_refused_with_the_difference(
    tmp_path: Path, plain_synth: SynthConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(tmp_path / "data", 1, plain_synth)
    monkeypatch.setattr(manifest, "version", lambda package: "1.2.3" if package == "pillow" else version(package))
    with pytest.raises(UsageError, match=rf"it was made with pillow {re.escape(version('pillow'))}, not 1\.2\.3\)"):
        made(tmp_path / "data", 1, plain_synth)


def test_the_manifest_names_all_that_images_depend_on(tmp_path: Path, plain_synth: SynthConfig) -> None:
    made(tmp_path / "data", 1, plain_synth)
    written = json.loads((tmp_path / "data/synth.json").read_text(encoding="utf-8"))
    assert written["count"] == 1
    assert written["options"]["lang"] == ["en"]
    libraries = {"crnnocr", "trdg", "pillow", "freetype", "raqm", "harfbuzz", "fribidi", "libjpeg", "zlib", "numpy", "unicode"}
    assert libraries | {"wordfreq", "faker", "fonttools", "fonts"} == set(written["environment"])


@pytest.mark.parametrize("damaged", ["{", '{"count": -1}', '{"count": 1e999}', '{"count": 1000000000000}', '{"count": "2"}'])
def test_a_damaged_manifest_is_an_error_that_names_it(damaged: str, tmp_path: Path, plain_synth: SynthConfig) -> None:
    made(tmp_path / "data", 1, plain_synth)
    (tmp_path / "data/synth.json").write_text(damaged)
    with pytest.raises(DataError, match=r"synth\.json is damaged: name another folder"):
        made(tmp_path / "data", 1, plain_synth)


def test_force_replaces_a_set_of_other_options(tmp_path: Path, plain_synth: SynthConfig) -> None:
    made(tmp_path / "data", 4, plain_synth)
    assert made(tmp_path / "data", 2, replace(plain_synth, seed=1), force=True) == 2
    made(tmp_path / "fresh", 2, replace(plain_synth, seed=1))
    assert contents(tmp_path / "data") == contents(tmp_path / "fresh")


@posix_only
def test_two_at_a_time_in_one_folder_are_refused(tmp_path: Path, plain_synth: SynthConfig) -> None:
    with folder_lock(tmp_path / "data"), pytest.raises(UsageError, match=r"another process is writing to .*data: wait"):
        made(tmp_path / "data", 1, plain_synth)
    assert made(tmp_path / "data", 1, plain_synth) == 1


def test_a_foreign_folder_is_refused_and_left_alone(tmp_path: Path, plain_synth: SynthConfig) -> None:
    folder = foreign_folder(tmp_path / "data")
    before = contents(folder)
    with pytest.raises(UsageError, match=r"is not empty \(it holds metadata\.jsonl\).*`force`"):
        made(folder, 2, plain_synth)
    assert contents(folder) == before


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path, plain_synth: SynthConfig) -> None:
    (tmp_path / "data").write_text("x")
    with pytest.raises(UsageError, match="data is a file: name a folder"):
        made(tmp_path / "data", 2, plain_synth, force=True)


def test_force_mixes_into_a_foreign_folder_and_keeps_its_labels(tmp_path: Path, plain_synth: SynthConfig) -> None:
    folder = foreign_folder(tmp_path / "data")
    image, label = (folder / "mine.png").read_bytes(), (folder / "metadata.jsonl").read_text()
    assert made(folder, 2, plain_synth, force=True) == 2
    assert [name for name, _ in records(folder)] == ["mine.png", *names(range(2))]
    assert (folder / "mine.png").read_bytes() == image
    assert (folder / "metadata.jsonl").read_text().startswith(label)


def test_force_keeps_foreign_labels_of_another_format(tmp_path: Path, plain_synth: SynthConfig) -> None:
    folder = foreign_folder(tmp_path / "data")
    (folder / "metadata.jsonl").unlink()
    (folder / "mine.gt.txt").write_text("mein")
    made(folder, 2, plain_synth, force=True)
    assert records(folder)[0] == ("mine.png", "mein")
    assert len(load_dataset(folder).samples) == 3


@pytest.mark.parametrize("force", [True, False])
@pytest.mark.parametrize("count", [2, 3])
def test_foreign_labels_survive_completing_and_extending(
    count: int, force: bool, tmp_path: Path, plain_synth: SynthConfig
) -> None:
    folder = foreign_folder(tmp_path / "data")
    made(folder, 2, plain_synth, force=True)
    made(folder, count, plain_synth, force=force)
    assert [name for name, _ in records(folder)] == ["mine.png", *names(range(count))]


def test_foreign_labels_survive_a_set_of_other_options(tmp_path: Path, plain_synth: SynthConfig) -> None:
    folder = foreign_folder(tmp_path / "data")
    made(folder, 3, plain_synth, force=True)
    made(folder, 2, replace(plain_synth, seed=1), force=True)
    assert [name for name, _ in records(folder)] == ["mine.png", *names(range(2))]


def test_a_foreign_image_with_a_number_for_a_name_is_never_deleted(tmp_path: Path, plain_synth: SynthConfig) -> None:
    folder = foreign_folder(tmp_path / "data", "123456.png")
    image = (folder / "123456.png").read_bytes()
    made(folder, 2, plain_synth, force=True)
    made(folder, 2, replace(plain_synth, seed=1), force=True)
    assert contents(folder).get("123456.png") == image
    assert records(folder)[0] == ("123456.png", "mein")
    assert made(folder, 3, replace(plain_synth, seed=1), force=True) == 1  # it does not count as one of the set


def test_a_foreign_file_is_never_overwritten(tmp_path: Path, plain_synth: SynthConfig) -> None:
    folder = foreign_folder(tmp_path / "data", "000001.png")
    (folder / "labels.csv").write_text("mine")
    (folder / "000000.gt.txt").write_text("mine")
    before = contents(folder)
    for format, count, name in ((LabelFormat.IMAGEFOLDER, 2, "000001.png"), (LabelFormat.CSV, 1, "labels.csv")):
        with pytest.raises(UsageError, match=f"{re.escape(name)} is not of this set"):
            list(generate(folder, plain_synth, count, force=True, format=format))
    with pytest.raises(UsageError, match=r"000000\.gt\.txt is not of this set"):
        list(generate(folder, plain_synth, 1, force=True, format=LabelFormat.GT_TXT))
    assert contents(folder) == before


def read_back(folder: Path, format: LabelFormat) -> list[tuple[str, str]]:
    """The labels as a tool sees them that knows only this format."""
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
    format: LabelFormat, workers: int, tmp_path: Path, plain_synth: SynthConfig
) -> None:
    list(generate(tmp_path / "data", plain_synth, 12, workers=workers, format=format))
    together = [(sample.path.name, sample.text) for sample in load_dataset(tmp_path / "data").samples]
    sampler = Sampler(plain_synth)
    assert together == [(name, sampler.text(index)) for index, name in enumerate(names(range(12)))]
    assert read_back(tmp_path / "data", format) == together


@pytest.mark.parametrize(("format", "name"), TABLES.items())
def test_a_table_named_by_itself_is_read_too(format: LabelFormat, name: str, tmp_path: Path, plain_synth: SynthConfig) -> None:
    list(generate(tmp_path / "data", plain_synth, 12, format=format))
    assert [s.text for s in load_dataset(tmp_path / "data" / name).samples] == [text for _, text in records(tmp_path / "data")]


def test_the_labels_are_those_of_the_last_call(tmp_path: Path, plain_synth: SynthConfig) -> None:
    folder = tmp_path / "data"
    for format in (LabelFormat.GT_TXT, LabelFormat.CSV, LabelFormat.TSV, LabelFormat.GT_TXT, LabelFormat.IMAGEFOLDER):
        list(generate(folder, plain_synth, 3, format=format))
        extra = set(contents(folder)) - {*names(range(3)), "metadata.jsonl", "synth.json"}
        sidecars = {f"{index:06d}.gt.txt" for index in range(3)} if format is LabelFormat.GT_TXT else set()
        assert extra == sidecars | ({TABLES[format]} if format in TABLES else set())


def test_foreign_records_are_in_the_table_too(tmp_path: Path, plain_synth: SynthConfig) -> None:
    folder = foreign_folder(tmp_path / "data")
    list(generate(folder, plain_synth, 2, force=True, format=LabelFormat.CSV))
    assert [sample.path.name for sample in load_dataset(folder / "labels.csv").samples] == ["mine.png", *names(range(2))]


def test_a_text_that_no_font_draws_is_left_out_with_a_warning(tmp_path: Path, plain_synth: SynthConfig) -> None:
    config = replace(plain_synth, text=lines_of(tmp_path / "lines.txt", "eins", "not \U00012345 drawn"))
    with pytest.warns(TextWarning, match=r"1 text left out: .*U\+12345 .*line 2"):
        made(tmp_path / "data", 2, config)
    assert records(tmp_path / "data") == [("000000.png", "eins"), ("000001.png", "eins")]


def test_a_set_without_any_image_is_not_in_the_way(tmp_path: Path, plain_synth: SynthConfig) -> None:
    (tmp_path / "lines.txt").write_text("not \U00012345 drawn\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"U\+12345"):
        made(tmp_path / "data", 2, replace(plain_synth, text=str(tmp_path / "lines.txt")))
    assert not list((tmp_path / "data").glob("*.png"))
    assert made(tmp_path / "data", 2, SynthConfig(style=Style.TRDG)) == 2
    (tmp_path / "data" / "000000.png").unlink()
    (tmp_path / "data" / "000001.png").unlink()
    (tmp_path / "data" / "notes.txt").touch()
    with pytest.raises(UsageError, match="is not empty"):
        made(tmp_path / "data", 2, plain_synth)
