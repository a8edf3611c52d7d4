"""`crnnocr models`, and the pretrained models in other commands."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import pty
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cards import RECORD, SCORES
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from typer.testing import Result

from crnnocr.model import checkpoint, download, registry
from crnnocr.model.card import Card
from crnnocr.training import resume

RunCli = Callable[..., Result]
RunProcess = Callable[..., subprocess.CompletedProcess[str]]

KEYS = [
    "name",
    "path",
    "kind",
    "current",
    "preset",
    "characters",
    "n",
    "drawn",
    "cer",
    "exact",
    "bytes",
    "trained",
    "modified",
    "error",
]


def put(path: Path, model: Path) -> Path:
    """A copy of a model in a place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(model, path)
    return path


@pytest.fixture
def pretrained(tiny_model: Path) -> Path:
    """The tiny model in the place of the pretrained one, `en`."""
    return put(registry.PRETRAINED_FOLDER / "en" / registry.WEIGHTS, tiny_model)


@pytest.fixture
def measured(tiny_model: Path) -> Path:
    """The tiny model as one of the user's own, `plates`, with a card that says how it was trained and reads."""
    card, model = checkpoint.load(tiny_model)
    card = Card("plates", card.charset, card.config, training=RECORD, scores=SCORES)
    path = registry.path_of("plates")
    checkpoint.save(path, card, model, ())
    return path


@pytest.fixture
def foreign(tiny_model: Path, tmp_path: Path) -> Path:
    """The tiny model as a file from elsewhere."""
    return put(tmp_path / "elsewhere" / "receipts.safetensors", tiny_model)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def rows(output: str) -> list[list[str]]:
    """The words of each line."""
    return [line.split() for line in output.splitlines()]


# The list


def test_if_there_are_none_the_message_says_how_to_get_one(run_cli: RunCli) -> None:
    result = run_cli("models")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "there is no model yet: make one with `crnnocr train DATA`" in result.stderr
    assert json.loads(run_cli("models", "--json").stdout) == []


@pytest.mark.usefixtures("pretrained", "measured")
def test_the_list_begins_with_the_pretrained_ones_and_marks_the_default(run_cli: RunCli) -> None:
    header, *listed = rows(run_cli("models").stdout)
    assert header == ["name", "kind", "preset", "CER", "measured", "on", "size", "trained"]
    assert [row[:4] for row in listed] == [["*", "en", "shipped", "tiny"], ["plates", "own", "tiny", "1.23%"]]
    assert listed[1][4:] == [
        "1,234",
        "held",
        "out",
        f"{registry.path_of('plates').stat().st_size / 1e6:.1f}",
        "MB",
        "2024-05-06",
    ]
    registry.make_current("plates")
    assert [row[0] for row in rows(run_cli("models").stdout)] == ["name", "en", "*"]


@pytest.mark.usefixtures("pretrained")
def test_the_keys_of_its_json(measured: Path, run_cli: RunCli) -> None:
    (measured.parent / "model.onnx").write_bytes(bytes(1000))
    en, plates = json.loads(run_cli("models", "--json").stdout)
    assert list(en) == list(plates) == KEYS
    assert (en["name"], en["kind"], en["current"], en["cer"], en["trained"]) == ("en", "shipped", True, None, None)
    assert (plates["kind"], plates["current"], plates["path"]) == ("own", False, str(measured))
    assert (plates["cer"], plates["exact"], plates["n"]) == (0.0123, 0.9, 1234)
    assert plates["bytes"] == measured.stat().st_size + 1000
    assert datetime.fromisoformat(plates["modified"]).timestamp() == pytest.approx(measured.stat().st_mtime, abs=1)


