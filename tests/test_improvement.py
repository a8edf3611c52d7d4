"""Whether a training helped: what is measured, said and drawn, and which model is used afterwards."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from click.testing import Result
from evaluations import outcome, result_of
from synthetic_sets import few

from crnnocr.datasets import Sample
from crnnocr.errors import DataError
from crnnocr.evaluation.outcomes import EvalResult
from crnnocr.inference.recognizer import Recognizer
from crnnocr.metrics.scores import METRICS
from crnnocr.model import registry
from crnnocr.training import finalize, improvement
from crnnocr.training.improvement import Improvement

RunCli = Callable[..., Result]


def results(*predictions: str) -> tuple[EvalResult, ...]:
    """Of the same 20 images labeled "abcd", as many as a prediction has "+" correct and the others empty."""
    rights = [each.count("+") for each in predictions]
    return tuple(
        result_of([outcome("abcd", "abcd" if i < right else "", name=f"{i}.png") for i in range(20)]) for right in rights
    )


@pytest.mark.parametrize(
    ("before", "after", "is_better", "verdict"),
    [
        ("", "+" * 20, True, "significantly better"),
        ("+" * 20, "", False, "significantly worse"),
        ("+" * 9, "+" * 10, True, "no significant difference"),
        ("+" * 9, "+" * 9, False, "no significant difference"),
    ],
)
def test_the_verdict_is_that_of_the_paired_comparison(before: str, after: str, is_better: bool, verdict: str) -> None:
    found = Improvement.of("en", *results(before, after))
    assert (found.is_better, found.verdict) == (is_better, verdict)
    assert (found.before.cer, found.after.cer) == (1 - len(before) / 20, 1 - len(after) / 20)


@pytest.fixture
def started(current_model: str, tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a start model, with `data` to train on and `others` in the working directory."""
    monkeypatch.chdir(tmp_path)
    few(tiny_data, tmp_path / "data", 0, 28)
    few(tiny_data, tmp_path / "others", 28, 40)
    return current_model


def train(run_cli: RunCli, start: str, *options: object) -> Result:
    result = run_cli("train", "data", "--val", "others", "--from", start, "--json", *options)
    assert result.exit_code == 0, result.stderr
    return result


def test_the_score_is_that_of_eval_before_and_after_to_the_last_digit(started: str, run_cli: RunCli) -> None:
    result = train(run_cli, started, "--steps", 60)
    found = json.loads(result.stdout)
    evaluated = json.loads(run_cli("eval", "others", "--model", "data", "--json").stdout)
    assert {key: found[key] for key in ("n", *METRICS)} == {key: evaluated[key] for key in ("n", *METRICS)}
    compared = json.loads(run_cli("eval", "others", "--model", "data", "--compare", started, "--json").stdout)["compare"]
    start = found["start"]
    assert start.pop("model") == started
    assert {key: start[key] for key in METRICS} == {key: compared["scores"]["second"][key] for key in METRICS}
    before, _after = (f"CER {each['cer']:.2%}, exact {each['exact']:.1%}" for each in (start, found))
    assert f"before training: {before} on 12 held-out images ({started})" in result.stderr
    change = (
        f"CER {start['cer']:.2%} → {found['cer']:.2%}, exact {start['exact']:.1%} → {found['exact']:.1%} on 12 held-out images"
    )
    assert f"{change}: {found['verdict']} ({started} → data)" in result.stderr
    assert found["n"] == 12


def test_the_curves_show_the_start_as_a_dashed_line(started: str, run_cli: RunCli) -> None:
    train(run_cli, started, "--steps", 2)
    svg = (registry.path_of("data").parent / "curves.svg").read_text(encoding="utf-8")
    assert len(re.findall('stroke-dasharray="7 5"', svg)) == 2  # CER and exact match
    assert f"dashed {started}" in svg


def nothing(_: Recognizer, samples: Sequence[Sample]) -> EvalResult:
    """What a model that recognizes nothing does."""
    return result_of([outcome(sample.text, "", name=sample.name) for sample in samples])


def test_what_is_better_is_used(started: str, run_cli: RunCli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(improvement, "recognize_held_out", nothing)
    found = json.loads(train(run_cli, started, "--steps", 2).stdout)
    assert found["cer"] < found["start"]["cer"] == 1
    assert found["current"]
    assert registry.find(None).name == "data"


def test_what_is_not_better_is_stored_but_not_used(started: str, run_cli: RunCli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finalize, "recognize_held_out", nothing)
    result = train(run_cli, started, "--steps", 2)
    found = json.loads(result.stdout)
    assert not found["current"]
    assert found["start"]["cer"] < found["cer"] == 1
    assert "'data' is stored, after" in result.stderr
    assert "to use this one: crnnocr models use data" in result.stderr
    assert registry.path_of("data").is_file()
    assert registry.find(None).name == started


def test_from_scratch_there_is_nothing_to_compare_with(started: str, tiny_preset: str, run_cli: RunCli) -> None:
    result = run_cli("train", "data", "--from", "scratch", "--preset", tiny_preset, "--steps", 2, "--json")
    found = json.loads(result.stdout)
    assert "before training" not in result.stderr
    assert "start" not in found
    assert found["current"]
    assert registry.find(None).name == "data"


def test_what_is_not_better_replaces_nothing(started: str, run_cli: RunCli, monkeypatch: pytest.MonkeyPatch) -> None:
    before = registry.path_of(started).read_bytes()
    monkeypatch.setattr(finalize, "recognize_held_out", nothing)
    found = json.loads(train(run_cli, started, "--steps", 2, "--name", started, "--force").stdout)
    assert found["model"] == f"{started}-2"
    assert registry.path_of(started).read_bytes() == before
    assert registry.find(None).name == started


def test_killed_after_its_start_was_replaced_a_training_ends_the_same(
    started: str, run_cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kill(_: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(improvement, "recognize_held_out", nothing)
    options = ("train", "data", "--val", "others", "--from", started, "--steps", 2, "--name", started, "--force", "--json")
    with monkeypatch.context() as patch:
        patch.setattr(registry, "make_current", kill)
        assert run_cli(*options).exit_code == 130
    monkeypatch.setattr(improvement, "recognize_held_out", recognized_again)
    result = run_cli(*options, "--resume")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert (found["start"]["cer"], found["model"], found["current"]) == (1, started, True)


def recognized_again(*_: object) -> EvalResult:
    raise AssertionError("what the start model recognized is in the run")


def test_the_time_to_measure_the_start_is_not_that_to_train(
    started: str, run_cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slowly(recognizer: Recognizer, samples: Sequence[Sample]) -> EvalResult:
        time.sleep(1)
        return nothing(recognizer, samples)

    monkeypatch.setattr(improvement, "recognize_held_out", slowly)
    result = json.loads(train(run_cli, started, "--minutes", 0.02).stdout)
    assert result["seconds"] > 1


def test_images_that_are_gone_at_the_end_cost_nothing_but_the_comparison(
    started: str, run_cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object) -> EvalResult:
        raise DataError("none of the 12 images could be read")

    monkeypatch.setattr(finalize, "recognize_held_out", gone)
    found = json.loads(train(run_cli, started, "--steps", 2).stdout)
    assert found["current"]
    assert found["n"] == 12
    assert "start" not in found
