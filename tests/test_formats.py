"""Labelled pictures are read as their makers write them: each file here is as the named tool's documentation or code has it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import pytest
from PIL import Image

from crnnocr.datasets import Dataset
from crnnocr.datasets.detection import load_dataset
from crnnocr.datasets.issues import Severity
from crnnocr.errors import DataError

OUTSIDE = "picture-outside"
MISSING = "missing-picture"
UNLABELED = "unlabelled-picture"
EMPTY = "empty-label"


def put(folder: Path, pictures: Iterable[str], files: Mapping[str, str | bytes] | None = None) -> Path:
    """Fill a folder with pictures and files, and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in pictures:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (2, 2)).save(folder / name)
    for name, content in (files or {}).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
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


# EasyOCR: trainer/all_data/NAME/labels.csv


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
        "8.png": ("tab\there", "tab\there"),
    }
    table = "filename,words\n" + "".join(f"{name},{written}\n" for name, (written, _) in rows.items())
    dataset = load_dataset(put(tmp_path, rows, {"labels.csv": table}))
    assert labels(dataset) == {name: text for name, (_, text) in rows.items()}
    assert dataset.format == "comma-separated, columns filename and words"
    assert not dataset.issues


def test_easyocr_on_windows(tmp_path: Path) -> None:
    table = b'\xef\xbb\xbffilename,words\r\na.png,"Oh," he said\r\n\r\nb.png,zwei\r\n'
    assert labels(load_dataset(put(tmp_path, ["a.png", "b.png"], {"labels.csv": table}))) == {
        "a.png": '"Oh," he said',
        "b.png": "zwei",
    }


def test_a_line_without_a_comma_among_easyocrs_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"labels\.csv line 3 has 1 columns where the header has 2"):
        load_dataset(put(tmp_path, ["a.png"], {"labels.csv": "filename,words\na.png,eins\nb.png\n"}))


# PaddleOCR: train_data/rec/rec_gt_train.txt, whose paths begin at the folder that it is run in


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
    assert labels(dataset) == {names[0]: "简单可依赖", names[1]: 'say "yes", or no', names[3]: "a\tb"}
    assert excluded(dataset) == [(EMPTY, "rec_gt_train.txt line 3: train/word_003.jpg")]
    assert dataset.format == "tab-separated without a header"


def test_paddleocr_lists_pictures_of_the_same_text(tmp_path: Path) -> None:
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


def test_the_train_and_test_lists_of_one_folder_are_named(tmp_path: Path) -> None:
    put(tmp_path, ["a.png"], {"rec_gt_train.txt": "a.png\teins\n", "rec_gt_test.txt": "a.png\teins\n"})
    with pytest.raises(DataError, match=r"several label files \(rec_gt_test\.txt, rec_gt_train\.txt\): name the one to read"):
        load_dataset(tmp_path)


# fast-plate-ocr: annotations.csv


@pytest.mark.parametrize(("header", "more"), [("image_path,plate_text", ""), ("image_path,plate_text,plate_region", ",Brazil")])
def test_fast_plate_ocr(header: str, more: str, tmp_path: Path) -> None:
    table = f"{header}\nimages/1.png,AB123CD{more}\nimages/2.png,_X-9{more}\n"
    dataset = load_dataset(put(tmp_path, ["images/1.png", "images/2.png"], {"annotations.csv": table}))
    assert labels(dataset) == {"images/1.png": "AB123CD", "images/2.png": "_X-9"}


# clovaai/deep-text-recognition-benchmark: gt.txt, from which its LMDB is made


def test_the_gt_txt_of_the_deep_text_benchmark(tmp_path: Path) -> None:
    lines = "test/word_1.png\tTiredness\ntest/word_2.png\tkills\ntest/word_3.png\tA\n"
    dataset = load_dataset(put(tmp_path, [f"test/word_{n}.png" for n in (1, 2, 3)], {"gt.txt": lines}))
    assert [sample.text for sample in dataset.samples] == ["Tiredness", "kills", "A"]


# ICDAR's Robust Reading competitions: gt.txt


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


# docTR: recognition data sets


@pytest.mark.parametrize("folder", ["images/", ""])
def test_doctr(folder: str, tmp_path: Path) -> None:
    texts = {"img_1.jpg": "I", "img_2.jpg": 'am "a", Jedi', "img_3.jpg": "Grüße", "gone.jpg": "!", "img_4.jpg": " "}
    pictures = [folder + name for name in (*texts, "img_5.jpg") if name != "gone.jpg"]
    dataset = load_dataset(put(tmp_path, pictures, {"labels.json": json.dumps(texts)}))
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


def test_a_picture_that_doctrs_labels_name_twice_is_seen_twice(tmp_path: Path) -> None:
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
        ("{}", "no usable sample .*1 left out: image without a label"),
    ],
)
def test_json_that_is_not_doctrs_is_an_error_that_says_so(content: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"labels\.json:? ?.*{message}"):
        load_dataset(put(tmp_path, ["a.png"], {"labels.json": content}))


# trdg (TextRecognitionDataGenerator)


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


