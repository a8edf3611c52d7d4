"""The beginning of a training: the start model, the characters, the splits, and what is excluded."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from digits import SHAPE, Drawer, number, prepared
from PIL import Image

from crnnocr.config import DEFAULT_PRESET, PRESETS, CharsetChoice, ModelConfig, Orientation, TrainConfig
from crnnocr.datasets import Dataset, Sample
from crnnocr.datasets.issues import EMPTY_LABEL, MISSING_IMAGE, Severity
from crnnocr.datasets.lines import LineDataset
from crnnocr.errors import DataError, ModelError, UsageError
from crnnocr.model import checkpoint, registry
from crnnocr.model.card import Card
from crnnocr.model.crnn import CRNN
from crnnocr.model.registry import FoundModel
from crnnocr.text.charset import Charset
from crnnocr.training.prepare import inspect, start_from

SCRATCH = TrainConfig(start="scratch")


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PRESETS, DEFAULT_PRESET, SHAPE)


def labeled(folder: Path, texts: Sequence[str], seed: int = 0, **sizes: int) -> Dataset:
    """Noise images, all different; by default 16 pixels wide for each character."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    samples = []
    for index, text in enumerate(texts):
        path = folder / f"{seed}-{index}.png"
        noise = rng.integers(0, 256, (16, sizes.get("width", 16 * len(text))))
        Image.fromarray(noise.astype(np.uint8)).save(path)
        samples.append(Sample(path, text))
    return Dataset(folder, "hand-made", tuple(samples))


@pytest.fixture
def data(tmp_path: Path) -> Dataset:
    """40 images of "a" to "c"."""
    return labeled(tmp_path / "data", ["abc", "cab", "ba", "c"] * 10)


def model(path: Path, characters: str = "cab", shape: ModelConfig = SHAPE, seen: Sequence[int] = (), **card: Any) -> Path:
    """Store a model with random weights, whose card says that it was trained on the images `seen`."""
    torch.manual_seed(len(characters))
    network = CRNN(shape, Charset(characters).classes)
    checkpoint.save(path, Card(path.parent.name, Charset(characters), shape, **card), network, seen)
    return path


def weights(network: CRNN) -> dict[str, torch.Tensor]:
    return network.state_dict()


def same_weights(one: CRNN, other: CRNN) -> bool:
    mine, theirs = weights(one), weights(other)
    return mine.keys() == theirs.keys() and all(torch.equal(value, theirs[name]) for name, value in mine.items())


def texts(lines: LineDataset) -> list[str]:
    return sorted(lines.texts)


# The start model


def test_from_scratch_the_first_weights_depend_on_the_seed(data: Dataset, tmp_path: Path) -> None:
    one, again, other = (prepared(data, SCRATCH, seed=seed) for seed in (5, 5, 6))
    assert one.start.found is None
    assert same_weights(one.model, again.model)
    assert not same_weights(one.model, other.model)
    assert one.card.config == SHAPE


