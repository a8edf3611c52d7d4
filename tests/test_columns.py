"""Tables are understood whatever program wrote them, and what is not understood is an error and never a row."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from label_files import IMAGES, labels, put

from crnnocr.config import EmptyLabels, LabelConfig
from crnnocr.datasets.detection import load_dataset
from crnnocr.datasets.issues import Severity
from crnnocr.errors import ConfigError, DataError

RunCli = Callable[..., Result]
BOTH = {"a.png": "eins", "b.png": "zwei"}


def written(header: str, *rows: str, separator: str = ",") -> str:
    return "".join(f"{line}\n".replace(",", separator) for line in (header, *rows))


@pytest.mark.parametrize(
    ("header", "chosen"),
    [
        ("file_name,label,text", "text"),
        ("file_name,text,transcription", "transcription"),
        ("transcription,file_name,text", "transcription"),
        ("image,word,ground_truth", "ground_truth"),
        ("image,ocr,text", "text"),
        ("image,ocr_text,text", "text"),
        ("image,value,word", "word"),
        ("image,original_text,text", "text"),
        ("image,text,corrected_text", "corrected_text"),
        ("filename,groundTruth,label", "groundTruth"),
    ],
)
def test_of_several_columns_that_could_be_the_text_the_most_specific_is_read_and_named(
    header: str, chosen: str, tmp_path: Path
) -> None:
    def row(image: str, text: str) -> str:
        cells = {"image": image, "file_name": image, "filename": image, chosen: text}
        return ",".join(cells.get(name, f"other {text}") for name in header.split(","))

    table = written(header, row("a.png", "eins"), row("b.png", "zwei"))
    dataset = load_dataset(put(tmp_path, IMAGES, {"labels.csv": table}))
    assert labels(dataset) == BOTH
    [issue] = dataset.issues
    assert (issue.code, issue.severity) == ("several-text-columns", Severity.WARNING)
    assert chosen in issue.message
    assert chosen.lower() in dataset.format


@pytest.mark.parametrize(
    ("first", "second"), [("text", "word"), ("ground_truth", "transcription"), ("label", "value"), ("text", "normalized_text")]
)
def test_columns_that_could_both_be_the_text_and_differ_are_an_error_that_names_them_and_the_option(
    first: str, second: str, tmp_path: Path
) -> None:
    table = written(f"image,{first},{second}", "a.png,eins,uno", "b.png,zwei,zwei")
    put(tmp_path, IMAGES, {"labels.csv": table})
    with pytest.raises(DataError, match=rf"{first} and {second} .*`text_column={first}` or `text_column={second}`"):
        load_dataset(tmp_path)
    assert labels(load_dataset(tmp_path, LabelConfig(text_column=second))) == {"a.png": "uno", "b.png": "zwei"}
    assert labels(load_dataset(tmp_path, LabelConfig(text_column="2"))) == BOTH


def test_columns_of_the_same_texts_are_nothing_to_speak_of(tmp_path: Path) -> None:
    dataset = load_dataset(put(tmp_path, IMAGES, {"labels.csv": "image,text,word\na.png,eins,eins\nb.png,zwei,\n"}))
    assert labels(dataset) == BOTH
    assert not dataset.issues


def test_an_empty_column_is_not_the_text(tmp_path: Path) -> None:
    dataset = load_dataset(put(tmp_path, IMAGES, {"labels.csv": "image,transcription,text\na.png,,eins\nb.png,,zwei\n"}))
    assert labels(dataset) == BOTH


def test_columns_about_the_text_are_not_the_text(tmp_path: Path) -> None:
    table = (
        "image,text,text_length,label_id,text_lang,prediction,confidence\na.png,eins,4,0,de,elns,0.5\nb.png,zwei,4,1,de,x,1\n"
    )
    dataset = load_dataset(put(tmp_path, IMAGES, {"labels.csv": table}))
    assert labels(dataset) == BOTH
    assert not dataset.issues


def test_a_column_that_is_called_as_a_text_and_holds_images_is_the_image(tmp_path: Path) -> None:
    table = "ocr,transcription\na.png,eins\nb.png,zwei\n"
    put(tmp_path, IMAGES, {"labels.csv": table})
    with pytest.raises(DataError, match="lacks a column for the image, such as file_name: name it with `image_column=ocr`"):
        load_dataset(tmp_path)
    assert labels(load_dataset(tmp_path, LabelConfig(image_column="ocr"))) == BOTH


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("header", ["foo,bar", "Datei,Inhalt", "image,serial", "id,text", "split,image"])
def test_a_header_that_is_not_understood_is_an_error_and_never_a_row(header: str, separator: str, tmp_path: Path) -> None:
    folder = put(tmp_path, IMAGES, {"labels.csv": written(header, "a.png,eins", "b.png,zwei", separator=separator)})
    with pytest.raises(DataError, match=r"the header .* lacks .*: name (it|them) with"):
        load_dataset(folder)
    first, second = header.split(",")
    columns: dict[str, Any] = {"image_column": first, "text_column": second}
    if header == "split,image":
        columns = {"image_column": "1", "text_column": "2"}
    assert labels(load_dataset(folder, LabelConfig(**columns))) == BOTH


def test_a_column_that_is_not_there_is_an_error_that_lists_those_that_are(tmp_path: Path) -> None:
    folder = put(tmp_path, IMAGES, {"labels.csv": "image,text\na.png,eins\n"})
    unknown: list[dict[str, Any]] = [{"image_column": "no"}, {"text_column": "no"}]
    for columns in unknown:
        (field,) = columns
        with pytest.raises(ConfigError, match=rf"{field} no: .*no column is called so: image, text"):
            load_dataset(folder, LabelConfig(**columns))
    with pytest.raises(ConfigError, match="text_column 3: "):
        load_dataset(folder, LabelConfig(text_column="3"))


def test_a_table_without_a_header_takes_numbers(tmp_path: Path) -> None:
    folder = put(tmp_path, IMAGES, {"list.csv": "1,a.png,eins,x\n2,b.png,zwei,y\n"})
    with pytest.raises(DataError, match=r"the image is column 2 of 4: .*`text_column`"):
        load_dataset(folder / "list.csv")
    assert labels(load_dataset(folder / "list.csv", LabelConfig(text_column="3"))) == BOTH
    with pytest.raises(ConfigError, match=r"text_column text: .*has no header, so give the column's number, from 1 to 4"):
        load_dataset(folder / "list.csv", LabelConfig(text_column="text"))


def test_the_text_may_come_first_in_a_table_without_a_header(tmp_path: Path) -> None:
    assert labels(load_dataset(put(tmp_path, IMAGES, {"list.csv": "eins,a.png\nzwei,b.png\n"}))) == BOTH


EXCEL = [["file_name", "text"], ["a.png", 'say "5 July", 1986'], ["b.png", "12,50 €; tab\there"]]
"""What Excel's dialogs save, in all ways."""


