"""Templates: sequences of which some positions are given, as in ``ACGT....NNNN``.

Letters A, C, G, T, in either case, are held; ``.`` and ``N`` are free.
"""

from __future__ import annotations

from seqflow.inpainting import FREE

from .sequences import ALPHABET

_TOKENS = {letter: token for token, letter in enumerate(ALPHABET)} | {".": FREE, "N": FREE}


def read_template(text: str) -> tuple[int, ...]:
    """A token of each position, `seqflow.inpainting.FREE` where anything may be.

    Raises ``ValueError`` for an empty template, and for any other letter: an ambiguity code
    but N would hold a position to some bases, and only one or all of them can be asked for.

    Example:
        >>> read_template("ACgt..NN")
        (0, 1, 2, 3, -1, -1, -1, -1)
    """
    if not text:
        raise ValueError("expected a template of at least one position, got none")
    for position, letter in enumerate(text.upper()):
        if letter not in _TOKENS:
            raise ValueError(
                f"template, position {position + 1}: expected A, C, G or T where held, "
                f". or N where free, got {text[position]!r}"
            )
    return tuple(_TOKENS[letter] for letter in text.upper())
