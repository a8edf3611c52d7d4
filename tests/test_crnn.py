"""The network: its size, its frames, that a line's result is the same in any batch, and a head for another charset."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from networks import BODIES, NORMED, random_body
from torch import Tensor, nn

from crnnocr import images
from crnnocr.config import PRESETS, Concat, Conv, Layer, ModelConfig, Pool, Residual
from crnnocr.datasets.detection import load_dataset
from crnnocr.decoding.hypothesis import greedy
from crnnocr.errors import ModelError
from crnnocr.images import Preprocessor
from crnnocr.inference.engines import TorchEngine
from crnnocr.model import checkpoint
from crnnocr.model.crnn import CRNN, resize_head
from crnnocr.model.layers import MaskedExcitation
from crnnocr.text.charset import Charset

CLASSES = 37
"""The blank, 26 letters and 10 digits: the classes of Shi, Bai, Yao 2015."""

NETWORKS = {**{preset: PRESETS[preset] for preset in ("small", "classic")}, **BODIES}

all_networks = pytest.mark.parametrize("config", NETWORKS.values(), ids=NETWORKS)
RANDOM_NETWORKS = [random_body(seed) for seed in range(10)]


def random_model(config: ModelConfig, classes: int = CLASSES) -> CRNN:
    """A network with random weights, and random batch norm statistics, whose shift turns padding zeros into something else."""
    torch.manual_seed(0)
    model = CRNN(config, classes)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias)
        if isinstance(module, MaskedExcitation):
            nn.init.ones_(module.squeeze.bias)  # else a few units are easily zero for all lines
    return model


def slimmed(config: ModelConfig) -> ModelConfig:
    """The same kernels, strides and paddings with two channels each: the same frames in a hundredth of the time."""
    if config in BODIES.values():
        return config  # slim as it is
    slim = tuple(replace(layer, channels=2) if isinstance(layer, Conv) else layer for layer in config.backbone)
    return replace(config, backbone=slim, hidden=2, projection=min(config.projection, 2))


def batch(config: ModelConfig, *widths: int) -> tuple[Tensor, Tensor]:
    """Noise lines from -1 to 1, zero right of each one's width, and the widths."""
    images = torch.rand((len(widths), 1, config.height, max(widths)), generator=torch.Generator().manual_seed(1)) * 2 - 1
    for image, width in zip(images, widths, strict=True):
        image[:, :, width:] = 0
    return images, torch.tensor(widths)


def parameters(model: CRNN) -> int:
    """Number of weights without those of the auxiliary head, which only training needs."""
    return sum(p.numel() for name, p in model.named_parameters() if not name.startswith("auxiliary."))


def bidirectional(features: int, hidden: int) -> int:
    """Parameters of an LSTM layer: each way four gates, each with both its matrices and torch's two biases."""
    return 2 * 4 * hidden * (features + hidden + 2)


def test_the_classic_preset_has_the_8_3_million_parameters_of_the_paper() -> None:
    # Shi, Bai, Yao 2015, table 1 (from its bottom up); 8.3 million is in table 3. A convolution that is followed by a
    # batch norm needs no bias of its own: the norm has a scale and a shift for each channel.
    convolutions = (
        (1 * 64 * 3 * 3 + 64)
        + (64 * 128 * 3 * 3 + 128)
        + (128 * 256 * 3 * 3 + 256)
        + (256 * 256 * 3 * 3 + 256)
        + (256 * 512 * 3 * 3 + 2 * 512)  # batch norm
        + (512 * 512 * 3 * 3 + 2 * 512)  # batch norm
        + (512 * 512 * 2 * 2 + 512)
    )
    between = 2 * 256 * 256 + 256
    head = 2 * 256 * CLASSES + CLASSES
    expected = convolutions + bidirectional(512, 256) + between + bidirectional(256, 256) + head
    assert parameters(CRNN(PRESETS["classic"], CLASSES)) == expected
    assert round(expected / 1e6, 1) == 8.3


def test_the_small_preset_has_less_than_a_million_parameters() -> None:
    shapes = [(1, 16), (16, 40), (40, 72), (72, 72), (72, 112), (112, 144)]  # channels in and out, each with a batch norm
    convolutions = sum(before * after * 3 * 3 + 2 * after for before, after in shapes)
    features = 144 * 2  # of the 40 rows, halved four times, two are left
    head = 2 * 96 * CLASSES + CLASSES
    expected = convolutions + bidirectional(features, 96) + bidirectional(2 * 96, 96) + head
    assert parameters(CRNN(PRESETS["small"], CLASSES)) == expected
    assert 0.8e6 < expected < 1e6


