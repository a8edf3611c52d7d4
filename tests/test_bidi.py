"""Which character stands where on paper."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crnnocr.text.bidi import visual
from crnnocr.text.charset import Charset


@pytest.mark.parametrize(
    ("logical", "on_paper"),
    [
        ("", ""),
        ("abc 12", "abc 12"),
        ("אבג", "גבא"),
        ("אב גד", "דג בא"),
        ("אב 123 גד", "דג 123 בא"),
        ("אב 12.50", "12.50 בא"),
        ("אב 12-13", "12-13 בא"),
        ("אב 50%", "50% בא"),
        ("אבגד abc הו", "וה abc דגבא"),
        ("אב abc def גד", "בא abc def דג"),
        ("abc אב גד def", "abc דג בא def"),
        ("(אב)", "(בא)"),
        ("אב!", "!בא"),
        ("سعر ١٢٫٥", "١٢٫٥ رعس"),
        ("בּג", "גבּ"),
    ],
)
def test_a_text_and_how_it_stands_on_paper(logical: str, on_paper: str) -> None:
    """By hand, by UAX #9; a dot in a letter stays behind its letter."""
    assert visual(logical) == on_paper
    assert visual(on_paper) == logical


@given(st.lists(st.sampled_from(["אבג", "של", "abc", "x", "مرحبا", " ", ", ", "(", ")", "! "]), max_size=8))
def test_letters_and_signs_come_back(parts: list[str]) -> None:
    text = "".join(parts).strip()
    once = visual(text)
    assert sorted(once.replace(")", "(")) == sorted(text.replace(")", "("))
    assert visual(visual(visual(text))) == once


def test_class_ids_run_from_left_to_right() -> None:
    charset = Charset.from_texts(["(אבג", "abc"])
    assert ")" in charset.characters, "which is what stands there"
    assert charset.encode("אבג") == list(reversed([charset.encode(c)[0] for c in "אבג"]))
    assert charset.decode(charset.encode("(אבג")) == "(אבג"
    assert charset.decode(charset.encode("abc")) == "abc"
