"""The characters of labels: unknown or rare ones, odd spaces, confusables, and what no image shows."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from crnnocr.datasets import Sample
from crnnocr.datasets.issues import Issue, Location, Severity
from crnnocr.datasets.lint.sample import LintSample
from crnnocr.formatting import enumerated, plural, quoted
from crnnocr.text.bidi import is_direction_control
from crnnocr.text.charset import JOINERS, NUMBER_SIGNS, Charset, describe, unknown_characters
from crnnocr.text.confusables import Confusable, counterparts, find_confusables, mixed_variants

RARE = 5
"""A character that training sees fewer times than this is hardly learned."""

_MAX_FILES_NAMED = 3

_Holder: TypeAlias = tuple[LintSample, list[str]]
"""A sample, and the characters in question that its label holds."""

_IDEOGRAPHIC_SPACE = "\u3000"
_REPLACEMENT = "\ufffd"
# Format characters with ink: number signs, and the tags of flags.
_FORMATS_WITH_INK = re.compile(f"[{NUMBER_SIGNS}\U000e0020-\U000e007f]")
# Joiners shape Arabic and Indic letters and join emoji; beside Latin, Greek and Cyrillic letters they do nothing.
_IDLE_JOINER = re.compile(f"(?<![^\\s\u0000-\u052f])[{JOINERS}]")


def describe_unknown_characters(samples: Sequence[Sample], charset: Charset) -> list[str]:
    """Describe each character of the labels that `charset` lacks, with the number of files and the names of the first.

    The one in most files comes first.
    """
    found = unknown_characters((sample.text for sample in samples), charset)
    return [
        f"{describe(character)} in {_file_names([Path(samples[i].name).name for i in indices])}"
        for character, indices in sorted(found.items(), key=lambda item: -len(item[1]))
    ]


def _file_names(names: Sequence[str]) -> str:
    first = ", ".join(names[:_MAX_FILES_NAMED])
    return first if len(names) <= _MAX_FILES_NAMED else f"{len(names)} files ({first}, …)"


def new_characters(samples: Sequence[LintSample], start: Charset) -> Iterator[Issue]:
    """Find characters that are new to the start model. It will learn them, so each should be meant."""
    found = unknown_characters((sample.text for sample in samples), start)
    if found:
        by_sample: dict[int, list[str]] = {}
        for character, indices in found.items():
            for index in indices:
                by_sample.setdefault(index, []).append(character)
        holders = [(samples[index], characters) for index, characters in sorted(by_sample.items())]
        same = counterparts([sample.text for sample in samples], start.characters)
        similar = [f"{same[c]!r} for {c!r}" for c in found if c in same]
        fix = f"write {enumerated(similar)}, which it knows and looks the same" if similar else "they are added to it"
        message = f"{_have_characters(len(holders))} that the start model does not know ({_named(holders)})"
        yield Issue("unknown-character", Severity.WARNING if similar else Severity.NOTE, message, fix, _locations(holders))


def characters(
    samples: Sequence[LintSample], train: Sequence[LintSample], validation: Sequence[LintSample], known: Collection[str]
) -> Iterator[Issue]:
    """Find what is wrong with the characters of labels.

    Args:
        samples: all samples.
        train: those to train on.
        validation: those to validate on.
        known: characters that the model knows already, so that they may be rare.
    """
    texts = [sample.text for sample in samples]
    alphabet = Counter("".join(texts))
    odd = _odd_spaces(alphabet)
    hidden = {c for c in alphabet if _is_hidden(c)}
    confusables = list(find_confusables(texts, alphabet))
    variants = list(mixed_variants(alphabet))
    yield from _odd_space_issues(_holders(samples, odd))
    yield from _hidden_issues(_holders(samples, hidden) + _idle_joiners(samples, alphabet))
    yield from _confusable_issues(samples, confusables)
    yield from _variant_issues(samples, variants)
    unusual = {c for _, others in variants for c in others}
    directing = set(filter(is_direction_control, alphabet))  # they act on the order, and are not learned
    reported = {*odd, *hidden, *directing, *unusual, *JOINERS, *(confusable.character for confusable in confusables)}
    yield from _rare_issues(train, validation, {*known, *reported})


def _odd_spaces(alphabet: Mapping[str, int]) -> set[str]:
    """White space that looks like the set's ordinary space, which in an East Asian set may be the ideographic one."""
    east_asian = any(unicodedata.east_asian_width(c) == "W" for c in alphabet)
    ordinary = _IDEOGRAPHIC_SPACE if east_asian and " " not in alphabet else " "
    return {c for c in alphabet if c.isspace()} - {ordinary}


def _is_hidden(character: str) -> bool:
    """Whether no image shows a character, or it stands for one that was lost."""
    if character.isspace() or character in JOINERS or is_direction_control(character) or _FORMATS_WITH_INK.match(character):
        return False
    return unicodedata.category(character) in ("Cc", "Cf", "Co", "Cn") or character == _REPLACEMENT


def _idle_joiners(samples: Sequence[LintSample], alphabet: Mapping[str, int]) -> list[_Holder]:
    if not alphabet.keys() & set(JOINERS):
        return []
    return [(sample, sorted(set(found))) for sample in samples if (found := _IDLE_JOINER.findall(sample.text))]


