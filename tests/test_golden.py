"""What the commands gave when tests/data/golden.json was recorded, they give still.

All goes through the command line: whatever moves or is renamed inside, this file stays as it is. After a change that is
meant to alter results, `GOLDEN_UPDATE=1 pytest tests/test_golden.py` records them anew.

Last bits depend on the processor, and synthetic images on the libraries that draw. Elsewhere than where they were recorded,
what need not be equal is compared loosely, or not at all.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import distributions, version
from pathlib import Path
from typing import Any, TypeAlias

import onnx
import pytest
import safetensors.numpy
import torch
from PIL import Image, features
from typer.testing import Result

import crnnocr

DATA = Path(__file__).parent / "data"
GOLDEN = DATA / "golden.json"

Call: TypeAlias = Callable[[str], str]

WORDS = ("Komunikabideak", "BAIONA", "stretched", "says", "neck", "morning", "Thursday", "and", "his", "of", "out", "the", "up")
SETS = (
    *(f"--style {style} --words 1-3" for style in ("trdg", "clean", "document", "scene", "receipt", "mixed")),
    *(f"--lang {lang}" for lang in ("ru", "el", "ar", "hi", "ja", "en,zh")),
    "--lang ja --orientation vertical",
    "--style document --chars 4-9 --charset 0123456789ABCDEF- --height 48",
    "--style display",
)
LINES = "synth lines -n 48 --style clean --text words.txt --seed 3 --workers 1"
TRAININGS = {
    "whole": "--preset tiny --from scratch --steps 40",
    "interrupted": "--preset tiny --from scratch --steps 40",
    "drawing": "--from ./en --synth en:clean --steps 4 --folds 0",
}
READINGS = (
    "real",
    "real --beam 5 --top-k 2",
    r"real --pattern [A-Za-z]+([\s][A-Za-z]+)*[.,]?",
    "real --lexicon words.txt",
    "real --lm words.txt --lm-weight 0.8",
    "real --engine torch --quick",
    "real/linn-01.png real/caption-01.jpg --characters",
)
EXPORTS = ("--precision fp32", "--precision int8", "--self-contained")
HISTORY = ("step", "loss", "learning_rate", "cer", "exact", "mean_levenshtein", "kept")
SCORES = ("n", "cer", "wer", "exact", "mean_levenshtein")


def cpu() -> list[str]:
    """What is known of the processor: virtual machines may give it a name that says little."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    return sorted({" ".join(line.split()) for line in lines if line.startswith(("vendor_id", "cpu family", "model", "CPU "))})


FONTS = sorted(f"{found.name} {found.version}" for found in distributions() if found.name.startswith("fontpkg-"))
DRAWN_WITH = {
    **{name: version(name) for name in ("trdg", "pillow", "numpy", "wordfreq", "faker", "fonttools")},
    **{name: features.version(name) for name in ("freetype2", "raqm", "harfbuzz", "fribidi", "libjpeg_turbo")},
    "fonts": hashlib.sha256("\n".join(FONTS).encode()).hexdigest(),
}
COMPUTED_WITH = {
    **{name: version(name) for name in ("torch", "numpy", "onnx", "onnxruntime")},
    "cpu": [platform.machine(), torch.backends.cpu.get_cpu_capability(), *cpu()],
}


def recorded(section: str, found: dict[str, Any]) -> tuple[dict[str, Any], bool, bool]:
    """What was recorded in place of what was found; whether drawn with the same; whether computed with the same."""
    golden = json.loads(GOLDEN.read_text(encoding="utf-8")) if GOLDEN.exists() else {}
    if os.environ.get("GOLDEN_UPDATE") == "1":
        golden[section] = {"drawn with": DRAWN_WITH, "computed with": COMPUTED_WITH, **found}
        GOLDEN.write_text(with_a_row_for_each_case(golden), encoding="utf-8")
    wanted = golden[section]
    drawn, computed = wanted.pop("drawn with") == DRAWN_WITH, wanted.pop("computed with") == COMPUTED_WITH
    return wanted, drawn, computed


def with_a_row_for_each_case(golden: dict[str, Any]) -> str:
    """The same as JSON."""
    sections = []
    for section, cases in sorted(golden.items()):
        rows = (f"  {json.dumps(case)}: {json.dumps(value, ensure_ascii=False)}" for case, value in cases.items())
        sections.append(f" {json.dumps(section)}: {{\n" + ",\n".join(rows) + "\n }")
    return "{\n" + ",\n".join(sections) + "\n}\n"


