"""Data sets in an LMDB, as MJSynth's and as clovaai's create_lmdb_dataset.py writes them."""

from __future__ import annotations

import io
import multiprocessing
import os
import pickle
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import lmdb
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from crnnocr.config import DecodeConfig, ModelConfig
from crnnocr.datasets import Dataset, Sample
from crnnocr.datasets.detection import load_dataset, load_datasets
from crnnocr.datasets.lines import content_id
from crnnocr.errors import DataError, ImageError
from crnnocr.evaluation.outcomes import predict_samples, score_samples, unseen
from crnnocr.inference.engines import BatchLimits
from crnnocr.inference.recognizer import Recognizer
from crnnocr.model.card import Card
from crnnocr.text.charset import Charset


def png(width: int = 20, gray: int = 0) -> bytes:
    """The bytes of a PNG file."""
    file = io.BytesIO()
    Image.new("L", (width, 16), gray).save(file, "PNG")
    return file.getvalue()


def write(folder: Path, entries: Mapping[str, bytes]) -> Path:
    with lmdb.open(str(folder), map_size=2**24) as environment, environment.begin(write=True) as transaction:
        for key, value in entries.items():
            transaction.put(key.encode(), value)
    return folder


def database(folder: Path, texts: Sequence[str], **more: bytes) -> Path:
    entries = {"num-samples": str(len(texts)).encode()}
    for number, text in enumerate(texts, start=1):
        entries[f"image-{number:09d}"] = png(10 + number)
        entries[f"label-{number:09d}"] = text.encode()
    return write(folder, entries | {key.replace("_", "-"): value for key, value in more.items()})


def excluded(dataset: Dataset) -> list[tuple[str, str]]:
    return [(issue.code, location.detail) for issue in dataset.issues for location in issue.locations]


def test_an_lmdb_is_read_in_the_order_of_its_numbers(tmp_path: Path) -> None:
    texts = [f"Grüße {number}" for number in range(1, 12)]
    dataset = load_dataset(database(tmp_path / "db", texts))
    assert [sample.text for sample in dataset.samples] == texts
    assert dataset.samples[10].entry == "image-000000011"
    assert dataset.samples[10].name == f"{tmp_path}/db:image-000000011"
    assert dataset.samples[10].read() == png(21)
    assert dataset.format == "LMDB"
    assert not dataset.issues


def test_the_file_of_an_lmdb_may_be_named(tmp_path: Path) -> None:
    assert load_dataset(database(tmp_path / "db", ["eins"]) / "data.mdb") == load_dataset(tmp_path / "db")


def test_only_the_file_with_the_data_is_needed_and_nothing_is_written(tmp_path: Path) -> None:
    folder = database(tmp_path / "db", ["eins"])
    (folder / "lock.mdb").unlink()
    (folder / "data.mdb").chmod(0o444)
    before = (folder / "data.mdb").read_bytes()
    load_dataset(folder).samples[0].read()
    assert [path.name for path in folder.iterdir()] == ["data.mdb"]
    assert (folder / "data.mdb").read_bytes() == before


def test_labels_are_brought_to_nfc_without_white_space_around(tmp_path: Path) -> None:
    assert [sample.text for sample in load_dataset(database(tmp_path / "db", [" Gru\u0308n\n"])).samples] == ["Grün"]


def test_what_an_lmdb_lacks_is_left_out_with_its_location(tmp_path: Path) -> None:
    entries = {
        "num-samples": b"5",
        "image-000000001": png(),
        "label-000000001": b"eins",
        "image-000000002": png(),
        "label-000000003": b"drei",
        "image-000000004": png(),
        "label-000000004": b" \n",
        "image-000000005": png(),
        "label-000000005": "fünf".encode("latin-1"),
    }
    folder = write(tmp_path / "db", entries)
    assert [sample.text for sample in load_dataset(folder).samples] == ["eins"]
    assert excluded(load_dataset(folder)) == [
        ("unlabelled-picture", f"{folder}:image-000000002"),
        ("missing-picture", f"{folder}:image-000000003"),
        ("empty-label", f"{folder}:image-000000004"),
        ("broken-label", f"{folder}:image-000000005"),
    ]


