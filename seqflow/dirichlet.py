"""Dirichlet flow: tokens become Dirichlet clouds that contract onto vertices of the simplex.

With K classes, n = K - 1 and Dirichlet time s from 0 to infinity, the path of a token i is

    p_s(x | e_i) = Dir(x; 1 + s e_i) = Gamma(K + s)/Gamma(1 + s) x_i^s:

uniform noise at s = 0, the vertex e_i at infinity, and all tokens possible in between. Its
mass moves on rays, u_s(x | e_i) = C(x_i, s) (e_i - x) (``dirichlet_rate`` has C), and a
prediction p_i = p(x_1 = i | x_s) moves it by

    v_s(x) = sum_i p_i C(x_i, s) (e_i - x) = q - x Q,   q_i = p_i C(x_i, s),   Q = sum_i q_i.

House time t is the distribution function of s in training, an exponential law cut off at
t_max: uniform t samples that law, and an even grid of t is the sampling grid. The path is
followed up to t_max; the rest of the way to infinity is one jump, which t = 1 stands for.
Source: Stark et al. 2024, "Dirichlet Flow Matching with Applications to DNA Sequence Design".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .categorical import cross_entropy, probabilities
from .dirichlet_rate import dirichlet_rate, distance_left
from .process import expand_time, reaches_data
from .simplex_state import (
    check_state,
    land,
    tilt_logits,
    uniform_simplex,
    vertices,
)

TRAINING_SCALES = 3.5
"""t_max in units of the scale of the exponential law of s: 7 against 2 in the paper."""


def default_t_max(num_classes: int) -> float:
    """The Dirichlet time at which the largest coordinate is the wrong one in 1% of draws.

    P(argmax x != i) = 1 - E[(1 - exp(-G))^n] = 0.01 with G ~ Gamma(1 + s). A fit that is
    within 0.05 of the solution for K from 2 to 32000.

    Example:
        >>> [round(default_t_max(K), 1) for K in (4, 20, 32000)]
        [7.1, 9.8, 19.7]
    """
    log_k = math.log(num_classes)
    return 5.272 + 1.243 * log_k + 0.491 * math.sqrt(log_k) - 1.705 / num_classes


@dataclass(frozen=True)
class DirichletFlow:
    """Dirichlet flow matching on tokens of ``num_classes`` kinds (Stark et al. 2024).

    A state is a point of the simplex per token, ``(batch, length, K)``; the prediction is
    the logits of p(x_1 | x_t), of the same shape. Satisfies ``CategoricalProcess`` and
    ``Tiltable``.

    Args:
        num_classes: K, at least 2.
        t_max: Dirichlet time up to which the path is followed; ``default_t_max(K)`` if None.

    Raises:
        ValueError: if there are fewer than two classes or ``t_max`` is not positive.

    Example:
        >>> process = DirichletFlow(4)
        >>> process
        DirichletFlow(num_classes=4, t_max=7.147)
        >>> generator = torch.Generator().manual_seed(0)
        >>> t = torch.tensor([0.0, 0.5, 1.0])
        >>> x_t, target = process.corrupt(torch.tensor([[1], [1], [1]]), t, generator=generator)
        >>> x_t[2]
        tensor([[0., 1., 0., 0.]])
    """

    num_classes: int
    t_max: float | None = None

    def __post_init__(self) -> None:
        if self.num_classes < 2:
            raise ValueError(f"expected num_classes of at least 2, got {self.num_classes}")
        if self.t_max is not None and not self.t_max > 0:
            raise ValueError(
                f"expected t_max > 0, got {self.t_max}; leave it out for default_t_max(K)"
            )

    def __repr__(self) -> str:
        return f"DirichletFlow(num_classes={self.num_classes}, t_max={self.horizon:.4g})"

    @property
    def horizon(self) -> float:
        """The Dirichlet time that t = 1 stands for: ``t_max``, or its default."""
        return default_t_max(self.num_classes) if self.t_max is None else self.t_max

    def dirichlet_time(self, t: Tensor) -> Tensor:
        """s(t) = -b ln(1 - t (1 - exp(-t_max/b))), b = t_max/3.5: from 0 to t_max.

        The quantile function of the exponential law of scale b cut off at t_max.
        """
        scale = self.horizon / TRAINING_SCALES
        return -scale * torch.log1p(t * math.expm1(-TRAINING_SCALES))

    def sample_prior(
        self,
        shape: Sequence[int],
        *,
        generator: torch.Generator | None = None,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> Tensor:
        """Uniform points of the simplex, ``(batch, length, K)`` for a shape (batch, length)."""
        return uniform_simplex(
            shape, self.num_classes, generator=generator, dtype=dtype, device=device
        )

    def corrupt(
        self,
        x_1: Tensor,
        t: Tensor,
        x_0: Tensor | None = None,
        *,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Draw x_t ~ Dir(1 + s e_{x_1}); returns it with the tokens as target.

        K exponentials, the one of x_1 replaced by a Gamma(1 + s), over their sum. With
        ``x_0`` given nothing is drawn: x_t is where the conditional flow takes x_0,
        x_t = r x_0 + (1 - r) e_{x_1}, which keeps the quantile of x_i; so a coupling whose
        x_0 is uniform given x_1 leaves the path as it is. At t = 1 x_t is the vertex.

        Args:
            x_1: int64 tokens, ``(batch, length)``.
            t: ``(batch,)``; its dtype is that of the state.
            x_0: noise, ``(batch, length, K)``, if a coupling chose it.
            generator: source of the draws.

        Raises:
            ValueError: if ``x_0`` is not of shape ``(batch, length, K)``.
        """
        arrives = expand_time(reaches_data(t, torch.zeros_like(t)), x_1)
        s = expand_time(self.dirichlet_time(t), x_1)
        if x_0 is not None:
            return self._follow_ray(x_1, s, arrives, x_0), x_1
        noise = t.new_empty((*x_1.shape, self.num_classes)).exponential_(generator=generator)
        # The one sampler of gammas in torch that takes a generator.
        gamma = torch._standard_gamma((1 + s).expand(x_1.shape), generator=generator)
        noise = noise.masked_fill(arrives[..., None], 0)
        noise = noise.scatter(-1, x_1[..., None], gamma[..., None])
        return noise / noise.sum(-1, keepdim=True), x_1

    def _follow_ray(self, x_1: Tensor, s: Tensor, arrives: Tensor, x_0: Tensor) -> Tensor:
        check_state(x_0, x_1.shape, self.num_classes)
        z = x_0.gather(-1, x_1[..., None]).squeeze(-1)
        r = distance_left(z, torch.zeros_like(s), s, self.num_classes)
        r = r.masked_fill(arrives, 0)[..., None]
        return r * x_0 + (1 - r) * vertices(x_1, self.num_classes, x_0.dtype)

    def loss(self, prediction: Tensor, target: Tensor, t: Tensor) -> Tensor:
        """Cross-entropy of the logits, averaged over positions, ``(batch,)``."""
        return cross_entropy(prediction, target)

    def evidence(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Log p(x_t | x_1 = i) = s ln x_i + constant, ``(batch, length, K)``.

        Finite at the corners, with finite gradients: x_i counts as at least the square
        root of the dtype's smallest normal number.
        """
        floor = math.sqrt(torch.finfo(x_t.dtype).tiny)
        return expand_time(self.dirichlet_time(t), x_t) * x_t.clamp_min(floor).log()

    def velocity(self, x_t: Tensor, logits: Tensor, t: Tensor) -> Tensor:
        """The field v = dx/ds = q - x Q with q = p C(x, s), at s = ``dirichlet_time(t)``.

        Sums to zero, and never points out of the simplex. Shape ``(batch, length, K)``.
        """
        s = expand_time(self.dirichlet_time(t), x_t)
        q = probabilities(logits) * dirichlet_rate(x_t, s, self.num_classes)
        return q - x_t * q.sum(-1, keepdim=True)

    def step(
        self,
        x_t: Tensor,
        prediction: Tensor,
        t: Tensor,
        dt: Tensor,
        *,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Move by v with p and C frozen: x' = x e^{-hQ} + q (1 - e^{-hQ})/Q, h = s' - s.

        Both terms are positive and sum to one, so the state stays on the simplex whatever
        h. A step that reaches t = 1 draws x_1 ~ p and lands on its vertex.

        Args:
            x_t: ``(batch, length, K)``.
            prediction: logits of p(x_1 | x_t), ``(batch, length, K)``.
            t: ``(batch,)``.
            dt: ``(batch,)``.
            generator: source of the draws.

        Raises:
            ValueError: if the state or the prediction is not of shape (batch, length, K).
        """
        check_state(prediction, x_t.shape[:-1], self.num_classes)
        s, s_next = (expand_time(self.dirichlet_time(u), x_t) for u in (t, t + dt))
        p = probabilities(prediction)
        q = p * dirichlet_rate(x_t, s, self.num_classes)
        hQ = (s_next - s) * q.sum(-1, keepdim=True)
        moved = x_t * torch.exp(-hQ) + q * ((s_next - s) * _mean_decay(hQ))
        arrives = expand_time(reaches_data(t, dt), x_t)
        return land(moved, p, arrives, generator=generator)

    def decode(self, x_1: Tensor) -> Tensor:
        """The token of the nearest vertex, ``(batch, length)``."""
        return x_1.argmax(-1)

    def relax(self, x_t: Tensor, t: Tensor) -> Tensor:
        """The state itself, a point of the simplex."""
        del t
        return x_t

    def tilt(self, prediction: Tensor, gradient: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
        """Classifier guidance: logits of p' = p + x (g - <x, g>)/s, kept on the simplex.

        Equivalent to adding g to the score of the path, s p/x. At s = 0, where the path does
        not depend on x_1, p' is the point of the simplex furthest that way.
        """
        s = self.dirichlet_time(t).clamp_min(torch.finfo(t.dtype).eps)
        return tilt_logits(prediction, gradient, x_t, expand_time(1 / s, x_t))


def _mean_decay(r: Tensor) -> Tensor:
    """(1 - e^{-r})/r for r >= 0, the mean of e^{-r u} over u in [0, 1]; by its series near 0."""
    small = r < 1e-2
    safe = torch.where(small, 1.0, r)
    series = 1 - r / 2 * (1 - r / 3 * (1 - r / 4 * (1 - r / 5)))
    return torch.where(small, series, -torch.expm1(-safe) / safe)
