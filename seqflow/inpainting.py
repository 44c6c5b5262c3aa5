"""Inpainting: some positions are given, the others are sampled around them.

A held position is one whose own clock stands at t = 1 while those of the others run::

    x_0[held] = corrupt(template, 1)          clean from the start
    x_{t+dt}[held] = x_t[held]                and never moved
    evidence(x_t, t)[held] = evidence(x_t, 1) so that a predictor takes it for certain

A predictor that gets its view of the state from ``evidence``, as `EvidenceDenoiser` does,
must be built on the wrapped process. If it is the exact posterior it then becomes
p(x_1 | x_t[free], x_1[held]), which drives the free positions along the path of the
conditional law: with any process, completions have the law p(x_1[free] | x_1[held]), up to
the error that its steps make without a template as well.

Why not give held positions the noise of time t, a state that the network has met? Because
x_t[held] then hides the template from its neighbours until t is near 1, when they have
decided: even the exact posterior would sample another law. What the price is depends on the
process. Masked diffusion pays none, for it always shows some positions clean. The network of
another process has seen certain and noisy positions side by side only where the noise left
them so, and extrapolates at early times.

Autoregression reads from left to right: held tokens steer what comes after them, so its
completions have the conditional law for a template that holds a prefix, and no other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .simplex_state import vertices
from .wrapping import Wrapping

FREE = -1
"""The mark of a template's position that is not held."""


@dataclass(frozen=True)
class Inpainting(Wrapping):
    """Any process on tokens, with the tokens of a template held fixed in every sample.

    It satisfies every protocol that ``process`` satisfies: what is not defined here is
    passed on. Loss, target and decoding are those of ``process``.

    Attributes:
        process: on tokens, such as ``DirichletFlow(4)`` or ``Autoregression(4)``.
        template: a token of each position, ``FREE`` where anything may be.

    Raises:
        ValueError: for an entry that is neither a token of the alphabet nor ``FREE``, such
            as a mask token.

    Example:
        >>> from seqflow.dirichlet import DirichletFlow
        >>> process = Inpainting(DirichletFlow(4), (2, FREE, FREE))
        >>> x_0 = process.sample_prior((1, 3), generator=torch.Generator().manual_seed(0))
        >>> x_0[0, 0]
        tensor([0., 0., 1., 0.])
        >>> process.evidence(x_0, torch.zeros(1))[0].softmax(-1)
        tensor([[0.0000, 0.0000, 1.0000, 0.0000],
                [0.2500, 0.2500, 0.2500, 0.2500],
                [0.2500, 0.2500, 0.2500, 0.2500]])
    """

    process: Any  # a Process, and whatever else the wrapped one is
    template: tuple[int, ...]

    def __post_init__(self) -> None:
        num_classes = self.process.num_classes
        for position, token in enumerate(self.template):
            if token != FREE and not 0 <= token < num_classes:
                raise ValueError(
                    f"expected tokens 0..{num_classes - 1}, or {FREE} where free, in the "
                    f"template, got {token} at position {position}"
                )

    def sample_prior(
        self,
        shape: Sequence[int],
        *,
        generator: torch.Generator | None = None,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> Tensor:
        """Noise where free, the clean template elsewhere; ``shape`` is (batch, length).

        Raises:
            ValueError: if the length is not the template's.
        """
        self._check(shape)
        x_0: Tensor = self.process.sample_prior(
            shape, generator=generator, dtype=dtype, device=device
        )
        one = torch.ones(shape[0], dtype=dtype, device=x_0.device)
        return self._hold(x_0, one)

    def corrupt(
        self,
        x_1: Tensor,
        t: Tensor,
        x_0: Tensor | None = None,
        *,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Draw x_t where free; held positions are clean, whatever ``x_1`` says of them."""
        self._check(x_1.shape)
        x_t, target = self.process.corrupt(x_1, t, x_0, generator=generator)
        return self._hold(x_t, torch.ones_like(t)), target

    def step(
        self,
        x_t: Tensor,
        prediction: Any,
        t: Tensor,
        dt: Tensor,
        *,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """The process's own step where free; held positions stay."""
        moved: Tensor = self.process.step(x_t, prediction, t, dt, generator=generator)
        return torch.where(self._held(moved), x_t, moved)

    def evidence(self, x_t: Tensor, t: Tensor) -> Tensor:
        """That of the process, at held positions that of time 1: ``(batch, length, K)``."""
        running: Tensor = self.process.evidence(x_t, t)
        certain = self.process.evidence(x_t, torch.ones_like(t))
        return torch.where(self._held(running), certain, running)

    def odds(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Those of a process on states of tokens, at held positions those of time 1."""
        running: Tensor = self.process.odds(x_t, t)
        certain = self.process.odds(x_t, torch.ones_like(t))
        return torch.where(self._held(running), certain, running)

    def log_kernel(self, x_t: Tensor, prediction: Tensor, t: Tensor, dt: Tensor) -> Tensor:
        """Log of the law of ``step``, for states of tokens: held positions stay."""
        running: Tensor = self.process.log_kernel(x_t, prediction, t, dt)
        staying = vertices(x_t, running.shape[-1], running.dtype)
        staying = staying.clamp_min(torch.finfo(running.dtype).tiny).log()
        return torch.where(self._held(running), staying, running)

    def _hold(self, x_t: Tensor, one: Tensor) -> Tensor:
        """The state with held positions put where they are at t = 1, a tensor of ones."""
        template = torch.tensor(self.template, dtype=torch.long, device=x_t.device)
        tokens = template.clamp_min(0).expand(len(one), -1)
        # Whatever is drawn, at t = 1 the state is the clean one; so from no stream of others.
        own = torch.Generator(x_t.device)
        clean, _ = self.process.corrupt(tokens, one, generator=own)
        return torch.where(self._held(x_t), clean, x_t)

    def _held(self, x: Tensor) -> Tensor:
        """Which positions are held, to broadcast against ``x``: (batch, length, ...)."""
        held = torch.tensor([token != FREE for token in self.template], device=x.device)
        return held.reshape(1, -1, *(1,) * (x.ndim - 2))

    def _check(self, shape: Sequence[int]) -> None:
        if len(shape) != 2 or shape[1] != len(self.template):
            raise ValueError(
                f"expected a shape (batch, {len(self.template)}), for the template has "
                f"{len(self.template)} positions, got {tuple(shape)}"
            )