def test_scratch_does_not_take_the_pretrained_model(data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = model(tmp_path / "pretrained model" / "model.safetensors")
    monkeypatch.setattr(registry, "pretrained", lambda _: FoundModel(path, "the pretrained one"))
    assert prepared(data, SCRATCH).start.found is None


def test_auto_takes_the_pretrained_model_of_the_preset(data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = model(tmp_path / "pretrained model" / "model.safetensors")
    asked: list[str | None] = []

    def pretrained(preset: str | None = None) -> FoundModel:
        asked.append(preset)
        return FoundModel(path, "the pretrained one")

    monkeypatch.setattr(registry, "pretrained", pretrained)
    ready = prepared(data, TrainConfig())
    assert ready.start.found == FoundModel(path, "the pretrained one")
    assert same_weights(ready.model, checkpoint.load(path)[1])
    assert set(asked) == {None}
    start_from(replace(TrainConfig(), preset=ready.card.config.preset))
    assert asked[-1] == ready.card.config.preset


def test_a_pretrained_model_for_all_orientations_is_trained_on_horizontal_lines(
    data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "pretrained model" / "model.safetensors"
    card, network = checkpoint.load(model(path))
    checkpoint.save(path, replace(card, orientation=Orientation.AUTO), network, ())
    for is_pretrained, expected in ((True, Orientation.HORIZONTAL), (False, Orientation.AUTO)):
        monkeypatch.setattr(registry, "pretrained", lambda _, own=is_pretrained: FoundModel(path, "en", is_pretrained=own))
        assert prepared(data, TrainConfig()).start.orientation is expected


def test_auto_without_a_pretrained_model_is_scratch_and_never_a_model_of_the_user(
    data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "pretrained", lambda _: None)
    alone = prepared(data, TrainConfig())
    for name in ("plates", "small", "auto"):
        model(registry.path_of(name))
        registry.make_current(name)
    ready = prepared(data, TrainConfig())
    assert ready.start.found is None
    assert same_weights(ready.model, alone.model)


@pytest.mark.parametrize("by", ["name", "folder", "file"])
def test_a_start_model_is_named_by_name_folder_or_file(by: str, data: Dataset) -> None:
    path = model(registry.path_of("plates"), seen=[1, 2])
    start = {"name": "plates", "folder": str(path.parent), "file": str(path)}[by]
    ready = prepared(data, TrainConfig(start=start))
    assert ready.start.found == FoundModel(path, "plates")
    assert ready.start.trained_on == {1, 2}
    assert same_weights(ready.model, checkpoint.load(path)[1])


def test_if_a_start_model_is_missing_the_error_lists_those_that_there_are(data: Dataset) -> None:
    model(registry.path_of("signs"))
    with pytest.raises(ModelError, match=r"no model plates: .* nor the name of a model \(signs\)"):
        prepared(data, TrainConfig(start="plates"))


def test_training_does_not_start_from_an_exported_model(data: Dataset, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"")
    with pytest.raises(ModelError, match=r"training starts from a \.safetensors model of crnnocr, not from a graph"):
        prepared(data, TrainConfig(start=str(tmp_path / "model.onnx")))


def test_a_start_model_gives_its_rows(data: Dataset) -> None:
    model(registry.path_of("plates"), rows=2)
    assert start_from(TrainConfig(start="plates")).rows == 2
    assert start_from(TrainConfig(start="plates", rows=1)).rows == 1
    assert start_from(TrainConfig(start="scratch")).rows == 1
    assert prepared(data, replace(SCRATCH, rows=2)).card.rows == 2


def test_a_start_model_gives_its_layers_and_orientation(data: Dataset) -> None:
    narrow = replace(SHAPE, hidden=5, preset="narrow")
    model(registry.path_of("plates"), shape=narrow, orientation=Orientation.VERTICAL)
    start = start_from(TrainConfig(start="plates"))
    assert (start.model_config, start.orientation) == (narrow, Orientation.VERTICAL)
    assert start_from(TrainConfig(start="plates", orientation=Orientation.AUTO)).orientation is Orientation.AUTO


def test_a_start_model_of_another_preset_is_an_error() -> None:
    model(registry.path_of("plates"))  # of the default preset
    assert start_from(TrainConfig(start="plates", preset=DEFAULT_PRESET)).found
    with pytest.raises(UsageError, match=f"preset classic: plates is of the preset {DEFAULT_PRESET}"):
        start_from(TrainConfig(start="plates", preset="classic"))


def test_freezing_needs_a_start_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "pretrained", lambda _: None)
    for start in ("auto", "scratch"):
        with pytest.raises(UsageError, match="freeze keeps the layers of a start model"):
            start_from(TrainConfig(start=start, freeze=True))


# The charset


def test_from_scratch_the_charset_is_that_of_all_texts(data: Dataset, tmp_path: Path) -> None:
    more = labeled(tmp_path / "more", ["xa"], seed=1)
    assert prepared(data, SCRATCH).card.charset.characters == "abc"
    assert prepared([data, more], SCRATCH).card.charset.characters == "abcx"
    assert prepared(data, SCRATCH, validate=[more]).card.charset.characters == "abcx"
    assert prepared(data, SCRATCH, synthetic=Drawer()).card.charset.characters == "2357abc"


def test_new_characters_follow_those_of_the_start_model(data: Dataset, tmp_path: Path) -> None:
    model(registry.path_of("plates"), "bz")
    ready = prepared(data, TrainConfig(start="plates"))
    assert ready.card.charset.characters == "bzac"
    assert ready.new_characters == "ac"
    known = checkpoint.load(registry.path_of("plates"))[1]
    assert torch.equal(ready.model.head.weight[:3], known.head.weight)  # the blank, b and z
    assert ready.model.head.weight.shape[0] == ready.card.charset.classes == 5


def test_with_the_charset_of_the_data_other_characters_are_dropped(data: Dataset) -> None:
    model(registry.path_of("plates"), "zcyb")
    ready = prepared(data, TrainConfig(start="plates", charset=CharsetChoice.DATA))
    assert ready.card.charset.characters == "cba"  # the known ones first, in their order
    assert ready.new_characters == "a"
    known = checkpoint.load(registry.path_of("plates"))[1]
    assert torch.equal(ready.model.head.weight[:3], known.head.weight[[0, 2, 4]])


def test_with_no_new_characters_nothing_changes(data: Dataset) -> None:
    path = model(registry.path_of("plates"), "cabz")
    ready = prepared(data, TrainConfig(start="plates"))
    assert ready.new_characters == ""
    assert same_weights(ready.model, checkpoint.load(path)[1])


# The validation split


def test_the_splits_are_disjoint_and_do_not_depend_on_the_order(data: Dataset) -> None:
    ready, turned = (
        prepared(replace(data, samples=samples), SCRATCH, held_out=0.3) for samples in (data.samples, data.samples[::-1])
    )
    assert len(ready.train) + len(ready.validation) == 40
    assert 5 <= len(ready.validation) <= 19  # 12, give or take two and a half standard deviations for 40 contents
    assert set(ready.validation.content_ids) == set(turned.validation.content_ids)
    assert not set(ready.validation.content_ids) & set(ready.train.content_ids)


def test_with_a_share_of_0_nothing_is_held_out_and_the_order_stays(tmp_path: Path) -> None:
    pairs = ["".join(pair) for pair in itertools.product("abc", repeat=2)]
    ready = prepared(labeled(tmp_path, pairs), SCRATCH, held_out=0)
    assert list(ready.train.texts) == pairs
    assert len(ready.validation) == 0


def test_images_keep_their_labels(data: Dataset) -> None:
    ready = prepared(data, SCRATCH, held_out=0.3)
    by_content = {Path(s.path).read_bytes(): s.text for s in data.samples}
    assert len(by_content) == 40
    for part in (ready.train, ready.validation):
        for index, text in enumerate(part.texts):
            assert part[index].text == text
            assert part[index].pixels.shape == (16, 16 * len(text))


def test_images_that_the_start_model_was_trained_on_are_in_the_training_split(data: Dataset) -> None:
    fresh = prepared(data, SCRATCH, held_out=0.3)
    would_be = fresh.validation.content_ids.tolist()
    model(registry.path_of("plates"), seen=would_be[:4] + fresh.train.content_ids.tolist()[:3])
    ready = prepared(data, TrainConfig(start="plates"), held_out=0.3)
    assert ready.already_seen == 4
    assert sorted(ready.validation.content_ids) == sorted(would_be[4:])
    assert sorted(ready.train.content_ids) == sorted([*fresh.train.content_ids, *would_be[:4]])


def test_if_the_start_model_was_trained_on_all_that_would_be_held_out_others_are(data: Dataset) -> None:
    fresh = prepared(data, SCRATCH, held_out=0.3)
    model(registry.path_of("plates"), seen=fresh.validation.content_ids.tolist())
    ready = prepared(data, TrainConfig(start="plates"), held_out=0.3)
    assert ready.already_seen == len(fresh.validation)
    assert len(ready.validation) >= 1
    assert set(ready.validation.content_ids) < set(fresh.train.content_ids)


def test_if_the_start_model_was_trained_on_all_images_nothing_is_held_out(data: Dataset) -> None:
    fresh = prepared(data, SCRATCH, held_out=0.3)
    model(registry.path_of("plates"), seen=[*fresh.validation.content_ids.tolist(), *fresh.train.content_ids.tolist()])
    ready = prepared(data, TrainConfig(start="plates"), held_out=0.3)
    assert (len(ready.validation), len(ready.train), ready.already_seen) == (0, 40, len(fresh.validation))


def test_validation_data_that_the_start_model_was_trained_on_are_an_error(data: Dataset, tmp_path: Path) -> None:
    validate = labeled(tmp_path / "validate", ["abc"] * 6, seed=1)
    ids = prepared(data, SCRATCH, validate=[validate]).validation.content_ids.tolist()
    model(registry.path_of("plates"), seen=ids)
    with pytest.raises(DataError, match="plates was trained on all of the validation images"):
        prepared(data, TrainConfig(start="plates"), validate=[validate])


def test_images_in_both_sets_are_in_the_training_split_only(data: Dataset, tmp_path: Path) -> None:
    validate = labeled(tmp_path / "validate", ["abc"] * 6, seed=1)
    copies = []
    for sample in data.samples[:2]:
        path = tmp_path / "validate" / f"copy of {sample.path.name}"
        path.write_bytes(sample.path.read_bytes())
        copies.append(Sample(path, sample.text))
    ready = prepared(data, SCRATCH, validate=[replace(validate, samples=(*validate.samples, *copies))])
    assert len(ready.train) == 40
    assert texts(ready.validation) == ["abc"] * 6
    assert ready.already_seen == 0
    assert not set(ready.validation.content_ids) & set(ready.train.content_ids)


def test_validation_images_that_the_start_model_was_trained_on_are_left_out(data: Dataset, tmp_path: Path) -> None:
    validate = labeled(tmp_path / "validate", ["abc"] * 6, seed=1)
    ids = prepared(data, SCRATCH, validate=[validate]).validation.content_ids.tolist()
    model(registry.path_of("plates"), seen=ids[:2])
    ready = prepared(data, TrainConfig(start="plates"), validate=[validate])
    assert ready.already_seen == 2
    assert sorted(ready.validation.content_ids) == sorted(ids[2:])
    assert len(ready.train) == 40


# Synthetic images


def test_without_data_both_splits_are_synthetic() -> None:
    ready = prepared([], SCRATCH, synthetic=Drawer(), synthetic_validation=Drawer(), synthetic_validation_size=7)
    assert len(ready.train) == 0
    assert list(ready.validation.texts) == [number(10_000 + i) for i in range(7)]
    assert ready.card.charset.characters == "2357"


def test_without_training_data_issues_of_the_validation_data_are_found(tmp_path: Path) -> None:
    validate = labeled(tmp_path / "validate", ["235", "2\u00a03"])
    gone = replace(validate, issues=(MISSING_IMAGE.at("labels.csv line 3"),))
    inspected = inspect([], [gone], replace(SCRATCH, synth="en"))
    assert {issue.code for issue in inspected.issues} >= {"missing-picture", "odd-space"}
    assert not inspected.is_fatal
    assert inspect([], [replace(validate, samples=())], replace(SCRATCH, synth="en")).is_fatal


def test_texts_in_both_splits_are_noted(tmp_path: Path) -> None:
    data = labeled(tmp_path, ["abc", "cab"] * 40)
    (issue,) = [issue for issue in inspect([data], [], SCRATCH).issues if issue.code == "text-in-both"]
    assert issue.severity is Severity.NOTE


def test_synthetic_vertical_lines_are_turned_like_those_of_the_data() -> None:
    upright = prepared([], SCRATCH, synthetic=Drawer(), synthetic_validation=Drawer())
    vertical = prepared([], SCRATCH, synthetic=Drawer(), synthetic_validation=Vertical(), orientation=Orientation.VERTICAL)
    for i in range(3):
        assert np.array_equal(upright.validation[i].pixels, vertical.validation[i].pixels)


class Vertical(Drawer):
    """Makes the same numbers from top to bottom."""

    def __getitem__(self, index: int) -> tuple[Image.Image, str]:
        image, text = super().__getitem__(index)
        return image.transpose(Image.Transpose.ROTATE_270), text


def test_with_data_the_validation_split_is_real(data: Dataset) -> None:
    ready = prepared(data, SCRATCH, synthetic=Drawer(), synthetic_validation=Drawer(), held_out=0.3)
    assert len(ready.validation) == 40 - len(ready.train)


# Excluded samples


def test_labels_that_need_more_frames_than_their_images_give_are_excluded(tmp_path: Path) -> None:
    assert SHAPE.frames(8) == 2
    narrow = labeled(tmp_path, ["ab", "aa", "abcdefgh"], width=8)  # equal neighbors need a blank between them
    wider = labeled(tmp_path, ["aa"], seed=1, width=12)
    inspected = inspect([narrow, wider], [], SCRATCH)
    ready = prepared([narrow, wider], SCRATCH)
    assert sorted([*ready.train.texts, *ready.validation.texts]) == ["aa", "ab"]
    (issue,) = [issue for issue in inspected.issues if issue.code == "label-too-long"]
    assert issue.severity is Severity.EXCLUDED
    assert [Path(location.path).name for location in issue.locations] == ["0-1.png", "0-2.png"]


def test_images_that_cannot_be_read_are_excluded_and_named(data: Dataset, tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"not an image")
    more = replace(data, samples=(*data.samples, Sample(broken, "abc")), issues=(EMPTY_LABEL.at("line 3: x.png"),))
    inspected = inspect([more], [], SCRATCH)
    assert len(inspected.train) == 40
    locations = [location for issue in inspected.issues for location in issue.locations]
    assert any(str(broken) in f"{location.path} {location.detail}" for location in locations)
    assert any("line 3: x.png" in f"{location.path} {location.detail}" for location in locations)
    assert not inspected.is_fatal


def test_progress_counts_the_images_of_both_sets(data: Dataset, tmp_path: Path) -> None:
    reports: list[tuple[int, int]] = []
    inspect(
        [data], [labeled(tmp_path / "validate", ["a"] * 5, seed=1)], SCRATCH, lambda done, count: reports.append((done, count))
    )
    assert reports == [(40, 45), (45, 45)]


@pytest.mark.parametrize("what", ["nothing", "unreadable", "too long"])
def test_data_of_which_nothing_is_left_are_fatal(what: str, tmp_path: Path) -> None:
    data = labeled(tmp_path, [] if what == "nothing" else ["abcdefgh"], width=4)
    if what == "unreadable":
        data.samples[0].path.write_bytes(b"not an image")
    inspected = inspect([data], [], SCRATCH)
    assert inspected.is_fatal
    with pytest.raises(DataError, match=r"no image is left to train on|a charset needs at least one character"):
        prepared(data, SCRATCH)
