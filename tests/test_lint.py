"""Lint finds every planted issue, at the right locations, and none in clean sets."""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from crnnocr.config import MAX_WIDTH, PRESETS, Orientation
from crnnocr.datasets import Sample
from crnnocr.datasets.detection import load_dataset
from crnnocr.datasets.issues import EMPTY_LABEL, UNREADABLE_IMAGE, Issue, Severity
from crnnocr.datasets.lint import lint, sizes
from crnnocr.datasets.lint.labels import describe_unknown_characters
from crnnocr.datasets.lint.sample import LintSample
from crnnocr.images import Preprocessor
from crnnocr.text.charset import Charset, frames_needed

SMALL, CLASSIC = PRESETS["small"], PRESETS["classic"]

LATIN = "abcdefghijklmnopqrstuvwxyz"
CYRILLIC = "абвгдежзийклмнопрстуфхцчшщъыьэюя"
ON_PLATES = "АВЕКМНОРСТУХ"
HAN = "日本語東京大学生中国人山川田水火木金土曜"
ARABIC = "ابتثجحدرسع"

_numbers = count(1)


def seen(text: str, name: str = "", size: tuple[int, int] | None = None, content: int | None = None) -> LintSample:
    """A sample; by default with an image of its own, 14 pixels wide for each character, or 28 if that is wide."""
    number = next(_numbers)
    width = sum(28 if c >= "\u2e80" else 14 for c in text) + 8
    return LintSample(
        Sample(Path(name or f"{number:06}.png"), text), number if content is None else content, size or (width, 32)
    )


def word(chance: random.Random, letters: str = LATIN, least: int = 3, most: int = 9) -> str:
    return "".join(chance.choices(letters, k=chance.randint(least, most)))


def clean_set(
    texts: Callable[[random.Random], str], learned: int = 400, validated: int = 40
) -> tuple[list[LintSample], list[LintSample]]:
    """Samples to learn from and to validate on, all of different texts, whose widths differ as those of fonts do."""
    chance = random.Random(0)
    different: dict[str, None] = {}
    while len(different) < learned + validated:
        different.setdefault(texts(chance))
    plain = [seen(text) for text in different]
    samples = [LintSample(one.sample, one.content_id, (round(one.size[0] * chance.uniform(0.7, 1.5)), 32)) for one in plain]
    return samples[:learned], samples[learned:]


def two_words(chance: random.Random) -> str:
    return f"{word(chance)} {word(chance)}"


def lint_with(*planted: LintSample, validated: Sequence[LintSample] = (), issues: Sequence[Issue] = ()) -> list[Issue]:
    """The issues of a clean set with these samples added to it."""
    learned, held_out = clean_set(two_words)
    return lint([*learned, *planted], [*held_out, *validated], issues, SMALL)


def paths(issue: Issue) -> list[str]:
    return [location.path for location in issue.locations]


def codes(issues: Iterable[Issue]) -> list[str]:
    return [issue.code for issue in issues]


CLEAN: dict[str, Callable[[random.Random], str]] = {
    "words": word,
    "two words": two_words,
    "numbers of one length": lambda chance: f"{chance.randrange(10**6):06}",
    "single characters and long lines": lambda chance: " ".join(word(chance, least=1) for _ in range(chance.choice((1, 9)))),
    "prices": lambda chance: f"{chance.randint(1, 9)} x {word(chance)} {chance.randint(0, 99)}.{chance.randint(10, 99)}",
    "two scripts of one word each": lambda chance: f"{word(chance)} {word(chance, CYRILLIC)}-{word(chance, CYRILLIC.upper())}",
    "plates in Cyrillic": lambda chance: f"{chance.choice(ON_PLATES)}{chance.randint(100, 999)}{word(chance, ON_PLATES, 2, 2)}",
    "plates with a country": lambda chance: f"{word(chance, ON_PLATES, 2, 2)}{chance.randint(100, 999)}RUS",
    "East Asian and Latin": lambda chance: word(chance, HAN) + word(chance) + word(chance, "０１２３、。！"),
    "ideographic spaces": lambda chance: f"{word(chance, HAN)}\u3000{word(chance, HAN)}",
    "Roman numerals": lambda chance: f"{word(chance, CYRILLIC)} {word(chance, 'XI', 1, 3)}",
    "joiners that shape letters": lambda chance: f"{word(chance, ARABIC)}\u200c{word(chance, ARABIC)}",
    "units": lambda chance: f"{chance.randint(1, 999)} {chance.choice(('kΩ', 'μm', 'Δt', 'mm', 'kV'))} {word(chance)}",
    "full-width only": lambda chance: word(chance, HAN) + word(chance, "ＡＢＣ０１２"),
}


