"""Each image gets the label that lies beside it or in a tree of labels."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from label_files import excluded, labels, put

from crnnocr.config import LabelConfig
from crnnocr.datasets.detection import load_dataset
from crnnocr.datasets.pairing import pair

NFD, NFC = (unicodedata.normalize(form, "größe") for form in ("NFD", "NFC"))


@pytest.mark.parametrize(
    ("image", "label"),
    [
        ("a.png", "a.txt"),
        ("p.1/a.b.png", "p.1/a.b.txt"),
        (f"{NFD}.png", f"{NFC}.txt"),
        ("IMG_1.JPG", "img_1.txt"),
        ("a.bin.png", "a.txt"),
        ("img_1.jpg", "gt_img_1.txt"),
        ("images/a.png", "labels/a.txt"),
        ("images/train/a.png", "labels/train/a.txt"),
        ("train/images/a.png", "train/labels/a.txt"),
        ("train/a.png", "train/gt/a.txt"),
        ("a.png", "gt/a.txt"),
        ("scans/a.png", "a.txt"),
        ("ch4_images/img_1.jpg", "ch4_gt/gt_img_1.txt"),
    ],
)
def test_a_label_belongs_to_the_image_of_its_name(image: str, label: str) -> None:
    pairs = pair([image, "images/other.png"], [label, "labels/none.txt"], ".txt")
    assert pairs.labels == {image: label}
    assert not pairs.ambiguous


@pytest.mark.parametrize(
    ("image", "label"),
    [
        ("a.png", "b.txt"),
        ("train/a.png", "test/a.txt"),
        ("images/train/a.png", "labels/test/a.txt"),
        ("p1/images/a.png", "p2/labels/a.txt"),
    ],
)
def test_a_label_does_not_belong_to_another_image(image: str, label: str) -> None:
    assert pair([image], [label], ".txt") == ({}, {})


def test_pages_that_miss_images_and_labels_do_not_exchange_them() -> None:
    pairs = pair(["p1/a.png", "p2/a.png", "p2/b.png"], ["p1/a.txt", "p1/b.txt", "p2/a.txt"], ".txt")
    assert pairs == ({"p1/a.png": "p1/a.txt", "p2/a.png": "p2/a.txt"}, {})


def test_of_two_trees_none_is_guessed() -> None:
    assert pair(["x/a.png", "y/a.png"], ["gt/a.txt"], ".txt") == ({}, {"gt/a.txt": ["x/a.png", "y/a.png"]})
    assert pair(["x/a.png"], ["gt/a.txt", "old/a.txt"], ".txt") == ({}, {"gt/a.txt": ["x/a.png"], "old/a.txt": ["x/a.png"]})


def test_the_image_that_is_named_first_has_the_label() -> None:
    assert pair(["a.png", "a.jpg"], ["a.txt"], ".txt") == ({"a.png": "a.txt"}, {})


def test_a_tree_of_sidecars_is_read(tmp_path: Path) -> None:
    put(tmp_path, ["images/p1/a.png", "images/p2/a.png"], {"gt/p1/a.gt.txt": "eins", "gt/p2/a.gt.txt": "zwei"})
    dataset = load_dataset(tmp_path)
    assert labels(dataset) == {"images/p1/a.png": "eins", "images/p2/a.png": "zwei"}
    assert not dataset.issues


def test_sidecars_behind_links_are_read(tmp_path: Path) -> None:
    put(tmp_path / "store", ["x/1"], {"x/2": "eins"})
    folder = put(tmp_path / "set", [])
    (folder / "below").symlink_to(tmp_path / "store/y", target_is_directory=True)
    put(tmp_path / "store/y", [])
    (tmp_path / "store/y/a.png").symlink_to(tmp_path / "store/x/1")
    (tmp_path / "store/y/a.gt.txt").symlink_to(tmp_path / "store/x/2")
    assert labels(load_dataset(folder)) == {"below/a.png": "eins"}


def test_one_bad_sidecar_is_left_out_and_named(tmp_path: Path) -> None:
    texts: dict[str, str | bytes] = {"a.gt.txt": "eins", "b.gt.txt": "zw\xf6lf".encode("latin-1"), "c.gt.txt": "eins\nzwei\n"}
    dataset = load_dataset(put(tmp_path, ["a.png", "b.png", "c.png"], texts))
    assert labels(dataset) == {"a.png": "eins"}
    (broken, where), several = excluded(dataset)
    assert (broken, "b.gt.txt is not UTF-8 (byte 2)" in where) == ("broken-label", True)
    assert several == ("several-lines", "c.gt.txt")


def test_a_label_with_a_line_end_in_it_is_left_out_in_any_format(tmp_path: Path) -> None:
    dataset = load_dataset(
        put(tmp_path, ["a.png", "b.png"], {"labels.csv": 'file_name,text\na.png,"5 July\n1986"\nb.png,eins\n'})
    )
    assert labels(dataset) == {"b.png": "eins"}
    assert excluded(dataset) == [("several-lines", "labels.csv line 2: a.png")]


def test_images_of_sidecars_and_their_groups_may_be_in_another_folder(tmp_path: Path) -> None:
    texts = put(tmp_path / "texts", [], {"p1/a.gt.txt": "eins", "p2/a.gt.txt": "zwei"})
    images = put(tmp_path / "scans 9", ["p1/a.png", "p2/a.png"])
    dataset = load_dataset(texts, LabelConfig(images=str(images), group=r"\d+"))
    assert {sample.path: (sample.text, sample.group) for sample in dataset.samples} == {
        images / "p1/a.png": ("eins", "1"),
        images / "p2/a.png": ("zwei", "2"),
    }


def test_a_label_may_be_called_as_the_image_with_its_suffix_and_in_capitals() -> None:
    assert pair(["a.png", "b.PNG"], ["a.png.gt.txt", "B.GT.TXT"], ".gt.txt").labels == {
        "a.png": "a.png.gt.txt",
        "b.PNG": "B.GT.TXT",
    }
