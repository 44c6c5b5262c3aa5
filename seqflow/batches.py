"""Batches to train on, each of which depends on its number and a seed alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import torch
from torch.utils.data import IterableDataset

from .objectives import Batch
from .sampling import seeded_generator
from .state import map_state, num_rows

Augmentation = Callable[[Batch, torch.Generator], Batch]


class BatchStream(IterableDataset[Batch]):
    """Endless shuffled batches; number n depends on (seed, n) alone.

    Args:
        data: all rows, in memory.
        batch_size: rows a batch; with fewer rows than that, all of them.
        seed: of the shuffling.
        start: number of the first batch.
        augment: changes a batch at random, such as by reverse complement.
    """

    def __init__(
        self,
        data: Batch,
        batch_size: int,
        seed: int,
        start: int = 0,
        augment: Augmentation | None = None,
    ) -> None:
        self.data, self.seed, self.start, self.augment = data, seed, start, augment
        self.num_rows = num_rows(data)
        if self.num_rows == 0:
            raise ValueError("expected training data, got none; check what data.train selects")
        self.batch_size = min(batch_size, self.num_rows)

    def __iter__(self) -> Iterator[Batch]:
        per_epoch = self.num_rows // self.batch_size
        epoch, order = -1, torch.empty(0)
        for n in count(self.start):
            if n // per_epoch != epoch:
                epoch = n // per_epoch
                order = torch.randperm(
                    self.num_rows, generator=seeded_generator(self.seed, 0, epoch)
                )
            first = (n % per_epoch) * self.batch_size
            picked = order[first : first + self.batch_size]
            batch: Any = map_state(lambda x, picked=picked: x[picked], self.data)
            yield self.augment(batch, seeded_generator(self.seed, 1, n)) if self.augment else batch