@pytest.mark.usefixtures("measured")
def test_a_damaged_model_is_listed_with_its_error(run_cli: RunCli) -> None:
    put(registry.path_of("broken"), Path(__file__))
    result = run_cli("models", "--json")
    broken, plates = json.loads(result.stdout)
    assert "is not a model of crnnocr, or is damaged" in broken["error"]
    assert (broken["preset"], plates["error"]) == (None, None)
    assert "is not a model of crnnocr, or is damaged" in result.stderr.replace("\n", " ")
    assert ["broken", "own", "damaged"] in [row[:3] for row in rows(run_cli("models").stdout)]


def with_card(path: Path, source: Path, **changes: object) -> Path:
    """A model with another card, whatever that says."""
    card, network = checkpoint.load(source)
    output = card.to_json() | changes

    class Altered(Card):
        def to_json(self) -> dict[str, Any]:
            return output

    checkpoint.save(path, Altered(card.name, card.charset, card.config), network, ())
    return path


@pytest.mark.usefixtures("measured")
def test_a_card_of_wrong_values_is_damaged_and_the_rest_is_listed(tiny_model: Path, run_cli: RunCli) -> None:
    with_card(registry.path_of("odd"), tiny_model, scores=SCORES.to_json() | {"cer": "bad"})
    result = run_cli("models")
    assert [row[:3] for row in rows(result.stdout)[1:]] == [["odd", "own", "damaged"], ["plates", "own", "tiny"]]
    assert "warning: " in result.stderr
    assert "its card cannot be read (scores.cer cannot be 'bad')" in result.stderr.replace("\n", " ")
    shown = run_cli("models", "show", "odd")
    assert (shown.exit_code, shown.stdout) == (1, "")
    assert "its card cannot be read" in shown.stderr


def test_a_model_that_was_never_trained_or_measured_is_shown(tiny_model: Path, run_cli: RunCli) -> None:
    with_card(registry.path_of("bare"), tiny_model, training={}, scores={})
    assert [row[3:5] for row in rows(run_cli("models").stdout)[1:]] == [["-", "-"]]
    shown = run_cli("models", "show", "bare").stdout
    assert "steps" not in shown
    assert "not measured" in shown


@pytest.mark.usefixtures("measured")
def test_a_folder_that_is_no_model_does_not_end_the_list(own_registry: Path, run_cli: RunCli) -> None:
    put(own_registry / "models" / "we ird" / registry.WEIGHTS, registry.path_of("plates"))
    (own_registry / "models" / "dir" / registry.WEIGHTS).mkdir(parents=True)
    result = run_cli("models")
    assert (result.exit_code, [row[0] for row in rows(result.stdout)]) == (0, ["name", "plates"])


def test_controls_of_a_foreign_card_do_not_reach_the_terminal(tiny_model: Path, run_cli: RunCli) -> None:
    card = checkpoint.load_card(tiny_model).to_json()
    evil = "\x1b]0;PWNED\x07\x9b\x7f\t"
    with_card(registry.path_of("evil"), tiny_model, model=card["model"] | {"preset": evil})
    with_card(registry.path_of("worse"), tiny_model, model=card["model"] | {evil: 1})
    listed, shown = run_cli("models"), run_cli("models", "show", "evil")
    for output in (listed.stdout, shown.stdout):
        assert "\\x1b]0;PWNED\\x07\\x9b\\x7f\\t" in output
    assert "argument '\\x1b]0;PWNED\\x07" in listed.stderr
    for output in (listed.output, shown.output):
        assert not set("\x1b\x07\x9b\x7f\t") & set(output)


@pytest.mark.usefixtures("pretrained", "measured")
def test_the_model_is_found_only_once(run_cli: RunCli, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str | None] = []
    find = registry.find

    def noted(model: str | None) -> registry.FoundModel:
        asked.append(model)
        return find(model)

    monkeypatch.setattr(registry, "find", noted)
    assert run_cli("models").exit_code == 0
    assert asked == [None]


