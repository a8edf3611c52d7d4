"""Labeled images are loaded from every format. Files of other tools are as their documentation or code has them."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from label_files import EMPTY, IMAGES, MISSING, OUTSIDE, UNLABELED, excluded, labels, put
from PIL import Image

from crnnocr.config import EmptyLabels, LabelConfig
from crnnocr.datasets import imagefolder, json_file
from crnnocr.datasets.detection import load_dataset
from crnnocr.datasets.issues import Severity
from crnnocr.errors import DataError


def test_an_imagefolder_is_read(tmp_path: Path) -> None:
    rows = '{"file_name": "b.png", "text": "zwei"}\n{"file_name": "a.png", "text": "eins, \\"one\\"", "more": 1}\n'
    dataset = load_dataset(put(tmp_path, IMAGES, {"metadata.jsonl": rows}))
    assert list(labels(dataset).items()) == [("b.png", "zwei"), ("a.png", 'eins, "one"')]
    assert dataset.format == "imagefolder, JSON lines"
    assert not dataset.issues


def test_written_records_are_loaded_again(tmp_path: Path) -> None:
    put(tmp_path, IMAGES, {})
    rows: list[dict[str, object]] = [
        {"file_name": "a.png", "text": 'tab\t"quoted", ü 中', "page": 7},
        {"file_name": "b.png", "text": "x"},
    ]
    (tmp_path / "metadata.jsonl").write_text("".join(map(imagefolder.line, rows)), encoding="utf-8")
    assert list(imagefolder.records(tmp_path / "metadata.jsonl")) == [(1, rows[0]), (2, rows[1])]
    assert labels(load_dataset(tmp_path)) == {"a.png": 'tab "quoted", ü 中', "b.png": "x"}


@pytest.mark.parametrize("header", ["file_name,text", "filename,words", "image_path,plate_text", "File_Name, Text"])
def test_a_header_names_the_columns(header: str, tmp_path: Path) -> None:
    commas = load_dataset(put(tmp_path / "csv", IMAGES, {"labels.csv": f"{header}\na.png,eins\nb.png,zwei\n"}))
    tabs = load_dataset(put(tmp_path / "tsv", IMAGES, {"labels.tsv": f"{header}\na.png,eins\nb.png,zwei\n".replace(",", "\t")}))
    assert labels(commas) == labels(tabs) == {"a.png": "eins", "b.png": "zwei"}


def test_the_columns_may_stand_in_any_order_among_others(tmp_path: Path) -> None:
    folder = put(tmp_path, IMAGES, {"labels.csv": "split,text,width,filename\ntrain,eins,20,a.png\nval,zwei,30,b.png\n"})
    assert labels(load_dataset(folder)) == {"a.png": "eins", "b.png": "zwei"}


@pytest.mark.parametrize(("name", "separator"), [("labels.csv", ","), ("labels.tsv", "\t"), ("labels.txt", "\t")])
def test_a_table_without_a_header_is_a_path_and_a_text(name: str, separator: str, tmp_path: Path) -> None:
    dataset = load_dataset(put(tmp_path, IMAGES, {name: f"a.png{separator}eins\nb.png{separator}zwei\n"}))
    assert labels(dataset) == {"a.png": "eins", "b.png": "zwei"}
    assert dataset.format.endswith("without a header")


def test_a_tab_list_takes_quotes_and_commas_as_they_are(tmp_path: Path) -> None:
    folder = put(tmp_path, IMAGES, {"list.txt": 'a.png\t"eins", he said\nb.png\t6" nail, 2\n'})
    assert labels(load_dataset(folder)) == {"a.png": '"eins", he said', "b.png": '6" nail, 2'}


def test_a_comma_in_quotes_belongs_to_the_text(tmp_path: Path) -> None:
    folder = put(tmp_path, IMAGES, {"labels.csv": 'text,filename\n"eins, zwei",a.png\n"a ""b"" c",b.png\n'})
    assert labels(load_dataset(folder)) == {"a.png": "eins, zwei", "b.png": 'a "b" c'}


@pytest.mark.parametrize("header", ["", "filename,words\n"])
def test_a_comma_without_quotes_belongs_to_a_text_that_comes_last(header: str, tmp_path: Path) -> None:
    folder = put(tmp_path, IMAGES, {"labels.csv": f"{header}a.png,eins, zwei\nb.png,1,5\n"})
    assert labels(load_dataset(folder)) == {"a.png": "eins, zwei", "b.png": "1,5"}


@pytest.mark.parametrize("word", ["word", "text", "label", "path"])
def test_a_first_label_that_could_be_a_header_is_a_label(word: str, tmp_path: Path) -> None:
    folder = put(tmp_path, IMAGES, {"labels.csv": f"a.png,{word}\nb.png,zwei\n"})
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
    assert labels(load_dataset(put(tmp_path, IMAGES, {name: windows}))) == {"a.png": "eins", "b.png": "zwei"}


def test_images_may_lie_in_folders_below(tmp_path: Path) -> None:
    folder = put(tmp_path, ["x/a.png", "x/y/b.png"], {"labels.csv": "x/a.png,eins\n./x/y/b.png,zwei\n"})
    assert labels(load_dataset(folder)) == {"x/a.png": "eins", "x/y/b.png": "zwei"}


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


def test_ocropus_images_have_a_second_ending(tmp_path: Path) -> None:
    put(tmp_path, ["010001.bin.png", "010002.nrm.png"])
    (tmp_path / "010001.gt.txt").write_text("eins")
    (tmp_path / "010002.gt.txt").write_text("zwei")
    assert labels(load_dataset(tmp_path)) == {"010001.bin.png": "eins", "010002.nrm.png": "zwei"}


def test_a_dotted_name_has_a_sidecar_of_its_own(tmp_path: Path) -> None:
    put(tmp_path, ["p.1.2.png", "p.1.3.png"], {"p.1.2.gt.txt": "eins", "p.1.3.gt.txt": "zwei"})
    assert labels(load_dataset(tmp_path)) == {"p.1.2.png": "eins", "p.1.3.png": "zwei"}


def test_a_dotted_name_does_not_take_the_sidecar_of_another_image(tmp_path: Path) -> None:
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


def test_labels_are_single_spaced_and_counted(tmp_path: Path) -> None:
    rows = {
        "a.png": "Total      49.50",
        "b.png": "10\u00a0000 km",
        "c.png": "1 \u00a0 2",
        "d.png": "東京\u3000\u3000都",
        "e.png": "x\ty",
    }
    text = "".join(imagefolder.line({"file_name": name, "text": text}) for name, text in rows.items())
    single = {"a.png": "Total 49.50", "b.png": "10\u00a0000 km", "c.png": "1 2", "d.png": "東京\u3000都", "e.png": "x y"}
    sidecars = {name.replace(".png", ".gt.txt"): f"{text}\n" for name, text in rows.items()}
    for files in ({"metadata.jsonl": text}, sidecars):
        found = load_dataset(put(tmp_path / str(len(files)), rows, files))
        assert labels(found) == single
        assert [(issue.code, issue.severity, issue.count) for issue in found.issues] == [("double-space", Severity.NOTE, 4)]


def test_labels_are_brought_to_nfc_without_white_space_around(tmp_path: Path) -> None:
    decomposed = unicodedata.normalize("NFD", "Grüße")
    assert len(decomposed) == len("Grüße") + 1
    table = load_dataset(put(tmp_path / "table", IMAGES, {"labels.tsv": f"a.png\t {decomposed} \nb.png\tx\n"}))
    sidecar = load_dataset(put(tmp_path / "sidecar", ["a.png"], {"a.gt.txt": f" {decomposed}\n"}))
    assert labels(table)["a.png"] == labels(sidecar)["a.png"] == "Grüße"


def test_what_a_table_cannot_use_is_left_out_with_its_location(tmp_path: Path) -> None:
    table = "file_name,text\na.png,eins\ngone.png,zwei\nb.png,  \n\n../x.png,drei\n"
    dataset = load_dataset(put(tmp_path, ["a.png", "b.png", "c.png"], {"labels.csv": table}))
    assert labels(dataset) == {"a.png": "eins"}
    assert excluded(dataset) == [
        (MISSING, "labels.csv line 3: gone.png"),
        (EMPTY, "labels.csv line 4: b.png"),
        (OUTSIDE, "labels.csv line 6: ../x.png"),  # line 5 is empty
        (UNLABELED, "c.png"),
    ]


def test_what_an_imagefolder_cannot_use_is_left_out_with_its_location(tmp_path: Path) -> None:
    rows = '{"file_name": "a.png", "text": "eins"}\n\n{"file_name": "gone.png", "text": "zwei"}\n'
    dataset = load_dataset(put(tmp_path, IMAGES, {"metadata.jsonl": rows}))
    assert labels(dataset) == {"a.png": "eins"}
    assert excluded(dataset) == [(MISSING, "metadata.jsonl line 3: gone.png"), (UNLABELED, "b.png")]


def test_what_sidecars_cannot_use_is_left_out_with_its_location(tmp_path: Path) -> None:
    put(tmp_path, ["a.png", "b.png", "below/c.png"], {"a.gt.txt": "eins", "b.gt.txt": " \n", "gone.gt.txt": "drei"})
    dataset = load_dataset(tmp_path)
    assert labels(dataset) == {"a.png": "eins"}
    assert excluded(dataset) == [
        (EMPTY, "b.gt.txt"),
        (UNLABELED, "below/c.png"),
        ("label-without-picture", "gone.gt.txt"),
    ]


def test_an_image_with_a_roundabout_path_has_its_label(tmp_path: Path) -> None:
    dataset = load_dataset(
        put(tmp_path, ["a.png", "images/b.png"], {"labels.csv": "images/../a.png,eins\nimages/b.png,zwei\n"})
    )
    assert [sample.text for sample in dataset.samples] == ["eins", "zwei"]
    assert not dataset.issues


def test_no_row_leads_out_of_the_folder(tmp_path: Path) -> None:
    outside = put(tmp_path / "outside", ["secret.png"]) / "secret.png"
    folder = put(tmp_path / "data", ["a.png"])
    (folder / "linked").symlink_to(outside.parent, target_is_directory=True)
    names = ["../outside/secret.png", str(outside), "linked/../outside/secret.png", "..\\outside\\secret.png", outside.as_uri()]
    put(folder, [], {"labels.tsv": "a.png\teins\n" + "".join(f"{name}\tx\n" for name in names)})
    dataset = load_dataset(folder)
    assert labels(dataset) == {"a.png": "eins"}
    assert [code for code, _ in excluded(dataset)][:2] == [OUTSIDE, OUTSIDE]
    assert {sample.path for sample in dataset.samples} == {folder / "a.png"}


@pytest.mark.parametrize("name", ["x" * 300 + ".png", "a\0.png"])  # file systems take 255 bytes, and no NUL
def test_a_name_that_no_file_can_have_is_a_row_whose_image_is_not_there(name: str, tmp_path: Path) -> None:
    dataset = load_dataset(put(tmp_path, ["b.png"], {"labels.tsv": f"{name}\teins\nb.png\tzwei\n"}))
    assert labels(dataset) == {"b.png": "zwei"}
    assert excluded(dataset) == [(MISSING, f"labels.tsv line 1: {name}")]


def test_a_link_to_itself_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "a.png").symlink_to(tmp_path / "a.png")
    dataset = load_dataset(put(tmp_path, ["b.png"], {"labels.csv": "a.png,eins\nb.png,zwei\n"}))
    assert labels(dataset) == {"b.png": "zwei"}
    assert excluded(dataset) == [(MISSING, "labels.csv line 1: a.png")]


def test_a_table_of_a_header_alone_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"labels\.csv: no usable sample .*it holds no rows"):
        load_dataset(put(tmp_path, [], {"labels.csv": "file_name,text\n"}))


@pytest.mark.parametrize("content", ["", "\n", "\t\n", "a.png:eins\n"])
def test_a_file_that_is_no_table_is_an_error_that_names_it(content: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"labels\.txt"):
        load_dataset(put(tmp_path, IMAGES, {"labels.txt": content}))


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
        load_dataset(put(tmp_path, IMAGES, {"metadata.jsonl": rows}))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("file_name,text\na.png,eins\nb.png\n", "line 3 has 1 columns where the header has 2"),
        ("text,file_name\neins,a.png\nzwei,drei,b.png\n", "line 3 has 3 columns where the header has 2"),
        ("a.png,eins\nb.png\n", "line 2 is not an image's path and its text: 'b.png'"),
        ('a.png,eins\nb.png,"zwei" drei\n', r"line 2 "),
        ('a.png,eins\nb.png,"zwei\n', r"line 2 "),
        ("file_name,width\na.png,20\n", "file_name, width lacks a column for the text"),
        ("text,width\neins,20\n", "text, width lacks a column for the image"),
    ],
)
def test_a_table_with_wrong_columns_is_an_error_that_names_the_line(table: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"labels\.csv.*{message}"):
        load_dataset(put(tmp_path, IMAGES, {"labels.csv": table}))


def test_easyocr(tmp_path: Path) -> None:
    rows = {
        "0.png": ("Hello", "Hello"),
        "1.png": ("one, two, three", "one, two, three"),
        "2.png": ('"as pandas, or ""csv"", has it"', 'as pandas, or "csv", has it'),
        "3.png": ('"Oh," he said', '"Oh," he said'),
        "4.png": ('"Where', '"Where'),
        "5.png": ('a 5" pipe', 'a 5" pipe'),
        "6.png": ("1,500.00", "1,500.00"),
        "7.png": ("NA", "NA"),
        "8.png": ("tab\there", "tab here"),
    }
    table = "filename,words\n" + "".join(f"{name},{written}\n" for name, (written, _) in rows.items())
    dataset = load_dataset(put(tmp_path, rows, {"labels.csv": table}))
    assert labels(dataset) == {name: text for name, (_, text) in rows.items()}
    assert dataset.format == "comma-separated, columns filename and words"
    assert {issue.code for issue in dataset.issues} == {"double-space"}  # of the tab


def test_easyocr_on_windows(tmp_path: Path) -> None:
    table = b'\xef\xbb\xbffilename,words\r\na.png,"Oh," he said\r\n\r\nb.png,zwei\r\n'
    assert labels(load_dataset(put(tmp_path, ["a.png", "b.png"], {"labels.csv": table}))) == {
        "a.png": '"Oh," he said',
        "b.png": "zwei",
    }


def test_a_line_without_a_comma_among_easyocrs_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"labels\.csv line 3 has 1 columns where the header has 2"):
        load_dataset(put(tmp_path, ["a.png"], {"labels.csv": "filename,words\na.png,eins\nb.png\n"}))


def test_paddleocr(tmp_path: Path) -> None:
    lines = (
        "train_data/rec/train/word_001.jpg\t简单可依赖\n"
        'train_data/rec/train/word_002.jpg\tsay "yes", or no\n'
        "train/word_003.jpg\t \n"
        "./train/word_004.jpg\ta\tb\n"
    )
    names = [f"train/word_00{number}.jpg" for number in range(1, 5)]
    put(
        tmp_path / "train_data/rec",
        names,
        {"rec_gt_train.txt": lines, "rec_gt_test.txt": "train_data/rec/test/word_001.jpg\tx\n"},
    )
    dataset = load_dataset(tmp_path / "train_data/rec/rec_gt_train.txt")
    assert labels(dataset) == {names[0]: "简单可依赖", names[1]: 'say "yes", or no', names[3]: "a b"}
    assert excluded(dataset) == [(EMPTY, "rec_gt_train.txt line 3: train/word_003.jpg")]
    assert dataset.format == "tab-separated without a header"


def test_paddleocr_lists_images_of_the_same_text(tmp_path: Path) -> None:
    lines = '["11.jpg", "12.jpg"]\t简单可依赖\n3.jpg\tocr\n["not a list\tx\n'
    dataset = load_dataset(put(tmp_path, ["11.jpg", "12.jpg", "3.jpg"], {"rec_gt_train.txt": lines}))
    assert labels(dataset) == {"11.jpg": "简单可依赖", "12.jpg": "简单可依赖", "3.jpg": "ocr"}
    assert excluded(dataset) == [(MISSING, 'rec_gt_train.txt line 3: ["not a list')]


def test_a_path_from_above_does_not_lead_out_of_the_folder(tmp_path: Path) -> None:
    put(tmp_path / "data", ["secret.png"])
    lines = "data/rec/a.png\teins\ndata/rec/../secret.png\tx\ndata/secret.png\tx\n"
    dataset = load_dataset(put(tmp_path / "data/rec", ["a.png"], {"rec_gt_train.txt": lines}))
    assert labels(dataset) == {"a.png": "eins"}
    assert [code for code, _ in excluded(dataset)] == [MISSING, MISSING]


@pytest.mark.parametrize(("header", "more"), [("image_path,plate_text", ""), ("image_path,plate_text,plate_region", ",Brazil")])
def test_fast_plate_ocr(header: str, more: str, tmp_path: Path) -> None:
    table = f"{header}\nimages/1.png,AB123CD{more}\nimages/2.png,_X-9{more}\n"
    dataset = load_dataset(put(tmp_path, ["images/1.png", "images/2.png"], {"annotations.csv": table}))
    assert labels(dataset) == {"images/1.png": "AB123CD", "images/2.png": "_X-9"}


def test_the_gt_txt_of_the_deep_text_benchmark(tmp_path: Path) -> None:
    lines = "test/word_1.png\tTiredness\ntest/word_2.png\tkills\ntest/word_3.png\tA\n"
    dataset = load_dataset(put(tmp_path, [f"test/word_{n}.png" for n in (1, 2, 3)], {"gt.txt": lines}))
    assert [sample.text for sample in dataset.samples] == ["Tiredness", "kills", "A"]


def test_icdar(tmp_path: Path) -> None:
    lines = (
        b"\xef\xbb\xbf"
        b'word_1.png, "Genaxis Theatre"\r\n'
        b'word_2.png, "[06]"\r\n'
        b'word_3.png, "62-,03"\r\n'
        b'word_4.png, "the \\"best\\" \\\\ worst"\r\n'
        b'word_5.png, "\\""\r\n'
        b'word_6.png, "the "best""\r\n'
        b'word_7.png, "the ""best"""\r\n'
        b'word_8.png, "caf\xc3\xa9, "\r\n'
        b'word_9.png, ""\r\n'
    )
    dataset = load_dataset(put(tmp_path, [f"word_{n}.png" for n in range(1, 10)], {"gt.txt": lines}))
    assert labels(dataset) == {
        "word_1.png": "Genaxis Theatre",
        "word_2.png": "[06]",
        "word_3.png": "62-,03",
        "word_4.png": 'the "best" \\ worst',
        "word_5.png": '"',
        "word_6.png": 'the "best"',
        "word_7.png": 'the "best"',
        "word_8.png": "café,",
    }
    assert dataset.format == 'ICDAR, path, "text"'
    assert excluded(dataset) == [(EMPTY, "gt.txt line 9: word_9.png")]


