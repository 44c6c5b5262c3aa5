r"""Radial diffusion: tokens as vertices of a sphere, reached by bridges from a single start.

Probabilities p become the point sqrt(p) of a sphere, where the Fisher-Rao metric is the plain one
and a token is a vertex. Every token starts at the same point, the mask, the centre of all tokens
or between the two, and runs along the *logarithm bridge* to its vertex (`bridge`). Given the
posterior p of the clean tokens the generative process is

    dX = gamma sum_k p_k log_X(e_k) dt + sigma dB,

and since that is the law of the mixture of bridges, the divergence of its paths from those of a
token k is, by Girsanov's theorem, in closed form and per position,

    l = ds/dt Q/(2 v_1 (1 - s)^2),   Q = |c|^2 - <c, x>^2,   c_j = (p_j - 1[j = k]) f(x_j),

f(cos theta) = theta/sin theta, whose integral over t bounds -log p(x_1): nothing is left at
t = 1, where the bridge ends in e_k, and nothing is owed at t = 0, where all start alike. The
schedule is a clock and changes none of it; v_1, the total variance, does.

Mixing paths of several starts, as in the source, makes no process: the sum of their integrands is
not a bound, and can be below the entropy.
Source: Jo and Hwang 2025, "Continuous Diffusion Model for Language Modeling" (arXiv:2502.11564).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..categorical import check_tokens, probabilities
from ..discrete.losses import CROSS_ENTROPY, Noised, TokenLoss
from ..process import expand_time, reaches_data
from ..schedules import Schedule, check_schedule, next_time
from .angles import angle_ratio
from .bridge import Bridge, Radial, lift
from .clock import default_schedule
from .evidence import log_evidence
from .moments import MomentTable, moments
from .moves import DrawnEnd, Move
from .strides import time_angle
from .walks import FreshWalk, Walk


@dataclass(frozen=True)
class RadialFlow:
    """Radial diffusion of tokens of ``num_classes`` kinds.

    A state is a point of the sphere S^K a token, ``(batch, length, K + 1)``, whose last coordinate
    is the mask's; a prediction the logits of p(x_1 | x_t), ``(batch, length, K)``. Satisfies
    ``CategoricalProcess``, ``Tiltable`` and ``Bounded``.

    Attributes:
        num_classes: K, at least 2.
        start: where all tokens start: 0 is the mask, 1 the centre of all tokens.
        variance: v_1, the total variance of the noise in one direction; None for 1/K, so that the
            squared length of the noise does not grow with the alphabet.
        schedule: kappa = s, the clock; None for `clock.default_schedule`.
        walk: how noisy states are drawn. `FreshWalk` is right everywhere; `ParticleTable` is
            faster, and for training only: its draws share a table, which would give a bound an
            error of its own.
        move: how samples are stepped.
        objective: the training loss.

    Raises:
        ValueError: for fewer than two classes, a start off the arc, no variance, or a schedule
            that does not run from 0 to 1.

    Example:
        >>> process = RadialFlow(27)
        >>> x_1, t = torch.tensor([[7, 4, 26]]), torch.tensor([0.8])
        >>> x_t, _ = process.corrupt(x_1, t, generator=torch.Generator().manual_seed(0))
        >>> x_t.shape, torch.allclose(x_t.norm(dim=-1), torch.ones(1, 3))
        (torch.Size([1, 3, 28]), True)
        >>> process.evidence(x_t, t).argmax(-1)
        tensor([[ 7,  4, 26]])
    """

    num_classes: int
    start: float = 0.0
    variance: float | None = None
    schedule: Schedule | None = None
    walk: Walk = field(default_factory=FreshWalk)
    move: Move = field(default_factory=DrawnEnd)
    objective: TokenLoss = CROSS_ENTROPY
    bridge: Bridge = field(init=False, repr=False, compare=False)
    clock: Schedule = field(init=False, repr=False, compare=False)
    _moments: MomentTable = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        variance = 1 / max(self.num_classes, 1) if self.variance is None else self.variance
        bridge = Bridge(self.num_classes, self.start, variance)
        clock = self.schedule or default_schedule(self.num_classes, variance)
        check_schedule(clock)
        object.__setattr__(self, "bridge", bridge)
        object.__setattr__(self, "clock", clock)
        # Here once, so that whatever reads them compiles.
        object.__setattr__(self, "_moments", moments(bridge))

    def sample_prior(
        self,
        shape: Sequence[int],
        *,
        generator: torch.Generator | None = None,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> Tensor:
        """The start, ``(batch, length, K + 1)`` for a shape (batch, length): nothing is drawn."""
        del generator
        return self.bridge.origin(dtype, device).repeat(*shape, 1)

    def corrupt(
        self,
        x_1: Tensor,
        t: Tensor,
        x_0: Tensor | None = None,
        *,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, Noised]:
        """Draw x_t, exactly up to the steps of the walk; at t = 1 it is the vertex.

        Args:
            x_1: int64 tokens, ``(batch, length)``.
            t: ``(batch,)``; its dtype is that of the state.
            x_0: from a coupling; there is one start only, so nothing depends on it.
            generator: source of the draws.

        Returns:
            x_t, ``(batch, length, K + 1)``, and it with the clean tokens as the target.

        Raises:
            ValueError: for tokens that are not of the alphabet, or an ``x_0`` of another shape.
        """
        check_tokens(x_1, self.num_classes)
        if x_0 is not None:
            self._check(x_0, (*x_1.shape, self.num_classes + 1), "points of the sphere")
        time = time_angle(self.clock, t)
        a, b, r = self.walk(self.bridge, time, x_1.shape[-1], generator)
        going = expand_time(~reaches_data(t, torch.zeros_like(t)), x_1).to(t.dtype)
        point = Radial(torch.lerp(torch.ones_like(a), a, going), b * going, r * going)
        x_t = lift(self.bridge, x_1, point, generator)
        return x_t, Noised(x_1, x_t)

    def loss(self, prediction: Tensor, target: Noised, t: Tensor) -> Tensor:
        """The objective, per token, ``(batch,)``."""
        return self.objective(self, prediction, target, t)

    def settled(self, x_t: Tensor) -> Tensor:
        """Nowhere: no state shows its token for certain. Bool, ``(batch, length)``."""
        return torch.zeros(x_t.shape[:-1], dtype=torch.bool, device=x_t.device)

    def evidence(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Log p(x_t | x_1 = k), less that of the likeliest k, ``(batch, length, K)``; finite.

        Args:
            x_t: ``(batch, length, K + 1)``; or, with K numbers a token, a state as ``relax`` makes
                them, which is returned as it is.
            t: ``(batch,)``.
        """
        if x_t.shape[-1] == self.num_classes:
            return x_t
        return log_evidence(self.bridge, self._moments, x_t, time_angle(self.clock, t))

    def step(
        self,
        x_t: Tensor,
        prediction: Tensor,
        t: Tensor,
        dt: Tensor,
        *,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """One ``move``; a step to t = 1 lands on a vertex x_1 ~ p.

        Args:
            x_t: ``(batch, length, K + 1)``.
            prediction: logits of p(x_1 | x_t), ``(batch, length, K)``.
            t: ``(batch,)``.
            dt: ``(batch,)``.
            generator: source of the draws.

        Raises:
            ValueError: if the state or the prediction is of another shape.
        """
        K = self.num_classes
        self._check(x_t, (*x_t.shape[:-1], K + 1), "points of the sphere")
        self._check(prediction, (*x_t.shape[:-1], K), "logits")
        times = (time_angle(self.clock, u)[:, None] for u in (t, next_time(t, dt)))
        first, last = times
        return self.move(x_t, prediction, (first, last), self.bridge.variance, generator)

    def decode(self, x_1: Tensor) -> Tensor:
        """The token of the nearest vertex, ``(batch, length)``; the mask is none."""
        return x_1[..., :-1].argmax(-1)

    def path_kl(self, prediction: Tensor, x_1: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
        """The rate l at which the paths of the prediction and of x_1 part, in nats, ``(batch,)``.

        Summed over positions; its integral over t in [0, 1] bounds -log p(x_1). Not negative.

        Args:
            prediction: logits of p(x_1 | x_t), ``(batch, length, K)``.
            x_1: ``(batch, length)``.
            x_t: ``(batch, length, K + 1)``, drawn by ``corrupt`` with fresh walks.
            t: ``(batch,)``.
        """
        left = self.clock.survival(t).clamp_min(torch.finfo(t.dtype).eps)
        rate = self.clock.derivative(t) / (2 * self.bridge.variance * left.square())
        return rate * squared_drift_error(prediction, x_1, x_t).sum(-1)

    def relax(self, x_t: Tensor, t: Tensor) -> Tensor:
        """The state as its evidence, ``(batch, length, K)``, all that a classifier sees of it."""
        return self.evidence(x_t, t)

    def tilt(self, prediction: Tensor, gradient: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
        """Logits of p'(k) = p(k) exp(g_k/q_k): classifier guidance, q the softmax of evidence.

        For one position log p(y | x_t) has the gradient g_k = q_k (p(y | k)/p(y) - 1) in the
        evidence of k, so that g_k/q_k is to first order log p(y | k)/p(y).
        """
        q = probabilities(self.evidence(x_t, t))
        return prediction + gradient / q.clamp_min(torch.finfo(q.dtype).eps)

    def _check(self, x: Tensor, shape: Sequence[int], what: str) -> None:
        if tuple(x.shape) != tuple(shape):
            raise ValueError(
                f"expected {what} of shape {tuple(shape)}, got {tuple(x.shape)}; a state has one "
                "coordinate a class and one for the mask, a prediction one a class"
            )


def squared_drift_error(logits: Tensor, x_1: Tensor, x_t: Tensor) -> Tensor:
    """Q = |sum_k p_k log_x(e_k) - log_x(e_{x_1})|^2, ``(batch, length)``.

    1 - p(x_1) is the sum of the others, which keeps its relative accuracy near a vertex.

    Args:
        logits: of p, ``(batch, length, K)``.
        x_1: ``(batch, length)``.
        x_t: ``(batch, length, K + 1)``.
    """
    x, token = x_t[..., :-1], x_1.unsqueeze(-1)
    weights = (logits - logits.amax(-1, keepdim=True).detach()).exp()
    own = weights.gather(-1, token)
    weights = weights.scatter(-1, token, 0.0)
    others = weights.sum(-1, keepdim=True)
    c = weights.scatter_(-1, token, -others) * angle_ratio(0.5 - 0.5 * x)
    squared, inward = c.square().sum(-1), (c * x).sum(-1)
    return (squared - inward.square()).clamp_min(0) / (own + others).squeeze(-1).square()
