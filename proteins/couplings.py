"""Which noise goes with which chain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from seqflow.objectives import Batch
from seqflow.process import Process

from .flow import PREVIOUS, ROTATION, TRANSLATION
from .pairs import NOISE_ROTATION, NOISE_TRANSLATION


@dataclass(frozen=True)
class StoredNoise:
    """The noise that a batch of pairs brings along; for real chains the process draws."""

    def __call__(
        self, process: Process[Any], batch: Batch, generator: torch.Generator
    ) -> dict[str, Tensor] | None:
        """x_0 of the batch, or None."""
        del process, generator
        if NOISE_ROTATION not in batch:
            return None
        noise = batch[NOISE_ROTATION]
        return {
            TRANSLATION: batch[NOISE_TRANSLATION],
            ROTATION: noise,
            PREVIOUS: torch.zeros_like(noise),
        }
