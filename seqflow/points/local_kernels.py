r"""A kernel density whose kernels take the shape of the data around them.

Around centre c_i lie its k nearest neighbours, at coordinates y (``charts``), with second
moments C_i. Its kernels are Gaussians of covariance

    s^2 ((1 - b/d) C_i + b/d tr(C_i)/d I)   for several k and s, and  h^2 I  for several widths h

so that points along a coast or a plate's edge get long thin kernels. The law is

    p(x) = w_0 / volume + sum_m w_m (1/n) sum_i K_im(x)

with weights w by expectation maximisation on the centres, each seen by all others only
(leave-one-out), so that no held-out point is spent. Only the ``reach`` nearest centres of a
point count, which can only lower its density.
Source: after Vincent and Bengio 2002, "Manifold Parzen Windows", NeurIPS.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from geometry.distributions.distribution import Distribution
from geometry.manifold import Manifold

from .charts import from_chart, log_gaussian, to_chart
from .kernels import PAIRS, embed, fit_weights

NEIGHBOURS_A_DIMENSION = (4, 12)
SCALES = (0.3, 0.6, 1.0)
WIDTHS = (0.3, 0.1, 0.03, 0.01)
NUM_KINDS = len(NEIGHBOURS_A_DIMENSION) * len(SCALES) + len(WIDTHS)
SHRINKAGE = 0.2
NARROWEST, WIDEST = 1e-3, 0.5
"""Bounds on the deviation of a kernel along any axis, in radians."""


@dataclass(frozen=True, eq=False, repr=False)
class LocalKernels(Distribution):
    """Gaussians around centres, and a uniform part.

    Args:
        manifold: ``Sphere(2)`` or ``FlatTorus(d)``.
        centres: ``(n, *point_shape)``, more than 12 a dimension.
        weights: w, ``(m + 1,)``, the uniform part's last.
        reach: how many of the nearest centres count in a density.

    Attributes:
        factors: A, of kernels y = A z, z ~ N(0, I): ``(n, m, d, d)``, lower triangular.
        whitening: the inverses of ``factors``.

    Raises:
        ValueError: too few centres.
    """

    manifold: Manifold
    centres: Tensor
    weights: Tensor
    reach: int
    factors: Tensor = field(init=False)
    whitening: Tensor = field(init=False)

    def __post_init__(self) -> None:
        factors = kernel_factors(self.manifold, self.centres)
        object.__setattr__(self, "factors", factors)
        object.__setattr__(self, "whitening", torch.linalg.inv(factors))

    def sample(self, *batch: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw points, ``(*batch, *point_shape)``."""
        count, device = math.prod(batch), self.centres.device
        centre = torch.randint(len(self.centres), (count,), generator=generator, device=device)
        kind = torch.multinomial(self.weights, count, replacement=True, generator=generator)
        return self.place(centre, kind, generator).reshape(*batch, *self.manifold.point_shape)

    def place(
        self, centre: Tensor, kind: Tensor, generator: torch.Generator | None = None
    ) -> Tensor:
        """A draw of one kernel each, ``(N,), (N,) -> (N, *point_shape)``; kind m is uniform."""
        m, d, like = self.factors.shape[1], self.factors.shape[-1], self.centres
        z = torch.randn(
            (len(centre), d, 1), generator=generator, dtype=like.dtype, device=like.device
        )
        y = (self.factors[centre, kind.clamp_max(m - 1)] @ z).squeeze(-1)
        anywhere = self.manifold.random_uniform(
            len(centre), generator=generator, dtype=like.dtype, device=like.device
        )
        here = from_chart(self.manifold, like[centre], y)
        return torch.where((kind == m).unsqueeze(-1), anywhere, here)

    def log_prob(self, x: Tensor) -> Tensor:
        """Log density at ``x`` ``(..., *point_shape)``, ``(...)``."""
        points = x.reshape(-1, *self.manifold.point_shape)
        near = nearest(self.manifold, self.centres, points, min(self.reach, len(self.centres)))
        kinds = log_kernels_at(self, points, near).logsumexp(1) - math.log(len(self.centres))
        value = with_uniform(self.manifold, kinds) + self.weights.log()
        return value.logsumexp(1).reshape(x.shape[: x.ndim - len(self.manifold.point_shape)])

    def __repr__(self) -> str:
        return f"LocalKernels({self.manifold}, {len(self.centres)} centres)"


