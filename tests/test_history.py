"""The history of a training: its rows, their curves, and TensorBoard."""

from __future__ import annotations

import json
import re
import sys
import types
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from crnnocr.errors import CrnnocrError, DataError, UsageError
from crnnocr.metrics.scores import Scorer
from crnnocr.training.history import History, HistoryRow, TensorBoard, draw_curves, load_history
from crnnocr.training.schedule import Progress
from crnnocr.training.validation import Validation


def validation(step: int, is_best: bool = False) -> Validation:
    """A validation on three lines, with 1 edit in 12 characters."""
    scorer = Scorer()
    for prediction in ("four", "four", "for"):
        scorer.update("four", prediction)
    progress = Progress(
        step=step,
        epoch=2,
        samples_seen=640,
        seconds=12.3456,
        loss=0.5,
        learning_rate=1e-3,
        data_wait=0.123456,
        done=0.5,
        images_per_second=50.0,
        seconds_left=12.0,
    )
    return Validation(progress, scorer.summary(), (), is_best)


ROW = HistoryRow(
    step=100,
    samples_seen=6400,
    epoch=3,
    seconds=60.0,
    loss=0.5,
    learning_rate=1e-3,
    cer=0.08,
    exact_match=0.75,
    mean_levenshtein=0.9,
    data_wait=0.02,
    is_best=False,
)


class TestHistory:
    def test_a_row_is_in_the_file_as_soon_as_it_is_added(self, tmp_path: Path) -> None:
        path = tmp_path / "model" / "history.jsonl"
        with History.open(path) as history:
            history.add(validation(step=10, is_best=True))
            assert json.loads(path.read_text()) == {
                "step": 10,
                "pictures": 640,
                "epoch": 2,
                "seconds": 12.35,
                "loss": 0.5,
                "learning_rate": 1e-3,
                "cer": pytest.approx(1 / 12),
                "exact": pytest.approx(2 / 3),
                "mean_levenshtein": pytest.approx(1 / 3),
                "waiting": 0.1235,
                "kept": True,
            }
            history.add(validation(step=20))
            assert [json.loads(line)["step"] for line in path.read_text().splitlines()] == [10, 20]
        assert [row.step for row in load_history(path)] == [10, 20]

    def test_a_new_training_begins_a_new_history(self, tmp_path: Path) -> None:
        path = self.written(tmp_path, 10, 20)
        History.open(path).close()
        assert path.read_text() == ""

    def test_a_resumed_training_drops_later_rows(self, tmp_path: Path) -> None:
        path = self.written(tmp_path, 10, 20, 30)
        with History.open(path, up_to_step=20) as history:
            history.add(validation(step=25))
        assert [row.step for row in load_history(path)] == [10, 20, 25]

    @pytest.mark.parametrize("cut", [1, 2, 40, 200])
    def test_a_last_row_that_was_cut_off_is_dropped(self, cut: int, tmp_path: Path) -> None:
        path = self.written(tmp_path, 10, 20)
        path.write_bytes(path.read_bytes()[:-cut])
        with History.open(path, up_to_step=100) as history:
            history.add(validation(step=20))
        assert [row.step for row in load_history(path)] == [10, 20]

    def test_a_broken_row_among_others_is_named(self, tmp_path: Path) -> None:
        path = self.written(tmp_path, 10)
        path.write_text("mine\n" + path.read_text())
        with pytest.raises(DataError, match=r"history\.jsonl, line 1: this is not a row"):
            History.open(path, up_to_step=10)

    def test_a_history_that_cannot_be_written_says_so(self, tmp_path: Path) -> None:
        (tmp_path / "taken").write_text("")
        with pytest.raises(CrnnocrError, match="cannot write"):
            History.open(tmp_path / "taken" / "history.jsonl")

    def written(self, folder: Path, *steps: int) -> Path:
        path = folder / "history.jsonl"
        with History.open(path) as history:
            for step in steps:
                history.add(validation(step=step))
        return path


