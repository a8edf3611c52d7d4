"""Data sets of Hugging Face are read from parquet and arrow files, with pyarrow if it is installed."""

from __future__ import annotations

import io
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from label_files import excluded
from PIL import Image

from crnnocr.config import LabelConfig
from crnnocr.datasets import hugging_face
from crnnocr.datasets.detection import load_dataset
from crnnocr.errors import DataError, ImageError

TEXTS = ["eins", "zwei", "drei", "vier", "fünf"]


def png(width: int) -> bytes:
    file = io.BytesIO()
    Image.new("L", (width, 8)).save(file, "PNG")
    return file.getvalue()


def table(texts: list[str | None] = [*TEXTS], **more: Any) -> Any:  # noqa: B006 (not changed)
    pa = pytest.importorskip("pyarrow")
    images = [{"bytes": png(10 + i), "path": f"{i}.png"} for i in range(len(texts))]
    return pa.table({"image": images, "text": texts, **more})


def write_parquet(path: Path, values: Any) -> Path:
    import pyarrow.parquet as pq

    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(values, path, row_group_size=2)
    return path


def write_arrow(path: Path, values: Any, *, stream: bool = True) -> Path:
    import pyarrow as pa

    path.parent.mkdir(parents=True, exist_ok=True)
    with pa.OSFile(str(path), "wb") as sink, (pa.ipc.new_stream if stream else pa.ipc.new_file)(sink, values.schema) as writer:
        writer.write_table(values)
    return path


def check(folder: Path, texts: list[str] = TEXTS, **config: Any) -> None:
    dataset = load_dataset(folder, LabelConfig(**config))
    assert [sample.text for sample in dataset.samples] == texts
    with ThreadPoolExecutor(4) as threads:
        data = list(threads.map(lambda sample: sample.read(), dataset.samples))
    assert data == [png(10 + i) for i in range(len(texts))]
    assert dataset.format.startswith("Hugging Face")


@pytest.mark.parametrize("name", ["train-00000-of-00001.parquet", "data/train-00000-of-00001.parquet", "0000.parquet"])
def test_parquet_of_the_hub(name: str, tmp_path: Path) -> None:
    file = write_parquet(tmp_path / name, table())
    check(tmp_path)
    check(file)


@pytest.mark.parametrize("stream", [True, False])
def test_arrow_that_was_saved_to_disk(stream: bool, tmp_path: Path) -> None:
    file = write_arrow(tmp_path / "data-00000-of-00001.arrow", table(), stream=stream)
    (tmp_path / "dataset_info.json").write_text('{"features": {"image": {"_type": "Image"}}}')
    (tmp_path / "state.json").write_text('{"_data_files": [{"filename": "data-00000-of-00001.arrow"}]}')
    check(tmp_path)
    check(file)


def test_the_parts_of_a_data_set_are_read_together(tmp_path: Path) -> None:
    for part in range(2):
        write_parquet(tmp_path / f"train-0000{part}-of-00002.parquet", table())
    dataset = load_dataset(tmp_path)
    assert [sample.text for sample in dataset.samples] == TEXTS * 2
    assert len({sample.name for sample in dataset.samples}) == 10


def test_splits_are_meant_to_be_kept_apart(tmp_path: Path) -> None:
    for split in ("test", "train"):
        write_parquet(tmp_path / f"data/{split}-00000-of-00001.parquet", table())
    with pytest.raises(DataError, match=r"holds the splits test, train \(data/test-.*name the files to read"):
        load_dataset(tmp_path)


def test_bytes_alone_are_images_and_the_text_is_chosen_among_columns(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    values = pa.table({"id": ["x"] * 5, "image": [png(10 + i) for i in range(5)], "label": ["1"] * 5, "transcription": TEXTS})
    write_parquet(tmp_path / "a.parquet", values)
    check(tmp_path)
    check(tmp_path, ["1"] * 5, text_column="label")


def test_a_row_without_a_text_or_an_image_is_left_out(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    values = pa.table({"image": [png(10), None, png(12)], "text": ["eins", "zwei", None]})
    dataset = load_dataset(write_parquet(tmp_path / "a.parquet", values))
    assert [sample.text for sample in dataset.samples] == ["eins"]
    assert [code for code, _ in excluded(dataset)] == ["missing-picture", "empty-label"]


def test_images_are_not_read_to_see_that_they_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write_parquet(tmp_path / "a.parquet", table())
    read: list[str] = []
    group = hugging_face._File.group

    def spied(self: hugging_face._File, number: int, columns: list[str]) -> Any:
        read.extend(columns)
        return group(self, number, columns)

    monkeypatch.setattr(hugging_face._File, "group", spied)
    assert len(load_dataset(file).samples) == len(TEXTS)
    assert set(read) == {"text", "image.path"}


def test_an_image_of_which_only_the_path_is_there_cannot_be_read(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    values = pa.table(
        {"image": [{"bytes": None, "path": "/home/x.png"}, {"bytes": png(10), "path": "y.png"}], "text": TEXTS[:2]}
    )
    for file in (write_parquet(tmp_path / "a.parquet", values), write_arrow(tmp_path / "a.arrow", values)):
        first, second = load_dataset(file).samples
        assert second.read() == png(10)
        with pytest.raises(ImageError, match="there is no image in it"):
            first.read()


def test_a_file_without_images_is_an_error_that_lists_its_columns(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    with pytest.raises(DataError, match="has no column of images, only a, text"):
        load_dataset(write_parquet(tmp_path / "a.parquet", pa.table({"a": [1], "text": ["x"]})))


@pytest.mark.parametrize("name", ["a.parquet", "data-00000-of-00001.arrow"])
@pytest.mark.parametrize("content", [b"", b"PAR1", b"x" * 1000])
def test_a_broken_file_is_an_error_that_names_it(name: str, content: bytes, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match="is not a readable parquet or arrow file"):
        load_dataset(tmp_path / name)


def test_an_entry_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    file = write_parquet(tmp_path / "a.parquet", table())
    for entry in ("9/image", "0/text"):
        with pytest.raises(ImageError):
            hugging_face.read_entry(file, entry)


def test_without_pyarrow_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match=r"pip install 'crnnocr\[parquet\]'"):
        load_dataset(tmp_path)


def test_categories_are_texts_and_numbers_are_if_their_column_is_named(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    values = table().drop_columns(["text"])
    values = values.append_column("label", pa.array(TEXTS).dictionary_encode()).append_column("reading", pa.array(range(5)))
    file = write_parquet(tmp_path / "a.parquet", values)
    check(file)
    check(file, list("01234"), text_column="reading")
