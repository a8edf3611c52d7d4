"""Which pictures are held out for validation: a matter of their content alone."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence


def content_id(data: bytes) -> int:
    """A 63-bit number that stands for the content of a picture's file (BLAKE2b)."""
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "big") >> 1


def held_out(ids: Sequence[int], share: float) -> list[bool]:
    """For each content id, whether it is held out: those below `share` of the range, so about that share of them.

    Adding pictures moves none of the others. Only where this would leave nothing on one side, the lowest id alone is held
    out, and in so small a set that may become another's part; a single picture is never held out.
    """
    flags = [identity < share * 2**63 for identity in ids]
    if any(flags) and not all(flags):
        return flags
    lowest = min(ids, default=0)
    return [len(set(ids)) > 1 and share > 0 and identity == lowest for identity in ids]
