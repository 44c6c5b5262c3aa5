"""Random windows of a corpus to train on, each batch of which depends on its number alone."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import torch
from torch.utils.data import IterableDataset

from seqflow.objectives import Batch
from seqflow.sampling import seeded_generator

from .corpus import Part


class WindowStream(IterableDataset[Batch]):
    """Endless batches of windows at uniformly random places; number n depends on (seed, n).

    Args:
        part: tokens to train on.
        length: tokens of a window.
        batch_size: windows of a batch.
        seed: of the places.
        start: number of the first batch.

    Raises:
        ValueError: for a part shorter than one window.
    """

    def __init__(
        self, part: Part, length: int, batch_size: int, seed: int, start: int = 0
    ) -> None:
        self.part, self.length, self.batch_size = part, length, batch_size
        self.seed, self.start = seed, start
        self.places = len(part.tokens) - length + 1
        if self.places < 1:
            raise ValueError(
                f"expected at least {length} tokens to train on, got {len(part.tokens)}; "
                "prepare more text, or make data.length smaller"
            )

    def __iter__(self) -> Iterator[Batch]:
        for n in count(self.start):
            generator = seeded_generator(self.seed, 0, n)
            starts = torch.randint(self.places, (self.batch_size,), generator=generator)
            yield {"x_1": self.part.at(starts, self.length)}