@pytest.mark.parametrize("texts", CLEAN.values(), ids=CLEAN)
def test_nothing_is_found_in_a_clean_set(texts: Callable[[random.Random], str]) -> None:
    learned, validated = clean_set(texts)
    assert lint(learned, validated, (), SMALL) == []


def test_nothing_is_found_in_few_samples_but_that_they_are_few() -> None:
    learned, validated = clean_set(word, learned=8, validated=2)
    assert set(codes(lint(learned, validated, (), SMALL))) <= {"rare-character", "unseen-character"}


PLANTED: dict[str, tuple[str, Severity, list[LintSample], str]] = {
    "labels too long": (
        "label-too-long",
        Severity.EXCLUDED,
        [seen("abcdefghijkl", size=(23, 32)), seen("aabbccddeeff", size=(35, 32))],
        "2 labels do not fit their images (the preset small reads at most a character in 4 pixels of a line of height 40): "
        "a label that is right needs the width that is listed with it",
    ),
    "a vertical line": ("tall-picture", Severity.WARNING, [seen("abc", size=(30, 90))], "`orientation=auto` turns such images"),
    "an image too long": (
        "picture-long-for-label",
        Severity.WARNING,
        [seen("ab", size=(400, 32))],
        "1 image is much longer",
    ),
    "an image too short": ("picture-short-for-label", Severity.WARNING, [seen("abcdefghijklmnop", size=(60, 32))], "shorter"),
    "two labels": (
        "two-labels",
        Severity.WARNING,
        [seen("one", content=-1), seen("two", content=-1)],
        "1 image comes with different labels (2 samples): only one can be right",
    ),
    "no-break space": ("odd-space", Severity.WARNING, [seen("one\u00a0two")], "(U+00A0 NO-BREAK SPACE) in 1): write plain"),
    "tab": ("odd-space", Severity.WARNING, [seen("one\ttwo")], r"'\t' (U+0009"),
    "ideographic space": ("odd-space", Severity.WARNING, [seen("one\u3000two")], "(U+3000 IDEOGRAPHIC SPACE) in 1)"),
    "zero-width space": ("unprintable-character", Severity.WARNING, [seen("on\u200be")], "(U+200B ZERO WIDTH SPACE) in 1)"),
    "byte order mark": ("unprintable-character", Severity.WARNING, [seen("\ufeffone")], "U+FEFF"),
    "joiner in Latin": ("unprintable-character", Severity.WARNING, [seen("on\u200de")], "ZERO WIDTH JOINER"),
    "control character": ("unprintable-character", Severity.WARNING, [seen("one\x07")], "U+0007"),
    "lost character": ("unprintable-character", Severity.WARNING, [seen("on\ufffd")], "REPLACEMENT CHARACTER"),
    "private character": ("unprintable-character", Severity.WARNING, [seen("on\ue001")], "U+E001"),
    "Cyrillic in words": (
        "look-alike",
        Severity.WARNING,
        [seen("sаnd"), seen("cаve")],
        "2 labels have characters that look like others ('а' (U+0430 CYRILLIC SMALL LETTER A) for 'a' in 2): write those",
    ),
    "Greek": ("look-alike", Severity.WARNING, [seen("cοp")], "(U+03BF GREEK SMALL LETTER OMICRON) for 'o' in 1"),
    "full-width letter": (
        "look-alike",
        Severity.WARNING,
        [seen("ａb")],
        "(U+FF41 FULLWIDTH LATIN SMALL LETTER A) for 'a' in 1",
    ),
    "ligature": ("look-alike", Severity.WARNING, [seen("ﬁn")], "(U+FB01 LATIN SMALL LIGATURE FI) for 'fi' in 1"),
    "rare characters": (
        "rare-character",
        Severity.NOTE,
        [seen("oñe"), seen("tñoé")],
        "2 characters are seen fewer than 5 times in training ('é' 1, 'ñ' 2): add images",
    ),
}


@pytest.mark.parametrize(("kind", "severity", "planted", "message"), PLANTED.values(), ids=PLANTED)
def test_a_planted_issue_is_found_and_nothing_else(
    kind: str, severity: Severity, planted: list[LintSample], message: str
) -> None:
    (issue,) = lint_with(*planted)
    assert (issue.code, issue.severity) == (kind, severity)
    assert paths(issue) == [one.sample.name for one in planted]
    assert message in str(issue)


