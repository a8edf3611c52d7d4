"""The HTML page: what it shows, that labels cannot break out of it, and how large it gets."""

from __future__ import annotations

import json
import os
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from columns import recognizer_of_columns
from evaluations import HOSTILE, draw, evaluation_of, outcome

from crnnocr.config import DecodeConfig
from crnnocr.datasets import Sample
from crnnocr.datasets.detection import load_datasets
from crnnocr.evaluation.evaluate import Evaluation, Evaluator
from crnnocr.evaluation.outcomes import System, score_samples
from crnnocr.report.html import heatmap, page_samples, render_page
from crnnocr.text.charset import canonical


@pytest.fixture
def system() -> System:
    recognizer = recognizer_of_columns()
    return System("columns", recognizer, recognizer.decoder(DecodeConfig()))


class Tags(HTMLParser):
    """The tags of a page with their attributes, and its text outside of scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[str] = []
        self.data: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]

    def handle_data(self, data: str) -> None:
        if self.tags[-1:] not in (["script"], ["style"]):
            self.data.append(data)


def test_hostile_labels_and_names_are_text_and_never_markup() -> None:
    names = [f"{HOSTILE}.png", os.fsdecode(b"\xff\xfe.png")]
    outcomes = [outcome(f"a{HOSTILE}", f"b{HOSTILE}", name=name) for name in names]
    sources = {each.sample: HOSTILE + str(i) for i, each in enumerate(outcomes)}
    hostile = render_page(evaluation_of(outcomes, sources=sources, unknown=[HOSTILE]))
    mild = [outcome("ab", "bb"), outcome("ab", "bb", name="y.png")]
    tame = render_page(evaluation_of(mild, sources={mild[0].sample: "part"}, unknown=["x"]))
    assert set(Tags(hostile).tags) <= set(Tags(tame).tags)
    assert Tags(hostile).tags.count("script") == 2
    assert not [name for name in Tags(hostile).attributes if name.startswith("on")]
    text = "".join(Tags(hostile).data)
    assert "{{ 7*7 }}" in text
    assert "49" not in text
    data = json.loads(re.findall(r'<script type="application/json" id="rows">(.*?)</script>', hostile, flags=re.DOTALL)[0])
    assert {row[1] for row in data["rows"]} == {canonical(f"a{HOSTILE}")}
    assert {row[0] for row in data["rows"]} == {
        f"{HOSTILE}.png".replace("\u202e\u2028", r"\u202e\u2028"),
        "\\xff\\xfe.png",
    }
    hostile.encode("utf-8")


def test_a_page_loads_nothing_and_runs_only_its_own_script() -> None:
    text = render_page(evaluation_of([outcome("ab", "bb")]))
    assert "default-src 'none'" in text
    assert not re.findall(r'(?:src|href)="(?!#)', text)
    assert not re.findall(r"https?://", text)


def many_samples(n: int) -> Evaluation:
    """One third of wrong predictions of 40 characters."""
    rng = np.random.default_rng(5)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz ÄÖÜ0123456789"))
    outcomes = []
    for i in range(n):
        reference = "".join(rng.choice(letters, 40))
        predicted = reference if i % 3 else reference[:5] + "x" + reference[7:]
        outcomes.append(outcome(reference, predicted, float(rng.random()), f"some/folder/image-{i:06d}.png"))
    return evaluation_of(outcomes)


def test_fifty_thousand_samples_take_less_than_12_mb() -> None:
    few, more = (len(render_page(many_samples(n)).encode()) for n in (500, 1500))
    assert few + (50_000 - 500) * (more - few) / 1000 < 12e6


@pytest.mark.slow
def test_a_page_of_fifty_thousand_samples_is_under_12_mb() -> None:
    text = render_page(many_samples(50_000))
    assert len(text.encode()) < 12e6
    assert "50,000 images" in text


def largest_page(n: int) -> Evaluation:
    """Samples, sources, data sets and unknown characters whose names take as many bytes in a page as possible."""
    label = "<>&'" * 50  # each is six bytes in a page
    outcomes = [outcome(label, label[:-1] + "x", name=f"{'&' * 100}/{i % (n // 4)}/{i}.png") for i in range(n)]
    sources = {each.sample: f"{'&' * 200}{i % (n // 4)}" for i, each in enumerate(outcomes)}
    data, unknown = (tuple(f"{kind}{'&' * 200}{i}" for i in range(n // 4)) for kind in ("folder", "character"))
    return evaluation_of(outcomes, sources=sources, data=data, unknown=unknown)


def test_samples_take_no_more_than_their_share_of_a_page() -> None:
    found = page_samples(largest_page(1200), max_row_bytes=500_000)
    assert 490_000 < len(found.to_html(None).encode()) < 501_000
    text = render_page(largest_page(1200), max_row_bytes=500_000)
    assert f"and {300 - 100:,} more" in text  # data sets, and characters
    assert f"And {300 - 200:,} more, of fewer images" in text


@pytest.mark.slow
def test_a_page_is_always_under_20_mb() -> None:
    text = render_page(largest_page(20_000))
    assert 10e6 < len(text.encode()) < 20e6
    assert f"and {5000 - 100:,} more" in text
    assert f"And {5000 - 200:,} more, of fewer images" in text


def test_a_page_without_room_leaves_out_the_best_samples(system: System, tmp_path: Path) -> None:
    draw(tmp_path / "a.png", "a")
    outcomes = [outcome("x" * 40, ("x" if i % 2 else "y") * 40, name=str(tmp_path / "a.png")) for i in range(1000)]
    evaluation = evaluation_of(outcomes)
    found = page_samples(evaluation, system, max_row_bytes=50_000)
    assert 0 < len(found.rows) < 500
    assert found.left_out == 1000 - len(found.rows)
    assert all(row[2] != 0 for row in found.rows)
    assert f"no room in this page for the best {found.left_out} images" in render_page(evaluation, max_row_bytes=50_000)


def test_the_worst_samples_have_images_and_the_confidence_of_each_character(system: System, tmp_path: Path) -> None:
    for name, text in (("a.png", "ab"), ("b.png", "ba"), ("c.png", "aa")):
        draw(tmp_path / name, text)
    samples = [Sample(tmp_path / name, label) for name, label in (("a.png", "ab"), ("b.png", "aa"), ("c.png", "bbb"))]
    found = page_samples(evaluation_of(score_samples(system.predict(samples)).outcomes), system)
    assert [row[0] for row in found.rows] == ["c.png", "b.png", "a.png"]
    assert found.rows[2][2] == 0
    assert found.rows[1][1:3] == ["aa", "ba"]
    assert found.rows[1][4:6] == [24, 8]
    assert found.rows[1][7] == [0, 0, 0]
    assert sorted(found.images) == [0, 1, 2]
    image, confidences = found.images[1]
    assert image.startswith("data:image/jpeg;base64,")
    assert len(confidences) == 2
    assert all(50 < percent <= 100 for percent in confidences)


def test_the_heatmap_counts_deletions_and_insertions_too() -> None:
    outcomes = [outcome("abc", "xbc"), outcome("abc", "xb"), outcome("abc", "abcc", name="y.png")]
    found = heatmap(evaluation_of(outcomes).analysis.confusions)
    cells = {(str(cell.edit), cell.count) for _, row in found.rows for cell in row if cell}
    assert cells == {("a → x", 2), ("c lost", 1), ("c added", 1)}
    assert (found.shown, found.total) == (4, 4)
    assert found.columns[-1] == "lost"
    assert found.rows[-1][0] == "added"


def test_a_page_without_errors_gives_a_bound_and_no_interval() -> None:
    text = render_page(evaluation_of([outcome("ab", "ab", 1.0)]))
    assert "None." in text
    assert "no error seen: fewer than 95.00% of such images have one" in text
    assert "0.00% – 0.00%" not in text


def test_error_rates_without_characters_are_dashes() -> None:
    assert re.search(r">2</td>\s*<td[^>]*>–</td><td[^>]*>–</td>", render_page(evaluation_of([outcome("ab", "a,b,")])))


def test_a_page_names_every_model_whose_training_data_is_left_out() -> None:
    text = render_page(evaluation_of([outcome("ab", "ab")], models=("good", "data"), trained_on=58))
    assert "left out, because good or data was trained on them" in text


def test_a_page_of_an_evaluation_shows_its_images(system: System, tmp_path: Path) -> None:
    draw(tmp_path / "a.png", "ab")
    (tmp_path / "labels.tsv").write_text("a.png\tbb\n")
    assert "data:image/jpeg" in render_page(Evaluator(load_datasets([tmp_path]), system).run(), system)


def test_names_change_no_direction_and_hold_no_controls() -> None:
    name = "a\u202egnp\x1b\u2066.exe"
    outcomes = [outcome("x", "y", name=f"folder/{name}.png"), outcome("x", "x", name="folder/b.png")]
    sources = {each.sample: name for each in outcomes}
    page = render_page(evaluation_of(outcomes, sources, models=(name,), data=(name,)))
    assert not {"\u202e", "\u2066", "\x1b"} & set(page)
    assert page.count("a\\u202egnp\\x1b\\u2066.exe") >= 4
