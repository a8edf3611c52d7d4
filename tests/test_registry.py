"""How a name, a folder or a file leads to a model, and how models are stored and removed."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from crnnocr.errors import CrnnocrError, ModelError, UsageError
from crnnocr.files import data_directory
from crnnocr.inference.recognizer import Recognizer
from crnnocr.model import registry


def keep(*names: str) -> None:
    """Put a file in the place of each model; the registry does not look inside."""
    for name in names:
        registry.path_of(name).parent.mkdir(parents=True)
        registry.path_of(name).write_bytes(b"weights")


def test_the_environment_sets_the_data_directory(own_registry: Path) -> None:
    assert data_directory() == own_registry
    assert registry.path_of("plates") == own_registry / "models" / "plates" / "model.safetensors"


def test_without_that_it_is_the_platforms_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CRNNOCR_DATA_DIR")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert data_directory().name == "crnnocr"


def test_at_first_there_are_no_names() -> None:
    assert registry.own_names() == []


def test_names_are_sorted_and_folders_without_a_model_are_left_out(own_registry: Path) -> None:
    keep("zebra", "ant")
    (own_registry / "models" / "empty").mkdir()
    assert registry.own_names() == ["ant", "zebra"]


def test_only_folders_with_a_possible_name_are_listed(own_registry: Path) -> None:
    keep("ant")
    for odd in ("we ird", ".ant.7.part"):
        (own_registry / "models" / odd).mkdir()
        (own_registry / "models" / odd / "model.safetensors").write_bytes(b"weights")
    (own_registry / "models" / "folder" / "model.safetensors").mkdir(parents=True)
    assert [registry.find_named(name).name for name in registry.own_names()] == ["ant"]


def test_a_long_name_that_is_taken_is_cut_for_the_next_one() -> None:
    keep("x" * 100)
    assert registry.checked_name(registry.free_name("x" * 100)) == f"{'x' * 90}-2"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("plates", "plates"),
        ("my model", "my-model"),
        ("../../../x", "x"),
        ("\x1b]0;x\x07", "0-x"),
        ("con", "model"),
        ("scratch", "model"),
        ("", "model"),
        ("x" * 200, "x" * 100),
        ("x" * 99 + ".y", "x" * 99),
    ],
)
def test_any_text_has_a_similar_name_that_can_be_a_folder(text: str, name: str) -> None:
    assert registry.checked_name(registry.similar_name(text)) == name


def test_a_taken_name_becomes_the_next_free_one() -> None:
    assert registry.free_name("data") == "data"
    keep("data")
    assert registry.free_name("data") == "data-2"
    keep("data-2", "data-3")
    assert registry.free_name("data") == "data-4"


def test_a_model_is_found_by_its_name() -> None:
    keep("plates")
    found = registry.find("plates")
    assert (found.path, found.name, found.is_current) == (registry.path_of("plates"), "plates", False)


def test_a_model_is_found_by_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "somewhere" / "receipts"
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"weights")
    assert registry.find(str(folder)) == registry.FoundModel(folder / "model.safetensors", "receipts")


@pytest.mark.parametrize(("file", "name"), [("meters.safetensors", "meters"), ("meters.onnx", "meters")])
def test_a_model_is_found_by_its_file(file: str, name: str, tmp_path: Path) -> None:
    (tmp_path / file).write_bytes(b"weights")
    assert registry.find(str(tmp_path / file)) == registry.FoundModel(tmp_path / file, name)


def test_a_file_in_a_model_folder_goes_by_the_folders_name() -> None:
    keep("plates")
    assert registry.find(str(registry.path_of("plates"))).name == "plates"


def test_a_folder_of_the_same_name_that_holds_no_model_does_not_hide_the_trained_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep("data")
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path)
    assert registry.find("data").path == registry.path_of("data")


def test_another_kind_of_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "weights.pt").write_bytes(b"pickle")
    with pytest.raises(ModelError, match=r"weights\.pt is not a model: expected a folder, a \.safetensors or an \.onnx file"):
        registry.find(str(tmp_path / "weights.pt"))


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ModelError, match=r"no model plate: .*\(none yet\)"):
        registry.find("plate")
    keep("plates", "meters")
    with pytest.raises(ModelError, match=r"no model plate: .*\(meters, plates\)"):
        registry.find("plate")


@pytest.mark.parametrize("name", ["../outside", "models/../../outside"])
def test_a_name_never_leads_out_of_the_data_directory(name: str, own_registry: Path) -> None:
    (own_registry / "outside").mkdir(parents=True)
    (own_registry / "outside" / "model.safetensors").write_bytes(b"weights")
    (own_registry / "models").mkdir()
    with pytest.raises(ModelError, match="no model"):
        registry.find(name)


@pytest.mark.parametrize("name", ["plates", "Plates_2024-05", "9", "Straße", "v1.2", "x" * 100])
def test_a_good_name_is_kept(name: str) -> None:
    assert registry.checked_name(name) == name


@pytest.mark.parametrize("name", ["", ".", "..", ".hidden", "-dash", "a/b", "a\\b", "a b", "a:b", "end.", "a\n", "x" * 101])
def test_a_name_that_could_not_be_a_folder_everywhere_is_an_error(name: str) -> None:
    with pytest.raises(UsageError, match="cannot be a folder everywhere"):
        registry.checked_name(name)


def test_a_model_may_be_called_current() -> None:
    keep("current", "plates")
    registry.make_current("current")
    assert registry.find(None) == registry.FoundModel(registry.path_of("current"), "current", is_current=True)
    assert registry.own_names() == ["current", "plates"]


def test_before_any_training_there_is_no_current_model() -> None:
    with pytest.raises(ModelError, match="no model yet: make one with `crnnocr train DATA`"):
        registry.find(None)


def test_the_current_model_is_the_last_one_that_was_made_so() -> None:
    keep("plates", "meters")
    registry.make_current("plates")
    registry.make_current("meters")
    assert registry.find(None) == registry.FoundModel(registry.path_of("meters"), "meters", is_current=True)


def test_a_current_model_that_is_gone_is_named() -> None:
    keep("plates")
    registry.make_current("plates")
    registry.path_of("plates").unlink()
    with pytest.raises(ModelError, match="the current model plates is gone"):
        registry.find(None)


@pytest.mark.parametrize("content", [b"", b"\n", b"\0" * 7, b"\xff\xfe", b"../x", b"two words"])
def test_a_damaged_current_model_file_counts_as_none(content: bytes, own_registry: Path) -> None:
    install("en")
    keep("plates")
    (own_registry / "current-model").write_bytes(content)
    assert registry.find(None) == found_pretrained("en")
    registry.remove(registry.find_named("plates"))
    assert registry.own_names() == []


def test_the_current_model_is_on_the_disk_itself(own_registry: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[os.stat_result] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: flushed.append(os.fstat(descriptor)))
    registry.make_current("plates")
    file, folder = flushed
    assert os.path.samestat(file, (own_registry / "current-model").stat())
    assert os.path.samestat(folder, own_registry.stat())


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder where not even root makes one")
def test_a_data_directory_that_cannot_be_is_named_with_what_was_to_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRNNOCR_DATA_DIR", "/proc/nope/a")
    with pytest.raises(CrnnocrError, match=r"cannot write /proc/nope/a/current-model: No such file or directory"):
        registry.make_current("plates")


def install(*names: str) -> None:
    """Put a file in the place of each pretrained model."""
    for name in names:
        (registry.PRETRAINED_FOLDER / name).mkdir(parents=True)
        (registry.PRETRAINED_FOLDER / name / "model.safetensors").write_bytes(b"weights")


def found_pretrained(name: str, is_current: bool = False) -> registry.FoundModel:
    """The pretrained model of a name."""
    return registry.FoundModel(registry.PRETRAINED_FOLDER / name / "model.safetensors", name, is_current, is_pretrained=True)


def test_without_a_current_model_the_pretrained_one_is_the_default() -> None:
    install("en", "en-base")
    assert registry.find(None) == found_pretrained("en")
    keep("plates")
    assert registry.find(None) == found_pretrained("en")
    registry.make_current("plates")
    assert registry.find(None).name == "plates"


def test_models_of_ones_own_without_a_current_one_is_an_error_that_says_how_to_choose() -> None:
    keep("plates", "meters")
    with pytest.raises(ModelError, match=r"choose one with `crnnocr models use NAME` \(meters, plates\)"):
        registry.find(None)


def test_pretrained_models_are_found_by_preset_and_by_name() -> None:
    assert (registry.pretrained(), registry.pretrained("small"), registry.pretrained_names()) == (None, None, [])
    install("en-fast")
    assert (registry.pretrained(), registry.pretrained("small")) == (None, found_pretrained("en-fast"))
    install("en-base")
    install("en")
    assert (registry.pretrained(), registry.pretrained("base")) == (found_pretrained("en"), None)
    assert registry.pretrained_names() == ["en-fast", "en", "en-base"]
    assert registry.find("en-base") == registry.find_named("en-base") == found_pretrained("en-base")


def test_a_pretrained_model_can_be_the_current_one() -> None:
    install("en", "en-base")
    registry.make_current("en-base")
    assert registry.find(None) == found_pretrained("en-base", is_current=True)


@pytest.mark.parametrize(
    ("found", "label"),
    [
        (registry.FoundModel(Path("m"), "plates"), "plates"),
        (registry.FoundModel(Path("m"), "plates", is_current=True), "plates (the current one)"),
        (registry.FoundModel(Path("m"), "en", is_pretrained=True), "en (comes with crnnocr)"),
        (
            registry.FoundModel(Path("m"), "en", is_current=True, is_pretrained=True),
            "en (the current one, comes with crnnocr)",
        ),
    ],
)
def test_the_label_gives_the_name_and_why_it_is_this_model(found: registry.FoundModel, label: str) -> None:
    assert found.label == label


@pytest.mark.parametrize("name", ["en", "en-base"])
def test_the_names_of_pretrained_models_are_reserved_whether_they_are_there_or_not(name: str) -> None:
    with pytest.raises(UsageError, match=f"name {name} is the name of a model that comes with crnnocr"):
        registry.checked_name(name)
    assert registry.free_name(name) == f"{name}-2"
    keep(f"{name}-2")
    assert registry.free_name(name) == f"{name}-3"


def test_a_pretrained_model_hides_an_own_one_of_its_name() -> None:
    keep("en")
    assert registry.find("en").path == registry.path_of("en")
    install("en")
    assert registry.find("en") == found_pretrained("en")


def test_the_name_of_a_pretrained_model_goes_before_folders_and_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    install("en", "en-base")
    Path("en").mkdir()
    Path("en/model.safetensors").write_bytes(b"weights")
    Path("en-base").write_bytes(b"a file")
    assert [registry.find(name) for name in ("en", "en-base")] == [found_pretrained("en"), found_pretrained("en-base")]
    assert registry.find("./en") == registry.FoundModel(Path("en/model.safetensors"), "en")
    with pytest.raises(ModelError):
        Recognizer.load(Path("en"))  # which is a path, not a name


def test_a_removed_model_is_gone_with_all_files_of_its_folder() -> None:
    keep("plates", "meters")
    (registry.path_of("plates").parent / "model.onnx").write_bytes(b"graph")
    registry.remove(registry.find_named("plates"))
    assert not registry.path_of("plates").parent.exists()
    assert registry.own_names() == ["meters"]


def test_when_the_current_model_is_removed_there_is_none(own_registry: Path) -> None:
    keep("plates", "meters")
    registry.make_current("plates")
    registry.remove(registry.find_named("meters"))
    assert registry.find(None).name == "plates"
    registry.remove(registry.find_named("plates"))
    assert not (own_registry / "current-model").exists()


def test_removing_a_link_leaves_its_target(own_registry: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "model.safetensors").write_bytes(b"weights")
    (own_registry / "models").mkdir(parents=True)
    (own_registry / "models" / "plates").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    registry.remove(registry.find_named("plates"))
    assert registry.own_names() == []
    assert (tmp_path / "elsewhere" / "model.safetensors").is_file()


def test_a_pretrained_model_is_not_removed() -> None:
    install("en")
    with pytest.raises(UsageError, match="en comes with crnnocr"):
        registry.remove(registry.find_named("en"))
    assert registry.find("en") == found_pretrained("en")


def test_find_named_takes_no_paths(tmp_path: Path) -> None:
    keep("plates")
    for name in ("../plates", str(registry.path_of("plates")), str(registry.path_of("plates").parent), ".", ""):
        with pytest.raises(ModelError, match=r"no model is called .* \(plates\)"):
            registry.find_named(name)


def test_finding_a_model_needs_no_torch(run_process: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    keep("plates")
    registry.make_current("plates")
    code = "import sys; from crnnocr.model import registry; print(registry.find(None).name, 'torch' in sys.modules)"
    result = run_process("-c", code)
    assert result.stdout == "plates False\n", result.stderr


def test_an_exported_page_is_recognized(tmp_path: Path) -> None:
    for name in ("index.html", "model.json"):
        (tmp_path / name).touch()
    with pytest.raises(ModelError, match="is a page for browsers"):
        registry.find(str(tmp_path))
