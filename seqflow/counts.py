r"""Counts that grow from nothing: binomial thinning, the path of Blackout diffusion.

Each of the x_1 units of a count is there at time t with probability kappa_t, on its own::

    x_t | x_1 ~ Binomial(x_1, kappa_t),   x_0 = 0,
    x_t' - x_t | x_t, x_1 ~ Binomial(x_1 - x_t, (kappa_t' - kappa_t)/(1 - kappa_t)).

Seen from x_t, the next unit is born at the rate d kappa'_t/(1 - kappa_t), where the mean number
of missing units d = E[x_1 - x_t | x_t] is all that a network has to learn. It predicts

    prediction = log r,   r = d/(1 - kappa_t),

the missing units per missing share, which has one scale at all times: for Poisson counts of
mean lambda r = lambda at every x_t and t. Births then come at the rate r kappa'_t, and two birth
processes, that of the prediction and that of the datum, part at the rate

    l = kappa' (r - q log r + q log q - q),   q = (x_1 - x_t)/(1 - kappa_t),

a Bregman divergence, so its minimum is the posterior mean; l is the loss, and its integral
bounds -log p(x_1). Time runs from nothing to data here, and the schedule is any.
Source: Santos et al. 2023, "Blackout Diffusion"; there kappa = e^{-tau}, tau from infinity to 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from .process import expand_time
from .schedules import LinearSchedule, Schedule, check_schedule, next_time


@dataclass(frozen=True)
class BinomialThinning:
    """The path from zero to a count, one unit after another (Santos et al. 2023).

    A state is a tensor of counts, int64 ``(batch, length, ...)``; the prediction is log r, of the
    same shape, real. Satisfies ``Process`` and ``Bounded``.

    Attributes:
        schedule: kappa, the share of units that are there.

    Raises:
        ValueError: for a schedule that does not run from 0 to 1.

    Example:
        >>> process = BinomialThinning()
        >>> generator = torch.Generator().manual_seed(0)
        >>> x_1 = torch.tensor([[100, 0], [100, 0]])
        >>> x_t, missing = process.corrupt(x_1, torch.tensor([0.5, 1.0]), generator=generator)
        >>> bool((x_t + missing == x_1).all()), x_t[1]
        (True, tensor([100,   0]))
    """

    schedule: Schedule = field(default_factory=LinearSchedule)

    def __post_init__(self) -> None:
        check_schedule(self.schedule)

    def sample_prior(
        self,
        shape: Sequence[int],
        *,
        generator: torch.Generator | None = None,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> Tensor:
        """Zeros of ``shape``."""
        del generator, dtype  # nothing is drawn, and counts are integers
        return torch.zeros(*shape, dtype=torch.long, device=device)

    def corrupt(
        self,
        x_1: Tensor,
        t: Tensor,
        x_0: Tensor | None = None,
        *,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Draw x_t ~ Binomial(x_1, kappa_t); returns it with the missing units x_1 - x_t.

        Args:
            x_1: counts, int64 ``(batch, ...)``, not negative.
            t: ``(batch,)``.
            x_0: not used: there is one start, zero.
            generator: source of the draws.

        Raises:
            ValueError: for counts that are not integers.
        """
        del x_0
        if x_1.is_floating_point() or x_1.dtype == torch.bool:
            raise ValueError(f"expected integer counts, got {x_1.dtype}")
        x_t = _binomial(x_1, expand_time(self.schedule.kappa(t), x_1), generator)
        return x_t, x_1 - x_t

    def loss(self, prediction: Tensor, target: Tensor, t: Tensor) -> Tensor:
        """The rate l at which paths part, averaged over counts, ``(batch,)``."""
        return self._divergence(prediction, target, t).flatten(1).mean(-1)

    def path_kl(self, prediction: Tensor, x_1: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
        """The same, summed over counts: its integral bounds -log p(x_1) in nats, ``(batch,)``."""
        return self._divergence(prediction, x_1 - x_t, t).flatten(1).sum(-1)

    def step(
        self,
        x_t: Tensor,
        prediction: Tensor,
        t: Tensor,
        dt: Tensor,
        *,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Births at the rate r kappa' with r frozen: x' = x + Poisson(r (kappa_t' - kappa_t)).

        Exact for Poisson counts; else first order in dt, as the rate forgets the births
        within the step.

        Args:
            x_t: int64 ``(batch, ...)``.
            prediction: log r, ``(batch, ...)``.
            t: ``(batch,)``.
            dt: ``(batch,)``.
            generator: source of the draws.

        Raises:
            ValueError: if state and prediction differ in shape.
        """
        if prediction.shape != x_t.shape:
            raise ValueError(
                f"expected a prediction of the state's shape {tuple(x_t.shape)}, "
                f"got {tuple(prediction.shape)}"
            )
        survival = self.schedule.survival
        share = expand_time(survival(t) - survival(next_time(t, dt)), x_t)
        return x_t + torch.poisson(prediction.exp() * share, generator=generator).long()

    def bridge(
        self,
        x_t: Tensor,
        x_1: Tensor,
        t: Tensor,
        dt: Tensor,
        *,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Draw x_{t+dt} given both x_t and the end x_1, exactly, whatever the step.

        With x_1 drawn from the exact posterior of x_t, this samples the data.

        Args:
            x_t: int64 ``(batch, ...)``.
            x_1: int64 ``(batch, ...)``; where it is below x_t no unit is added.
            t: ``(batch,)``.
            dt: ``(batch,)``.
            generator: source of the draws.
        """
        survival, arrival = self.schedule.survival(t), self.schedule.survival(next_time(t, dt))
        left = survival.clamp_min(torch.finfo(t.dtype).tiny)
        born = expand_time(((survival - arrival) / left).clamp(0, 1), x_t)
        return x_t + _binomial((x_1 - x_t).clamp_min(0), born, generator)

    def decode(self, x_1: Tensor) -> Tensor:
        """The counts themselves."""
        return x_1

    def _divergence(self, log_r: Tensor, missing: Tensor, t: Tensor) -> Tensor:
        """L of each count; at t = 1 nothing is missing and only r is left of it."""
        survival = self.schedule.survival(t).clamp_min(torch.finfo(t.dtype).eps)
        q = missing / expand_time(survival, missing)
        # Twice guarded: xlogy against the value at q = 0, the floor against its gradient.
        q_log_q = torch.special.xlogy(q, q.clamp_min(torch.finfo(q.dtype).tiny))
        speed = expand_time(self.schedule.derivative(t), missing)
        each: Tensor = speed * (log_r.exp() - q * log_r + q_log_q - q)
        return each


def _binomial(count: Tensor, p: Tensor, generator: torch.Generator | None) -> Tensor:
    """Binomial draws, int64; in float64, which holds counts up to 2^53."""
    return torch.binomial(count.double(), p.double().expand(count.shape), generator).long()
