"""The terminal tables and lines of an evaluation."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from evaluations import evaluation_of, outcome, result_of

from crnnocr.datasets import Sample
from crnnocr.evaluation.comparison import compare
from crnnocr.evaluation.outcomes import score_samples
from crnnocr.inference.recognizer import Prediction
from crnnocr.report import terminal
from crnnocr.report.html import render_page


def test_no_errors_give_a_bound_and_no_interval() -> None:
    evaluation = evaluation_of([outcome("ab", "ab", 1.0)])
    assert any("fewer than 95.00% of such images" in line for line in terminal.lines(evaluation))
    assert "0.00% – 0.00%" not in str(list(terminal.tables(evaluation)))


def test_an_error_rate_without_characters_is_a_dash() -> None:
    by_class = list(terminal.tables(evaluation_of([outcome("ab", "a,b,")])))[1]
    assert ("punctuation", "0", "2", "–", "–") in by_class.rows
    outcomes = [outcome("", "ab"), outcome("abcdef", "abcdef", name="y.png")]
    by_source = list(terminal.tables(evaluation_of(outcomes, {outcomes[0].sample: "empty"})))[3]
    assert ("empty", "1", "–", "–", "0.00%") in by_source.rows


def test_of_many_sources_only_the_largest_are_shown() -> None:
    outcomes = [outcome("a", "a", name=f"{i}.png") for i in range(301)]
    sources = {each.sample: f"part {min(i, 299)}" for i, each in enumerate(outcomes)}
    rows = list(terminal.tables(evaluation_of(outcomes, sources)))[3].rows
    assert len(rows) == 21
    assert rows[0][:2] == ("part 299", "2")
    assert rows[-1][0] == "and 280 more, in the JSON and the page"


def test_one_of_something_is_singular() -> None:
    evaluation = evaluation_of([outcome("ab", "xb")])
    text = f"{list(terminal.tables(evaluation))} {list(terminal.lines(evaluation))} {render_page(evaluation)}"
    assert not re.findall(r"\b1 (?:images|threads|edits|labels)\b", text)


def test_rejecting_good_predictions_is_shown_as_it_is() -> None:
    outcomes = [outcome("ab", "ab" if i < 10 else "xb", 0.2 if i < 10 else 0.9, f"{i}.png") for i in range(20)]
    line = next(line for line in terminal.lines(evaluation_of(outcomes)) if line.startswith("reject the 20%"))
    assert "CER is 31.25%, exact match 37.50%" in line  # 10 edits in 2 · 16 characters; over all samples 10 in 40


def test_an_image_in_a_database_is_named_by_its_key() -> None:
    sample = Sample(Path("L"), "ab", "image-000000007")
    first, second = (score_samples([(sample, Prediction(text, 0.9, size=(9, 9)))]) for text in ("ab", "xb"))
    lines = list(terminal.lines(evaluation_of(first.outcomes, comparison=compare("a", first, "b", second))))
    assert "  L:image-000000007  label 'ab'  a 'ab'  b 'xb'" in lines


def test_a_cut_list_says_where_the_rest_is() -> None:
    first, second = ([outcome("ab", each, name=f"{i}.png") for i in range(14)] for each in ("ab", "xb"))
    comparison = compare("a", result_of(first), "b", result_of(second))
    lines = list(terminal.lines(evaluation_of(first, comparison=comparison)))
    assert [line.split("  ")[2] for line in lines if line.startswith("  ") and ".png" in line] == ["label 'ab'"] * 5
    assert lines[-1] == "  … and 9 more, in the page of a report and in TSV rows"


@pytest.mark.parametrize(("columns", "kept"), [(60, 4), (80, 5), (100, 6)])
def test_a_narrow_terminal_gets_fewer_columns_and_short_titles(columns: int, kept: int) -> None:
    first, second = [outcome("ab", "xb")], [outcome("ab", "ab")]
    evaluation = evaluation_of(first, comparison=compare("a", result_of(first), "b", result_of(second)))
    *_, compared = terminal.tables(evaluation, columns)
    assert compared.header == ("", "a", "b", "difference, points", "95% interval", "a better")[:kept]
    assert {len(row) for row in compared.rows} == {kept}
    assert compared.rows[1][:4] == ("character error rate (CER)" if kept == 6 else "CER", "50.00%", "0.00%", "+50.00")


def test_the_normalization_comes_first() -> None:
    assert next(iter(terminal.lines(evaluation_of([outcome("ab", "xb")])))) == "compared as: NFC"