def fit_local_kernels(
    manifold: Manifold, train: Tensor, *, reach: int | None = None, most: int = 2000
) -> LocalKernels:
    """Kernels around the training points, their kinds weighted by leave-one-out.

    Args:
        manifold: ``Sphere(2)`` or ``FlatTorus(d)``.
        train: ``(n, *point_shape)``, in random order.
        reach: nearest centres that count, here and in the density; ``default_reach`` if None.
        most: points on which the weights are fitted.
    """
    m = NUM_KINDS
    equal = torch.full((m + 1,), 1 / (m + 1), dtype=train.dtype, device=train.device)
    reach = default_reach(manifold) if reach is None else reach
    law = LocalKernels(manifold, train, equal, reach)
    x = train[:most]
    near = neighbours(manifold, train, min(reach, len(train) - 1))[:most]
    kinds = log_kernels_at(law, x, near).logsumexp(1) - math.log(len(train) - 1)
    weights = fit_weights(with_uniform(manifold, kinds))
    return LocalKernels(manifold, train, weights, reach)


def default_reach(manifold: Manifold) -> int:
    """1024 centres in two dimensions, fewer in more, where each costs more."""
    return 2048 // manifold.dim


def nearest(manifold: Manifold, centres: Tensor, x: Tensor, count: int) -> Tensor:
    """The ``count`` centres with the least chord to each point, ``(N, count)``, nearest first."""
    e, c = embed(manifold, x), embed(manifold, centres)
    rows = max(1, PAIRS // len(centres))
    return torch.cat([(part @ c.T).topk(count, -1).indices for part in e.split(rows)])


def neighbours(manifold: Manifold, points: Tensor, count: int) -> Tensor:
    """The ``count`` others nearest to each point, ``(n, count)``; a duplicate is another."""
    near = nearest(manifold, points, points, count + 1)
    own = near == torch.arange(len(near), device=near.device).unsqueeze(1)
    own[:, -1] |= ~own.any(1)  # among many duplicates the point itself may not be found
    return near[~own].reshape(len(near), count)


def with_uniform(manifold: Manifold, log_kinds: Tensor) -> Tensor:
    """Append the log density of the uniform law, ``(N, m)`` to ``(N, m + 1)``."""
    last = torch.full_like(log_kinds[:, :1], manifold.log_uniform())
    return torch.cat([log_kinds, last], 1)


def kernel_factors(manifold: Manifold, centres: Tensor) -> Tensor:
    """A of all kernels, ``(n, m, d, d)``: local shapes first, then round ones."""
    sizes = [k * manifold.dim for k in NEIGHBOURS_A_DIMENSION]
    most = max(sizes)
    if len(centres) <= most:
        raise ValueError(
            f"expected more than {most} points for local kernels on {manifold}, got "
            f"{len(centres)}; train without prior: kernels and smoothing"
        )
    near = neighbours(manifold, centres, most)
    y = to_chart(manifold, centres.unsqueeze(1), centres[near])
    d = y.shape[-1]
    eye = torch.eye(d, dtype=y.dtype, device=y.device)
    kinds = []
    for k in sizes:
        moments = y[:, :k].mT @ y[:, :k] / k
        mean = moments.diagonal(dim1=-2, dim2=-1).mean(-1)[:, None, None]
        shape = (1 - SHRINKAGE / d) * moments + SHRINKAGE / d * mean * eye
        kinds += [_bounded_root(scale**2 * shape) for scale in SCALES]
    kinds += [(width * eye).expand(len(centres), d, d) for width in WIDTHS]
    return torch.stack(kinds, 1)


def _bounded_root(covariance: Tensor) -> Tensor:
    """The Cholesky factor, after its axes are brought between the bounds."""
    values, axes = torch.linalg.eigh(covariance)
    values = values.clamp(NARROWEST**2, WIDEST**2)
    factor: Tensor = torch.linalg.cholesky((axes * values.unsqueeze(-2)) @ axes.mT)
    return factor


def log_kernels_at(law: LocalKernels, x: Tensor, near: Tensor) -> Tensor:
    """log K_im(x_j) for the centres i near each point j, ``(N, k, m)``."""
    rows = max(1, PAIRS // (near.shape[1] * law.whitening[0].numel()))
    found = [law.centres.new_zeros(0, near.shape[1], law.whitening.shape[1])]
    for part, own in zip(near.split(rows), x.split(rows), strict=True):
        y = to_chart(law.manifold, law.centres[part], own.unsqueeze(1))
        found.append(log_gaussian(y.unsqueeze(2), law.whitening[part]))
    return torch.cat(found)