@pytest.mark.parametrize("line", ["word_2.png, bare", 'word_2.png "x"', 'word_2.png, "x', "word_2.png"])
def test_a_line_that_is_not_icdars_among_its_lines_is_an_error_that_names_it(line: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gt\.txt line 3 is not a path and a text in quotes, as in word_1\.png, "):
        load_dataset(put(tmp_path, ["word_1.png"], {"gt.txt": f'word_1.png, "x"\n\n{line}\n'}))


@pytest.mark.parametrize("folder", ["images/", ""])
def test_doctr(folder: str, tmp_path: Path) -> None:
    texts = {"img_1.jpg": "I", "img_2.jpg": 'am "a", Jedi', "img_3.jpg": "Grüße", "gone.jpg": "!", "img_4.jpg": " "}
    images = [folder + name for name in (*texts, "img_5.jpg") if name != "gone.jpg"]
    dataset = load_dataset(put(tmp_path, images, {"labels.json": json.dumps(texts)}))
    assert labels(dataset) == {folder + name: texts[name] for name in ("img_1.jpg", "img_2.jpg", "img_3.jpg")}
    assert dataset.format == "docTR, JSON"
    assert excluded(dataset) == [
        (MISSING, "labels.json: gone.jpg"),
        (EMPTY, "labels.json: img_4.jpg"),
        (UNLABELED, f"{folder}img_5.jpg"),
    ]


def test_doctrs_labels_may_be_named_themselves(tmp_path: Path) -> None:
    put(tmp_path, ["images/a.png"], {"val.json": b'\xef\xbb\xbf{"a.png": "eins"}\r\n'})
    assert labels(load_dataset(tmp_path / "val.json")) == {"images/a.png": "eins"}


def test_doctrs_labels_do_not_lead_out_of_the_folder(tmp_path: Path) -> None:
    secret = put(tmp_path, ["secret.png"]) / "secret.png"
    texts = {"a.png": "eins", "../../secret.png": "x", str(secret): "x"}
    dataset = load_dataset(put(tmp_path / "data", ["images/a.png"], {"labels.json": json.dumps(texts)}))
    assert labels(dataset) == {"images/a.png": "eins"}
    assert [code for code, _ in excluded(dataset)] == [OUTSIDE, OUTSIDE]


def test_an_image_that_doctrs_labels_name_twice_is_seen_twice(tmp_path: Path) -> None:
    dataset = load_dataset(put(tmp_path, ["a.png"], {"labels.json": '{"a.png": "eins", "a.png": "zwei"}'}))
    assert [sample.text for sample in dataset.samples] == ["eins", "zwei"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"a.png": "eins"', "is not JSON: .* line 1 column 17"),
        ("[" * 100_000, "is not JSON: "),
        ('["a.png", "eins"]', 'is not {"image": "text", …}: list the texts by their images, as docTR does'),
        ('"eins"', 'is not {"image": "text", …}'),
        (
            '{"a.png": {"img_hash": "0", "polygons": []}}',
            r"the label of a\.png is not a string: .*those of its detection are not",
        ),
        ('{"a.png": 5}', r"the label of a\.png is not a string"),
        ("{}", "no usable sample .*1 excluded: image without a label"),
    ],
)
def test_json_that_is_not_doctrs_is_an_error_that_says_so(content: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"labels\.json:? ?.*{message}"):
        load_dataset(put(tmp_path, ["a.png"], {"labels.json": content}))


