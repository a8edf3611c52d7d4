"""The format of a folder or file is detected, and several sources are told apart."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from label_files import IMAGES, UNLABELED, excluded, labels, put

from crnnocr.datasets.detection import load_dataset, load_datasets
from crnnocr.errors import DataError


def test_metadata_csv_is_read_even_beside_another_table(tmp_path: Path) -> None:
    folder = put(tmp_path, IMAGES, {"metadata.csv": "file_name,text\na.png,eins\nb.png,zwei\n", "notes.txt": "a,b\n"})
    assert labels(load_dataset(folder)) == {"a.png": "eins", "b.png": "zwei"}


def test_a_label_file_may_be_named_itself(tmp_path: Path) -> None:
    put(
        tmp_path,
        IMAGES,
        {"train.csv": "a.png,eins\n", "val.csv": "b.png,zwei\n", "more.jsonl": '{"file_name": "a.png", "text": "x"}'},
    )
    assert labels(load_dataset(tmp_path / "val.csv")) == {"b.png": "zwei"}
    assert labels(load_dataset(tmp_path / "more.jsonl")) == {"a.png": "x"}


def test_a_folder_with_several_tables_is_an_error_that_names_them(tmp_path: Path) -> None:
    put(tmp_path, IMAGES, {"train.csv": "a.png,eins\n", "val.tsv": "b.png\tzwei\n"})
    with pytest.raises(DataError, match=r"several label files \(train\.csv, val\.tsv\): name the one to read"):
        load_dataset(tmp_path)


def test_an_image_without_a_label_is_named_in_folders_below_too(tmp_path: Path) -> None:
    dataset = load_dataset(put(tmp_path, ["images/a.png", "images/b.png"], {"labels.csv": "images/a.png,eins\n"}))
    assert excluded(dataset) == [(UNLABELED, "images/b.png")]


def test_a_folder_that_is_itself_a_link_is_read(tmp_path: Path) -> None:
    put(tmp_path / "data", IMAGES, {"labels.csv": "a.png,eins\nb.png,zwei\n"})
    (tmp_path / "link").symlink_to(tmp_path / "data", target_is_directory=True)
    assert labels(load_dataset(tmp_path / "link")) == {"a.png": "eins", "b.png": "zwei"}


SHARED = "picture-in-two-sources"


def test_several_sources_are_a_data_set_each_in_their_order(tmp_path: Path) -> None:
    first = put(tmp_path / "a", IMAGES, {"metadata.csv": "file_name,text\na.png,eins\n"})
    put(tmp_path / "b", ["a.png"], {"list.csv": "a.png,zwei\n", "other.csv": "a.png,drei\n"})
    third = put(tmp_path / "c", ["a.png"], {"a.gt.txt": "vier"})
    datasets = load_datasets([third, tmp_path / "b/list.csv", first])
    assert [list(labels(dataset).values()) for dataset in datasets] == [["vier"], ["zwei"], ["eins"]]
    assert [dataset.format.split()[0] for dataset in datasets] == ["sidecars", "comma-separated", "comma-separated,"]
    assert [excluded(dataset) for dataset in datasets] == [[], [], [(UNLABELED, "b.png")]]


def test_one_source_is_read_as_it_is(tmp_path: Path) -> None:
    folder = put(tmp_path, IMAGES, {"labels.csv": "a.png,eins\nb.png,zwei\na.png,eins\n"})
    assert load_datasets([folder]) == (load_dataset(folder),)
    assert load_datasets([]) == ()


def test_a_source_that_is_named_twice_is_counted_once(tmp_path: Path) -> None:
    folder = put(tmp_path, IMAGES, {"labels.csv": "a.png,eins\nb.png,zwei\n"})
    first, second = load_datasets([folder, folder / "labels.csv"])
    assert labels(first) == {"a.png": "eins", "b.png": "zwei"}
    assert not second.samples
    assert excluded(second) == [(SHARED, f"{folder / name}, in {folder}") for name in IMAGES]


def test_an_image_that_two_sources_share_belongs_to_the_first(tmp_path: Path) -> None:
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
    assert excluded(second) == [(SHARED, f"{tmp_path / 'link.png'}, in {sources[0]}")]
    assert excluded(third) == [
        (SHARED, f"{tmp_path / 'linked/c.png'}, in {sources[1]}"),
        (SHARED, f"{tmp_path / 'b.png'}, in {sources[1]}"),
    ]


def test_of_two_labels_that_of_the_first_source_counts_and_the_other_is_an_issue(tmp_path: Path) -> None:
    folder = put(tmp_path, IMAGES, {"labels.tsv": "a.png\teins\nb.png\tzwo\n", "doubts.csv": f"{LISTED}b.png,zwei,zwei\n"})
    first, second = load_datasets([folder / "doubts.csv", folder])
    assert (labels(first), labels(second)) == ({"b.png": "zwei"}, {"a.png": "eins"})
    assert excluded(second) == [("two-labels-in-two-sources", f"{folder / 'b.png'}, 'zwo' and 'zwei'")]
    _, corrected = load_datasets([folder, folder / "doubts.csv"])
    assert not corrected.samples
    assert [code for code, _ in excluded(corrected)] == ["two-labels-in-two-sources"]


LISTED = "file_name,text,reading\n"
"""The header of a list of suspected label errors of which somebody has saved some columns."""


def test_a_list_of_label_errors_does_not_label_a_folder_whatever_columns_are_left(tmp_path: Path) -> None:
    lists = {"doubts.csv": f"{LISTED}a.png,eins,ein5\n", "old.tsv": "file_name\ttext\tdoubt\na.png\teins\t1\n"}
    folder = put(tmp_path, IMAGES, {"labels.tsv": "a.png\treading\nb.png\tdoubt\n", **lists})
    assert labels(load_dataset(folder)) == {"a.png": "reading", "b.png": "doubt"}
    (folder / "labels.tsv").unlink()
    name = re.escape(str(folder / "doubts.csv"))
    with pytest.raises(DataError, match=rf"no labels in a known format: .*suspected label errors: name {name} to read"):
        load_dataset(folder)


def test_a_source_that_cannot_be_read_is_an_error_even_among_others(tmp_path: Path) -> None:
    folder = put(tmp_path / "a", ["a.png"], {"labels.csv": "a.png,eins\n"})
    with pytest.raises(DataError, match="gone: there is no such file or folder"):
        load_datasets([folder, tmp_path / "gone"])


def test_a_path_that_is_not_there_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="gone: there is no such file or folder"):
        load_dataset(tmp_path / "gone")


def test_an_empty_folder_is_an_error_that_says_what_would_fit(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no images in a known format: expected an LMDB, metadata\.jsonl"):
        load_dataset(put(tmp_path / "empty", []))


def test_images_without_any_label_are_an_error_that_counts_them(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds 2 images and no labels in a known format: expected an LMDB, metadata\.jsonl"):
        load_dataset(put(tmp_path / "data", ["a.png", "below/b.jpg"]))


def test_a_file_of_an_unknown_format_is_an_error_that_says_what_would_fit(tmp_path: Path) -> None:
    put(tmp_path, IMAGES, {"labels.yaml": "<labels/>"})
    with pytest.raises(DataError, match=r"labels\.yaml is not a label file: expected an LMDB, metadata\.jsonl"):
        load_dataset(tmp_path / "labels.yaml")


def test_a_data_set_without_a_usable_sample_is_an_error_that_says_why(tmp_path: Path) -> None:
    put(tmp_path, [], {"labels.csv": "file_name,text\na.png,eins\nb.png,zwei\n"})
    with pytest.raises(
        DataError, match=r"labels\.csv: no usable sample .*2 excluded: .* not there \(first: labels\.csv line 2"
    ):
        load_dataset(tmp_path)


def test_the_train_and_test_lists_of_one_folder_are_named(tmp_path: Path) -> None:
    put(tmp_path, ["a.png"], {"rec_gt_train.txt": "a.png\teins\n", "rec_gt_test.txt": "a.png\teins\n"})
    with pytest.raises(DataError, match=r"several label files \(rec_gt_test\.txt, rec_gt_train\.txt\): name the one to read"):
        load_dataset(tmp_path)


def test_texts_that_are_no_labels_beside_a_label_file_do_no_harm(tmp_path: Path) -> None:
    files = {"README.txt": "My scans, by hand.\n", "en_dict.txt": "a\nb\n", "empty.txt": "", "list.txt": "a.png\teins\n"}
    assert labels(load_dataset(put(tmp_path, ["a.png"], files))) == {"a.png": "eins"}


def test_data_sets_in_folders_below_are_an_error_that_names_them(tmp_path: Path) -> None:
    put(tmp_path / "train", ["a.png"], {"labels.csv": "a.png,eins\n"})
    put(tmp_path / "val", ["images/b.png"], {"labels.json": '{"b.png": "zwei"}'})
    put(tmp_path / "more/synthetic", ["eins_0.png", "zwei_1.png"])
    put(tmp_path / "notes", [], {"todo.txt": "nothing\n"})
    put(tmp_path, [], {"README.txt": "Scans, labeled by hand\n"})
    with pytest.raises(
        DataError, match=r"has no labels of its own, but in folders below \(more/synthetic, train, val\): name the ones to read"
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


def test_a_label_file_may_name_the_images_of_training_and_validation(tmp_path: Path) -> None:
    folder = put(tmp_path, ["train/a.png", "val/b.png"], {"metadata.csv": "file_name,text\ntrain/a.png,eins\nval/b.png,zwei\n"})
    assert labels(load_dataset(folder)) == {"train/a.png": "eins", "val/b.png": "zwei"}


def test_names_beside_a_file_of_another_kind_are_no_labels(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds 2 images and no labels in a known format"):
        load_dataset(put(tmp_path, ["eins_0.png", "zwei_1.png"], {"synth.log": ""}))