def excel(separator: str) -> str:
    lines = io.StringIO(newline="")
    csv.writer(lines, delimiter=separator, lineterminator="\r\n").writerows(EXCEL)
    return lines.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("labels.csv", excel(",").encode("utf-8-sig")),
        ("labels.csv", excel(";").encode("utf-8-sig")),
        ("labels.csv", excel(";").encode()),
        ("labels.csv", b"sep=;\r\n" + excel(";").encode()),
        ("labels.csv", b"\xef\xbb\xbfsep=,\r\n" + excel(",").encode()),
        ("labels.csv", b"sep=|\n" + excel("|").encode()),
        ("labels.txt", excel("\t").encode("utf-16")),
        ("labels.tsv", excel("\t").encode()),
    ],
    ids=str,
)
def test_tables_of_excel_are_read_whatever_its_language(name: str, content: bytes, tmp_path: Path) -> None:
    dataset = load_dataset(put(tmp_path, IMAGES, {name: content}))
    assert labels(dataset) == {name: text.replace("\t", " ") for name, text in EXCEL[1:]}
    assert {issue.code for issue in dataset.issues} == {"double-space"}  # of the tab


def test_semicolons_need_no_header(tmp_path: Path) -> None:
    assert labels(load_dataset(put(tmp_path, IMAGES, {"labels.csv": 'a.png;eins\nb.png;"zwei; drei"\n'}))) == {
        "a.png": "eins",
        "b.png": "zwei; drei",
    }