def test_trdgs_names_with_the_text_first(tmp_path: Path) -> None:
    names = ["zwei_10.jpg", "Hello world_0.jpg", "a_b_1.jpg", "U.S._2.jpg", "7_3.jpg", "_4.jpg", "x y_9.jpg"]
    dataset = load_dataset(put(tmp_path, names))
    assert [sample.text for sample in dataset.samples] == ["Hello world", "a_b", "U.S.", "7", "x y", "zwei"]
    assert dataset.format == "trdg, file names text_index"
    assert excluded(dataset) == [(EMPTY, "_4.jpg")]


def test_trdgs_names_with_the_index_first(tmp_path: Path) -> None:
    dataset = load_dataset(put(tmp_path, ["0_Hello world.jpg", "1_a_b.jpg", "10_7.jpg", "2_U.S..jpg"]))
    assert [sample.text for sample in dataset.samples] == ["Hello world", "a_b", "U.S.", "7"]
    assert dataset.format == "trdg, file names index_text"


def test_trdgs_masks_and_boxes_beside_the_images_do_no_harm(tmp_path: Path) -> None:
    files = {"eins_0_boxes.txt": "0 0 9 9\n", "zwei_1.box": "z 0 0 9 9 0\n", ".DS_Store": ""}
    dataset = load_dataset(put(tmp_path, ["eins_0.jpg", "eins_0_mask.png", "zwei_1.jpg", "zwei_1_mask.png"], files))
    assert labels(dataset) == {"eins_0.jpg": "eins", "zwei_1.jpg": "zwei"}


