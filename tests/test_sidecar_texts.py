"""Labels `x.txt` beside images, and files so called that are no texts of lines."""

from __future__ import annotations

from pathlib import Path

import pytest
from label_files import UNLABELED, excluded, labels, put

from crnnocr.datasets.detection import load_dataset
from crnnocr.errors import DataError

NAMES = ["a.png", "b.png", "c.png"]


def txt(contents: str, folder: str = "") -> dict[str, str | bytes]:
    return {f"{folder}{Path(name).stem}.txt": contents for name in NAMES}


@pytest.mark.parametrize(("images", "texts"), [("", ""), ("images/", "labels/"), ("train/images/", "train/labels/")])
@pytest.mark.parametrize("text", ["5 July", "030 123 45 67 89", "1,234,567", "0.5 1.5", "a.b c.d"])
def test_texts_beside_images_or_in_a_tree_are_read(images: str, texts: str, text: str, tmp_path: Path) -> None:
    dataset = load_dataset(put(tmp_path, [images + name for name in NAMES], txt(f"{text}\n", texts)))
    assert labels(dataset) == {images + name: text for name in NAMES}


def test_an_image_without_a_text_among_others_is_named(tmp_path: Path) -> None:
    dataset = load_dataset(put(tmp_path, [*NAMES, "d.png"], txt("eins")))
    assert excluded(dataset) == [(UNLABELED, "d.png")]


def test_a_list_that_is_called_as_an_image_is_a_list(tmp_path: Path) -> None:
    dataset = load_dataset(put(tmp_path, ["a.png", "b.png"], {"a.txt": "a.png\teins\nb.png\tzwei\n"}))
    assert labels(dataset) == {"a.png": "eins", "b.png": "zwei"}


@pytest.mark.parametrize("content", ["5 July", "0 0.5 0.5 0.25 0.125"])
@pytest.mark.parametrize(
    ("name", "labels_file"),
    [
        ("labels.csv", "file_name,text\na.png,eins\nb.png,zwei\nc.png,drei\n"),
        ("list.txt", "a.png\teins\nb.png\tzwei\nc.png\tdrei\n"),
        ("texts.json", '{"a.png": "eins", "b.png": "zwei", "c.png": "drei"}'),
    ],
)
def test_a_list_counts_more_than_the_texts_beside_its_images(name: str, labels_file: str, content: str, tmp_path: Path) -> None:
    dataset = load_dataset(put(tmp_path, NAMES, {**txt(content), name: labels_file}))
    assert list(labels(dataset).values()) == ["eins", "zwei", "drei"]


@pytest.mark.parametrize(
    ("box", "kind"),
    [
        ("0 0.5 0.5 0.25 0.125\n2 0.1 0.2 0.3 0.4\n", "YOLO"),
        ("plate 0.5 0.5 0.25 0.125 0.9\n", "YOLO"),
        ("10,20,110,20,110,52,10,52\n", "corners"),
        ("10, 20, 110, 52\n", "corners"),
    ],
)
@pytest.mark.parametrize("folder", ["", "labels/"])
def test_boxes_without_texts_are_named_as_such_with_the_fix(box: str, kind: str, folder: str, tmp_path: Path) -> None:
    put(tmp_path, [("images/" if folder else "") + name for name in NAMES], txt(box, folder))
    with pytest.raises(DataError, match=rf"has boxes for 3 images \({kind}, .*cut the boxes out, and write a labels\.csv"):
        load_dataset(tmp_path)


def test_boxes_of_pascal_voc_are_named_as_such(tmp_path: Path) -> None:
    xml = "<annotation><object><name>plate</name><bndbox><xmin>1</xmin></bndbox></object></annotation>"
    with pytest.raises(DataError, match=r"Pascal VOC.*cut the boxes out"):
        load_dataset(put(tmp_path, ["a.png"], {"a.xml": xml}))


@pytest.mark.parametrize("ending", [".gt.txt", ".txt"])
def test_texts_of_several_lines_are_named_as_such(ending: str, tmp_path: Path) -> None:
    put(tmp_path, ["a.png", "b.png"], {f"a{ending}": "5 July\n1986\n", f"b{ending}": "6 July\n1987\n"})
    with pytest.raises(DataError, match=r"2 excluded: label of several lines, .*cut out each line"):
        load_dataset(tmp_path)


def test_labels_beside_the_folder_of_the_images_are_pointed_to(tmp_path: Path) -> None:
    put(tmp_path / "tree", [f"images/{name}" for name in NAMES], {f"gt/{Path(name).stem}.gt.txt": "eins" for name in NAMES})
    put(tmp_path / "list", ["images/a.png"], {"labels.csv": "images/a.png,eins\n"})
    put(tmp_path / "none", ["images/z.png"], {"gt/a.gt.txt": "eins"})
    for name, where in (("tree", "gt"), ("list", "labels.csv")):
        with pytest.raises(DataError, match=rf"in {tmp_path / name / where}: name {tmp_path / name}"):
            load_dataset(tmp_path / name / "images")
    with pytest.raises(DataError, match=r"write a labels\.csv"):
        load_dataset(tmp_path / "none/images")