def test_the_line_of_an_error_counts_a_declared_separator(tmp_path: Path) -> None:
    put(tmp_path, ["a.png"], {"labels.csv": "sep=;\nfile_name;text\na.png;eins\ngone.png;x\n"})
    [issue] = load_dataset(tmp_path).issues
    assert issue.locations[0].detail.startswith("labels.csv line 4: gone.png")


def test_any_separator_can_be_named(tmp_path: Path) -> None:
    put(tmp_path, IMAGES, {"labels.csv": "file_name~text\na.png~eins\nb.png~zwei\n"})
    assert labels(load_dataset(tmp_path / "labels.csv", LabelConfig(separator="~"))) == BOTH
    put(tmp_path, [], {"labels.csv": "a.png eins\tx\nb.png zwei\tx\n"})
    assert labels(load_dataset(tmp_path / "labels.csv")) == {"a.png": "eins x", "b.png": "zwei x"}
    with pytest.raises(DataError, match="lacks the columns"):
        load_dataset(tmp_path / "labels.csv", LabelConfig(separator="\t"))


def test_the_images_may_be_in_a_folder_that_is_named(tmp_path: Path) -> None:
    put(tmp_path / "elsewhere", IMAGES)
    put(tmp_path / "labels", [], {"a.csv": "file_name,text\na.png,eins\nb.png,zwei\n"})
    with pytest.raises(DataError, match="no usable sample"):
        load_dataset(tmp_path / "labels/a.csv")
    dataset = load_dataset(tmp_path / "labels/a.csv", LabelConfig(images=str(tmp_path / "elsewhere")))
    assert {sample.path.name: sample.text for sample in dataset.samples} == BOTH
    with pytest.raises(ConfigError, match=r"images .*gone: there is no such folder"):
        load_dataset(tmp_path / "labels/a.csv", LabelConfig(images=str(tmp_path / "gone")))


@pytest.mark.parametrize(
    ("record", "keys"),
    [
        ({"filename": "{}", "text": "{}"}, {}),
        ({"text": "?", "file_name": "{}", "transcription": "{}"}, {}),
        ({"picture_file": "{}", "reading": "{}"}, {"text_column": "reading"}),
    ],
)
def test_the_keys_of_json_lines_are_chosen_as_columns_are(record: dict[str, str], keys: dict[str, Any], tmp_path: Path) -> None:
    rows = []
    for name, text in BOTH.items():
        values = {key: (text if key in ("transcription", "reading", "text") else name) for key in record}
        rows.append(json.dumps({**values, **({"text": f"old {text}"} if "transcription" in record else {})}))
    put(tmp_path, IMAGES, {"metadata.jsonl": "\n".join(rows)})
    assert labels(load_dataset(tmp_path, LabelConfig(**keys))) == BOTH


def doubts(tmp_path: Path, texts: list[str], names: str = "{:03}x.png") -> list[tuple[str, Severity]]:
    files = [names.format(i + 7) for i in range(len(texts))]
    rows = "".join(f"{name}\t{text}\n" for name, text in zip(files, texts, strict=True))
    dataset = load_dataset(put(tmp_path, files, {"labels.tsv": rows}))
    return [(issue.code, issue.severity) for issue in dataset.issues]