@pytest.mark.parametrize(
    "names",
    [["123_0.png", "45_1.png", "1_2.png"], ["7_1.png", "9_0.png"]],  # the first numbers have gaps
)
def test_numbers_as_texts_are_distinguished_from_the_indices_which_have_no_gap(names: list[str], tmp_path: Path) -> None:
    dataset = load_dataset(put(tmp_path, names))
    assert {sample.path.name: sample.text for sample in dataset.samples} == {name: name.split("_")[0] for name in names}


@pytest.mark.parametrize("names", [["0_1.png", "1_0.png"], ["5_3.png", "8_4.png"]])
def test_names_that_could_be_either_are_an_error(names: list[str], tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"can be text_index and index_text, for trdg writes both: list the texts in a labels\.csv"
    ):
        load_dataset(put(tmp_path, names))


@pytest.mark.parametrize(
    "names",
    [
        ["word_1.png", "word_2.png", "word_3.png"],  # ICDAR's images
        ["IMG_2034.jpg", "IMG_2035.jpg", "DSC_2036.jpg"],  # cameras'
        ["eins_0.png"],
        ["eins_0.png", "zwei_0.png"],  # trdg counts through
        ["eins_0.png", "zwei_01.png"],  # and writes no zeros before
        ["eins_0.png", "zwei.png"],
        ["eins_0.png", "zwei_1.png", "below/drei_2.png"],
    ],
)
def test_names_that_are_not_trdgs_are_no_labels(names: list[str], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no labels"):
        load_dataset(put(tmp_path, names))


def test_trdgs_labels_txt(tmp_path: Path) -> None:
    lines = '0.jpg Hello, world\n1.jpg tab\there\n2.jpg  "two  spaces"\n3.jpg see a.png b\n4.jpg \n'
    dataset = load_dataset(put(tmp_path, [f"{n}.jpg" for n in range(5)], {"labels.txt": lines}))
    assert labels(dataset) == {
        "0.jpg": "Hello, world",
        "1.jpg": "tab here",
        "2.jpg": '"two spaces"',
        "3.jpg": "see a.png b",
    }
    assert dataset.format == "space-separated without a header"
    assert excluded(dataset) == [(EMPTY, "labels.txt line 5: 4.jpg")]


def test_a_path_in_a_space_separated_list_may_hold_spaces(tmp_path: Path) -> None:
    lines = "my scans/a 1.PNG eins\nmy scans/a 2.PNG zwei drei\n"
    dataset = load_dataset(put(tmp_path, ["my scans/a 1.PNG", "my scans/a 2.PNG"], {"train_label.txt": lines}))
    assert labels(dataset) == {"my scans/a 1.PNG": "eins", "my scans/a 2.PNG": "zwei drei"}


def test_a_line_without_a_space_in_a_space_separated_list_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"labels\.txt line 2 is not an image's path and its text: '1\.jpg'"):
        load_dataset(put(tmp_path, ["0.jpg", "1.jpg"], {"labels.txt": "0.jpg eins\n1.jpg\n"}))


