"""A model's file: what is saved comes back, and what is not a model is an error, and is never unpickled."""

from __future__ import annotations

import errno
import io
import json
import math
import pickle
import random
import subprocess
import time
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cards import RECORD, SCORES
from networks import BODIES
from safetensors.numpy import save as safetensors

from crnnocr.config import Conv, Layer, ModelConfig, Pool
from crnnocr.errors import CrnnocrError, ModelError
from crnnocr.model import checkpoint
from crnnocr.model.card import FORMAT_VERSION, Card, Publication, RealScore
from crnnocr.model.crnn import CRNN
from crnnocr.text.charset import Charset

CHARSET = Charset(" aß漢")


@pytest.fixture
def model(tiny_config: ModelConfig) -> CRNN:
    """A tiny network with chance weights, ready to read."""
    torch.manual_seed(0)
    return CRNN(tiny_config, CHARSET.classes).eval()


@pytest.fixture
def card(tiny_config: ModelConfig) -> Card:
    """Its card."""
    return Card("plates", CHARSET, tiny_config, training=replace(RECORD, start="Straße"), scores=SCORES)


@pytest.fixture
def saved(tmp_path: Path, card: Card, model: CRNN) -> Path:
    """Its file."""
    path = tmp_path / "plates" / "model.safetensors"
    checkpoint.save(path, card, model, [3, 1, 2**62, 3])
    return path


def test_a_loaded_model_gives_the_same_log_probabilities(saved: Path, model: CRNN) -> None:
    lines, widths = torch.rand(2, 1, 16, 40) * 2 - 1, torch.tensor([40, 40])
    _, loaded = checkpoint.load(saved)
    assert not loaded.training
    assert torch.equal(loaded(lines, widths)[0], model(lines, widths)[0])


def test_the_card_comes_back_as_it_was(saved: Path, card: Card) -> None:
    assert checkpoint.load_card(saved) == card
    assert checkpoint.load(saved)[0] == card


def test_what_is_published_about_a_model_comes_back(card: Card, tmp_path: Path) -> None:
    about = Publication("MIT", "crops", "none", "by hand", real_crops={"words: CER %": RealScore(100, 0.1, 0.05, 0.2)})
    for published in (about, replace(about, before="another")):
        whole = replace(card, training=replace(RECORD, about=published))
        assert Card.from_text(json.dumps(whole.to_json()), tmp_path) == whole


def test_the_training_ids_come_back(saved: Path) -> None:
    assert checkpoint.trained_on(saved) == {1, 3, 2**62}


def test_saving_again_replaces_the_file(saved: Path, card: Card, model: CRNN) -> None:
    checkpoint.save(saved, card, model, [5])
    assert checkpoint.trained_on(saved) == {5}
    assert [path.name for path in saved.parent.iterdir()] == ["model.safetensors"]


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    saved: Path, card: Card, model: CRNN, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, write = saved.read_bytes(), Path.write_bytes

    def disk_full(path: Path, data: bytes) -> int:
        write(path, data[:100])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", disk_full)
    with pytest.raises(CrnnocrError, match=r"cannot write .*model\.safetensors: No space left on device"):
        checkpoint.save(saved, card, model, [])
    assert saved.read_bytes() == before
    assert [path.name for path in saved.parent.iterdir()] == ["model.safetensors"]


def test_a_folder_that_cannot_be_made_is_named_and_not_the_temporary_file(tmp_path: Path, card: Card, model: CRNN) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CrnnocrError, match=r"cannot write .*/file/model\.safetensors"):
        checkpoint.save(tmp_path / "file" / "model.safetensors", card, model, [])


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"none\.safetensors cannot be read: No such file"):
        checkpoint.load(tmp_path / "none.safetensors")


