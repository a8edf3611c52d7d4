"""Where models are kept, and how a name, a folder or a file leads to one."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from crnnocr.directories import data_directory
from crnnocr.errors import ModelError, UsageError
from crnnocr.model import store


def keep(*names: str) -> None:
    """Put a file in the place of each model; the store never looks inside."""
    for name in names:
        store.path_of(name).parent.mkdir(parents=True)
        store.path_of(name).write_bytes(b"weights")


def test_the_data_directory_is_where_the_environment_says(own_store: Path) -> None:
    assert data_directory() == own_store
    assert store.path_of("plates") == own_store / "models" / "plates" / "model.safetensors"


def test_without_that_it_is_the_platforms_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CRNNOCR_DATA_DIR")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert data_directory().name == "crnnocr"


def test_a_new_store_holds_no_names() -> None:
    assert store.names() == []


def test_names_are_sorted_and_leave_out_folders_without_a_model(own_store: Path) -> None:
    keep("zebra", "ant")
    (own_store / "models" / "empty").mkdir()
    assert store.names() == ["ant", "zebra"]


def test_a_taken_name_becomes_the_next_free_one() -> None:
    assert store.free_name("data") == "data"
    keep("data")
    assert store.free_name("data") == "data-2"
    keep("data-2", "data-3")
    assert store.free_name("data") == "data-4"


def test_a_model_is_found_by_its_name() -> None:
    keep("plates")
    found = store.find("plates")
    assert (found.path, found.name, found.is_current) == (store.path_of("plates"), "plates", False)


def test_a_model_is_found_by_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "somewhere" / "receipts"
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"weights")
    assert store.find(str(folder)) == store.FoundModel(folder / "model.safetensors", "receipts")


@pytest.mark.parametrize(("file", "name"), [("meters.safetensors", "meters"), ("meters.onnx", "meters")])
def test_a_model_is_found_by_its_file(file: str, name: str, tmp_path: Path) -> None:
    (tmp_path / file).write_bytes(b"weights")
    assert store.find(str(tmp_path / file)) == store.FoundModel(tmp_path / file, name)


def test_a_file_in_a_model_folder_goes_by_the_folders_name() -> None:
    keep("plates")
    assert store.find(str(store.path_of("plates"))).name == "plates"


def test_a_folder_of_the_same_name_that_holds_no_model_does_not_hide_the_trained_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep("data")
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path)
    assert store.find("data").path == store.path_of("data")


def test_another_kind_of_file_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "weights.pt").write_bytes(b"pickle")
    with pytest.raises(ModelError, match=r"weights\.pt is not a model: expected a folder, a \.safetensors or an \.onnx file"):
        store.find(str(tmp_path / "weights.pt"))


def test_an_unknown_name_is_told_which_there_are() -> None:
    with pytest.raises(ModelError, match=r"no model plate: .*\(none yet\)"):
        store.find("plate")
    keep("plates", "meters")
    with pytest.raises(ModelError, match=r"no model plate: .*\(meters, plates\)"):
        store.find("plate")


@pytest.mark.parametrize("name", ["../outside", "models/../../outside"])
def test_a_name_never_leads_out_of_the_store(name: str, own_store: Path) -> None:
    (own_store / "outside").mkdir(parents=True)
    (own_store / "outside" / "model.safetensors").write_bytes(b"weights")
    (own_store / "models").mkdir()
    with pytest.raises(ModelError, match="no model"):
        store.find(name)


@pytest.mark.parametrize("name", ["plates", "Plates_2024-05", "9", "Straße", "v1.2", "x" * 100])
def test_a_good_name_is_kept(name: str) -> None:
    assert store.checked_name(name) == name


@pytest.mark.parametrize("name", ["", ".", "..", ".hidden", "-dash", "a/b", "a\\b", "a b", "a:b", "end.", "a\n", "x" * 101])
def test_a_name_that_could_not_be_a_folder_everywhere_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="--name"):
        store.checked_name(name)


def test_a_model_may_be_called_current() -> None:
    keep("current", "plates")
    store.make_current("current")
    assert store.find(None) == store.FoundModel(store.path_of("current"), "current", is_current=True)
    assert store.names() == ["current", "plates"]


def test_before_any_training_there_is_no_current_model() -> None:
    with pytest.raises(ModelError, match="no model yet: make one with `crnnocr train DATA`"):
        store.find(None)


def test_the_current_model_is_the_last_one_that_was_made_so() -> None:
    keep("plates", "meters")
    store.make_current("plates")
    store.make_current("meters")
    assert store.find(None) == store.FoundModel(store.path_of("meters"), "meters", is_current=True)


def test_a_current_model_that_is_gone_is_named() -> None:
    keep("plates")
    store.make_current("plates")
    store.path_of("plates").unlink()
    with pytest.raises(ModelError, match="the current model plates is gone"):
        store.find(None)


def test_the_store_needs_no_torch(run_process: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    keep("plates")
    store.make_current("plates")
    code = "import sys; from crnnocr.model import store; print(store.find(None).name, 'torch' in sys.modules)"
    result = run_process("-c", code)
    assert result.stdout == "plates False\n", result.stderr