class TestCurves:
    def curves_of(self, folder: Path, rows: list[HistoryRow]) -> str:
        """The curves of some rows, which must be well-formed and lie inside their borders."""
        draw_curves(folder / "curves.svg", rows)
        text = (folder / "curves.svg").read_text(encoding="utf-8")
        root = ElementTree.fromstring(text)
        width, height = float(root.get("width", "")), float(root.get("height", ""))
        lines = [line.get("points", "").split() for line in root.iter("{http://www.w3.org/2000/svg}polyline")]
        assert [len(line) for line in lines] == [len(rows)] * 3  # loss, CER, exact
        for point in (point for line in lines for point in line):
            x, y = map(float, point.split(","))
            assert 0 <= x <= width
            assert 0 <= y <= height
        assert not re.search(r"nan|inf", text)
        assert not re.search(r"(href|src|url)", text.replace("http://www.w3.org/2000/svg", ""))
        return text

    def test_the_kept_point_is_labeled(self, tmp_path: Path) -> None:
        rows = [replace(ROW, step=i, samples_seen=64 * i, cer=1 / i, is_best=i in (5, 7)) for i in range(1, 10)]
        text = self.curves_of(tmp_path, rows)
        assert "kept: 14.29 %" in text  # 1/7
        assert "9 steps  ·  576 samples seen  ·  60 s" in text

    def test_if_none_was_kept_the_best_point_is_labeled(self, tmp_path: Path) -> None:
        rows = [
            replace(ROW, samples_seen=p, cer=c, exact_match=e) for p, c, e in ((1, 0.5, 0.1), (2, 0.25, 0.5), (3, 0.3, 0.4))
        ]
        text = self.curves_of(tmp_path, rows)
        assert "best: 25.00 %" in text
        assert "best: 50.0 %" in text

    def test_values_that_fall_far_have_a_logarithmic_axis(self, tmp_path: Path) -> None:
        rows = [replace(ROW, samples_seen=i, loss=4 * 0.5**i, cer=0.06 - i / 1000) for i in range(10)]
        text = self.curves_of(tmp_path, rows)
        assert "Loss, nats per character, logarithmic" in text
        assert "Character error rate (CER)<" in text

    @pytest.mark.parametrize(
        "rows",
        [
            [ROW],
            [replace(ROW, samples_seen=0, loss=0.0, cer=0.0, exact_match=1.0)],
            [replace(ROW, samples_seen=i, loss=30 / (i + 1) ** 4, cer=5.0 - i / 10) for i in range(50)],
            [replace(ROW, samples_seen=10**8 * i, loss=1e-9, cer=0 if i % 2 else 0.5) for i in range(300)],
        ],
        ids=["one row", "zeros", "more errors than characters", "very long"],
    )
    def test_odd_trainings_are_drawn_too(self, rows: list[HistoryRow], tmp_path: Path) -> None:
        self.curves_of(tmp_path, rows)

    def test_without_rows_there_is_no_file(self, tmp_path: Path) -> None:
        draw_curves(tmp_path / "curves.svg", [])
        assert not list(tmp_path.iterdir())


class TestTensorBoard:
    def test_if_it_is_not_installed_the_error_says_how_to_install_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
        with pytest.raises(UsageError, match=re.escape("pip install 'crnnocr[tensorboard]'")):
            TensorBoard(tmp_path)

    def test_each_row_gives_its_scalars_at_its_step(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        written: list[tuple[str, float, int]] = []

        class Writer:
            def __init__(self, folder: str) -> None:
                assert folder == str(tmp_path)

            def add_scalar(self, name: str, value: float, step: int) -> None:
                written.append((name, value, step))

            def flush(self) -> None: ...
            def close(self) -> None: ...

        fake = types.ModuleType("torch.utils.tensorboard")
        fake.SummaryWriter = Writer  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", fake)
        with TensorBoard(tmp_path) as board:
            board.add(ROW)
            board.add(replace(ROW, step=200, samples_seen=9400, seconds=70.0))
        speeds = {step: value for name, value, step in written if name == "speed/images per second"}
        assert speeds == {100: pytest.approx(6400 / 60), 200: pytest.approx(300)}  # 3,000 samples in the 10 s between
        names = {
            "loss",
            "validation/CER",
            "validation/exact match",
            "speed/images per second",
            "speed/data wait",
            "learning rate",
        }
        assert {name for name, _, _ in written} == names | {"learning rate"}
