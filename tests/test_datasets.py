"""Labelled pictures are found in every format, and whatever is left out is named with its place."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crnnocr.datasets import Dataset, Sample, imagefolder
from crnnocr.datasets.detection import load_dataset, load_datasets
from crnnocr.datasets.issues import EMPTY_LABEL, MISSING_IMAGE, Severity, merged, summary
from crnnocr.datasets.lines import content_id, held_out
from crnnocr.datasets.lint.labels import describe_unknown_characters
from crnnocr.errors import DataError, ImageError
from crnnocr.text.charset import Charset

PICTURES = ("a.png", "b.png")

UNLABELED = "unlabelled-picture"
OUTSIDE = "picture-outside"
MISSING = "missing-picture"
EMPTY = "empty-label"


def put(folder: Path, pictures: Iterable[str], files: Mapping[str, str | bytes] | None = None) -> Path:
    """Fill a folder with pictures and files, and return it."""
    folder.mkdir(exist_ok=True)
    for name in pictures:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (2, 2)).save(folder / name)
    for name, content in (files or {}).items():
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def labels(dataset: Dataset) -> dict[str, str]:
    """The label of each picture, by its path in the folder."""
    folder = dataset.source if dataset.source.is_dir() else dataset.source.parent
    return {sample.path.relative_to(folder).as_posix(): sample.text for sample in dataset.samples}


def excluded(dataset: Dataset) -> list[tuple[str, str]]:
    """The code and the location of each sample that was left out."""
    return [
        (issue.code, location.detail)
        for issue in dataset.issues
        if issue.severity is Severity.EXCLUDED
        for location in issue.locations
    ]


def test_an_imagefolder_is_read(tmp_path: Path) -> None:
    rows = '{"file_name": "b.png", "text": "zwei"}\n{"file_name": "a.png", "text": "eins, \\"one\\"", "more": 1}\n'
    dataset = load_dataset(put(tmp_path, PICTURES, {"metadata.jsonl": rows}))
    assert list(labels(dataset).items()) == [("b.png", "zwei"), ("a.png", 'eins, "one"')]
    assert dataset.format == "imagefolder, JSON lines"
    assert not dataset.issues


def test_what_write_wrote_is_read_again(tmp_path: Path) -> None:
    put(tmp_path, PICTURES, {})
    rows: list[dict[str, object]] = [
        {"file_name": "a.png", "text": 'tab\t"quoted", ü 中', "page": 7},
        {"file_name": "b.png", "text": "x"},
    ]
    (tmp_path / "metadata.jsonl").write_text("".join(map(imagefolder.line, rows)), encoding="utf-8")
    assert list(imagefolder.records(tmp_path / "metadata.jsonl")) == [(1, rows[0]), (2, rows[1])]
    assert labels(load_dataset(tmp_path)) == {"a.png": 'tab\t"quoted", ü 中', "b.png": "x"}


def test_metadata_csv_is_read_even_beside_another_table(tmp_path: Path) -> None:
    folder = put(tmp_path, PICTURES, {"metadata.csv": "file_name,text\na.png,eins\nb.png,zwei\n", "notes.txt": "a,b\n"})
    assert labels(load_dataset(folder)) == {"a.png": "eins", "b.png": "zwei"}


@pytest.mark.parametrize("header", ["file_name,text", "filename,words", "image_path,plate_text", "File_Name, Text"])
def test_a_header_names_the_columns(header: str, tmp_path: Path) -> None:
    commas = load_dataset(put(tmp_path / "csv", PICTURES, {"labels.csv": f"{header}\na.png,eins\nb.png,zwei\n"}))
    tabs = load_dataset(
        put(tmp_path / "tsv", PICTURES, {"labels.tsv": f"{header}\na.png,eins\nb.png,zwei\n".replace(",", "\t")})
    )
    assert labels(commas) == labels(tabs) == {"a.png": "eins", "b.png": "zwei"}


def test_the_columns_may_stand_in_any_order_among_others(tmp_path: Path) -> None:
    folder = put(tmp_path, PICTURES, {"labels.csv": "split,text,width,filename\ntrain,eins,20,a.png\nval,zwei,30,b.png\n"})
    assert labels(load_dataset(folder)) == {"a.png": "eins", "b.png": "zwei"}


@pytest.mark.parametrize(("name", "separator"), [("labels.csv", ","), ("labels.tsv", "\t"), ("labels.txt", "\t")])
def test_a_table_without_a_header_is_a_path_and_a_text(name: str, separator: str, tmp_path: Path) -> None:
    dataset = load_dataset(put(tmp_path, PICTURES, {name: f"a.png{separator}eins\nb.png{separator}zwei\n"}))
    assert labels(dataset) == {"a.png": "eins", "b.png": "zwei"}
    assert dataset.format.endswith("without a header")


def test_a_tab_list_takes_quotes_and_commas_as_they_are(tmp_path: Path) -> None:
    folder = put(tmp_path, PICTURES, {"list.txt": 'a.png\t"eins", he said\nb.png\t6" nail, 2\n'})
    assert labels(load_dataset(folder)) == {"a.png": '"eins", he said', "b.png": '6" nail, 2'}


def test_a_comma_in_quotes_belongs_to_the_text(tmp_path: Path) -> None:
    folder = put(tmp_path, PICTURES, {"labels.csv": 'text,filename\n"eins, zwei",a.png\n"a ""b"" c",b.png\n'})
    assert labels(load_dataset(folder)) == {"a.png": "eins, zwei", "b.png": 'a "b" c'}


@pytest.mark.parametrize("header", ["", "filename,words\n"])
def test_a_comma_without_quotes_belongs_to_a_text_that_comes_last(header: str, tmp_path: Path) -> None:
    folder = put(tmp_path, PICTURES, {"labels.csv": f"{header}a.png,eins, zwei\nb.png,1,5\n"})
    assert labels(load_dataset(folder)) == {"a.png": "eins, zwei", "b.png": "1,5"}


@pytest.mark.parametrize("word", ["word", "text", "label", "path"])
def test_a_first_label_that_could_be_a_header_is_a_label(word: str, tmp_path: Path) -> None:
    folder = put(tmp_path, PICTURES, {"labels.csv": f"a.png,{word}\nb.png,zwei\n"})
    assert labels(load_dataset(folder)) == {"a.png": word, "b.png": "zwei"}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("metadata.jsonl", '{"file_name": "a.png", "text": "eins"}\n{"file_name": "b.png", "text": "zwei"}\n'),
        ("labels.csv", "file_name,text\na.png,eins\nb.png,zwei\n"),
        ("labels.csv", "a.png,eins\nb.png,zwei\n"),
        ("labels.tsv", "a.png\teins\nb.png\tzwei\n"),
    ],
)
def test_a_byte_order_mark_windows_line_ends_and_empty_lines_do_no_harm(name: str, content: str, tmp_path: Path) -> None:
    windows = b"\xef\xbb\xbf" + content.replace("\n", "\r\n\r\n").encode()
    assert labels(load_dataset(put(tmp_path, PICTURES, {name: windows}))) == {"a.png": "eins", "b.png": "zwei"}


def test_pictures_may_lie_in_folders_below(tmp_path: Path) -> None:
    folder = put(tmp_path, ["x/a.png", "x/y/b.png"], {"labels.csv": "x/a.png,eins\n./x/y/b.png,zwei\n"})
    assert labels(load_dataset(folder)) == {"x/a.png": "eins", "x/y/b.png": "zwei"}


def test_a_label_file_may_be_named_itself(tmp_path: Path) -> None:
    put(
        tmp_path,
        PICTURES,
        {"train.csv": "a.png,eins\n", "val.csv": "b.png,zwei\n", "more.jsonl": '{"file_name": "a.png", "text": "x"}'},
    )
    assert labels(load_dataset(tmp_path / "val.csv")) == {"b.png": "zwei"}
    assert labels(load_dataset(tmp_path / "more.jsonl")) == {"a.png": "x"}


def test_a_folder_with_several_tables_is_an_error_that_names_them(tmp_path: Path) -> None:
    put(tmp_path, PICTURES, {"train.csv": "a.png,eins\n", "val.tsv": "b.png\tzwei\n"})
    with pytest.raises(DataError, match=r"several label files \(train\.csv, val\.tsv\): name the one to read"):
        load_dataset(tmp_path)


def test_sidecars_are_read_in_natural_order(tmp_path: Path) -> None:
    put(tmp_path, ["x10.png", "x2.JPG", "x1.tif"], {"x1.gt.txt": "eins\n", "x2.gt.txt": "zwei\r\n", "x10.gt.txt": "zehn"})
    dataset = load_dataset(tmp_path)
    assert [sample.text for sample in dataset.samples] == ["eins", "zwei", "zehn"]
    assert not dataset.issues


def test_sidecars_may_lie_in_folders_below(tmp_path: Path) -> None:
    put(tmp_path, ["v1.0/x.png", "v1.1/x.png"])
    put(tmp_path / "v1.0", [], {"x.gt.txt": "eins"})
    put(tmp_path / "v1.1", [], {"x.gt.txt": "zwei"})
    assert labels(load_dataset(tmp_path)) == {"v1.0/x.png": "eins", "v1.1/x.png": "zwei"}


def test_ocropus_pictures_have_a_second_ending(tmp_path: Path) -> None:
    put(tmp_path, ["010001.bin.png", "010002.nrm.png"])
    (tmp_path / "010001.gt.txt").write_text("eins")
    (tmp_path / "010002.gt.txt").write_text("zwei")
    assert labels(load_dataset(tmp_path)) == {"010001.bin.png": "eins", "010002.nrm.png": "zwei"}


def test_a_dotted_name_has_a_sidecar_of_its_own(tmp_path: Path) -> None:
    put(tmp_path, ["p.1.2.png", "p.1.3.png"], {"p.1.2.gt.txt": "eins", "p.1.3.gt.txt": "zwei"})
    assert labels(load_dataset(tmp_path)) == {"p.1.2.png": "eins", "p.1.3.png": "zwei"}


def test_a_dotted_name_does_not_take_the_sidecar_of_another_picture(tmp_path: Path) -> None:
    put(tmp_path, ["scan.png", "scan.1.png"], {"scan.gt.txt": "eins"})
    dataset = load_dataset(tmp_path)
    assert labels(dataset) == {"scan.png": "eins"}
    assert excluded(dataset) == [(UNLABELED, "scan.1.png")]


def test_the_hidden_files_of_a_mac_beside_sidecars_do_no_harm(tmp_path: Path) -> None:
    put(tmp_path, ["x.png", "._x.png"], {"x.gt.txt": "eins"})
    assert labels(load_dataset(tmp_path)) == {"x.png": "eins"}


def test_labels_with_white_space_around_are_counted(tmp_path: Path) -> None:
    for name in ("a.png", "b.png", "c.png"):
        Image.new("L", (8, 8)).save(tmp_path / name)
    (tmp_path / "labels.csv").write_text("file_name,text\r\na.png, one\r\nb.png,two\r\nc.png,three  \r\n", encoding="utf-8")
    found = load_dataset(tmp_path)
    assert [sample.text for sample in found.samples] == ["one", "two", "three"]
    (issue,) = found.issues
    assert (issue.code, issue.severity) == ("space-at-end", Severity.NOTE)
    assert [location.detail for location in issue.locations] == ["labels.csv line 2: a.png", "labels.csv line 4: c.png"]


def test_labels_are_brought_to_nfc_without_white_space_around(tmp_path: Path) -> None:
    decomposed = unicodedata.normalize("NFD", "Grüße")
    assert len(decomposed) == len("Grüße") + 1
    table = load_dataset(put(tmp_path / "table", PICTURES, {"labels.tsv": f"a.png\t {decomposed} \nb.png\tx\n"}))
    sidecar = load_dataset(put(tmp_path / "sidecar", ["a.png"], {"a.gt.txt": f" {decomposed}\n"}))
    assert labels(table)["a.png"] == labels(sidecar)["a.png"] == "Grüße"


def test_what_a_table_cannot_use_is_left_out_with_its_place(tmp_path: Path) -> None:
    table = "file_name,text\na.png,eins\ngone.png,zwei\nb.png,  \n\n../x.png,drei\n"
    dataset = load_dataset(put(tmp_path, ["a.png", "b.png", "c.png"], {"labels.csv": table}))
    assert labels(dataset) == {"a.png": "eins"}
    assert excluded(dataset) == [
        (MISSING, "labels.csv line 3: gone.png"),
        (EMPTY, "labels.csv line 4: b.png"),
        (OUTSIDE, "labels.csv line 6: ../x.png"),  # line 5 is empty
        (UNLABELED, "c.png"),
    ]


def test_what_an_imagefolder_cannot_use_is_left_out_with_its_place(tmp_path: Path) -> None:
    rows = '{"file_name": "a.png", "text": "eins"}\n\n{"file_name": "gone.png", "text": "zwei"}\n'
    dataset = load_dataset(put(tmp_path, PICTURES, {"metadata.jsonl": rows}))
    assert labels(dataset) == {"a.png": "eins"}
    assert excluded(dataset) == [(MISSING, "metadata.jsonl line 3: gone.png"), (UNLABELED, "b.png")]


def test_what_sidecars_cannot_use_is_left_out_with_its_place(tmp_path: Path) -> None:
    put(tmp_path, ["a.png", "b.png", "below/c.png"], {"a.gt.txt": "eins", "b.gt.txt": " \n", "gone.gt.txt": "drei"})
    dataset = load_dataset(tmp_path)
    assert labels(dataset) == {"a.png": "eins"}
    assert excluded(dataset) == [
        (EMPTY, "b.gt.txt"),
        (UNLABELED, "below/c.png"),
        ("label-without-picture", "gone.gt.txt"),
    ]


def test_a_picture_without_a_label_is_named_in_folders_below_too(tmp_path: Path) -> None:
    dataset = load_dataset(put(tmp_path, ["images/a.png", "images/b.png"], {"labels.csv": "images/a.png,eins\n"}))
    assert excluded(dataset) == [(UNLABELED, "images/b.png")]


def test_a_picture_with_a_roundabout_path_has_its_label(tmp_path: Path) -> None:
    dataset = load_dataset(
        put(tmp_path, ["a.png", "images/b.png"], {"labels.csv": "images/../a.png,eins\nimages/b.png,zwei\n"})
    )
    assert [sample.text for sample in dataset.samples] == ["eins", "zwei"]
    assert not dataset.issues


def test_no_row_leads_out_of_the_folder(tmp_path: Path) -> None:
    outside = put(tmp_path / "outside", ["secret.png"]) / "secret.png"
    folder = put(tmp_path / "data", ["a.png"])
    (folder / "link.png").symlink_to(outside)
    (folder / "linked").symlink_to(outside.parent, target_is_directory=True)
    names = ["../outside/secret.png", str(outside), "link.png", "linked/secret.png"]
    put(folder, [], {"labels.tsv": "a.png\teins\n" + "".join(f"{name}\tx\n" for name in names)})
    dataset = load_dataset(folder)
    assert labels(dataset) == {"a.png": "eins"}
    assert excluded(dataset) == [(OUTSIDE, f"labels.tsv line {line}: {name}") for line, name in enumerate(names, start=2)]


def test_a_folder_that_is_itself_a_link_is_read(tmp_path: Path) -> None:
    put(tmp_path / "data", PICTURES, {"labels.csv": "a.png,eins\nb.png,zwei\n"})
    (tmp_path / "link").symlink_to(tmp_path / "data", target_is_directory=True)
    assert labels(load_dataset(tmp_path / "link")) == {"a.png": "eins", "b.png": "zwei"}


@pytest.mark.parametrize("name", ["x" * 300 + ".png", "a\0.png"])  # file systems take 255 bytes, and no NUL
def test_a_name_that_no_file_can_have_is_a_row_whose_picture_is_not_there(name: str, tmp_path: Path) -> None:
    dataset = load_dataset(put(tmp_path, ["b.png"], {"labels.tsv": f"{name}\teins\nb.png\tzwei\n"}))
    assert labels(dataset) == {"b.png": "zwei"}
    assert excluded(dataset) == [(MISSING, f"labels.tsv line 1: {name}")]


def test_a_link_to_itself_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "a.png").symlink_to(tmp_path / "a.png")
    dataset = load_dataset(put(tmp_path, ["b.png"], {"labels.csv": "a.png,eins\nb.png,zwei\n"}))
    assert labels(dataset) == {"b.png": "zwei"}
    assert excluded(dataset) == [(MISSING, "labels.csv line 1: a.png")]


def test_a_sample_reads_its_picture(tmp_path: Path) -> None:
    put(tmp_path, [], {"a.png": b"\x89PNG"})
    sample = Sample(tmp_path / "a.png", "eins")
    assert sample.read() == b"\x89PNG"
    assert sample.name == str(tmp_path / "a.png")


def test_a_picture_that_cannot_be_read_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"gone\.png: there is no such file"):
        Sample(tmp_path / "gone.png", "eins").read()
    with pytest.raises(ImageError, match=rf"{tmp_path}: Is a directory"):
        Sample(tmp_path, "eins").read()


SHARED = "picture-in-two-sources"


def test_several_sources_are_a_data_set_each_in_their_order(tmp_path: Path) -> None:
    first = put(tmp_path / "a", PICTURES, {"metadata.csv": "file_name,text\na.png,eins\n"})
    put(tmp_path / "b", ["a.png"], {"list.csv": "a.png,zwei\n", "other.csv": "a.png,drei\n"})
    third = put(tmp_path / "c", ["a.png"], {"a.gt.txt": "vier"})
    datasets = load_datasets([third, tmp_path / "b/list.csv", first])
    assert [list(labels(dataset).values()) for dataset in datasets] == [["vier"], ["zwei"], ["eins"]]
    assert [dataset.format.split()[0] for dataset in datasets] == ["sidecars", "comma-separated", "comma-separated,"]
    assert [excluded(dataset) for dataset in datasets] == [[], [], [(UNLABELED, "b.png")]]


def test_one_source_is_read_as_it_is(tmp_path: Path) -> None:
    folder = put(tmp_path, PICTURES, {"labels.csv": "a.png,eins\nb.png,zwei\na.png,eins\n"})
    assert load_datasets([folder]) == (load_dataset(folder),)
    assert load_datasets([]) == ()


def test_a_source_that_is_named_twice_is_counted_once(tmp_path: Path) -> None:
    folder = put(tmp_path, PICTURES, {"labels.csv": "a.png,eins\nb.png,zwei\n"})
    first, second = load_datasets([folder, folder / "labels.csv"])
    assert labels(first) == {"a.png": "eins", "b.png": "zwei"}
    assert not second.samples
    assert excluded(second) == [(SHARED, f"{folder / name}, in {folder}") for name in PICTURES]


def test_a_picture_that_two_sources_have_is_the_first_ones(tmp_path: Path) -> None:
    put(tmp_path, ["a.png", "b.png"], {"one.csv": "a.png,eins\n"})
    put(tmp_path / "c", ["c.png"])
    (tmp_path / "link.png").symlink_to(tmp_path / "a.png")
    (tmp_path / "linked").symlink_to(tmp_path / "c", target_is_directory=True)
    put(
        tmp_path,
        [],
        {"two.csv": "c/../link.png,eins\nb.png,zwei\nc/c.png,drei\n", "three.csv": "linked/c.png,drei\n./b.png,zwei\n"},
    )
    sources = [tmp_path / name for name in ("one.csv", "two.csv", "three.csv")]
    first, second, third = load_datasets(sources)
    assert list(labels(first).values()) == ["eins"]
    assert list(labels(second).values()) == ["zwei", "drei"]
    assert excluded(second) == [(SHARED, f"{tmp_path / 'c/../link.png'}, in {sources[0]}")]
    assert excluded(third) == [
        (SHARED, f"{tmp_path / 'linked/c.png'}, in {sources[1]}"),
        (SHARED, f"{tmp_path / 'b.png'}, in {sources[1]}"),
    ]


def test_of_two_labels_the_source_that_is_named_first_has_the_one_that_counts_and_it_is_said(tmp_path: Path) -> None:
    folder = put(tmp_path, PICTURES, {"labels.tsv": "a.png\teins\nb.png\tzwo\n", "doubts.csv": f"{LISTED}b.png,zwei,zwei\n"})
    first, second = load_datasets([folder / "doubts.csv", folder])
    assert (labels(first), labels(second)) == ({"b.png": "zwei"}, {"a.png": "eins"})
    assert excluded(second) == [("two-labels-in-two-sources", f"{folder / 'b.png'}, 'zwo' and 'zwei'")]
    _, corrected = load_datasets([folder, folder / "doubts.csv"])
    assert not corrected.samples
    assert [code for code, _ in excluded(corrected)] == ["two-labels-in-two-sources"]


LISTED = "file_name,text,reading\n"
"""The header of a list of doubtful labels of which its mender has saved some columns."""


def test_a_list_of_doubtful_labels_is_no_folders_labels_whatever_of_it_was_saved(tmp_path: Path) -> None:
    lists = {"doubts.csv": f"{LISTED}a.png,eins,ein5\n", "old.tsv": "file_name\ttext\tdoubt\na.png\teins\t1\n"}
    folder = put(tmp_path, PICTURES, {"labels.tsv": "a.png\treading\nb.png\tdoubt\n", **lists})
    assert labels(load_dataset(folder)) == {"a.png": "reading", "b.png": "doubt"}
    (folder / "labels.tsv").unlink()
    name = re.escape(str(folder / "doubts.csv"))
    with pytest.raises(DataError, match=rf"no labels in a known format: .*suspected label errors: name {name} to read"):
        load_dataset(folder)


def test_tasks_for_label_studio_are_said_to_be_some(tmp_path: Path) -> None:
    folder = put(tmp_path, ["a.png"], {"doubts.json": '[{"data": {"image": "a.png"}, "annotations": []}]'})
    with pytest.raises(DataError, match=r"doubts\.json holds tasks for Label Studio, and is no label file: \.csv,"):
        load_dataset(folder / "doubts.json")


def test_a_source_that_cannot_be_read_is_an_error_among_others_too(tmp_path: Path) -> None:
    folder = put(tmp_path / "a", ["a.png"], {"labels.csv": "a.png,eins\n"})
    with pytest.raises(DataError, match="gone: there is no such file or folder"):
        load_datasets([folder, tmp_path / "gone"])


def test_unknown_characters_are_named_with_their_files(tmp_path: Path) -> None:
    samples = [Sample(tmp_path / f"{n}.png", "aß") for n in range(5)] + [Sample(tmp_path / "db", "é", "image-000000001")]
    assert describe_unknown_characters(samples, Charset("a")) == [
        "'ß' (U+00DF LATIN SMALL LETTER SHARP S) in 5 files (0.png, 1.png, 2.png, …)",
        "'é' (U+00E9 LATIN SMALL LETTER E WITH ACUTE) in db:image-000000001",
    ]


def test_a_summary_counts_each_kind_of_issue_and_names_its_first_location() -> None:
    found = merged([EMPTY_LABEL.at("line 2"), MISSING_IMAGE.at("line 3"), EMPTY_LABEL.at("line 7")])
    assert [(issue.code, issue.count) for issue in found] == [(EMPTY, 2), (MISSING, 1)]
    assert summary(found) == [
        "2 left out: empty label (first: line 2)",
        "1 left out: row whose image is not there (first: line 3)",
    ]
    assert summary([]) == []


def test_a_path_that_is_not_there_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="gone: there is no such file or folder"):
        load_dataset(tmp_path / "gone")


def test_an_empty_folder_is_an_error_that_says_what_would_fit(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no images in a known format: expected an LMDB, metadata\.jsonl"):
        load_dataset(put(tmp_path / "empty", []))


def test_pictures_without_any_label_are_an_error_that_counts_them(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds 2 images and no labels in a known format: expected an LMDB, metadata\.jsonl"):
        load_dataset(put(tmp_path / "data", ["a.png", "below/b.jpg"]))


def test_a_file_of_an_unknown_format_is_an_error_that_says_what_would_fit(tmp_path: Path) -> None:
    put(tmp_path, PICTURES, {"labels.xml": "<labels/>"})
    with pytest.raises(DataError, match=r"labels\.xml is not a label file: expected an LMDB, metadata\.jsonl"):
        load_dataset(tmp_path / "labels.xml")


def test_a_data_set_without_a_usable_sample_is_an_error_that_says_why(tmp_path: Path) -> None:
    put(tmp_path, [], {"labels.csv": "file_name,text\na.png,eins\nb.png,zwei\n"})
    with pytest.raises(
        DataError, match=r"labels\.csv: no usable sample .*2 left out: .* not there \(first: labels\.csv line 2"
    ):
        load_dataset(tmp_path)


def test_a_table_of_a_header_alone_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"labels\.csv: no usable sample .*it holds no rows"):
        load_dataset(put(tmp_path, [], {"labels.csv": "file_name,text\n"}))


@pytest.mark.parametrize("content", ["", "\n", "\t\n", "a.png;eins\n"])
def test_a_file_that_is_no_table_is_an_error_that_names_it(content: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"labels\.txt"):
        load_dataset(put(tmp_path, PICTURES, {"labels.txt": content}))


@pytest.mark.parametrize("name", ["metadata.jsonl", "labels.csv", "a.gt.txt"])
def test_a_label_file_that_is_not_utf_8_is_an_error_that_names_it(name: str, tmp_path: Path) -> None:
    put(tmp_path, ["a.png"])
    (tmp_path / name).write_bytes("a.png,Grüße".encode("latin-1"))
    with pytest.raises(DataError, match=rf"{name} is not UTF-8 \(byte 8\)"):  # "a.png,Gr" is 8 bytes long
        load_dataset(tmp_path)


@pytest.mark.parametrize(
    "row",
    [
        '{"file_name": "b.png", "text": "zwei"',
        '{"file_name": "b.png"}',
        '{"text": "zwei"}',
        '["b.png", "zwei"]',
        '"b.png"',
        "null",
        '{"file_name": "b.png", "text": 2}',
        '{"file_name": null, "text": "zwei"}',
    ],
)
def test_a_broken_json_line_is_an_error_that_names_it(row: str, tmp_path: Path) -> None:
    rows = '{"file_name": "a.png", "text": "eins"}\n\n' + row + "\n"
    with pytest.raises(DataError, match=r"metadata\.jsonl line 3\b"):
        load_dataset(put(tmp_path, PICTURES, {"metadata.jsonl": rows}))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("file_name,text\na.png,eins\nb.png\n", "line 3 has 1 columns where the header has 2"),
        ("text,file_name\neins,a.png\nzwei,drei,b.png\n", "line 3 has 3 columns where the header has 2"),
        ("a.png,eins\nb.png\n", "line 2 is not an image's path and its text: 'b.png'"),
        ('a.png,eins\nb.png,"zwei" drei\n', "line 2: "),
        ('a.png,eins\nb.png,"zwei\n', "line 2: "),
        ("file_name,width\na.png,20\n", "file_name, width lacks a column for the text"),
        ("text,width\neins,20\n", "text, width lacks a column for the image"),
    ],
)
def test_a_table_with_wrong_columns_is_an_error_that_names_the_line(table: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"labels\.csv.*{message}"):
        load_dataset(put(tmp_path, PICTURES, {"labels.csv": table}))


def test_a_content_id_is_the_top_of_blake2b_for_good() -> None:
    assert content_id(b"crnnocr") == 0x8E43CCF54C78FF70 >> 1  # printf crnnocr | b2sum -l 64


def random_ids(count: int) -> list[int]:
    return [int(number) for number in np.random.default_rng(0).integers(2**63, size=count, dtype=np.uint64)]


def test_about_the_share_asked_for_is_held_out() -> None:
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
def test_of_two_pictures_one_is_held_out(share: float) -> None:
    for low, high in ((1, 2), (1, 2**63 - 1), (2**63 - 2, 2**63 - 1)):
        assert held_out([high, low], share) == [False, True]


@pytest.mark.parametrize("ids", [[], [5], [5, 5, 5]])
def test_a_single_picture_is_never_held_out(ids: list[int]) -> None:
    assert not any(held_out(ids, 0.5))


def test_nothing_is_held_out_for_a_share_of_none() -> None:
    assert not any(held_out(random_ids(100), 0.0))


def test_a_tiny_set_with_the_lowest_picture_twice_holds_out_both() -> None:
    assert held_out([2**63 - 2, 2**63 - 1, 2**63 - 2], 0.1) == [True, False, True]