@pytest.mark.parametrize(
    ("first", "text"),
    [
        ("a.png,tab\there", "tab here"),
        ("a.png\tcomma, space", "comma, space"),
        ("a.png comma,tab\t.", "comma,tab ."),
        ('"a.png",eins', "eins"),
        ("a.png ,eins", "eins"),
        ("a.JPG.png\teins", "eins"),
    ],
)
def test_a_separator_in_the_first_text_is_text(first: str, text: str, tmp_path: Path) -> None:
    dataset = load_dataset(put(tmp_path, ["a.png", "a.JPG.png"], {"labels.txt": f"{first}\n"}))
    assert [sample.text for sample in dataset.samples] == [text]


def test_a_first_line_without_any_separator_is_an_error_that_says_what_to_write(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"labels\.txt: line 1 holds no tab, comma, semicolon or space .*: write path<TAB>text"):
        load_dataset(put(tmp_path, ["a.png"], {"labels.txt": "a.png:eins\n"}))


def test_backslashes_of_windows_are_read_as_separators(tmp_path: Path) -> None:
    dataset = load_dataset(
        put(tmp_path, ["images/a.png", "images/b.png"], {"labels.csv": "images\\a.png,eins\n.\\images\\b.png,x\n"})
    )
    assert labels(dataset) == {"images/a.png": "eins", "images/b.png": "x"}