@pytest.mark.parametrize(
    ("texts", "code"),
    [
        (["eins"] * 4, "same-label"),
        (['"eins"', '"zwei"', '"drei"'], "quoted-label"),
        (["“eins”", "“zwei”", "drei"], "quoted-label"),
        (["eins", "zwei", "nan"], "placeholder-label"),
        (["eins", "?", "zwei"], "placeholder-label"),
        (["eins", "[illegible]", "zwei"], "placeholder-label"),
        (["eins", "TEMPORARY", "zwei"], "placeholder-label"),
        (["eins", "#REF!", "zwei"], "placeholder-label"),
        (["0 0.512 0.4 0.11 0.2", "0 0.2 0.4 0.1 0.25", "1 0.5 0.5 0.1 0.1"], "number-label"),
        (["12,30,99,55", "1,2,3,4", "100,20,300,40"], "number-label"),
        (["377,117,463,117,465,130,378,130"] * 2 + ["1,2,3,4,5,6,7,8"], "number-label"),
        (["0.9913", "0.75", "0.8812"], "number-label"),
        (["0", "1", "2", "3", "4"], "number-label"),
        (["10001", "10002", "10003", "10004", "10005"], "number-label"),
    ],
)
def test_labels_that_are_probably_something_else_are_warned_of(texts: list[str], code: str, tmp_path: Path) -> None:
    assert doubts(tmp_path, texts) == [(code, Severity.WARNING)]


def test_the_numbers_of_the_files_are_warned_of(tmp_path: Path) -> None:
    assert doubts(tmp_path, ["7", "8", "9"], "img_{}.png") == [("number-label", Severity.WARNING)]


@pytest.mark.parametrize(
    "texts",
    [
        ["12.50", "3.99", "0.75"],
        ["0.75", "0.50", "0.25"],
        ["1234 5678 9012 3456", "4321 8765 2109 6543", "1111 2222 3333 4444"],
        ["5", "3", "8", "1", "0"],
        ["00412", "00731", "00950"],
        ['"eins"', "zwei", "drei"],
        ["1986, 1987", "1, 2", "3"],
        ["eins", "Eins", "eins"],
    ],
)
def test_numbers_and_quotes_that_images_may_well_show_are_not(texts: list[str], tmp_path: Path) -> None:
    assert doubts(tmp_path, texts) == []


def test_what_nobody_could_read_is_left_out(tmp_path: Path) -> None:
    dataset = load_dataset(put(tmp_path, IMAGES, {"gt.txt": 'a.png, "eins"\nb.png, "###"\n'}))
    assert labels(dataset) == {"a.png": "eins"}
    assert [(issue.code, issue.severity) for issue in dataset.issues] == [("placeholder-label", Severity.EXCLUDED)]


def test_columns_of_the_same_name_are_told_apart_by_their_numbers(tmp_path: Path) -> None:
    put(tmp_path, IMAGES, {"labels.csv": "image,text,text\na.png,uno,eins\nb.png,due,zwei\n"})
    with pytest.raises(DataError, match="`text_column=2` or `text_column=3`"):
        load_dataset(tmp_path)
    assert labels(load_dataset(tmp_path, LabelConfig(text_column="3"))) == BOTH


def test_a_column_of_images_under_another_name_is_named_in_the_error(tmp_path: Path) -> None:
    put(tmp_path, IMAGES, {"labels.csv": "scan no,text\na.png,eins\nb.png,zwei\n"})
    with pytest.raises(DataError, match="name it with `image_column=scan no`"):
        load_dataset(tmp_path)
    assert labels(load_dataset(tmp_path, LabelConfig(image_column="scan no"))) == BOTH


@pytest.mark.parametrize("header", ["Image Name,Text (UTF-8)", "fileName,groundTruth", "IMAGE,TEXT", "img path,Plate text"])
def test_a_header_may_be_written_for_people(header: str, tmp_path: Path) -> None:
    assert labels(load_dataset(put(tmp_path, IMAGES, {"labels.csv": f"{header}\na.png,eins\nb.png,zwei\n"}))) == BOTH


@pytest.mark.parametrize(
    "values",
    [
        [{"image": name, "label": text} for name, text in BOTH.items()],
        {"data": [{"image": name, "label": text} for name, text in BOTH.items()]},
        {"version": 1, "samples": [{"filename": name, "text": text} for name, text in BOTH.items()]},
        {name: {"text": text, "width": 3} for name, text in BOTH.items()},
    ],
)
def test_json_of_ones_own_is_read_if_its_keys_are_plain(values: object, tmp_path: Path) -> None:
    put(tmp_path, IMAGES, {"data.json": json.dumps(values), "config.json": '{"height": 32, "name": "x"}'})
    assert labels(load_dataset(tmp_path)) == BOTH


