r"""Laws that depend on the distance to their mean alone.

On a space form (``space_forms``) a density p(x) = exp(g(r) - log Z), r = dist(mean, x), has a
uniform direction and a radius of density proportional to exp(g(r)) s(r)^{n-1}, so that

    log Z = log |S^{n-1}| + log integral of exp(g(r)) s(r)^{n-1} dr

is one-dimensional quadrature and a draw is one uniform number for the radius
(``radial_table``), one isotropic direction and one exponential map.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..lengths import expand
from ..manifold import Manifold
from .radial_table import RadialTable, tabulate
from .space_forms import SpaceForm


def tabulate_polar(
    form: SpaceForm, log_density: Callable[[Tensor], Tensor], upper: float
) -> RadialTable:
    """The table of radii for the density exp(``log_density``(r)) w.r.t. the volume.

    ``upper`` bounds the radius where ``form`` is not compact.
    """

    def weighted(r: Tensor) -> Tensor:
        return log_density(r) + (form.dim - 1) * form.log_sine(r)

    return tabulate(weighted, min(form.diameter, upper))


def sample_polar(
    manifold: Manifold,
    mean: Tensor,
    table: RadialTable,
    batch: tuple[int, ...],
    generator: torch.Generator | None,
) -> Tensor:
    """Points at radii drawn from ``table`` in uniform directions, ``(*batch, *mean.shape)``.

    Differentiable in ``mean``.
    """
    mean = mean.expand(*batch, *mean.shape)
    shape = mean.shape[: mean.ndim - len(manifold.point_shape)]
    r = table.sample(shape, generator, mean.dtype, mean.device)
    direction = random_direction(manifold, mean, generator)
    return manifold.expmap(mean, expand(r, len(manifold.tangent_shape)) * direction)


def random_direction(manifold: Manifold, x: Tensor, generator: torch.Generator | None) -> Tensor:
    """Uniform unit tangent vectors at the points ``x``, ``(..., *tangent_shape)``.

    The logarithm of a wrapped normal that stays well inside the injectivity radius: its
    tangent vector is isotropic, and its length is divided out.
    """
    # A deviation of 1/4 in the length whatever the dimension; pi would be 12 deviations.
    std = 0.25 / manifold.dim**0.5
    u = manifold.logmap(x, manifold.random_normal(x, std, generator))
    length = manifold.norm(x, u).clamp_min(torch.finfo(x.dtype).tiny)
    return u / expand(length, len(manifold.tangent_shape))
