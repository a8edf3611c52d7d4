"""The page in a real browser, where there is one: what its script shows, sorts, filters and finds."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from html import unescape
from urllib.parse import urlencode

import pytest
from evaluations import HOSTILE, evidence_of, outcome, plain, result_of

from crnnocr.report.page import page

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium")

Show = Callable[..., str]


@pytest.fixture(scope="module")
def show(tmp_path_factory: pytest.TempPathFactory) -> Show:
    """Shows a page of a few samples, with what is chosen in its address; returns the page as the script has left it."""
    folder = tmp_path_factory.mktemp("page")
    outcomes = [
        outcome("total", "tota1", 0.9, "b.png"),
        outcome("a b c", "abc", 0.2, "a.png"),
        outcome("right", "right", 0.99, "c.png"),
        outcome(f"x{HOSTILE}", f"y{HOSTILE}", 0.5, "d.png"),
    ]
    (folder / "page.html").write_text(page(evidence_of(result_of(outcomes)), plain(outcomes)), encoding="utf-8")

    def run(**chosen: str) -> str:
        address = f"{(folder / 'page.html').as_uri()}#{urlencode(chosen)}"
        options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}", "--dump-dom"]
        command = [str(BROWSER), *options, address]
        return subprocess.run(command, capture_output=True, encoding="utf-8", check=True, timeout=120).stdout

    return run


def names(shown: str) -> list[str]:
    return re.findall(r'<bdi class="file">(.*?)</bdi>', shown)


def test_what_is_wrong_is_shown_the_most_edits_first(show: Show) -> None:
    shown = show()
    assert names(shown) == ["a.png", "b.png", "d.png"]
    assert "3 of 4" in shown


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ({"show": "all", "sort": "name"}, ["a.png", "b.png", "c.png", "d.png"]),
        ({"show": "all", "sort": "sure"}, ["c.png", "b.png", "d.png", "a.png"]),
        ({"sort": "unsure"}, ["a.png", "d.png", "b.png"]),
        ({"show": "right"}, ["c.png"]),
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
    assert "onerror" not in re.sub(r"<[^>]*>", "", shown) or "<img src=x" not in shown
    above = [unescape(character) for character in re.findall(r'<span class="col \w+"><span[^>]*>(.*?)</span>', card)]
    text = HOSTILE.replace("\u202e", "U+202E").replace("\u2028", "U+2028")
    assert "".join(above).replace("\u00a0", " ") == f"x{text}"
    assert card.count('<span class="col sub">') == 1
