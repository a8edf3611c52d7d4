"""The HTML page in a real browser, if there is one: what its script shows, sorts, filters and finds."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html import unescape
from pathlib import Path
from urllib.parse import urlencode

import chromium
import numpy as np
import pytest
from evaluations import HOSTILE, evaluation_of, outcome

from crnnocr.report.html import render_page

Show = Callable[..., str]

ON_PAPER = HOSTILE.replace("\u202e\u2028x", "x\u2028")
"""A hostile label as it stands on paper, where an override of the direction acts and is not seen."""
READY = "document.readyState === 'complete' && document.getElementById('count')?.textContent"


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of a few samples."""
    outcomes = [
        outcome("total", "tota1", 0.9, "b.png"),
        outcome("a b c", "abc", 0.2, "a.png"),
        outcome("right", "right", 0.99, "c.png"),
        outcome(f"x{HOSTILE}", f"y{ON_PAPER}", 0.5, "d.png"),
    ]
    path = tmp_path_factory.mktemp("page") / "page.html"
    path.write_text(render_page(evaluation_of(outcomes)), encoding="utf-8")
    return path


@pytest.fixture
def show(browser: chromium.Chromium, few: Path) -> Show:
    """Opens the page of a few samples with choices in its address, and returns its HTML after the script has run."""

    def run(**chosen: str) -> str:
        browser.open("about:blank", "location.href === 'about:blank'")  # a change of the fragment alone loads nothing
        browser.open(f"{few.as_uri()}#{urlencode(chosen)}", READY)
        return str(browser.evaluate("document.documentElement.outerHTML"))

    return run


def names(shown: str) -> list[str]:
    return re.findall(r'<bdi class="file">(.*?)</bdi>', shown)


def test_wrong_predictions_are_shown_with_the_most_edits_first(show: Show) -> None:
    shown = show()
    assert names(shown) == ["a.png", "b.png", "d.png"]
    assert "3 of 4" in shown


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ({"show": "all", "sort": "name"}, ["a.png", "b.png", "c.png", "d.png"]),
        ({"show": "all", "sort": "confident"}, ["c.png", "b.png", "d.png", "a.png"]),
        ({"sort": "uncertain"}, ["a.png", "d.png", "b.png"]),
        ({"show": "correct"}, ["c.png"]),
        ({"show": "all", "find": "TOTA"}, ["b.png"]),
        ({"show": "all", "find": "c.png"}, ["c.png"]),
        ({"edit": json.dumps(["l", "1"])}, ["b.png"]),
        ({"edit": json.dumps([" ", ""])}, ["a.png"]),
        ({"find": "nowhere"}, []),
        ({"show": "<script>"}, ["a.png", "b.png", "d.png"]),
    ],
)
def test_samples_are_sorted_filtered_and_found(chosen: dict[str, str], expected: list[str], show: Show) -> None:
    assert names(show(**chosen)) == expected


def test_a_hostile_label_is_shown_as_the_text_it_is(show: Show) -> None:
    shown = show(find="alert", sort="name")
    (card,) = re.findall(r'<li><div class="diff".*?</li>', shown, flags=re.DOTALL)
    assert "<img src=x" not in shown
    above = [unescape(character) for character in re.findall(r'<span class="col \w+"><span[^>]*>(.*?)</span>', card)]
    assert "".join(above).replace("\u00a0", " ") == f"x{ON_PAPER}".replace("\u2028", "U+2028")
    assert card.count('<span class="col sub">') == 1


def luminance(color: str) -> float:
    """How light `rgb(r, g, b)` is, 0 to 1 (WCAG 2.1, relative luminance)."""
    linear = [((int(value) / 255 + 0.055) / 1.055) ** 2.4 for value in re.findall(r"\d+", color)]
    return float(np.dot(linear[:3], [0.2126, 0.7152, 0.0722]))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_page_follows_the_color_scheme_and_has_enough_contrast(scheme: str, browser: chromium.Chromium, show: Show) -> None:
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.call("Emulation.setEmulatedMedia", features=features)
    show()

    def light(selector: str, what: str) -> float:
        return luminance(browser.evaluate(f"getComputedStyle(document.querySelector('{selector}')).{what}"))

    paper = light("body", "backgroundColor")
    assert (paper > 0.5) == (scheme == "light")
    for ink in (light(selector, "color") for selector in ("h1", ".note", ".edits")):
        assert (max(paper, ink) + 0.05) / (min(paper, ink) + 0.05) >= 4.5  # WCAG 2.1, 1.4.3


@pytest.mark.parametrize("n", [5_000, pytest.param(50_000, marks=pytest.mark.slow)])
def test_a_page_of_many_samples_opens_and_can_be_searched(n: int, browser: chromium.Chromium, tmp_path: Path) -> None:
    outcomes = [
        outcome(f"number {i:05d} of many", f"number {i:05d} of man{'yu'[i % 3 == 0]}", i / n, f"folder/{i:05d}.png")
        for i in range(n)
    ]
    (tmp_path / "page.html").write_text(render_page(evaluation_of(outcomes)), encoding="utf-8")
    browser.open((tmp_path / "page.html").as_uri(), f"location.href.includes('{tmp_path.name}') && {READY}")
    assert browser.evaluate("document.getElementById('count').textContent") == f"{(n + 2) // 3:,} of {n:,}"
    browser.evaluate(
        "(() => { const search = document.getElementById('search'); search.value = '04998';"
        "search.dispatchEvent(new Event('input', {bubbles: true})) })()"
    )
    browser.wait(f"document.getElementById('count').textContent === '1 of {n:,}'")
    assert browser.evaluate("document.querySelector('.file').textContent") == "04998.png"
