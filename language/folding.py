"""The alphabet of 27: lower-case letters and single spaces, as in the text8 corpus.

Accents are taken off, and whatever is no letter then, however much of it, is one space.
"""

from __future__ import annotations

import re
import unicodedata

FOLDED = " abcdefghijklmnopqrstuvwxyz"
"""The alphabet, in the order of its tokens."""

_MARKS = re.compile(r"[\u0300-\u036f]+")
_OTHERS = re.compile(r"[^a-z]+")


def fold(text: str) -> str:
    """``text`` in letters a-z and single spaces.

    Example:
        >>> fold("It was, in 1813, a café.")
        'it was in a cafe '
    """
    if not text.isascii():
        text = _MARKS.sub("", unicodedata.normalize("NFKD", text))
    return _OTHERS.sub(" ", text.lower())
