"""The recognizer: orientations, inversion, test-time augmentation, places of characters, order and errors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
from columns import Columns, recognizer_of_columns
from drawn import drawn
from numpy.typing import NDArray
from PIL import Image

from crnnocr.config import PRESETS, Conv, DecodeConfig, Invert, Orientation, Pool, ReadConfig
from crnnocr.datasets import Sample
from crnnocr.evaluation.outcomes import score_samples
from crnnocr.images import Preprocessor, Source
from crnnocr.inference.recognizer import NO_TEXT_FITS, SEVERAL_LINES, Prediction, Recognizer
from crnnocr.inference.views import Candidate

Floats = NDArray[np.float32]


@pytest.fixture
def recognizer() -> Recognizer:
    return recognizer_of_columns()


def image_of(width: int, *spots: tuple[int, int, int]) -> Image.Image:
    """White, 8 pixels high, with spots (from, to, gray)."""
    pixels = np.full((8, width), 255, np.uint8)
    for start, end, gray in spots:
        pixels[:, start:end] = gray
    return Image.fromarray(pixels)


def one(predictions: Iterable[Prediction]) -> Prediction:
    (prediction,) = predictions
    return prediction


TWO = image_of(40, (8, 12, 0), (24, 28, 100))
"""`a` in the third frame of ten, `b` in the seventh."""


def test_each_character_lies_between_the_middles_to_its_neighbors(recognizer: Recognizer) -> None:
    read = one(recognizer.predict(TWO, read=ReadConfig(characters=True)))
    assert read.text == "ab"
    (first, second) = read.characters
    assert (first.character, first.start, first.end) == ("a", 2, 18)  # middles at 10 and 26
    assert (second.character, second.start, second.end) == ("b", 18, 34)
    assert 0.9 < first.confidence < 1


def test_places_are_those_of_the_image_whatever_its_size(recognizer: Recognizer) -> None:
    double = TWO.resize((80, 16), Image.Resampling.NEAREST)
    read = one(recognizer.predict(double, read=ReadConfig(characters=True)))
    assert [(c.start, c.end) for c in read.characters] == [(4, 36), (36, 68)]


def test_a_single_character_has_the_whole_image(recognizer: Recognizer) -> None:
    read = one(recognizer.predict(image_of(12, (4, 8, 0)), read=ReadConfig(characters=True)))
    assert [(c.character, c.start, c.end) for c in read.characters] == [("a", 0, 12)]


def test_no_text_has_no_characters(recognizer: Recognizer) -> None:
    assert one(recognizer.predict(image_of(20), read=ReadConfig(characters=True))).characters == ()


def test_characters_are_given_only_if_asked_for(recognizer: Recognizer) -> None:
    assert one(recognizer.predict(TWO)).characters == ()


def test_characters_that_are_not_allowed_are_no_rivals(recognizer: Recognizer) -> None:
    characters = ReadConfig(characters=True)
    # In each frame of a letter the network gives it 0.999, its rival 0.0005 and the blank as much.
    whole, only_a = (
        one(recognizer.predict(image_of(12, (4, 8, 0)), DecodeConfig(block=block), characters)).characters[0]
        for block in (None, "b")
    )
    assert whole.confidence < only_a.confidence < 1


def test_down_a_vertical_line_places_count_from_the_top(recognizer: Recognizer) -> None:
    down = TWO.transpose(Image.Transpose.ROTATE_270)
    read = one(recognizer.predict(down, read=ReadConfig(orientation=Orientation.VERTICAL, characters=True)))
    assert [(c.character, c.start, c.end) for c in read.characters] == [("a", 2, 18), ("b", 18, 34)]


def test_up_a_line_places_count_from_the_bottom(recognizer: Recognizer) -> None:
    up = TWO.transpose(Image.Transpose.ROTATE_90)
    read = one(recognizer.predict(up, read=ReadConfig(orientation=Orientation.UPWARD, characters=True)))
    assert [(c.character, c.start, c.end) for c in read.characters] == [("a", 2, 18), ("b", 18, 34)]
    assert (read.orientation, read.length, read.size) == (Orientation.UPWARD, up.height, up.size)


def test_with_auto_the_more_probable_way_is_taken(recognizer: Recognizer) -> None:
    both = ReadConfig(orientation=Orientation.AUTO)
    down = TWO.transpose(Image.Transpose.ROTATE_270)
    assert one(recognizer.predict(down, read=both)).text == "ab"
    assert one(recognizer.predict(TWO, read=both)).text == "ab"
    # A tall letter that is upright: black all over either way, but turned it would be ten frames of one letter.
    assert one(recognizer.predict(image_of(40, (0, 40, 0)).transpose(Image.Transpose.ROTATE_270), read=both)).text == "a"


@pytest.mark.parametrize("invert", Invert)
def test_light_text_on_dark_is_inverted_if_asked_for(invert: Invert, recognizer: Recognizer) -> None:
    dark = Image.fromarray(255 - np.asarray(TWO))
    read = one(recognizer.predict(dark, read=ReadConfig(invert=invert))).text
    assert (read == "ab") == (invert is not Invert.NEVER)
    assert (one(recognizer.predict(TWO, read=ReadConfig(invert=invert))).text == "ab") == (invert is not Invert.ALWAYS)


def test_an_impossible_text_is_distinguished_from_a_permitted_empty_one(recognizer: Recognizer) -> None:
    impossible = one(recognizer.predict(image_of(8), DecodeConfig(pattern="[ab]{9}")))
    assert (impossible.text, impossible.confidence, impossible.error) == ("", 0.0, NO_TEXT_FITS)
    empty = one(recognizer.predict(image_of(8), DecodeConfig(pattern="[ab]*")))
    assert (empty.text, empty.error) == ("", None)


def test_an_impossible_image_is_scored_as_an_empty_text(recognizer: Recognizer) -> None:
    impossible = recognizer.predict(image_of(8), DecodeConfig(pattern="[ab]{9}"))
    sample = Sample(Path("x.png"), "ab")
    result = score_samples([(sample, one(recognizer.predict(TWO))), (sample, one(impossible))])
    assert (result.scores.n, result.scores.exact_match, result.unreadable) == (2, 0.5, ())


def test_a_prediction_has_the_orientation_that_it_was_read_in(recognizer: Recognizer) -> None:
    down = TWO.transpose(Image.Transpose.ROTATE_270)
    for source, asked in ((down, Orientation.VERTICAL), (down, Orientation.AUTO), (TWO, Orientation.AUTO)):
        read = one(recognizer.predict(source, read=ReadConfig(orientation=asked, characters=True)))
        assert read.orientation is (Orientation.VERTICAL if source is down else Orientation.HORIZONTAL)
        assert read.characters[-1].end <= 40


def test_images_may_change_or_close_once_they_were_given(recognizer: Recognizer, tmp_path: Path) -> None:
    file, same = tmp_path / "two.png", np.asarray(TWO).copy()
    TWO.save(file)

    def sources() -> Iterator[Source]:
        with file.open("rb") as stream:
            yield stream
        with Image.open(file) as image:
            yield image
        yield same
        same[:] = 255

    assert [prediction.text for prediction in recognizer.predict(sources())] == ["ab"] * 3


def test_the_best_texts_come_with_their_probabilities(recognizer: Recognizer) -> None:
    read = one(recognizer.predict(TWO, DecodeConfig(beam=10, top_k=3)))
    assert read.alternatives[0].text == read.text == "ab"
    probabilities = [other.probability for other in read.alternatives]
    assert len(probabilities) == 3
    assert probabilities == sorted(probabilities, reverse=True)
    assert sum(probabilities) < 1


def test_alone_or_among_others_with_any_number_of_threads_it_is_the_same(recognizer: Recognizer) -> None:
    rng = np.random.default_rng(1)
    sources = []
    for _ in range(600):
        width, grays = int(rng.integers(8, 200)), rng.choice([0, 100, 255], 7).tolist()
        sources.append(image_of(width, *((12 * i, 12 * i + 4, gray) for i, gray in enumerate(grays))))
    alone = [one(recognizer.predict(source)) for source in sources[:40]]
    for threads in (1, 2, 7):
        together = list(recognizer.predict(iter(sources), read=ReadConfig(threads=threads)))
        assert [p.text for p in together[:40]] == [p.text for p in alone]
        assert np.allclose([p.confidence for p in together[:40]], [p.confidence for p in alone], atol=1e-6)
        assert len(together) == 600


def test_a_broken_image_costs_its_own_row_only(recognizer: Recognizer, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no image")
    TWO.save(tmp_path / "good.png")
    names = [tmp_path / "good.png", tmp_path / "broken.png", tmp_path / "gone.png", tmp_path / "good.png"]
    read = list(recognizer.predict(names))
    assert [p.text for p in read] == ["ab", "", "", "ab"]
    assert [p.error is None for p in read] == [True, False, False, True]
    assert "broken.png: not a readable image" in str(read[1].error)


def test_language_models_are_kept_in_the_cache_directory(
    recognizer: Recognizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CRNNOCR_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "text.txt").write_text("ab\nab\n", encoding="utf-8")
    decoder = recognizer.decoder(DecodeConfig(lm=str(tmp_path / "text.txt")))
    assert one(recognizer.predict(TWO, decoder)).text == "ab"
    assert len(list((tmp_path / "cache" / "lm").iterdir())) == 1


def test_several_threads_may_use_one_recognizer(recognizer: Recognizer) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: one(recognizer.predict(TWO)).text, range(40)))
    assert found == ["ab"] * 40


class Uncertain(Columns):
    """Is confident of wide lines only, and recognizes another text in narrow ones."""

    def __init__(self) -> None:
        self.read: list[int] = []
        """The widths of the lines that it was given."""

    def log_probs(self, images: Floats, widths: NDArray[np.int64]) -> tuple[Floats, NDArray[np.int64]]:
        self.read += widths.tolist()
        log_probs, frames = super().log_probs(images, widths)
        narrow = widths < 60
        log_probs[narrow] = np.log(np.exp(log_probs[narrow][:, :, [0, 2, 1]]) * 0.9 + 0.1 / 3)
        return log_probs, frames


class Blind(Columns):
    """Recognizes nothing."""

    def log_probs(
        self, images: NDArray[np.float32], widths: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        return super().log_probs(np.ones_like(images), widths)


def test_no_text_where_there_is_ink_is_nothing_to_be_sure_of() -> None:
    paper = np.full((64, 320), 240, np.uint8)
    marks = paper.copy()
    for left in range(20, 300, 24):
        marks[24:40, left : left + 10] = 20
    recognizer = Recognizer(recognizer_of_columns().card, Blind())
    blank, inked = recognizer.predict(map(Image.fromarray, (paper, marks)))
    assert (blank.text, inked.text) == ("", "")
    assert blank.confidence > 0.99
    assert inked.confidence < 0.2


@pytest.fixture
def uncertain() -> Uncertain:
    return Uncertain()


def reads_with(engine: Uncertain, *sources: Image.Image, config: ReadConfig = ReadConfig()) -> list[Prediction]:  # noqa: B008
    return list(Recognizer(recognizer_of_columns().card, engine).predict(sources, read=config))


def test_an_image_that_is_not_read_confidently_is_seen_at_other_scales(uncertain: Uncertain) -> None:
    read = one(reads_with(uncertain, TWO, config=ReadConfig(characters=True)))
    assert (read.text, read.size) == ("ab", (40, 8))
    assert read.confidence > 0.9
    first, second = read.characters  # whose places are those of the image, not of the view
    assert first.start < 8 < 12 < first.end <= second.start < 24 < 28 < second.end
    assert uncertain.read == [40, 60]  # and no further, since that is confident


def test_a_confident_prediction_takes_a_single_view(uncertain: Uncertain) -> None:
    assert one(reads_with(uncertain, TWO.resize((80, 8), Image.Resampling.NEAREST))).text == "ab"
    assert uncertain.read == [80]


def test_quick_takes_a_single_view(uncertain: Uncertain) -> None:
    read = one(reads_with(uncertain, TWO, config=ReadConfig(quick=True)))
    assert read.text == "ba"
    assert read.confidence < 0.9
    assert uncertain.read == [40]


def test_if_no_view_is_confident_the_most_confident_one_is_taken(uncertain: Uncertain) -> None:
    narrow = image_of(24, (4, 8, 0))
    found = reads_with(uncertain, narrow, narrow)
    assert [(each.text, each.confidence) for each in found] == [("b", found[0].confidence)] * 2
    assert uncertain.read == [24, 24, 36, 36, 22, 22, 17, 17]
    assert found[0].confidence > one(reads_with(uncertain, narrow, config=ReadConfig(quick=True))).confidence


def test_a_line_that_runs_down_is_seen_at_other_scales_along_it(uncertain: Uncertain) -> None:
    down = TWO.transpose(Image.Transpose.ROTATE_270)
    read = one(reads_with(uncertain, down, config=ReadConfig(orientation=Orientation.VERTICAL, characters=True)))
    assert (read.text, read.orientation, read.size) == ("ab", Orientation.VERTICAL, (8, 40))
    assert read.characters[1].start < 24 < 28 < read.characters[1].end


def test_no_view_makes_an_impossible_text_possible(uncertain: Uncertain) -> None:
    engine = Recognizer(recognizer_of_columns().card, uncertain)
    for quick in (True, False):  # in the wide view there would be frames enough
        read = one(engine.predict(TWO, DecodeConfig(pattern="[ab]{12}"), ReadConfig(quick=quick)))
        assert (read.text, read.error, read.is_impossible) == ("", NO_TEXT_FITS, True)


class Vanishing(Columns):
    """Is uncertain of letters in narrow lines, and recognizes nothing in wide ones, with a given confidence."""

    def __init__(self, confidence: float) -> None:
        self.confidence = confidence

    def log_probs(self, images: Floats, widths: NDArray[np.int64]) -> tuple[Floats, NDArray[np.int64]]:
        log_probs, frames = super().log_probs(images, widths)
        for row, width, count in zip(log_probs, widths, frames, strict=True):
            blank = self.confidence ** (1 / count) if width >= 60 else 0.3
            row[:] = np.log([blank, (1 - blank) * 0.9, (1 - blank) * 0.1] if width >= 60 else [0.3, 0.5, 0.2])
        return log_probs, frames


@pytest.mark.parametrize(("confidence", "text"), [(0.7, "a"), (0.99, "")])
def test_an_empty_text_must_be_confident(confidence: float, text: str) -> None:
    assert one(Recognizer(recognizer_of_columns().card, Vanishing(confidence)).predict(TWO)).text == text


@pytest.mark.parametrize("preset", PRESETS)
def test_a_change_matters_most_in_the_middle_of_a_frame(preset: str) -> None:
    """By hand: each layer's window starts at `frame · stride − padding` and is `kernel` wide."""
    shape = PRESETS[preset]
    low, high = 7.0, 7.0
    for layer in reversed(shape.backbone):
        assert isinstance(layer, Conv | Pool)
        low = low * layer.stride[1] - layer.padding[1]
        high = high * layer.stride[1] - layer.padding[1] + layer.kernel[1] - 1
    assert shape.center(7) == (low + high) / 2 + 0.5


