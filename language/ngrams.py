r"""The ladder of n-grams: what a text costs if only the last few tokens are known.

With c counts in the training text, of order n

    p(x | context of n tokens) = (c(context, x) + a) / (c(context) + a K),    a = 0.05.

No mixing of orders: the numbers are simple to make anew, and say how far a model sees.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SMOOTHING = 0.05
_LARGEST_TABLE = 2**24  # counts that are kept for all n-grams, seen or not

Numbers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class NGram:
    """Counts of n tokens and the one behind them.

    Attributes:
        order: n.
        num_classes: K.
        codes: of the n + 1 tokens that were seen, as numbers to base K, increasing.
        counts: how often each was.
        context_codes: of the n tokens, increasing.
        context_counts: how often each was.
    """

    order: int
    num_classes: int
    codes: Numbers
    counts: Numbers
    context_codes: Numbers
    context_counts: Numbers

    def bits(self, tokens: NDArray[np.integer]) -> float:
        """Mean bits per token, of those with n others before them.

        Raises ``ValueError`` for a text of n tokens or less.

        Example:
            >>> text = np.array([0, 1] * 500)
            >>> round(fit_ngram(text, 0, 2).bits(text), 3)
            1.0
            >>> fit_ngram(text, 1, 2).bits(text) < 0.001
            True
        """
        if len(tokens) <= self.order:
            raise ValueError(f"expected more than {self.order} tokens, got {len(tokens)}")
        codes = _codes(tokens, self.order, self.num_classes)
        seen = _find(self.codes, self.counts, codes)
        context = _find(self.context_codes, self.context_counts, codes // self.num_classes)
        p = (seen + SMOOTHING) / (context + SMOOTHING * self.num_classes)
        return float(-np.log(p).mean() / math.log(2))


def fit_ngram(tokens: NDArray[np.integer], order: int, num_classes: int) -> NGram:
    """Count; raises ``ValueError`` if an n-gram does not fit into 63 bits, or is too long."""
    if num_classes ** (order + 1) > 2**63:
        raise ValueError(
            f"expected a smaller order or vocabulary than {order} of {num_classes} tokens"
        )
    if len(tokens) <= order:
        raise ValueError(f"expected more than {order} tokens, got {len(tokens)}")
    codes, counts = _count(_codes(tokens, order, num_classes), num_classes ** (order + 1))
    context_codes, starts = np.unique(codes // num_classes, return_index=True)
    context_counts = np.add.reduceat(counts, starts)
    return NGram(order, num_classes, codes, counts, context_codes, context_counts)


def ladder(
    train: NDArray[np.integer],
    test: NDArray[np.integer],
    num_classes: int,
    orders: range = range(6),
) -> dict[int, float]:
    """Bits per token of ``test`` for each order that fits, learned from ``train``."""
    return {
        order: fit_ngram(train, order, num_classes).bits(test)
        for order in orders
        if num_classes ** (order + 1) <= 2**63
    }


def _codes(tokens: NDArray[np.integer], order: int, num_classes: int) -> Numbers:
    """Each n + 1 tokens in a row as one number to base K; the first token counts most."""
    size = len(tokens) - order
    codes = np.zeros(size, dtype=np.int64)
    for place in range(order + 1):
        codes *= num_classes
        codes += tokens[place : place + size]
    return codes


def _count(codes: Numbers, num_codes: int) -> tuple[Numbers, Numbers]:
    """The different codes, increasing, and how often each is there."""
    if num_codes > _LARGEST_TABLE:
        found, counts = np.unique(codes, return_counts=True)
        return found, counts
    table = np.bincount(codes, minlength=num_codes)
    found = table.nonzero()[0]
    return found, table[found]


def _find(codes: Numbers, counts: Numbers, wanted: Numbers) -> Numbers:
    """The count of each wanted code; 0 for one that was not seen."""
    place = np.searchsorted(codes, wanted).clip(max=len(codes) - 1)
    found: Numbers = np.where(codes[place] == wanted, counts[place], 0)
    return found
