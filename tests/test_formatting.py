"""Numbers, times and names as messages show them."""

from __future__ import annotations

import json
import os

import pytest

from crnnocr.formatting import clock, duration, enumerated, escape_controls, json_line, plural, printable_name, quoted, size


def test_a_number_of_things_is_in_the_plural_unless_it_is_one() -> None:
    assert [plural(n, "image") for n in (0, 1, 2_000)] == ["0 images", "1 image", "2,000 images"]
    assert plural(2, "label does", "labels do") == "2 labels do"


@pytest.mark.parametrize(
    ("bytes", "shown"), [(0, "0 bytes"), (999, "999 bytes"), (3_100_000, "3.1 MB"), (5e11, "500 GB"), (2e12, "2 TB")]
)
def test_sizes(bytes: float, shown: str) -> None:
    assert size(bytes) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"), [(3.14, "3.1 s"), (42, "42 s"), (99.4, "99 s"), (720, "12 min"), (7500, "2 h 5 min")]
)
def test_durations(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


@pytest.mark.parametrize(("seconds", "shown"), [(7, "0:07"), (720, "12:00"), (7500, "2:05:00")])
def test_a_clock(seconds: float, shown: str) -> None:
    assert clock(seconds) == shown


def test_long_labels_and_lists_are_cut_short() -> None:
    assert quoted("a\u200b") == r"'a\u200b'"
    assert quoted("a" * 61) == f"'{'a' * 60}…'"
    assert enumerated(list("abcdefgh")) == "a, b, c, d, e, f, g, h"
    assert enumerated(list("abcdefghij")) == "a, b, c, d, e, f, g, h and 2 more"


def test_controls_do_not_reach_the_terminal() -> None:
    assert escape_controls("a\tb\r\n\x1b[31m\x9b") == r"a\tb\r\n\x1b[31m\x9b"


def test_a_file_name_that_is_not_utf_8_can_be_shown() -> None:
    assert printable_name(os.fsdecode(b"a\xff.png")) == r"a\xff.png"


HOSTILE = "a\x1b]0;title\x07\x9b31m\x7f\r\n\u202egpj.\u2066\u2028b"


def test_what_controls_a_terminal_is_an_escape() -> None:
    assert escape_controls(HOSTILE) == r"a\x1b]0;title\x07\x9b31m\x7f\r\n\u202egpj.\u2066\u2028b"
    assert escape_controls("שלום é \u200e漢") == "שלום é \u200e漢"


def test_json_for_a_terminal_is_the_same_to_programs() -> None:
    line = json_line({"path": HOSTILE, "text": "é漢"})
    assert json.loads(line) == {"path": HOSTILE, "text": "é漢"}
    assert line.isprintable()
    assert "é漢" in line
    assert json.loads(json_line(HOSTILE, ascii=True)) == HOSTILE
