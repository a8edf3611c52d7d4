"""How texts are found."""

from __future__ import annotations

from dataclasses import dataclass

from crnnocr.errors import UsageError


@dataclass(frozen=True)
class DecodeConfig:
    """How texts are found in log-probabilities."""

    beam: int = 0
    """Prefixes that the beam search keeps; 0 takes the best path (greedy)."""

    def __post_init__(self) -> None:
        if not 0 <= self.beam <= 10_000:
            raise UsageError("--beam takes 0 (greedy) to 10000 prefixes")
