"""A font for the names in pictures: one that has their letters, and an escape for those that none has."""

from __future__ import annotations

from functools import cache, lru_cache
from pathlib import Path

ESCAPES = frozenset("U+0123456789ABCDEF…")
"""What is written in place of a letter that there is no font for, and of what does not fit."""


@lru_cache(maxsize=4096)
def lettering(text: str) -> tuple[str, str]:
    """What to write for a text, and the font file to write it with.

    matplotlib's own font has the letters of most names. For others the system's fonts are searched for that which
    has most of them. What it lacks, and what cannot be printed at all, is written as U+4E2D: that can be looked
    up, an empty box cannot.
    """
    from matplotlib import get_data_path

    font = str(Path(get_data_path()) / "fonts/ttf/DejaVuSans.ttf")
    needed = {letter for letter in text if letter.isprintable()}
    lacking = _lacking(font, needed)
    for other in _system_fonts() if lacking else ():
        without = _lacking(other, needed)
        if len(without) < len(lacking) and not _lacking(other, ESCAPES):
            font, lacking = other, without
    return "".join(f"U+{ord(c):04X}" if c in lacking or c not in needed else c for c in text), font


def _lacking(font: str, letters: set[str] | frozenset[str]) -> set[str]:
    """The letters that a font file has no drawing of: all where it cannot be used."""
    from matplotlib.ft2font import FT2Font

    try:
        face = FT2Font(font)
        return {letter for letter in letters if not (face.scalable and face.get_char_index(ord(letter)))}
    except (OSError, RuntimeError):
        return set(letters)


@cache
def _system_fonts() -> tuple[str, ...]:
    """The font files of this machine, upright ones of ordinary weight first."""
    from matplotlib.font_manager import fontManager

    found = sorted(
        (font.style != "normal", str(font.weight) not in ("400", "normal", "regular"), font.fname)
        for font in fontManager.ttflist
        if "LastResort" not in font.fname  # its letters are boxes
    )
    return tuple(dict.fromkeys(file for *_, file in found))
