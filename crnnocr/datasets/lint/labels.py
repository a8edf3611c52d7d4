"""Which characters of the labels a model does not know.

The characters of labels: spaces, what no picture shows, look-alikes, and what is too rare to be learnt.
"""

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
from crnnocr.text.charset import JOINERS, Charset, describe
from crnnocr.text.confusables import LookAlike, look_alikes, mixed_variants, twin_in

_FILES_NAMED = 3


def describe_unknown_characters(samples: Sequence[Sample], charset: Charset) -> list[str]:
    """For each character that `charset` lacks: itself, its code point and name, in how many files, and the first of them."""
    files: dict[str, list[str]] = {}
    for sample in samples:
        for character in charset.unknown(sample.text):
            files.setdefault(character, []).append(Path(sample.name).name)
    return [f"{describe(character)} in {_file_names(names)}" for character, names in sorted(files.items())]


def _file_names(names: Sequence[str]) -> str:
    first = ", ".join(names[:_FILES_NAMED])
    return first if len(names) <= _FILES_NAMED else f"{len(names)} files ({first}, …)"


RARE = 5
"""A character that is seen fewer times than this is hardly learnt."""

Holder: TypeAlias = tuple[LintSample, list[str]]
"""A sample, and the characters in question that its label has."""

_DOUBLE_SPACE = re.compile(r"\s\s")
_IDEOGRAPHIC_SPACE = "\u3000"
_REPLACEMENT = "\ufffd"
# Signs of format that are drawn: Arabic and Syriac number signs, and the tags of flags.
_DRAWN = re.compile("[\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\U000e0020-\U000e007f]")
# Joiners shape Arabic and Indic letters and join emoji; beside Latin, Greek and Cyrillic letters they do nothing.
_IDLE_JOINER = re.compile(f"(?<![^\\s\u0000-\u052f])[{JOINERS}]")


def of_labels(
    seen: Sequence[LintSample], train: Sequence[LintSample], val: Sequence[LintSample], known: Collection[str]
) -> Iterator[Issue]:
    """What is wrong with the characters of labels.

    Args:
        seen: all samples.
        train: those that will be learned from.
        val: those that will be validated on.
        known: characters that need not be learnt.
    """
    texts = [one.text for one in seen]
    alphabet = Counter("".join(texts))
    odd = _odd_spaces(alphabet)
    hidden = {c for c in alphabet if _is_hidden(c)}
    twins = list(look_alikes(texts, alphabet))
    signs = list(mixed_variants(alphabet))
    yield from _double_spaces(seen)
    yield from _odd_spaces_in(_holders(seen, odd))
    yield from _unprintable(_holders(seen, hidden) + _idle_joiners(seen, alphabet))
    yield from _look_alikes(seen, twins)
    yield from _mixed_variants(seen, signs)
    unusual = {c for _, others in signs for c in others}
    yield from _rare(train, val, {*known, *odd, *hidden, *unusual, *JOINERS, *(one.character for one in twins)})


def unknown_characters(seen: Sequence[LintSample], known: str) -> Iterator[Issue]:
    """Characters that are new to the start model, which has `known` ones. It learns them, so that each should be meant."""
    lacking = {c for one in seen for c in one.text} - set(known)
    if lacking:
        holders = _holders(seen, lacking)
        twins = [f"{twin!r} for {c!r}" for c in sorted(lacking) if (twin := twin_in(known, c))]
        fix = f"write {enumerated(twins)}, which it knows and looks the same" if twins else "they are added to it"
        message = f"{_have_characters(len(holders))} that the start model does not know ({_named(holders)})"
        yield Issue("unknown-character", Severity.WARNING if twins else Severity.NOTE, message, fix, _locations(holders))


def _odd_spaces(alphabet: Mapping[str, int]) -> set[str]:
    """White space that looks like the set's ordinary space, which in an East Asian set may be the ideographic one."""
    east_asian = any(unicodedata.east_asian_width(c) == "W" for c in alphabet)
    ordinary = _IDEOGRAPHIC_SPACE if east_asian and " " not in alphabet else " "
    return {c for c in alphabet if c.isspace()} - {ordinary}


def _is_hidden(character: str) -> bool:
    """Whether no picture shows a character, or it stands for one that was lost."""
    if character.isspace() or character in JOINERS or _DRAWN.match(character):
        return False
    return unicodedata.category(character) in ("Cc", "Cf", "Co", "Cn") or character == _REPLACEMENT


def _idle_joiners(seen: Sequence[LintSample], alphabet: Mapping[str, int]) -> list[Holder]:
    if not alphabet.keys() & set(JOINERS):
        return []
    return [(one, sorted(set(found))) for one in seen if (found := _IDLE_JOINER.findall(one.text))]