def test_all_planted_issues_are_found_together() -> None:
    planted = [one for _, _, samples, _ in PLANTED.values() for one in samples]
    expected: Counter[str] = Counter()
    for kind, _, samples, _ in PLANTED.values():
        expected[kind] += len(samples)
    issues = lint_with(*planted)
    assert {issue.code: issue.count for issue in issues} == expected
    severities = [issue.severity for issue in issues]
    assert severities == sorted(severities, key=list(Severity).index)


# Issues of the readers


def test_what_the_loader_left_out_becomes_issues(tmp_path: Path) -> None:
    for name in ("a.png", "b.png", "c.png"):
        Image.new("L", (40, 32)).save(tmp_path / name)
    (tmp_path / "labels.tsv").write_text("a.png\tone\nb.png\t \nd.png\ttwo\ne.png\tthree\n")
    broken = UNREADABLE_IMAGE.at(tmp_path / "z.png", "z.png: not a readable image")
    issues = lint_with(issues=[*load_dataset(tmp_path).issues, broken])
    assert {issue.severity for issue in issues} == {Severity.EXCLUDED}
    assert {issue.code: paths(issue) for issue in issues} == {
        "empty-label": [str(tmp_path / "b.png")],
        "missing-picture": [str(tmp_path / "d.png"), str(tmp_path / "e.png")],
        "unlabelled-picture": ["c.png"],
        "unreadable-picture": [str(tmp_path / "z.png")],
    }
    missing = next(issue for issue in issues if issue.code == "missing-picture")
    assert missing.message == "2 excluded: row whose image is not there"
    assert [location.detail for location in missing.locations] == ["labels.tsv line 3: d.png", "labels.tsv line 4: e.png"]


# Duplicates


def test_each_copy_is_named_with_its_first() -> None:
    planted = [seen("one", "x.png", content=-1), seen("one", "y.png", content=-1), seen("one", "x.png", content=-1)]
    (issue,) = lint_with(*planted)
    assert (issue.code, issue.severity) == ("duplicate", Severity.NOTE)
    assert [(location.path, location.detail) for location in issue.locations] == [
        ("y.png", "the same as x.png: 'one'"),
        ("x.png", "this file is listed twice: 'one'"),
    ]


def test_a_validation_image_that_is_a_training_image_is_left_out() -> None:
    (issue,) = lint_with(seen("one", "x.png", content=-1), validated=[seen("one", "y.png", content=-1)])
    assert (issue.code, issue.severity) == ("picture-in-both", Severity.WARNING)
    assert [(location.path, location.detail) for location in issue.locations] == [("y.png", "the same as x.png: 'one'")]
    assert "would make the scores too good: left out of the validation" in str(issue)


def test_two_labels_are_found_across_the_split() -> None:
    issues = lint_with(seen("one", "x.png", content=-1), validated=[seen("two", "y.png", content=-1)])
    assert {issue.code: paths(issue) for issue in issues} == {
        "two-labels": ["x.png", "y.png"],
        "picture-in-both": ["y.png"],
    }


def test_a_text_in_both_sets_is_a_note_if_texts_are_short() -> None:
    (issue,) = lint_with(seen("total"), validated=[seen("total", "y.png")])
    assert (issue.code, issue.severity, paths(issue)) == ("text-in-both", Severity.NOTE, ["y.png"])
    assert str(issue).startswith("1 validation label is in the training set too (2%)")


def test_a_text_in_both_sets_is_a_warning_if_texts_are_long() -> None:
    learned, validated = clean_set(lambda chance: " ".join(word(chance) for _ in range(8)))
    (issue,) = lint(learned, [*validated, seen(learned[0].text, "y.png")], (), SMALL)
    assert (issue.code, issue.severity, paths(issue)) == ("text-in-both", Severity.WARNING, ["y.png"])
    assert "hold out other texts" in str(issue)


# Labels that fit


