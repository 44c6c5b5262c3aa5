r"""Metric paths: tokens become data through their neighbours.

    p_t(x | x_1) = exp(-beta_t d(x, x_1))/Z,   beta_t = c (t/(1 - t))^a

for a distance d between tokens: beta_0 = 0 is uniform noise, beta_1 = infinity the datum, and
in between near tokens are likelier than far ones. With the kinetic-optimal rates

    u_t(x, z | x_1) = p_t(x | x_1) beta'_t [d(z, x_1) - d(x, x_1)]_+

a token only ever moves to tokens nearer to x_1 (Shaul et al. 2024, section 4). A step from s
to t, for x_1 held fixed, draws x ~ p_t(.|x_1) and moves there with probability

    1 - exp(-(beta_t - beta_s) [d(z, x_1) - d(x, x_1)]_+).

It has those rates in the limit, and exact marginals for a step of any size: with
J(x, z) = p_t(x) p_s(z) - p_t(z) p_s(x), whose sum over z is p_t(x) - p_s(x), the flow from z to x
is p_s(z) p_t(x) (1 - p_s(x) p_t(z)/(p_t(x) p_s(z)))_+ = J(x, z)_+, for in the quotient the Z
cancel. It is an exact kernel, though not the only one: the chain's own, over a long step, may
take two jumps. In the last step every token lands on x_1.

Jump first: no x_1 is farther from z than d_max(z), so one uniform u a position leaves those
with u < 1 - exp(-(beta_t - beta_s) d_max(z)), and only these draw x_1 and x.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..categorical import check_tokens, probabilities
from ..process import expand_time
from ..schedules import next_time
from ..simplex_state import vertices
from .distances import Matrix, check_distance
from .lazy_logits import DenseLogits, Logits, as_logits, draw_at
from .losses import CROSS_ENTROPY, Noised, TokenLoss


@dataclass(frozen=True)
class MetricFlow:
    """The metric path of a distance between K tokens.

    A state is int64 tokens ``(batch, length)``, a prediction the logits of p(x_1 | x_t),
    ``(batch, length, K)``. Satisfies ``CategoricalProcess``.

    Attributes:
        distance: K x K, symmetric, 0 on the diagonal and positive off it; only the ratios of
            its entries count, for it is scaled to a mean of 1 off the diagonal.
        strength: c; by default log(K + 1), with which a path of equal distances is half way
            where the uniform one with a linear schedule is.
        power: a, positive.
        objective: the training loss.

    Raises:
        ValueError: for a matrix that is no distance, naming the entry, or a strength or power
            that is not positive and finite.

    Example:
        >>> from seqflow.discrete import transition_transversion
        >>> process = MetricFlow(transition_transversion(0.5))
        >>> x_t, t = torch.tensor([[0]]), torch.tensor([0.5])
        >>> process.evidence(x_t, t).softmax(-1)  # A, C, G, T
        tensor([[[0.5986, 0.0868, 0.2279, 0.0868]]])
    """

    distance: Matrix
    strength: float | None = None
    power: float = 1.0
    objective: TokenLoss = CROSS_ENTROPY

    def __post_init__(self) -> None:
        check_distance(self.distance)
        if self.strength is not None and not 0 < self.strength < math.inf:
            raise ValueError(f"expected a positive strength, got {self.strength}")
        if not 0 < self.power < math.inf:
            raise ValueError(f"expected a positive power, got {self.power}")

    @property
    def num_classes(self) -> int:
        """K."""
        return len(self.distance)

    def beta(self, t: Tensor) -> Tensor:
        """c (t/(1 - t))^a, at t = 1 large but finite."""
        eps = torch.finfo(t.dtype).eps
        c = math.log(self.num_classes + 1) if self.strength is None else self.strength
        # 1/eps^2 is finite in float32 too, and e^(-1/eps^2) is 0.
        return (c * (t / (1 - t).clamp_min(eps)) ** self.power).clamp_max(eps**-2)

    def log_path(self, t: Tensor) -> Tensor:
        """Log p_t(x | x_1), ``(batch, K, K)`` with x_1 first."""
        d = self._scaled_distance(t.dtype, t.device)
        return (-expand_time(self.beta(t), d[None]) * d).log_softmax(-1)

    def sample_prior(
        self,
        shape: Sequence[int],
        *,
        generator: torch.Generator | None = None,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> Tensor:
        """Uniform tokens x_0 of ``shape`` (batch, length); ``dtype`` is that of times."""
        del dtype
        return torch.randint(self.num_classes, tuple(shape), generator=generator, device=device)

    def corrupt(
        self,
        x_1: Tensor,
        t: Tensor,
        x_0: Tensor | None = None,
        *,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, Noised]:
        """Draw tokens of p_t(.|x_1); returns them, and clean and noisy ones as the target.

        Noise chosen by a coupling is carried over by one step from 0 to t.

        Args:
            x_1: int64 tokens, ``(batch, length)``.
            t: ``(batch,)``.
            x_0: noise tokens, ``(batch, length)``, if a coupling chose them.
            generator: source of the draws.

        Raises:
            ValueError: for tokens that are not of the alphabet, or an ``x_0`` of another shape.
        """
        check_tokens(x_1, self.num_classes)
        if x_0 is None:
            x_0 = self.sample_prior(x_1.shape, generator=generator, device=x_1.device)
        if x_0.shape != x_1.shape:
            raise ValueError(
                f"expected noise tokens of shape {tuple(x_1.shape)}, got {tuple(x_0.shape)}"
            )
        u = torch.empty(x_1.shape, dtype=t.dtype, device=x_1.device).uniform_(generator=generator)
        row = torch.arange(len(t), device=t.device)[:, None].expand_as(x_1).flatten()
        tokens = (x_0.flatten(), x_1.flatten(), u.flatten())
        x_t = self._move(*tokens, row, torch.zeros_like(t), t, generator).view_as(x_1)
        return x_t, Noised(x_1, x_t)

    def loss(self, prediction: Tensor, target: Noised, t: Tensor) -> Tensor:
        """The objective, per token, ``(batch,)``."""
        return self.objective(self, prediction, target, t)

    def settled(self, x_t: Tensor) -> Tensor:
        """Nowhere: any token may still change; bool ``(batch, length)``."""
        return torch.zeros_like(x_t, dtype=torch.bool)

    def evidence(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Log p_t(x_t | x_1 = i) up to a constant per position, ``(batch, length, K)``.

        At most twice the digits of the dtype below its largest value, 32 in float32.

        Args:
            x_t: ``(batch, length)``; or one-hot in floating point, as from ``relax``, of which
                softmax(evidence) is then a linear function.
            t: ``(batch,)``, whose dtype is that of the result.
        """
        table = self._evidence_table(t)
        if x_t.is_floating_point():
            return (x_t @ table.softmax(-1)).log()
        return table.gather(1, x_t[..., None].expand(*x_t.shape, self.num_classes))

    def relax(self, x_t: Tensor, t: Tensor) -> Tensor:
        """The state one-hot, ``(batch, length, K)``, where ``evidence`` has gradients."""
        return vertices(x_t, self.num_classes, t.dtype)

    def tilt(self, prediction: Tensor, gradient: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
        """Logits of p'(x_1) = p(x_1) exp(gradient at x_1): classifier guidance by Taylor."""
        del x_t, t
        return prediction + gradient

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

        Args:
            x_t: ``(batch, length)``.
            prediction: logits of p(x_1 | x_t), ``(batch, length, K)``, possibly lazy.
            t: ``(batch,)``.
            dt: ``(batch,)``.
            generator: source of the draws.

        Raises:
            ValueError: if the prediction is not of shape ``(batch, length, K)``.
        """
        logits, end = as_logits(prediction, x_t, self.num_classes), next_time(t, dt)
        u = torch.empty(x_t.shape, dtype=t.dtype, device=x_t.device).uniform_(generator=generator)
        farthest = self._scaled_distance(t.dtype, x_t.device).amax(-1)[x_t]
        growth = expand_time(self.beta(end) - self.beta(t), farthest)
        jumps = u < -torch.expm1(-growth * farthest)
        positions = jumps.flatten().nonzero().squeeze(1)
        x_1 = draw_at(logits, positions, generator=generator)
        z, u, row = x_t.flatten()[positions], u.flatten()[positions], positions // x_t.shape[-1]
        moved = self._move(z, x_1, u, row, t, end, generator)
        return x_t.flatten().index_copy(0, positions, moved).view_as(x_t)

    def decode(self, x_1: Tensor) -> Tensor:
        """The tokens themselves."""
        return x_1

    def log_kernel(self, x_t: Tensor, prediction: Tensor, t: Tensor, dt: Tensor) -> Tensor:
        """Log of the law of x_{t+dt} that ``step`` draws from, ``(batch, length, K)``; finite.

        The sum over x_1 costs K^2 a position.
        """
        end = next_time(t, dt)
        growth = expand_time(self.beta(end) - self.beta(t), self._gains(t)[None])
        moves = self.log_path(end).exp()[:, None] * -torch.expm1(-growth * self._gains(t))
        q = self._mix(moves, x_t, probabilities(prediction))
        q = q.scatter_add(-1, x_t[..., None], 1 - q.sum(-1, keepdim=True))
        return q.clamp_min(torch.finfo(q.dtype).tiny).log()

    def path_kl(self, prediction: Tensor, x_1: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
        """The rate at which the paths of the prediction and of x_1 part, in nats, ``(batch,)``.

        Sum over positions and x of u' - u + u log(u/u'), with u' the mean of the rates u under
        the prediction; its integral over t in [0, 1] bounds -log p(x_1). Costs K^2 a position.

        Args:
            prediction: logits of p(x_1 | x_t), ``(batch, length, K)``.
            x_1: ``(batch, length)``.
            x_t: ``(batch, length)``, drawn by ``corrupt``.
            t: ``(batch,)``.
        """
        tiny = torch.finfo(t.dtype).tiny
        rates = self.log_path(t).exp()[:, None] * self._gains(t)
        model = self._mix(rates, x_t, probabilities(prediction))
        true = self._mix(rates, x_t, vertices(x_1, self.num_classes, t.dtype))
        ratio = true.clamp_min(tiny).log() - model.clamp_min(tiny).log()
        each = (model - true + true * ratio).clamp_min(0)
        return self._beta_derivative(t) * each.sum((-1, -2))

    def _gains(self, t: Tensor) -> Tensor:
        """[d(z, x_1) - d(x, x_1)]_+, ``(K, K, K)`` by z, x_1, x."""
        d = self._scaled_distance(t.dtype, t.device)
        return (d[:, :, None] - d[None]).clamp_min(0)

    def _mix(self, table: Tensor, x_t: Tensor, p: Tensor) -> Tensor:
        """sum_{x_1} p(x_1) table[x_t, x_1, x] for a table ``(batch, K, K, K)``."""
        rows = table[torch.arange(len(x_t), device=x_t.device)[:, None], x_t]
        return (p[..., None, :] @ rows).squeeze(-2)

    def _beta_derivative(self, t: Tensor) -> Tensor:
        """beta a/(t (1 - t)), cut off at 1/eps, where every token is settled."""
        eps = torch.finfo(t.dtype).eps
        t = t.clamp(eps, 1 - eps)
        return (self.beta(t) * self.power / (t * (1 - t))).clamp_max(1 / eps)

    def _evidence_table(self, t: Tensor) -> Tensor:
        """Evidence of each state z for each x_1, ``(batch, K, K)``."""
        table = self.log_path(t).mT
        lowest = 2 * math.log(torch.finfo(t.dtype).eps)
        return (table - table.amax(-1, keepdim=True)).clamp_min(lowest)

    def _move(
        self,
        z: Tensor,
        x_1: Tensor,
        u: Tensor,
        row: Tensor,
        s: Tensor,
        t: Tensor,
        generator: torch.Generator | None,
    ) -> Tensor:
        """The kernel from s to t for positions ``(n,)`` of batch rows ``row``."""
        d = self._scaled_distance(t.dtype, z.device)
        path = DenseLogits(-(self.beta(t)[row, None] * d[x_1])[:, None])
        x = draw_at(path, torch.arange(len(row), device=row.device), generator=generator)
        gain = (d[x_1, z] - d[x_1, x]).clamp_min(0)
        growth = (self.beta(t) - self.beta(s))[row]
        return torch.where(u < -torch.expm1(-growth * gain), x, z)

    def _scaled_distance(self, dtype: torch.dtype, device: torch.device) -> Tensor:
        """The distance divided by its mean off the diagonal, ``(K, K)``."""
        d = torch.tensor(self.distance, dtype=dtype, device=device)
        return d * (self.num_classes * (self.num_classes - 1) / d.sum())
