"""The command `synth`: previews, dry runs, summaries and options."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from synthetic_sets import LINES, contents, lines_of, made, records
from typer.testing import Result

from crnnocr.config import Orientation, SynthConfig
from crnnocr.synth import fonts, trdg
from crnnocr.synth.dataset.preview import contact_sheet
from crnnocr.synth.dataset.summary import Histogram
from crnnocr.synth.sampler import Sampler

RunCli = Callable[..., Result]
RunProcess = Callable[..., subprocess.CompletedProcess[str]]


def test_a_preview_is_one_image_and_nothing_else(tmp_path: Path, plain_options: list[str], run_cli: RunCli) -> None:
    sheet = tmp_path / "sheet.png"
    result = run_cli("synth", tmp_path / "data", "--preview", sheet, "--json", *plain_options)
    assert json.loads(result.stdout) == {"preview": str(sheet), "samples": 60}
    assert [path.name for path in tmp_path.iterdir()] == ["sheet.png"]
    with Image.open(sheet) as image:
        assert (image.format, image.mode) == ("PNG", "RGB")
    assert run_cli("synth", "--preview", tmp_path / "sheet.jpg").exit_code == 2


@pytest.mark.parametrize("orientation", [Orientation.HORIZONTAL, Orientation.VERTICAL])
def test_a_sheet_shows_every_image_whole(orientation: Orientation, plain_synth: SynthConfig) -> None:
    sampler = Sampler(replace(plain_synth, orientation=orientation))
    sheet = np.asarray(contact_sheet(sampler, 7).convert("L"))
    for index in range(7):
        image = sampler.render(index).image.convert("L")
        assert contains(sheet, np.asarray(image.resize((2 * image.width, 2 * image.height), Image.Resampling.NEAREST)))


def contains(
    sheet: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], part: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
) -> bool:
    """Whether `part` is somewhere in `sheet`, pixel for pixel."""
    height, width = part.shape
    fitting = sheet[: sheet.shape[0] - height + 1, : sheet.shape[1] - width + 1] == part[0, 0]
    fitting &= sheet[height - 1 :, width - 1 :] == part[-1, -1]
    return any(np.array_equal(sheet[y : y + height, x : x + width], part) for y, x in np.argwhere(fitting))


def test_a_dry_run_estimates_and_writes_nothing(tmp_path: Path, plain_options: list[str], run_cli: RunCli) -> None:
    result = run_cli("synth", tmp_path / "data", "--count", 500, "--dry-run", *plain_options)
    assert (result.exit_code, result.stderr) == (0, "")
    assert "500 images would be made, 0 are there" in result.stdout
    assert "fonts: 2 files, 2 faces of 2 families: Open Sans, Roboto" in result.stdout
    estimate = json.loads(run_cli("synth", tmp_path / "data", "--count", 500, "--dry-run", "--json", *plain_options).stdout)
    assert (estimate["count"], estimate["there"], estimate["fonts"], len(estimate["texts"])) == (500, 0, 2, 12)
    assert set(estimate["texts"]) <= set(LINES)
    assert estimate["seconds"] > 0
    assert not list(tmp_path.iterdir())


def test_a_dry_run_knows_what_is_there_and_refuses_what_would_fail(
    tmp_path: Path, plain_synth: SynthConfig, plain_options: list[str], run_cli: RunCli
) -> None:
    made(tmp_path / "data", 3, plain_synth)
    before = contents(tmp_path / "data")
    estimate = json.loads(run_cli("synth", tmp_path / "data", "--count", 20, "--dry-run", "--json", *plain_options).stdout)
    size = sum(len(data) for name, data in before.items() if name.endswith(".png")) / 3
    assert estimate["there"] == 3
    assert 20 * size / 3 < estimate["bytes"] < 20 * size * 3
    refused = run_cli("synth", tmp_path / "data", "--seed", 1, "--dry-run", *plain_options)
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "--seed 0, not 1" in refused.stderr
    assert contents(tmp_path / "data") == before


def test_the_summary_counts_the_characters_of_the_whole_set(tmp_path: Path, plain_options: list[str], run_cli: RunCli) -> None:
    run_cli("synth", tmp_path / "data", "--count", 10, *plain_options)
    result = run_cli("synth", tmp_path / "data", "--count", 30, "--json", *plain_options)
    summary = json.loads(result.stdout)
    texts = [text for _, text in records(tmp_path / "data")]
    plural = {character: count for character, count in summary["characters"].items() if count}
    assert plural == {character: "".join(texts).count(character) for character in set("".join(texts))}
    assert (summary["count"], summary["drawn"], summary["fonts"]) == (30, 20, 2)
    assert summary["mean_length"] == round(sum(map(len, texts)) / 30, 2)
    assert summary["bytes"] == sum(path.stat().st_size for path in tmp_path.glob("data/*.png"))
    assert "30 images, 20 of them made in" in result.stderr
    assert "all there already" in run_cli("synth", tmp_path / "data", "--count", 30, *plain_options).stderr


def test_fonts_that_draw_no_text_are_not_counted(tmp_path: Path, plain_synth: SynthConfig, run_cli: RunCli) -> None:
    greek = lines_of(tmp_path / "greek.txt", "άλφα", "βήτα")
    shutil.copytree(str(plain_synth.fonts), tmp_path / "fonts")
    latin = next(path for path in trdg.font_files("en") if not fonts.load(path).draws("άλφα"))
    shutil.copy(latin, tmp_path / "fonts")
    typed = (
        "synth",
        tmp_path / "data",
        "--count",
        3,
        "--style",
        "clean",
        "--text",
        greek,
        "--fonts",
        tmp_path / "fonts",
        "--json",
    )
    estimate = json.loads(run_cli(*typed, "--dry-run").stdout)
    assert (estimate["fonts"], estimate["faces"], estimate["families"]) == (2, 2, ["Open Sans", "Roboto"])
    assert json.loads(run_cli(*typed).stdout)["fonts"] == 2


def test_the_help_of_force_says_that_it_replaces_a_set(run_cli: RunCli) -> None:
    assert "a set of other options in it is replaced" in " ".join(run_cli("synth", "--help").stdout.replace("│", " ").split())


def test_a_histogram_lists_rare_characters() -> None:
    histogram = Histogram.of(iter(["aab 1", "é!a"] * 5), charset="abcx\u0301")
    assert histogram.mean_length == 4
    assert histogram.counts == {"a": 15, " ": 5, "!": 5, "1": 5, "b": 5, "é": 5, "c": 0, "x": 0, "\u0301": 0}
    assert histogram.lines(whole=False) == [
        "9 characters in the charset: letters 62.5%, spaces 12.5%, punctuation 12.5%, digits 12.5%, marks 0.0%",
        "rarest: '◌\u0301' ×0, 'x' ×0, 'c' ×0, 'é' ×5, 'b' ×5, '1' ×5, '!' ×5, space ×5, 'a' ×15",
        "8 of them occur fewer than 10 times",
    ]
    assert "occur" not in str(Histogram.of(["abc"] * 10, charset="abc").lines(whole=False))


def test_options_are_parsed_as_typed(tmp_path: Path, run_cli: RunCli) -> None:
    characters = tmp_path / "characters.txt"
    characters.write_text("\ufeffab c\r\nß\n", encoding="utf-8")
    typed = ("--lang", "en, de", "--lang", "fr,en", "--words", "2", "--chars", "4-12", "--charset", characters)
    stderr = run_cli("synth", tmp_path / "data", "--count", 0, "--verbose", *typed).stderr
    assert "lang=('en', 'de', 'fr')" in stderr
    assert "words=(2, 2), chars=(4, 12)" in stderr
    assert "charset='ab cß'" in stderr
    assert "charset='xyz'" in run_cli("synth", tmp_path / "data", "--count", 0, "--verbose", "--charset", "xyz").stderr