def test_columns_of_json_are_no_texts(tmp_path: Path) -> None:
    rows = "".join(
        json.dumps({"file_name": name, "text": text, "ground_truth": '{"a": 1}'}) + "\n" for name, text in BOTH.items()
    )
    assert labels(load_dataset(put(tmp_path, IMAGES, {"metadata.jsonl": rows}))) == BOTH


def test_json_lines_may_be_called_txt(tmp_path: Path) -> None:
    rows = "".join(json.dumps({"filename": name, "text": text}) + "\n" for name, text in BOTH.items())
    assert labels(load_dataset(put(tmp_path, IMAGES, {"label.txt": rows}))) == BOTH


@pytest.mark.parametrize("command", [("eval",), ("train", "--check")])
def test_the_command_line_names_its_options_and_takes_them(command: tuple[str, ...], run_cli: RunCli, tmp_path: Path) -> None:
    put(tmp_path, ["a.png"], {"labels.csv": "image;text;word\na.png;eins;uno\n"})
    asked = run_cli(*command, tmp_path)
    assert asked.exit_code == 1
    assert "--text-column text or --text-column word" in asked.stderr
    assert run_cli(*command, tmp_path, "--text-column", "no").exit_code == 2
    assert run_cli(*command, tmp_path, "--separator", "both").exit_code == 2
    assert run_cli(*command, tmp_path, "--images", tmp_path / "gone").exit_code == 2


def test_the_check_of_the_data_takes_the_columns_and_warns_of_labels(run_cli: RunCli, tmp_path: Path) -> None:
    names = [f"{n}.png" for n in "abcd"]
    rows = "".join(f"{name};0.99{i};eins {i}\n" for i, name in enumerate(names))
    put(tmp_path, names, {"labels.csv": f"image;value;serial\n{rows}"})
    found = json.loads(run_cli("train", tmp_path, "--check", "--json").stdout)
    assert "number-label" in {each["kind"] for each in found["findings"]}
    found = json.loads(run_cli("train", tmp_path, "--check", "--json", "--text-column", "serial").stdout)
    assert "number-label" not in {each["kind"] for each in found["findings"]}


@pytest.mark.parametrize(
    ("rows", "codes"),
    [
        ("a.png,eins,0.91\nb.png,zwei,0.87\n", ["several-text-columns"]),
        ("a.png,eins,zwei\nb.png,drei,vier\n", []),
        ("a.png,1,50\nb.png,12,00\n", []),
        ("a.png,eins,0.91\nb.png,zwei\n", []),
    ],
)
def test_scores_behind_the_texts_of_a_list_without_a_header_are_warned_of(rows: str, codes: list[str], tmp_path: Path) -> None:
    folder = put(tmp_path, IMAGES, {"labels.csv": rows})
    assert [issue.code for issue in load_dataset(folder).issues] == codes
    if codes:
        assert labels(load_dataset(folder, LabelConfig(text_column="2"))) == BOTH


def test_where_nothing_was_corrected_the_text_counts(tmp_path: Path) -> None:
    folder = put(tmp_path, IMAGES, {"labels.csv": "image,text,corrected\na.png,e1ns,eins\nb.png,zwei,\n"})
    assert labels(load_dataset(folder)) == BOTH
    assert labels(load_dataset(folder, LabelConfig(text_column="corrected"))) == {"a.png": "eins"}


def test_columns_that_are_empty_throughout_are_no_text(tmp_path: Path) -> None:
    assert labels(load_dataset(put(tmp_path, IMAGES, {"labels.csv": "a.png;eins;;\nb.png;zwei;;\n"}))) == BOTH


def test_a_line_with_an_image_alone_is_an_empty_label_that_may_be_kept(tmp_path: Path) -> None:
    folder = put(tmp_path, [*IMAGES, "c.png"], {"labels.txt": "a.png eins\nb.png zwei\nc.png\n"})
    assert labels(load_dataset(folder)) == BOTH
    assert labels(load_dataset(folder, LabelConfig(empty=EmptyLabels.KEEP))) == {**BOTH, "c.png": ""}