def _odd_space_issues(holders: Sequence[_Holder]) -> Iterator[Issue]:
    if holders:
        have = plural(len(holders), "label has white space", "labels have white space")
        message = f"{have} that looks like a space and is another character ({_named(holders)})"
        yield Issue("odd-space", Severity.WARNING, message, "write plain spaces", _locations(holders))


def _hidden_issues(holders: Sequence[_Holder]) -> Iterator[Issue]:
    if holders:
        message = f"{_have_characters(len(holders))} that no image shows ({_named(holders)})"
        fix = "take them out, or write what the image says"
        yield Issue("unprintable-character", Severity.WARNING, message, fix, _locations(holders))


def _confusable_issues(samples: Sequence[LintSample], found: Sequence[Confusable]) -> Iterator[Issue]:
    if found:
        counts = Counter((each.character, each.intended) for each in found).most_common()
        which = enumerated([f"{describe(character)} for {intended!r} in {n:,}" for (character, intended), n in counts])
        details: dict[int, list[str]] = {}
        for each in found:
            details.setdefault(each.index, []).append(f"{describe(each.character)} for {each.intended!r}")
        message = f"{_have_characters(len(details))} that look like others ({which})"
        fix = "write those, for no image tells them apart"
        locations = (samples[i].at(f"{', '.join(parts)}: {quoted(samples[i].text)}") for i, parts in details.items())
        yield Issue("look-alike", Severity.WARNING, message, fix, tuple(locations))


def _variant_issues(samples: Sequence[LintSample], variants: Sequence[tuple[str, str]]) -> Iterator[Issue]:
    found = {(usual, others): _in_same_places(samples, usual, others) for usual, others in variants}
    variants = [variant for variant in variants if found[variant]]
    holders = [holder for variant in variants for holder in found[variant]]
    if holders:
        which = enumerated([f"{' '.join(others)} beside {' '.join(usual)}" for usual, others in variants])
        have = plural(len(holders), "label writes a sign", "labels write signs")
        message = f"{have} in another way than most ({which})"
        fix = "write one way throughout, unless the images differ too"
        yield Issue("mixed-variants", Severity.NOTE, message, fix, _locations(holders))


def _in_same_places(samples: Sequence[LintSample], usual: str, others: str) -> list[_Holder]:
    """The samples in which signs stand where the usual ones do elsewhere: a dash between spaces is no hyphen in a word."""
    places = {place for sample in samples for c, place in _places(sample.text, usual)}
    found = ((sample, sorted({c for c, place in _places(sample.text, others) if place in places})) for sample in samples)
    return [(sample, signs) for sample, signs in found if signs]


def _places(text: str, signs: str) -> Iterator[tuple[str, tuple[str, str]]]:
    """Each of the signs in a text, with what kinds of characters stand before and after it."""
    around = ["space", *map(_kind, text), "space"]
    return ((c, (around[i], around[i + 2])) for i, c in enumerate(text) if c in signs)


def _kind(character: str) -> str:
    if character.isspace():
        return "space"
    return "letter" if character.isalpha() else "digit" if character.isnumeric() else "sign"


def _rare_issues(train: Sequence[LintSample], validation: Sequence[LintSample], expected: Collection[str]) -> Iterator[Issue]:
    trained = Counter("".join(sample.text for sample in train))
    few = {c: count for c, count in sorted(trained.items()) if count < RARE and c not in expected}
    if few:
        which = enumerated([f"{c!r} {count}" for c, count in few.items()])
        message = f"{plural(len(few), 'character is', 'characters are')} seen fewer than {RARE} times in training ({which})"
        locations = tuple(
            sample.at(f"{_times_seen(found, few)}: {quoted(sample.text)}") for sample, found in _holders(train, few)
        )
        yield Issue("rare-character", Severity.NOTE, message, "add images that show them", locations)
    unseen = {c for sample in validation for c in sample.text} - trained.keys() - set(expected)
    if trained and unseen:
        holders = _holders(validation, unseen)
        message = f"{_have_characters(len(holders), 'validation ')} that no training label has ({_named(holders)})"
        yield Issue("unseen-character", Severity.NOTE, message, "add images", _locations(holders))


def _times_seen(characters: Sequence[str], counts: Mapping[str, int]) -> str:
    return ", ".join(f"{describe(c)} seen {plural(counts[c], 'time')}" for c in characters)


def _have_characters(count: int, which: str = "") -> str:
    return plural(count, f"{which}label has characters", f"{which}labels have characters")


def _holders(samples: Sequence[LintSample], characters: Collection[str]) -> list[_Holder]:
    """The samples whose labels hold any of `characters`."""
    if not characters:
        return []
    pattern = re.compile(f"[{re.escape(''.join(characters))}]")
    return [(sample, sorted(set(found))) for sample in samples if (found := pattern.findall(sample.text))]


def _named(holders: Sequence[_Holder]) -> str:
    """The characters of `holders`, the most frequent first, each with the number of labels that hold it."""
    counts = Counter(c for _, found in holders for c in found)
    return enumerated([f"{describe(c)} in {count:,}" for c, count in counts.most_common()])


def _locations(holders: Sequence[_Holder]) -> tuple[Location, ...]:
    return tuple(sample.at(f"{', '.join(map(describe, found))}: {quoted(sample.text)}") for sample, found in holders)