@pytest.mark.parametrize(("name", "features"), [("small", 144 * 2), ("classic", 512 * 1), ("normed", 18 * 1)])
def test_the_features_of_a_frame_are_the_channels_of_every_remaining_row(name: str, features: int) -> None:
    config = NETWORKS[name]
    assert config.features == features
    maps, frames = random_model(config).eval().features(*batch(config, 40))
    assert maps.shape == (1, int(frames), features)


@all_networks
def test_a_line_gives_the_frames_that_the_config_predicts(config: ModelConfig) -> None:
    model = random_model(slimmed(config), classes=3).eval()
    for width in [*range(config.min_width, 301), 511, 1000, 1999, 2000]:
        with torch.inference_mode():
            log_probs, frames = model(*batch(config, width))
        assert log_probs.shape == (1, config.frames(width), 3), f"at {width} pixels"
        assert frames.tolist() == [config.frames(width)], f"at {width} pixels"


@all_networks
def test_frames_are_predicted_for_arrays_and_tensors_alike(config: ModelConfig) -> None:
    widths = list(range(config.min_width, 301))
    one_by_one = [config.frames(width) for width in widths]
    of_array, of_tensor = config.frames(np.array(widths)), config.frames(torch.tensor(widths))
    assert of_array.tolist() == of_tensor.tolist() == one_by_one
    assert of_array.dtype == np.int64
    assert of_tensor.dtype == torch.int64


def test_the_frames_of_the_presets() -> None:
    # Small halves the width twice. So does classic, then two padded poolings add a column each and the last
    # kernel, two wide, takes one away: for the 100 pixels of the paper's images 25 + 2 - 1, the 26 of the authors' code.
    assert PRESETS["small"].frames(100) == 25
    assert PRESETS["classic"].frames(100) == 26


@all_networks
def test_the_minimum_width_is_the_narrowest_that_gives_a_frame(config: ModelConfig) -> None:
    model = random_model(slimmed(config), classes=3).eval()
    log_probs, frames = model(*batch(config, config.min_width))
    assert frames.tolist() == [log_probs.shape[1]]
    assert log_probs.shape[1] >= 1
    for width in range(1, config.min_width):
        assert config.frames(width) < 1
        with pytest.raises(RuntimeError, match="Output size is too small"):
            model(*batch(config, width))


@all_networks
def test_the_narrowest_line_for_some_frames_gives_them_and_a_narrower_one_does_not(config: ModelConfig) -> None:
    counts = [config.frames(width) for width in range(400)]
    for frames in range(1, 80):
        narrowest = next(width for width, count in enumerate(counts) if count >= frames)
        assert config.min_width_for(frames) == narrowest
    assert config.min_width_for(0) == config.min_width == config.min_width_for(1)


def test_the_narrowest_line_is_found_at_once_however_wide_it_is() -> None:
    config = ModelConfig("x", 8, (Conv(1), Pool((1, 1), (1, 2**30))), hidden=1)
    assert [config.min_width_for(frames) for frames in (1, 2, 1001)] == [1, 2**30 + 1, 1000 * 2**30 + 1]


def without_view(layers: Sequence[Layer]) -> tuple[Layer, ...]:
    """The layers that have a window, and at least one."""
    kept: list[Layer] = []
    for layer in layers:
        if isinstance(layer, Residual):
            kept.append(Residual(without_view(layer.layers)))
        elif isinstance(layer, Concat):
            kept.append(Concat(tuple(map(without_view, layer.branches))))
        elif isinstance(layer, Conv | Pool):
            kept.append(layer)
    return tuple(kept) or (Pool((1, 1), (1, 1)),)


@pytest.mark.parametrize("config", [*map(slimmed, NETWORKS.values()), *RANDOM_NETWORKS], ids=[*NETWORKS, *range(10)])
def test_the_middle_of_a_frame_is_that_of_the_pixels_that_change_it(config: ModelConfig) -> None:
    # Some layers see the whole line, or a single place. Norms may hide a pixel, but not in all of these lines.
    model = random_model(replace(config, backbone=without_view(config.backbone)), classes=3).eval()
    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.ReLU | nn.Hardswish):
                setattr(module, name, nn.Softplus())  # which is never 0 everywhere
    width = config.min_width_for(30)
    images = torch.rand(40, 1, config.height, width, generator=torch.Generator().manual_seed(0)).requires_grad_()
    maps, _ = model.backbone(images, torch.full((40,), width))
    (gradient,) = torch.autograd.grad(maps[..., 15].sum(), images)
    seen = gradient.abs().sum((0, 1, 2)).nonzero()
    assert 0 < seen[0] < seen[-1] < width - 1
    assert config.center(15) == (seen[0] + seen[-1]).item() / 2 + 0.5


