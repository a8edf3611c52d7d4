"""A graph that takes pictures as they are: it resizes to the byte as Pillow does, and reads what `predict` reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto
from PIL import Image
from typer.testing import Result

from crnnocr import images
from crnnocr.config import DecodeConfig, ExportConfig, Orientation, Precision, ReadConfig
from crnnocr.decoding.forward import text_log_probs
from crnnocr.decoding.hypothesis import greedy
from crnnocr.errors import GateError, UsageError
from crnnocr.export import end_to_end, onnx_file, verify
from crnnocr.export import folder as exporting
from crnnocr.export.end_to_end import Reading, add_resize
from crnnocr.export.onnx_graph import Nodes
from crnnocr.images import Preprocessor
from crnnocr.inference.engines import OnnxEngine
from crnnocr.inference.recognizer import Recognizer
from crnnocr.metrics.calibration import Calibration
from crnnocr.model import checkpoint

SELF_CONTAINED = ExportConfig(self_contained=True)
Grey = NDArray[np.uint8]


def chance(height: int, width: int, seed: int = 0) -> Grey:
    """Black and white points, whose averages come to halves as often as can be."""
    return np.random.default_rng([seed, height, width]).choice(np.array([0, 1, 127, 255], np.uint8), size=(height, width))


@pytest.fixture(scope="module")
def resize() -> onnxruntime.InferenceSession:
    """A graph that brings the middle axis to other sizes."""
    nodes = Nodes()
    columns = nodes.add("ReduceMax", ["wanted"], keepdims=0)
    nodes.add("Identity", [add_resize(nodes, "pictures", "size", "wanted", columns)], "resized")
    inputs = {
        "pictures": (TensorProto.UINT8, ["n", "a", "b"]),
        "size": (TensorProto.INT64, ["n"]),
        "wanted": (TensorProto.INT64, ["n"]),
    }
    model = nodes.model(inputs, {"resized": (TensorProto.UINT8, ["n", "c", "b"])}, {}, end_to_end.OPSET)
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("size", [1, 2, 3, 7, 31, 32, 40, 41, 64, 80, 97, 160, 401, 1000])
def test_a_resize_is_pillows_to_the_byte(size: int, resize: onnxruntime.InferenceSession) -> None:
    picture = chance(size, 50)
    for wanted in (1, 2, 5, 20, 39, 40, 41, 80, 200, 333, 1000):
        (given,) = resize.run(None, {"pictures": picture[None], "size": np.array([size]), "wanted": np.array([wanted])})
        expected = np.asarray(Image.fromarray(picture).resize((50, wanted), Image.Resampling.BILINEAR))
        np.testing.assert_array_equal(given[0], expected, err_msg=f"{size} to {wanted}")


def engine_of(model_file: Path, orientation: Orientation = Orientation.HORIZONTAL) -> OnnxEngine:
    card, model, _ = onnx_file.opened(model_file)
    return OnnxEngine(onnx_file.serialised(replace(card, orientation=orientation), model, SELF_CONTAINED))


@pytest.fixture(scope="module")
def engine(tiny_model: Path) -> OnnxEngine:
    return engine_of(tiny_model)


SIZES = [(16, 60), (15, 61), (31, 17), (40, 200), (5, 90), (100, 333), (90, 50), (1, 1), (17, 500)]
"""None much taller than wide: there Pillow changes the order of its passes, so that single values differ by one."""


def log_probs_of(engine: OnnxEngine, pictures: list[Grey]) -> list[NDArray[np.float32]]:
    log_probs, frames = engine.run(["log_probs", "frames"], end_to_end.stacked(pictures))
    return [log_probs[row, :count] for row, count in enumerate(frames.tolist())]


@pytest.mark.parametrize("orientation", [Orientation.HORIZONTAL, Orientation.VERTICAL])
def test_the_network_sees_the_line_that_predict_would_show_it(orientation: Orientation, tiny_model: Path) -> None:
    card, model, _ = onnx_file.opened(tiny_model)
    lines_engine = OnnxEngine(onnx_file.serialised(card, model, ExportConfig()))
    whole = engine_of(tiny_model, orientation)
    pictures = [chance(*size) for size in SIZES]
    if orientation is Orientation.VERTICAL:
        pictures = [np.ascontiguousarray(picture.T) for picture in pictures]
    preprocessor = Preprocessor.for_model(card.config, orientation)
    lines = [preprocessor.line(picture) for picture in pictures]
    for line, alone, together in zip(
        lines, [log_probs_of(whole, [picture])[0] for picture in pictures], log_probs_of(whole, pictures), strict=True
    ):
        expected = lines_engine.log_probs(*images.to_batch([line]))[0][0]
        np.testing.assert_allclose(alone, expected, atol=1e-5)
        np.testing.assert_allclose(together, expected, atol=1e-5)


def test_pictures_read_the_same_alone_and_together(engine: OnnxEngine, tiny_data: Path) -> None:
    pictures = [np.asarray(images.load_gray(path)) for path in sorted(tiny_data.glob("*.png"))[:9]]
    together = end_to_end.readings(engine, pictures)
    for picture, reading in zip(pictures, together, strict=True):
        (alone,) = end_to_end.readings(engine, [picture])
        assert alone.ids == reading.ids
        assert alone.confidence == pytest.approx(reading.confidence, abs=1e-5)


def best_paths(log_probs: list[NDArray[np.float32]], calibration: Calibration) -> list[Reading]:
    """What the nodes of `best_path` make of log-probabilities."""
    nodes = Nodes()
    end_to_end.add_best_path(nodes, "log_probs", "frames", calibration)
    inputs = {"log_probs": (TensorProto.FLOAT, ["n", "t", "c"]), "frames": (TensorProto.INT64, ["n"])}
    model = nodes.model(inputs, end_to_end.OUTPUTS, {}, end_to_end.OPSET)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    frames = np.array([len(line) for line in log_probs])
    together = np.full((len(log_probs), frames.max(), log_probs[0].shape[1]), -0.1, np.float32)  # padding means nothing
    for place, line in zip(together, log_probs, strict=True):
        place[: len(line)] = line
    names = ["ids", "lengths", "confidences", "character_confidences"]
    ids, lengths, confidences, characters = session.run(names, {"log_probs": together, "frames": frames})
    assert all((row[n:] == 0).all() for row, n in zip(ids, lengths, strict=True))
    return [
        Reading(tuple(row[:n].tolist()), float(sure), tuple(of_each[:n].tolist()), line)
        for row, n, sure, of_each, line in zip(ids, lengths, confidences, characters, log_probs, strict=True)
    ]


def test_best_paths_and_their_confidences_are_those_of_the_decoders() -> None:
    rng = np.random.default_rng(3)
    lines = []
    for index in range(200):
        logits = rng.normal(size=(int(rng.integers(1, 30)), 5)) * (0.3, 1, 3, 10)[index % 4]
        lines.append((logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)).astype(np.float32))
    lines.append(np.log(np.full((12, 5), (0.96, 0.01, 0.01, 0.01, 0.01), np.float32)))  # no text at all
    calibration = Calibration(1.7, -0.4)
    found = best_paths(lines, calibration)
    assert not found[-1].ids
    for line, reading in zip(lines, found, strict=True):
        assert reading.ids == greedy(line).ids
        assert reading.confidence == pytest.approx(calibration.apply(text_log_probs([line], [reading.ids])[0]), abs=1e-4)


def test_a_character_is_as_sure_as_its_surest_frame() -> None:
    probs = np.array([[0.1, 0.6, 0.3], [0.1, 0.8, 0.1], [0.7, 0.2, 0.1], [0.2, 0.7, 0.1], [0.1, 0.1, 0.8]], np.float32)
    (reading,) = best_paths([np.log(probs)], Calibration())
    assert reading.ids == (1, 1, 2)
    assert reading.character_confidences == pytest.approx((0.8, 0.7, 0.8))


def test_texts_that_are_all_empty_are_read() -> None:
    (reading,) = best_paths([np.log(np.array([[0.9, 0.1], [0.8, 0.2]], np.float32))], Calibration())
    assert reading.ids == ()
    assert reading.confidence == pytest.approx(0.72, abs=1e-4)
    assert reading.character_confidences == ()


@pytest.mark.parametrize("precision", list(Precision))
def test_predict_takes_a_self_contained_export_with_all_of_its_options(
    precision: Precision, tiny_model: Path, tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify, "ENOUGH", 8)
    exporting.export(tiny_model, tmp_path / "whole", ExportConfig(precision=precision, self_contained=True), near(tiny_data))
    exporting.export(tiny_model, tmp_path / "plain", ExportConfig(precision=precision), near(tiny_data))
    pictures = sorted(tiny_data.glob("*.png"))[:8]
    decode, read = DecodeConfig(beam=4, top_k=2), ReadConfig(characters=True)
    plain, whole = (list(Recognizer.load(tmp_path / name).predict(pictures, decode, read)) for name in ("plain", "whole"))
    assert [prediction.text for prediction in plain] == [prediction.text for prediction in whole]
    assert any(prediction.text for prediction in whole)
    assert [p.confidence for p in plain] == pytest.approx([p.confidence for p in whole], abs=1e-4)
    assert [len(p.characters) for p in plain] == [len(p.characters) for p in whole]


def near(folder: Path) -> list[verify.Picture]:
    """The pictures that the tiny model knows by heart: of others it is so unsure that any rounding shows."""
    from crnnocr.datasets.detection import load_dataset

    return verify.of_samples(load_dataset(folder).samples[:8])


def test_a_vertical_export_is_read_as_it_is(tiny_model: Path, tiny_data: Path, tmp_path: Path) -> None:
    config = ExportConfig(self_contained=True, orientation=Orientation.VERTICAL)
    turned = [replace(one, source=Image.fromarray(np.rot90(one.grey(), -1))) for one in near(tiny_data)]
    exporting.export(tiny_model, tmp_path / "vertical", config, turned)
    recognizer = Recognizer.load(tmp_path / "vertical")
    assert recognizer.card.orientation is Orientation.VERTICAL
    found = [prediction.text for prediction in recognizer.predict([picture.source for picture in turned])]
    assert found == [picture.text for picture in turned]


def test_of_a_model_of_all_ways_it_reads_horizontal_lines(
    tiny_model: Path, tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify, "ENOUGH", 8)
    card, model = checkpoint.load(tiny_model)
    checkpoint.save(tmp_path / "x.safetensors", replace(card, orientation=Orientation.AUTO), model, set())
    exporting.export(tmp_path / "x.safetensors", tmp_path / "out", SELF_CONTAINED, near(tiny_data))
    assert Recognizer.load(tmp_path / "out").card.orientation is Orientation.HORIZONTAL


def test_lines_that_run_upward_it_cannot_read(tiny_model: Path, tmp_path: Path) -> None:
    card, model = checkpoint.load(tiny_model)
    checkpoint.save(tmp_path / "x.safetensors", replace(card, orientation=Orientation.UPWARD), model, set())
    with pytest.raises(UsageError, match="--orientation horizontal or vertical"):
        exporting.export(tmp_path / "x.safetensors", tmp_path / "out", SELF_CONTAINED)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("crnnocr.export.end_to_end._FIXED_POINT", 2.0**2),  # coarse weights
        ("crnnocr.export.end_to_end.BLANK", 1),
        ("crnnocr.export.end_to_end.MAX_WIDTH", 24),
    ],
    ids=["another resize", "another blank", "another width"],
)
def test_another_preprocessing_or_blank_is_caught(
    place: str, value: object, tiny_model: Path, tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(place, value)
    with pytest.raises(GateError, match=r"reads otherwise .*\.png as '"):
        exporting.export(tiny_model, tmp_path / "out", SELF_CONTAINED, near(tiny_data))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("current_model")
def test_the_command_exports_it_and_predict_reads_with_it(
    tiny_data: Path, tmp_path: Path, run_cli: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    pictures = sorted(tiny_data.glob("*.png"))[:4]
    result = run_cli("export", "--self-contained", "--verify", tiny_data)
    assert result.exit_code == 0, result.stderr
    given = {entry.name for entry in onnx.load(tmp_path / "tiny-onnx-self-contained/model.onnx").graph.input}
    assert given == {"pictures", "sizes"}
    ours, theirs = (run_cli("predict", *pictures, *model).stdout for model in ((), ("--model", "tiny-onnx-self-contained")))
    assert ours == theirs
