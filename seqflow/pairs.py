r"""All pairs of states and data: how likely one comes from the other, and where to.

A state is on the way from uniform noise x_0 to a datum x_1, 1 - kappa of the way left. On a space
form, with r = d(x, x_1) and s(r) as in ``geometry.distributions.space_forms``,

    p_t(x | x_1) ~ (s(r_0)/s(r))^{n-1},  r = (1 - kappa) r_0,    r_0 below the diameter;

on a torus it is constant where each angle is less than (1 - kappa) pi; on a product it is the
product of those of the parts.
"""

from __future__ import annotations

from functools import singledispatch
from typing import Protocol

import torch
from torch import Tensor

from geometry.distributions.space_forms import space_form
from geometry.manifold import Manifold
from geometry.product import Factored
from geometry.sphere import Sphere
from geometry.torus import FlatTorus, shortest

from .process import expand_time


class Pairs(Protocol):
    """States x ``(a, *point_shape)`` and data x_1 ``(b, *point_shape)``."""

    def log_likelihoods(self, left: Tensor) -> Tensor:
        """log p_t(x | x_1) up to a number a row, -inf where x_1 cannot have led to x, ``(a, b)``.

        Args:
            left: 1 - kappa of each state, above zero, ``(a,)``.
        """
        ...

    def mean_log(self, w: Tensor) -> Tensor:
        """sum_j w_ij log_{x_i} x_1^j for weights ``(a, b)``, ``(a, *tangent_shape)``."""
        ...


@singledispatch
def pairs(manifold: Manifold, x: Tensor, x_1: Tensor) -> Pairs:
    """All pairs on a space form, a torus or a product of them.

    Raises:
        ValueError: another manifold.

    Example:
        >>> found = pairs(FlatTorus(1), torch.zeros(1, 1), torch.tensor([[1.0], [3.0]]))
        >>> found.log_likelihoods(torch.tensor([0.5]))
        tensor([[0., -inf]])
    """
    return SpaceFormPairs(manifold, x, x_1)


class SpaceFormPairs:
    """With a logarithm for each pair."""

    def __init__(self, manifold: Manifold, x: Tensor, x_1: Tensor) -> None:
        self.form = space_form(manifold)
        self.logarithms = manifold.logmap(x.unsqueeze(1), x_1)
        self.r = manifold.norm(x.unsqueeze(1), self.logarithms)

    def log_likelihoods(self, left: Tensor) -> Tensor:
        """By the distances."""
        tiny, eps = torch.finfo(self.r.dtype).tiny, torch.finfo(self.r.dtype).eps
        r = self.r.clamp_min(tiny / eps)  # so that 0/0 is 1/left where points coincide
        r_0 = r / left.unsqueeze(1)
        sines = self.form.log_sine(r_0.clamp_max(self.form.diameter)) - self.form.log_sine(r)
        return ((self.form.dim - 1) * sines).masked_fill(r_0 >= self.form.diameter, -torch.inf)

    def mean_log(self, w: Tensor) -> Tensor:
        """The weighted sum."""
        return (expand_time(w, self.logarithms) * self.logarithms).sum(1)


@pairs.register(Sphere)
class SpherePairs(SpaceFormPairs):
    """Without a vector a pair: log_x y is r/sin r times the part of y across x."""

    def __init__(self, manifold: Sphere, x: Tensor, x_1: Tensor) -> None:
        self.form, self.manifold, self.x, self.x_1 = space_form(manifold), manifold, x, x_1
        # Angles by chords, exact near zero.
        chord = torch.cdist(x, x_1, compute_mode="donot_use_mm_for_euclid_dist")
        self.r = 2 * (chord / 2).clamp_max(1).asin()

    def mean_log(self, w: Tensor) -> Tensor:
        """By one product of matrices."""
        r, eps, tiny = self.r, torch.finfo(self.r.dtype).eps, torch.finfo(self.r.dtype).tiny
        sine = torch.where(r < 1, r.sin(), r.sin().clamp_min(eps**0.5)).clamp_min(tiny)
        return self.manifold.proju(self.x, (w * r.clamp_min(tiny) / sine) @ self.x_1)


@pairs.register(FlatTorus)
class TorusPairs:
    """By the differences of angles."""

    def __init__(self, manifold: FlatTorus, x: Tensor, x_1: Tensor) -> None:
        del manifold
        self.logarithms = shortest(x_1 - x.unsqueeze(1))

    def log_likelihoods(self, left: Tensor) -> Tensor:
        """Constant within reach."""
        widest = self.logarithms.abs().amax(-1)
        outside = widest >= torch.pi * left.unsqueeze(1)
        return torch.zeros_like(widest).masked_fill(outside, -torch.inf)

    def mean_log(self, w: Tensor) -> Tensor:
        """The weighted sum."""
        return (w.unsqueeze(-1) * self.logarithms).sum(1)


@pairs.register(Factored)
class ProductPairs:
    """The parts' pairs."""

    def __init__(self, manifold: Factored, x: Tensor, x_1: Tensor) -> None:
        self.manifold = manifold
        triples = zip(manifold.parts, manifold.split(x), manifold.split(x_1), strict=True)
        self.parts = [pairs(part, a, b) for part, a, b in triples]

    def log_likelihoods(self, left: Tensor) -> Tensor:
        """The sum of the parts'."""
        return torch.stack([part.log_likelihoods(left) for part in self.parts]).sum(0)

    def mean_log(self, w: Tensor) -> Tensor:
        """The parts' side by side."""
        return self.manifold.join_tangent([part.mean_log(w) for part in self.parts])