FILES = {
    "metadata.jsonl": '{"file_name": "a.png", "text": "Grüße"}\n\n{"file_name": "b.png", "text": "中"}\n',
    "metadata.csv": "file_name,text\na.png,Grüße\nb.png,中\n",
    "labels.json": '{"a.png": "Grüße",\n "b.png": "中"}\n',
    "labels.csv": "filename,words\na.png,Grüße\nb.png,中\n",
    "labels.txt": "a.png\tGrüße\nb.png\t中\n",
    "gt.txt": 'a.png, "Grüße"\nb.png, "中"\n',
}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize("name", FILES)
def test_every_label_file_may_be_utf_8_or_utf_16(name: str, ends: str, encoding: str, tmp_path: Path) -> None:
    mark = "\ufeff" if encoding.startswith("utf-16") else ""
    content = (mark + FILES[name].replace("\n", ends)).encode(encoding)
    dataset = load_dataset(put(tmp_path, ["a.png", "b.png"], {name: content}))
    assert labels(dataset) == {"a.png": "Grüße", "b.png": "中"}
    assert not dataset.issues


def test_a_sidecar_may_be_utf_16(tmp_path: Path) -> None:
    assert labels(load_dataset(put(tmp_path, ["a.png"], {"a.gt.txt": "Grüße\r\n".encode("utf-16")}))) == {"a.png": "Grüße"}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    ("encode", "message"),
    [
        (lambda text: text.replace("中", "x").encode("latin-1"), r"is not UTF-8 \(byte \d+\): save it as UTF-8"),
        (lambda text: text.encode("utf-16-le"), "looks like UTF-16 without a byte order mark: save it as UTF-8"),
        (lambda text: text.encode("utf-16")[:-1], r"begins as UTF-16 but does not go on so \(byte \d+\): save it as UTF-8"),
    ],
)
def test_another_encoding_is_an_error_that_names_the_one_to_save_as(
    name: str, encode: Callable[[str], bytes], message: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=rf"{name} {message}"):
        load_dataset(put(tmp_path, ["a.png", "b.png"], {name: encode(FILES[name])}))


IAM_WORDS = """#--- words.txt ---------------------------------------------------------------#
#
# iam database word information
#
a01-000u-00-00 ok 154 408 768 27 51 AT A
a01-000u-00-01 ok 154 507 766 213 48 NN MOVE
a01-000u-00-02 err 154 796 764 70 50 TO to
a01-000u-00-03 ok 154 919 757 166 78 VB stop,
"""

IAM_LINES = """#--- lines.txt ---------------------------------------------------------------#
a01-000u-00 ok 154 19 408 746 1661 89 A|MOVE|to|stop|Mr.|Gaitskell|from
a01-000u-01 err 156 19 395 932 1850 105 nominating|any|more|Labour|life|Peers
"""


@pytest.mark.parametrize("folder", ["words/a01/a01-000u/", "a01/a01-000u/", "words/", ""])
def test_iams_words(folder: str, tmp_path: Path) -> None:
    names = [f"{folder}a01-000u-00-0{number}.png" for number in range(4)]
    dataset = load_dataset(put(tmp_path, names, {"words.txt": IAM_WORDS}))
    assert [sample.text for sample in dataset.samples] == ["A", "MOVE", "stop,"]
    assert [code for code, _ in excluded(dataset) if code != UNLABELED] == ["erroneous-crop"]
    assert dataset.format == "IAM"