def from_json(text: str) -> Any:
    """What a text in JSON says, in not too many digits."""
    return json.loads(text, parse_float=lambda number: round(float(number), 5))


def assert_near(found: Any, wanted: Any, most: float = 2e-4, place: str = "") -> None:
    """They are the same, but for how far numbers may be apart."""
    if isinstance(wanted, dict | list):
        keys, others = (sorted(one) if isinstance(one, dict) else list(range(len(one))) for one in (found, wanted))
        assert keys == others, place
        for key in keys:
            assert_near(found[key], wanted[key], most, f"{place}/{key}")
    elif isinstance(wanted, float):
        assert math.isclose(found, wanted, rel_tol=most, abs_tol=most), f"{place}: {found} in place of {wanted}"
    else:
        assert found == wanted, place


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with real crops, a list of words, and the shipped model, which other tests do not see."""
    folder = tmp_path_factory.mktemp("golden")
    shutil.copytree(DATA / "real", folder / "real")
    [shipped] = Path(crnnocr.__file__).parent.rglob("en/model.safetensors")
    shutil.copytree(shipped.parent, folder / "en")
    (folder / "words.txt").write_text("".join(f"{word}\n" for word in WORDS), encoding="utf-8")
    return folder


@pytest.fixture
def call(workplace: Path, run_cli: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> Call:
    """Runs `crnnocr` in that folder, in this process, with arguments that have blanks between, and returns what it prints."""
    monkeypatch.chdir(workplace)

    def run(arguments: str) -> str:
        result = run_cli(*arguments.split())
        assert result.exit_code == 0, result.stderr
        return result.stdout

    return run


def samples(folder: Path) -> list[str]:
    """A hash of each image's pixels, and its label."""
    found = []
    for row in map(json.loads, (folder / "metadata.jsonl").read_text(encoding="utf-8").splitlines()):
        with Image.open(folder / row["file_name"]) as image:
            digest = hashlib.sha256(f"{image.mode} {image.size} ".encode() + image.tobytes()).hexdigest()
        found.append(f"{digest[:16]} {row['text']}")
    return found


def test_synth(workplace: Path, call: Call) -> None:
    found = {}
    for number, options in enumerate(SETS):
        call(f"synth set-{number} -n 5 --seed {number} --workers 1 {options}")
        found[options] = samples(workplace / f"set-{number}")
    wanted, drawn_with_the_same, _ = recorded("synth", found)
    if not drawn_with_the_same:
        pytest.skip("other libraries draw here than those that drew what was recorded")
    assert found == wanted


def test_synth_with_two_workers(workplace: Path, call: Call) -> None:
    for workers in (1, 2):
        call(f"synth workers-{workers} -n 6 --words 1 --seed 8 --workers {workers}")
    assert samples(workplace / "workers-1") == samples(workplace / "workers-2")


def trained(workplace: Path, how: str) -> dict[str, Any]:
    """What a training leaves, each in a process and a store of its own. It may be interrupted after some validations."""

    def begin(*more: str) -> subprocess.Popen[bytes]:
        options = [*TRAININGS[how].split(), "--batch-size", "8", "--device", "cpu", *more]
        environment = {**os.environ, "CRNNOCR_DATA_DIR": str(workplace / how), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "crnnocr", "train", "lines", *options]
        return subprocess.Popen(command, cwd=workplace, env=environment, stdin=subprocess.DEVNULL)

    process = begin()
    if how == "interrupted":
        history = workplace / how / "runs/lines/history.jsonl"
        while process.poll() is None and not (history.exists() and history.read_text(encoding="utf-8").count("\n") > 2):
            time.sleep(0.01)
        process.terminate()
        assert process.wait(60) == 143, "it had ended already"
        process = begin("--resume")
    assert process.wait(300) == 0
    model = workplace / how / "models/lines"
    weights = hashlib.sha256()
    for name, tensor in sorted(safetensors.numpy.load_file(model / "model.safetensors").items()):
        weights.update(f"{name} {tensor.dtype} {tensor.shape} ".encode() + tensor.tobytes())
    rows = [from_json(line) for line in (model / "history.jsonl").read_text(encoding="utf-8").splitlines()]
    return {
        "weights": weights.hexdigest(),
        "graphs": [graph(model / name)["bits"] for name in ("model.onnx", "model.int8.onnx")],
        "history": [[row[key] for key in HISTORY] for row in rows],
    }