@pytest.mark.usefixtures("measured")
def test_the_list_needs_no_torch(run_process: RunProcess) -> None:
    code = "import sys; from crnnocr.cli import app; app(['models'], standalone_mode=False); print('torch' in sys.modules)"
    result = run_process("-c", code)
    assert "plates" in result.stdout
    assert result.stdout.endswith("False\n"), result.stderr


@pytest.mark.usefixtures("measured")
def test_on_a_terminal_the_list_is_a_table() -> None:
    terminal, end = pty.openpty()
    subprocess.run([sys.executable, "-m", "crnnocr", "models"], stdout=end, check=True)
    assert "╭" in (shown := os.read(terminal, 10_000).decode())
    assert "plates" in shown


@pytest.mark.usefixtures("measured")
def test_options_before_the_command_are_an_error(run_cli: RunCli) -> None:
    result = run_cli("models", "--json", "show")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "options stand behind the command: crnnocr models show" in result.stderr


# show, path, use


def test_show_prints_what_the_card_holds(measured: Path, run_cli: RunCli) -> None:
    output = run_cli("models", "show", "plates").stdout
    for fact in (
        "model        plates",
        "lines 16 pixels high, 3 convolutions, LSTM of 48 units a direction",
        "horizontal",
        "2024-05-06T07:08:09+00:00 by crnnocr 9.8.7",
        "crops (100, csv), synthetic (en:clean)",
        "90 images to train on, 10 to validate on",
        "1,300, 12,345 images seen, 2 min on cpu, from en",
        "character error rate (CER) 1.23%, word error rate (WER) 10.00%, exact match 90.00%",
        "on 1,234 held-out images",
        "temperature 1.000, bias +0.000, fitted on 0 held-out predictions",
        "fp32 on a CPU",
        f"{sha256(measured)} (model.safetensors)",
        str(measured.parent),
    ):
        assert fact in output


def test_its_json_is_the_card(measured: Path, run_cli: RunCli) -> None:
    output = run_cli("models", "show", "plates", "--json").stdout
    assert json.loads(output) == json.loads(json.dumps(checkpoint.load_card(measured).to_json()))


def test_show_takes_what_model_takes(measured: Path, foreign: Path, run_cli: RunCli) -> None:
    registry.make_current("plates")
    assert "plates (the current one)" in run_cli("models", "show").stdout
    assert "9.8.7" in run_cli("models", "show", measured.parent).stdout
    (foreign.parent / "other").write_bytes(b"")
    output = run_cli("models", "show", foreign).stdout
    assert "receipts" in output
    assert "other" not in output  # a file beside the model does not belong to it
    assert "not measured" in output


@pytest.mark.usefixtures("current_model")
def test_show_reads_the_card_of_an_export(tmp_path: Path, tiny_model: Path, run_cli: RunCli) -> None:
    from crnnocr.export import folder as exporting

    exporting.write_fp32(tiny_model, tmp_path / "tiny.onnx")
    output = json.loads(run_cli("models", "show", tmp_path / "tiny.onnx", "--json").stdout)
    assert output == json.loads(json.dumps(checkpoint.load_card(tiny_model).to_json()))


@pytest.mark.usefixtures("pretrained")
def test_path_prints_the_folder_and_nothing_else(measured: Path, run_cli: RunCli) -> None:
    for arguments, folder in (((), registry.PRETRAINED_FOLDER / "en"), (("plates",), measured.parent)):
        result = run_cli("models", "path", *arguments)
        assert (result.exit_code, result.stdout, result.stderr) == (0, f"{folder}\n", "")


@pytest.mark.usefixtures("pretrained", "measured")
def test_use_makes_a_model_the_current_one(run_cli: RunCli) -> None:
    for name in ("plates", "en"):
        assert f"{name!r} is now the current model" in run_cli("models", "use", name).stderr
        assert (registry.find(None).name, registry.find(None).is_current) == (name, True)