@pytest.mark.parametrize("preset", PRESETS)
@settings(derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(width=st.integers(1, 400), height=st.integers(1, 100), text=st.text("ab", min_size=1, max_size=60))
def test_a_label_fits_if_the_network_gives_the_frames_that_the_loss_needs(
    preset: str, width: int, height: int, text: str
) -> None:
    shape = PRESETS[preset]
    line = Preprocessor.for_model(shape).line(Image.new("L", (width, height)))
    fits = frames_needed(Charset("ab").encode(text)) <= shape.frames(line.shape[1])
    assert sizes.fit([seen(text, size=(width, height))], shape) == [fits]


@pytest.mark.parametrize("height", [8, 31, 32, 45, 64, 100])
@pytest.mark.parametrize("preset", PRESETS)
def test_the_width_that_is_named_is_the_smallest_that_fits(preset: str, height: int) -> None:
    shape = PRESETS[preset]
    for text in ("abcdefghijkl", "aabbccddee", "abcdefghijklmnopqrstuvwxyz" * 9):
        (issue,) = sizes.too_long_labels([seen(text, size=(4, height))], shape, Orientation.HORIZONTAL)
        width = int(issue.locations[0].detail.partition(": ")[2].split()[0].replace(",", ""))
        assert sizes.fit([seen(text, size=(width - 1, height)), seen(text, size=(width, height))], shape) == [False, True]


def test_the_preset_that_would_fit_is_named() -> None:
    learned, validated = clean_set(word)
    planted = [seen("abcdefghijkl", size=(40, 32)), seen("abcdefghijkl", size=(22, 32))]
    (issue,) = lint([*learned, *planted], validated, (), CLASSIC)
    assert "`preset=small` would fit 1 of them" in str(issue)
    assert issue.locations[0].detail == (
        "40 x 32 pixels give 11 of the 12 frames for 'abcdefghijkl': 44 pixels in width or preset small would fit"
    )
    assert "preset" not in issue.locations[1].detail


def test_a_label_that_no_line_can_hold_is_named_as_such() -> None:
    (issue,) = sizes.too_long_labels([seen("ab" * MAX_WIDTH, size=(10, 32))], SMALL, Orientation.HORIZONTAL)
    assert issue.locations[0].detail.endswith("only parts of the line would fit")


def test_vertical_lines_are_recomcorrected_to_be_turned() -> None:
    samples = [seen(word(random.Random(n), HAN, 4, 6), size=(32, 190)) for n in range(60)]
    issues = lint(samples[:50], samples[50:], (), SMALL)
    tall = next(issue for issue in issues if issue.code == "tall-picture")
    assert str(tall).startswith("60 images are much taller than wide, as vertical lines are: train with `orientation=vertical`")
    too_long = next(issue for issue in issues if issue.code == "label-too-long")
    assert "`orientation=vertical` would fit" in str(too_long)


@pytest.mark.parametrize(("text", "size"), [("ll", (15, 30)), ("1", (10, 32)), ("Up", (25, 48)), ("THE", (29, 38))])
def test_a_narrow_image_of_few_characters_is_no_vertical_line(text: str, size: tuple[int, int]) -> None:
    assert not sizes.is_tall(seen(text, size=size))


# Fatal issues


def test_it_is_fatal_if_nothing_is_left_to_train_on() -> None:
    _, validated = clean_set(word)
    issues = lint([], validated, [EMPTY_LABEL.at("line 1")], SMALL)
    assert codes(issues) == ["nothing-to-learn", "empty-label"]
    assert issues[0].severity is Severity.FATAL


def test_it_is_fatal_if_no_label_fits() -> None:
    learned = [seen(word(random.Random(n), least=12, most=12), size=(17, 24)) for n in range(9)]
    issues = lint(learned, None, (), SMALL)
    assert codes(issues) == ["nothing-to-learn", "label-too-long"]
    assert str(issues[0]) == "no image is left to train on (9 labels do not fit): fix what is excluded"


def test_it_is_fatal_if_nothing_is_left_of_a_validation_set() -> None:
    learned, _ = clean_set(word)
    assert codes(lint(learned, [], (), SMALL)) == ["nothing-to-validate"]
    assert codes(lint(learned, learned[:9], (), SMALL)) == ["nothing-to-validate", "picture-in-both"]
    assert lint(learned, None, (), SMALL) == []


def test_characters_that_the_start_model_does_not_know_are_named() -> None:
    learned, validated = clean_set(word)
    planted = [seen("naïve", "x.png"), seen("naïveté", "y.png")]
    issue, _ = lint([*learned, *planted], validated, (), SMALL, start=Charset(LATIN))
    assert (issue.code, issue.severity, paths(issue)) == ("unknown-character", Severity.NOTE, ["x.png", "y.png"])
    assert "'ï' (U+00EF LATIN SMALL LETTER I WITH DIAERESIS) in 2, 'é'" in str(issue)
    assert str(issue).endswith("they are added to it")


def test_an_unknown_character_that_resembles_a_known_one_is_a_warning() -> None:
    learned, validated = clean_set(word)
    first, second, *_ = lint([*learned, seen("sаnd")], validated, (), SMALL, start=Charset(LATIN))
    (issue,) = (one for one in (first, second) if one.code == "unknown-character")
    assert issue.severity is Severity.WARNING
    assert str(issue).endswith("write 'a' for 'а', which it knows and looks the same")


def test_plain_words_of_another_script_are_learned_without_advice() -> None:
    learned, validated = clean_set(word)
    planted = [seen("ах она"), seen("νερό"), seen("12 m³ （株）")]
    issue, *_ = lint([*learned, *planted], validated, (), SMALL, start=Charset(LATIN))
    assert (issue.code, issue.severity) == ("unknown-character", Severity.NOTE)
    assert str(issue).endswith("they are added to it")


def test_direction_marks_are_neither_learned_nor_reported() -> None:
    learned, validated = clean_set(word)
    assert lint([*learned, seen("\u200fone"), seen("\u202atwo\u202c")], validated, (), SMALL) == lint(
        learned, validated, (), SMALL
    )
    assert lint([*learned, seen("\u200fone")], validated, (), SMALL, start=Charset(LATIN)) == []


def test_only_a_character_that_the_start_model_lacks_can_be_rare() -> None:
    learned, validated = clean_set(word, learned=3)
    unknown, issue = lint([*learned, seen("naïve", "x.png")], validated, (), SMALL, start=Charset(LATIN))
    assert (unknown.code, issue.code, paths(issue)) == ("unknown-character", "rare-character", ["x.png"])
    assert issue.locations[0].detail == "'ï' (U+00EF LATIN SMALL LETTER I WITH DIAERESIS) seen 1 time: 'naïve'"


def test_a_character_that_only_the_validation_has_is_a_note() -> None:
    (issue,) = lint_with(validated=[seen("naïve", "y.png")])
    assert (issue.code, issue.severity, paths(issue)) == ("unseen-character", Severity.NOTE, ["y.png"])


def test_unknown_characters_are_named_with_their_files(tmp_path: Path) -> None:
    samples = [Sample(tmp_path / f"{n}.png", "aß") for n in range(5)] + [Sample(tmp_path / "db", "é", "image-000000001")]
    assert describe_unknown_characters(samples, Charset("a")) == [
        "'ß' (U+00DF LATIN SMALL LETTER SHARP S) in 5 files (0.png, 1.png, 2.png, …)",
        "'é' (U+00E9 LATIN SMALL LETTER E WITH ACUTE) in db:image-000000001",
    ]


def test_signs_that_stand_in_other_places_are_no_variants() -> None:
    texts = ["Wi-Fi", "T-shirt", "Kyiv – Lviv", "25 °C", "20 °C", "1º andar"]
    assert "mixed-variants" not in codes(lint_with(*map(seen, texts)))


def test_the_rarer_variants_of_a_sign_are_a_note() -> None:
    (issue,) = lint_with(*(seen("it's") for _ in range(9)), seen("it’s", "x.png"))
    assert (issue.code, issue.severity, paths(issue)) == ("mixed-variants", Severity.NOTE, ["x.png"])
    assert "(’ beside ')" in str(issue)


# Issues as JSON


def test_an_issue_as_json() -> None:
    (issue,) = lint_with(seen("ﬁn", "x.png"))
    assert json.loads(json.dumps(issue.to_json())) == {
        "kind": "look-alike",
        "severity": "warning",
        "message": str(issue),
        "count": 1,
        "places": [{"path": "x.png", "detail": "'ﬁ' (U+FB01 LATIN SMALL LIGATURE FI) for 'fi': 'ﬁn'"}],
    }


def test_messages_name_only_a_few_characters() -> None:
    planted = [seen(character * 2) for character in HAN]
    (issue,) = lint_with(*planted)
    assert issue.count == len(HAN)
    assert "and 12 more" in str(issue)


@pytest.mark.parametrize("same", ["image", "text", "nothing"])
def test_the_time_grows_with_the_samples_and_no_faster(same: str) -> None:
    """Twenty thousand samples take about 0.4 s of one core; comparing each with each would take minutes."""
    samples = [
        seen("one" if same == "text" else f"no {n:06}", content=-1 if same == "image" else None, size=(140, 32))
        for n in range(20_000)
    ]
    started = time.process_time()
    lint(samples[:19_000], samples[19_000:], (), SMALL)
    assert time.process_time() - started < 5