def _double_spaces(seen: Sequence[LintSample]) -> Iterator[Issue]:
    locations = tuple(one.at() for one in seen if _DOUBLE_SPACE.search(one.text))
    if locations:
        have = plural(len(locations), "label has several spaces in a row", "labels have several spaces in a row")
        message = f"{have}, and pictures do not show how many"
        yield Issue("double-space", Severity.WARNING, message, "write one", locations)


def _odd_spaces_in(holders: Sequence[Holder]) -> Iterator[Issue]:
    if holders:
        have = plural(len(holders), "label has white space", "labels have white space")
        message = f"{have} that looks like a space and is another character ({_named(holders)})"
        yield Issue("odd-space", Severity.WARNING, message, "write plain spaces", _locations(holders))


def _unprintable(holders: Sequence[Holder]) -> Iterator[Issue]:
    if holders:
        have = _have_characters(len(holders))
        message = f"{have} that no picture shows ({_named(holders)})"
        fix = "take them out, or write what the picture says"
        yield Issue("unprintable-character", Severity.WARNING, message, fix, _locations(holders))


def _look_alikes(seen: Sequence[LintSample], found: Sequence[LookAlike]) -> Iterator[Issue]:
    if found:
        counts = Counter((one.character, one.twin) for one in found).most_common()
        which = enumerated([f"{describe(character)} for {twin!r} in {count:,}" for (character, twin), count in counts])
        details: dict[int, list[str]] = {}
        for one in found:
            details.setdefault(one.index, []).append(f"{describe(one.character)} for {one.twin!r}")
        have = _have_characters(len(details))
        message = f"{have} that look like others ({which})"
        fix = "write those, for no picture tells them apart"
        locations = (seen[i].at(f"{', '.join(parts)}: {quoted(seen[i].text)}") for i, parts in details.items())
        yield Issue("look-alike", Severity.WARNING, message, fix, tuple(locations))


def _mixed_variants(seen: Sequence[LintSample], signs: Sequence[tuple[str, str]]) -> Iterator[Issue]:
    holders = _holders(seen, {c for _, others in signs for c in others})
    if holders:
        which = enumerated([f"{' '.join(others)} beside {' '.join(usual)}" for usual, others in signs])
        have = plural(len(holders), "label writes a sign", "labels write signs")
        message = f"{have} in another way than most ({which})"
        fix = "write one way throughout, unless the pictures differ too"
        yield Issue("mixed-variants", Severity.NOTE, message, fix, _locations(holders))


def _rare(train: Sequence[LintSample], val: Sequence[LintSample], expected: Collection[str]) -> Iterator[Issue]:
    learned = Counter("".join(one.text for one in train))
    few = {c: count for c, count in sorted(learned.items()) if count < RARE and c not in expected}
    if few:
        which = enumerated([f"{c!r} {count}" for c, count in few.items()])
        are = plural(len(few), "character is", "characters are")
        message = f"{are} seen fewer than {RARE} times in training ({which})"
        locations = tuple(one.at(f"{_seen(found, few)}: {quoted(one.text)}") for one, found in _holders(train, few))
        yield Issue("rare-character", Severity.NOTE, message, "add pictures that show them", locations)
    unseen = {c for one in val for c in one.text} - learned.keys() - set(expected)
    if learned and unseen:
        holders = _holders(val, unseen)
        message = f"{_have_characters(len(holders), 'validation ')} that no training label has ({_named(holders)})"
        yield Issue("unseen-character", Severity.NOTE, message, "add pictures", _locations(holders))


def _seen(characters: Sequence[str], counts: Mapping[str, int]) -> str:
    return ", ".join(f"{describe(c)} seen {plural(counts[c], 'time', 'times')}" for c in characters)


def _have_characters(count: int, which: str = "") -> str:
    return plural(count, f"{which}label has characters", f"{which}labels have characters")


def _holders(seen: Sequence[LintSample], characters: Collection[str]) -> list[Holder]:
    """The samples whose labels have any of `characters`."""
    if not characters:
        return []
    pattern = re.compile(f"[{re.escape(''.join(characters))}]")
    return [(one, sorted(set(found))) for one in seen if (found := pattern.findall(one.text))]


def _named(holders: Sequence[Holder]) -> str:
    """The characters of `holders`, the most frequent first, and in how many labels each is."""
    counts = Counter(c for _, found in holders for c in found)
    return enumerated([f"{describe(c)} in {count:,}" for c, count in counts.most_common()])


def _locations(holders: Sequence[Holder]) -> tuple[Location, ...]:
    return tuple(one.at(f"{', '.join(map(describe, found))}: {quoted(one.text)}") for one, found in holders)
