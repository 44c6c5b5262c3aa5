"""What a token path starts from: masks, uniform tokens, or tokens of any prior.

The noise of one position is a token of p_0, independent of everything else. Masks are one
more token, number K, so that noise never looks like data; a position that is not a mask is
then settled, for it shows the datum itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


class Source(Protocol):
    """The noise of a token path, position by position."""

    @property
    def num_classes(self) -> int:
        """K, the number of clean tokens."""
        ...

    @property
    def num_states(self) -> int:
        """How many tokens a state may hold, K or K + 1."""
        ...

    def sample(
        self, shape: Sequence[int], generator: torch.Generator | None, device: torch.device
    ) -> Tensor:
        """Noise x_0 ~ p_0, int64."""
        ...

    def log_probability(self, x: Tensor, dtype: torch.dtype) -> Tensor:
        """Log p_0(x) at tokens ``x``, where it is positive; 0 at settled tokens."""
        ...

    def settled(self, x: Tensor) -> Tensor:
        """Where ``x`` cannot be noise, so that it shows the datum; bool of x's shape."""
        ...

    def largest_renewal(self, survival_s: Tensor, survival_t: Tensor) -> Tensor:
        """The largest probability of fresh noise over a step that keeps the marginals."""
        ...


@dataclass(frozen=True)
class MaskSource:
    """Every noisy token is the mask, number ``num_classes``."""

    num_classes: int

    @property
    def num_states(self) -> int:
        """K + 1, with the mask."""
        return self.num_classes + 1

    def sample(
        self, shape: Sequence[int], generator: torch.Generator | None, device: torch.device
    ) -> Tensor:
        """Masks."""
        del generator
        return torch.full(tuple(shape), self.num_classes, dtype=torch.long, device=device)

    def log_probability(self, x: Tensor, dtype: torch.dtype) -> Tensor:
        """0: a mask is certain."""
        return torch.zeros(x.shape, dtype=dtype, device=x.device)

    def settled(self, x: Tensor) -> Tensor:
        """Where there is no mask."""
        return x != self.num_classes

    def largest_renewal(self, survival_s: Tensor, survival_t: Tensor) -> Tensor:
        """(1 - kappa_t)/kappa_s, at most 1: all the masks there will be, from shown tokens."""
        kappa_s = (1 - survival_s).clamp_min(torch.finfo(survival_s.dtype).tiny)
        return (survival_t / kappa_s).clamp_max(1)


@dataclass(frozen=True)
class UniformSource:
    """All ``num_classes`` tokens are equally likely."""

    num_classes: int

    @property
    def num_states(self) -> int:
        """K."""
        return self.num_classes

    def sample(
        self, shape: Sequence[int], generator: torch.Generator | None, device: torch.device
    ) -> Tensor:
        """Uniform tokens."""
        return torch.randint(self.num_classes, tuple(shape), generator=generator, device=device)

    def log_probability(self, x: Tensor, dtype: torch.dtype) -> Tensor:
        """-log K."""
        return -torch.full(x.shape, self.num_classes, dtype=dtype, device=x.device).log()

    def settled(self, x: Tensor) -> Tensor:
        """Nowhere."""
        return torch.zeros_like(x, dtype=torch.bool)

    def largest_renewal(self, survival_s: Tensor, survival_t: Tensor) -> Tensor:
        """1 - kappa_t: all the noise there will be."""
        del survival_s
        return survival_t


@dataclass(frozen=True)
class PriorSource:
    """Tokens with the given positive ``probabilities``, up to a factor."""

    probabilities: tuple[float, ...]

    @property
    def num_classes(self) -> int:
        """K, the number of probabilities."""
        return len(self.probabilities)

    @property
    def num_states(self) -> int:
        """K."""
        return len(self.probabilities)

    def sample(
        self, shape: Sequence[int], generator: torch.Generator | None, device: torch.device
    ) -> Tensor:
        """Tokens by inversion of the distribution function, one uniform each."""
        cumulative = self._table(torch.float64, device).cumsum(0)
        u = torch.empty(tuple(shape), dtype=torch.float64, device=device)
        u = u.uniform_(generator=generator)
        tokens = torch.searchsorted(cumulative, u * cumulative[-1], right=True)
        return tokens.clamp_(max=self.num_classes - 1)

    def log_probability(self, x: Tensor, dtype: torch.dtype) -> Tensor:
        """Log p_0 of each token."""
        return self._table(dtype, x.device).log()[x]

    def settled(self, x: Tensor) -> Tensor:
        """Nowhere."""
        return torch.zeros_like(x, dtype=torch.bool)

    def largest_renewal(self, survival_s: Tensor, survival_t: Tensor) -> Tensor:
        """1 - kappa_t: all the noise there will be."""
        del survival_s
        return survival_t

    def _table(self, dtype: torch.dtype, device: torch.device) -> Tensor:
        p = torch.tensor(self.probabilities, dtype=dtype, device=device)
        return p / p.sum()
