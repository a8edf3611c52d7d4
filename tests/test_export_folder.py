"""The folder of an export: complete, verified in every precision, or not written at all."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from cards import SCORES
from onnx import TensorProto, numpy_helper
from PIL import Image
from typer.testing import Result

import crnnocr
from crnnocr import images
from crnnocr.config import MAX_WIDTH, ExportConfig, ExportFormat, Orientation, Precision, ReadConfig
from crnnocr.datasets.detection import load_dataset
from crnnocr.errors import CrnnocrError, DataError, GateError, UsageError
from crnnocr.export import folder as exporting
from crnnocr.export import verify
from crnnocr.export.verify import VerificationImage, from_samples
from crnnocr.files import atomic_files
from crnnocr.inference.recognizer import Recognizer
from crnnocr.metrics.calibration import Calibration
from crnnocr.model import checkpoint
from crnnocr.model.card import Card

ROOT = Path(__file__).parents[1]
FEW = 8
"""Images that are enough: the model does not know their varied copies."""


@pytest.fixture
def known(tiny_data: Path) -> list[VerificationImage]:
    """The images that the tiny model knows by heart: of others it is so unsure that any rounding shows."""
    return from_samples(load_dataset(tiny_data).samples[:8])


@pytest.mark.parametrize("precision", list(Precision))
def test_an_export_in_any_precision_gives_the_same_texts(
    precision: Precision, tiny_model: Path, known: list[VerificationImage], tmp_path: Path
) -> None:
    done = exporting.export(tiny_model, tmp_path / "out", ExportConfig(precision=precision), known, min_images=FEW)
    assert [path.name for path in done.files] == ["model.onnx", "model.json", "README.md"]
    assert {path.name for path in (tmp_path / "out").iterdir()} == {path.name for path in done.files}
    sources = [image.gray() for image in known]
    ours, theirs = (
        [prediction.text for prediction in Recognizer.load(model, "cpu").predict(sources)]
        for model in (tiny_model, tmp_path / "out")
    )
    assert ours == theirs == [image.text for image in known]
    assert done.verification.images == 8
    assert done.verification.equal_texts >= 0.99


def test_in_half_precision_weights_are_half_as_large_and_inputs_and_outputs_stay(
    tiny_model: Path, known: list[VerificationImage], tmp_path: Path
) -> None:
    graphs = []
    for precision in (Precision.FP32, Precision.FP16):
        done = exporting.export(tiny_model, tmp_path / precision, ExportConfig(precision=precision), known, min_images=FEW)
        graphs.append(onnx.load(done.path).graph)
    sizes = [sum(numpy_helper.to_array(weight).nbytes for weight in graph.initializer) for graph in graphs]
    assert sizes[1] < 0.55 * sizes[0]
    assert {value.type.tensor_type.elem_type for value in (graphs[1].input[0], graphs[1].output[0])} == {TensorProto.FLOAT}


def test_model_json_has_all_that_a_host_needs(tiny_model: Path, known: list[VerificationImage], tmp_path: Path) -> None:
    card, model = checkpoint.load(tiny_model)
    card = replace(card, calibration=Calibration(1.5, 0.2, 900, 60))
    source = tmp_path / "model.safetensors"
    checkpoint.save(source, card, model, set())
    config = ExportConfig(precision=Precision.FP16, self_contained=True, orientation=Orientation.HORIZONTAL)
    exporting.export(source, tmp_path / "out", config, known, min_images=FEW)
    about: dict[str, Any] = json.loads((tmp_path / "out/model.json").read_text(encoding="utf-8"))
    assert about["charset"] == card.charset.characters
    assert about["blank"] == 0
    assert about["direction"] == "visual"
    assert about["preprocessing"].items() >= {"height": 16, "orientation": "horizontal", "max_width": MAX_WIDTH}.items()
    assert about["calibration"].items() >= {"temperature": 1.5, "bias": 0.2}.items()
    export = about["export"]
    graph = (tmp_path / "out/model.onnx").read_bytes()
    assert export["sha256"] == hashlib.sha256(graph).hexdigest()
    assert export["bytes"] == len(graph)
    assert export["source_sha256"] == hashlib.sha256(source.read_bytes()).hexdigest()
    assert (export["precision"], export["self_contained"], export["file"]) == ("fp16", True, "model.onnx")
    loaded = onnx.load_from_string(graph)
    assert {(t["way"], t["name"]) for t in export["tensors"]} == {
        *(("in", value.name) for value in loaded.graph.input),
        *(("out", value.name) for value in loaded.graph.output),
    }
    assert export["opset"] == loaded.opset_import[0].version
    assert export["proof"]["pictures"] == 8
    metadata = {entry.key: entry.value for entry in loaded.metadata_props}
    assert json.loads(metadata["crnnocr"]).items() <= about.items()
    assert metadata["crnnocr.direction"] == "visual"


def test_the_readme_is_for_people(tiny_model: Path, tmp_path: Path) -> None:
    exporting.export(tiny_model, tmp_path / "out")
    card = (tmp_path / "out/README.md").read_text(encoding="utf-8")
    assert card.startswith("# tiny\n")
    for part in ("## Accuracy", "log-probabilities within", "| in | `images` | (batch, 1, 16, width) float32 |"):
        assert part in card
    assert f"crnnocr {crnnocr.__version__}" in card
    assert "not scored on held-out images" in card


def test_the_readme_gives_the_scores(tiny_model: Path) -> None:
    from crnnocr.export import model_card

    card = replace(
        checkpoint.load_card(tiny_model),
        scores=replace(SCORES, n=1200),
        calibration=Calibration(1, 0, 1200, 90),
    )
    text = model_card.accuracy(card)
    assert "1,200 images" in text
    assert "character error rate (CER) 1.23%" in text
    assert "calibrated on 1,200" in text


def test_int8_measures_missing_activation_ranges_on_the_images(
    tiny_model: Path, known: list[VerificationImage], tmp_path: Path
) -> None:
    assert not checkpoint.load_card(tiny_model).activation_ranges
    exporting.export(tiny_model, tmp_path / "out", ExportConfig(precision=Precision.INT8), known, min_images=FEW)
    card = Recognizer.load(tmp_path / "out").card
    assert len(card.activation_ranges) == len(card.config.backbone)


def test_a_graph_with_another_card_is_not_kept(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    true = Card.to_json
    for key, value in (("blank", 14), ("preprocessing", {"height": 32}), ("charset", "xyz")):
        changes = iter([{key: value}])  # only the first time, for the file
        monkeypatch.setattr(Card, "to_json", lambda card, changes=changes: {**true(card), **next(changes, {})})
        with pytest.raises(CrnnocrError):
            exporting.export(tiny_model, tmp_path / "out")
        assert list(tmp_path.iterdir()) == []


def test_unreadable_images_verify_nothing(tiny_model: Path, tmp_path: Path) -> None:
    broken = [VerificationImage(f"{i}.png", b"no image") for i in range(20)]
    with pytest.raises(DataError, match=r"no image to verify the export with: 0\.png"):
        exporting.export(tiny_model, tmp_path / "out", ExportConfig(precision=Precision.FP16), broken, min_images=FEW)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("output", "kind"), [("confidences", np.float64), ("character_confidences", np.float32)])
def test_wrong_confidences_are_caught(
    output: str,
    kind: type[np.floating],
    tiny_model: Path,
    known: list[VerificationImage],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = exporting.serialize_onnx

    def planted(*arguments: Any) -> bytes:
        model = onnx.load_from_string(whole(*arguments))
        (last,) = [each for each in model.graph.node if each.output == [output]]
        before = last.input[0]
        last.input[0] = "planted"
        halved = onnx.helper.make_node("Mul", [before, "half"], ["planted"])
        model.graph.initializer.append(numpy_helper.from_array(np.array(0.5, kind), "half"))
        model.graph.node.insert(list(model.graph.node).index(last), halved)
        return bytes(model.SerializeToString())

    monkeypatch.setattr(exporting, "serialize_onnx", planted)
    with pytest.raises(GateError, match="its confidences by"):
        exporting.export(tiny_model, tmp_path / "out", ExportConfig(self_contained=True), known, min_images=FEW)
    assert list(tmp_path.iterdir()) == []


def test_files_of_an_export_in_the_other_format_are_removed(tiny_model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    for name in ("index.html", "notes.txt"):
        (out / name).write_text("mine")
    assert not exporting.export(tiny_model, out).removed  # nothing says that the page is an export
    assert sorted(path.name for path in out.iterdir()) == ["README.md", "index.html", "model.json", "model.onnx", "notes.txt"]
    about = json.loads((out / "model.json").read_text(encoding="utf-8"))
    (out / "model.json").write_text(json.dumps({**about, "export": {"format": "web"}}), encoding="utf-8")
    with pytest.raises(UsageError, match="is there already"):
        exporting.export(tiny_model, out)
    assert exporting.export(tiny_model, out, force=True).removed == (out / "index.html",)
    assert sorted(path.name for path in out.iterdir()) == ["README.md", "model.json", "model.onnx", "notes.txt"]


def test_each_kind_of_export_has_a_folder_of_its_own() -> None:
    forms = [
        ExportConfig(),
        ExportConfig(precision=Precision.INT8),
        ExportConfig(self_contained=True),
        ExportConfig(precision=Precision.FP16, self_contained=True),
        ExportConfig(format=ExportFormat.WEB),
        ExportConfig(format=ExportFormat.WEB, precision=Precision.INT8),
    ]
    assert [form.folder for form in forms] == [
        *("onnx", "onnx-int8", "onnx-self-contained", "onnx-fp16-self-contained", "web", "web-int8"),
    ]


def test_the_folder_of_a_model_and_what_is_no_file_are_left_alone(tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    shutil.copy(tiny_model, tmp_path / "own/model.safetensors")
    with pytest.raises(UsageError, match="is the folder of a model"):
        exporting.export(tmp_path / "own/model.safetensors", tmp_path / "own")
    (tmp_path / "out/model.json").mkdir(parents=True)
    with pytest.raises(UsageError, match="is a folder, where a file is to be written"):
        exporting.export(tiny_model, tmp_path / "out", force=True)
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="is a file"):
        exporting.export(tiny_model, tmp_path / "file", force=True)


def test_a_folder_is_written_from_within_so_that_it_may_be_a_disk_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    with atomic_files(tmp_path / "disk") as part:
        assert part.parent == tmp_path / "disk"
        (part / "x").touch()
    assert [path.name for path in (tmp_path / "disk").iterdir()] == ["x"]


@pytest.mark.usefixtures("current_model")
def test_without_data_the_verification_is_on_real_and_synthetic_images(
    tmp_path: Path, run_cli: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(verify, "MIN_IMAGES", 30)
    monkeypatch.setattr(verify, "MIN_AS_MANY_RIGHT", 0.5)
    monkeypatch.setattr(verify, "MAX_CER_INCREASE", 0.1)
    result = run_cli("export", "--precision", "fp16", "--json")
    assert result.exit_code == 0, result.stderr
    assert "30 synthetic images" in result.stderr
    found = json.loads(result.stdout)
    assert found["pictures"] == 38
    assert found.keys() == {
        *("path", "model", "format", "precision", "self_contained", "bytes", "pictures", "widths", "batch_sizes"),
        *("equal_texts", "as_many_right", "cer", "model_cer", "max_log_prob_difference", "ties", "max_confidence_difference"),
    }


def pgm(path: Path, image: Path) -> Path:
    """An image as the example for Node takes it."""
    images.load_gray(image).save(path)
    return path


def test_the_example_for_node_gives_the_texts_of_predict(
    tiny_model: Path, known: list[VerificationImage], tiny_data: Path, tmp_path: Path
) -> None:
    node = shutil.which("node")
    where = next((f / "node_modules" for f in (ROOT, *ROOT.parents) if (f / "node_modules/onnxruntime-node").is_dir()), None)
    packages = Path(os.environ["NODE_MODULES"]) if "NODE_MODULES" in os.environ else where
    if node is None or packages is None:
        pytest.skip("needs node and npm install onnxruntime-node")
    example = ROOT / "docs/examples/read_onnx.mjs"
    shutil.copy(example, tmp_path / "read_onnx.mjs")
    (tmp_path / "node_modules").symlink_to(packages)
    exporting.export(tiny_model, tmp_path / "out", ExportConfig(self_contained=True), known, min_images=FEW)
    sources = [*sorted(tiny_data.glob("*.png"))[:8], *sorted((ROOT / "tests/data/real").glob("*.png"))]
    files = [pgm(tmp_path / f"{i}.pgm", image) for i, image in enumerate(sources)]
    command: list[str | Path] = [node, tmp_path / "read_onnx.mjs", tmp_path / "out", *files]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False, timeout=100)
    assert done.returncode == 0, done.stderr
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    predictions = list(Recognizer.load(tiny_model, "cpu").predict(sources, read=ReadConfig(quick=True)))
    assert [row[0] for row in rows] == [prediction.text for prediction in predictions]
    assert [float(row[1]) for row in rows] == pytest.approx([prediction.confidence for prediction in predictions], abs=1e-3)


def test_a_file_beside_a_model_is_verified_too(tiny_model: Path, tmp_path: Path) -> None:
    assert exporting.write_fp32(tiny_model, tmp_path / "x.onnx").images == 8
    assert Image.fromarray(verify.built_in_images()[0].gray()).mode == "L"
