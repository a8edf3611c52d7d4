"""What an evaluation gives to people and to other programs: the page, rows, JSON, and files of doubtful labels."""

from __future__ import annotations

import csv
import json
import os
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from columns import recognizer_of_columns
from evaluations import HOSTILE, evidence_of, outcome, plain, result_of
from PIL import Image

from crnnocr.config import DecodeConfig, ReadConfig
from crnnocr.datasets import Sample
from crnnocr.datasets.detection import load_dataset, load_datasets
from crnnocr.errors import DataError, UsageError
from crnnocr.evaluation.comparison import compare
from crnnocr.evaluation.evaluate import Evaluation
from crnnocr.evaluation.label_errors import suspects
from crnnocr.evaluation.outcomes import Reader, read_samples, score
from crnnocr.images import View
from crnnocr.inference.recognizer import Prediction, Recognizer
from crnnocr.report import json as rows
from crnnocr.report import json as values
from crnnocr.report import label_error_files, terminal
from crnnocr.report.html import page
from crnnocr.report.samples import heatmap, rows_of
from crnnocr.text.normalization import Normalization


@pytest.fixture
def recognizer() -> Recognizer:
    return recognizer_of_columns()


@pytest.fixture
def reader(recognizer: Recognizer) -> Reader:
    return Reader("columns", recognizer, recognizer.decoder(DecodeConfig()))


def draw(path: Path, text: str) -> None:
    """A picture that is read as `text`."""
    pixels = np.full((8, 8 * len(text) + 8), 255, np.uint8)
    for i, character in enumerate(text):
        pixels[:, 8 * i + 4 : 8 * i + 8] = 0 if character == "a" else 100
    Image.fromarray(pixels).save(path, "PNG")