@all_networks
def test_a_config_survives_json(config: ModelConfig) -> None:
    assert ModelConfig.from_json(config.to_json()) == config
    assert ModelConfig.from_json(json.loads(json.dumps(config.to_json()))) == config


@pytest.mark.parametrize(
    "broken",
    [
        {"backbone": None},
        {"backbone": 3},
        {"backbone": ["conv"]},
        {"backbone": [{}]},
        {"backbone": [{"layer": "dense", "channels": 3}]},
        {"backbone": [{"layer": ["conv"], "channels": 3}]},
        {"backbone": [{"layer": "conv"}]},
        {"backbone": [{"layer": "pool", "kernel": [2, 2], "stride": [2, 2], "dilation": [1, 1]}]},
        {"attention": True},
        {"backbone": [{"layer": "attention"}]},
    ],
)
def test_a_broken_config_is_an_error(broken: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match="architecture cannot be read"):
        ModelConfig.from_json({**PRESETS["small"].to_json(), **broken})


@pytest.mark.parametrize(
    "layer",
    [
        {"layer": "attention", "heads": 0},
        {"layer": "attention", "heads": True},
        {"layer": "attention", "heads": 2},  # of three channels
        {"layer": "layernorm", "epsilon": 0.0},
        {"layer": "layernorm", "epsilon": "1"},
        {"layer": "layernorm", "epsilon": float("nan")},
        {"layer": "residual", "layers": []},
        {"layer": "residual", "layers": [{"layer": "attention", "heads": 2}]},
        {"layer": "concat", "branches": [[{"layer": "residual", "layers": [{"layer": "conv", "channels": 4}]}]]},
        {"layer": "concat", "branches": [[{"layer": "pool", "kernel": [2, 2], "stride": [2, 2]}]]},
    ],
)
def test_layers_that_cannot_be_are_an_error(layer: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match="no network has this architecture"):
        ModelConfig.from_json({**PRESETS["small"].to_json(), "backbone": [{"layer": "conv", "channels": 3}, layer]})


def test_layers_deep_in_others_are_an_error() -> None:
    layer: dict[str, Any] = {"layer": "conv", "channels": 1}
    for _ in range(100_000):
        layer = {"layer": "residual", "layers": [layer]}
    with pytest.raises(ModelError, match="layers in more than 4 others"):
        ModelConfig.from_json({**PRESETS["small"].to_json(), "backbone": [layer]})


@pytest.mark.parametrize("missing", ["preset", "height", "backbone", "hidden"])
def test_a_config_that_lacks_a_value_is_an_error(missing: str) -> None:
    data = PRESETS["small"].to_json()
    del data[missing]
    with pytest.raises(ModelError, match=missing):
        ModelConfig.from_json(data)


@all_networks
def test_a_line_gives_the_same_alone_and_in_a_padded_batch(config: ModelConfig) -> None:
    model = random_model(config).eval()
    images, widths = batch(config, 8, 9, 31, 100, 333, 2000)
    with torch.inference_mode():
        together, frames = model(images, widths)
        for line, width, true_frames, in_batch in zip(images, widths.tolist(), frames.tolist(), together, strict=True):
            alone, alone_frames = model(line[None, :, :, :width], torch.tensor([width]))
            assert alone_frames.tolist() == [true_frames]
            # 1e-4 in log-probability is what DESIGN.md promises.
            torch.testing.assert_close(in_batch[:true_frames], alone[0], rtol=0, atol=1e-4)


@pytest.mark.parametrize("config", RANDOM_NETWORKS, ids=range(10))
def test_of_any_layers_a_line_gives_the_same_alone_and_in_a_padded_batch(config: ModelConfig) -> None:
    model = random_model(config, classes=5).eval()
    images, widths = batch(config, *(config.min_width + more for more in (0, 1, 2, 3, 9, 50)))
    with torch.inference_mode():
        together, frames = model(images, widths)
        for line, width, true_frames, in_batch in zip(images, widths.tolist(), frames.tolist(), together, strict=True):
            alone, alone_frames = model(line[None, :, :, :width], torch.tensor([width]))
            assert alone_frames.tolist() == [true_frames] == [config.frames(width)] == [alone.shape[1]]
            torch.testing.assert_close(in_batch[:true_frames], alone[0], rtol=0, atol=1e-4)


