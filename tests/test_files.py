"""Files are written whole or not at all, locks keep others out, and text is read in UTF-8."""

from __future__ import annotations

from pathlib import Path

import pytest

from crnnocr.errors import ConfigError, CrnnocrError, DataError, UsageError
from crnnocr.files import (
    RealPaths,
    atomic_files,
    atomic_write,
    folder_lock,
    read_lines,
    read_phrases,
    read_text,
    sha256_of,
    target_of_part,
)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_replaced_when_the_block_succeeds_and_stays_when_it_fails(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file.txt"
    with atomic_write(path, durable=True) as part:
        part.write_text("first")
        assert not path.exists()
    with pytest.raises(UnicodeEncodeError), atomic_write(path) as part:
        part.write_text("second, half of a surrogate pair: \ud800", encoding="utf-8")
    assert path.read_text() == "first"
    assert names(path.parent) == ["file.txt"]


def test_the_target_of_a_link_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    with atomic_write(tmp_path / "link") as part:
        part.write_text("new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == "new"


def test_a_folder_that_cannot_be_written_is_an_error_with_the_fix(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CrnnocrError, match=r"cannot write .*x\.txt"), atomic_write(tmp_path / "file" / "x.txt"):
        pass


def test_a_partial_file_tells_what_it_was_to_become(tmp_path: Path) -> None:
    with atomic_write(tmp_path / "file.txt") as part:
        part.touch()
        assert target_of_part(part.name) == "file.txt"
    assert target_of_part("file.txt") is None


def test_files_are_added_together_or_not_at_all(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("stays")
    (tmp_path / "old").write_text("goes")
    with pytest.raises(UnicodeEncodeError), atomic_files(tmp_path, replaces=[tmp_path / "old"]) as part:
        (part / "new").write_text("\ud800", encoding="utf-8")
    assert names(tmp_path) == ["mine", "old"]
    with atomic_files(tmp_path, replaces=[tmp_path / "old"]) as part:
        (part / "new").write_text("")
    assert names(tmp_path) == ["mine", "new"]


def test_a_locked_folder_keeps_others_out_until_the_block_ends(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    with folder_lock(folder), pytest.raises(UsageError, match=r"another process is writing to .*new"), folder_lock(folder):
        pass
    with folder_lock(folder):
        pass
    assert names(folder) == []


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_text_is_read_in_utf_8_or_utf_16(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_bytes("Grüße\n中\n".encode(encoding))
    assert read_text(path) == "Grüße\n中\n"
    assert list(read_lines(path)) == [(1, "Grüße"), (2, "中")]


@pytest.mark.parametrize("read", [read_text, lambda path: list(read_lines(path))])
def test_other_encodings_are_errors_that_name_the_byte(read: object, tmp_path: Path) -> None:
    assert callable(read)
    path = tmp_path / "file.txt"
    path.write_bytes("ab\nGrüße".encode("latin-1"))
    with pytest.raises(DataError, match=r"file\.txt is not UTF-8 \(byte 5\)"):  # "ab\nGr" is 5 bytes long
        read(path)
    path.write_bytes("ab\ncd".encode("utf-16-le"))
    with pytest.raises(DataError, match="looks like UTF-16 without a byte order mark"):
        read(path)


def test_phrases_have_single_spaces_and_are_in_nfc(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("  one \t two\n\ne\u0301\n", encoding="utf-8")
    assert read_phrases(str(path), "lexicon") == ["one two", "é"]
    with pytest.raises(ConfigError, match=r"lexicon .*gone\.txt cannot be read: No such file"):
        read_phrases(str(tmp_path / "gone.txt"), "lexicon")


def test_paths_that_lead_to_one_file_are_the_same(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder", target_is_directory=True)
    (tmp_path / "folder" / "a.png").touch()
    (tmp_path / "folder" / "b.png").symlink_to("a.png")
    paths = RealPaths()
    expected = str((tmp_path / "folder" / "a.png").resolve())
    assert {paths.of(tmp_path / name) for name in ("folder/a.png", "link/a.png", "link/b.png", "link/../folder/a.png")} == {
        expected
    }


def test_the_hash_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc")
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, B.1
    assert sha256_of(tmp_path / "file") == expected
