"""What `export` hands over: a folder that says all about itself, proven in every precision, or nothing at all."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
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
from crnnocr.decoding.hypothesis import LogProbs
from crnnocr.errors import CrnnocrError, DataError, GateError, UsageError
from crnnocr.export import folder as exporting
from crnnocr.export import onnx_file, verify
from crnnocr.export.verify import Grey, Lines, Reading, prove
from crnnocr.files import atomic_files
from crnnocr.inference.engines import OnnxEngine
from crnnocr.inference.recognizer import Recognizer
from crnnocr.metrics.calibration import Calibration
from crnnocr.model import checkpoint
from crnnocr.model.card import Card

ROOT = Path(__file__).parents[1]


@pytest.fixture
def known(tiny_data: Path) -> list[verify.Picture]:
    """The pictures that the tiny model knows by heart: of others it is so unsure that any rounding shows."""
    return verify.of_samples(load_dataset(tiny_data).samples[:8])


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pictures that the model knows are enough: their changed copies it does not."""
    monkeypatch.setattr(verify, "ENOUGH", 8)


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("precision", list(Precision))
def test_an_export_in_any_precision_reads_like_the_model(
    precision: Precision, tiny_model: Path, known: list[verify.Picture], tmp_path: Path
) -> None:
    done = exporting.export(tiny_model, tmp_path / "out", ExportConfig(precision=precision), known)
    assert [path.name for path in done.files] == ["model.onnx", "model.json", "README.md"]
    assert {path.name for path in (tmp_path / "out").iterdir()} == {path.name for path in done.files}
    sources = [picture.grey() for picture in known]
    ours, theirs = (
        [reading.text for reading in Recognizer.load(model, "cpu").predict(sources)] for model in (tiny_model, tmp_path / "out")
    )
    assert ours == theirs == [picture.text for picture in known]
    assert done.proof.pictures == 8
    assert done.proof.equal >= 0.99


@pytest.mark.usefixtures("few")
def test_half_precision_keeps_weights_in_it_and_its_inputs_and_outputs_out_of_it(
    tiny_model: Path, known: list[verify.Picture], tmp_path: Path
) -> None:
    graphs = []
    for precision in (Precision.FP32, Precision.FP16):
        done = exporting.export(tiny_model, tmp_path / precision, ExportConfig(precision=precision), known)
        graphs.append(onnx.load(done.path).graph)
    sizes = [sum(numpy_helper.to_array(weight).nbytes for weight in graph.initializer) for graph in graphs]
    assert sizes[1] < 0.55 * sizes[0]
    assert {value.type.tensor_type.elem_type for value in (graphs[1].input[0], graphs[1].output[0])} == {TensorProto.FLOAT}


@pytest.mark.usefixtures("few")
def test_model_json_says_all_that_a_host_needs(tiny_model: Path, known: list[verify.Picture], tmp_path: Path) -> None:
    card, model = checkpoint.load(tiny_model)
    card = replace(card, calibration=Calibration(1.5, 0.2, 900, 60))
    source = tmp_path / "model.safetensors"
    checkpoint.save(source, card, model, set())
    config = ExportConfig(precision=Precision.FP16, self_contained=True, orientation=Orientation.HORIZONTAL)
    exporting.export(source, tmp_path / "out", config, known)
    said: dict[str, Any] = json.loads((tmp_path / "out/model.json").read_text(encoding="utf-8"))
    assert said["charset"] == card.charset.characters
    assert said["blank"] == 0
    assert said["direction"] == "visual"
    assert said["preprocessing"].items() >= {"height": 16, "orientation": "horizontal", "max_width": MAX_WIDTH}.items()
    assert said["calibration"].items() >= {"temperature": 1.5, "bias": 0.2}.items()
    export = said["export"]
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
    assert json.loads(metadata["crnnocr"]).items() <= said.items()
    assert metadata["crnnocr.direction"] == "visual"


def test_the_card_is_for_people(tiny_model: Path, tmp_path: Path) -> None:
    exporting.export(tiny_model, tmp_path / "out")
    card = (tmp_path / "out/README.md").read_text(encoding="utf-8")
    assert card.startswith("# tiny\n")
    for part in ("## How well it reads", "log-probabilities within", "| in | `images` | (batch, 1, 16, width) float32 |"):
        assert part in card
    assert f"crnnocr {crnnocr.__version__}" in card
    assert "not scored on held-out pictures" in card


