r"""Fisher flow: tokens as vertices of the simplex, reached along geodesics of its own metric.

The square root y = sqrt(x) takes the simplex with the Fisher-Rao metric to the positive orthant
of a sphere (``geometry.simplex``). A token i is e_i there, at the angle theta_i, cos theta_i =
y_i, and the path is the great circle from noise to e_i with the share kappa_t of its length,

    u_t(y | e_i) = kappa'/S (theta_i/sin theta_i) (e_i - y_i y),    S = 1 - kappa_t,

so the field of a prediction p of the posterior is, in O(K),

    v_t(y) = kappa'/S (w - y <y, w>),    w_i = p_i theta_i / sin theta_i,

and the step y' = exp_y((1 - S'/S)(w - y <y, w>)) is exact for a p that is one-hot.

Noise is uniform for the volume of this metric, Dirichlet(1/2, ..., 1/2), so that

    p(x_t | e_i) ~ [sin(theta_i/S) / sin theta_i]^{K-2}   where theta_i <= S pi/2,  else 0.

The support has the fault of the linear path, if milder: noise comes from the orthant only, so
all tokens further than S pi/2 are excluded at a stroke, and inside their evidence differs by less
than 0.91 (K - 2), whatever t. At most 1/cos^2(S pi/2) tokens are left. (Noise of
Dirichlet(1, ..., 1) has another constant, and the same support.)
Source: Davis et al. 2024, "Fisher Flow Matching for Generative Modeling over Discrete Data"; the
field from a posterior and the evidence follow from the path.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from geometry.orthant import PositiveOrthant
from geometry.simplex import Simplex, square_root

from .categorical import cross_entropy, probabilities
from .process import expand_time, reaches_data
from .schedules import LinearSchedule, Schedule, arriving_share, check_schedule, hazard
from .simplex_state import check_state, land, tilt_logits, vertices


@dataclass(frozen=True)
class FisherFlow:
    """Geodesic flow on ``geometry.Simplex(K)`` for tokens of ``num_classes`` kinds.

    A state is a point of the simplex per token, ``(batch, length, K)``; the prediction is
    the logits of p(x_1 | x_t), of the same shape. Satisfies ``CategoricalProcess`` and
    ``Tiltable``.

    Args:
        num_classes: K, at least 2.
        schedule: kappa.

    Raises:
        ValueError: for fewer than two classes, or a schedule that does not run from 0 to 1.

    Example:
        >>> process = FisherFlow(3)
        >>> x_0 = torch.tensor([[[1.0, 0.0, 0.0]]])
        >>> process.corrupt(torch.tensor([[1]]), torch.tensor([0.5]), x_0)[0]
        tensor([[[0.5000, 0.5000, 0.0000]]])
    """

    num_classes: int
    schedule: Schedule = field(default_factory=LinearSchedule)

    def __post_init__(self) -> None:
        if self.num_classes < 2:
            raise ValueError(f"expected num_classes of at least 2, got {self.num_classes}")
        check_schedule(self.schedule)

    @property
    def manifold(self) -> Simplex:
        """Where a token's state lives."""
        return Simplex(self.num_classes)

    def sample_prior(
        self,
        shape: Sequence[int],
        *,
        generator: torch.Generator | None = None,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> Tensor:
        """Dirichlet(1/2, ..., 1/2), ``(batch, length, K)`` for a shape (batch, length)."""
        return self.manifold.random_uniform(
            *shape, generator=generator, dtype=dtype, device=device
        )

    def corrupt(
        self,
        x_1: Tensor,
        t: Tensor,
        x_0: Tensor | None = None,
        *,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, Tensor]:
        """The point of the geodesic from x_0 to e_{x_1}, with the tokens as target.

        Args:
            x_1: int64 tokens, ``(batch, length)``.
            t: ``(batch,)``; its dtype is that of the state.
            x_0: noise, ``(batch, length, K)``, if a coupling chose it; drawn if not.
            generator: source of the draws.

        Raises:
            ValueError: if ``x_0`` is not of shape ``(batch, length, K)``.
        """
        if x_0 is None:
            x_0 = self.sample_prior(x_1.shape, generator=generator, dtype=t.dtype, device=t.device)
        check_state(x_0, x_1.shape, self.num_classes)
        ends = vertices(x_1, self.num_classes, x_0.dtype)
        x_t = self.manifold.geodesic(x_0, ends, expand_time(self.schedule.kappa(t), x_1))
        arrives = expand_time(reaches_data(t, torch.zeros_like(t)), x_t)
        return torch.where(arrives, ends, self.manifold.projx(x_t)), x_1

    def loss(self, prediction: Tensor, target: Tensor, t: Tensor) -> Tensor:
        """Cross-entropy of the logits, averaged over positions, ``(batch,)``."""
        del t
        return cross_entropy(prediction, target)

    def evidence(self, x_t: Tensor, t: Tensor) -> Tensor:
        """(K - 2) log of [sin(theta/S)/(theta/S)] / [sin theta/theta], a steep ramp outside.

        The support is closed with a margin of sixteen roundings, and beyond it the ramp falls by
        one for each further sixteen: where a discrete step has left no token possible, the one
        nearest to being so wins. Shape ``(batch, length, K)``.
        """
        theta = vertex_angles(x_t)
        margin = 16 * torch.finfo(x_t.dtype).eps
        left = expand_time(self.schedule.survival(t), x_t).clamp_min(margin)
        start = (theta / left).clamp_max(math.pi / 2)
        inside = (self.num_classes - 2) * (sinc(start).log() - sinc(theta).log())
        return inside + (left * (math.pi / 2) - theta + margin).clamp_max(0) / margin

    def velocity(self, x_t: Tensor, logits: Tensor, t: Tensor) -> Tensor:
        """The field dx/dt = 2 y v, finite at t = 1; shape ``(batch, length, K)``."""
        y = square_root(x_t)
        rate = expand_time(hazard(self.schedule, t), x_t)
        return 2 * rate * y * _pull(x_t, y, logits)

    def step(
        self,
        x_t: Tensor,
        prediction: Tensor,
        t: Tensor,
        dt: Tensor,
        *,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """y' = exp_y((1 - S'/S)(w - y <y, w>)); a step to t = 1 lands on a vertex x_1 ~ p.

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
        share = arriving_share(self.schedule, t, dt).clamp(0, 1)
        y = square_root(x_t)
        pull = expand_time(share, x_t) * _pull(x_t, y, prediction)
        moved = PositiveOrthant(self.num_classes).expmap(y, pull).square()
        arrives = expand_time(reaches_data(t, dt), x_t)
        p = probabilities(prediction)
        return land(self.manifold.projx(moved), p, arrives, generator=generator)

    def decode(self, x_1: Tensor) -> Tensor:
        """The token of the nearest vertex, ``(batch, length)``."""
        return x_1.argmax(-1)

    def relax(self, x_t: Tensor, t: Tensor) -> Tensor:
        """The state itself, a point of the simplex."""
        del t
        return x_t

    def tilt(self, prediction: Tensor, gradient: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
        """Classifier guidance: logits of p' = p + S/2 q (g - <g>_q), on the simplex.

        With q_i = y_i sin theta_i/theta_i, and <.>_q the mean with weights q, which keeps the
        sum at one. It adds kappa' x (g - <x, g>), the gradient of h in the Fisher metric, to
        dx/dt.
        """
        q = square_root(x_t) * sinc(vertex_angles(x_t))
        total = q.sum(-1, keepdim=True)
        strength = expand_time(self.schedule.survival(t), x_t) * total / 2
        return tilt_logits(prediction, gradient, q / total, strength)


def sinc(a: Tensor) -> Tensor:
    """sin(a)/a, 1 at 0, with finite gradients.

    Example:
        >>> sinc(torch.tensor([0.0, torch.pi / 2]))
        tensor([1.0000, 0.6366])
    """
    a = a.clamp_min(torch.finfo(a.dtype).eps)
    return a.sin() / a


def vertex_angles(x: Tensor) -> Tensor:
    """theta_i = atan2(sqrt(1 - x_i), sqrt(x_i)), the angle from sqrt(x) to each vertex.

    1 - x_i of the largest number is the sum of the others, which keeps its relative accuracy
    near a vertex. ``(..., K)`` to ``(..., K)``.

    Example:
        >>> vertex_angles(torch.tensor([0.5, 0.5, 0.0])) / torch.pi
        tensor([0.2500, 0.2500, 0.5000])
    """
    largest = x.argmax(-1, keepdim=True)
    others = x.scatter(-1, largest, 0.0).sum(-1, keepdim=True)
    rest = (1 - x).clamp_min(0).scatter(-1, largest, others)
    return torch.atan2(square_root(rest), square_root(x))


def _pull(x: Tensor, y: Tensor, logits: Tensor) -> Tensor:
    """w - y <y, w>: the mean of log_y(e_i) over p, tangent at y."""
    w = probabilities(logits) / sinc(vertex_angles(x))
    return w - (y * w).sum(-1, keepdim=True) * y
