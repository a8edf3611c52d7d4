"""`crnnocr predict` beyond single images: lists of any kind, shards, files that are resumed, constraints, drawings."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from drawn import drawn
from PIL import Image
from typer.testing import Result

RunCli = Callable[..., Result]
RunProcess = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def crops(tmp_path: Path, tiny_data: Path, current_model: str) -> list[Path]:
    """Ten images, some of which the model was trained on, in a folder and one below it."""
    (tmp_path / "crops/below").mkdir(parents=True)
    found = []
    for i, source in enumerate(sorted(tiny_data.glob("*.png"))[:10]):
        found.append(tmp_path / "crops" / ("below" if i > 6 else "") / f"{i}.png")
        shutil.copy(source, found[-1])
    return found


def rows(result: Result) -> list[list[str]]:
    assert result.exit_code == 0, result.stderr
    return [line.split("\t") for line in result.stdout.splitlines()]


def width_of(path: Path) -> int:
    with Image.open(path) as image:
        return image.width


def test_quick_takes_the_first_view(tmp_path: Path, crops: list[Path], run_cli: RunCli) -> None:
    with Image.open(crops[0]) as image:
        image.resize((image.width // 3, image.height)).save(tmp_path / "dense.png")
    found = [
        json.loads(run_cli("predict", tmp_path / "dense.png", "--format", "jsonl", *options).stdout)
        for options in ((), ("--quick",))
    ]
    assert found[0]["confidence"] > found[1]["confidence"]


def test_folders_below_are_read_if_asked_for(crops: list[Path], tmp_path: Path, run_cli: RunCli) -> None:
    flat = rows(run_cli("predict", tmp_path / "crops"))
    deep = rows(run_cli("predict", tmp_path / "crops", "--recursive"))
    assert [name for name, _ in flat] == list(map(str, crops[:7]))
    assert sorted(name for name, _ in deep) == sorted(map(str, crops))


def test_a_folder_with_images_only_below_says_how_to_read_them(crops: list[Path], tmp_path: Path, run_cli: RunCli) -> None:
    (tmp_path / "above").mkdir()
    (tmp_path / "crops").rename(tmp_path / "above/crops")
    assert "--recursive looks into the folders below" in run_cli("predict", tmp_path / "above").stderr


def test_a_list_that_is_given_as_an_image_is_told_how_to_be_given(crops: list[Path], tmp_path: Path, run_cli: RunCli) -> None:
    (tmp_path / "list.txt").write_text(f"{crops[0]}\n", encoding="utf-8")
    result = run_cli("predict", crops[1], tmp_path / "list.txt", "--format", "jsonl")
    assert result.exit_code == 3
    assert "give it with --files-from" in result.stderr
    assert "files-from" not in result.stdout


def test_paths_may_be_separated_by_nul(crops: list[Path], tmp_path: Path, run_cli: RunCli) -> None:
    odd = tmp_path / "two\nlines.png"
    shutil.copy(crops[0], odd)
    listed = b"\0".join(str(path).encode() for path in (crops[0], odd, crops[1])) + b"\0"
    found = rows(run_cli("predict", "--null", stdin=listed))
    assert [name for name, _ in found] == [str(crops[0]), str(odd).replace("\n", "\\n"), str(crops[1])]
    assert found[0][1] == found[1][1]


def test_shards_together_are_the_whole(crops: list[Path], run_cli: RunCli) -> None:
    whole = rows(run_cli("predict", *crops))
    parts = [rows(run_cli("predict", *crops, "--shard", f"{i}/3")) for i in (1, 2, 3)]
    assert parts[0] == whole[0::3]
    assert parts[1] == whole[1::3]
    assert parts[2] == whole[2::3]


@pytest.mark.parametrize("which", ["0/3", "4/3", "1", "a/b", "1/0"])
def test_a_shard_that_is_none_is_refused(which: str, crops: list[Path], run_cli: RunCli) -> None:
    result = run_cli("predict", *crops, "--shard", which)
    assert result.exit_code == 2
    assert f"--shard {which}" in result.stderr


@pytest.mark.parametrize("form", ["text", "tsv", "csv", "jsonl"])
def test_a_file_is_resumed_where_it_was_cut_off(form: str, crops: list[Path], tmp_path: Path, run_cli: RunCli) -> None:
    command = ["predict", *crops, "--format", form, "--output", tmp_path / "rows"]
    assert run_cli(*command).exit_code == 0
    whole = (tmp_path / "rows").read_bytes()
    lines = whole.splitlines(keepends=True)
    assert not list(tmp_path.glob(".rows*"))
    for kept in (0, 1, 4):
        (tmp_path / "rows").unlink()
        (tmp_path / ".rows.part").write_bytes(b"".join(lines[:kept]) + lines[kept][:7])  # a kill in the midst of a row
        result = run_cli(*command, "--resume")
        assert result.exit_code == 0, result.stderr
        assert (tmp_path / "rows").read_bytes() == whole


def test_rows_that_are_there_already_are_not_recognized_again(crops: list[Path], tmp_path: Path, run_cli: RunCli) -> None:
    output = tmp_path / "rows.tsv"
    assert run_cli("predict", *crops[:3], "-f", "tsv", "-o", output).exit_code == 0
    before = output.read_bytes()
    for path in crops[:3]:
        path.write_bytes(b"no longer an image")
    assert run_cli("predict", *crops, "-f", "tsv", "-o", output, "--resume").exit_code == 0
    assert output.read_bytes().startswith(before)
    assert len(output.read_text(encoding="utf-8").splitlines()) == 11


def test_a_new_file_takes_the_place_of_an_old_one_only_when_it_is_whole(
    crops: list[Path], tmp_path: Path, run_cli: RunCli
) -> None:
    output = tmp_path / "rows"
    output.write_text("old.png\told\n")
    assert run_cli("predict", tmp_path / "gone.png", "-o", output).exit_code == 1
    assert run_cli("predict", *crops[:2], "-o", output).exit_code == 0
    assert len(output.read_text(encoding="utf-8").splitlines()) == 2


def test_an_image_that_is_named_twice_has_two_rows_also_when_resumed(
    crops: list[Path], tmp_path: Path, run_cli: RunCli
) -> None:
    twice = [crops[0], crops[1], crops[0], crops[2]]
    assert run_cli("predict", *twice, "-o", tmp_path / "whole").exit_code == 0
    whole = (tmp_path / "whole").read_bytes()
    for kept in range(4):
        (tmp_path / ".rows.part").write_bytes(b"".join(whole.splitlines(keepends=True)[:kept]))
        assert run_cli("predict", *twice, "-o", tmp_path / "rows", "--resume").exit_code == 0
        assert (tmp_path / "rows").read_bytes() == whole
        (tmp_path / "rows").unlink()


@pytest.mark.parametrize(
    ("begun", "resumed"),
    [("text", "jsonl"), ("jsonl", "tsv"), ("tsv", "text"), ("csv", "tsv"), ("tsv", "csv"), ("text", "csv"), ("csv", "text")],
)
def test_rows_of_two_forms_are_not_mixed(begun: str, resumed: str, crops: list[Path], tmp_path: Path, run_cli: RunCli) -> None:
    output = tmp_path / "rows"
    assert run_cli("predict", *crops[:2], "-f", begun, "-o", output).exit_code == 0
    before = output.read_bytes()
    result = run_cli("predict", *crops, "-f", resumed, "-o", output, "--resume")
    assert result.exit_code == 2
    assert f"are not {resumed}" in result.stderr
    assert output.read_bytes() == before


def test_a_part_of_a_list_may_be_empty(crops: list[Path], tmp_path: Path, run_cli: RunCli) -> None:
    result = run_cli("predict", *crops[:2], "--shard", "3/3", "-o", tmp_path / "third")
    assert result.exit_code == 0, result.stderr
    assert (tmp_path / "third").read_bytes() == b""


def _listening() -> None:
    """Heed Ctrl-C also where the tests run in the background, where it is ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


