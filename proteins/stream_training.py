"""Training on batches that come as a stream: of chains, of pairs, or of both in turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import Any

from torch import nn
from torch.utils.data import DataLoader, IterableDataset

from seqflow.objectives import Batch, Objective
from seqflow.training import TrainingModule, TrainingSettings

from .buckets import Collection, Pad, length_buckets

Stream = Callable[[int], IterableDataset[Batch]]
"""The number of the first batch to the batches from there on."""


class StreamTraining(TrainingModule):
    """Trains on batches of chains of similar length.

    Args:
        network: whatever the objective calls.
        objective: loss of each chain.
        stream: of what to train on.
        validation: batches to judge by.
        settings: how to train.
        identity: what must be the same when training goes on.
    """

    def __init__(
        self,
        network: nn.Module,
        objective: Objective,
        stream: Stream,
        validation: Sequence[Batch],
        settings: TrainingSettings,
        identity: dict[str, Any],
    ) -> None:
        super().__init__(network, objective, {}, {}, settings, identity=identity)
        self.stream, self.validation = stream, validation

    def train_dataloader(self) -> DataLoader[Batch]:
        """Batches from the current step on."""
        return DataLoader(self.stream(self.global_step), batch_size=None)

    def val_dataloader(self) -> DataLoader[Batch]:
        """Validation batches in order."""
        pieces: Any = self.validation
        return DataLoader(pieces, batch_size=None)


class MixedStream(IterableDataset[Batch]):
    """Two streams, of which the second gives the wanted share of the batches, evenly spread.

    Batch n is of the second where floor((n + 1) share) is above floor(n share), so that it
    depends on n alone, as those of the two do.

    Args:
        first: most of the batches.
        second: the others.
        share: of the second, in [0, 1).
        start: number of the first batch.
    """

    def __init__(self, first: Stream, second: Stream, share: float, start: int = 0) -> None:
        self.first, self.second, self.share, self.start = first, second, share, start

    def __iter__(self) -> Iterator[Batch]:
        done = int(self.start * self.share)
        first, second = iter(self.first(self.start - done)), iter(self.second(done))
        for n in count(self.start):
            turn = int((n + 1) * self.share) > int(n * self.share)
            yield next(second) if turn else next(first)


def padded_batches(chains: Collection, size: int, pad: Pad) -> list[Batch]:
    """All of a collection in batches of at most ``size``, the longest first."""
    return [
        pad(chains, part, bucket.length)
        for bucket in length_buckets(chains.lengths)
        for part in bucket.index.split(size)
    ]
