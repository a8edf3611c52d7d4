"""Counting the n-grams of a text, and smoothing them to probabilities.

Interpolated modified Kneser-Ney smoothing (Chen and Goodman 1999, "An Empirical Study of Smoothing Techniques for Language
Modeling", section 3), over characters: the longest n-grams have their counts, shorter ones the number of characters that come
before them, and each loses a discount that is handed to the next shorter one. Measured with 6-grams on every tenth line: over
2,063 different lines of receipts its perplexity is 7.4 a character and interpolated Witten-Bell's 9.0, over 1 MB of English
documentation 2.23 and 2.39.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crnnocr.charset import BLANK, Charset
from crnnocr.direction import visual

BOUNDARY = 0
"""Stands for the beginning of a line where it is a context, and for its end where it follows one; the blank's class id."""

UNKNOWN = -1
"""Stands for a character that the charset lacks."""
_DISCOUNTS = (0.5, 0.75, 0.9)
"""Of n-grams seen once, twice and oftener, where a text is too small to tell them."""


@dataclass(frozen=True)
class NGrams:
    """A smoothed model as a trie: n-grams in order of length, then of what they follow, then of their last character.

    Node 0 is the empty context and node g + 1 that of n-gram g, of all but the longest n-grams.
    """

    symbols: NDArray[np.int32]
    """(G,) last character of each n-gram."""
    gains: NDArray[np.float32]
    """(G,) its probability after the others, less what the shorter n-gram adds."""
    begins: NDArray[np.int32]
    """(K + 1,) by node, its first n-gram; they end where those of the next node begin."""
    shares: NDArray[np.float32]
    """(K,) by node, what the probabilities of the shorter context are multiplied by."""
    shorter: NDArray[np.int32]
    """(K,) by node, the context without its first character."""


def symbols_of(lines: Sequence[str], charset: Charset) -> NDArray[np.int64]:
    """Class ids of all lines from left to right, each between two `BOUNDARY`; `UNKNOWN` for what the charset lacks."""
    table = np.full(0x110000, UNKNOWN, dtype=np.int64)
    table[[ord(character) for character in charset.characters]] = np.arange(BLANK + 1, charset.classes)
    table[ord("\n")] = BOUNDARY
    text = "".join(f"\n{visual(line)}\n" for line in lines)
    return table[np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)]


def smoothed(symbols: NDArray[np.int64], classes: int, order: int) -> NGrams:
    """The model of n-grams of up to `order` characters.

    Args:
        symbols: what `symbols_of` made of a text. No n-gram goes over an unknown character.
        classes: C, the number of characters and one for the boundary.
        order: the longest n-grams.
    """
    grams = [_Order(np.arange(classes), _unigram_counts(symbols, classes), np.zeros(classes, dtype=np.int64))]
    available = _available(symbols)
    ids = symbols
    for length in range(2, order + 1):
        ends = np.flatnonzero(available >= length)
        keys, first, inverse, counts = np.unique(
            ids[ends - 1] * classes + symbols[ends], return_index=True, return_inverse=True, return_counts=True
        )
        grams.append(_Order(keys, counts, ids[ends[first]]))
        ids = np.full(len(symbols), UNKNOWN)
        ids[ends] = inverse
    return _joined(grams, classes)


@dataclass(frozen=True)
class _Order:
    """The different n-grams of one length."""

    keys: NDArray[np.int64]
    """(G,) number of the n-gram without its last character · C + that character, ascending."""
    counts: NDArray[np.int64]
    """(G,) how often it occurs."""
    shorter: NDArray[np.int64]
    """(G,) number of the n-gram without its first character."""


def _unigram_counts(symbols: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    return np.bincount(symbols[(symbols != UNKNOWN) & ~_starts(symbols)], minlength=classes)


def _starts(symbols: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Where lines begin: every other boundary."""
    boundaries = symbols == BOUNDARY
    starts: NDArray[np.bool_] = boundaries & (boundaries.cumsum() % 2 == 1)
    return starts


def _available(symbols: NDArray[np.int64]) -> NDArray[np.int64]:
    """By place, how many symbols an n-gram that ends there can have: it stays within its line and known characters."""
    places = np.arange(len(symbols))
    begins = np.where(_starts(symbols), places, np.where(symbols == UNKNOWN, places + 1, 0))
    return places + 1 - np.maximum.accumulate(begins)


def _joined(grams: list[_Order], classes: int) -> NGrams:
    """The model of the counts of all lengths."""
    first_gram = np.cumsum([0, *(len(own.keys) for own in grams)])
    first_node = [0, *(first_gram[:-1] + 1)]  # by length of the context
    nodes = first_node[-1]
    gains, contexts, shares, shorter = [], [], [], [np.zeros(1, dtype=np.int64)]
    for length, own in enumerate(grams):
        counts = own.counts if length + 1 == len(grams) else _continuations(own, grams[length + 1])
        size = len(grams[length - 1].keys) if length else 1
        gain, share = _discounted(counts, own.keys // classes, size)
        gains.append(gain)
        shares.append(share)
        contexts.append(first_node[length] + own.keys // classes)
        if length + 1 < len(grams):
            shorter.append(first_node[length] + own.shorter if length else np.zeros(classes, dtype=np.int64))
    return NGrams(
        symbols=np.concatenate([own.keys % classes for own in grams]).astype(np.int32),
        gains=np.concatenate(gains).astype(np.float32),
        begins=np.searchsorted(np.concatenate(contexts), np.arange(nodes + 1)).astype(np.int32),
        shares=np.concatenate(shares).astype(np.float32),
        shorter=np.concatenate(shorter).astype(np.int32),
    )


def _continuations(own: _Order, longer: _Order) -> NDArray[np.int64]:
    """How many different characters come before each n-gram; the count itself where none can, at the beginning of a line."""
    before = np.bincount(longer.shorter, minlength=len(own.keys))
    return np.where(before > 0, before, own.counts)


def _discounted(
    counts: NDArray[np.int64], contexts: NDArray[np.int64], size: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Of each n-gram its discounted share of its context, and of each of `size` contexts the share that is left."""
    discounts = np.array([0.0, *_discounts(counts)])
    taken = discounts[np.minimum(counts, 3)]
    totals = np.bincount(contexts, counts, minlength=size)
    left = np.bincount(contexts, taken, minlength=size)
    divisors = np.maximum(totals, 1)
    return (counts - taken) / divisors[contexts], np.where(totals > 0, left / divisors, 1.0)


def _discounts(counts: NDArray[np.int64]) -> tuple[float, float, float]:
    """What n-grams of counts 1, 2 and more lose (Chen and Goodman 1999, equation 17)."""
    once, twice, thrice, four_times = (int((counts == n).sum()) for n in (1, 2, 3, 4))
    if not (once and twice and thrice):
        return _DISCOUNTS
    ratio = once / (once + 2 * twice)
    found = 1 - 2 * ratio * twice / once, 2 - 3 * ratio * thrice / twice, 3 - 4 * ratio * four_times / thrice
    return found if all(0 < discount < n for n, discount in enumerate(found, start=1)) else _DISCOUNTS