def test_entries_after_the_last_number_are_not_read(tmp_path: Path) -> None:
    assert len(load_dataset(database(tmp_path / "db", ["eins", "zwei"], num_samples=b"1")).samples) == 1


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({}, "db is an LMDB of another kind: expected the keys num-samples, image-000000001, label-000000001 and so on"),
        ({"num-samples": b"many"}, "db is an LMDB of another kind"),
        ({"num-samples": pickle.dumps(1)}, "db is an LMDB of another kind"),
        ({"num-samples": b"-1"}, "db is an LMDB of another kind"),
        ({"num-samples": b"0"}, "db: no usable sample .*it holds no rows"),
        ({"num-samples": b"1"}, r"db: no usable sample .*1 excluded: entry without a label \(first: .*db:image-000000001\)"),
        ({"num-samples": b"1" * 9999}, "db is an LMDB of another kind"),
        ({"num-samples": b"900000000"}, "db: num-samples is 900000000, but there are 1 entries in all: make or copy it again"),
    ],
)
def test_an_lmdb_of_another_kind_is_an_error_that_says_what_is_expected(
    entries: dict[str, bytes], message: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=message):
        load_dataset(write(tmp_path / "db", entries))


@pytest.mark.parametrize("content", [b"", b"no database " * 1000])
def test_a_file_that_is_no_lmdb_is_an_error_that_says_so(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "data.mdb").write_bytes(content)
    with pytest.raises(DataError, match=r"is not a readable LMDB \(.*\): make or copy it again"):
        load_dataset(tmp_path)


def test_an_lmdb_that_is_cut_short_is_an_error_and_not_the_end_of_the_process(tmp_path: Path) -> None:
    folder = database(tmp_path / "db", ["eins"] * 200)
    size = (folder / "data.mdb").stat().st_size
    os.truncate(folder / "data.mdb", size - 4096)
    with pytest.raises(DataError, match=rf"data\.mdb is cut short, {size - 4096} of {size} bytes: copy it again"):
        load_dataset(folder)


def test_without_the_package_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = database(tmp_path / "db", ["eins"])
    monkeypatch.setitem(sys.modules, "lmdb", None)
    with pytest.raises(DataError, match=r"db is an LMDB, .*: pip install 'crnnocr\[lmdb\]'"):
        load_dataset(folder)
    with pytest.raises(ImageError, match=r"db:image-000000001: .*pip install 'crnnocr\[lmdb\]'"):
        Sample(folder, "eins", "image-000000001").read()


def test_an_entry_that_is_not_there_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="db:image-000000002: there is no such entry"):
        Sample(database(tmp_path / "db", ["eins"]), "zwei", "image-000000002").read()
    with pytest.raises(ImageError, match=r"gone:image-000000001: .*gone is not a readable LMDB"):
        Sample(tmp_path / "gone", "eins", "image-000000001").read()


def test_many_threads_read_at_once_from_the_first_read_on(tmp_path: Path) -> None:
    folder = database(tmp_path / "db", ["x"] * 200)
    samples = [Sample(folder, "x", f"image-{number:09d}") for number in range(1, 201)]
    with ThreadPoolExecutor(16) as threads:
        read = list(threads.map(Sample.read, samples * 5))
    assert read == [png(10 + number) for number in range(1, 201)] * 5


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="the system cannot fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_another_process_reads_what_this_one_has_opened(method: str, tmp_path: Path) -> None:
    sample = load_dataset(database(tmp_path / "db", ["eins"])).samples[0]
    with multiprocessing.get_context(method).Pool(1) as pool:
        assert pool.apply(sample.read) == sample.read() == png(11)


def test_one_lmdb_by_two_paths_is_opened_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = database(tmp_path / "db", ["eins"])
    (tmp_path / "link").symlink_to(folder, target_is_directory=True)
    monkeypatch.chdir(tmp_path)
    assert [load_dataset(path).samples[0].read() for path in (folder, tmp_path / "link", Path("db"))] == [png(11)] * 3


def test_one_relative_path_in_two_folders_is_two_databases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("eins", "zwei"):
        (tmp_path / name).mkdir()
        database(tmp_path / name / "db", [name])
        monkeypatch.chdir(tmp_path / name)
        assert load_dataset(Path("db")).samples[0].text == name