def with_header(header: str) -> bytes:
    return len(header).to_bytes(8, "little") + header.encode()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"short",
        random.Random(0).randbytes(5000),
        b"\xff" * 100,
        b"\x02\0\0\0\0\0\0\0{}",
        b"\x02\0\0\0\0\0\0\0[]",
        with_header("[" * 100_000),
        with_header('{"w": {"data_offsets": []}}'),
        safetensors({"w": np.zeros(3, np.float32)}),
        safetensors({"w": np.zeros(3, np.float32)}, metadata={"format": "pt"}),
        safetensors({"w": np.zeros(3, np.float32)}, metadata={"crnnocr": "{}"}),
        safetensors({"w": np.zeros(3, np.float32)}, metadata={"crnnocr": "not JSON"}),
        safetensors({"w": np.zeros(3, np.float32)}, metadata={"crnnocr": "[1]"}),
    ],
    ids=[
        "empty",
        "short",
        "random",
        "ones",
        "object",
        "list",
        "deep",
        "no offsets",
        "foreign",
        "torch",
        "no version",
        "no JSON",
        "no object",
    ],
)
def test_a_foreign_file_is_an_error_that_names_it(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "foreign.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"foreign\.safetensors is not a model of crnnocr"):
        checkpoint.load(path)


@pytest.mark.parametrize("kept", [0, 4, 8, 9, 500, 0.5, -1])
def test_a_file_that_is_cut_off_is_an_error(kept: float, saved: Path) -> None:
    content = saved.read_bytes()
    saved.write_bytes(content[: int(kept * len(content)) if isinstance(kept, float) else kept])
    with pytest.raises(ModelError, match=r"model\.safetensors is (cut off|not a model of crnnocr, or is damaged)"):
        checkpoint.load(saved)


def test_a_file_that_is_cut_off_within_its_weights_says_what_to_do(saved: Path) -> None:
    size = saved.stat().st_size
    saved.write_bytes(saved.read_bytes()[:-1])
    with pytest.raises(ModelError, match=f"is cut off: it has {size - 1} bytes of {size}; copy or train it again"):
        checkpoint.load(saved)


def test_a_newer_format_asks_for_an_upgrade(tmp_path: Path, card: Card) -> None:
    newer = card.to_json() | {"format_version": FORMAT_VERSION + 1}
    with pytest.raises(ModelError, match=r"has model format 2, and this crnnocr reads up to 1: pip install -U crnnocr"):
        Card.from_text(json.dumps(newer), tmp_path / "model.safetensors")


@pytest.mark.parametrize("lost", ["name", "charset", "model", "training", "scores"])
def test_a_card_that_lacks_something_is_an_error(lost: str, card: Card, tmp_path: Path) -> None:
    data = {key: value for key, value in card.to_json().items() if key != lost}
    with pytest.raises(ModelError, match=f"its card cannot be read .*{lost}"):
        Card.from_text(json.dumps(data), tmp_path / "model.safetensors")


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("name", None),
        ("name", "\ud800"),
        ("model.preset", 5),
        ("model.height", True),
        ("model.hidden", "48"),
        ("model.projection", -1),
        ("model.projection", True),
        ("model.skip", 1),
        ("training", "text"),
        ("training.date", 5),
        ("training.data", []),
        ("training.data.sources", [{"name": "crops"}]),
        ("training.config", "en"),
        ("training.versions", None),
        ("training.config.synth", 5),
        ("training.steps", 5.5),
        ("training.seconds", "long"),
        ("training.batch_size", None),
        ("training.about", {"real_crops": {"CER %": {"value": 0.1}}}),
        ("training.about", {"licence": 5}),
        ("scores", [1]),
        ("scores.cer", "bad"),
        ("scores.cer", float("nan")),
        ("scores", {"n": 4, "wer": 0.1}),
        ("scores.n", True),
        ("scores.wer", 10**400),
        ("calibration.readings", float("inf")),
        ("quantisation.ranges", [[0.0, 1.0]]),
        ("quantisation.ranges", [[0.0, 1.0]] * 5 + [[0.0, 0.0]]),
        ("quantisation.ranges", [[0.0, 1.0]] * 5 + [[0.5, 1.0]]),
        ("quantisation.ranges", [[0.0, 1.0]] * 5 + [[1.0]]),
        ("quantisation.ranges", [[0.0, 1.0]] * 5 + [[0.0, 5e-324]]),
        ("quantisation.ranges", [[0.0, 1.0]] * 5 + [[-1e300, 1e300]]),
        ("quantisation.ranges", [[0.0, 1.0]] * 5 + [["-1", 1.0]]),
        ("quantisation.ranges", "123456"),
    ],
)
def test_a_card_with_a_value_of_another_type_is_an_error(place: str, value: object, card: Card, tmp_path: Path) -> None:
    data = card.to_json()
    *above, key = place.split(".")
    inner = data
    for step in above:
        inner = inner[step]
    inner[key] = value
    with pytest.raises(ModelError, match=r"model\.safetensors: its card cannot be read \("):
        Card.from_text(json.dumps(data), tmp_path / "model.safetensors")


@pytest.mark.parametrize("config", BODIES.values(), ids=BODIES)
def test_a_model_with_every_kind_of_layer_comes_back(config: ModelConfig, card: Card, tmp_path: Path) -> None:
    ranges = tuple((-0.5 * index, 1.0 + index) for index in range(config.activations))
    whole, model = replace(card, config=config, activation_ranges=ranges), CRNN(config, CHARSET.classes).eval()
    checkpoint.save(tmp_path / "model.safetensors", whole, model, [])
    loaded_card, loaded = checkpoint.load(tmp_path / "model.safetensors")
    assert loaded_card == whole
    lines, widths = torch.rand(2, 1, config.height, 40) * 2 - 1, torch.tensor([40, 31])
    assert torch.equal(loaded(lines, widths)[0], model(lines, widths)[0])