@pytest.mark.skipif(sys.platform == "win32", reason="no process can be asked to end there")
def test_train(workplace: Path, call: Call) -> None:
    call(LINES)
    with ThreadPoolExecutor(2) as pool:
        found = dict(zip(TRAININGS, pool.map(lambda how: trained(workplace, how), TRAININGS), strict=True))
    assert found.pop("interrupted") == found["whole"]
    wanted, drawn_with_the_same, computed_with_the_same = recorded("train", found)
    if drawn_with_the_same and computed_with_the_same:
        assert found == wanted
    elif drawn_with_the_same:
        losses, others = ([row[1] for row in values["whole"]["history"]] for values in (found, wanted))
        assert_near(losses, others, 1e-2)


def normalize(part: Any, names: dict[str, str]) -> None:
    """Number the values of a graph in the order they come in, and forget what else is only a name."""

    def number(name: str) -> str:
        return names.setdefault(name, str(len(names))) if name else ""

    part.name = part.doc_string = ""
    del part.value_info[:]
    for value in (*part.input, *part.initializer):
        value.name, value.doc_string = number(value.name), ""
    for node in part.node:
        node.name = node.doc_string = ""
        node.input[:] = map(number, node.input)
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                normalize(attribute.g, names)
        node.output[:] = map(number, node.output)
    for value in part.output:
        value.name, value.doc_string = number(value.name), ""


def graph(path: Path) -> dict[str, Any]:
    """What goes in and comes out of an exported graph, and hashes of its operators and of all its bits."""
    model = onnx.load(path)
    interface = [" ".join(f"{value.name} {value.type}".split()) for value in (*model.graph.input, *model.graph.output)]
    operators = " ".join(node.op_type for node in model.graph.node)
    for field in ("doc_string", "metadata_props", "producer_name", "producer_version"):
        model.ClearField(field)
    normalize(model.graph, {})
    hashes = [hashlib.sha256(whole).hexdigest() for whole in (operators.encode(), model.SerializeToString(deterministic=True))]
    return {"interface": interface, "operators": hashes[0], "bits": hashes[1]}


def test_export(workplace: Path, call: Call) -> None:
    call(LINES)  # completes what is there
    found = {}
    for number, options in enumerate(EXPORTS):
        proof = from_json(call(f"export -m ./en --verify lines -o export-{number} --json {options}"))
        del proof["path"], proof["bytes"]  # which those of the card are among
        for key, most in (("max_log_prob_difference", 1e-3), ("max_confidence_difference", 1e-3)):
            proof[key] = proof[key] is not None and proof[key] < most
        found[options] = {"proof": proof, **graph(workplace / f"export-{number}/model.onnx")}
    wanted, drawn_with_the_same, computed_with_the_same = recorded("export", found)
    for options, values in found.items():
        assert values["interface"] == wanted[options]["interface"]
        assert values["operators"] == wanted[options]["operators"]
        assert values["bits"] == wanted[options]["bits"] or not computed_with_the_same
        if drawn_with_the_same and computed_with_the_same:
            assert_near(values["proof"], wanted[options]["proof"])


def test_predict(call: Call) -> None:
    found = {}
    for options in READINGS:
        rows = map(from_json, call(f"predict -m ./en --json {options}").splitlines())
        found[options] = {row.pop("path"): row for row in rows}
    wanted, _, computed_with_the_same = recorded("predict", found)
    if computed_with_the_same:
        assert_near(found, wanted)
    for options, read in found.items():
        same = [values["text"] == wanted[options][path]["text"] for path, values in read.items()]
        assert sum(same) >= 0.9 * len(wanted[options]), options


def test_eval(call: Call) -> None:
    found = from_json(call("eval real -m ./en --json --compare --pattern=[A-Za-z]+"))
    del found["speed"], found["compare"]["verdict"]  # times, and words
    wanted, _, computed_with_the_same = recorded("eval", {"real": found})
    if computed_with_the_same:
        assert_near(found, wanted["real"])
    else:
        assert_near({key: found[key] for key in SCORES}, {key: wanted["real"][key] for key in SCORES}, 0.03)
