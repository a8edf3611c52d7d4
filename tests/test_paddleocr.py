"""Recognizers of PaddleOCR's form are imported, recognize as they do by themselves, and can be used as any other model."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import Result
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from crnnocr import images, runtime
from crnnocr.errors import DataError, ModelError
from crnnocr.export.paddleocr import characters, convert, is_recognizer, read, unique
from crnnocr.inference.engines import OnnxEngine
from crnnocr.inference.recognizer import Recognizer
from crnnocr.model import registry

RunCli = Callable[..., Result]
CHARACTERS = ["a", "b", "Å", "\u212b", "ﬁx", "'"]
"""Two of them are one in NFC, and one is no single character."""


def network(
    classes: int, character: str = "", height: int = 48, opset: int = 11, columns: int = 8, given: str = "x"
) -> onnx.ModelProto:
    """A small recognizer: a convolution over 8 columns, squeeze-and-excitation, and a softmax."""
    rng = np.random.default_rng(0)
    kernel = (rng.standard_normal((classes, 3, height, 8)) * 0.05).astype(np.float32)
    nodes = [
        helper.make_node("Conv", [given, "kernel"], ["maps"], strides=[height, columns]),
        helper.make_node("GlobalAveragePool", ["maps"], ["means"]),
        helper.make_node("Sigmoid", ["means"], ["factors"]),
        helper.make_node("Mul", ["maps", "factors"], ["excited"]),
        helper.make_node("Squeeze", ["excited"], ["lines"], axes=[2])
        if opset < 13
        else helper.make_node("Squeeze", ["excited", "axes"], ["lines"]),
        helper.make_node("Transpose", ["lines"], ["scores"], perm=[0, 2, 1]),
        helper.make_node("Softmax", ["scores"], ["y"], axis=2),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info(given, TensorProto.FLOAT, ["n", 3, height, "w"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", "t", classes])],
        [numpy_helper.from_array(kernel, "kernel"), numpy_helper.from_array(np.array([2], np.int64), "axes")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=6)
    helper.set_model_props(model, {"character": character} if character else {})
    return model


def stored(folder: Path, known: Sequence[str] = CHARACTERS, height: int = 48) -> Path:
    """The file of a recognizer that knows these characters and a space."""
    path = folder / "PP-rec.onnx"
    onnx.save(network(len(known) + 2, "\n".join(known), height), path)
    return path


def lines(*widths: int) -> list[images.Line]:
    rng = np.random.default_rng(1)
    return [rng.integers(0, 256, (48, width), dtype=np.uint8) for width in widths]


def test_a_line_has_the_log_probabilities_of_the_recognizer_itself(tmp_path: Path) -> None:
    engine = OnnxEngine(convert(stored(tmp_path)), is_trusted=True)
    session = runtime.import_onnxruntime().InferenceSession(str(tmp_path / "PP-rec.onnx"))
    for line in lines(8, 9, 311, 320, 321, 700):
        batch, widths = images.to_batch([line])
        found, (frames,) = engine.log_probs(batch, widths)
        width = max(320, -(-line.shape[1] // 8) * 8)
        colored = np.zeros((1, 3, 48, width), np.float32)
        colored[:, :, :, : line.shape[1]] = batch
        (expected,) = session.run(None, {"x": colored})
        assert frames == -(-line.shape[1] // 8)
        kept = expected[0, :, [0, 1, 2, 3, 6, 7]].T  # without the fourth, which is the third too, and the fifth
        kept[:, 3] += expected[0, :, 4]
        assert np.allclose(found[0], np.log(kept), atol=1e-4)


def test_each_character_is_one_of_the_charset_once() -> None:
    assert unique(CHARACTERS) == ("abÅ'", [[1], [2], [3, 4], [6]])


@pytest.mark.parametrize("source", ["metadata", "dictionary", "inference.yml beside", "inference.yml"])
def test_its_characters_come_from_metadata_a_dictionary_or_its_yaml(source: str, tmp_path: Path) -> None:
    known = ["!", '"', "'", "#", "-", "ä", "\u3000", "\\"]
    model = network(len(known) + 2, "\n".join(known) if source == "metadata" else "")
    path, given = tmp_path / "rec.onnx", None
    if source == "dictionary":
        given = tmp_path / "dict.txt"
        given.write_text("\n".join(known) + "\n", encoding="utf-8")
    elif source != "metadata":
        rows = ["'!'", "'\"'", "''''", "'#'", '"-"', '"\\xe4"', '"\\u3000"', "\\"]
        given = tmp_path / ("inference.yml" if "beside" in source else "other.yml")
        text = "\n".join(["PostProcess:", "  character_dict:", *(f"  - {row}" for row in rows), "Hpi: {}"])
        given.write_text(text, encoding="utf-8")
        given = None if "beside" in source else given
    assert characters(model, path, given) == [*known, " "]


def test_without_characters_or_with_those_of_another_one_it_is_not_taken(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not say which characters it recognizes: name its dictionary"):
        characters(network(9), tmp_path / "rec.onnx", None)
    (tmp_path / "dict.txt").write_text("a\nb\n")
    with pytest.raises(DataError, match=r"dict\.txt holds 2 characters, and .* has 9 classes: it belongs to another one"):
        characters(network(9), tmp_path / "rec.onnx", tmp_path / "dict.txt")


def test_other_graphs_are_not_taken(tmp_path: Path) -> None:
    assert not is_recognizer(network(9, height=32))
    with pytest.raises(ModelError, match="was not exported by crnnocr, and is no recognizer in PaddleOCR's format"):
        convert(stored(tmp_path, height=32))
    (tmp_path / "x.onnx").write_bytes(b"no graph")
    with pytest.raises(ModelError, match="is not an ONNX graph, or is damaged"):
        read(tmp_path / "x.onnx")


@pytest.fixture
def imported(own_registry: Path, tmp_path: Path, run_cli: RunCli) -> str:
    """The name of an imported recognizer."""
    result = run_cli("models", "import", stored(tmp_path), "--name", "theirs", "--json")
    assert result.exit_code == 0, result.stderr
    return str(json.loads(result.stdout)["model"])


def test_it_recognizes_alone_and_among_others_the_same(imported: str, tmp_path: Path) -> None:
    recognizer = Recognizer.load(imported)
    known = [Image.fromarray(line) for line in lines(40, 900, 333, 41)]
    together = [each.text for each in recognizer.predict(known)]
    assert together == [next(iter(recognizer.predict(each))).text for each in known]
    assert any(together)


def test_its_card_says_whose_it_is(imported: str, run_cli: RunCli) -> None:
    shown = run_cli("models", "show", imported).stdout
    assert "PP-rec.onnx, a recognizer in PaddleOCR's format; given gray lines" in shown
    assert "LSTM" not in shown
    assert registry.load_card(registry.path_of(imported).with_name("model.onnx")).charset.characters == "abÅ' "


def test_it_is_evaluated_and_teaches_but_is_not_trained_or_exported(
    imported: str, tiny_data: Path, tmp_path: Path, run_cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "crops").symlink_to(tiny_data)
    assert json.loads(run_cli("eval", "crops", "--model", imported, "--json").stdout)["n"] == 40
    assert run_cli("predict", "crops", "--model", imported, "--allow", "ab", "-o", "auto.csv").exit_code == 0
    assert set("".join(row.split(",")[1] for row in Path("auto.csv").read_text().splitlines()[1:])) <= set("ab")
    result = run_cli("train", "crops", "--from", imported)
    assert (result.exit_code, "training starts from a .safetensors model of crnnocr" in result.stderr) == (1, True)
    assert run_cli("export", "--model", imported).exit_code == 1


def test_it_is_measured_and_calibrated_on_labeled_images(
    own_registry: Path, tiny_data: Path, tmp_path: Path, run_cli: RunCli
) -> None:
    result = run_cli("models", "import", stored(tmp_path), "--verify", tiny_data)
    assert result.exit_code == 0, result.stderr
    card = Recognizer.load("PP-rec").card
    assert card.scores
    assert card.scores.n == card.calibration.samples == 40
    assert card.calibration.errors == 40
    assert f"CER {card.scores.cer:.2%}, exact 0.0% on 40 images" in result.stderr


def test_options_for_it_are_refused_with_other_models(current_model: str, tmp_path: Path, run_cli: RunCli) -> None:
    (tmp_path / "dict.txt").write_text("a\n")
    result = run_cli("models", "import", registry.path_of(current_model), "--dictionary", tmp_path / "dict.txt")
    assert result.exit_code == 2
    assert "are for recognizers in PaddleOCR's format" in result.stderr


@pytest.mark.parametrize("opset", [11, 13, 17])
@pytest.mark.parametrize("given", ["x", "images", "crnnocr.1"])
def test_names_and_versions_of_its_graph_do_not_matter(given: str, opset: int, tmp_path: Path) -> None:
    results = []
    for model in (network(5, "a\nb\nc"), network(5, "a\nb\nc", opset=opset, given=given)):
        onnx.save(model, tmp_path / "rec.onnx")
        engine = OnnxEngine(convert(tmp_path / "rec.onnx"), is_trusted=True)
        results.append(engine.log_probs(*images.to_batch(lines(333)))[0])
    assert np.array_equal(results[0], results[1])


def test_another_number_of_frames_is_refused(tmp_path: Path) -> None:
    onnx.save(network(5, "a\nb\nc", columns=4), tmp_path / "rec.onnx")
    with pytest.raises(ModelError, match="gives 159 frames of 5 classes for 640 columns, not 80 frames of 5 classes"):
        convert(tmp_path / "rec.onnx")


def test_the_dictionary_of_another_one_is_refused_even_if_the_graph_does_not_tell_its_classes(tmp_path: Path) -> None:
    model = network(40)
    model.graph.output[0].type.tensor_type.shape.dim[2].dim_param = "classes"
    onnx.save(model, tmp_path / "rec.onnx")
    (tmp_path / "dict.txt").write_text("a\nb\n")
    with pytest.raises(ModelError, match="gives 80 frames of 40 classes for 640 columns, not 80 frames of 4 classes"):
        convert(tmp_path / "rec.onnx", tmp_path / "dict.txt")


def test_tensors_in_other_files_are_refused(tmp_path: Path) -> None:
    onnx.save(network(5, "a\nb\nc"), tmp_path / "rec.onnx", save_as_external_data=True, size_threshold=0, location="weights")
    with pytest.raises(ModelError, match="has tensors in other files"):
        convert(tmp_path / "rec.onnx")