def test_the_text_alone_is_seen_if_it_is_small_in_its_image() -> None:
    pixels = np.full((60, 80), 255, np.uint8)
    pixels[26:34, 20:36], pixels[26:34, 52:68] = 0, 100
    plain = one(recognizer_of_columns().predict(Image.fromarray(pixels), read=ReadConfig(quick=True)))
    read = one(recognizer_of_columns().predict(Image.fromarray(pixels), read=ReadConfig(characters=True)))
    assert plain.text == ""
    assert (read.text, read.view.is_closer, read.size) == ("ab", True, (80, 60))
    first, second = read.characters  # whose places are those of the image
    assert first.start < 28 < first.end <= second.start < 60 < second.end


def test_an_image_of_several_lines_says_so_and_is_unsure() -> None:
    line, recognizer = drawn("59 60 61"), recognizer_of_columns()
    page = drawn("59 60 61", "62 63 64")
    one_line, several = recognizer.predict([line, page], read=ReadConfig(quick=True))
    assert (one_line.warning, several.warning) == (None, SEVERAL_LINES)
    assert several.confidence < 0.11


@pytest.mark.parametrize(
    ("text", "confidence", "is_confident"), [("ab", 0.93, True), ("ab", 0.91, False), ("ab" * 10, 0.82, True)]
)
def test_a_short_text_is_confident_as_a_whole(text: str, confidence: float, is_confident: bool) -> None:
    image = Preprocessor(8, 4).views(Image.new("L", (40, 8)))[0]
    assert Candidate(image, np.zeros((1, 3), np.float32), [], text, confidence).is_confident is is_confident


def test_an_empty_text_is_confident_only_from_99_percent_on() -> None:
    image = Preprocessor(8, 4).views(Image.new("L", (40, 8)))[0]
    assert [Candidate(image, np.zeros((1, 3), np.float32), [], "", each).is_confident for each in (0.98, 0.995)] == [
        False,
        True,
    ]
