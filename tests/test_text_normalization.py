"""Normalization for comparison: which differences between reference and prediction do not count."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crnnocr.config import NormalizationStep
from crnnocr.errors import UsageError
from crnnocr.text.confusables import QUOTES_AND_DASHES
from crnnocr.text.normalization import Normalization


@pytest.mark.parametrize(
    ("steps", "a", "b"),
    [
        ("", "e\u0301", "é"),
        ("nfkc", "ﬁ①Ａ", "fi1A"),
        ("case", "STRASSE", "straße"),
        ("spaces", "a \u00a0b\u3000c ", "abc"),
        ("quotes", "“a”–‘b’", "\"a\"-'b'"),
        ("nfkc,case", "ＦＦ", "ﬀ"),
        ("quotes,spaces,case", "« A »", '"a"'),
        ("case,quotes", "ŉ", "'n"),
    ],
)
def test_differences_that_do_not_count(steps: str, a: str, b: str) -> None:
    normalize = Normalization.parse([steps] if steps else [])
    assert normalize(a) == normalize(b)
    assert normalize(normalize(a)) == normalize(a)
    if steps:
        assert Normalization()(a) != Normalization()(b)


COMBINATIONS = [Normalization(steps) for n in range(len(NormalizationStep) + 1) for steps in combinations(NormalizationStep, n)]


@pytest.mark.parametrize("normalize", [each for each in COMBINATIONS if NormalizationStep.QUOTES in each.steps], ids=str)
def test_kinds_of_quotes_and_dashes_are_equal_whatever_else_does_not_count(normalize: Normalization) -> None:
    for plain, kinds in QUOTES_AND_DASHES.items():
        assert {kind: normalize(f"a{kind}b") for kind in kinds} == dict.fromkeys(kinds, f"a{plain}b")


@given(st.text(max_size=20) | st.text("ŉﬁǰΐẞİςΣ´″‴¨ŀ①Ａ\u0345\u0301\u0307ſ’ ", max_size=8))
def test_normalizing_twice_changes_nothing_more(text: str) -> None:
    for normalize in COMBINATIONS:
        assert normalize(normalize(text)) == normalize(text)


def test_steps_are_named_in_one_order() -> None:
    assert str(Normalization()) == "NFC"
    assert str(Normalization.parse(["spaces", "case,nfkc"])) == "NFKC, without case, without spaces"
    assert Normalization.parse(["spaces,case"]) == Normalization.parse(["case", "spaces"])
    with pytest.raises(UsageError, match="takes one or more of nfc, nfkc, case, spaces, quotes, with commas"):
        Normalization.parse(["cases"])
