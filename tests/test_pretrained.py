"""The models that come with crnnocr, and the recipe that makes them."""

from __future__ import annotations

import hashlib
import io
import json
import sys
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import Levenshtein
import pytest
from cards import trained_card
from drawn import TEXTS, drawn, framed, with_noise
from PIL import Image

from crnnocr.config import DecodeConfig, Orientation, Precision, ReadConfig
from crnnocr.inference.engines import DERIVED, OnnxEngine
from crnnocr.inference.recognizer import Recognizer
from crnnocr.model import registry

ROOT = Path(__file__).parents[1]
REAL = ROOT / "tests/data/real"
FOLDERS = sorted(path for path in (Path(registry.__file__).parent / "pretrained").iterdir() if path.is_dir())
LIMITS = {"en-fast": 6e6, "en": 15e6, "en-base": 22e6}
"""Maximum bytes of a model with its ONNX file."""


def test_all_are_there_and_not_large() -> None:
    assert {folder.name for folder in FOLDERS} == set(registry.PRETRAINED)
    for folder in FOLDERS:
        assert sum(path.stat().st_size for path in folder.iterdir()) <= LIMITS[folder.name]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_its_onnx_file_is_derived_from_its_weights(folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} == {registry.WEIGHTS, DERIVED[Precision.INT8]}
    engine = OnnxEngine((folder / DERIVED[Precision.INT8]).read_bytes())
    assert engine.source_hash == hashlib.sha256((folder / registry.WEIGHTS).read_bytes()).hexdigest()


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_it_reads_real_crops(folder: Path) -> None:
    rows = [json.loads(line) for line in (REAL / "metadata.jsonl").read_text(encoding="utf-8").splitlines()]
    predictions = list(Recognizer.load(str(folder), "cpu").predict([REAL / row["file_name"] for row in rows]))
    distances = [Levenshtein.distance(row["text"], found.text) for row, found in zip(rows, predictions, strict=True)]
    assert sum(distances) < 0.05 * sum(len(row["text"]) for row in rows)


def texts_read(folder: Path, images: Sequence[Image.Image]) -> list[str]:
    return [found.text for found in Recognizer.load(str(folder), "cpu").predict(images)]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
@pytest.mark.parametrize("margin", [10, 20, 40, 60, 120])
def test_it_reads_text_that_is_small_in_its_crop(folder: Path, margin: int) -> None:
    crops = [with_noise(drawn(text, margin=margin, ink=20, paper=235), 3) for text in TEXTS]
    assert sum(map(str.__eq__, texts_read(folder, crops), TEXTS)) >= len(TEXTS) - 1


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
@pytest.mark.parametrize("margin", [4, 40])
def test_it_reads_text_that_hardly_differs_from_its_paper(folder: Path, margin: int) -> None:
    for paper, difference in ((128, 2), (230, 4), (60, -6)):
        crops = [drawn(text, margin=margin, ink=paper - difference, paper=paper) for text in TEXTS]
        assert sum(map(str.__eq__, texts_read(folder, crops), TEXTS)) >= len(TEXTS) - 1


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_it_reads_nothing_on_blank_paper(folder: Path) -> None:
    blanks = []
    for i, (deviation, width) in enumerate(product((0, 0.5, 1, 3, 8), (40, 90, 200, 400))):
        blank = with_noise(Image.new("L", (width, 40), 150 + 4 * i), deviation, seed=i)
        jpeg = io.BytesIO()
        blank.save(jpeg, "JPEG", quality=(95, 75, 40)[i % 3])
        blanks += [blank, Image.open(jpeg)]
    found = list(Recognizer.load(str(folder), "cpu").predict(blanks))
    assert all(not one.text or one.confidence < 0.5 for one in found)
    assert sum(not one.text for one in found) >= len(blanks) - 1


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_it_reads_lines_that_are_upside_down_and_turns_no_upright_one(folder: Path) -> None:
    crops = [drawn(text) for text in TEXTS]
    turned = [crop.transpose(Image.Transpose.ROTATE_180) for crop in crops]
    found = list(Recognizer.load(str(folder), "cpu").predict([*crops, *turned], read=ReadConfig(characters=True)))
    upright, upside_down = found[: len(TEXTS)], found[len(TEXTS) :]
    assert {one.orientation for one in upright} == {Orientation.HORIZONTAL}
    assert sum(one.text == text for one, text in zip(upside_down, TEXTS, strict=True)) >= 6
    for one, text in zip(upside_down, TEXTS, strict=True):
        if one.text == text:
            assert one.orientation is Orientation.UPSIDE_DOWN
            assert [character.start for character in one.characters] == sorted(c.start for c in one.characters)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_row_of_single_digits_keeps_its_spaces_or_is_in_doubt(folder: Path) -> None:
    rows = ["7 8 4", "4 0 7 5", "6 9 6", "2 5 3 8 0"]
    found = list(Recognizer.load(str(folder), "cpu").predict([drawn(text) for text in [*rows, "784", "4075", "25380"]]))
    for one, text in zip(found[:4], rows, strict=True):
        assert one.text == text or one.confidence < 0.5
    assert all(one.confidence > 0.5 for one in found[4:])


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_it_turns_lines_that_look_like_texts_upside_down(folder: Path) -> None:
    texts = ["Bread 600", "Sold 908 pieces", "House of Glass", "Best before 2026", "Upside down line"]
    turned = [drawn(text).transpose(Image.Transpose.ROTATE_180) for text in texts]
    assert texts_read(folder, turned) == texts


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_it_reads_two_rows_one_after_the_other(folder: Path) -> None:
    rows = [(TEXTS[i], TEXTS[-i]) for i in range(1, len(TEXTS))]
    images = [drawn(*pair, margin=margin) for pair in rows for margin in (4, 30)]
    found = Recognizer.load(str(folder), "cpu").predict(images, read=ReadConfig(rows=2))
    expected = [" ".join(pair) for pair in rows for _ in range(2)]
    assert sum(one.text == text and not one.warning for one, text in zip(found, expected, strict=True)) >= len(images) - 3


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
@pytest.mark.parametrize("decode", [DecodeConfig(), DecodeConfig(beam=5), DecodeConfig(top_k=2)])
def test_it_is_sure_of_blank_paper_however_wide_it_is(folder: Path, decode: DecodeConfig) -> None:
    widths = (16, 60, 250, 1000, 2000)
    blanks = [with_noise(Image.new("L", (width, 40), 225), 2, seed=width) for width in widths]
    found = list(Recognizer.load(str(folder), "cpu").predict(blanks, decode))
    assert [one.text for one in found] == [""] * len(widths)
    assert all(one.confidence > 0.95 for one in found)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
