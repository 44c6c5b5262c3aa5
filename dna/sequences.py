"""DNA as tokens: A, C, G, T are 0, 1, 2, 3, so that 3 - token is the complement.

Sequences of one length form an int64 tensor ``(N, L)``. Characters are looked up in a table of
256 bytes, all sequences at once. The rule, the same for every file format:

- lower case (soft-masked repeats) is read as upper case;
- a sequence with N or another IUPAC ambiguity code is skipped and counted;
- any other character (U and gaps too) is an error that says where it stands;
- the first record sets the length; the first that differs from it is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

ALPHABET = "ACGT"
AMBIGUOUS = "NRYSWKMBDHV"
"""IUPAC codes that stand for several bases (Cornish-Bowden 1985, table 1)."""

AMBIGUOUS_CODE, _INVALID_CODE = 4, 255


def _code_table() -> np.ndarray:
    table = np.full(256, _INVALID_CODE, dtype=np.uint8)
    for letters, codes in ((ALPHABET, range(4)), (AMBIGUOUS, [AMBIGUOUS_CODE] * 11)):
        for letter, code in zip(letters, codes, strict=True):
            table[[ord(letter), ord(letter.lower())]] = code
    return table


_CODES = _code_table()
_LETTERS = np.frombuffer(ALPHABET.encode(), dtype=np.uint8)


def encode(sequences: Sequence[str]) -> Tensor:
    """Tokens of sequences of one length, int64 ``(N, L)``.

    Raises ``ValueError`` for a single string, no or ragged sequences, and any character
    outside ACGT (either case), with its position counted from 1.

    Example:
        >>> encode(["ACGT", "ttga"])
        tensor([[0, 1, 2, 3],
                [3, 3, 2, 0]])
    """
    if isinstance(sequences, str):
        raise ValueError("expected a list of sequences, got one string; write [sequence]")
    if not sequences:
        raise ValueError("expected at least one sequence, got none")
    codes = byte_codes(sequences, lambda i: f"sequence {i + 1}")
    if (codes == AMBIGUOUS_CODE).any():
        row, column = np.argwhere(codes == AMBIGUOUS_CODE)[0]
        raise ValueError(
            f"sequence {row + 1}, position {column + 1}: expected one of ACGT, got "
            f"{sequences[row][column]!r}; leave out sequences with ambiguous bases"
        )
    return torch.from_numpy(codes).long()


def decode(tokens: Tensor) -> list[str]:
    """Strings of tokens ``(N, L)``, upper case; inverse of `encode`.

    Raises ``ValueError`` for another shape or tokens outside 0..3.

    Example:
        >>> decode(torch.tensor([[0, 1, 2, 3]]))
        ['ACGT']
    """
    check_tokens(tokens)
    length = tokens.shape[1]
    text = _LETTERS[tokens.cpu().numpy()].tobytes().decode("ascii")
    return [text[i * length : (i + 1) * length] for i in range(tokens.shape[0])]


def reverse_complement(tokens: Tensor) -> Tensor:
    """The other strand, read in its own direction: ``3 - tokens`` reversed, ``(..., L)``.

    Example:
        >>> decode(reverse_complement(encode(["AACG"])))
        ['CGTT']
    """
    return 3 - tokens.flip(-1)


def one_hot(tokens: Tensor) -> Tensor:
    """Indicators of the four bases, float32 ``(N, L, 4)``.

    Sums of up to 2^24 positions stay exact in products of it.
    """
    return (tokens.unsqueeze(-1) == torch.arange(4, device=tokens.device)).float()


def check_tokens(tokens: Tensor) -> None:
    """Raise ``ValueError`` unless ``tokens`` is a non-empty ``(N, L)`` of integers 0..3."""
    if tokens.ndim != 2 or 0 in tokens.shape:
        raise ValueError(
            f"expected a non-empty batch of tokens (N, L), got shape {tuple(tokens.shape)}"
        )
    if tokens.is_floating_point() or tokens.dtype == torch.bool:
        raise ValueError(f"expected integer tokens, got {tokens.dtype}; decode the state first")
    low, high = int(tokens.min()), int(tokens.max())
    if low < 0 or high > 3:
        raise ValueError(f"expected tokens 0..3 (A, C, G, T), got values from {low} to {high}")


def byte_codes(sequences: Sequence[str], where: Callable[[int], str]) -> np.ndarray:
    """Codes uint8 ``(N, L)``: 0..3 for ACGT, 4 for an ambiguity code.

    ``where(i)`` names record i in the ``ValueError`` for an empty or ragged record or a
    character that is neither.
    """
    length = len(sequences[0])
    if length == 0:
        raise ValueError(f"{where(0)}: expected a sequence, got none")
    for i, sequence in enumerate(sequences):
        if len(sequence) != length:
            raise ValueError(
                f"{where(i)}: expected length {length} as in the first record, got "
                f"{len(sequence)}; cut all sequences to one length"
            )
    # One byte a character, so that offsets are positions; what is not ASCII becomes "?".
    data = np.frombuffer("".join(sequences).encode("ascii", "replace"), dtype=np.uint8)
    codes: np.ndarray = _CODES[data].reshape(len(sequences), length)
    if (codes == _INVALID_CODE).any():
        row, column = np.argwhere(codes == _INVALID_CODE)[0]
        raise ValueError(
            f"{where(int(row))}, position {column + 1}: expected A, C, G, T, N or another "
            f"IUPAC code, got {sequences[row][column]!r}"
        )
    return codes
