"""Text from outside, made harmless."""

from __future__ import annotations

import unicodedata

LONGEST_NAME = 120
_JOINERS = "\u200c\u200d"  # Persian and emoji need them


def plain(text: str | None, longest: int = LONGEST_NAME) -> str:
    """Text from outside as one harmless line: no line breaks, control or direction characters, not endless."""
    kept = (
        character
        if character in _JOINERS or unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Zl", "Zp")
        else " "
        for character in text or ""
    )
    line = " ".join("".join(kept).split())
    return line if len(line) <= longest else f"{line[: longest - 1]}…"
