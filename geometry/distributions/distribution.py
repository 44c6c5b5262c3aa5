r"""What every distribution on a manifold answers: draw a point, and how likely is a point.

A density needs a measure. Here it is the Riemannian volume of the manifold's own metric,

    P(A) = integral over A of exp(log_prob(x)) dvol(x),

so that the uniform law of a compact manifold has log density -log vol. The *normalised*
measure has total mass one (Haar measure on a group); with respect to it the uniform law has
log density 0:

    log_prob_normalised(x) = log_prob(x) + log vol.

Volumes: S^2 4 pi, S^3 2 pi^2, T^n (2 pi)^n, SO(3) 8 pi^2 (metric |omega|^2).
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from ..checks import check_shape
from ..manifold import Manifold


class Distribution(ABC):
    """A distribution on ``manifold``; subclasses are frozen dataclasses.

    Parameters have a batch shape of their own, which every draw carries on.
    """

    manifold: Manifold

    @abstractmethod
    def sample(self, *batch: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw points, ``(*batch, *parameter batch, *point_shape)``."""

    @abstractmethod
    def log_prob(self, x: Tensor) -> Tensor:
        """Log density at ``x`` ``(..., *point_shape)`` w.r.t. the Riemannian volume, ``(...)``."""

    def log_prob_normalised(self, x: Tensor) -> Tensor:
        """Log density w.r.t. the volume scaled to total mass one (on a group: Haar), ``(...)``.

        Raises ``ValueError`` where the volume is infinite.
        """
        return self.log_prob(x) - self.manifold.log_uniform()


def describe(value: Tensor | float) -> str:
    """A parameter in a ``repr``: a number as it is, a tensor by shape and dtype.

    >>> describe(torch.zeros(5, 3))
    '<(5, 3) float32>'
    """
    if isinstance(value, Tensor):
        return f"<{tuple(value.shape)} {str(value.dtype).removeprefix('torch.')}>"
    return repr(value)


def number_like(value: Tensor | float, x: Tensor) -> Tensor:
    """A parameter as a tensor of the dtype and device of ``x``; a number has shape ``()``."""
    if isinstance(value, Tensor):
        return value.to(x)
    return torch.full((), value, dtype=x.dtype, device=x.device)


def check_mean(manifold: Manifold, mean: Tensor) -> None:
    """Raise ``ValueError`` unless ``mean`` has the shape of points on ``manifold``."""
    check_shape(manifold, "means on", mean, manifold.point_shape)


def check_positive(name: str, value: Tensor | float, *, zero: bool = False) -> None:
    """Raise ``ValueError`` unless the number ``value`` is positive (or ``zero`` is allowed).

    A tensor is not looked into, since that would wait for its device.
    """
    if not isinstance(value, Tensor) and not (value > 0 or (zero and value == 0)):
        bound = ">= 0" if zero else "> 0"
        raise ValueError(f"expected {name} {bound}, got {value}")