def test_iams_lines_have_bars_for_spaces(tmp_path: Path) -> None:
    names = [f"lines/a01/a01-000u/a01-000u-0{number}.png" for number in range(2)]
    dataset = load_dataset(put(tmp_path, names, {"lines.txt": IAM_LINES}))
    assert list(labels(dataset).values()) == ["A MOVE to stop Mr. Gaitskell from", "nominating any more Labour life Peers"]


@pytest.mark.parametrize("separator", [" ", "\t", ","])
def test_a_list_of_mjsynth_has_numbers_and_the_names_of_its_images_the_texts(separator: str, tmp_path: Path) -> None:
    lines = "./2/1/115_Lube_45484.jpg 45484\n./2/1/114_Spencerian_73323.jpg 73323\n".replace(" ", separator)
    dataset = load_dataset(
        put(tmp_path, ["2/1/115_Lube_45484.jpg", "2/1/114_Spencerian_73323.jpg"], {"annotation_train.txt": lines})
    )
    assert [sample.text for sample in dataset.samples] == ["Lube", "Spencerian"]


def test_folders_called_by_one_character_are_labels(tmp_path: Path) -> None:
    dataset = load_dataset(put(tmp_path, ["A/001.png", "A/002.png", "é/1.png", "7/x.jpg"]))
    assert labels(dataset) == {"7/x.jpg": "7", "A/001.png": "A", "A/002.png": "A", "é/1.png": "é"}
    assert dataset.format == "folders that are called by their character"


@pytest.mark.parametrize(
    "names",
    [
        ["A/1.png", "book/1.png"],
        ["A/1.png"],
        ["A/1.png", "B/1.png", "x.png"],
        ["A/1.png", "B/deep/1.png"],
        ["page1/1.png", "page2/1.png"],
        ["2b827.png", "2b827_1.png", "2bg48.png", "2cegf.png", "2cg58.png"],
        ["img01.png", "img02.png", "img03.png", "img04.png", "img05.png"],
        ["00ff1a2b.png", "1a2b3c4d.png", "deadbeef.png", "12345678.png", "a1b2c3d4.png"],
        ["12345.png", "23456.png", "34567.png", "45678.png", "56789.png"],
        ["A1.png", "A2.png", "A3.png", "B1.png", "B2.png"],
        ["IMG1.png", "IMG22.png", "DSC3.png", "IMG44.png", "IMG5.png", "DSC66.png"],
    ],
)
def test_names_that_may_not_be_labels_are_none_and_the_error_says_what_to_write(names: list[str], tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no labels in a known format: .*write a labels\.csv there, with a line image,text"):
        load_dataset(put(tmp_path, names))


@pytest.mark.parametrize(
    "names",
    [
        ["2b827.png", "3n7mx.png", "w2bg4.jpg", "8cegf.png", "x38fn.png"],
        ["KA01AB1234.jpg", "MH12DE143.jpg", "DL8CAF5030.png", "TN22BF909.jpg", "HR26DK8337.jpg"],
    ],
)
def test_names_of_captchas_and_plates_are_labels(names: list[str], tmp_path: Path) -> None:
    dataset = load_dataset(put(tmp_path, names))
    assert labels(dataset) == {name: name.partition(".")[0] for name in names}
    assert dataset.format == "codes that are the file names"


@pytest.mark.parametrize("name", ["http://[a.png", "/data\0/a.png", "x?d=%00", "?d=", "C:\\[x", "%00.png", "//share/a.png"])
def test_a_name_that_is_no_path_anywhere_is_an_image_that_is_not_there(name: str, tmp_path: Path) -> None:
    dataset = load_dataset(put(tmp_path, ["b.png"], {"labels.jsonl": f"{json.dumps({'image': name, 'text': 'x'})}\n{BESIDE}"}))
    assert labels(dataset) == {"b.png": "zwei"}
    assert len(excluded(dataset)) == 1


BESIDE = '{"image": "b.png", "text": "zwei"}\n'


def test_a_row_without_an_image_is_one_whose_image_is_not_there(tmp_path: Path) -> None:
    dataset = load_dataset(put(tmp_path, ["b.png"], {"labels.csv": "file_name,text\n,eins\nb.png,zwei\n"}))
    assert labels(dataset) == {"b.png": "zwei"}
    assert len(excluded(dataset)) == 1


BROKEN = "broken-row"
EINS = "eins,0.png\n"
GOOD = "".join(f"{i}.png,text {i}\n" for i in range(4))


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("labels.csv", f'file_name,text\n{GOOD}x.png,"never closed\n{GOOD}', 6),
        ("labels.csv", f'file_name,text\n{GOOD}x.png,"never closed\n9.png,"closed"\n', 6),
        ("labels.csv", f'{GOOD}x.png,"odd" end\n{GOOD}', 5),
        ("labels.csv", f"file_name,text,page\n{GOOD.replace(',', ',x,')}x.png,y\n", 6),
        ("labels.tsv", f"{GOOD}x.png\n".replace(",", "\t"), 5),
        ("gt.txt", 'a.png, "eins"\nb.png, "zwei"\nc.png drei\n', 3),
        ("metadata.jsonl", '{"file_name": "a.png", "text": "eins"}\n{"file_name": "b.png", "text": "zwei"}\n{"file_na\n', 3),
        ("metadata.jsonl", '{"file_name": "a.png", "text": "eins"}\n{"file_name": "b.png", "text": "zwei"}\n{"text": 3}\n', 3),
    ],
)
def test_one_bad_row_is_left_out_and_names_its_line(name: str, content: str, line: int, tmp_path: Path) -> None:
    names = ["a.png", "b.png", "c.png", "x.png", *(f"{i}.png" for i in (*range(4), 9))]
    dataset = load_dataset(put(tmp_path, names, {name: content}))
    assert [where for code, where in excluded(dataset) if code == BROKEN] == [
        issue.locations[0].detail for issue in dataset.issues if issue.code == BROKEN
    ]
    ((_, where),) = [each for each in excluded(dataset) if each[0] == BROKEN]
    assert f"{name} line {line} " in where
    assert len(dataset.samples) >= 2
    assert all(sample.path.name != "x.png" for sample in dataset.samples)


