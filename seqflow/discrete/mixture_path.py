r"""Mixture paths of tokens: a position holds the datum with probability kappa_t, else noise.

    p_t(x | x_1) = kappa_t 1[x = x_1] + (1 - kappa_t) p_0(x)

As a continuous-time Markov chain, given a prediction p(x_1 | x_t), noise jumps to x_1 ~ p at
rate kappa'/(1 - kappa). For x_1 held fixed over a step from s to t the chain is solved: it has
jumped with probability (kappa_t - kappa_s)/(1 - kappa_s), which is 1 in the last step. With a
corrector, which renews settled tokens too, see `correctors`.

How far the paths of a prediction are from those of the datum, see `divergences`.
Sources: Gat et al. 2024, "Discrete Flow Matching"; Campbell et al. 2024; Shaul et al. 2024.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ..categorical import check_tokens, probabilities
from ..process import expand_time
from ..schedules import Schedule, next_time
from ..simplex_state import vertices
from .correctors import Corrector
from .divergences import JUMP_RATES, Divergence
from .lazy_logits import Logits, as_logits, draw_at
from .losses import Noised, TokenLoss
from .sources import Source


class MixturePath(ABC):
    """The mathematics that mixture paths share; see `mixture_flows` for the paths.

    A state is int64 tokens ``(batch, length)``, a prediction logits ``(batch, length, K)`` or,
    for ``step``, `LazyLogits`.

    Attributes:
        num_classes: K, the number of clean tokens.
        schedule: kappa.
        corrector: renews settled tokens while sampling; None for the plain chain.
        objective: the training loss.
        divergence: the rates that ``path_kl`` compares.
    """

    num_classes: int
    schedule: Schedule
    corrector: Corrector | None
    objective: TokenLoss
    divergence: Divergence = JUMP_RATES

    @property
    @abstractmethod
    def source(self) -> Source:
        """The noise."""

    def sample_prior(
        self,
        shape: Sequence[int],
        *,
        generator: torch.Generator | None = None,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> Tensor:
        """Noise tokens x_0 ~ p_0 of ``shape`` (batch, length); ``dtype`` is that of times."""
        del dtype
        return self.source.sample(shape, generator, torch.device(device or "cpu"))

    def corrupt(
        self,
        x_1: Tensor,
        t: Tensor,
        x_0: Tensor | None = None,
        *,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, Noised]:
        """Each token of ``x_1`` with probability kappa_t, else that of ``x_0``.

        Args:
            x_1: int64 tokens, ``(batch, length)``.
            t: ``(batch,)``.
            x_0: noise tokens, ``(batch, length)``, if a coupling chose them.
            generator: source of the draws.

        Returns:
            Noisy tokens ``(batch, length)``, and clean and noisy ones as the target.

        Raises:
            ValueError: for tokens that are not of the alphabet, such as a mask, or an ``x_0``
                of another shape.
        """
        check_tokens(x_1, self.num_classes)
        if x_0 is None:
            x_0 = self.source.sample(x_1.shape, generator, x_1.device)
        if x_0.shape != x_1.shape:
            raise ValueError(
                f"expected noise tokens of shape {tuple(x_1.shape)}, got {tuple(x_0.shape)}"
            )
        u = torch.empty(x_1.shape, dtype=t.dtype, device=x_1.device).uniform_(generator=generator)
        x_t = torch.where(u < expand_time(self.schedule.kappa(t), u), x_1, x_0)
        return x_t, Noised(x_1, x_t)

    def loss(self, prediction: Tensor, target: Noised, t: Tensor) -> Tensor:
        """The objective, per token, ``(batch,)``."""
        return self.objective(self, prediction, target, t)

    def settled(self, x_t: Tensor) -> Tensor:
        """Where ``x_t`` shows the clean token for certain, bool ``(batch, length)``."""
        return self.source.settled(x_t)

    def evidence(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Log(kappa 1[i = z] + (1 - kappa) p_0(z)) for z = x_t, less its value for i != z.

        So it is 0 but at i = z. There it is log(1 + kappa/((1 - kappa) p_0(z))), at most twice
        the digits of the dtype, 32 in float32; and just that, at any time, for settled tokens.

        Args:
            x_t: ``(batch, length)``; or one-hot in floating point, as from ``relax``, of which
                softmax(evidence) is then a linear function.
            t: ``(batch,)``, whose dtype is that of the result.

        Returns:
            ``(batch, length, K)``.
        """
        if x_t.is_floating_point():
            return self._relaxed_evidence(x_t, t)
        odds = self.odds(x_t, t)[..., None]
        zeros = odds.new_zeros((*x_t.shape, self.num_classes))
        return zeros.scatter_(-1, x_t[..., None].clamp_max(self.num_classes - 1), odds)

    def odds(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Log of p(x_t | x_1 = x_t)/p(x_t | x_1 = another), ``(batch, length)``; 0 at masks.

        All of the evidence: it is this at the token shown, and 0 at others.

        Args:
            x_t: tokens, ``(batch, length)``.
            t: ``(batch,)``, whose dtype is that of the result.
        """
        tiny, certain = torch.finfo(t.dtype).tiny, -2 * math.log(torch.finfo(t.dtype).eps)
        kappa, survival = self.schedule.kappa(t), self.schedule.survival(t)
        ratio = kappa.clamp_min(tiny).log() - survival.clamp_min(tiny).log()
        log_p_0 = self.source.log_probability(x_t, t.dtype)
        odds = F.softplus(expand_time(ratio, log_p_0) - log_p_0).clamp_max(certain)
        odds = odds.masked_fill(self.settled(x_t), certain)
        return odds.masked_fill(x_t == self.num_classes, 0)

    def relax(self, x_t: Tensor, t: Tensor) -> Tensor:
        """The state one-hot, ``(batch, length, num_states)``, where ``evidence`` has gradients."""
        return vertices(x_t, self.source.num_states, t.dtype)

    def tilt(self, prediction: Tensor, gradient: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
        """Logits of p'(x_1) = p(x_1) exp(gradient at x_1): classifier guidance by Taylor.

        With h differentiated at the one-hot state, h(y) - h(z) is about g_y - g_z for a jump
        from z to y. It reweights where a token jumps to and leaves alone how often it jumps.
        """
        del x_t, t
        return prediction + gradient[..., : self.num_classes]

    def step(
        self,
        x_t: Tensor,
        prediction: Tensor | Logits,
        t: Tensor,
        dt: Tensor,
        *,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Draw x_{t+dt} for x_1 ~ prediction held fixed: its marginals are exact for any dt.

        Which positions jump is decided first; the prediction is looked at only there.

        Args:
            x_t: ``(batch, length)``.
            prediction: logits of p(x_1 | x_t), ``(batch, length, K)``, possibly lazy.
            t: ``(batch,)``.
            dt: ``(batch,)``.
            generator: source of the draws.

        Raises:
            ValueError: if the prediction is not of shape ``(batch, length, K)``.
        """
        logits = as_logits(prediction, x_t, self.num_classes)
        jumps, renewals = self._events(x_t, t, dt, generator)
        tokens = draw_at(logits, jumps, generator=generator)
        moved = x_t.flatten().index_copy(0, jumps, tokens)
        if renewals is not None:
            noise = self.source.sample(renewals.shape, generator, x_t.device)
            moved.index_copy_(0, renewals, noise)
        return moved.view_as(x_t)

    def decode(self, x_1: Tensor) -> Tensor:
        """The tokens themselves."""
        return x_1

    def path_kl(self, prediction: Tensor, x_1: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
        """The rate l at which the paths of the prediction and of x_1 part, in nats, ``(batch,)``.

        Summed over positions; its integral over t in [0, 1] bounds -log p(x_1). Not negative.
        One reduction over K a position.

        Args:
            prediction: logits of p(x_1 | x_t), ``(batch, length, K)``.
            x_1: ``(batch, length)``.
            x_t: ``(batch, length)``, drawn by ``corrupt``.
            t: ``(batch,)``.
        """
        each = self.divergence(prediction, x_1, x_t, t, self.schedule)
        return each.masked_fill(self.settled(x_t), 0).sum(-1)

    def log_kernel(self, x_t: Tensor, prediction: Tensor, t: Tensor, dt: Tensor) -> Tensor:
        """Log of the law of x_{t+dt} that ``step`` draws from, one position a row.

        Over all states, of which there is one more than K with masks; finite.

        Args:
            x_t: ``(batch, length)``.
            prediction: logits of p(x_1 | x_t), ``(batch, length, K)``.
            t: ``(batch,)``.
            dt: ``(batch,)``.

        Returns:
            ``(batch, length, num_states)``.
        """
        jump, renewal = (expand_time(p, prediction) for p in self._probabilities(t, dt))
        settled, z = self.settled(x_t)[..., None], x_t[..., None]
        states = torch.arange(self.source.num_states, device=x_t.device)
        noise = self.source.log_probability(states, t.dtype).exp()
        noise = noise.masked_fill(self.settled(states), 0)
        arriving = (jump * probabilities(prediction)).masked_fill(settled, 0)
        arriving = F.pad(arriving, (0, len(states) - self.num_classes))
        staying = torch.where(settled, 1 - renewal, 1 - jump - renewal)
        q = (arriving + renewal * noise).scatter_add_(-1, z, staying)
        return q.clamp_min(torch.finfo(q.dtype).tiny).log()

    def _events(
        self, x_t: Tensor, t: Tensor, dt: Tensor, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor | None]:
        """Positions that jump, and that are renewed, ``(n,)``: competing hazards, one uniform."""
        jump, renewal = self._probabilities(t, dt)
        u = jump.new_empty(x_t.shape).uniform_(generator=generator)
        jumps = (u < expand_time(jump, u)) > self.settled(x_t)  # and not, in one operation
        positions = jumps.flatten().nonzero().squeeze(1)
        if self.corrector is None:
            return positions, None
        renewals = (u >= expand_time(1 - renewal, u)) & ~jumps
        return positions, renewals.flatten().nonzero().squeeze(1)

    def _probabilities(self, t: Tensor, dt: Tensor) -> tuple[Tensor, Tensor]:
        """Of putting x_1 ~ p, and of fresh noise, over a step; both ``(batch,)``."""
        end = next_time(t, dt)
        survival_s, survival_t = self.schedule.survival(t), self.schedule.survival(end)
        start = survival_s.clamp_min(torch.finfo(t.dtype).tiny)
        if self.corrector is None:
            return 1 - survival_t / start, torch.zeros_like(t)
        largest = self.source.largest_renewal(survival_s, survival_t)
        sigma = self.corrector.sigma(survival_s, survival_t, largest)
        stay = (survival_t - sigma) / start
        return self.schedule.kappa(end) - self.schedule.kappa(t) * stay, sigma

    def _relaxed_evidence(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Log of sum_z x_z softmax(evidence(z)), ``(batch, length, K)``."""
        states = torch.arange(x_t.shape[-1], device=x_t.device).expand(len(t), -1)
        odds = self.odds(states, t)[:, None]
        # softmax(evidence(z)) is 1/(K - 1 + e^odds), and e^odds times that at z.
        share = 1 / (self.num_classes - 1 + odds.exp())
        peak = (odds.expm1() * share)[..., : self.num_classes]
        everywhere = (x_t * share).sum(-1, keepdim=True)
        return (everywhere + x_t[..., : self.num_classes] * peak).log()