@all_networks
def test_what_lies_right_of_a_line_changes_nothing(config: ModelConfig) -> None:
    model = random_model(config).eval()
    images, widths = batch(config, 100, 31, 64)
    beside = torch.arange(100) >= widths[:, None, None, None]
    with torch.inference_mode():
        (expected, frames), (found, _) = model(images, widths), model(torch.where(beside, 1000.0, images), widths)
    for line, other, true_frames in zip(expected, found, frames.tolist(), strict=True):
        assert torch.equal(line[:true_frames], other[:true_frames])


@all_networks
def test_the_convolutions_of_a_padded_batch_leave_nothing_past_the_true_frames(config: ModelConfig) -> None:
    features, frames = random_model(config).eval().features(*batch(config, 8, 31, 100))
    for line, true_frames in zip(features, frames.tolist(), strict=True):
        assert not line[true_frames:].any()


@all_networks
def test_the_order_of_a_batch_does_not_matter(config: ModelConfig) -> None:
    model = random_model(config).eval()
    images, widths = batch(config, 100, 31, 64)
    with torch.inference_mode():
        forwards, frames = model(images, widths)
        backwards, _ = model(images.flip(0), widths.flip(0))
    for line, turned, true_frames in zip(forwards, backwards.flip(0), frames.tolist(), strict=True):
        torch.testing.assert_close(line[:true_frames], turned[:true_frames], rtol=0, atol=1e-4)


@all_networks
def test_the_classes_of_a_frame_share_a_probability_of_1(config: ModelConfig) -> None:
    model = random_model(config).eval()
    images, widths = batch(config, 60, 33)
    with torch.inference_mode():
        log_probs, _ = model(images, widths)
        auxiliary = model.auxiliary_log_probs(model.features(images, widths)[0])
    assert log_probs.shape == auxiliary.shape == (2, config.frames(60), CLASSES)
    for each in (log_probs, auxiliary):
        # 37 roundings of 32-bit numbers, each of 6e-8 at most.
        torch.testing.assert_close(each.exp().sum(dim=2), torch.ones(each.shape[:2]), rtol=0, atol=1e-5)


@all_networks
def test_a_training_step_gives_every_weight_a_finite_gradient(config: ModelConfig) -> None:
    model = random_model(config).train()
    images, widths = batch(config, 40, 64, 17)
    features, frames = model.features(images, widths)
    labels, lengths = torch.tensor([1, 1, 2, 3, 36, 5]), torch.tensor([2, 3, 1])
    for log_probs in (model.log_probs(features, frames), model.auxiliary_log_probs(features)):
        loss = nn.functional.ctc_loss(log_probs.transpose(0, 1), labels, frames, lengths)  # (T, N, C)
        assert torch.isfinite(loss)
        torch.autograd.backward(loss, retain_graph=True)
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.any(), name


def test_with_a_skip_the_auxiliary_head_is_added_to_the_heads_result() -> None:
    model = random_model(NORMED).eval()
    features, frames = model.features(*batch(NORMED, 60, 33))
    scores = model.head(model.lstm(features, frames)) + model.auxiliary(features)
    assert torch.equal(model.log_probs(features, frames), torch.log_softmax(scores, dim=-1))
    without = random_model(replace(NORMED, skip=False)).eval()
    expected = torch.log_softmax(without.head(without.lstm(features, frames)), dim=-1)
    assert torch.equal(without.log_probs(features, frames), expected)


def test_dropout_acts_in_training_only() -> None:
    config = replace(slimmed(PRESETS["small"]), dropout=0.5)
    model = random_model(config, classes=3)
    features, frames = torch.ones((1, 40, config.features)), torch.tensor([40])
    assert not torch.equal(model.train().log_probs(features, frames), model.log_probs(features, frames))
    assert torch.equal(model.eval().log_probs(features, frames), model.log_probs(features, frames))


@pytest.mark.filterwarnings("ignore:The tensor attributes")  # torch, of its own LSTM
@pytest.mark.parametrize("config", [slimmed(PRESETS["small"]), NORMED], ids=["small", "normed"])
def test_torch_can_export_it_for_any_batch(config: ModelConfig) -> None:
    model = random_model(config).eval()
    free = torch.export.Dim("batch")
    program = torch.export.export(model, batch(model.config, 64, 48), dynamic_shapes=({0: free}, {0: free}))
    lines = batch(model.config, 64, 40, 33)
    (expected, frames), (found, _) = model(*lines), program.module()(*lines)
    for line in range(3):
        assert torch.allclose(found[line, : frames[line]], expected[line, : frames[line]], atol=1e-5)


KNOWN = Charset("aEz1")
HEADS = ("head", "auxiliary")