def test_a_card_of_many_scores_says_them(tiny_model: Path) -> None:
    from crnnocr.export import model_card

    card = replace(
        checkpoint.load_card(tiny_model),
        scores=replace(SCORES, n=1200),
        calibration=Calibration(1, 0, 1200, 90),
    )
    told = model_card._scores(card)
    assert "1,200 pictures" in told
    assert "character error rate (CER) 1.23%" in told
    assert "calibrated on 1,200" in told


def test_pictures_are_changed_until_there_are_enough(known: list[verify.Picture]) -> None:
    several = verify.enough(known, 30)
    assert len(several) == 30
    assert several[:8] == known
    assert len({picture.name for picture in several}) == 30
    assert len({picture.grey().tobytes() for picture in several}) == 30
    assert len({picture.grey().shape[0] for picture in several if picture.name.startswith(known[0].name)}) == 4
    assert verify.enough(known, 5) == known


@pytest.mark.usefixtures("few")
def test_int8_of_a_model_without_peaks_takes_them_from_the_pictures(
    tiny_model: Path, known: list[verify.Picture], tmp_path: Path
) -> None:
    assert not checkpoint.load_card(tiny_model).activation_ranges
    exporting.export(tiny_model, tmp_path / "out", ExportConfig(precision=Precision.INT8), known)
    card = Recognizer.load(tmp_path / "out").card
    assert len(card.activation_ranges) == len(card.config.backbone)


