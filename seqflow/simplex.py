"""Linear (and reflected) flow on the simplex: straight lines from noise to a vertex.

    x_t = (1 - t) x_0 + t e_i,   u_t(x | e_i) = (e_i - x)/(1 - t),   x_0 uniform,

and for a prediction p of the posterior, v_t(x) = (p - x)/(1 - t), whose step is exact for
frozen p: x' = x + dt/(1 - t) (p - x), a convex combination.

The path is here for comparison, for it has a fault. Given e_i the state is uniform on a
shrunken simplex, so a token is possible if and only if x_i >= t: the posterior jumps there,
at most 1/t tokens are left at time t, and the expected number of wrong ones is about
K exp(-K t). All decisions fall before t* ~ ln K/K (0.24 for K = 4, 0.03 for K = 160), in a few
steps of a sampler and a sliver of the training times, where a network must learn a jump.
Reflecting at the facets does not mend this: a field that points from x to a point p of the
simplex never leaves it, so reflected and linear flow are the same process here.
Source: Stark et al. 2024, section 3.1, and Xie et al. 2024, "Reflected Flow Matching".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .categorical import cross_entropy, probabilities
from .process import expand_time, reaches_data
from .simplex_state import (
    check_state,
    land,
    tilt_logits,
    uniform_simplex,
    vertices,
)


@dataclass(frozen=True)
class LinearFlow:
    """Linear flow matching on tokens of ``num_classes`` kinds.

    A state is a point of the simplex per token, ``(batch, length, K)``; the prediction is
    the logits of p(x_1 | x_t), of the same shape. Satisfies ``CategoricalProcess`` and
    ``Tiltable``.

    Args:
        num_classes: K, at least 2.

    Raises:
        ValueError: if there are fewer than two classes.

    Example:
        >>> process = LinearFlow(3)
        >>> x_0 = torch.tensor([[[0.2, 0.3, 0.5]]])
        >>> process.corrupt(torch.tensor([[1]]), torch.tensor([0.5]), x_0)[0]
        tensor([[[0.1000, 0.6500, 0.2500]]])
    """

    num_classes: int

    def __post_init__(self) -> None:
        if self.num_classes < 2:
            raise ValueError(f"expected num_classes of at least 2, got {self.num_classes}")

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
        """x_t = (1 - t) x_0 + t e_{x_1}, with the tokens as target; x_0 is drawn if not given.

        Args:
            x_1: int64 tokens, ``(batch, length)``.
            t: ``(batch,)``; its dtype is that of the state.
            x_0: noise, ``(batch, length, K)``, if a coupling chose it.
            generator: source of the draws.

        Raises:
            ValueError: if ``x_0`` is not of shape ``(batch, length, K)``.
        """
        if x_0 is None:
            x_0 = self.sample_prior(x_1.shape, generator=generator, dtype=t.dtype, device=t.device)
        check_state(x_0, x_1.shape, self.num_classes)
        t = expand_time(t, x_0)
        return (1 - t) * x_0 + t * vertices(x_1, self.num_classes, x_0.dtype), x_1

    def loss(self, prediction: Tensor, target: Tensor, t: Tensor) -> Tensor:
        """Cross-entropy of the logits, averaged over positions, ``(batch,)``."""
        return cross_entropy(prediction, target)

    def evidence(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Log p(x_t | x_1 = i) up to a constant: 0 where x_i >= t, a steep ramp below.

        The support is closed with a margin of eight roundings, and the ramp falls by one for
        each further eight: rounding is forgiven, and where a discrete step has left no
        token possible, the one nearest to being so wins. Shape ``(batch, length, K)``.
        """
        margin = 8 * torch.finfo(x_t.dtype).eps
        return (x_t - expand_time(t, x_t) + margin).clamp_max(0) / margin

    def velocity(self, x_t: Tensor, logits: Tensor, t: Tensor) -> Tensor:
        """V = dx/dt = (p - x)/(1 - t), finite at t = 1; shape ``(batch, length, K)``."""
        return (probabilities(logits) - x_t) / expand_time(_time_left(t), x_t)

    def step(
        self,
        x_t: Tensor,
        prediction: Tensor,
        t: Tensor,
        dt: Tensor,
        *,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """X' = x + dt/(1 - t) (p - x); a step that reaches t = 1 lands on a vertex x_1 ~ p.

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
        part = expand_time((dt / _time_left(t)).clamp_max(1), x_t)
        p = probabilities(prediction)
        arrives = expand_time(reaches_data(t, dt), x_t)
        return land(torch.lerp(x_t, p, part), p, arrives, generator=generator)

    def decode(self, x_1: Tensor) -> Tensor:
        """The token of the nearest vertex, ``(batch, length)``."""
        return x_1.argmax(-1)

    def relax(self, x_t: Tensor, t: Tensor) -> Tensor:
        """The state itself, a point of the simplex."""
        del t
        return x_t

    def tilt(self, prediction: Tensor, gradient: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
        """Classifier guidance: logits of p' = p + (1 - t) x (g - <x, g>), kept on the simplex.

        It adds the gradient of h in the Fisher metric of the simplex to the velocity.
        """
        return tilt_logits(prediction, gradient, x_t, expand_time(1 - t, x_t))


def _time_left(t: Tensor) -> Tensor:
    return (1 - t).clamp_min(torch.finfo(t.dtype).eps)
