"""Images of one thing stay on one side of the split, in training and evaluation, and are found if nobody says so."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from cards import trained_card
from click.testing import Result
from digits import SHAPE, image_of, number
from label_files import labels, put
from PIL import Image

from crnnocr.config import DEFAULT_PRESET, PRESETS, LabelConfig, TrainConfig
from crnnocr.datasets import Dataset, Sample
from crnnocr.datasets.detection import load_dataset
from crnnocr.datasets.groups import group_id
from crnnocr.errors import ConfigError
from crnnocr.model import registry
from crnnocr.training.prepare import Prepared, inspect, prepare

RunCli = Callable[..., Result]
SCRATCH = TrainConfig(start="scratch", held_out=0.25)


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PRESETS, DEFAULT_PRESET, SHAPE)


def pages(folder: Path, count: int = 12, lines: int = 4, first: int = 0) -> Path:
    """Images of numbers, some on each page, with a table that names the pages."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for page in range(first, first + count):
        for line in range(lines):
            text = number(100 * page + line)
            image_of(text).save(folder / f"page{page}_{line}.png")
            rows.append(f"page{page}_{line}.png,{text},p{page}")
    (folder / "labels.csv").write_text("\n".join(["file_name,text,page", *rows]) + "\n")
    return folder


def groups(dataset: Dataset) -> dict[str, str]:
    return {sample.path.name: sample.group for sample in dataset.samples}


def split(*folders: Path, group: str, val: Path | None = None, config: TrainConfig = SCRATCH) -> Prepared:
    labels = LabelConfig(group=group)
    sets = [load_dataset(folder, labels) for folder in folders]
    return prepare(inspect(sets, [load_dataset(val, labels)] if val else [], config), config, "x")


def sides(prepared: Prepared) -> tuple[set[str], set[str]]:
    """The groups of the training split, and those of the validation split."""
    train, validation = ({sample.group for sample in lines.samples} for lines in (prepared.train, prepared.validation))
    return train, validation


def test_a_column_tells_the_groups(tmp_path: Path) -> None:
    dataset = load_dataset(pages(tmp_path, 2, 2), LabelConfig(group="Page"))
    assert groups(dataset) == {"page0_0.png": "p0", "page0_1.png": "p0", "page1_0.png": "p1", "page1_1.png": "p1"}
    assert dataset.group == "Page"


def test_a_key_of_json_lines_tells_them_and_the_number_of_a_column(tmp_path: Path) -> None:
    rows = [{"file_name": "a.png", "text": "x", "video": 7}, {"file_name": "b.png", "text": "y", "video": 8}]
    folder = put(tmp_path / "json", ["a.png", "b.png"], {"metadata.jsonl": "\n".join(map(json.dumps, rows))})
    assert groups(load_dataset(folder, LabelConfig(group="video"))) == {"a.png": "7", "b.png": "8"}
    folder = put(tmp_path / "csv", ["a.png", "b.png"], {"labels.csv": "page,file_name,text\n1,a.png,x\n2,b.png,y\n"})
    assert groups(load_dataset(folder, LabelConfig(group="1"))) == {"a.png": "1", "b.png": "2"}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (r"page\d+", ["page1", "page2"]),
        (r"page(\d+)", ["1", "2"]),
        (r"(\w+)/page(\d+)", ["x/1", "y/2"]),
        (r"^[^/]+", ["x", "y"]),
        (r"(old )?page\d", ["page1", "page2"]),
    ],
)
def test_an_expression_finds_them_in_paths(expression: str, expected: list[str], tmp_path: Path) -> None:
    folder = put(tmp_path, ["x/page1_a.png", "y/page2_a.png"], {"x/page1_a.gt.txt": "eins", "y/page2_a.gt.txt": "zwei"})
    assert list(groups(load_dataset(folder, LabelConfig(group=expression))).values()) == expected