def test_several_sources_do_not_count_an_entry_twice(tmp_path: Path) -> None:
    first, second = database(tmp_path / "one", ["eins", "zwei"]), database(tmp_path / "two", ["drei"])
    (tmp_path / "link").symlink_to(first, target_is_directory=True)
    datasets = load_datasets([first, second, tmp_path / "link"])
    assert [len(dataset.samples) for dataset in datasets] == [2, 1, 0]
    assert [name for _, name in excluded(datasets[2])] == [
        f"{tmp_path}/link:image-00000000{number}, in {first}" for number in (1, 2)
    ]


def test_databases_in_folders_below_are_named(tmp_path: Path) -> None:
    for name in ("MJ/MJ_train", "MJ/MJ_valid", "ST"):
        (tmp_path / name).mkdir(parents=True)
        database(tmp_path / name, ["x"])
    with pytest.raises(DataError, match=r"in folders below \(MJ/MJ_train, MJ/MJ_valid, ST\): name the ones to read"):
        load_dataset(tmp_path)


class WidthReader:
    """Stands in for a network: reads as many letters `a` as the line has tens of pixels."""

    description = "widths"
    limits = BatchLimits(lines=16, columns=8192)

    def log_probs(
        self, images: NDArray[np.float32], widths: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        frames = widths // 10 * 2
        log_probs = np.full((len(images), int(frames.max()), 2), -9, np.float32)
        log_probs[:, ::2, 1] = log_probs[:, 1::2, 0] = -0.001
        return log_probs, frames


@pytest.fixture
def recognizer(tiny_config: ModelConfig) -> Recognizer:
    return Recognizer(Card("widths", Charset("a"), tiny_config), WidthReader())


def test_a_model_reads_an_lmdb_as_it_reads_files(tmp_path: Path, recognizer: Recognizer) -> None:
    widths = [10 * (1 + number % 7) for number in range(150)]
    entries = {"num-samples": b"150"}
    files = []
    for number, width in enumerate(widths, start=1):
        entries[f"image-{number:09d}"] = png(width)
        entries[f"label-{number:09d}"] = b"a" * (width // 10)
        (tmp_path / f"{number}.png").write_bytes(png(width))
        files.append(Sample(tmp_path / f"{number}.png", "a" * (width // 10)))
    samples = load_dataset(write(tmp_path / "db", entries)).samples
    in_lmdb = list(predict_samples(recognizer, samples, DecodeConfig()))
    assert [prediction for _, prediction in in_lmdb] == [p for _, p in predict_samples(recognizer, files, DecodeConfig())]
    assert [sample for sample, _ in in_lmdb] == list(samples)
    assert score_samples(in_lmdb).scores.n == 150
    assert all(prediction.text == sample.text for sample, prediction in in_lmdb)


def test_an_image_that_cannot_be_read_keeps_its_position_and_is_named(tmp_path: Path, recognizer: Recognizer) -> None:
    folder = database(tmp_path / "db", ["a"] * 130, image_000000001=b"no image", image_000000070=b"")
    samples = [*load_dataset(folder).samples, Sample(tmp_path / "gone.png", "a")]
    readings = list(predict_samples(recognizer, samples, DecodeConfig()))
    assert [index for index, (_, prediction) in enumerate(readings) if prediction.error] == [0, 69, 130]
    assert score_samples(readings).unreadable == (
        f"{folder}:image-000000001: not a readable image (its format is unknown)",
        f"{folder}:image-000000070: the file is empty",
        f"{tmp_path / 'gone.png'}: there is no such file",
    )


def test_what_a_model_was_trained_on_is_known_in_an_lmdb(tmp_path: Path, recognizer: Recognizer) -> None:
    samples = load_dataset(database(tmp_path / "db", ["eins", "zwei", "drei"])).samples
    recognizer.trained_on = frozenset({content_id(png(12))})
    assert [sample.text for sample in unseen([*samples, Sample(tmp_path / "gone.png", "x")], recognizer)] == [
        "eins",
        "drei",
        "x",
    ]
