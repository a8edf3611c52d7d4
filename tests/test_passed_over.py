"""`predict` says what of a folder it passes over, and follows links to folders once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from label_files import put

RunCli = Callable[..., Result]

pytestmark = pytest.mark.usefixtures("current_model")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with folders below, links to folders (one in a circle), a hidden folder and a link to nothing."""
    put(tmp_path / "elsewhere", ["c.png"])
    folder = put(tmp_path / "crops", ["a.png", "below/b.png", ".hidden/h.png"], {"empty/note.md": ""})
    (folder / "linked").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (folder / "again").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (folder / "below/up").symlink_to(folder, target_is_directory=True)
    (folder / "gone.png").symlink_to(tmp_path / "nothing")
    return folder


def names(result: Result) -> list[str]:
    return [Path(line.split("\t")[0]).name for line in result.stdout.splitlines()]


def test_folders_and_links_that_are_passed_over_are_told_of(folder: Path, run_cli: RunCli) -> None:
    result = run_cli("predict", folder)
    assert result.exit_code == 0
    assert names(result) == ["a.png"]
    assert "2 folders below with images are passed over (--recursive)" in result.stderr
    assert "warning: " in result.stderr
    assert "1 link to images that are not there" in result.stderr


def test_recursive_follows_links_to_folders_once(folder: Path, run_cli: RunCli) -> None:
    result = run_cli("predict", folder, "--recursive")
    assert result.exit_code == 0
    assert sorted(names(result)) == ["a.png", "b.png", "c.png"]
    assert "folder" not in result.stderr