@pytest.mark.parametrize("group", ["chapter", "(", r"chapter(\d)"])
def test_a_group_that_is_neither_is_an_error_of_the_option(group: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        load_dataset(pages(tmp_path, 2, 1), LabelConfig(group=group))
    assert raised.value.field == "group"


def test_images_in_no_group_are_named(tmp_path: Path) -> None:
    folder = put(tmp_path, ["p1.png", "x.png"], {"labels.csv": "p1.png,eins\nx.png,zwei\n"})
    dataset = load_dataset(folder, LabelConfig(group=r"p(\d)"))
    assert groups(dataset) == {"p1.png": "1", "x.png": ""}
    (issue,) = dataset.issues
    assert (issue.code, issue.severity, issue.count) == ("no-group", "warning", 1)


def test_a_group_is_on_one_side_of_the_split(tmp_path: Path) -> None:
    train, validation = sides(split(pages(tmp_path), group="page"))
    assert train
    assert validation
    assert not train & validation
    assert train | validation == {f"p{page}" for page in range(12)}


def test_the_side_of_a_group_depends_on_its_key_alone(tmp_path: Path) -> None:
    _, few = sides(split(pages(tmp_path / "a"), group="page"))
    _, many = sides(split(pages(tmp_path / "a", 12, 6), pages(tmp_path / "b", 12, 2, first=12), group="page"))
    assert few == {group for group in many if int(group[1:]) < 12}
    assert few == {f"p{page}" for page in range(12) if group_id(f"p{page}") < 0.25 * 2**63}


def test_validation_images_of_a_group_that_is_trained_on_are_left_out(tmp_path: Path) -> None:
    prepared = split(pages(tmp_path / "a", 4), group="page", val=pages(tmp_path / "b", 3, 5, first=3))
    assert sides(prepared) == ({"p0", "p1", "p2", "p3"}, {"p4", "p5"})
    inspected = inspect(
        [load_dataset(tmp_path / "a", LabelConfig(group="page"))],
        [load_dataset(tmp_path / "b", LabelConfig(group="page"))],
        SCRATCH,
    )
    assert [(issue.code, issue.count) for issue in inspected.issues if "group" in issue.code] == [("group-in-both", 5)]


def test_eval_leaves_out_the_groups_that_a_model_was_trained_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_cli: RunCli
) -> None:
    monkeypatch.chdir(tmp_path)
    pages(tmp_path / "a", 30, 2)
    arguments = ("--group", "page", "--from", "scratch", "--steps", 2, "--name", "grouped")
    assert run_cli("train", "a", *arguments).exit_code == 0
    card, record = trained_card(registry.path_of("grouped"))
    assert record.group == "page"
    assert type(card).from_text(json.dumps(card.to_json()), tmp_path) == card
    result = run_cli("eval", "a", "--json")
    assert result.exit_code == 0, result.stderr
    kept = json.loads(result.stdout)
    assert kept["n"] == record.data.held_out
    assert kept["trained_on"] == 60 - kept["n"]

    by_side = sorted(range(30), key=lambda page: group_id(f"p{page}"))
    held, trained = by_side[0], by_side[-1]
    for page in (held, trained):  # new lines of a page that was held out, and of one that was trained on
        image_of(f"5{page}2").save(tmp_path / "a" / f"new{page}.png")
    (tmp_path / "new.csv").write_text(f"file_name,text,page\na/new{held}.png,552,p{held}\na/new{trained}.png,552,p{trained}\n")
    new = json.loads(run_cli("eval", "new.csv", "--json").stdout)
    assert (new["n"], new["trained_on"]) == (1, 1)
    (tmp_path / "plain.csv").write_text(f"file_name,text\na/new{held}.png,552\na/new{trained}.png,552\n")
    assert json.loads(run_cli("eval", "plain.csv", "--json").stdout)["n"] == 2


def frames(folder: Path, videos: int, count: int, texts: int) -> Dataset:
    """Frames of videos in which the camera moves a little: each of a text, on paper of its own, with noise."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(3)
    samples = []
    for video in range(videos):
        text = f"{video % texts:02} {number(video % texts)}"
        image = image_of(text)
        scale = rng.uniform(1.7, 2.3)
        image = image.resize((round(image.width * scale), round(image.height * scale)))
        y, x = np.mgrid[: image.height, : image.width]
        paper = sum(rng.normal(0, 14) * np.sin(rng.uniform(0.05, 0.4, 2) @ np.stack([x.ravel(), y.ravel()])) for _ in range(6))
        clean = np.asarray(image, dtype=np.float64) * 0.5 + 60 + np.asarray(paper).reshape(y.shape)
        for frame in range(count):
            moved = np.roll(clean, tuple(rng.integers(-1, 2, 2)), (0, 1)) + rng.normal(0, 4) + rng.normal(0, 3, clean.shape)
            path = folder / f"video{video:02}_{frame}.png"
            Image.fromarray(np.clip(moved, 0, 255).astype(np.uint8)).save(path)
            samples.append(Sample(path, text))
    return Dataset(folder, "hand-made", tuple(samples))


def codes(dataset: Dataset) -> list[str]:
    return [issue.code for issue in inspect([dataset], [], SCRATCH).issues]


def test_frames_of_one_thing_on_both_sides_are_warned_of(tmp_path: Path) -> None:
    found = inspect([frames(tmp_path / "a", 10, 8, 10)], [], SCRATCH).issues
    (issue,) = (issue for issue in found if issue.code == "similar-picture-in-both")
    assert (issue.severity, "`group`" in issue.fix) == ("warning", True)
    assert issue.count >= 10


def test_different_images_of_equal_texts_are_not(tmp_path: Path) -> None:
    assert "similar-picture-in-both" not in codes(frames(tmp_path / "a", 80, 1, 10))


def test_frames_in_groups_are_not(tmp_path: Path) -> None:
    dataset = frames(tmp_path / "a", 10, 8, 10)
    (tmp_path / "a/labels.tsv").write_text("".join(f"{sample.path.name}\t{sample.text}\n" for sample in dataset.samples))
    grouped = load_dataset(tmp_path / "a", LabelConfig(group=r"video(\d+)"))
    assert labels(grouped)
    assert "similar-picture-in-both" not in codes(grouped)
