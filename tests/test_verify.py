"""The verification of exports: which differences from the model it accepts, and with which images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import crnnocr.export.verify
from crnnocr.config import MAX_PIXELS
from crnnocr.datasets.detection import load_dataset
from crnnocr.decoding.hypothesis import LogProbs
from crnnocr.errors import DataError, GateError
from crnnocr.export.verify import BackendResult, Gray, LineBackend, VerificationImage, from_samples, verify, with_copies
from crnnocr.images import load_gray
from crnnocr.inference.engines import TorchEngine
from crnnocr.model import checkpoint


@pytest.fixture
def known(tiny_data: Path) -> list[VerificationImage]:
    """The images that the tiny model knows by heart."""
    return from_samples(load_dataset(tiny_data).samples[:8])


class Fake(LineBackend):
    """Gives its i-th log-probabilities for an image whose pixels are i."""

    def __init__(self, *log_probs: LogProbs) -> None:
        self._log_probs = log_probs

    def run(self, grays: Sequence[Gray]) -> list[BackendResult]:
        lines = [self._log_probs[int(gray[0, 0])] for gray in grays]
        return [BackendResult("".join("_ab"[i] for i in line.argmax(axis=1)), line) for line in lines]

    def line(self, gray: Gray) -> Gray:
        return gray


def images_of(*labels: str) -> list[VerificationImage]:
    return [VerificationImage(f"{i}.png", np.full((2, 3), i, np.uint8), label) for i, label in enumerate(labels)]


def frame(*probs: float) -> LogProbs:
    result: LogProbs = np.log(np.array([probs]))
    return result


def test_texts_that_tie_may_differ_and_are_listed() -> None:
    ours = Fake(frame(0.1, 0.4501, 0.4499), frame(0.1, 0.8, 0.1))
    theirs = Fake(frame(0.1, 0.4499, 0.4501), frame(0.1, 0.8, 0.1))
    found = verify(ours, theirs, images_of("a", "a"), is_exact=True)
    assert found.ties == ("0.png",)
    assert found.equal_texts == 0.5


def test_texts_that_do_not_tie_may_not_differ() -> None:
    ours, theirs = Fake(frame(0.1, 0.4503, 0.4497)), Fake(frame(0.1, 0.4499, 0.4501))
    with pytest.raises(GateError, match=r"0\.png as 'b' instead of 'a' \(alone\)"):
        verify(ours, theirs, images_of("a"), is_exact=True)


def test_a_difference_counts_as_a_share_of_improbable_numbers() -> None:
    ours = np.array([[-1e-4, -9.3, -40.0]])
    nearly, far = (ours + np.array([1e-6, 1.3e-4, difference]) for difference in (2e-2, 0.2))
    found = verify(Fake(ours), Fake(nearly), images_of("_"), is_exact=True)
    assert found.log_prob_difference == pytest.approx(2e-2)
    with pytest.raises(GateError, match=r"0\.png by 2\.0e-01 \(alone\)"):
        verify(Fake(ours), Fake(far), images_of("_"), is_exact=True)
    probable = np.log([[0.5, 0.3, 0.2]])
    with pytest.raises(GateError, match="differs from the model"):
        verify(Fake(probable), Fake(np.log([[0.501, 0.299, 0.2]])), images_of("_"), is_exact=True)


def test_another_text_of_the_same_path_is_no_tie() -> None:
    class OtherCharset(Fake):
        def run(self, grays: Sequence[Gray]) -> list[BackendResult]:
            return [BackendResult("x", result.log_probs) for result in super().run(grays)]

    with pytest.raises(GateError, match=r"0\.png as 'x' instead of 'a'"):
        verify(Fake(frame(0.1, 0.8, 0.1)), OtherCharset(frame(0.1, 0.8, 0.1)), images_of("a"), is_exact=True)


NEAR, FAR = frame(0.1, 0.8, 0.1), frame(0.1, 0.1, 0.8)
"""Of an "a", and of a "b"."""


def test_with_other_numbers_one_text_in_a_hundred_may_be_lost_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crnnocr.export.verify, "MAX_CER_INCREASE", 1)
    for lost, won, kept in ((2, 0, True), (3, 0, False), (5, 3, True)):  # of 200 right ones, and of 5 wrong ones
        ours = Fake(*[NEAR] * 205)
        theirs = Fake(*[FAR] * lost, *[NEAR] * (200 - lost), *[FAR] * won, *[NEAR] * (5 - won))
        labels = images_of(*"a" * 200, *"b" * 5)
        if kept:
            found = verify(ours, theirs, labels, is_exact=False)
            assert found.as_many_right == 1 - (lost - won) / 200
            assert found.equal_texts == 1 - (lost + won) / 205
        else:
            with pytest.raises(GateError, match=r"has 200 right, and the export 98\.5% as many .*0\.png as 'b'"):
                verify(ours, theirs, labels, is_exact=False)


def test_without_labels_the_texts_of_the_model_are_the_right_ones() -> None:
    ours, theirs = Fake(*[NEAR] * 100), Fake(FAR, FAR, *[NEAR] * 98)
    unlabeled = [replace(image, text=None) for image in images_of(*"a" * 100)]
    with pytest.raises(GateError, match=r"has 100 right, and the export 98\.0% as many"):
        verify(ours, theirs, unlabeled, is_exact=False)


def test_of_a_model_that_has_nothing_right_the_error_rate_counts() -> None:
    ours = Fake(*[FAR] * 100)
    assert verify(ours, ours, images_of(*"a" * 100), is_exact=False).as_many_right == 1
    assert verify(ours, Fake(*[NEAR] * 100), images_of(*"a" * 100), is_exact=False).cer == 0


def test_the_error_rate_may_not_rise_by_more_than_a_tenth_of_a_point() -> None:
    near, far = frame(0.1, 0.8, 0.1), frame(0.1, 0.1, 0.8)
    theirs = Fake(far, *[near] * 199)  # 99.5 % of the texts are still right, but the CER is half a point up
    with pytest.raises(GateError, match=r"its CER is 0\.50%, the model's 0\.00%"):
        verify(Fake(*[near] * 200), theirs, images_of(*"a" * 200), is_exact=False)


def test_without_images_there_is_no_verification() -> None:
    with pytest.raises(DataError, match="no image to verify the export with: none was given"):
        verify(Fake(), Fake(), [], is_exact=True)


def test_a_tie_alone_excuses_nothing_in_a_batch() -> None:
    class Worse(Fake):
        """Gives a tie alone, and something else in a batch."""

        def run(self, grays: Sequence[Gray]) -> list[BackendResult]:
            return super().run(grays) if len(grays) == 1 else [BackendResult("b", frame(0.1, 0.4489, 0.4511))] * len(grays)

    ours, tie = frame(0.1, 0.4501, 0.4499), frame(0.1, 0.4499, 0.4501)
    with pytest.raises(GateError, match=r"0\.png .*in a batch of 3"):
        verify(Fake(ours, ours, ours), Worse(tie, ours, ours), images_of("a", "a", "a"), is_exact=True)


def test_the_error_names_some_images_and_its_details_all() -> None:
    ours, theirs = Fake(*[frame(0.1, 0.8, 0.1)] * 9), Fake(*[frame(0.1, 0.1, 0.8)] * 9)
    with pytest.raises(GateError, match=r"4\.png as 'b'.*and 4 more \(`verbose` names all\)") as error:
        verify(ours, theirs, images_of(*"a" * 9), is_exact=False)
    assert len(error.value.more) == 9


def test_unreadable_images_are_left_out_and_named() -> None:
    found = verify(
        Fake(frame(0.1, 0.8, 0.1)),
        Fake(frame(0.1, 0.8, 0.1)),
        [*images_of("a"), VerificationImage("broken.png", b"no image")],
        is_exact=True,
    )
    assert found.images == 1
    assert "broken.png" in found.unreadable[0]


def test_varied_copies_make_up_the_number_of_images(known: list[VerificationImage]) -> None:
    several = with_copies(known, 30)
    assert len(several) == 30
    assert several[:8] == known
    assert len({image.name for image in several}) == 30
    assert len({image.gray().tobytes() for image in several}) == 30
    assert len({image.gray().shape[0] for image in several if image.name.startswith(known[0].name)}) == 4
    assert with_copies(known, 5) == known


def test_varied_copies_of_a_large_image_stay_within_the_pixel_limit() -> None:
    large = VerificationImage("large", Image.new("L", (MAX_PIXELS // 1000, 1000), "white"))
    for copy in with_copies([large], 4):
        load_gray(copy.gray())


def test_copies_of_readable_images_replace_unreadable_ones(known: list[VerificationImage]) -> None:
    several = with_copies([*known, VerificationImage("broken.png", b"no image")], 20)
    assert sum(image.can_be_read() for image in several) == 20
    assert not [image.name for image in several if image.name.startswith("broken.png, ")]


class Paler(LineBackend):
    """A backend with another preprocessing."""

    def line(self, gray: Gray) -> Gray:
        return (super().line(gray) // 2).astype(np.uint8)


def test_another_preprocessing_is_caught_by_its_results(tiny_model: Path, known: list[VerificationImage]) -> None:
    card, model = checkpoint.load(tiny_model)
    engine = TorchEngine(model, torch.device("cpu"))
    assert verify(LineBackend(card, engine), LineBackend(card, engine), known, is_exact=True).equal_texts == 1
    with pytest.raises(GateError, match="differs from the model"):
        verify(Paler(card, engine), LineBackend(card, engine), known, is_exact=True)
