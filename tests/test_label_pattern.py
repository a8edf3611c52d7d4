"""The form of labels that are codes."""

from __future__ import annotations

import re

import numpy as np
import pytest

from crnnocr.text.label_pattern import induce

NUMBERS = ["KX 4711", "AB 0815", "CD 1234", "EF 9912", "AA 7777", "ZZ 1010", "QA 9182", "PQ 1123"]
PLATES = ["皖A12345", "皖B1X345", "京C9Y999", "皖AZ2315", "沪A00001", "皖D73510", "皖A4455B", "皖E10203"]
LENGTHS = ["12-345", "12-346", "77-812", "77-919", "12-1", "55-2", "80-1", "99-333", "41-7", "26-8"]
WORDS = ["Carpark", "EXIT", "Genaxis", "Theatre", "62-03", "the", "of", "Level", "Lobby", "Push", "Please"]


@pytest.mark.parametrize(
    ("labels", "regex"),
    [
        (NUMBERS, r"[A-Z]{2} \d{4}"),
        (PLATES, r"[京沪皖][A-Z][0-9A-Z]{2}\d{2}[0-9A-Z]"),
        (LENGTHS, r"\d{2}\-\d{3}|\d{2}\-\d"),
    ],
    ids=["numbers", "plates", "lengths"],
)
def test_the_form_is_a_regular_expression_that_labels_and_new_texts_match(labels: list[str], regex: str) -> None:
    pattern = induce(labels)
    assert pattern is not None
    assert pattern.regex == regex
    rng = np.random.default_rng(0)
    texts = [pattern.text(rng) for _ in range(300)]
    assert all(re.fullmatch(regex, text) for text in texts + labels)
    assert set("".join(texts + labels)) <= set(pattern.characters)
    assert len(set(texts)) > 200


def test_what_stands_at_a_place_comes_as_often_as_it_was_seen() -> None:
    pattern = induce(PLATES)
    assert pattern is not None
    rng = np.random.default_rng(1)
    first = [pattern.text(rng)[0] for _ in range(1000)]
    assert 700 < first.count("皖") < 800  # of six in eight


def test_many_characters_of_a_place_are_cut() -> None:
    pattern = induce([f"{character}123{i}" for i, character in enumerate("云冀川新桂浙甘皖粤苏")])
    assert pattern is not None
    assert pattern.regex.startswith("[云冀川新桂浙甘皖…]")


@pytest.mark.parametrize(
    "labels",
    [WORDS, NUMBERS[:7], [], [""] * 20, [f"{10**i}" for i in range(12)], ["12-345", "80-112"] * 9],
    ids=["words", "too few", "none", "empty", "of any length", "the same"],
)
def test_other_labels_have_no_form(labels: list[str]) -> None:
    assert induce(labels) is None
