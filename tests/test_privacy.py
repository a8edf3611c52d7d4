"""What crnnocr writes outside its own folders, and whom it contacts: nothing, and nobody."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

RunProcess = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(params=["empty", "not writable"])
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A user's folder in which nothing lies, or which cannot be written at all."""
    home = tmp_path / "home"
    if request.param == "empty":
        home.mkdir()
    else:
        home.write_bytes(b"")  # no folder can be made in a file, not even by root
    return home


def alone(home: Path, **more: str) -> Mapping[str, str]:
    """The environment of a user who has set nothing: the variables of crnnocr's own folders, and a home."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "ORT_"))}
    return kept | {"HOME": str(home), "PYTHONPATH": str(ROOT)} | more


def left_in(home: Path) -> list[Path]:
    """The files and folders that somebody has made there."""
    return [path for path in home.rglob("*") if path.is_dir() or path.read_bytes()]


def run(run_process: RunProcess, home: Path, *arguments: object) -> str:
    """The output of a command that has nothing to say on stderr."""
    done = run_process("-m", "crnnocr", *arguments, "--quiet", env=alone(home))
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_exporting_and_recognizing_write_nothing_into_the_users_folder(
    tiny_model: Path, tiny_data: Path, home: Path, tmp_path: Path, run_process: RunProcess
) -> None:
    run(run_process, home, "export", "--model", tiny_model, "--output", tmp_path / "out")
    model, crop = tmp_path / "out/model.onnx", tiny_data / "000000.png"
    text = run(run_process, home, "predict", crop, "--model", model)
    run(run_process, home, "eval", tiny_data, "--model", model)
    assert left_in(home) == []

    example = run_process(ROOT / "docs/examples/read_onnx.py", model, crop, env=alone(home))
    assert (example.stdout, example.stderr) == (text, "")
    assert left_in(home) == []


def test_the_library_alone_turns_telemetry_off_unless_the_user_has_chosen(home: Path, run_process: RunProcess) -> None:
    code = (
        "from crnnocr.runtime import import_onnxruntime as load; import os; load(); print(os.environ['ORT_DISABLE_TELEMETRY'])"
    )
    done = run_process("-c", code, env=alone(home))
    assert (done.stdout, done.stderr, left_in(home)) == ("1\n", "", [])
    assert run_process("-c", code, env=alone(home, ORT_DISABLE_TELEMETRY="yes")).stdout == "yes\n"


@pytest.mark.slow
def test_the_whole_way_to_a_model_writes_nothing_into_the_users_folder(
    home: Path, tmp_path: Path, run_process: RunProcess
) -> None:
    data = tmp_path / "data"
    run(run_process, home, "synth", data, "--count", "24", "--lang", "en", "--workers", "2")
    short = (
        "--preset",
        "tiny",
        "--from",
        "scratch",
        "--steps",
        "3",
        "--synth",
        "en:receipt",
        "--mix",
        "0.3",
        "--name",
        "short",
    )
    trained = run_process("-m", "crnnocr", "train", data, *short, "--quiet", env=alone(home))
    assert trained.returncode == 0
    for arguments in (("eval", data), ("predict", data), ("export", "--output", tmp_path / "out")):
        run(run_process, home, *arguments, "--model", "short")
    assert left_in(home) == []