@pytest.fixture
def model(tiny_config: ModelConfig) -> CRNN:
    """A network with random weights for the known characters."""
    torch.manual_seed(0)
    return CRNN(tiny_config, KNOWN.classes)


def row(model: CRNN, head: str, charset: Charset, character: str) -> tuple[Tensor, float]:
    """Weights and bias of a character in an output layer; "" is the blank."""
    layer = getattr(model, head)
    index = charset.encode(character)[0] if character else 0
    return layer.weight[index], layer.bias[index].item()


@pytest.mark.parametrize("wanted", ["aEz1", "1zEa", "aäbcdEz19", "9z", "E"], ids=["same", "turned", "more", "other", "fewer"])
@pytest.mark.parametrize("head", HEADS)
def test_a_character_that_stays_keeps_its_weights(wanted: str, head: str, model: CRNN) -> None:
    charset = Charset(wanted)
    resized = resize_head(model, KNOWN, charset)
    assert resized.classes == charset.classes
    for character in ["", *(character for character in wanted if character in KNOWN.characters)]:
        weight, bias = row(resized, head, charset, character)
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
def test_a_new_character_starts_as_the_similar_one_but_less_likely(new: str, like: str, head: str, model: CRNN) -> None:
    charset = Charset(KNOWN.characters + new)
    weight, bias = row(resize_head(model, KNOWN, charset), head, charset, new)
    like_weight, like_bias = row(model, head, KNOWN, like)
    assert torch.equal(weight, like_weight)
    assert bias == pytest.approx(like_bias - 2)  # e² = 7.4 times less likely


def test_with_a_skip_a_new_character_is_less_likely_by_as_much(tiny_config: ModelConfig) -> None:
    model = CRNN(replace(tiny_config, skip=True), KNOWN.classes).eval()
    resized = resize_head(model, KNOWN, Charset("aä"))
    features, frames = torch.rand(1, 9, tiny_config.features), torch.tensor([9])
    log_probs = resized.log_probs(features, frames)
    assert torch.allclose(log_probs[..., 2], log_probs[..., 1] - 2, atol=1e-5)
    auxiliary = resized.auxiliary_log_probs(features)
    assert torch.allclose(auxiliary[..., 2], auxiliary[..., 1] - 2, atol=1e-5)


@pytest.mark.parametrize("new", ["漢", "ß", "?"])  # ß is two letters in the other case
@pytest.mark.parametrize("head", HEADS)
def test_a_new_character_like_no_other_starts_as_the_mean_of_all(new: str, head: str, model: CRNN) -> None:
    charset = Charset(KNOWN.characters + new)
    weight, bias = row(resize_head(model, KNOWN, charset), head, charset, new)
    layer = getattr(model, head)
    assert torch.allclose(weight, layer.weight[1:].mean(0))  # without the blank
    assert bias == pytest.approx(layer.bias[1:].mean().item() - 2)


def test_everything_except_the_output_layers_stays_and_the_old_network_too(model: CRNN) -> None:
    before = {name: value.clone() for name, value in model.state_dict().items()}
    resized = resize_head(model.eval(), KNOWN, Charset("xyz")).state_dict()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert {name for name in before if not torch.equal(before[name], resized[name])} == {
        f"{head}.{part}" for head in HEADS for part in ("weight", "bias")
    }


@pytest.mark.parametrize("training", [True, False])
def test_a_resized_network_stays_in_its_mode(training: bool, model: CRNN) -> None:
    assert resize_head(model.train(training), KNOWN, Charset("ab")).training is training


def test_predictions_do_not_change_as_the_charset_grows(tiny_data: Path, tiny_model: Path) -> None:
    card, model = checkpoint.load(tiny_model)
    known = card.charset
    # In another order, among new characters that look like known ones and some that look like none.
    charset = Charset("".join(sorted({*known.characters, *"äéßçÑ漢字½∑"}, reverse=True)))
    assert len(charset.unknown(known.characters)) == 0
    resized = resize_head(model, known, charset)
    old_classes = [0, *charset.encode(known.characters)]
    for sample in load_dataset(tiny_data).samples[:8]:
        line = Preprocessor.for_model(card.config).line(sample.path)
        before, after = (
            TorchEngine(network, torch.device("cpu")).log_probs(*images.to_batch([line]))[0][0] for network in (model, resized)
        )
        assert charset.decode(greedy(after).ids) == known.decode(greedy(before).ids)
        # New classes take a share of the probability; how the old ones stand to the blank, and so to each other, is as before.
        odds_before, odds_after = before - before[:, :1], after[:, old_classes] - after[:, :1]
        assert np.allclose(odds_after, odds_before, atol=1e-4)
