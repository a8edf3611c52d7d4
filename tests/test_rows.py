"""Two rows of text are read one after the other as one line, by every command alike."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from drawn import TEXTS, drawn, framed, with_noise
from PIL import Image

from crnnocr.config import ExportConfig, ReadConfig, TrainConfig
from crnnocr.errors import ModelError, UsageError
from crnnocr.export.folder import serialize_onnx
from crnnocr.images import Preprocessor, View, seen
from crnnocr.images.rows import joined
from crnnocr.inference.recognizer import Recognizer
from crnnocr.model import checkpoint
from crnnocr.model.card import Card

PLATES = [("KA 05", "MN 1832"), ("59", "60"), ("AB", "1234"), ("Total", "49.50"), ("page 17", "of 120"), ("MH 12", "DE 1433")]


@pytest.mark.parametrize("lines", PLATES)
def test_the_rows_stand_side_by_side_with_a_gap(lines: tuple[str, str]) -> None:
    for image in (drawn(*lines), drawn(*lines, margin=40), framed(drawn(*lines), gap=6), with_noise(drawn(*lines), 8)):
        line = joined(image)
        assert line.width / line.height > 1.8 * image.width / image.height
        dark = np.flatnonzero((np.asarray(line) < 128).any(axis=0))
        gaps = np.diff(dark) - 1
        assert max(gaps) >= 0.3 * line.height


@pytest.mark.parametrize("text", [*TEXTS, "iiijjj", "ÄÖÜ", "TTT", "123"])
@pytest.mark.parametrize("margin", [0, 4, 30])
def test_an_image_of_a_single_row_stays_as_it_is(text: str, margin: int) -> None:
    image = drawn(text, margin=margin)
    assert joined(image) is image


def test_an_image_of_three_rows_stays_as_it_is_and_is_warned_of() -> None:
    page = drawn("One one", "Two two", "Three three")
    assert joined(page) is page
    (view,) = Preprocessor(40, 16, rows=2).views(page)
    assert view.ink is not None
    assert view.ink.has_several_lines


def test_a_blank_image_stays_as_it_is() -> None:
    blank = Image.new("L", (60, 40), 200)
    assert joined(blank) is blank


def test_the_preprocessor_joins_rows() -> None:
    image = drawn("KA 05", "MN 1832")
    one, two = (Preprocessor(40, 16, rows=rows).view(image) for rows in (1, 2))
    assert two.width > 1.8 * one.width
    assert (one.view.rows, two.view.rows, two.size) == (1, 2, image.size)
    assert np.array_equal(two.line, Preprocessor(40, 16).line(seen(image, View(rows=2))))


def test_a_card_says_how_many_rows_its_model_reads(tiny_model: Path) -> None:
    card, _ = checkpoint.load(tiny_model)
    assert "rows" not in card.to_json()["preprocessing"]
    plates = replace(card, rows=2).to_json()
    assert plates["preprocessing"]["rows"] == 2
    assert Card.from_text(json.dumps(plates), tiny_model) == replace(card, rows=2)
    for wrong in (0, 3, "2", True, None):
        plates["preprocessing"]["rows"] = wrong
        with pytest.raises(ModelError, match="rows"):
            Card.from_text(json.dumps(plates), tiny_model)


def test_a_recognizer_takes_the_rows_of_its_card_unless_told_otherwise(tiny_model: Path) -> None:
    recognizer = Recognizer.load(tiny_model)
    plates = Recognizer(replace(recognizer.card, rows=2), recognizer.engine)
    assert [one.preprocessor().rows for one in (recognizer, plates)] == [1, 2]
    assert [one.preprocessor(ReadConfig(rows=3 - one.card.rows)).rows for one in (recognizer, plates)] == [2, 1]


def test_a_self_contained_graph_cannot_join_rows(tiny_model: Path) -> None:
    card, model = checkpoint.load(tiny_model)
    with pytest.raises(UsageError, match="rows"):
        serialize_onnx(replace(card, rows=2), model, ExportConfig(self_contained=True))


def test_more_than_two_rows_are_no_option() -> None:
    for config in (TrainConfig, ReadConfig):
        with pytest.raises(UsageError):
            config(rows=3)