def test_rows_after_a_quote_that_is_never_closed_are_read(tmp_path: Path) -> None:
    table = 'file_name,text\na.png,"5 July\nb.png,zwei\nc.png,"drei"\nd.png,"vier, 4"\n'
    dataset = load_dataset(put(tmp_path, ["a.png", "b.png", "c.png", "d.png"], {"labels.csv": table}))
    assert labels(dataset) == {"b.png": "zwei", "c.png": "drei", "d.png": "vier, 4"}
    assert "line 2 has a quotation mark that is not closed" in excluded(dataset)[0][1]


def test_if_half_of_the_rows_are_bad_that_is_an_error(tmp_path: Path) -> None:
    rows = "".join(f"{i}.png,a,b\n" for i in range(3))
    with pytest.raises(DataError, match=r"labels\.csv line 5 has 3 columns .*, and 2 more of 6 rows are broken"):
        load_dataset(put(tmp_path, ["0.png"], {"labels.csv": f"words,file_name\n{EINS * 3}{rows}"}))


def test_json_that_would_take_too_much_memory_is_an_error_that_names_other_ways(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, ["a.png"], {"labels.json": '{"a.png": "eins"}'})
    assert labels(load_dataset(tmp_path)) == {"a.png": "eins"}
    monkeypatch.setattr(json_file, "_MAX_BYTES", 16)  # of 17
    with pytest.raises(
        DataError, match=r"labels\.json has 17 bytes, too much to be read as JSON: split it, or write \.jsonl or \.csv"
    ):
        load_dataset(tmp_path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("labels.txt", "a.png\teins\rb.png\tzwei\r"),
        ("labels.csv", "file_name,text\ra.png,eins\rb.png,zwei\r"),
        ("metadata.jsonl", '{"file_name": "a.png", "text": "eins"}\r{"file_name": "b.png", "text": "zwei"}\r'),
        ("labels.csv", "# made by hand\n\n# in May\nfile_name,text\na.png,eins\nb.png,zwei\n"),
        ("labels.csv", "# file_name,text\na.png,eins\nb.png,zwei\n"),
        ("labels.txt", "# made by hand\na.png\teins\nb.png\tzwei\n"),
        ("labels.csv", "file_name,text\na.png,eins\nb.png,zwei\n".encode("utf-32")),
        ("labels.csv", "файл;текст\na.png;eins\nb.png;zwei\n"),
        ("labels.csv", "文件名,文本\na.png,eins\nb.png,zwei\n"),
    ],
)
def test_lists_are_read_however_they_begin_and_end_lines(name: str, content: str | bytes, tmp_path: Path) -> None:
    dataset = load_dataset(put(tmp_path, IMAGES, {name: content}))
    assert labels(dataset) == {"a.png": "eins", "b.png": "zwei"}
    assert not dataset.issues


def test_a_text_that_is_null_is_an_empty_label(tmp_path: Path) -> None:
    rows = '{"file_name": "a.png", "text": null}\n{"file_name": "b.png", "text": "zwei"}\n'
    folder = put(tmp_path, IMAGES, {"metadata.jsonl": rows})
    assert labels(load_dataset(folder)) == {"b.png": "zwei"}
    assert labels(load_dataset(folder, LabelConfig(empty=EmptyLabels.KEEP))) == {"a.png": "", "b.png": "zwei"}


def test_an_empty_text_in_json_of_ones_own_is_kept_if_asked_for(tmp_path: Path) -> None:
    folder = put(tmp_path, IMAGES, {"own.json": '[{"image": "a.png", "text": ""}, {"image": "b.png", "text": "zwei"}]'})
    assert labels(load_dataset(folder)) == {"b.png": "zwei"}
    assert labels(load_dataset(folder, LabelConfig(empty=EmptyLabels.KEEP))) == {"a.png": "", "b.png": "zwei"}


def test_numbers_in_json_lines_are_texts_if_their_key_is_named(tmp_path: Path) -> None:
    folder = put(
        tmp_path, IMAGES, {"metadata.jsonl": '{"file_name": "a.png", "kwh": 17}\n{"file_name": "b.png", "kwh": 4.5}\n'}
    )
    assert labels(load_dataset(folder, LabelConfig(text_column="kwh"))) == {"a.png": "17", "b.png": "4.5"}
