"""`crnnocr eval` on the command line: its outputs, its gate, and comparisons."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import Result
from PIL import Image

from crnnocr.cli.options import Setup, parse_compare
from crnnocr.config import DecodeConfig, EngineChoice, EngineConfig, ReadConfig
from crnnocr.errors import CrnnocrError, UsageError

RunCli = Callable[..., Result]

pytestmark = pytest.mark.usefixtures("current_model")


def test_scores_have_intervals_and_name_the_normalization(tiny_data: Path, run_cli: RunCli) -> None:
    result = run_cli("eval", tiny_data, "--normalise", "case", "--normalise", "spaces,quotes")
    assert result.exit_code == 0
    assert re.search(r"character error rate \(CER\) .* [\d.]+% .* [\d.]+% – [\d.]+%", result.stdout)
    assert "compared as: NFC, quotes and dashes alike, without case, without spaces" in result.stdout
    for part in (
        "letters",
        "characters in the label",
        "most frequent edits: ",
        "expected calibration error",
        "least confident",
        "images per second",
    ):
        assert part in result.stdout


def test_a_missed_gate_exits_with_4_after_everything_is_written(tiny_data: Path, run_cli: RunCli, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    missed = run_cli("eval", tiny_data, "--max-cer", 0.05, "--json", "--report", page)
    assert missed.exit_code == 4
    assert json.loads(missed.stdout)["cer"] > 0.05
    assert "is above --max-cer 5.00%" in missed.stderr
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert "is above --max-cer 2.50%" in run_cli("eval", tiny_data, "--max-cer", "2.5%").stderr
    for enough in (1, "100 %"):
        assert run_cli("eval", tiny_data, "--max-cer", enough).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--json", "--tsv"), "give --json or --tsv, not both"),
        *(
            (("--max-cer", share), "--max-cer takes a share from 0 to 1")
            for share in ("-1", "-1%", "nan", "inf", "five", "", "%", "500%", "5%%")
        ),
        (("--max-cer", 5), "--max-cer takes a share from 0 to 1 or a percentage such as 5%, not 5"),
        (
            ("--normalise", "kase"),
            "--normalise takes one or more of nfc, nfkc, case, spaces, quotes, with commas between, not kase",
        ),
        (("--normalise", ""), "--normalise is empty: name one or more of nfc,"),
        (("--normalise", "case", "--normalise", ","), "--normalise is empty"),
        (("--report", "report.txt"), "--report report.txt is a page for browsers: call it report.html"),
        (("--report", "nosuch/x.html"), "--report nosuch/x.html: there is no folder nosuch"),
        (("--suspect-labels", "nodir/x.csv"), "--suspect-labels nodir/x.csv: there is no folder nodir"),
        (("--suspect-labels", "suspects.xls"), "its ending selects the format: .csv, .tsv, .jsonl, .json"),
        (("--compare", "--bean 10"), "unrecognized arguments: --bean: name a model, or in quotes options"),
        (("--compare", "'"), "No closing quotation"),
        (("--compare", ""), "--compare is empty: name a model"),
        (("--compare", "''"), "--compare is empty: name a model"),
        (("--suspect-labels", "metadata.csv"), "call it otherwise, such as suspects.csv"),
        (("--report", "one.csv", "--suspect-labels", "./one.csv"), "are both one.csv: name two files"),
        (("--report", "."), "--report . is a folder: name a file"),
    ],
)
def test_usage_errors_are_found_before_any_image_is_read(
    arguments: tuple[object, ...], message: str, tiny_data: Path, run_cli: RunCli
) -> None:
    result = run_cli("eval", tiny_data, *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr
    assert "labeled images" not in result.stderr


@pytest.fixture
def own_data(tiny_data: Path, tmp_path: Path) -> Path:
    """A writable folder of ten images that the model was not trained on, with their labels."""
    data = tmp_path / "own"
    data.mkdir()
    names = [f"{i:06d}.png" for i in range(20, 30)]
    for name in names:
        shutil.copy(tiny_data / name, data / name)
    rows = (tiny_data / "metadata.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    (data / "labels.jsonl").write_text("".join(rows[20:30]), encoding="utf-8")
    return data


@pytest.mark.parametrize("option", ["--report", "--suspect-labels"])
def test_other_files_are_not_replaced(option: str, own_data: Path, run_cli: RunCli, own_registry: Path) -> None:
    (own_data / "foreign.csv").write_text("of someone else")
    (own_data / "linked.csv").symlink_to(own_data / "000020.png")
    weights = own_registry / "models" / "tiny" / "model.safetensors"
    there = [own_data / "labels.jsonl", own_data / "foreign.csv", own_data / "linked.csv"]
    there += [own_data / "000020.png", weights] if option == "--report" else []
    before = [path.read_bytes() for path in there]
    for path in there:
        result = run_cli("eval", own_data / "labels.jsonl", option, path)
        assert (result.exit_code, result.stdout) == (2, "")
        assert f"{option} {path} is there already" in result.stderr
        assert "labeled images" not in result.stderr
    assert [path.read_bytes() for path in there] == before


def test_a_page_is_replaced_and_a_list_of_label_errors_is_not(own_data: Path, run_cli: RunCli) -> None:
    suspects, page = own_data / "suspects.csv", own_data / "report.html"
    page.touch()
    assert run_cli("eval", own_data / "labels.jsonl", "--suspect-labels", suspects, "--report", page).exit_code == 0
    first, listed = page.read_bytes(), suspects.read_bytes()
    assert run_cli("eval", own_data / "labels.jsonl", "--normalise", "case", "--report", page).exit_code == 0
    assert page.read_bytes() != first
    assert run_cli("eval", own_data / "labels.jsonl", "--suspect-labels", suspects).exit_code == 2
    assert run_cli("eval", suspects, "--suspect-labels", suspects).exit_code == 2
    assert suspects.read_bytes() == listed


def test_an_output_that_cannot_be_written_is_found_before_any_image_is_read(own_data: Path, run_cli: RunCli) -> None:
    result = run_cli("eval", own_data / "labels.jsonl", "--report", own_data / "labels.jsonl" / "report.html")
    assert result.exit_code == 1
    assert "cannot write" in result.stderr
    assert "labeled images" not in result.stderr


def test_the_result_is_printed_even_if_a_file_cannot_be_written(
    own_data: Path, run_cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> None:
        raise CrnnocrError("the disk is full")

    monkeypatch.setattr("crnnocr.report.label_error_files.write", fail)
    result = run_cli("eval", own_data / "labels.jsonl", "--suspect-labels", own_data / "suspects.csv", "--json")
    assert (result.exit_code, json.loads(result.stdout)["n"]) == (1, 10)
    assert "the disk is full" in result.stderr


def test_an_image_gives_one_warning_however_often_it_is_read(own_data: Path, run_cli: RunCli) -> None:
    with Image.open(own_data / "000020.png") as image:
        image.save(own_data / "pages.tiff", save_all=True, append_images=[image])
    with (own_data / "labels.jsonl").open("a") as labels:
        labels.write('{"file_name": "pages.tiff", "text": "zzz"}\n')
    files = ("--report", own_data / "report.html", "--suspect-labels", own_data / "suspects.csv")
    result = run_cli("eval", own_data / "labels.jsonl", "--compare", "--beam 4", *files)
    assert result.exit_code == 0
    assert result.stderr.count("pages.tiff") == 1


def test_every_model_whose_training_data_is_left_out_is_named(
    tiny_data: Path, tiny_model: Path, run_cli: RunCli, tmp_path: Path
) -> None:
    shutil.copy(tiny_model, tmp_path / "good.safetensors")
    result = run_cli("eval", tiny_data, "--compare", tmp_path / "good.safetensors")
    assert "scored: the 32 held-out images; 8 that tiny or good was trained on are left out (--all)" in result.stderr
    alone = tmp_path / "alone"
    alone.mkdir()
    shutil.copy(tiny_data / "000000.png", alone / "x.png")
    (alone / "x.gt.txt").write_text("x")
    result = run_cli("eval", alone, "--compare", tmp_path / "good.safetensors")
    assert f"tiny or good was trained on all of {alone} (1 image)" in result.stderr
    assert "score them with --all" in result.stderr


def test_markup_in_a_folder_name_stays_text(own_data: Path, run_cli: RunCli) -> None:
    folder = own_data / ":dog: [red]"
    folder.mkdir()
    shutil.move(own_data / "000020.png", folder / "a.png")
    labels = (own_data / "labels.jsonl").read_text(encoding="utf-8")
    (own_data / "labels.jsonl").write_text(labels.replace("000020.png", f"{folder.name}/a.png"), encoding="utf-8")
    result = run_cli("eval", own_data / "labels.jsonl", "--suspect-labels", folder / "suspects.csv")
    assert ":dog: [red]" in result.stdout
    assert f"{folder}/suspects.csv will be a list to look at, and no data set: its place is not above" in result.stderr


def test_tsv_has_a_row_for_each_image(tiny_data: Path, run_cli: RunCli) -> None:
    result = run_cli("eval", tiny_data, "--all", "--tsv")
    header, *lines = result.stdout.splitlines()
    assert header.split("\t")[:5] == ["path", "truth", "reading", "confidence", "edits"]
    assert len(lines) == 40
    assert "character error rate (CER)" in result.stderr


def test_each_of_several_data_sets_is_a_source(tiny_data: Path, run_cli: RunCli) -> None:
    real = Path(__file__).parent / "data" / "real"
    found = json.loads(run_cli("eval", tiny_data, real, "--json").stdout)
    assert [(group["name"], group["n"]) for group in found["by_source"]] == sorted([(str(tiny_data), 32), (str(real), 32)])
    assert found["n"] == 64


def test_suspected_label_errors_are_listed(tiny_data: Path, run_cli: RunCli, tmp_path: Path) -> None:
    result = run_cli("eval", tiny_data, "--suspect-labels", tmp_path / "suspects.jsonl")
    assert result.exit_code == 0
    rows = [json.loads(line) for line in (tmp_path / "suspects.jsonl").read_text(encoding="utf-8").splitlines()]
    assert rows
    assert all((tmp_path / row["file_name"]).is_file() for row in rows)
    assert [row["doubt"] for row in rows] == sorted((row["doubt"] for row in rows), reverse=True)
    assert f"{len(rows)} labels that differ from their prediction" in result.stderr


@pytest.mark.parametrize("export", ["json", "json-min", "csv"])
def test_labels_corrected_in_label_studio_are_those_that_are_read(
    export: str, tiny_data: Path, run_cli: RunCli, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(tiny_data, tmp_path / "crops"))
    assert run_cli("eval", folder, "--all", "--suspect-labels", folder / "suspects.json").exit_code == 0
    tasks = json.loads((folder / "suspects.json").read_text(encoding="utf-8"))
    for number, task in enumerate(tasks):  # an annotator submits another text
        area = {**task["annotations"][0]["result"][0], "id": "x", "value": {"text": [f"corrected {number}"]}}
        task["annotations"] = [{"id": number, "was_cancelled": False, "result": [area], "updated_at": "2026-01-02T03:04:05Z"}]
    more = {"annotator": 1, "annotation_id": 2, "lead_time": 1.5}
    flat = [{**task["data"], "id": n, "transcription": f"corrected {n}", **more} for n, task in enumerate(tasks)]
    corrected = folder / f"project-1.{export.partition('-')[0]}"
    with corrected.open("w", encoding="utf-8", newline="") as file:
        if export == "csv":
            writer = csv.DictWriter(file, sorted(flat[0]))
            writer.writeheader()
            writer.writerows(flat)
        else:
            json.dump(tasks if export == "json" else flat, file)
    result = run_cli("eval", corrected, folder, "--all", "--tsv", "--verbose")
    assert result.exit_code == 0, result.stderr
    read = {Path(row.split("\t")[0]).name: row.split("\t")[1] for row in result.stdout.splitlines()[1:]}
    assert len(read) == 40
    for number, task in enumerate(tasks):
        assert read[Path(task["data"]["file_name"]).name] == f"corrected {number}"


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names of files are Unicode there")
def test_file_names_that_are_not_utf_8_work_everywhere(tiny_data: Path, run_cli: RunCli, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for i, name in enumerate((b"\xff\xfe", b"<b>&amp;")):
        image = data / os.fsdecode(name + b".png")
        shutil.copy(tiny_data / f"{i + 20:06d}.png", image)
        image.with_suffix(".gt.txt").write_text("</script>")
    files = ("--suspect-labels", tmp_path / "suspects.jsonl", "--report", tmp_path / "report.html")
    result = run_cli("eval", data, "--compare", "--beam 4", *files)
    assert result.exit_code == 0
    assert b"\xff\xfe.png\t" in run_cli("eval", data, "--tsv").stdout_bytes
    assert json.loads(run_cli("eval", data, "--json").stdout)["n"] == 2
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "\\\\xff\\\\xfe.png" in page
    assert "<b>&amp;" not in page
    assert page.count("</script>") == 2


def test_decoders_are_compared(tiny_data: Path, run_cli: RunCli, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    result = run_cli("eval", tiny_data, "--compare", "--beam 10", "--json", "--report", page)
    found = json.loads(result.stdout)["compare"]
    assert (found["first"], found["second"], found["n"]) == ("tiny", "tiny --beam 10", 32)
    assert 0 <= found["differences"]["cer"]["first_better"] <= 1
    assert "Compared with" in page.read_text(encoding="utf-8")
    missing = run_cli("eval", tiny_data, "--compare", "--lexicon nowhere.txt")
    assert missing.exit_code == 2  # the second system's options are checked, too


def test_a_model_can_be_compared_with_itself(tiny_data: Path, run_cli: RunCli) -> None:
    result = run_cli("eval", tiny_data, "--compare", "tiny")
    assert result.exit_code == 0
    assert "both predict the same text for every image" in result.stdout


def test_the_second_system_is_named_by_its_options(tiny_data: Path, run_cli: RunCli) -> None:
    result = run_cli("eval", tiny_data, "--compare", "--beam 4 --engine torch")
    assert re.search(r"^first model: tiny \(the current one\), by ", result.stderr, re.MULTILINE)
    assert "second model: tiny (the current one) --beam 4 --engine torch, by torch" in result.stderr


def test_the_second_system_takes_the_other_options_from_the_first() -> None:
    first = Setup("mine", EngineConfig(device="cpu"), DecodeConfig(beam=3, allow="abc"), ReadConfig())
    found = parse_compare("other --beam 10 --engine torch", first)
    assert (found.model, found.engine) == ("other", EngineConfig(device="cpu", engine=EngineChoice.TORCH))
    assert (found.decode.beam, found.decode.allow) == (10, "abc")
    assert found.name("other") == "other --beam 10 --engine torch"
    assert parse_compare("--beam 4 other", first).name("other") == "other --beam 4"
    assert parse_compare("--pattern '[A-Z] x'", first).name("mine") == "mine --pattern '[A-Z] x'"
    assert parse_compare("--pattern '[A-Z] x'", first).decode.pattern == "[A-Z] x"
    assert parse_compare("--quick", first).read.quick
    assert not parse_compare("--no-quick", replace(first, read=ReadConfig(quick=True))).read.quick
    assert (parse_compare("--quick", first).name("mine"), parse_compare("--no-quick", first).name("mine")) == (
        "mine --quick",
        "mine --no-quick",
    )
    assert parse_compare("'a model.onnx'", first).model == "a model.onnx"
    with pytest.raises(UsageError):
        parse_compare("--beam x", first)
