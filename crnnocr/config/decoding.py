"""How texts are found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from crnnocr.errors import UsageError


@dataclass(frozen=True)
class DecodeConfig:
    """How texts are found in log-probabilities, and which are possible."""

    beam: int = 0
    """Prefixes that the beam search keeps; 0 takes the best path (greedy), or 10 where something else asks for a search."""
    top_k: int = 1
    """Texts that are found for each line, the best ones."""
    allow: str | None = None
    """The only characters that texts may hold; by default all that the model knows."""
    block: str | None = None
    """Characters that texts may not hold."""
    lexicon: str | None = None
    """A UTF-8 file of the words that texts are made of, one a line."""
    pattern: str | None = None
    """A regular expression that the whole text fits."""
    lm: str | None = None
    """A UTF-8 file of text such as the lines hold; a language model of it makes likely texts more probable."""
    lm_weight: float = 0.5
    """How much the language model counts against the picture."""

    _SEARCH: ClassVar[int] = 10
    """Prefixes that are kept where only other options ask for a search."""

    def __post_init__(self) -> None:
        if not 0 <= self.beam <= 10_000:
            raise UsageError("--beam takes 0 (greedy) to 10000 prefixes")
        if not 1 <= self.top_k <= 10_000:
            raise UsageError("--top-k takes 1 to 10000 texts")
        for name in ("allow", "block", "lexicon", "pattern", "lm"):
            if getattr(self, name) == "":
                raise UsageError(f"--{name} is empty: leave it out to restrict nothing")
        if not 0 <= self.lm_weight <= 10:
            raise UsageError("--lm-weight takes 0 (the picture alone) to 10")

    @property
    def width(self) -> int:
        """Prefixes that the search keeps; 0 where there is none to do."""
        searches = self.beam or self.top_k > 1 or self.lexicon or self.pattern or self.lm
        return max(self.beam or self._SEARCH, self.top_k) if searches else 0