@pytest.mark.parametrize("row", ["1 2 3 4 5", "A B C D", "7 F 3 K 9"])
def test_a_row_of_single_characters_keeps_its_spaces_or_is_in_doubt(folder: Path, row: str) -> None:
    glyphs = [drawn(character, margin=0) for character in row.split()]
    crops = []
    for gap in (20, 40, 80):
        pitch = glyphs[0].width + gap
        crop = Image.new("L", (pitch * len(glyphs) + 16, max(glyph.height for glyph in glyphs) + 12), 235)
        for i, glyph in enumerate(glyphs):
            crop.paste(glyph, (8 + i * pitch, crop.height - 6 - glyph.height))
        crops.append(crop)
    recognizer = Recognizer.load(str(folder), "cpu")
    for found in recognizer.predict(crops):
        assert found.text == row or found.confidence < 0.5
    # Whoever says that there are no spaces is believed.
    together = row.replace(" ", "")
    for decode in (DecodeConfig(allow=together), DecodeConfig(pattern=r"\w+")):
        assert max(found.confidence for found in recognizer.predict(crops, decode) if found.text == together) > 0.8


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
@pytest.mark.parametrize("gap", [40, 120, 250])
def test_a_price_column_reads_with_one_space(folder: Path, gap: int) -> None:
    parts = [(drawn(name, margin=6), drawn(price, margin=6)) for name, price in (("Subtotal", "49.50"), ("Coffee", "6.40"))]
    crops = []
    for i, (name, price) in enumerate(parts):
        crop = Image.new("L", (name.width + price.width + gap + 60 * i, name.height), name.getpixel((0, 0)))
        crop.paste(name, (60 * i, 0))
        crop.paste(price, (60 * i + name.width + gap, 0))
        crops.append(crop)
    for decode in (DecodeConfig(), DecodeConfig(beam=5)):
        found = list(Recognizer.load(str(folder), "cpu").predict(crops, decode))
        assert [one.text for one in found] == ["Subtotal 49.50", "Coffee 6.40"]
        assert all(one.confidence > 0.5 for one in found)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
@pytest.mark.parametrize("text", ["42", "(1)", "a_b", "i.", "B12"])
def test_it_reads_short_text_that_is_small_in_its_crop(folder: Path, text: str) -> None:
    assert texts_read(folder, [drawn(text, margin=40), drawn(text, margin=60)]) == [text, text]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_it_reads_text_in_frames_and_between_rules(folder: Path) -> None:
    for gap, paper in ((4, 0), (8, 4), (12, 12), (20, 30)):
        crops = [framed(drawn(text, margin=0), gap=gap, paper=paper) for text in TEXTS]
        assert sum(map(str.__eq__, texts_read(folder, crops), TEXTS)) >= len(TEXTS) - 1


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_its_card_gives_scores_on_real_crops_and_the_license(folder: Path) -> None:
    card, record = trained_card(folder / registry.WEIGHTS)
    about = record.about
    assert about
    assert card.name == folder.name
    assert about.licence == "Apache-2.0"
    for score in ("words: alnum %", "lines: CER %", "receipts: CER ci-ns %"):
        found = about.real_crops[score]
        assert 0 <= found.low < found.value < found.high <= 1
        assert found.pictures > 100


def test_texts_of_the_measured_protocol_are_never_trained_on(monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("recipes", "benchmarks"):
        monkeypatch.syspath_prepend(str(ROOT / folder))
    import stream
    from protocol987 import MEASURE

    from crnnocr.synth.sampler import Sampler

    forbidden = Sampler(MEASURE).text(3)
    assert forbidden in stream.protocol_texts()
    endless = stream.Stream(stream.STREAM)
    says = _Says(forbidden, stream.REPLACEMENTS_FROM)
    monkeypatch.setattr(endless, "_samplers", dict.fromkeys(stream.KINDS, says))
    assert [endless[index][1] for index in range(len(stream.KINDS))] == ["another"] * len(stream.KINDS)
    sys.modules.pop("stream")


class _Says:
    """Draws one text for all samples up to one, and another for those beyond."""

    def __init__(self, text: str, others: int) -> None:
        self._text, self._others = text, others

    def __getitem__(self, index: int) -> tuple[None, str]:
        return None, self._text if index < self._others else "another"