def test_a_file_that_says_otherwise_of_itself_is_not_kept(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    true = Card.to_json
    for key, value in (("blank", 14), ("preprocessing", {"height": 32}), ("charset", "xyz")):
        told = iter([{key: value}])  # the first time, into the file
        monkeypatch.setattr(Card, "to_json", lambda card, told=told: {**true(card), **next(told, {})})
        with pytest.raises(CrnnocrError):
            exporting.export(tiny_model, tmp_path / "out")
        assert list(tmp_path.iterdir()) == []


def test_another_preprocessing_is_caught_by_its_readings(
    tiny_model: Path, known: list[verify.Picture], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Lines.line

    def paler(lines: Lines, grey: Grey) -> images.Line:
        line = other(lines, grey)
        return line if isinstance(lines._engine, OnnxEngine) else (line // 2).astype(np.uint8)

    monkeypatch.setattr(Lines, "line", paler)
    with pytest.raises(GateError, match="reads otherwise"):
        exporting.export(tiny_model, tmp_path / "out", ExportConfig(), known)
    assert list(tmp_path.iterdir()) == []


class Told:
    """A side that reads what it is told."""

    def __init__(self, *log_probs: LogProbs) -> None:
        self._log_probs = log_probs

    def read(self, pictures: Sequence[Grey]) -> list[Reading]:
        lines = [self._log_probs[int(picture[0, 0])] for picture in pictures]
        return [Reading("".join("_ab"[i] for i in line.argmax(axis=1)), line) for line in lines]

    def line(self, grey: Grey) -> Grey:
        return grey


def pictures(*labels: str) -> list[verify.Picture]:
    return [verify.Picture(f"{i}.png", np.full((2, 3), i, np.uint8), label) for i, label in enumerate(labels)]


def frame(*probs: float) -> LogProbs:
    result: LogProbs = np.log(np.array([probs]))
    return result


def test_texts_that_tie_may_differ_and_are_listed() -> None:
    ours = Told(frame(0.1, 0.45001, 0.44999), frame(0.1, 0.8, 0.1))
    theirs = Told(frame(0.1, 0.44999, 0.45001), frame(0.1, 0.8, 0.1))
    proof = prove(ours, theirs, pictures("a", "a"), exact=True)  # type: ignore[arg-type]
    assert proof.ties == ("0.png",)
    assert proof.equal == 0.5


def test_texts_that_do_not_tie_may_not_differ() -> None:
    ours, theirs = Told(frame(0.1, 0.45003, 0.44997)), Told(frame(0.1, 0.44999, 0.45001))
    with pytest.raises(GateError, match=r"0\.png as 'b' instead of 'a' \(alone\)"):
        prove(ours, theirs, pictures("a"), exact=True)  # type: ignore[arg-type]


def test_one_text_in_a_hundred_may_differ_where_numbers_do_and_no_more() -> None:
    near, far = frame(0.1, 0.8, 0.1), frame(0.1, 0.1, 0.8)
    count = 200
    for wrong, kept in ((1, True), (3, False)):
        ours = Told(*[near] * count)
        theirs = Told(*([far] * wrong + [near] * (count - wrong)))
        # The labels make up for it: of two pictures that read otherwise, one was wrong before.
        labels = ["b" if i % 2 == 0 and i < wrong else "a" for i in range(count)]
        if kept:
            labels[0] = "c"  # wrong both ways
            assert prove(ours, theirs, pictures(*labels), exact=False).equal == 1 - wrong / count  # type: ignore[arg-type]
        else:
            with pytest.raises(GateError, match=r"of 200 texts 98\.5% are the same .*0\.png as 'b' instead of 'a'"):
                prove(ours, theirs, pictures(*labels), exact=False)  # type: ignore[arg-type]


def test_error_rates_may_not_move_by_more_than_a_tenth_of_a_point() -> None:
    near, far = frame(0.1, 0.8, 0.1), frame(0.1, 0.1, 0.8)
    theirs = Told(far, *[near] * 199)  # 99.5 % of the texts are the same, but the CER is half a point up
    with pytest.raises(GateError, match=r"the CER is 0\.50% and the model's 0\.00%"):
        prove(Told(*[near] * 200), theirs, pictures(*"a" * 200), exact=False)  # type: ignore[arg-type]


def test_a_proof_over_no_pictures_is_none() -> None:
    with pytest.raises(DataError, match="no picture to prove it with: none was given"):
        prove(Told(), Told(), [], exact=True)  # type: ignore[arg-type]


def test_a_tie_alone_excuses_nothing_in_a_batch() -> None:
    class Worse(Told):
        """Reads a tie alone, and something else in company."""

        def read(self, pictures: Sequence[Grey]) -> list[Reading]:
            return super().read(pictures) if len(pictures) == 1 else [Reading("b", frame(0.1, 0.4499, 0.4501))] * len(pictures)

    ours, tie = frame(0.1, 0.45001, 0.44999), frame(0.1, 0.44999, 0.45001)
    with pytest.raises(GateError, match=r"0\.png .*in a batch of 3"):
        prove(Told(ours, ours, ours), Worse(tie, ours, ours), pictures("a", "a", "a"), exact=True)  # type: ignore[arg-type]


@pytest.mark.usefixtures("few")
def test_pictures_that_cannot_be_read_prove_nothing(tiny_model: Path, tmp_path: Path) -> None:
    broken = [verify.Picture(f"{i}.png", b"no picture") for i in range(20)]
    with pytest.raises(DataError, match=r"no picture to prove it with: 0\.png"):
        exporting.export(tiny_model, tmp_path / "out", ExportConfig(precision=Precision.FP16), broken)
    assert list(tmp_path.iterdir()) == []


def test_copies_of_what_can_be_read_make_up_for_what_cannot(known: list[verify.Picture]) -> None:
    several = verify.enough([*known, verify.Picture("broken.png", b"no picture")], 20)
    assert sum(picture.can_be_read() for picture in several) == 20
    assert not [picture.name for picture in several if picture.name.startswith("broken.png, ")]


@pytest.mark.parametrize(("output", "kind"), [("confidences", np.float64), ("character_confidences", np.float32)])
@pytest.mark.usefixtures("few")
def test_planted_confidences_are_caught(
    output: str,
    kind: type[np.floating],
    tiny_model: Path,
    known: list[verify.Picture],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = onnx_file.serialised

    def planted(*arguments: Any) -> bytes:
        model = onnx.load_from_string(whole(*arguments))
        (last,) = [each for each in model.graph.node if each.output == [output]]
        before = last.input[0]
        last.input[0] = "planted"
        halved = onnx.helper.make_node("Mul", [before, "half"], ["planted"])
        model.graph.initializer.append(numpy_helper.from_array(np.array(0.5, kind), "half"))
        model.graph.node.insert(list(model.graph.node).index(last), halved)
        return bytes(model.SerializeToString())

    monkeypatch.setattr(onnx_file, "serialised", planted)
    with pytest.raises(GateError, match="its confidences by"):
        exporting.export(tiny_model, tmp_path / "out", ExportConfig(self_contained=True), known)
    assert list(tmp_path.iterdir()) == []


def test_an_export_of_the_other_kind_does_not_stay_behind(tiny_model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    for name in ("index.html", "notes.txt"):
        (out / name).write_text("mine")
    assert not exporting.export(tiny_model, out).removed  # nothing says that the page is an export
    assert sorted(path.name for path in out.iterdir()) == ["README.md", "index.html", "model.json", "model.onnx", "notes.txt"]
    said = json.loads((out / "model.json").read_text(encoding="utf-8"))
    (out / "model.json").write_text(json.dumps({**said, "export": {"format": "web"}}), encoding="utf-8")
    with pytest.raises(UsageError, match="is there already"):
        exporting.export(tiny_model, out)
    assert exporting.export(tiny_model, out, force=True).removed == (out / "index.html",)
    assert sorted(path.name for path in out.iterdir()) == ["README.md", "model.json", "model.onnx", "notes.txt"]


def test_each_form_has_a_folder_of_its_own() -> None:
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


def test_a_refusal_tells_some_pictures_and_knows_all() -> None:
    ours, theirs = Told(*[frame(0.1, 0.8, 0.1)] * 9), Told(*[frame(0.1, 0.1, 0.8)] * 9)
    with pytest.raises(GateError, match=r"4\.png as 'b'.*and 4 more \(--verbose names all\)") as refused:
        prove(ours, theirs, pictures(*"a" * 9), exact=False)  # type: ignore[arg-type]
    assert len(refused.value.more) == 9


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


def test_pictures_that_cannot_be_read_are_left_out_and_named() -> None:
    proof = prove(
        Told(frame(0.1, 0.8, 0.1)),  # type: ignore[arg-type]
        Told(frame(0.1, 0.8, 0.1)),
        [*pictures("a"), verify.Picture("broken.png", b"no picture")],
        exact=True,
    )
    assert proof.pictures == 1
    assert "broken.png" in proof.unreadable[0]


@pytest.mark.usefixtures("current_model")
def test_without_data_the_proof_is_over_real_and_drawn_pictures(
    tmp_path: Path, run_cli: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(verify, "ENOUGH", 30)
    monkeypatch.setattr(verify, "LEAST_EQUAL", 0.5)
    monkeypatch.setattr(verify, "CER_LIMIT", 0.1)
    result = run_cli("export", "--precision", "fp16", "--json")
    assert result.exit_code == 0, result.stderr
    assert "drawing 30 pictures" in result.stderr
    said = json.loads(result.stdout)
    assert said["pictures"] == 38
    assert said.keys() == {
        *("path", "model", "format", "precision", "self_contained", "bytes", "pictures", "widths", "batch_sizes"),
        *("equal_texts", "cer", "model_cer", "max_log_prob_difference", "ties", "max_confidence_difference"),
    }


def pgm(path: Path, picture: Path) -> Path:
    """A picture as the example for Node takes it."""
    images.load_gray(picture).save(path)
    return path


def test_the_example_for_node_reads_an_export_like_predict(
    tiny_model: Path, known: list[verify.Picture], tiny_data: Path, tmp_path: Path
) -> None:
    node = shutil.which("node")
    where = next((f / "node_modules" for f in (ROOT, *ROOT.parents) if (f / "node_modules/onnxruntime-node").is_dir()), None)
    packages = Path(os.environ["NODE_MODULES"]) if "NODE_MODULES" in os.environ else where
    if node is None or packages is None:
        pytest.skip("needs node and npm install onnxruntime-node")
    example = ROOT / "docs/examples/read_onnx.mjs"
    assert len(example.read_text(encoding="utf-8").splitlines()) <= 40
    shutil.copy(example, tmp_path / "read_onnx.mjs")
    (tmp_path / "node_modules").symlink_to(packages)
    exporting.export(tiny_model, tmp_path / "out", ExportConfig(self_contained=True), known)
    pictures = [*sorted(tiny_data.glob("*.png"))[:8], *sorted((ROOT / "tests/data/real").glob("*.png"))]
    files = [pgm(tmp_path / f"{i}.pgm", picture) for i, picture in enumerate(pictures)]
    command: list[str | Path] = [node, tmp_path / "read_onnx.mjs", tmp_path / "out", *files]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False, timeout=100)
    assert done.returncode == 0, done.stderr
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    predictions = list(Recognizer.load(tiny_model, "cpu").predict(pictures, read=ReadConfig(quick=True)))
    assert [row[0] for row in rows] == [prediction.text for prediction in predictions]
    assert [float(row[1]) for row in rows] == pytest.approx([prediction.confidence for prediction in predictions], abs=1e-3)


def test_the_example_in_python_is_forty_lines_at_most() -> None:
    assert len((ROOT / "docs/examples/read_onnx.py").read_text(encoding="utf-8").splitlines()) <= 40


def test_a_file_beside_a_model_is_proven_too(tiny_model: Path, tmp_path: Path) -> None:
    assert onnx_file.write(tiny_model, tmp_path / "x.onnx").pictures == 8
    assert Image.fromarray(verify.built_in()[0].grey()).mode == "L"