def test_trdgs_masks_and_boxes_beside_the_pictures_do_no_harm(tmp_path: Path) -> None:
    files = {"eins_0_boxes.txt": "0 0 9 9\n", "zwei_1.box": "z 0 0 9 9 0\n", ".DS_Store": ""}
    dataset = load_dataset(put(tmp_path, ["eins_0.jpg", "eins_0_mask.png", "zwei_1.jpg", "zwei_1_mask.png"], files))
    assert labels(dataset) == {"eins_0.jpg": "eins", "zwei_1.jpg": "zwei"}


@pytest.mark.parametrize(
    "names",
    [["123_0.png", "45_1.png", "1_2.png"], ["7_1.png", "9_0.png"]],  # the first numbers have gaps
)
def test_numbers_as_texts_are_told_from_the_indices_which_have_no_gap(names: list[str], tmp_path: Path) -> None:
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
        ["word_1.png", "word_2.png", "word_3.png"],  # ICDAR's pictures
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


def test_names_beside_a_file_of_another_kind_are_no_labels(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds 2 images and no labels in a known format"):
        load_dataset(put(tmp_path, ["eins_0.png", "zwei_1.png"], {"synth.log": ""}))


def test_trdgs_labels_txt(tmp_path: Path) -> None:
    lines = '0.jpg Hello, world\n1.jpg tab\there\n2.jpg  "two  spaces"\n3.jpg see a.png b\n4.jpg \n'
    dataset = load_dataset(put(tmp_path, [f"{n}.jpg" for n in range(5)], {"labels.txt": lines}))
    assert labels(dataset) == {
        "0.jpg": "Hello, world",
        "1.jpg": "tab\there",
        "2.jpg": '"two  spaces"',
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


# What separates the first row's cells is what follows the picture's name


@pytest.mark.parametrize(
    ("first", "text"),
    [
        ("a.png,tab\there", "tab\there"),
        ("a.png\tcomma, space", "comma, space"),
        ("a.png comma,tab\t.", "comma,tab\t."),
        ('"a.png",eins', "eins"),
        ("a.png ,eins", "eins"),
        ("a.JPG.png\teins", "eins"),
    ],
)
def test_a_separator_in_the_first_text_is_text(first: str, text: str, tmp_path: Path) -> None:
    dataset = load_dataset(put(tmp_path, ["a.png", "a.JPG.png"], {"labels.txt": f"{first}\n"}))
    assert [sample.text for sample in dataset.samples] == [text]


def test_a_first_line_without_any_separator_is_an_error_that_says_what_to_write(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"labels\.txt: line 1 holds no tab, comma or space .*: write path<TAB>text"):
        load_dataset(put(tmp_path, ["a.png"], {"labels.txt": "a.png;eins\n"}))


def test_backslashes_of_windows_are_read_as_separators(tmp_path: Path) -> None:
    dataset = load_dataset(
        put(tmp_path, ["images/a.png", "images/b.png"], {"labels.csv": "images\\a.png,eins\n.\\images\\b.png,x\n"})
    )
    assert labels(dataset) == {"images/a.png": "eins", "images/b.png": "x"}


def test_texts_that_are_no_labels_beside_a_label_file_do_no_harm(tmp_path: Path) -> None:
    files = {"README.txt": "My scans, by hand.\n", "en_dict.txt": "a\nb\n", "empty.txt": "", "list.txt": "a.png\teins\n"}
    assert labels(load_dataset(put(tmp_path, ["a.png"], files))) == {"a.png": "eins"}


# Encodings


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


# Folders of several data sets


def test_data_sets_in_folders_below_are_an_error_that_names_them(tmp_path: Path) -> None:
    put(tmp_path / "train", ["a.png"], {"labels.csv": "a.png,eins\n"})
    put(tmp_path / "val", ["images/b.png"], {"labels.json": '{"b.png": "zwei"}'})
    put(tmp_path / "more/drawn", ["eins_0.png", "zwei_1.png"])
    put(tmp_path / "notes", [], {"todo.txt": "nothing\n"})
    put(tmp_path, [], {"README.txt": "Scans, labelled by hand\n"})
    with pytest.raises(
        DataError, match=r"has no labels of its own, but in folders below \(more/drawn, train, val\): name the ones to read"
    ):
        load_dataset(tmp_path)


def test_of_many_data_sets_below_the_first_are_named(tmp_path: Path) -> None:
    for number in range(12):
        put(tmp_path / f"part{number}", ["a.png"], {"labels.csv": "a.png,eins\n"})
    with pytest.raises(DataError, match=r"\(part0, part1, part2, part3, part4, …\)"):
        load_dataset(tmp_path)


def test_sidecars_of_training_and_validation_are_not_mixed(tmp_path: Path) -> None:
    for part in ("Train", "val"):
        put(tmp_path / part, ["book/a.png"], {"book/a.gt.txt": part})
    with pytest.raises(DataError, match=r"in folders below \(Train, val\): name the ones to read"):
        load_dataset(tmp_path)
    assert labels(load_dataset(tmp_path / "val")) == {"book/a.png": "val"}


def test_a_label_file_may_name_the_pictures_of_training_and_validation(tmp_path: Path) -> None:
    folder = put(tmp_path, ["train/a.png", "val/b.png"], {"metadata.csv": "file_name,text\ntrain/a.png,eins\nval/b.png,zwei\n"})
    assert labels(load_dataset(folder)) == {"train/a.png": "eins", "val/b.png": "zwei"}