@pytest.mark.parametrize("command", ["use", "rm", "path"])
def test_an_unknown_name_is_an_error_that_lists_the_names(command: str, measured: Path, run_cli: RunCli) -> None:
    for name in ("plate", "../plates", measured.parent):
        result = run_cli("models", command, name)
        assert (result.exit_code, result.stdout) == (1, "")
        assert "(plates)" in result.stderr
    assert measured.is_file()


# rm


@pytest.mark.usefixtures("measured")
def test_rm_says_what_was_removed_and_how_big(measured: Path, run_cli: RunCli) -> None:
    size = measured.stat().st_size / 1e6
    result = run_cli("models", "rm", "plates")
    assert (result.exit_code, result.stdout) == (0, "")
    assert f"removed plates, {size:.1f} MB: {measured.parent}" in result.stderr
    assert "current" not in result.stderr
    assert not measured.parent.exists()


@pytest.mark.usefixtures("current_model", "measured")
def test_rm_of_the_current_model_says_how_to_choose_another(run_cli: RunCli) -> None:
    output = run_cli("models", "rm", "tiny").stderr
    assert (
        "tiny was the current model; no model is the current one: choose one with `crnnocr models use NAME` (plates)" in output
    )
    assert run_cli("predict", "x.png").exit_code == 1


@pytest.mark.usefixtures("current_model", "pretrained")
def test_rm_of_the_current_model_names_the_next_default(run_cli: RunCli) -> None:
    output = run_cli("models", "rm", "tiny").stderr
    assert "from now on en (comes with crnnocr) is used" in output


def test_rm_leaves_pretrained_models(pretrained: Path, run_cli: RunCli) -> None:
    result = run_cli("models", "rm", "en")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "en comes with crnnocr" in result.stderr
    assert pretrained.is_file()


def test_rm_leaves_what_an_interrupted_training_needs(measured: Path, run_cli: RunCli) -> None:
    run = resume.begin("signs", {"options": {"start": "plates"}})
    (run.folder / "state.safetensors").write_bytes(b"state")
    result = run_cli("models", "rm", "plates")
    assert result.exit_code == 2
    assert "the interrupted run signs started from plates" in result.stderr
    assert str(run.folder) in result.stderr
    assert measured.is_file()
    run.remove()
    assert run_cli("models", "rm", "plates").exit_code == 0


def test_rm_leaves_an_interrupted_training_of_the_same_name(measured: Path, run_cli: RunCli) -> None:
    run = resume.begin("plates", {"options": {"start": "scratch"}})
    (run.folder / "state.safetensors").write_bytes(b"state")
    assert run_cli("models", "rm", "plates").exit_code == 0
    assert not measured.exists()
    assert run.is_resumable


# import


def test_import_stores_a_model_under_the_name_it_was_trained_under(foreign: Path, run_cli: RunCli) -> None:
    result = run_cli("models", "import", foreign, "--json")
    assert json.loads(result.stdout) == {"model": "tiny", "path": str(registry.path_of("tiny"))}
    assert "stored tiny: `crnnocr models use tiny` makes it the current model" in result.stderr
    assert registry.path_of("tiny").read_bytes() == foreign.read_bytes()
    assert run_cli("predict", "x.png").exit_code == 1  # there is no current model


def test_a_model_whose_weights_are_no_numbers_is_neither_imported_nor_exported_nor_run(
    foreign: Path, tmp_path: Path, run_cli: RunCli
) -> None:
    tensors = load_file(foreign)
    tensors["head.bias"][2] = np.nan
    with safe_open(foreign, framework="numpy") as file:
        about = file.metadata()
    broken = tmp_path / "broken.safetensors"
    save_file(tensors, broken, about)
    for command in (
        ["models", "import", broken],
        ["export", "--model", broken, "-o", tmp_path / "out"],
        ["predict", "x.png", "--model", broken],
    ):
        result = run_cli(*command)
        assert result.exit_code == 1
        assert "head.bias holds what is not a finite number" in result.stderr
    assert registry.own_names() == []
    assert not (tmp_path / "out").exists()


