"""A process around a process: everything but its step is passed on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


class Wrapping:
    """Base of processes that differ from another in their ``step`` alone.

    Attributes:
        process: the other.
    """

    process: Any

    def sample_prior(
        self,
        shape: Sequence[int],
        *,
        generator: torch.Generator | None = None,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> Any:
        """That of the process."""
        return self.process.sample_prior(shape, generator=generator, dtype=dtype, device=device)

    def corrupt(
        self, x_1: Any, t: Tensor, x_0: Any = None, *, generator: torch.Generator | None = None
    ) -> Any:
        """That of the process."""
        return self.process.corrupt(x_1, t, x_0, generator=generator)

    def loss(self, prediction: Any, target: Any, t: Tensor) -> Tensor:
        """That of the process."""
        loss: Tensor = self.process.loss(prediction, target, t)
        return loss

    def decode(self, x_1: Any) -> Any:
        """That of the process."""
        return self.process.decode(x_1)

    def __getattr__(self, name: str) -> Any:
        # Only for what is not found here. Copying asks before there is a process.
        if name.startswith("__") or name == "process":
            raise AttributeError(name)
        return getattr(self.process, name)
