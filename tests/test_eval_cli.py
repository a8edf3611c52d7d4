"""`crnnocr eval` on the command line: its outputs, its gate, and comparing."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from crnnocr.cli.comparing import Wanted, other
from crnnocr.config import DecodeConfig, EngineChoice, ReadConfig
from crnnocr.errors import UsageError

RunCli = Callable[..., Result]

pytestmark = pytest.mark.usefixtures("current_model")


def test_the_scores_come_with_intervals_and_say_what_was_compared(tiny_data: Path, run_cli: RunCli) -> None:
    result = run_cli("eval", tiny_data, "--normalise", "case", "--normalise", "spaces,quotes")
    assert result.exit_code == 0
    assert re.search(r"character error rate \(CER\) .* [\d.]+% .* [\d.]+% – [\d.]+%", result.stdout)
    assert "compared as: NFC, quotes and dashes alike, without case, without spaces" in result.stdout
    for said in (
        "letters",
        "characters in the label",
        "often: ",
        "expected calibration error",
        "least sure",
        "pictures a second",
    ):
        assert said in result.stdout


def test_a_gate_that_is_missed_ends_with_4_after_all_is_written(tiny_data: Path, run_cli: RunCli, tmp_path: Path) -> None:
    page = tmp_path / "new" / "report.html"
    missed = run_cli("eval", tiny_data, "--max-cer", 0.05, "--json", "--report", page)
    assert missed.exit_code == 4
    assert json.loads(missed.stdout)["cer"] > 0.05
    assert "is above --max-cer 5.00%" in missed.stderr
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert run_cli("eval", tiny_data, "--max-cer", 5).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--json", "--tsv"), "give --json or --tsv, not both"),
        (("--max-cer", -1), "--max-cer takes a share"),
        (("--normalise", "kase"), "--normalise kase: choose of nfc, nfkc, case, spaces, quotes"),
        (("--suspect-labels", "doubts.xls"), "its ending says the form: .csv, .tsv, .jsonl, .json"),
        (("--compare", "--bean 10"), "unrecognized arguments: --bean: name a model, or in quotes options"),
        (("--compare", "'"), "No closing quotation"),
    ],
)
def test_what_cannot_work_is_said_before_anything_is_read(
    arguments: tuple[object, ...], said: str, tiny_data: Path, run_cli: RunCli
) -> None:
    result = run_cli("eval", tiny_data, *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr
    assert "labelled pictures" not in result.stderr


def test_a_row_for_each_picture(tiny_data: Path, run_cli: RunCli) -> None:
    result = run_cli("eval", tiny_data, "--all", "--tsv")
    header, *lines = result.stdout.splitlines()
    assert header.split("\t")[:5] == ["path", "truth", "reading", "confidence", "edits"]
    assert len(lines) == 40
    assert "character error rate (CER)" in result.stderr


def test_of_several_data_sets_each_is_a_source(tiny_data: Path, run_cli: RunCli) -> None:
    real = Path(__file__).parent / "data" / "real"
    found = json.loads(run_cli("eval", tiny_data, real, "--json").stdout)
    assert [(group["name"], group["n"]) for group in found["by_source"]] == sorted([(str(tiny_data), 32), (str(real), 32)])
    assert found["n"] == 64


def test_the_labels_that_are_doubted_are_listed(tiny_data: Path, run_cli: RunCli, tmp_path: Path) -> None:
    result = run_cli("eval", tiny_data, "--suspect-labels", tmp_path / "doubts.jsonl")
    assert result.exit_code == 0
    rows = [json.loads(line) for line in (tmp_path / "doubts.jsonl").read_text(encoding="utf-8").splitlines()]
    assert rows
    assert all((tmp_path / row["file_name"]).is_file() for row in rows)
    assert [row["doubt"] for row in rows] == sorted((row["doubt"] for row in rows), reverse=True)
    assert f"{len(rows)} labels that were read otherwise" in result.stderr


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names of files are Unicode there")
def test_names_that_are_not_utf_8_come_through_everywhere(tiny_data: Path, run_cli: RunCli, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for i, name in enumerate((b"\xff\xfe", b"<b>&amp;")):
        picture = data / os.fsdecode(name + b".png")
        shutil.copy(tiny_data / f"{i + 20:06d}.png", picture)
        picture.with_suffix(".gt.txt").write_text("</script>")
    files = ("--suspect-labels", tmp_path / "doubts.jsonl", "--report", tmp_path / "report.html")
    shown = run_cli("eval", data, "--compare", "--beam 4", *files)
    assert shown.exit_code == 0
    assert b"\xff\xfe.png\t" in run_cli("eval", data, "--tsv").stdout_bytes
    assert json.loads(run_cli("eval", data, "--json").stdout)["n"] == 2
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "\\\\xff\\\\xfe.png" in page
    assert "<b>&amp;" not in page
    assert page.count("</script>") == 2


def test_a_decoder_is_compared_with_another(tiny_data: Path, run_cli: RunCli, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    result = run_cli("eval", tiny_data, "--compare", "--beam 10", "--json", "--report", page)
    found = json.loads(result.stdout)["compare"]
    assert (found["first"], found["second"], found["n"]) == ("tiny", "tiny --beam 10", 32)
    assert 0 <= found["differences"]["cer"]["first_better"] <= 1
    assert "Compared with" in page.read_text(encoding="utf-8")
    shown = run_cli("eval", tiny_data, "--compare", "--lexicon nowhere.txt")
    assert shown.exit_code == 2  # what the other one cannot work with is said, too


def test_a_reader_is_compared_with_itself(tiny_data: Path, run_cli: RunCli) -> None:
    result = run_cli("eval", tiny_data, "--compare", "tiny")
    assert result.exit_code == 0
    assert "both read the same in all pictures" in result.stdout


def test_another_reader_has_what_is_not_said_from_the_first() -> None:
    first = Wanted("mine", "cpu", EngineChoice.AUTO, DecodeConfig(beam=3, allow="abc"), ReadConfig())
    found = other("other --beam 10 --engine torch", first)
    assert (found.model, found.device, found.engine) == ("other", "cpu", EngineChoice.TORCH)
    assert (found.decode.beam, found.decode.allow) == (10, "abc")
    assert found.name("other") == "other --beam 10 --engine torch"
    assert other("--pattern '[A-Z] x'", first).decode.pattern == "[A-Z] x"
    assert other("'a model.onnx'", first).model == "a model.onnx"
    with pytest.raises(UsageError):
        other("--beam x", first)