class Piped:
    """`crnnocr predict` with a list on stdin that is still open."""

    def __init__(self, *options: str) -> None:
        command = [sys.executable, "-m", "crnnocr", "predict", "--files-from", "-", *options]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            preexec_fn=_listening if sys.platform != "win32" else None,
        )

    def asks(self, path: Path) -> str:
        """Name an image, and return its row."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(f"{path}\n".encode())
        self.process.stdin.flush()
        return self.process.stdout.readline().decode().partition("\t")[0]

    def ends(self) -> tuple[int, str]:
        """Exit code, and what was said, of the process as it ends by itself while its stdin is open."""
        assert self.process.stderr
        try:
            code = self.process.wait(60)
            return code, self.process.stderr.read().decode()
        finally:
            self.process.kill()
            for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
                if stream:
                    stream.close()


def test_each_path_of_a_slow_pipe_is_answered_before_the_next(crops: list[Path]) -> None:
    piped = Piped()
    assert [piped.asks(path) for path in crops[:3]] == list(map(str, crops[:3]))
    assert piped.process.stdin
    piped.process.stdin.close()
    code, said = piped.ends()
    assert (code, "Traceback" in said) == (0, False), said


@pytest.mark.skipif(sys.platform == "win32", reason="it has no such signals")
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_it_can_be_interrupted_while_it_waits_for_paths(sent: signal.Signals, code: int, crops: list[Path]) -> None:
    piped = Piped()
    piped.asks(crops[0])
    piped.process.send_signal(sent)
    ended, said = piped.ends()
    assert ended in (code, -sent), said
    assert "Fatal" not in said
    assert "Traceback" not in said


def test_a_reader_that_goes_away_ends_it(crops: list[Path]) -> None:
    piped = Piped()
    piped.asks(crops[0])
    assert piped.process.stdin
    assert piped.process.stdout
    piped.process.stdout.close()
    piped.process.stdin.write(f"{crops[1]}\n".encode())
    piped.process.stdin.flush()
    code, said = piped.ends()
    assert code in (0, 141), said
    assert "Fatal" not in said


def test_on_a_cpu_torch_is_never_imported(
    tiny_data: Path, tiny_preset: str, own_registry: Path, run_cli: RunCli, run_process: RunProcess
) -> None:
    assert run_cli("train", tiny_data, "--preset", tiny_preset, "--steps", 3).exit_code == 0
    image = next(tiny_data.glob("*.png"))
    code = (
        "import sys; from crnnocr.inference.recognizer import Recognizer;"
        f"print(len(list(Recognizer.load(device='cpu').predict({str(image)!r}))), 'torch' in sys.modules)"
    )
    result = run_process("-c", code)
    assert result.stdout == "1 False\n", result.stderr


def test_resume_needs_a_file(crops: list[Path], run_cli: RunCli) -> None:
    result = run_cli("predict", *crops, "--resume")
    assert result.exit_code == 2
    assert "name it with --output" in result.stderr


def test_rows_below_a_confidence_are_left_out_and_counted(crops: list[Path], run_cli: RunCli) -> None:
    all_rows = [json.loads(line) for line in run_cli("predict", *crops, "--json").stdout.splitlines()]
    limit = sum(sorted(one["confidence"] for one in all_rows)[4:6]) / 2
    result = run_cli("predict", *crops, "--json", "--min-confidence", limit)
    kept = [json.loads(line) for line in result.stdout.splitlines()]
    assert kept == [one for one in all_rows if one["confidence"] >= limit]
    assert f"{10 - len(kept)} of 10 rows" in result.stderr


def test_only_what_is_permitted_is_read(crops: list[Path], tmp_path: Path, run_cli: RunCli) -> None:
    free = [text for _, text in rows(run_cli("predict", *crops))]
    assert all(set(text) <= set("aeiou") for _, text in rows(run_cli("predict", *crops, "--allow", "aeiou")))
    assert not any("e" in text for _, text in rows(run_cli("predict", *crops, "--block", "e")))
    assert all(len(text) == 3 for _, text in rows(run_cli("predict", *crops, "--pattern", "[a-z]{3}")))
    (tmp_path / "words").write_text("\n".join(dict.fromkeys(free)), encoding="utf-8")
    assert [text for _, text in rows(run_cli("predict", *crops, "--lexicon", tmp_path / "words", "--beam", 20))] == free
    assert rows(run_cli("predict", *crops, "--lm", tmp_path / "words"))


def test_what_cannot_be_is_an_error_of_its_row(crops: list[Path], run_cli: RunCli) -> None:
    result = run_cli("predict", crops[0], "--json", "--pattern", "[a-z]{999}")
    assert result.exit_code == 1
    row = json.loads(result.stdout)
    assert (row["text"], row["confidence"]) == ("", 0)
    assert "no text that is permitted" in row["error"]


def test_characters_and_alternatives_are_given_in_jsonl(crops: list[Path], run_cli: RunCli) -> None:
    row = json.loads(run_cli("predict", crops[0], "--json", "--characters", "--top-k", 3).stdout)
    assert "".join(one["character"] for one in row["characters"]) == row["text"]
    width = width_of(crops[0])
    edges = [(one["start"], one["end"]) for one in row["characters"]]
    assert all(0 <= start < end <= width for start, end in edges)
    assert edges == sorted(edges)
    assert len(row["alternatives"]) == 3
    assert row["alternatives"][0]["text"] == row["text"]


@pytest.mark.parametrize("option", [("--top-k", "2"), ("--characters",)])
def test_what_only_jsonl_can_hold_is_refused_elsewhere(option: tuple[str, ...], crops: list[Path], run_cli: RunCli) -> None:
    result = run_cli("predict", crops[0], *option)
    assert result.exit_code == 2
    assert "--format jsonl" in result.stderr


def test_images_are_drawn_with_their_predictions(crops: list[Path], tmp_path: Path, run_cli: RunCli) -> None:
    assert run_cli("predict", *crops[:2], "--draw", tmp_path / "drawn").exit_code == 0
    (tmp_path / "other").mkdir()
    namesake = shutil.copy(crops[0], tmp_path / "other")
    assert run_cli("predict", namesake, "--draw", tmp_path / "drawn").exit_code == 0
    first, other, second = sorted((tmp_path / "drawn").iterdir(), key=lambda path: path.name[0])
    assert (first.name[:2], other.name[:2], second.name[:2]) == ("0-", "0-", "1-")
    assert width_of(first) >= width_of(crops[0])


def test_the_engines_read_the_same(
    tiny_data: Path, tiny_preset: str, tmp_path: Path, own_registry: Path, run_cli: RunCli
) -> None:
    assert run_cli("train", tiny_data, "--preset", tiny_preset, "--steps", 30).exit_code == 0
    texts = {}
    for engine in ("torch", "onnxruntime", "auto"):
        result = run_cli("predict", tiny_data, "--engine", engine)
        assert result.exit_code == 0, result.stderr
        assert ("torch on cpu" if engine == "torch" else "onnxruntime") in result.stderr
        texts[engine] = result.stdout
    assert texts["auto"] == texts["onnxruntime"]
    same = [one == other for one, other in zip(texts["torch"].splitlines(), texts["auto"].splitlines(), strict=True)]
    assert sum(same) >= 0.9 * len(same), "bytes in the convolutions may change a letter, but not more"


def test_a_list_in_another_form_than_its_option_says_is_an_error(crops: list[Path], run_cli: RunCli) -> None:
    listed = b"\0".join(str(path).encode() for path in crops)
    result = run_cli("predict", stdin=listed)
    assert result.exit_code == 2
    assert "give --null" in result.stderr


def test_a_byte_order_mark_before_a_list_is_no_part_of_a_path(crops: list[Path], run_cli: RunCli) -> None:
    (found,) = rows(run_cli("predict", stdin=b"\xef\xbb\xbf" + str(crops[0]).encode() + b"\r\n"))
    assert found[0] == str(crops[0])


@pytest.mark.skipif(sys.platform == "win32", reason="it has no such files")
def test_a_pipe_is_written_to_and_not_replaced(crops: list[Path], tmp_path: Path, run_cli: RunCli) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE, text=True) as reader:
        assert run_cli("predict", *crops[:3], "--output", pipe).exit_code == 0
        text, _ = reader.communicate(timeout=60)
    assert [line.split("\t")[0] for line in text.splitlines()] == list(map(str, crops[:3]))
    assert pipe.is_fifo()
    assert "pipe is not one" in run_cli("predict", *crops[:3], "--output", pipe, "--resume").stderr


def test_what_a_link_leads_to_is_replaced(crops: list[Path], tmp_path: Path, run_cli: RunCli) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/rows").write_text("old.png\told\n")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere/rows")
    assert run_cli("predict", *crops[:3], "--output", tmp_path / "link").exit_code == 0
    assert (tmp_path / "link").is_symlink()
    assert len((tmp_path / "elsewhere/rows").read_text(encoding="utf-8").splitlines()) == 3


def test_a_file_is_not_named_as_what_it_would_not_be(crops: list[Path], tmp_path: Path, run_cli: RunCli) -> None:
    result = run_cli("predict", crops[0], "--output", tmp_path / "rows.json")
    assert (result.exit_code, (tmp_path / "rows.json").exists()) == (2, False)
    assert run_cli("predict", crops[0], "--output", tmp_path / "rows.json", "--format", "jsonl").exit_code == 0


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.tsv", "rows.csv"])
def test_what_could_not_be_read_before_still_counts(name: str, crops: list[Path], tmp_path: Path, run_cli: RunCli) -> None:
    crops[1].write_bytes(b"no image")
    first = run_cli("predict", *crops[:3], "--output", tmp_path / name)
    assert first.exit_code == 3
    again = run_cli("predict", *crops, "--output", tmp_path / name, "--resume")
    assert again.exit_code == 3
    assert "1 of 10 images could not be read" in again.stderr


def test_a_file_has_the_form_that_it_is_named_after(crops: list[Path], tmp_path: Path, run_cli: RunCli) -> None:
    assert run_cli("predict", *crops, "--output", tmp_path / "rows.jsonl").exit_code == 0
    first, *_ = (tmp_path / "rows.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(first)["path"] == str(crops[0])
    assert run_cli("predict", *crops, "--output", tmp_path / "rows.tsv", "--format", "text").exit_code == 0
    first, *_ = (tmp_path / "rows.tsv").read_text(encoding="utf-8").splitlines()
    assert first.split("\t")[0] == str(crops[0])


def test_an_image_that_no_text_fits_is_distinguished_from_one_that_cannot_be_read(crops: list[Path], run_cli: RunCli) -> None:
    result = run_cli("predict", crops[0], "--pattern", ".{900}")
    assert result.exit_code == 1
    assert "no text that is permitted fits" in result.stderr


def test_an_image_of_several_lines_is_reported(current_model: str, tmp_path: Path, run_cli: RunCli) -> None:
    drawn("12:30", "14:45").save(tmp_path / "two.png")
    drawn("12:30").save(tmp_path / "one.png")
    result = run_cli("predict", tmp_path / "one.png", tmp_path / "two.png", "--json")
    one, two = map(json.loads, result.stdout.splitlines())
    assert result.exit_code == 0
    assert "warning" not in one
    assert two["warning"] == "several-lines"
    assert result.stderr.count("two.png") == 1
    assert "one.png" not in result.stderr
    left = run_cli("predict", tmp_path / "two.png", "--json", "--min-confidence", "0.2")
    assert left.stdout == ""