def within(layer: dict[str, Any], depth: int) -> dict[str, Any]:
    """A layer in so many residuals."""
    return {"layer": "residual", "layers": [within(layer, depth - 1)]} if depth else layer


CONV = {"layer": "conv", "channels": 4}
SHRINKING = {"layer": "conv", "channels": 4, "stride": [2, 1]}
BACKBONES: dict[str, list[Any]] = {
    "a residual with other channels": [CONV, {"layer": "residual", "layers": [{**CONV, "channels": 5}]}],
    "a residual with another size": [CONV, {"layer": "residual", "layers": [SHRINKING]}],
    "a residual without layers": [CONV, {"layer": "residual", "layers": []}],
    "a residual of no list": [CONV, {"layer": "residual", "layers": 5}],
    "layers deep in others": [CONV, within(CONV, 5)],
    "an impossible excitation in a residual": [CONV, {"layer": "residual", "layers": [{"layer": "excitation", "units": 0}]}],
    "a branch with another size": [CONV, {"layer": "concat", "branches": [[CONV], [SHRINKING]]}],
    "a branch without layers": [CONV, {"layer": "concat", "branches": [[CONV], []]}],
    "no branches": [CONV, {"layer": "concat", "branches": []}],
    "branches of no layers": [CONV, {"layer": "concat", "branches": [[5]]}],
    "branches as a text": [CONV, {"layer": "concat", "branches": "conv"}],
    "a depthwise convolution with other channels": [CONV, {**CONV, "channels": 8, "is_depthwise": True}],
    "depthwise as a number": [CONV, {**CONV, "is_depthwise": 1}],
    "an unknown activation": [{**CONV, "activation": "tanh"}],
    "an activation of no text": [{**CONV, "activation": ["relu"]}],
    "a stride of 0": [{**CONV, "stride": [0, 1]}],
    "a negative padding": [{**CONV, "more_padding": [0, -1]}],
    "a padding wider than the kernel": [{**CONV, "padding": [1, 1], "more_padding": [0, 2]}],
    "a padded average": [CONV, {"layer": "pool", "kernel": [2, 2], "stride": [2, 2], "padding": [0, 1], "is_average": True}],
    "a padded maximum of what may be negative": [
        {**CONV, "activation": "gelu"},
        {"layer": "pool", "kernel": [2, 2], "stride": [2, 1], "padding": [0, 1]},
    ],
    "no units": [CONV, {"layer": "excitation", "units": 0}],
    "too many units": [CONV, {"layer": "excitation", "units": 2**40}],
    "units as a truth": [CONV, {"layer": "excitation", "units": True}],
    "an excitation without units": [CONV, {"layer": "excitation"}],
    "an unknown kind": [CONV, {"layer": "attention", "units": 4}],
    "no layers": [],
    "a long name": [{**CONV, "x" * 10**6: 1}],
    "very many layers": [CONV] * 200_000,
    "very many branches": [{"layer": "concat", "branches": [[CONV]] * 100_000}],
    "very many layers in a branch": [CONV, {"layer": "residual", "layers": [CONV] * 100_000}],
}


@pytest.mark.parametrize("backbone", BACKBONES.values(), ids=BACKBONES)
def test_a_card_with_impossible_layers_is_an_error_in_one_sentence(backbone: list[Any], card: Card, tmp_path: Path) -> None:
    data = card.to_json()
    data["model"]["backbone"] = backbone
    text, start = json.dumps(data), time.process_time()
    with pytest.raises(ModelError, match=r"model\.safetensors: its card cannot be read \(.*\)$") as caught:
        Card.from_text(text, tmp_path / "model.safetensors")
    assert time.process_time() - start < 2
    message = str(caught.value).removeprefix(str(tmp_path))
    assert len(message) < 700
    assert "\n" not in message


def test_a_card_with_as_many_layers_as_can_be_is_read_at_once(card: Card, tmp_path: Path) -> None:
    far = {"layer": "pool", "kernel": [1, 1], "stride": [1, 2**30]}
    data = card.to_json()
    data["model"]["backbone"] = [CONV] * 900 + [far]
    start = time.process_time()
    config = Card.from_text(json.dumps(data), tmp_path).config
    assert config.min_width_for(2) == 2**30 + 1
    assert config.center(1) == 2**30 + 0.5
    assert time.process_time() - start < 2


