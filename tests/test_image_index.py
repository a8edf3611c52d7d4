"""Images are found by the names that labels have for them, whichever machine and system these come from."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from label_files import MISSING, OUTSIDE, UNLABELED, excluded, labels, put

from crnnocr.datasets.detection import load_dataset
from crnnocr.datasets.image_index import ImageIndex

AMBIGUOUS = "ambiguous-picture"
NFD = unicodedata.normalize("NFD", "größe-é.png")
NFC = unicodedata.normalize("NFC", "größe-é.png")


def found(root: Path, name: str) -> str | None:
    """The file in the root that a name stands for, or the code of the issue."""
    image = ImageIndex(root).find(name)
    return image.issue.code if image.issue else image.path.relative_to(root).as_posix()


@pytest.mark.parametrize(
    ("on_disk", "name"),
    [
        ("images/a.png", "./images//a.png"),
        ("images/a.png", "images/b/../a.png"),
        (NFD, NFC),
        (NFC, NFD),
        (f"{NFD}.d/a.png", f"{NFC}.d/a.png"),
        ("a.PNG", "a.png"),
        ("Scans/IMG_7.jpg", "scans/img_7.JPG"),
        ("a.png", "a.jpg"),
        ("a.b.png", "a.b"),
        ("images/a.png", r"images\a.png"),
        ("images/a.png", r"C:\Users\Ann\set\images\a.png"),
        ("images/a.png", "D:/set/images/a.png"),
        ("images/a.png", r"\\server\share\images\a.png"),
        ("images/a.png", "/home/ann/set/images/a.png"),
        ("a.png", "/home/ann/set/a.png"),
        ("a.png", "~/set/a.png"),
        ("images/a.png", "/home/ann/set/a.png"),
        ("renamed/7/a.png", "/home/ann/set/lines/7/a.png"),
        ("images/7/a.png", "7/a.png"),
        ("Seite 1/a.png", "Seite%201/a.png"),
        ("größe.png", "gr%C3%B6%C3%9Fe.png"),
        ("set/a b.png", "file:///home/ann/set/a%20b.png"),
        ("set/a.png", "https://example.com/x/set/a.png?token=1"),
        ("set/a.png", "s3://bucket/x/set/a.png"),
        ("set/a.png", "/data/local-files/?d=x/set/a.png"),
        ("crops/page/a.png", "a.png"),
        ("a.png", "../set/a.png"),
        ("a\\b.png", "a\\b.png"),
        ("50%25.png", "50%25.png"),
    ],
)
def test_an_image_is_found_under_other_spellings_of_its_name(on_disk: str, name: str, tmp_path: Path) -> None:
    assert found(put(tmp_path, [on_disk, "other/c.png"]), name) == on_disk


@pytest.mark.parametrize(
    ("on_disk", "name", "nearest"),
    [
        (["a.png", "A.png"], "a.png", "a.png"),
        (["a.PNG", "a.jpg"], "a.png", "a.PNG"),
        (["a.png", "A.png"], "A.PNG", "A.png"),
        (["x/a.png", "a.png"], "/home/ann/x/a.png", "x/a.png"),
        (["a.png", "b/a.png"], "a.png", "a.png"),
        (["train/a.png", "old/train/a.png"], "/set/train/a.png", "train/a.png"),
        (["a%20b.png", "a b.png"], "a%20b.png", "a%20b.png"),
    ],
)
def test_the_nearest_file_counts(on_disk: list[str], name: str, nearest: str, tmp_path: Path) -> None:
    assert found(put(tmp_path, on_disk), name) == nearest


@pytest.mark.parametrize(
    ("on_disk", "name"),
    [
        (["a.jpg", "a.tif"], "a.png"),
        (["a.Png", "a.PNG"], "a.png"),
        (["Bild/a.png", "BILD/a.png"], "bild/a.png"),
        (["p1/a.png", "p2/a.png"], "a.png"),
        (["x/p1/a.png", "y/p1/a.png"], "/home/ann/p1/a.png"),
    ],
)
def test_of_several_that_are_equally_near_none_is_guessed(on_disk: list[str], name: str, tmp_path: Path) -> None:
    assert found(put(tmp_path, on_disk), name) == AMBIGUOUS


@pytest.mark.parametrize(
    ("on_disk", "name"),
    [
        ("test/1.png", "train/1.png"),
        ("test/1.png", "/set/train/1.png"),
        ("p2/1.png", "p1/1.png"),
        ("p2/1.png", "/home/ann/p1/1.png"),
        ("p1/2.png", "p1/1.png"),
        ("a.txt", "a.png"),
        (".hidden.png", "hidden.png"),
    ],
)
def test_a_file_of_the_same_name_elsewhere_is_not_taken_for_a_missing_one(on_disk: str, name: str, tmp_path: Path) -> None:
    assert found(put(tmp_path, [], {on_disk: ""}), name) in (MISSING, OUTSIDE)


def test_a_path_that_begins_in_the_folder_is_whole(tmp_path: Path) -> None:
    folder = put(tmp_path, ["p1/2.png", "1.png", "backup/p1/1.png"])
    assert found(folder, "p1/1.png") == MISSING


def test_two_names_do_not_share_an_image_that_neither_is(tmp_path: Path) -> None:
    rows = "/set/p1/1.png,eins\n/set/p2/1.png,zwei\n/set/p3/2.png,drei\n"
    dataset = load_dataset(put(tmp_path, ["1.png", "2.png"], {"labels.csv": rows}))
    assert labels(dataset) == {"2.png": "drei"}
    assert [code for code, _ in excluded(dataset)] == [AMBIGUOUS, AMBIGUOUS]


def test_a_name_does_not_get_the_image_that_another_name_is(tmp_path: Path) -> None:
    dataset = load_dataset(put(tmp_path, ["a.png"], {"labels.csv": "A.png,eins\na.jpg,zwei\na.png,drei\n./a.png,vier\n"}))
    assert [sample.text for sample in dataset.samples] == ["drei", "vier"]
    assert [code for code, _ in excluded(dataset)] == [AMBIGUOUS, AMBIGUOUS]


def test_links_are_followed_wherever_they_lead(tmp_path: Path) -> None:
    cache = put(tmp_path / "cache", ["blobs/0a1b.png", "more/b.png"])
    (cache / "blobs/0a1b.png").rename(cache / "blobs/0a1b")  # a hub's cache keeps files under their hashes
    folder = put(tmp_path / "snapshot", [])
    (cache / "labels").write_text("a.png,eins\nlinked/b.png,zwei\nLINKED/B.png,drei\n")
    (folder / "labels.csv").symlink_to(cache / "labels")
    (folder / "a.png").symlink_to(cache / "blobs/0a1b")
    (folder / "linked").symlink_to(cache / "more", target_is_directory=True)
    dataset = load_dataset(folder)
    assert labels(dataset) == {"a.png": "eins", "linked/b.png": "zwei"}
    assert all(sample.read() for sample in dataset.samples)


def test_a_link_to_nothing_is_named_as_such(tmp_path: Path) -> None:
    folder = put(tmp_path, ["b.png"], {"labels.csv": "a.png,eins\nb.png,zwei\n"})
    (folder / "a.png").symlink_to(tmp_path / ".git/annex/objects/a")
    (issue,) = load_dataset(folder).issues
    assert (issue.code, "git annex get" in issue.fix) == (MISSING, True)


def test_folders_that_are_linked_in_a_circle_end(tmp_path: Path) -> None:
    folder = put(tmp_path / "set", ["a/1.png", "a/b/2.png"])
    (folder / "a/up").symlink_to(folder, target_is_directory=True)
    (folder / "a/b/out").symlink_to(tmp_path, target_is_directory=True)
    assert sorted(ImageIndex(folder).images) == ["a/1.png", "a/b/2.png"]
    assert found(folder, "3.png") == MISSING


def test_images_in_linked_folders_are_seen_as_unlabeled_once(tmp_path: Path) -> None:
    put(tmp_path / "more", ["c.png"])
    folder = put(tmp_path / "set", ["a.png"], {"labels.csv": "a.png,eins\n"})
    for name in ("one", "two"):
        (folder / name).symlink_to(tmp_path / "more", target_is_directory=True)
    assert [code for code, _ in excluded(load_dataset(folder))] == [UNLABELED]


@pytest.mark.parametrize("name", ["../../secret.png", "/etc/hosts", "..", "/", "", ".", "~root/x.png", "//host/share/x.png"])
def test_nothing_outside_is_ever_found(name: str, tmp_path: Path) -> None:
    put(tmp_path, ["secret.png"])
    assert found(put(tmp_path / "set/below", ["a.png"]), name) in (OUTSIDE, MISSING)


def test_a_file_elsewhere_on_this_machine_is_not_confused_with_one_here(tmp_path: Path) -> None:
    elsewhere = put(tmp_path / "one", ["a.png"]) / "a.png"
    assert found(put(tmp_path / "two", ["a.png"]), str(elsewhere)) == OUTSIDE
    assert found(tmp_path / "one", str(elsewhere)) == "a.png"


def test_the_time_grows_with_the_names_and_no_faster(tmp_path: Path) -> None:
    """Each folder is listed once: of 300 folders with the same names, none is found by comparing all."""
    for page in range(300):
        (tmp_path / f"IMAGES/Page{page}").mkdir(parents=True)
        for line in range(3):
            (tmp_path / f"IMAGES/Page{page}/{line}.PNG").touch()
    index = ImageIndex(tmp_path)
    for page in range(300):
        image = index.find(f"/home/ann/set/page{page}/1.png")
        assert image.path == tmp_path / f"IMAGES/Page{page}/1.PNG"
