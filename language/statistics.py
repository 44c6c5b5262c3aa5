"""What can be counted in texts: letters and words."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence


def entropy(counts: Counter[str]) -> float:
    """The entropy of frequencies, in bits.

    Example:
        >>> entropy(Counter("aabb"))
        1.0
    """
    total = sum(counts.values())
    # Not -sum(p log p), which is -0 for one kind.
    return sum(n / total * math.log2(total / n) for n in counts.values())


def distinct(texts: Sequence[str], order: int) -> float:
    """The share of different ones among all ``order`` words in a row; NaN if there are none.

    It falls with the amount of text, so compare equal amounts only.

    Example:
        >>> distinct(["to be or not to be"], 1)
        0.6666666666666666
    """
    rows = [text.split() for text in texts]
    found = [tuple(row[i : i + order]) for row in rows for i in range(len(row) - order + 1)]
    return len(set(found)) / len(found) if found else math.nan


def text_statistics(texts: Sequence[str]) -> dict[str, float]:
    """Entropy of characters in bits, and shares of different words, pairs and triples."""
    characters: Counter[str] = Counter()
    for text in texts:
        characters.update(text)
    return {"entropy": entropy(characters)} | {
        f"distinct {order}": distinct(texts, order) for order in (1, 2, 3)
    }