def test_ranges_of_version_0_1_begin_at_zero(card: Card, tmp_path: Path) -> None:
    data = card.to_json()
    data["quantisation"] = {"peaks": [1, 2.5, 3.0, 4.0, 5.0, 6.0], "precision": "int8"}
    read = Card.from_text(json.dumps(data), tmp_path / "model.safetensors")
    assert read.activation_ranges[:2] == ((0.0, 1.0), (0.0, 2.5))


def test_the_error_names_the_place_and_the_value(card: Card, tmp_path: Path) -> None:
    data = card.to_json()
    data["training"]["data"]["sources"] = [{"name": "crops", "format": "csv", "samples": "many"}]
    with pytest.raises(ModelError, match=r"\(training\.data\.sources\.samples cannot be 'many'\)"):
        Card.from_text(json.dumps(data), tmp_path / "model.safetensors")


@pytest.mark.parametrize(
    "backbone",
    [
        (Conv(12), Pool((2, 2), (0, 0))),
        (Conv(12), Pool((2, 0), (2, 1))),
        (Conv(12), Pool((2, 2), (2, 2), (2, 2))),  # of more than half the window
        (Conv(12), Pool((2, 2, 2), (2, 2))),  # type: ignore[arg-type]
        (Conv("x"),),  # type: ignore[arg-type]
        (Conv(0),),
        (Conv(12, kernel=(3, 2.5)),),  # type: ignore[arg-type]
        (Conv(12, padding=(-1, 1)),),
        (Conv(12, padding=(True, 1)),),
        (Conv(12, padding=(1, 10**6)),),  # wider than the kernel: any line would become huge
        (Conv(12), Pool((2, 2), (2**64, 2))),
        (Conv(12, norm="no"),),  # type: ignore[arg-type]
        (Pool((2, 2), (2, 2)),),  # and no convolution
        (Conv(12, kernel=(99, 3)),),  # higher than the line
        (Conv(12, kernel=(3, 9999)),),  # wider than any
    ],
)
def test_impossible_layers_are_an_error(backbone: tuple[Layer, ...], tiny_config: ModelConfig) -> None:
    with pytest.raises(ModelError, match="no network has this architecture"):
        replace(tiny_config, backbone=backbone)


def test_weights_and_statistics_come_back_to_the_bit(saved: Path, card: Card, model: CRNN) -> None:
    for name, tensor in model.state_dict().items():
        tensor.copy_(torch.rand(tensor.shape) + 0.5 if tensor.is_floating_point() else torch.tensor(7))
        assert tensor.device.type == "cpu", name
    checkpoint.save(saved, card, model, [])
    _, loaded = checkpoint.load(saved)
    known = model.state_dict()
    assert all(torch.equal(tensor, known[name]) for name, tensor in loaded.state_dict().items())
    lines, widths = torch.rand(2, 1, 16, 40) * 2 - 1, torch.tensor([40, 31])
    assert torch.equal(loaded(lines, widths)[0], model(lines, widths)[0])
    loaded.train()(lines, widths)[0].sum().backward()
    assert all(weight.grad is not None for name, weight in loaded.named_parameters() if "auxiliary" not in name)