def test_an_imported_model_is_read_by_onnxruntime(foreign: Path, tiny_data: Path, run_cli: RunCli) -> None:
    run_cli("models", "import", foreign)
    image = sorted(tiny_data.glob("*.png"))[0]
    result = run_cli("predict", image, "--model", "tiny", "--device", "cpu")
    assert "model: tiny, by onnxruntime, fp32" in result.stderr
    assert result.stdout == run_cli("predict", image, "--model", foreign, "--device", "cpu").stdout


@pytest.mark.usefixtures("current_model")
def test_a_name_that_is_taken_becomes_the_next_and_the_current_model_stays(foreign: Path, run_cli: RunCli) -> None:
    assert "the name 'tiny' is taken: stored as 'tiny-2'" in run_cli("models", "import", foreign).stderr
    assert "stored mine:" in run_cli("models", "import", foreign, "--name", "mine").stderr
    assert registry.own_names() == ["mine", "tiny", "tiny-2"]
    assert registry.find(None).name == "tiny"


def test_a_folder_is_imported_by_the_model_in_it(measured: Path, run_cli: RunCli) -> None:
    assert run_cli("models", "import", measured.parent).exit_code == 0
    assert registry.own_names() == ["plates", "plates-2"]


def test_a_model_with_the_name_of_a_pretrained_one_is_renamed(tiny_model: Path, tmp_path: Path, run_cli: RunCli) -> None:
    card, model = checkpoint.load(tiny_model)
    checkpoint.save(tmp_path / "m.safetensors", Card("en", card.charset, card.config), model, ())
    assert "the name 'en' is taken: stored as 'en-2'" in run_cli("models", "import", tmp_path / "m.safetensors").stderr


@pytest.mark.parametrize(("name", "stored"), [("my model", "my-model"), ("../../../x", "x"), ("con", "model")])
def test_a_name_on_a_card_that_cannot_be_a_folders_becomes_one_that_can(
    name: str, stored: str, tiny_model: Path, tmp_path: Path, run_cli: RunCli
) -> None:
    result = run_cli("models", "import", with_card(tmp_path / "m.safetensors", tiny_model, name=name))
    assert (result.exit_code, registry.own_names()) == (0, [stored])
    assert f"stored {stored}:" in result.stderr


@pytest.mark.parametrize("name", ["../x", "en"])
def test_an_impossible_name_is_an_error(name: str, foreign: Path, run_cli: RunCli) -> None:
    result = run_cli("models", "import", foreign, "--name", name)
    assert result.exit_code == 2
    assert "--name" in result.stderr


@pytest.mark.parametrize(
    ("content", "output"),
    [(b"no model", "is not a model of crnnocr, or is damaged"), (None, "is cut off"), (b"", "is not a model of crnnocr")],
)
def test_what_is_no_model_is_not_stored(
    content: bytes | None, output: str, foreign: Path, own_registry: Path, run_cli: RunCli
) -> None:
    foreign.write_bytes(foreign.read_bytes()[:-1] if content is None else content)
    result = run_cli("models", "import", foreign)
    assert (result.exit_code, output in result.stderr) == (1, True)
    assert list((own_registry / "models").iterdir()) == []


def test_weights_that_do_not_fit_the_card_are_not_stored(
    tiny_model: Path, tmp_path: Path, own_registry: Path, run_cli: RunCli
) -> None:
    card, model = checkpoint.load(tiny_model)
    checkpoint.save(tmp_path / "m.safetensors", replace(card, config=replace(card.config, hidden=47)), model, ())
    result = run_cli("models", "import", tmp_path / "m.safetensors")
    assert (result.exit_code, "its weights do not fit its card" in result.stderr) == (1, True)
    assert list((own_registry / "models").iterdir()) == []


