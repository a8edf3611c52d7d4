"""A network that gets other characters keeps what it knows of those that stay."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from crnnocr import images
from crnnocr.config import ModelConfig
from crnnocr.datasets.detection import load_dataset
from crnnocr.decoding.hypothesis import greedy
from crnnocr.images import Preprocessor
from crnnocr.inference.engines import TorchEngine
from crnnocr.model import checkpoint
from crnnocr.model.crnn import CRNN, with_charset
from crnnocr.text.charset import Charset

KNOWN = Charset("aEz1")
HEADS = ("head", "auxiliary")


@pytest.fixture
def model(tiny_shape: ModelConfig) -> CRNN:
    """A network with chance weights for the known characters."""
    torch.manual_seed(0)
    return CRNN(tiny_shape, KNOWN.classes)


def row(model: CRNN, head: str, charset: Charset, character: str) -> tuple[Tensor, float]:
    """Weights and bias of a character in an output layer; "" is the blank."""
    layer = getattr(model, head)
    index = charset.encode(character)[0] if character else 0
    return layer.weight[index], layer.bias[index].item()


@pytest.mark.parametrize("wanted", ["aEz1", "1zEa", "aäbcdEz19", "9z", "E"], ids=["same", "turned", "more", "other", "fewer"])
@pytest.mark.parametrize("head", HEADS)
def test_what_is_known_of_a_character_that_stays_is_kept_exactly(wanted: str, head: str, model: CRNN) -> None:
    charset = Charset(wanted)
    grown = with_charset(model, KNOWN, charset)
    assert grown.classes == charset.classes
    for character in ["", *(character for character in wanted if character in KNOWN.characters)]:
        weight, bias = row(grown, head, charset, character)
        known_weight, known_bias = row(model, head, KNOWN, character)
        assert torch.equal(weight, known_weight)
        assert bias == known_bias


@pytest.mark.parametrize(
    ("new", "like"),
    [
        ("ä", "a"),  # without its mark
        ("A", "a"),  # in the other case
        ("é", "E"),  # both
        ("¹", "1"),  # NFKD writes it so
    ],
)
@pytest.mark.parametrize("head", HEADS)
def test_a_new_character_begins_as_the_one_it_looks_like_but_less_likely(new: str, like: str, head: str, model: CRNN) -> None:
    charset = Charset(KNOWN.characters + new)
    weight, bias = row(with_charset(model, KNOWN, charset), head, charset, new)
    like_weight, like_bias = row(model, head, KNOWN, like)
    assert torch.equal(weight, like_weight)
    assert bias == pytest.approx(like_bias - 2)  # e² = 7.4 times less likely


@pytest.mark.parametrize("new", ["漢", "ß", "?"])  # ß is two letters in the other case
@pytest.mark.parametrize("head", HEADS)
def test_a_new_character_like_no_other_begins_as_the_mean_of_all(new: str, head: str, model: CRNN) -> None:
    charset = Charset(KNOWN.characters + new)
    weight, bias = row(with_charset(model, KNOWN, charset), head, charset, new)
    layer = getattr(model, head)
    assert torch.allclose(weight, layer.weight[1:].mean(0))  # without the blank
    assert bias == pytest.approx(layer.bias[1:].mean().item() - 2)


def test_all_but_the_output_layers_stays_and_the_old_network_too(model: CRNN) -> None:
    before = {name: value.clone() for name, value in model.state_dict().items()}
    grown = with_charset(model.eval(), KNOWN, Charset("xyz")).state_dict()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert {name for name in before if not torch.equal(before[name], grown[name])} == {
        f"{head}.{part}" for head in HEADS for part in ("weight", "bias")
    }


@pytest.mark.parametrize("training", [True, False])
def test_it_goes_on_reading_or_learning_as_it_did(training: bool, model: CRNN) -> None:
    assert with_charset(model.train(training), KNOWN, Charset("ab")).training is training


def test_what_a_trained_model_reads_does_not_change_as_its_charset_grows(tiny_data: Path, tiny_model: Path) -> None:
    card, model = checkpoint.load(tiny_model)
    known = card.charset
    # In another order, among new characters that look like known ones and some that look like none.
    charset = Charset("".join(sorted({*known.characters, *"äéßçÑ漢字½∑"}, reverse=True)))
    assert len(charset.unknown(known.characters)) == 0
    grown = with_charset(model, known, charset)
    old_classes = [0, *charset.encode(known.characters)]
    for sample in load_dataset(tiny_data).samples[:8]:
        line = Preprocessor.for_model(card.config).line(sample.path)
        before, after = (
            TorchEngine(network, torch.device("cpu")).log_probs(*images.to_batch([line]))[0][0] for network in (model, grown)
        )
        assert charset.decode(greedy(after).ids) == known.decode(greedy(before).ids)
        # New classes take a share of the probability; how the old ones stand to the blank, and so to each other, is as before.
        odds_before, odds_after = before - before[:, :1], after[:, old_classes] - after[:, :1]
        assert np.allclose(odds_after, odds_before, atol=1e-4)