def test_loading_uses_no_random_numbers_and_imports_no_more_of_torch(
    saved: Path, run_process: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    code = (
        "import sys, torch; from pathlib import Path; from crnnocr.model import checkpoint; before = torch.get_rng_state()\n"
        f"checkpoint.load(Path({str(saved)!r}))\n"
        "print(torch.equal(before, torch.get_rng_state()), 'sympy' in sys.modules)"
    )
    result = run_process("-c", code)
    assert result.stdout == "True False\n", result.stderr


def test_a_card_that_names_huge_sizes_takes_no_memory(
    saved: Path, card: Card, model: CRNN, run_process: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    code = (
        f"import sys; sys.path.append({str(Path(__file__).parent)!r}); from pathlib import Path; from memory import peak\n"
        "from crnnocr.model import checkpoint; from crnnocr.errors import ModelError\n"
        "before = peak()\n"
        f"try: checkpoint.load(Path({str(saved)!r}))\n"
        "except ModelError as error: print(str(error).rpartition(': ')[2])\n"
        "print(peak() - before < 10**9)"
    )
    checkpoint.save(saved, replace(card, config=replace(card.config, hidden=6000)), model, [])
    result = run_process("-c", code)
    assert result.stdout == "its weights do not fit its card\nTrue\n", result.stderr


@pytest.mark.parametrize("hidden", [10**9, 2**31 - 1])
def test_impossible_sizes_are_an_error(hidden: int, saved: Path, card: Card, model: CRNN) -> None:
    checkpoint.save(saved, replace(card, config=replace(card.config, hidden=hidden)), model, [])
    with pytest.raises(ModelError, match="its weights do not fit its card"):
        checkpoint.load(saved)


@pytest.mark.parametrize(
    ("name", "value"),
    [("head.weight", math.nan), ("lstm.first.along.weight_hh_l0", math.inf), ("backbone.stages.0.1.running_var", -0.5)],
)
def test_weights_that_are_no_numbers_are_neither_loaded_nor_saved(
    name: str, value: float, saved: Path, card: Card, model: CRNN
) -> None:
    good = saved.read_bytes()
    model.state_dict()[name].flatten()[-1:].fill_(value)
    with pytest.raises(ModelError, match=rf"{name} holds"):
        checkpoint.save(saved, card, model, [])
    assert saved.read_bytes() == good
    weights = {key: weight.numpy() for key, weight in model.state_dict().items()}
    saved.write_bytes(safetensors(weights, metadata={"crnnocr": json.dumps(card.to_json())}))
    with pytest.raises(ModelError, match=rf"model\.safetensors: {name} holds"):
        checkpoint.load(saved)


@pytest.mark.parametrize(
    "about",
    [
        {"dtype": "F8_E4M3", "shape": [16], "data_offsets": [0, 16]},
        {"dtype": "F8_E8M0", "shape": [16], "data_offsets": [0, 16]},
        {"dtype": "F32", "shape": [2**70], "data_offsets": [0, 16]},
        {"dtype": "F32", "shape": [0, 2**70], "data_offsets": [0, 0]},
        {"dtype": "F32", "shape": [-2, -2], "data_offsets": [0, 16]},
        {"dtype": "F32", "shape": [4.0], "data_offsets": [0, 16]},
        {"dtype": "F32", "shape": [True], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [4], "data_offsets": [0, 2**64]},
        {"dtype": "F32", "shape": [5], "data_offsets": [0, 16]},
        {"dtype": "F32", "shape": "4", "data_offsets": [0, 16]},
        {"dtype": "F32", "shape": [4], "data_offsets": [0]},
        {"dtype": ["F32"], "shape": [4], "data_offsets": [0, 16]},
        {"shape": [4]},
        [4],
        None,
    ],
)
@pytest.mark.parametrize("name", ["head.bias", "trained_on"])
def test_a_tensor_of_impossible_size_is_an_error(name: str, about: object, saved: Path) -> None:
    content = saved.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length]) | {name: about}
    changed = json.dumps(header).encode()
    saved.write_bytes(len(changed).to_bytes(8, "little") + changed + content[8 + length :])
    for load in (checkpoint.load_card, checkpoint.load, checkpoint.trained_on):
        with pytest.raises(ModelError, match=r"model\.safetensors (is not a model of crnnocr|is cut off)"):
            load(saved)


def test_a_damaged_list_of_training_images_is_an_error(saved: Path, card: Card) -> None:
    card_in = {"crnnocr": json.dumps(card.to_json())}
    saved.write_bytes(safetensors({"trained_on": np.zeros((2, 2), np.int64)}, metadata=card_in))
    with pytest.raises(ModelError, match="its list of training images is damaged"):
        checkpoint.trained_on(saved)


def test_weights_that_do_not_fit_the_card_are_an_error(tmp_path: Path, model: CRNN, tiny_config: ModelConfig) -> None:
    path = tmp_path / "odd.safetensors"
    checkpoint.save(path, Card("odd", Charset("abcdefgh"), tiny_config), model, [])
    with pytest.raises(ModelError, match=r"odd\.safetensors: its weights do not fit its card"):
        checkpoint.load(path)


def bare(pickled: bytes) -> bytes:
    return pickled


def zipped(pickled: bytes) -> bytes:
    """As torch saves a model, a zip with a pickle inside."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", pickled)
    return file.getvalue()


@pytest.mark.parametrize("packed", [bare, zipped])
def test_a_pickle_is_an_error_and_never_unpacked(packed: Callable[[bytes], bytes], tmp_path: Path) -> None:
    path, trace = tmp_path / "evil.safetensors", tmp_path / "trace"
    makes_a_folder = f"cos\nmkdir\n(V{trace}\ntR.".encode()
    path.write_bytes(packed(makes_a_folder))
    with pytest.raises(ModelError, match=r"evil\.safetensors is not a model of crnnocr"):
        checkpoint.load(path)
    assert not trace.exists()
    pickle.loads(makes_a_folder)
    assert trace.exists(), "what was not unpacked does nothing"