class Tags(HTMLParser):
    """Every tag of a page with its attributes, and its text outside of scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[str] = []
        self.data: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]

    def handle_data(self, data: str) -> None:
        if self.tags[-1:] not in (["script"], ["style"]):
            self.data.append(data)


# The page


def test_hostile_labels_readings_and_names_are_text_and_never_markup() -> None:
    names = [f"{HOSTILE}.png", os.fsdecode(b"\xff\xfe.png")]
    outcomes = [outcome(f"a{HOSTILE}", f"b{HOSTILE}", name=name) for name in names]
    sources = {each.sample: HOSTILE + str(i) for i, each in enumerate(outcomes)}
    hostile = page(evidence_of(result_of(outcomes), sources=sources, unknown=[HOSTILE]), plain(outcomes))
    mild = [outcome("ab", "bb"), outcome("ab", "bb", name="y.png")]
    tame = page(evidence_of(result_of(mild), sources={mild[0].sample: "part"}, unknown=["x"]), plain(mild))
    assert set(Tags(hostile).tags) <= set(Tags(tame).tags)
    assert Tags(hostile).tags.count("script") == 2
    assert not [name for name in Tags(hostile).attributes if name.startswith("on")]
    text = "".join(Tags(hostile).data)
    assert "{{ 7*7 }}" in text
    assert "49" not in text
    data = json.loads(re.findall(r'<script type="application/json" id="rows">(.*?)</script>', hostile, flags=re.DOTALL)[0])
    assert {row[1] for row in data["rows"]} == {f"a{HOSTILE}"}
    assert {row[0] for row in data["rows"]} == {f"{HOSTILE}.png", "\\xff\\xfe.png"}
    hostile.encode("utf-8")


def test_a_page_loads_nothing_and_runs_its_own_script_alone() -> None:
    text = page(evidence_of(result_of([outcome("ab", "bb")])), plain([outcome("ab", "bb")]))
    assert "default-src 'none'" in text
    assert not re.findall(r'(?:src|href)="(?!#)', text)
    assert not re.findall(r"https?://", text)


def test_a_page_of_fifty_thousand_samples_is_under_20_mb() -> None:
    chance = np.random.default_rng(5)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz ÄÖÜ0123456789"))
    outcomes = []
    for i in range(50_000):
        truth = "".join(chance.choice(letters, 40))
        reading = truth if i % 3 else truth[:5] + "x" + truth[7:]
        outcomes.append(outcome(truth, reading, float(chance.random()), f"some/folder/picture-{i:06d}.png"))
    result = result_of(outcomes)
    text = page(evidence_of(result), plain(outcomes))
    assert len(text.encode()) < 12e6
    assert "50,000 pictures" in text


def test_a_page_stays_under_20_mb_whatever_it_is_of() -> None:
    label = "<>&'" * 50  # each is six bytes in a page
    outcomes = [outcome(label, label[:-1] + "x", name=f"{'&' * 100}/{i % 5000}/{i}.png") for i in range(20_000)]
    sources = {each.sample: f"{'&' * 200}{i % 5000}" for i, each in enumerate(outcomes)}
    data, unknown = (tuple(f"{kind}{'&' * 200}{i}" for i in range(5000)) for kind in ("folder", "character"))
    evidence = evidence_of(result_of(outcomes), sources=sources, data=data, unknown=unknown)
    text = page(evidence, rows_of(evidence))
    assert 10e6 < len(text.encode()) < 20e6
    assert f"and {5000 - 100:,} more" in text  # data sets, and characters
    assert f"And {5000 - 200:,} more, of fewer pictures" in text


def test_where_a_page_has_no_room_the_best_read_are_left_out(
    reader: Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crnnocr.report.samples._ROW_BYTES", 50_000)
    draw(tmp_path / "a.png", "a")
    outcomes = [outcome("x" * 40, ("x" if i % 2 else "y") * 40, name=str(tmp_path / "a.png")) for i in range(1000)]
    evidence = evidence_of(result_of(outcomes))
    found = rows_of(evidence, reader)
    assert 0 < len(found.rows) < 500
    assert found.left_out == 1000 - len(found.rows)
    assert all(row[2] != 0 for row in found.rows)
    assert f"{found.left_out} pictures, read best, there is no room" in page(evidence, found)


def test_the_worst_come_with_pictures_and_the_confidence_of_each_character(reader: Reader, tmp_path: Path) -> None:
    for name, text in (("a.png", "ab"), ("b.png", "ba"), ("c.png", "aa")):
        draw(tmp_path / name, text)
    samples = [Sample(tmp_path / name, label) for name, label in (("a.png", "ab"), ("b.png", "aa"), ("c.png", "bbb"))]
    result = score(read_samples(reader.recognizer, samples, DecodeConfig()))
    found = rows_of(evidence_of(result), reader)
    assert [row[0] for row in found.rows] == ["c.png", "b.png", "a.png"]
    assert found.rows[2][2] == 0
    assert found.rows[1][1:3] == ["aa", "ba"]
    assert found.rows[1][4:6] == [24, 8]
    assert found.rows[1][7] == [0, 0, 0]
    assert sorted(found.pictures) == [0, 1, 2]
    picture, sure = found.pictures[1]
    assert picture.startswith("data:image/jpeg;base64,")
    assert len(sure) == 2
    assert all(50 < share <= 100 for share in sure)


def test_the_heat_map_counts_what_was_lost_and_added_too() -> None:
    result = result_of([outcome("abc", "xbc"), outcome("abc", "xb"), outcome("abc", "abcc", name="y.png")])
    found = heatmap(evidence_of(result).analysis.confusions)
    cells = {(str(cell.edit), cell.count) for _, row in found.rows for cell in row if cell}
    assert cells == {("a → x", 2), ("c lost", 1), ("c added", 1)}
    assert (found.shown, found.all) == (4, 4)
    assert found.columns[-1] == "lost"
    assert found.rows[-1][0] == "added"


def test_a_page_of_pictures_that_are_all_right_can_be_made() -> None:
    outcomes = [outcome("ab", "ab", 1.0)]
    text = page(evidence_of(result_of(outcomes)), plain(outcomes))
    assert "None." in text
    assert "no error seen: fewer than 95.00% of such pictures have one" in text
    evidence = evidence_of(result_of(outcomes))
    assert any("fewer than 95.00% of such pictures" in line for line in terminal.lines(evidence))
    assert values.to_json(evidence)["errors_below"] == 0.95
    assert "0.00% – 0.00%" not in text + str(list(terminal.tables(evidence)))


# Groups


def test_groups_hold_every_picture_once_and_add_up() -> None:
    chance = np.random.default_rng(6)
    outcomes = [outcome("x" * int(n), "x" * int(n - 1), name=f"{i}.png") for i, n in enumerate(chance.integers(1, 200, 300))]
    sources = {each.sample: f"part {i % 3}" for i, each in enumerate(outcomes)}
    analysis = evidence_of(result_of(outcomes), sources=sources).analysis
    for groups in (analysis.by_length, analysis.by_width, analysis.by_source):
        assert sum(group.n for group in groups) == 300
        assert sum(group.characters for group in groups) == sum(len(each.truth) for each in outcomes)
        assert all(group.cer and group.cer.low <= group.cer.value <= group.cer.high for group in groups)
        assert sum(group.edits for group in groups) == 300
    assert [group.name for group in analysis.by_source] == ["part 0", "part 1", "part 2"]


def test_a_class_that_no_label_holds_has_edits_and_no_error_rate() -> None:
    evidence = evidence_of(result_of([outcome("ab", "a,b,")]))
    (letters, punctuation) = values.to_json(evidence)["by_class"]
    assert (letters["characters"], letters["edits"], letters["cer"]) == (2, 0, 0)
    assert punctuation == {"name": "punctuation", "characters": 0, "edits": 2, "cer": None, "cer_interval": None}
    assert ("punctuation", "0", "2", "–", "–") in list(terminal.tables(evidence))[1].rows
    assert re.search(r">2</td>\s*<td[^>]*>–</td><td[^>]*>–</td>", page(evidence, rows_of(evidence)))


def test_a_group_of_empty_labels_has_edits_and_no_error_rate() -> None:
    outcomes = [outcome("", "ab"), outcome("abcdef", "abcdef", name="y.png")]
    evidence = evidence_of(result_of(outcomes), {outcomes[0].sample: "empty"})
    empty = next(group for group in values.to_json(evidence)["by_source"] if group["name"] == "empty")
    assert (empty["n"], empty["edits"], empty["cer"], empty["cer_interval"]) == (1, 2, None, None)
    assert ("empty", "1", "–", "–", "0.00%") in list(terminal.tables(evidence))[3].rows
    assert "–" in page(evidence, rows_of(evidence))


def test_of_many_sources_the_largest_are_shown_and_all_are_in_the_json() -> None:
    outcomes = [outcome("a", "a", name=f"{i}.png") for i in range(3001)]
    sources = {each.sample: f"part {min(i, 2999)}" for i, each in enumerate(outcomes)}
    evidence = evidence_of(result_of(outcomes), sources)
    shown = list(terminal.tables(evidence))[3].rows
    assert len(shown) == 21
    assert shown[0][:2] == ("part 2999", "2")
    assert shown[-1][0] == "and 2,980 more (--json, --report)"
    assert len(values.to_json(evidence)["by_source"]) == 3000


def test_one_is_not_said_as_several() -> None:
    evidence = evidence_of(result_of([outcome("ab", "xb")]))
    text = f"{list(terminal.tables(evidence))} {list(terminal.lines(evidence))} {page(evidence, rows_of(evidence))}"
    assert not re.findall(r"\b1 (?:pictures|threads|readings|edits|labels)\b", text)


def test_what_refusing_gives_is_not_said_to_be_less() -> None:
    outcomes = [outcome("ab", "ab" if i < 10 else "xb", 0.2 if i < 10 else 0.9, f"{i}.png") for i in range(20)]
    line = next(line for line in terminal.lines(evidence_of(result_of(outcomes))) if line.startswith("refuse the 20%"))
    assert "CER is 31.25%, exact match 37.50%" in line  # 10 of 2 · 16 characters, where all have 10 of 40


# The whole


def test_an_evaluation_is_one_call_from_pictures_to_page(reader: Reader, tmp_path: Path) -> None:
    draw(tmp_path / "a.png", "ab")
    draw(tmp_path / "b.png", "ba")
    (tmp_path / "labels.tsv").write_text("a.png\tab\nb.png\tbb\n")
    evidence = Evaluation(load_datasets([tmp_path]), reader).measure()
    assert evidence.analysis.scores["cer"].value == 0.25
    assert (evidence.model, evidence.comparison, evidence.speed.pictures) == ("columns", None, 2)
    assert "data:image/jpeg" in page(evidence, rows_of(evidence, reader))


# Two readers


def test_pictures_in_a_database_are_named_by_their_entries() -> None:
    sample = Sample(Path("L"), "ab", "image-000000007")
    first, second = (score([(sample, Prediction(reading, 0.9, size=(9, 9)))]) for reading in ("ab", "xb"))
    said = list(terminal.lines(evidence_of(first, comparison=compare("a", first, "b", second))))
    assert "  L:image-000000007  label 'ab'  a 'ab'  b 'xb'" in said


def test_a_list_that_is_cut_says_so_and_where_the_rest_is() -> None:
    first, second = (result_of([outcome("ab", each, name=f"{i}.png") for i in range(14)]) for each in ("ab", "xb"))
    said = list(terminal.lines(evidence_of(first, comparison=compare("a", first, "b", second))))
    assert [line.split("  ")[2] for line in said if line.startswith("  ") and ".png" in line] == ["label 'ab'"] * 5
    assert said[-1] == "  … and 9 more (--report, --tsv)"


@pytest.mark.parametrize(("columns", "kept"), [(60, 4), (80, 5), (100, 6)])
def test_few_columns_hold_the_comparison_in_short_words(columns: int, kept: int) -> None:
    first, second = result_of([outcome("ab", "xb")]), result_of([outcome("ab", "ab")])
    evidence = evidence_of(first, comparison=compare("a", first, "b", second))
    *_, compared = terminal.tables(evidence, columns)
    assert compared.header == ("", "a", "b", "difference, points", "95% interval", "a better")[:kept]
    assert {len(row) for row in compared.rows} == {kept}
    assert compared.rows[1][:4] == ("character error rate (CER)" if kept == 6 else "CER", "50.00%", "0.00%", "+50.00")


def test_readers_with_as_many_edits_in_every_picture_cannot_be_told_apart() -> None:
    found = compare("a", result_of([outcome("abc", "xbc")]), "b", result_of([outcome("abc", "abx")]))
    assert found.verdict == "both make as many edits in every picture"


def test_a_page_names_every_model_whose_training_counts() -> None:
    outcomes = [outcome("ab", "ab")]
    evidence = evidence_of(result_of(outcomes), models=("good", "data"), trained_on=58)
    assert "left out, as good or data was trained on them" in page(evidence, rows_of(evidence))


def test_who_reads_better_and_where() -> None:
    names = [f"{i}.png" for i in range(60)]
    first = result_of([outcome("abcd", "abcd" if i % 6 else "abxd", name=name) for i, name in enumerate(names)])
    second = result_of([outcome("abcd", "abcd" if i % 2 else "xxcd", name=name) for i, name in enumerate(names)])
    found = compare("new", first, "old", second)
    assert (found.only_first, found.only_second, found.n) == (20, 0, 60)
    assert found.p_exact == pytest.approx(2 * 0.5**20)
    assert (len(found.better), len(found.worse)) == (30, 0)
    assert found.verdict == "new reads better than old: in more than 99.95% of the draws"
    assert compare("old", second, "new", first).verdict == found.verdict
    assert compare("a", first, "b", first).verdict == "both read the same in all pictures"
    few = compare("a", result_of([outcome("abc", "abc")]), "b", result_of([outcome("abc", "abx")]))
    # All draws of one picture are alike. Of fewer than six pictures no test of signs is sure: 2 · 0.5⁵ > 0.05.
    assert few.verdict.startswith("who reads better cannot be told from the 1 picture that differs:")
    assert few.winner is None


def test_what_cannot_be_told_is_said_so() -> None:
    names = [f"{i}.png" for i in range(40)]
    first = result_of([outcome("ab", "xb" if i < 4 else "ab", name=name) for i, name in enumerate(names)])
    second = result_of([outcome("ab", "xb" if 4 <= i < 9 else "ab", name=name) for i, name in enumerate(names)])
    found = compare("a", first, "b", second)
    assert not found.differences["cer"].is_sure
    assert found.verdict.startswith("who reads better cannot be told from the 9 pictures that differ: a in ")
    assert found.p_exact == pytest.approx(1)


# Rows and JSON


def test_rows_say_each_picture_and_what_another_reader_read() -> None:
    first = result_of([outcome("a\tb", "a\\b", name="x.png"), outcome("ab", "ab", name="y.png")])
    second = result_of([outcome("a\tb", "a\tb", 0.5, name="x.png"), outcome("ab", "ab", name="y.png")])
    header, *lines = rows.tsv(evidence_of(first, comparison=compare("a", first, "b", second)))
    found = [dict(zip(header.split("\t"), line.split("\t"), strict=True)) for line in lines]
    assert (found[0]["truth"], found[0]["reading"], found[0]["edits"], found[0]["exact"]) == ("a\\tb", "a\\\\b", "1", "0")
    assert (found[0]["other_reading"], found[0]["other_edits"], found[0]["other_confidence"]) == ("a\\tb", "0", "0.500000")
    assert (found[1]["other_reading"], found[1]["width"], found[1]["height"]) == ("ab", "100", "32")


def test_everything_but_the_pictures_is_in_the_json() -> None:
    first = result_of([outcome("ab", "xb"), outcome("ab", "ab", name="y.png")])
    found = json.loads(json.dumps(values.to_json(evidence_of(first, comparison=compare("a", first, "b", first)))))
    assert found["cer"] == 0.25
    assert found["intervals"]["cer"][0] <= 0.25 <= found["intervals"]["cer"][1]
    assert found["confusions"] == [{"truth": "a", "reading": "x", "count": 1}]
    assert found["compare"]["verdict"] == "both read the same in all pictures"
    assert {each["name"] for each in found["by_class"]} == {"letters"}
    assert [each["refused"] for each in found["calibration"]["risk_coverage"]][:2] == [0.0, 0.01]


def keys_of(value: object) -> set[str]:
    """All keys of a JSON value, however deep."""
    if isinstance(value, dict):
        return set(value).union(*map(keys_of, value.values()))
    return set[str]().union(*map(keys_of, value)) if isinstance(value, list) else set()


def test_every_key_of_the_json_is_in_the_documentation() -> None:
    first, second = result_of([outcome("ab", "xb"), outcome("ab", "ab", name="y.png")]), result_of([outcome("ab", "ab")])
    text = (Path(__file__).parents[1] / "docs/commands.md").read_text(encoding="utf-8")
    (row,) = [line for line in text.splitlines() if line.startswith("| `eval` |")]
    keys = keys_of(values.to_json(evidence_of(first, comparison=compare("a", first, "b", second))))
    assert not [key for key in sorted(keys) if f"`{key}`" not in row]


def test_what_is_compared_is_normalised_and_said() -> None:
    readings = [(Sample(Path("x.png"), "Ab “c”"), Prediction("aB\u00a0'c'", 0.5))]
    plain_result, same = (score(readings, Normalization.parse(steps)) for steps in ([], ["case,quotes,spaces"]))
    assert plain_result.scores.exact_match == 0
    assert same.scores.exact_match == 0  # kinds of quotation marks, not single for double
    assert same.scores["mean_levenshtein"] == 2
    said = next(iter(terminal.lines(evidence_of(same))))
    assert said == "compared as: NFC, quotes and dashes alike, without case, without spaces"


# Doubtful labels


@pytest.fixture
def labelled(tmp_path: Path) -> list[Sample]:
    """Pictures, one of which has a wrong label, and one a label with a character that the model does not know."""
    labels = {
        "right.png": ("abab", "abab"),
        "wrong.png": ("abba", "abbb"),
        "long.png": ("a", "a" * 30),
        "unknown.png": ("ab", "aé"),
    }
    for name, (text, _) in labels.items():
        draw(tmp_path / name, text)
    return [Sample(tmp_path / name, label) for name, (_, label) in labels.items()]


def test_a_wrong_label_is_doubted_by_the_exact_probabilities(recognizer: Recognizer, labelled: list[Sample]) -> None:
    result = score(read_samples(recognizer, labelled, DecodeConfig()))
    found = suspects(recognizer, result.outcomes, ReadConfig())
    assert {each.outcome.sample.path.name for each in found.found} == {"wrong.png", "long.png"}
    assert found.unknown == 1
    wrong, long = sorted(found.found, key=lambda each: each.outcome.sample.path.name, reverse=True)
    assert long.label_log_prob == -np.inf
    assert wrong.label_log_prob < wrong.reading_log_prob - 3
    ratio = wrong.reading_log_prob - wrong.label_log_prob
    assert wrong.doubt == pytest.approx(wrong.outcome.prediction.confidence * ratio)
    assert long.doubt == pytest.approx(long.outcome.prediction.confidence * 100)
    assert [each.doubt for each in found.found] == [long.doubt, wrong.doubt]


def test_a_doubt_is_of_the_view_that_was_read(recognizer: Recognizer, labelled: list[Sample]) -> None:
    wrong, *_ = score(read_samples(recognizer, labelled[1:2], DecodeConfig())).outcomes
    wide = replace(wrong, prediction=replace(wrong.prediction, view=View(width=2.0)))
    plain, looked = (suspects(recognizer, [each], ReadConfig()).found[0] for each in (wrong, wide))
    assert looked.label_log_prob != plain.label_log_prob  # in twice as many frames


def test_files_of_doubtful_labels_are_read_by_others(recognizer: Recognizer, labelled: list[Sample], tmp_path: Path) -> None:
    result = score(read_samples(recognizer, labelled, DecodeConfig()))
    found = suspects(recognizer, result.outcomes, ReadConfig()).found
    for name in ("doubts.csv", "doubts.tsv", "doubts.jsonl", "doubts.json"):
        label_error_files.write(tmp_path / name, found, "model")
    for name in ("doubts.csv", "doubts.tsv", "doubts.jsonl"):  # each is a data set of its own
        assert {sample.text for sample in load_dataset(tmp_path / name).samples} == {"abbb", "a" * 30}
    with (tmp_path / "doubts.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert [float(row["doubt"]) for row in table] == sorted((float(row["doubt"]) for row in table), reverse=True)
    assert {row["reading"] for row in table} == {"abba", "a"}
    tasks = json.loads((tmp_path / "doubts.json").read_text(encoding="utf-8"))
    task = next(task for task in tasks if task["data"]["file_name"] == "wrong.png")
    assert task["data"]["image"] == f"/data/local-files/?d={tmp_path.name}/wrong.png"
    assert {result["from_name"] for result in task["predictions"][0]["result"]} == {"transcription"}
    assert task["predictions"][0]["result"][0]["value"] == {"text": ["abba"]}
    assert task["annotations"][0]["result"][0]["value"] == {"text": ["abbb"]}


@pytest.mark.parametrize("name", ["doubts.csv", "doubts.tsv", "doubts.jsonl", "doubts.json"])
def test_a_data_set_is_read_as_before_with_a_file_of_its_doubtful_labels_beside_it(
    name: str, recognizer: Recognizer, labelled: list[Sample], tmp_path: Path
) -> None:
    (tmp_path / "labels.tsv").write_text("".join(f"{each.path.name}\t{each.text}\n" for each in labelled), encoding="utf-8")
    result = score(read_samples(recognizer, labelled, DecodeConfig()))
    label_error_files.write(tmp_path / name, suspects(recognizer, result.outcomes, ReadConfig()).found, "model")
    assert len(load_dataset(tmp_path).samples) == 4
    (tmp_path / "labels.tsv").unlink()
    with pytest.raises(DataError, match="no labels in a known format"):  # some of the labels are not taken for all
        load_dataset(tmp_path)


def test_a_file_of_no_doubtful_labels_has_its_columns(tmp_path: Path) -> None:
    label_error_files.write(tmp_path / "doubts.csv", [], "model")
    assert (tmp_path / "doubts.csv").read_text(encoding="utf-8").startswith("file_name,text,reading,doubt,")


def test_a_file_that_others_could_not_use_is_said_to_be_none(tmp_path: Path) -> None:
    files = [Sample(tmp_path / "a" / "x.png", "x"), Sample(tmp_path / "b" / "y.png", "y")]
    assert label_error_files.hindrance(tmp_path / "doubts.csv", files) == ""
    assert f"write it to {tmp_path}," in label_error_files.hindrance(tmp_path / "a" / "doubts.csv", files)
    entries = [Sample(tmp_path, "x", "image-000000001")]
    assert "in a database" in label_error_files.hindrance(tmp_path / "doubts.csv", entries)
    for path, samples in ((tmp_path / "a" / "doubts.json", files), (tmp_path / "doubts.json", entries)):
        with pytest.raises(UsageError, match="Label Studio would show nothing"):
            label_error_files.hindrance(path, samples)
