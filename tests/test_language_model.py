"""The character language model, and what a search makes of it."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from paths import WIDE, Floats, Text, random_log_probs
from small_texts import SMALL, probs_of_small

from crnnocr.config import DecodeConfig
from crnnocr.decoding import Decoder
from crnnocr.decoding.constrained_beam import Fusion
from crnnocr.decoding.language_model import LanguageModel
from crnnocr.errors import UsageError
from crnnocr.text.charset import Charset

LINES = ["the cat sat on the mat", "the hat and the cat", "a cat on a mat", "that cat ate the oats", "on and on the sea"] * 4
CHARSET = Charset.from_texts(LINES)
"""Of which all texts that fit five frames are searched."""
SMALL_LINES = ["ab ab", "aab", "abb ab", "ba ab", "b", "abab"]


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    return LanguageModel.of_lines(LINES, CHARSET)


def contexts_of(model: LanguageModel, line: str) -> list[int]:
    """The contexts along a line, its beginning first."""
    contexts = [model.start]
    for character in CHARSET.encode(line):
        contexts.append(model.next(contexts[-1], character))
    return contexts


def test_the_characters_after_any_context_have_probabilities_that_sum_to_1(model: LanguageModel) -> None:
    for context in {c for line in [*LINES, "tttttt", "oeaoea", ""] for c in contexts_of(model, line)}:
        probs = model.probs(context)
        assert probs.min() > 0
        assert probs.sum() == pytest.approx(1, abs=1e-6)  # 32-bit numbers are kept


def test_unigrams_and_bigrams_are_those_of_kneser_and_ney() -> None:
    # "ab" twice and "b": with boundaries ^, of the pairs ^a·2, ab·2, b$·3, ^b·1 the continuations are: a follows 1 character,
    # b 2, the end 1. Too few for discounts of its own: 0.5, 0.75 and 0.9 of counts 1, 2, 3. Uniform is 1/4 (a, b, c, end).
    model = LanguageModel.of_lines(["ab", "ab", "b"], Charset("abc"), order=2)
    unigram = {"a": (1 - 0.5) / 4, "b": (2 - 0.75) / 4}
    left = (0.5 + 0.75 + 0.5) / 4
    after_start = model.probs(model.start)
    lower = {c: unigram[c] + left / 4 for c in unigram}
    share = (0.75 + 0.5) / 3  # the weight that ^a and ^b leave to the shorter context, of three line starts
    assert after_start[1] == pytest.approx((2 - 0.75) / 3 + share * lower["a"], abs=1e-6)
    assert after_start[2] == pytest.approx((1 - 0.5) / 3 + share * lower["b"], abs=1e-6)
    assert after_start[3] == pytest.approx(share * left / 4, abs=1e-6)  # c was never seen


def test_what_the_text_holds_is_more_probable_than_what_it_does_not(model: LanguageModel) -> None:
    assert model.log_prob(CHARSET.encode("the cat on a mat")) > model.log_prob(CHARSET.encode("tne cat on a mat")) + 2
    assert model.log_prob(CHARSET.encode("that cat")) > model.log_prob(CHARSET.encode("that ca"))  # the end counts


def test_unknown_characters_part_the_text_and_teach_nothing() -> None:
    charset = Charset("ab")
    with_unknown = LanguageModel.of_lines(["abxab"], charset)
    a, b = charset.encode("ab")
    after_b = with_unknown.next(with_unknown.next(with_unknown.start, a), b)
    assert with_unknown.probs(after_b).argmax() == 0  # b was followed by the end, never by a
    with pytest.raises(UsageError, match="no character that the model knows"):
        LanguageModel.of_lines(["xyz"], charset)


def test_right_to_left_lines_are_learned_in_visual_order() -> None:
    charset = Charset("(אב")  # on paper the bracket of the first line is a closing one, which is unknown
    model = LanguageModel.of_lines(["(א", "אב", "בא"] * 20, charset)
    assert 0 < model.bonus < math.log(4)
    letters = LanguageModel.of_lines(["אב"] * 20, Charset("אב"))
    assert letters.probs(letters.start).argmax() == 2, "the last letter stands first"


def test_what_follows_an_unknown_character_is_measured_without_it() -> None:
    model = LanguageModel.of_lines(LINES, CHARSET)
    whole, without = (model.cross_entropy([line], CHARSET) for line in ("the #cat", "the cat"))
    assert whole > without  # the c follows no context rather than "the "
    assert model.cross_entropy(["#"], CHARSET) == -math.log(model.probs(0)[0])  # the end alone


def test_a_model_of_single_characters_has_no_contexts() -> None:
    model = LanguageModel.of_lines(["aab", "ab"], Charset("ab"), order=1)
    assert model.start == model.next(model.start, 1) == 0
    assert model.probs(0)[1] > model.probs(0)[2]


def test_the_bonus_is_what_unseen_lines_lose_a_character() -> None:
    rng = np.random.default_rng(1)
    charset = Charset("abcd")
    # Characters of equal chance and an end with a chance of 1/21: no model loses less than their entropy.
    lines = ["".join(rng.choice(list("abcd"), size=rng.geometric(1 / 21))) for _ in range(3000)]
    entropy = -(20 / 21) * math.log(20 / 21 / 4) - math.log(1 / 21) / 21
    assert LanguageModel.of_lines(lines, charset).bonus == pytest.approx(entropy, rel=0.05)


def kept_in(cache: Path) -> dict[str, int]:
    """The files of a cache and when they were written."""
    return {file.name: file.stat().st_mtime_ns for file in cache.iterdir()}


def test_a_model_is_kept_for_each_text_and_charset(tmp_path: Path) -> None:
    text, cache = tmp_path / "text.txt", tmp_path / "cache" / "lm"
    text.write_text("\n".join(LINES), encoding="utf-8")
    made = LanguageModel.load(str(text), CHARSET, cache)
    files = kept_in(cache)
    copy = tmp_path / "copy.txt"
    copy.write_bytes(text.read_bytes())
    kept = LanguageModel.load(str(copy), CHARSET, cache)
    ids = CHARSET.encode("the oat")
    assert kept.log_prob(ids) == made.log_prob(ids)
    assert kept.bonus == made.bonus
    assert kept_in(cache) == files
    text.write_text("the oat\n" * 9, encoding="utf-8")
    assert LanguageModel.load(str(text), CHARSET, cache).log_prob(ids) > made.log_prob(ids)
    other = Charset(CHARSET.characters + "z")
    assert LanguageModel.load(str(copy), other, cache).classes == other.classes
    assert len(kept_in(cache)) == 3
    assert files.items() <= kept_in(cache).items()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off", b"no archive"])
def test_a_broken_cache_is_made_again(content: bytes, tmp_path: Path) -> None:
    text, cache = tmp_path / "text.txt", tmp_path / "lm"
    text.write_text("\n".join(LINES), encoding="utf-8")
    made = LanguageModel.load(str(text), CHARSET, cache)
    (file,) = cache.iterdir()
    whole = file.read_bytes()
    file.write_bytes(content)
    assert LanguageModel.load(str(text), CHARSET, cache).log_prob([1]) == made.log_prob([1])
    assert len(file.read_bytes()) == len(whole)


def test_the_model_is_made_even_if_it_cannot_be_cached(tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("\n".join(LINES), encoding="utf-8")
    expected = LanguageModel.of_lines(LINES, CHARSET).log_prob([1])
    for place in (text, text / "lm", text / "crnnocr" / "lm"):  # a file is no folder
        assert LanguageModel.load(str(text), CHARSET, place).log_prob([1]) == expected


def scores_by_counting(line: Floats, fusion: Fusion, **restrictions: str) -> dict[Text, float]:
    """The score of every text; `restrictions` say which characters are allowed."""
    probs = probs_of_small(line, **restrictions)
    return {text: math.log(p) + fusion.log_score(text) for text, p in probs.items() if p > 0}


RESTRICTIONS: list[dict[str, str]] = [
    {},
    {"pattern": "a.*b"},
    {"pattern": ".{2,}"},
    {"allow": "ab"},
    {"block": "b"},
    {"lexicon": "ab b"},
    {"lexicon": "ab b", "block": " "},
    {"lexicon": "a ab", "pattern": r"\w+ \w+"},
    {"lexicon": "a ab b", "pattern": ".*b", "allow": "b a"},
]


def is_permitted(text: str, lexicon: str = "", pattern: str = ".*", allow: str = SMALL.characters, block: str = "") -> bool:
    """Whether a text satisfies each restriction by itself; words are made of letters, so that a line is split at spaces."""
    return (
        bool(re.fullmatch(pattern, text))
        and set(text) <= set(allow) - set(block)
        and (not lexicon or all(word in lexicon.split() for word in text.split()))
    )


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0, 2.5])
@pytest.mark.parametrize("restrictions", RESTRICTIONS)
def test_a_wide_beam_ranks_texts_by_image_and_language(weight: float, restrictions: dict[str, str], tmp_path: Path) -> None:
    path, words = tmp_path / "text.txt", tmp_path / "words.txt"
    path.write_text("\n".join(SMALL_LINES), encoding="utf-8")
    words.write_text("\n".join(restrictions.get("lexicon", "").split()), encoding="utf-8")
    options: dict[str, Any] = restrictions | ({"lexicon": str(words)} if "lexicon" in restrictions else {})
    decoder = Decoder(DecodeConfig(beam=WIDE, top_k=WIDE, lm=str(path), lm_weight=weight, **options), SMALL)
    assert decoder.language_model
    characters = {name: restrictions[name] for name in ("allow", "block") if name in restrictions}
    fusion = Fusion(decoder.language_model, weight)
    rng = np.random.default_rng(7)
    for frames in (1, 2, 3, 4, 5):
        line = random_log_probs(rng, frames, 4, 1.0)
        expected = {
            text: score
            for text, score in scores_by_counting(line, fusion, **characters).items()
            if is_permitted(SMALL.decode(text), **restrictions)
        }
        (found,) = decoder.decode([line])
        assert [h.ids for h in found] == sorted(expected, key=expected.__getitem__, reverse=True)
        scores = [hypothesis.log_prob + fusion.log_score(hypothesis.ids) for hypothesis in found]
        assert scores == pytest.approx(sorted(expected.values(), reverse=True))


def test_a_score_is_the_model_s_and_the_bonus_of_each_character() -> None:
    model = LanguageModel.of_lines(SMALL_LINES, SMALL)
    fusion = Fusion(model, 0.5)
    context, total = model.start, 0.0
    for character in (1, 2):
        total += math.log(model.probs(context)[character]) + model.bonus
        context = model.next(context, character)
    assert fusion.log_score((1, 2)) == pytest.approx(0.5 * (total + math.log(model.probs(context)[0])))


def test_the_language_decides_what_the_image_leaves_open(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text("\n".join(LINES), encoding="utf-8")
    ids, other = CHARSET.encode("the cat"), CHARSET.encode("tne cat")
    line = np.full((13, CHARSET.classes), 1e-4)
    line[1::2, 0] = 1.0  # frames of characters and of blanks take turns
    for t, (likely, rival) in enumerate(zip(other, ids, strict=True)):
        line[2 * t, likely] += 0.5
        line[2 * t, rival] += 0.45
    log_probs = np.log(line)
    log_probs -= np.logaddexp.reduce(log_probs, axis=1, keepdims=True)
    assert CHARSET.decode(Decoder(DecodeConfig(beam=5), CHARSET).decode([log_probs])[0][0].ids) == "tne cat"
    assert CHARSET.decode(Decoder(DecodeConfig(lm=str(path)), CHARSET).decode([log_probs])[0][0].ids) == "the cat"


def test_a_language_model_neither_shortens_nor_lengthens_its_own_texts() -> None:
    model = LanguageModel.of_lines(LINES, CHARSET)
    fusion = Fusion(model, 1.0)
    scores = [fusion.log_score(CHARSET.encode(line)) / len(line) for line in LINES]
    # Nothing a character on average, except that seen lines lose less than unseen ones.
    assert 0 <= np.mean(scores) < model.bonus


@pytest.mark.parametrize("compression", [1, 99])
def test_a_cache_of_another_compression_is_made_again(compression: int, tmp_path: Path) -> None:
    text, cache = tmp_path / "text.txt", tmp_path / "cache"
    text.write_text("the oat\n", encoding="utf-8")
    made = LanguageModel.load(str(text), CHARSET, cache)
    (kept,) = cache.iterdir()
    content = bytearray(kept.read_bytes())
    at = -1
    while (at := content.find(b"PK\x01\x02", at + 1)) >= 0:  # of each file in the archive
        content[at + 10 : at + 12] = compression.to_bytes(2, "little")
    at = -1
    while (at := content.find(b"PK\x03\x04", at + 1)) >= 0:
        content[at + 8 : at + 10] = compression.to_bytes(2, "little")
    kept.write_bytes(content)
    again = LanguageModel.load(str(text), CHARSET, cache)
    ids = CHARSET.encode("oat")
    assert again.log_prob(ids) == made.log_prob(ids)
