"""Images that show nothing: left out unless they are kept, and then trained and measured as the empty text that they are."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import Result
from digits import SHAPE, image_of, number, trained_below
from label_files import EMPTY, excluded, labels, put
from PIL import Image

from crnnocr.config import DEFAULT_PRESET, PRESETS, EmptyLabels, LabelConfig, TrainConfig
from crnnocr.datasets.detection import load_dataset
from crnnocr.metrics.scores import Scorer
from crnnocr.training.prepare import inspect
from crnnocr.training.trainer import ctc_loss

RunCli = Callable[..., Result]
KEEP = LabelConfig(empty=EmptyLabels.KEEP)


def half_blank(folder: Path, count: int = 40, first: int = 0) -> Path:
    """Images of numbers and, every other one, of noisy paper with an empty label."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(first)
    rows = []
    for i in range(count):
        text = "" if i % 2 else number(first + i, 5)
        paper = Image.fromarray(np.clip(rng.normal(235, 5, (16, int(rng.integers(20, 44)))), 0, 255).astype(np.uint8))
        (image_of(text) if text else paper).save(folder / f"{i:02}.png")
        rows.append(f"{i:02}.png,{text}")
    (folder / "labels.csv").write_text("\n".join(["file_name,text", *rows]) + "\n")
    return folder


FORMATS = {
    "labels.csv": "file_name,text\na.png,eins\nb.png,\n",
    "labels.tsv": "a.png\teins\nb.png\t \n",
    "metadata.jsonl": '{"file_name": "a.png", "text": "eins"}\n{"file_name": "b.png", "text": ""}\n',
    "labels.json": '{"a.png": "eins", "b.png": ""}',
    "gt.txt": 'a.png, "eins"\nb.png, ""\n',
}


@pytest.mark.parametrize("name", FORMATS)
def test_an_empty_label_is_left_out_or_kept_in_every_format(name: str, tmp_path: Path) -> None:
    folder = put(tmp_path, ["a.png", "b.png"], {name: FORMATS[name]})
    assert labels(load_dataset(folder)) == {"a.png": "eins"}
    assert [code for code, _ in excluded(load_dataset(folder))] == [EMPTY]
    assert "`empty=keep`" in load_dataset(folder).issues[0].fix
    assert labels(load_dataset(folder, KEEP)) == {"a.png": "eins", "b.png": ""}
    assert not excluded(load_dataset(folder, KEEP))


def test_an_empty_sidecar_is_kept_and_an_image_without_one_is_not(tmp_path: Path) -> None:
    folder = put(tmp_path, ["a.png", "b.png", "c.png"], {"a.gt.txt": "eins", "b.gt.txt": "\n"})
    assert labels(load_dataset(folder, KEEP)) == {"a.png": "eins", "b.png": ""}


def test_lint_does_not_complain_of_blank_images_with_empty_labels(tmp_path: Path) -> None:
    inspected = inspect([load_dataset(half_blank(tmp_path), KEEP)], [], TrainConfig(start="scratch"))
    named = {location.path for issue in inspected.issues for location in issue.locations}
    assert len(inspected.train) == 40
    assert not {path for path in named if int(Path(path).stem) % 2}


@pytest.mark.parametrize("targets", [[(), (1, 2), (3,)], [(), (), ()]])
def test_the_loss_and_gradient_of_an_empty_label_are_those_of_the_path_of_blanks(targets: list[tuple[int, ...]]) -> None:
    raw = torch.randn(3, 5, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64).requires_grad_()
    frames = [5, 4, 3]

    def by_paths(line: torch.Tensor, count: int, target: tuple[int, ...]) -> torch.Tensor:
        paths = [
            path
            for path in itertools.product(range(4), repeat=count)
            if tuple(c for c, _ in itertools.groupby(path) if c) == target
        ]
        return -torch.logsumexp(torch.stack([line[range(count), list(path)].sum() for path in paths]), 0)

    log_probs = raw.log_softmax(2)
    ids = torch.tensor(list(itertools.chain(*targets)), dtype=torch.int64)
    lengths = torch.tensor(list(map(len, targets)))
    loss = ctc_loss(log_probs, torch.tensor(frames), ids, lengths, torch.ones(len(lengths)), torch.device("cpu"))
    triples = zip(log_probs, frames, targets, strict=True)
    expected = torch.stack([by_paths(line, count, target) for line, count, target in triples]).sum()
    assert loss.item() == pytest.approx(expected.item())
    gradient, by_hand = (torch.autograd.grad(each, raw, retain_graph=True)[0] for each in (loss, expected))
    assert torch.allclose(gradient, by_hand, atol=1e-9)


def test_scores_with_empty_references() -> None:
    scorer = Scorer()
    for reference, predicted in (("", ""), ("", "ab"), ("abcd", "abcd"), ("abcd", "")):
        scorer.update(reference, predicted)
    scores = scorer.summary()
    assert scores.cer == pytest.approx((2 + 4) / 8)  # what is read where nothing stands counts as edits
    assert scores.exact_match == 0.5
    assert scores["one_minus_ned"] == pytest.approx((1 + 0 + 1 + 0) / 4)
    alone = Scorer()
    alone.update("", "")
    assert (alone.summary().cer, alone.summary().exact_match) == (0.0, 1.0)


def test_a_model_learns_that_nothing_stands_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_cli: RunCli) -> None:
    monkeypatch.setitem(PRESETS, DEFAULT_PRESET, SHAPE)
    half_blank(tmp_path / "train", 64)
    half_blank(tmp_path / "val", 24, 1000)
    arguments = ("--empty", "keep", "--from", "scratch", "--steps", 150, "--batch-size", 16, "--augment", 0, "--name", "blanks")
    with trained_below(tmp_path):
        trained = run_cli("train", tmp_path / "train", "--val", tmp_path / "val", *arguments)
        assert trained.exit_code == 0, trained.stderr
        result = run_cli("eval", tmp_path / "val", "--empty", "keep", "--all", "--tsv", "--model", "blanks")
    rows = [line.split("\t") for line in result.stdout.splitlines()[1:]]
    blank = [row for row in rows if not row[1]]
    assert len(blank) >= 11
    assert sum(row[2] == "" for row in blank) >= len(blank) - 1
    assert all(math.isfinite(float(row[3])) for row in rows)
    assert sum(row[2] != "" for row in rows if row[1]) >= 8


def test_a_training_of_nothing_but_blank_images_has_finite_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_cli: RunCli
) -> None:
    monkeypatch.setitem(PRESETS, DEFAULT_PRESET, SHAPE)
    folder = half_blank(tmp_path / "blank", 20)
    rows = [
        row for row in (folder / "labels.csv").read_text().splitlines() if row.endswith((",", "text")) or row.startswith("00")
    ]
    (folder / "labels.csv").write_text("\n".join(rows) + "\n")
    with trained_below(tmp_path):
        trained = run_cli("train", folder, "--empty", "keep", "--from", "scratch", "--steps", 3, "--batch-size", 1, "--json")
    assert trained.exit_code == 0, trained.stderr
    assert math.isfinite(json.loads(trained.stdout)["cer"])