def test_a_model_whose_graphs_cannot_be_made_is_not_stored(
    tiny_model: Path, tmp_path: Path, own_registry: Path, run_cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = with_card(tmp_path / "few.safetensors", tiny_model, quantisation={"ranges": [[0, 1.0]]})
    result = run_cli("models", "import", few)
    assert (
        result.exit_code,
        "ranges must be none, or a number up to 0 and one above 0 for each of 6 maps" in result.stderr,
    ) == (1, True)

    from crnnocr.export import folder as exporting

    seen: list[list[str]] = []

    def fails(model_file: Path) -> None:
        assert model_file.is_file()
        seen.append(registry.own_names())
        raise ValueError("no graph")

    monkeypatch.setattr(exporting, "derive_onnx", fails)
    with pytest.raises(ValueError, match="no graph"):
        run_cli("models", "import", tiny_model)
    assert seen == [[]]  # nobody sees it before it is whole
    assert list((own_registry / "models").iterdir()) == []


def test_a_full_disk_is_an_error_of_the_target_and_leaves_nothing(
    foreign: Path, own_registry: Path, run_cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    result = run_cli("models", "import", foreign)
    output = f"cannot write {registry.path_of('tiny').parent}: No space left on device (make room there, then run it again)"
    assert (result.exit_code, output in result.stderr) == (1, True)
    assert list((own_registry / "models").iterdir()) == []


@pytest.mark.parametrize("is_url", [True, False])
def test_an_impossible_data_directory_is_an_error_before_anything_is_fetched(
    is_url: bool, foreign: Path, tmp_path: Path, run_cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CRNNOCR_DATA_DIR", str(foreign / "store"))
    monkeypatch.setattr(download, "fetch", lambda *_: pytest.fail("fetched"))
    result = run_cli("models", "import", *((URL, "--sha256", "0" * 64) if is_url else (foreign,)))
    assert result.exit_code == 1
    assert f"cannot write in the data directory {foreign / 'store'}: Not a directory" in result.stderr
    assert "(CRNNOCR_DATA_DIR names another)" in result.stderr


def test_a_missing_file_or_another_kind_of_file_is_an_error(tmp_path: Path, run_cli: RunCli) -> None:
    (tmp_path / "m.pt").write_bytes(b"")
    for source in (tmp_path / "nowhere", tmp_path / "m.pt", tmp_path):
        result = run_cli("models", "import", source)
        assert result.exit_code == 1
        assert "name a .safetensors or .onnx file, or a folder with model.safetensors or model.onnx" in result.stderr


def test_the_hash_of_a_file_is_held_to_as_well(foreign: Path, run_cli: RunCli) -> None:
    result = run_cli("models", "import", foreign, "--sha256", "0" * 64)
    assert (result.exit_code, registry.own_names()) == (1, [])
    assert f"its SHA-256 is {sha256(foreign)}, not {'0' * 64}" in result.stderr
    assert run_cli("models", "import", foreign, "--sha256", sha256(foreign)).exit_code == 0


URL = "https://models.example/receipts.safetensors"


@pytest.fixture
def downloaded(foreign: Path, tmp_path: Path) -> str:
    """The hash of a model that lies in the cache."""
    put(tmp_path / "cache" / "downloads" / sha256(foreign), foreign)
    return sha256(foreign)


def test_a_url_needs_its_hash(run_cli: RunCli) -> None:
    result = run_cli("models", "import", URL)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "--sha256 is missing" in result.stderr


def test_a_url_must_be_https(downloaded: str, run_cli: RunCli) -> None:
    for more in (("--sha256", downloaded), ()):
        result = run_cli("models", "import", URL.replace("https", "http"), *more)
        assert (result.exit_code, "downloads are over https only" in result.stderr) == (2, True)


def test_a_download_is_stored_as_a_file_is(downloaded: str, run_cli: RunCli) -> None:
    assert "stored tiny" in run_cli("models", "import", URL, "--sha256", downloaded).stderr
    assert sha256(registry.path_of("tiny")) == downloaded


def test_a_download_that_is_no_model_is_an_error_of_its_address_and_not_kept(tmp_path: Path, run_cli: RunCli) -> None:
    kept = tmp_path / "cache" / "downloads" / sha256(Path(__file__))
    put(kept, Path(__file__))
    result = run_cli("models", "import", URL, "--sha256", kept.name)
    assert result.exit_code == 1
    assert f"error: {URL}: " in result.stderr
    assert "is not a model of crnnocr, or is damaged" in result.stderr.replace("\n", " ")
    assert not kept.exists()


@pytest.mark.parametrize("by_variable", [False, True])
def test_offline_takes_what_was_downloaded_before(
    by_variable: bool, downloaded: str, run_cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    if by_variable:
        monkeypatch.setenv("CRNNOCR_OFFLINE", "1")
    more = () if by_variable else ("--offline",)
    assert run_cli("models", "import", URL, "--sha256", downloaded, *more).exit_code == 0
    result = run_cli("models", "import", URL, "--sha256", "0" * 64, *more)
    assert result.exit_code == 1
    assert "was not downloaded before, and with --offline (or CRNNOCR_OFFLINE) nothing is" in result.stderr


def test_ctrl_c_says_that_the_download_can_be_resumed(run_cli: RunCli, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> Path:
        raise KeyboardInterrupt

    monkeypatch.setattr(download, "fetch", interrupted)
    result = run_cli("models", "import", URL, "--sha256", "0" * 64)
    assert (result.exit_code, "interrupted: the same command resumes the download" in result.stderr) == (130, True)


# Pretrained models in the other commands


@pytest.mark.usefixtures("pretrained")
def test_predict_eval_and_export_use_the_pretrained_model_if_there_is_no_other(
    tiny_data: Path, tmp_path: Path, run_cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    image = sorted(tiny_data.glob("*.png"))[0]
    predict = run_cli("predict", image, "--device", "cpu")
    assert (predict.exit_code, predict.stderr) == (0, "model: en (comes with crnnocr), by torch on cpu\n")
    assert "model: en (comes with crnnocr), by" in run_cli("eval", tiny_data, "--device", "cpu").stderr
    export = run_cli("export")
    assert "model: en (comes with crnnocr)\n" in export.stderr
    assert (tmp_path / "en-onnx" / "model.onnx").is_file(), export.stderr


@pytest.mark.usefixtures("pretrained", "current_model")
def test_predict_says_which_of_the_two_it_takes(tiny_data: Path, run_cli: RunCli) -> None:
    image = sorted(tiny_data.glob("*.png"))[0]
    assert "model: tiny (the current one), by" in run_cli("predict", image).stderr
    assert "model: en (comes with crnnocr), by" in run_cli("predict", image, "--model", "en").stderr
    registry.make_current("en")
    assert "model: en (the current one, comes with crnnocr), by" in run_cli("predict", image).stderr


def test_train_rejects_the_name_of_a_pretrained_model(tiny_data: Path, run_cli: RunCli) -> None:
    result = run_cli("train", tiny_data, "--name", "en", "--check")
    assert (result.exit_code, "--name en is the name of a model that comes with crnnocr" in result.stderr) == (2, True)


@pytest.mark.parametrize("force", [False, True])
def test_data_with_the_name_of_a_pretrained_model_makes_a_model_of_another_name(
    force: bool, tiny_data: Path, tiny_preset: str, tmp_path: Path, run_cli: RunCli
) -> None:
    shutil.copytree(tiny_data, tmp_path / "en")
    more = ("--force",) if force else ()
    result = run_cli("train", tmp_path / "en", "--preset", tiny_preset, "--steps", 1, *more)
    assert result.exit_code == 0, result.stderr
    assert registry.own_names() == ["en-2"]
    assert force or "the name 'en' was that of a pretrained model: stored as 'en-2'" in result.stderr
