r"""Autoregression as a process: tokens appear one after another, from left to right.

Time is the part of the sequence that is known, t = l / L::

    p(x_1) = prod_l p(x_l | x_1, ..., x_{l-1})

The state is the sequence of tokens, of which the first t L count. The predictor must be
causal: its logits at position l may depend on positions before l only. A clean sequence
then stands for all its own prefixes, so ``corrupt`` returns it whole, and one evaluation
trains every prefix. Sampling is exact with L steps (or a multiple of L); with fewer, the
tokens of one step are drawn independently of each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .categorical import cross_entropy, sample_tokens
from .process import expand_time


@dataclass(frozen=True)
class Autoregression:
    """The left-to-right process.

    Attributes:
        num_classes: K, the size of the alphabet.
    """

    num_classes: int

    def sample_prior(
        self,
        shape: Sequence[int],
        *,
        generator: torch.Generator | None = None,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> Tensor:
        """An empty sequence: tokens ``(batch, length)`` that nobody looks at yet."""
        del generator, dtype  # there is no noise, and tokens are integers
        return torch.zeros(*shape, dtype=torch.long, device=device)

    def corrupt(
        self,
        x_1: Tensor,
        t: Tensor,
        x_0: Tensor | None = None,
        *,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, Tensor]:
        """``(x_1, x_1)``: under a causal predictor it holds its prefix of every length."""
        del t, x_0, generator
        return x_1, x_1

    def loss(self, prediction: Tensor, target: Tensor, t: Tensor) -> Tensor:
        """-log p(x_1) / length, in nats a token, shape ``(batch,)``."""
        del t
        return cross_entropy(prediction, target)

    def path_kl(self, prediction: Tensor, x_1: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
        """-log p(x_1) in nats, ``(batch,)``: the same at every time, so the bound is exact."""
        del x_t
        return self.loss(prediction, x_1, t) * x_1.shape[-1]

    def step(
        self,
        x_t: Tensor,
        prediction: Tensor,
        t: Tensor,
        dt: Tensor,
        *,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Draw the tokens between t and t + dt."""
        length = x_t.shape[-1]
        position = torch.arange(length, device=x_t.device)
        # Times are rounded floats: the nearest position is meant.
        first = expand_time((t * length).round(), x_t)
        last = expand_time(((t + dt) * length).round(), x_t)
        drawn = sample_tokens(prediction, generator=generator)
        return torch.where((position >= first) & (position < last), drawn, x_t)

    def decode(self, x_1: Tensor) -> Tensor:
        """The tokens themselves."""
        return x_1
