r"""A bound on the negative log-likelihood of tokens, by comparing paths.

Let P be the law of the model's paths and P_{x_1} that of the process's paths that end in
x_1. The end is a function of the path, so the data processing inequality gives

    -log p(x_1) <= KL(P_{x_1} || P) = int_0^1 E_{x_t | x_1}[l(x_t, x_1, t)] dt,

where l, the rate at which the two part, is ``path_kl`` of the process. Both sides are equal
for the exact posterior if the past of a path tells nothing of x_1 beyond its present: for
`MaskedFlow`, and for `UniformFlow` with its default `ReversedNoising`. Elsewhere, with
`JumpRates` of visible noise as in `PriorFlow`, or `MetricFlow`, a token that has jumped looks
like one that has not, and the bound keeps a gap even then. It is a property of the predictor
in continuous time, whatever the number of sampling steps.

The integral is estimated by Monte Carlo without bias, by two opposite times in each of D/2
strata of each sequence, and the v of N sequences in N strata::

    t = 1 - (1 - u)^2,   u = (j + v)/(D/2) and (j + 1 - v)/(D/2) for j = 0..D/2-1,
    int_0^1 l dt ~ 1/D sum_u 2 (1 - u) l.

Near t = 1 changes are as rare, 1 - t, as their weight is large, 1/(1 - t), so that uniform times
would have infinite variance; with these, denser there, it is finite. The weights of two
opposite times add up to a constant, so that an l that is one, as that of autoregression, is
integrated exactly.
Source: Campbell et al. 2022, section 3; Sahoo et al. 2024; Shaul et al. 2024.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import repeat
from typing import Any, Protocol

import torch
from torch import Tensor

from ..objectives import stratified_times
from ..process import Condition, Process
from ..sampling import Predictor, seeded_generator
from ..state import split


class Bounded(Process[Tensor], Protocol):
    """A process that knows how fast the paths of a prediction part from those to x_1."""

    def path_kl(self, prediction: Any, x_1: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
        """The integrand l >= 0, in nats per unit of time, summed over positions, (batch,)."""
        ...


@dataclass(frozen=True)
class Bound:
    """An upper bound on the mean negative log-likelihood, with its errors.

    Attributes:
        nats: per token.
        standard_error: of ``nats`` as the mean over the population that the sequences were
            drawn from: spread of the sequences and noise of the draws; NaN for one sequence.
        draw_error: of ``nats`` for just these sequences, by the noise of the draws alone,
            from differences of neighbouring strata, so rather too large; NaN for one stratum.
        num_draws: D, times for each sequence.
        num_sequences: N.
    """

    nats: float
    standard_error: float
    draw_error: float
    num_draws: int
    num_sequences: int

    @property
    def bits(self) -> float:
        """The bound in bits per token."""
        return self.nats / math.log(2)


@torch.no_grad()
def variational_bound(
    process: Bounded,
    predictor: Predictor,
    x_1: Tensor,
    *,
    condition: Condition = None,
    num_draws: int = 16,
    seed: int = 0,
    batch_size: int = 256,
) -> Bound:
    """The bound for tokens ``x_1`` under a process and a predictor.

    Args:
        process: has a ``path_kl``. Under ``Autoregression`` the bound is the likelihood
            itself, and two draws are enough.
        predictor: a network, or guidance around one.
        x_1: int64 tokens, ``(batch, length)``; neither may be zero.
        condition: one row a sequence, or None.
        num_draws: D, times for each sequence, even.
        seed: same seed, same result, whatever the batch size.
        batch_size: rows that the predictor sees at once.

    Raises:
        ValueError: for no tokens, or an odd number of draws.

    Example:
        >>> from seqflow.autoregressive import Autoregression
        >>> uniform = lambda x_t, t, condition: torch.zeros(*x_t.shape, 4)
        >>> bound = variational_bound(Autoregression(4), uniform, torch.tensor([[0, 3, 1]]))
        >>> round(bound.bits, 4)
        2.0
    """
    if num_draws < 2 or num_draws % 2:
        raise ValueError(f"expected an even number of draws, at least 2, got {num_draws}")
    if 0 in x_1.shape:
        raise ValueError(f"expected at least one token, got shape {tuple(x_1.shape)}")
    integrand = _Integrand(process, predictor, x_1, condition, batch_size)
    strata = num_draws // 2
    pairs = []
    for stratum in range(strata):
        generator = seeded_generator(seed, stratum, device=x_1.device)
        v = stratified_times(len(x_1), generator)
        first, second = strata - stratum - v, strata - stratum - 1 + v
        pairs.append(integrand(first / strata, generator) + integrand(second / strata, generator))
    return _summarise(torch.stack(pairs) / x_1.shape[1])


@dataclass(frozen=True)
class _Integrand:
    """Draws of 2 (1 - u) l(x_t, x_1, t) at t = 1 - (1 - u)^2, one a sequence."""

    process: Bounded
    predictor: Predictor
    x_1: Tensor
    condition: Condition
    batch_size: int

    def __call__(self, left: Tensor, generator: torch.Generator) -> Tensor:
        """At ``left`` = 1 - u, ``(N,)``; float64 ``(N,)``."""
        t = (1 - left**2).clamp_max(1 - torch.finfo(left.dtype).eps)
        # All at once, so that the draws do not depend on the batch size.
        x_t, _ = self.process.corrupt(self.x_1, t, generator=generator)
        pieces = (torch.split(each, self.batch_size) for each in (self.x_1, x_t, t))
        values = [
            self.process.path_kl(self.predictor(noisy, time, y), clean, noisy, time)
            for clean, noisy, time, y in zip(*pieces, self._conditions(), strict=False)
        ]
        return 2 * left.double() * torch.cat(values).double()

    def _conditions(self) -> Iterable[Condition]:
        whole = self.condition
        return repeat(None) if whole is None else split(whole, self.batch_size)


def _summarise(pairs: Tensor) -> Bound:
    """Mean and errors of the sums of two opposite draws, ``(D/2, N)``."""
    strata, num = pairs.shape
    each = pairs.mean(0) / 2
    spread = each.var() if num > 1 else each.new_tensor(math.nan)
    return Bound(
        nats=float(each.mean()),
        standard_error=math.sqrt(float(spread) / num),
        draw_error=math.sqrt(_noise(pairs) / num),
        num_draws=2 * strata,
        num_sequences=num,
    )


def _noise(pairs: Tensor) -> float:
    """The variance of one sequence's mean over strata.

    That of l in a stratum cannot be seen in one pair; the difference of neighbours can.
    """
    strata = len(pairs)
    if strata == 1:
        return math.nan
    # The weights of both times of a pair, which add up to D = 2 strata.
    weights = 4 * (1 - (torch.arange(strata, device=pairs.device).double() + 0.5) / strata)
    differences = (pairs / weights[:, None]).diff(dim=0).square().mean(-1) / 2
    between = (weights[1:] + weights[:-1]) / 2
    each = (between.square() * differences).sum() * strata / (strata - 1)
    return float(each) / (2 * strata) ** 2
