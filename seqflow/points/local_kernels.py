r"""A kernel density whose kernels take the shape of the data around them.

Around centre c_i lie its k nearest neighbours, at coordinates y (``charts``), with second
moments C_i. Its kernels are Gaussians of covariance

    s^2 ((1 - b/d) C_i + b/d tr(C_i)/d I)   for several k and s, and  h^2 I  for several widths h

so that points along a coast or a plate's edge get long thin kernels. The law is

    p(x) = w_0 / volume + sum_m w_m (1/n) sum_i K_im(x).

Of the shaped kernels only those of the ``reach`` nearest centres of a point count, which can
only lower its density; of the round ones all do.
Source: after Vincent and Bengio 2002, "Manifold Parzen Windows", NeurIPS.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from geometry.distributions.distribution import Distribution
from geometry.manifold import Manifold

from .charts import from_chart, log_gaussian, squared_lengths, to_chart
from .kernels import PAIRS, fit_weights, mix
from .neighbours import nearest, neighbours

NEIGHBOURS_A_DIMENSION = (4, 12)
SCALES = (0.3, 0.6, 1.0)
NUM_SHAPES = len(NEIGHBOURS_A_DIMENSION) * len(SCALES)
NARROWEST, WIDEST = 1e-3, 0.5
"""Bounds on the deviation of a kernel along any axis, in radians."""
WIDTHS = (WIDEST, 0.3, 0.18, 0.1, 0.056, 0.03, 0.018, 0.01, 0.0056, 0.003, 0.0018, NARROWEST)
NUM_KINDS = NUM_SHAPES + len(WIDTHS)
SHRINKAGE = 0.2
REACH = 256
FOLDS = 5


@dataclass(frozen=True, eq=False, repr=False)
class LocalKernels(Distribution):
    """Gaussians around centres, and a uniform part.

    Args:
        manifold: ``Sphere(2)`` or ``FlatTorus(d)``.
        centres: ``(n, *point_shape)``, more than 12 a dimension.
        weights: w, ``(m + 1,)``: shaped kernels, round ones, the uniform part.
        reach: how many of the nearest centres count with their shaped kernels.

    Attributes:
        factors: A, of shaped kernels y = A z, z ~ N(0, I): ``(n, m', d, d)``, lower triangular.
        whitening: the inverses of ``factors``.

    Raises:
        ValueError: too few centres.
    """

    manifold: Manifold
    centres: Tensor
    weights: Tensor
    reach: int = REACH
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
        kind = self.kinds(count, generator)
        return self.place(centre, kind, generator).reshape(*batch, *self.manifold.point_shape)

    def kinds(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Independent kinds of kernels, with the probabilities w, ``(count,)``."""
        return self.weights.multinomial(count, replacement=True, generator=generator)

    def place(
        self, centre: Tensor, kind: Tensor, generator: torch.Generator | None = None
    ) -> Tensor:
        """A draw of one kernel each, ``(N,), (N,) -> (N, *point_shape)``; the last is uniform."""
        d, like = self.factors.shape[-1], self.centres
        z = torch.randn(len(centre), d, generator=generator, dtype=like.dtype, device=like.device)
        factor = self.factors[centre, kind.clamp_max(NUM_SHAPES - 1)]
        shaped = (factor @ z.unsqueeze(-1)).squeeze(-1)
        width = like.new_tensor(WIDTHS)[(kind - NUM_SHAPES).clamp(0, len(WIDTHS) - 1)]
        y = torch.where((kind < NUM_SHAPES).unsqueeze(-1), shaped, width.unsqueeze(-1) * z)
        anywhere = self.manifold.random_uniform(
            len(centre), generator=generator, dtype=like.dtype, device=like.device
        )
        here = from_chart(self.manifold, like[centre], y)
        return torch.where((kind == NUM_KINDS).unsqueeze(-1), anywhere, here)

    def log_prob(self, x: Tensor) -> Tensor:
        """Log density at ``x`` ``(..., *point_shape)``, ``(...)``."""
        points = x.reshape(-1, *self.manifold.point_shape)
        value = mix(self.log_kinds(points), self.weights)
        return value.reshape(x.shape[: x.ndim - len(self.manifold.point_shape)])

    def log_kinds(self, x: Tensor) -> Tensor:
        """Log density of each kind of kernel alone, ``(N, *point_shape)`` to ``(N, m + 1)``."""
        near = nearest(self.manifold, self.centres, x, min(self.reach, len(self.centres)))
        kinds = torch.cat([log_shapes_at(self, x, near).logsumexp(1), self._log_rounds(x)], 1)
        return with_uniform(self.manifold, kinds - math.log(len(self.centres)))

    def _log_rounds(self, x: Tensor) -> Tensor:
        """log sum_i N(x; c_i, h^2 I) for every width and all centres, ``(N, widths)``."""
        rows = max(1, PAIRS // self.centres.numel())
        found = []
        for part in x.split(rows):
            square = squared_lengths(self.manifold, part, self.centres)
            sums = [(square / (-2 * h * h)).logsumexp(-1) for h in WIDTHS]
            found.append(torch.stack(sums, -1))
        return torch.cat(found) + log_heights(self.centres, self.manifold.dim)

    def __repr__(self) -> str:
        return f"LocalKernels({self.manifold}, {len(self.centres)} centres)"


def fit_local_kernels(manifold: Manifold, train: Tensor, *, most: int = 2000) -> LocalKernels:
    """Kernels around the training points, their kinds weighted by cross-validation.

    Each fifth of the points is seen by kernels around the others, and the weights are those of
    greatest likelihood, by expectation maximisation. Leaving out one point alone would not do:
    the shapes around it have seen it, and shaped kernels would get too much weight.

    Args:
        manifold: ``Sphere(2)`` or ``FlatTorus(d)``.
        train: ``(n, *point_shape)``, in random order.
        most: points on which the weights are fitted.

    Raises:
        ValueError: too few points.
    """
    _check_number(manifold, len(train) - -(-len(train) // FOLDS))
    equal = torch.full((NUM_KINDS + 1,), 1 / (NUM_KINDS + 1)).to(train)
    fold = torch.arange(len(train), device=train.device) % FOLDS
    parts = [
        LocalKernels(manifold, train[fold != k], equal).log_kinds(
            train[fold == k][: most // FOLDS]
        )
        for k in range(FOLDS)
    ]
    return LocalKernels(manifold, train, fit_weights(torch.cat(parts)))


def with_uniform(manifold: Manifold, log_kinds: Tensor) -> Tensor:
    """Append the log density of the uniform law, ``(N, m)`` to ``(N, m + 1)``."""
    last = torch.full_like(log_kinds[:, :1], manifold.log_uniform())
    return torch.cat([log_kinds, last], 1)


def kernel_factors(manifold: Manifold, centres: Tensor) -> Tensor:
    """A of the shaped kernels, ``(n, m', d, d)``."""
    _check_number(manifold, len(centres))
    sizes = [k * manifold.dim for k in NEIGHBOURS_A_DIMENSION]
    near = neighbours(manifold, centres, max(sizes))
    y = to_chart(manifold, centres.unsqueeze(1), centres[near])
    d = y.shape[-1]
    eye = torch.eye(d, dtype=y.dtype, device=y.device)
    kinds = []
    for k in sizes:
        moments = y[:, :k].mT @ y[:, :k] / k
        mean = moments.diagonal(dim1=-2, dim2=-1).mean(-1)[:, None, None]
        shape = (1 - SHRINKAGE / d) * moments + SHRINKAGE / d * mean * eye
        kinds += [_bounded_root(scale**2 * shape) for scale in SCALES]
    return torch.stack(kinds, 1)


def _check_number(manifold: Manifold, count: int) -> None:
    most = max(NEIGHBOURS_A_DIMENSION) * manifold.dim
    if count <= most:
        raise ValueError(
            f"expected more than {most} points for local kernels on {manifold} (a quarter more "
            f"to weigh them), got {count}; train without prior: kernels and smoothing"
        )


def _bounded_root(covariance: Tensor) -> Tensor:
    """The Cholesky factor, after its axes are brought between the bounds."""
    values, axes = torch.linalg.eigh(covariance)
    values = values.clamp(NARROWEST**2, WIDEST**2)
    factor: Tensor = torch.linalg.cholesky((axes * values.unsqueeze(-2)) @ axes.mT)
    return factor


def log_heights(like: Tensor, dim: int) -> Tensor:
    """log of (2 pi h^2)^{-dim/2} for every width, ``(widths,)``."""
    return -dim * (like.new_tensor(WIDTHS).log() + math.log(2 * math.pi) / 2)


def log_shapes_at(law: LocalKernels, x: Tensor, near: Tensor) -> Tensor:
    """log K_im(x_j) of shaped kernels of the centres i near each point j, ``(N, k, m')``."""
    rows = max(1, PAIRS // (near.shape[1] * law.whitening[0].numel()))
    found = [law.centres.new_zeros(0, near.shape[1], NUM_SHAPES)]
    for part, own in zip(near.split(rows), x.split(rows), strict=True):
        y = to_chart(law.manifold, law.centres[part], own.unsqueeze(1))
        found.append(log_gaussian(y.unsqueeze(2), law.whitening[part]))
    return torch.cat(found)


def log_kernels_at(law: LocalKernels, x: Tensor, near: Tensor) -> Tensor:
    """log K_im(x_j) of all kernels of the centres i near each point j, ``(N, k, m)``."""
    y = to_chart(law.manifold, law.centres[near], x.unsqueeze(1))
    square = y.square().sum(-1, keepdim=True)
    widths = y.new_tensor(WIDTHS)
    rounds = square / (-2 * widths**2) + log_heights(y, law.manifold.dim)
    return torch.cat([log_shapes_at(law, x, near), rounds], -1)
