"""The JSON and TSV of an evaluation, whose keys and columns programs rely on."""

from __future__ import annotations

import json
from pathlib import Path

from evaluations import evaluation_of, outcome, result_of

from crnnocr.evaluation.comparison import compare
from crnnocr.metrics.scores import METRICS
from crnnocr.report.json import to_json, tsv


def test_a_row_has_each_sample_and_the_prediction_of_the_other_system() -> None:
    first = [outcome("a\tb", "a\\b", name="x.png"), outcome("ab", "ab", name="y.png")]
    second = [outcome("a\tb", "a\tb", 0.5, name="x.png"), outcome("ab", "ab", name="y.png")]
    comparison = compare("a", result_of(first), "b", result_of(second))
    header, *lines = tsv(evaluation_of(first, comparison=comparison))
    found = [dict(zip(header.split("\t"), line.split("\t"), strict=True)) for line in lines]
    assert (found[0]["truth"], found[0]["reading"], found[0]["edits"], found[0]["exact"]) == ("a\\tb", "a\\\\b", "1", "0")
    assert (found[0]["other_reading"], found[0]["other_edits"], found[0]["other_confidence"]) == ("a\\tb", "0", "0.500000")
    assert (found[1]["other_reading"], found[1]["width"], found[1]["height"]) == ("ab", "100", "32")


def test_json_has_everything_but_single_samples() -> None:
    outcomes = [outcome("ab", "xb"), outcome("ab", "ab", name="y.png")]
    result = result_of(outcomes)
    found = json.loads(json.dumps(to_json(evaluation_of(outcomes, comparison=compare("a", result, "b", result)))))
    assert found["cer"] == 0.25
    assert found["intervals"]["cer"][0] <= 0.25 <= found["intervals"]["cer"][1]
    assert found["confusions"] == [{"truth": "a", "reading": "x", "count": 1}]
    assert found["compare"]["winner"] is None
    assert {each["name"] for each in found["by_class"]} == {"letters"}
    assert [each["refused"] for each in found["calibration"]["risk_coverage"]][:2] == [0.0, 0.01]


def test_every_metric_is_in_the_json() -> None:
    outcomes = [outcome("ab", "xb")]
    result = result_of(outcomes)
    found = to_json(evaluation_of(outcomes, comparison=compare("a", result, "b", result)))
    for metrics in (found, found["intervals"], found["compare"]["scores"]["first"], found["compare"]["differences"]):
        assert set(METRICS) <= set(metrics)


def keys_of(value: object) -> set[str]:
    """All keys of a JSON value, however deep."""
    if isinstance(value, dict):
        return set(value).union(*map(keys_of, value.values()))
    return set[str]().union(*map(keys_of, value)) if isinstance(value, list) else set()


def test_every_key_of_the_json_is_documented() -> None:
    outcomes = [outcome("ab", "xb"), outcome("ab", "ab", name="y.png")]
    comparison = compare("a", result_of(outcomes), "b", result_of([outcome("ab", "ab")]))
    text = (Path(__file__).parents[1] / "docs/commands.md").read_text(encoding="utf-8")
    section = text.partition("### `eval`\n")[2].partition("\n###")[0]
    keys = keys_of(to_json(evaluation_of(outcomes, comparison=comparison)))
    assert [key for key in sorted(keys) if f"`{key}`" not in section] == []


def test_a_class_without_reference_characters_has_edits_and_no_error_rate() -> None:
    letters, punctuation = to_json(evaluation_of([outcome("ab", "a,b,")]))["by_class"]
    assert (letters["characters"], letters["edits"], letters["cer"]) == (2, 0, 0)
    assert punctuation == {"name": "punctuation", "characters": 0, "edits": 2, "cer": None, "cer_interval": None}


def test_a_group_of_empty_labels_has_edits_and_no_error_rate() -> None:
    outcomes = [outcome("", "ab"), outcome("abcdef", "abcdef", name="y.png")]
    groups = to_json(evaluation_of(outcomes, {outcomes[0].sample: "empty"}))["by_source"]
    empty = next(group for group in groups if group["name"] == "empty")
    assert (empty["n"], empty["edits"], empty["cer"], empty["cer_interval"]) == (1, 2, None, None)


def test_all_sources_are_in_the_json() -> None:
    outcomes = [outcome("a", "a", name=f"{i}.png") for i in range(300)]
    sources = {each.sample: f"part {i}" for i, each in enumerate(outcomes)}
    assert len(to_json(evaluation_of(outcomes, sources))["by_source"]) == 300


def test_no_errors_give_a_bound() -> None:
    assert to_json(evaluation_of([outcome("ab", "ab", 1.0)]))["errors_below"] == 0.95
