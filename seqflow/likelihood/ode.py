r"""The exact log-likelihood of a flow, by its ODE.

Along dx/dt = v_t(x) the density with respect to the Riemannian volume changes by the
intrinsic divergence,

    d/dt log p_t(x_t) = -div v_t(x_t),    log p_1(x_1) = log p_0(x_0) - int_0^1 div v_t(x_t) dt,

so (x, l) with dl/dt = div v is carried from (x_1, 0) back to t = 0, as a point of the product
M x R: one solver, one error control for both. With Hutchinson's divergence the probes of a
point stay the same on its whole way, and the result is an unbiased estimate.
Source: Chen et al. 2018, "Neural ODEs"; Mathieu and Nickel 2020; Chen and Lipman 2024.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import repeat
from typing import Any, Protocol

import torch
from torch import Tensor

from geometry.checks import check_shape
from geometry.distributions.distribution import Distribution
from geometry.euclidean import Euclidean
from geometry.manifold import Manifold
from geometry.product import Product

from ..adaptive import AdaptiveSteps
from ..priors import placed
from ..process import Condition
from ..sampling import Predictor
from ..solvers import Integrator
from ..state import map_state, split
from .divergence import Divergence, ExactDivergence, Probes, divergence, tangent_frame


class DensityProcess(Protocol):
    """A process that follows an ODE on a manifold from a prior with a density."""

    @property
    def manifold(self) -> Manifold:
        """Where its states live."""
        ...

    @property
    def prior_law(self) -> Distribution:
        """The law of x_0."""
        ...

    def velocity(self, x_t: Tensor, prediction: Any, t: Tensor) -> Tensor:
        """dx/dt, given a prediction."""
        ...


@torch.no_grad()
def log_likelihood(
    process: DensityProcess,
    predictor: Predictor,
    x_1: Tensor,
    *,
    condition: Condition = None,
    integrator: Integrator | None = None,
    method: Divergence | None = None,
    generator: torch.Generator | None = None,
    batch_size: int = 1024,
    t_end: float = 1.0,
) -> Tensor:
    """log p(x_1) in nats with respect to the Riemannian volume, ``(num,)``.

    Args:
        process: such as ``VelocityFlow``.
        predictor: a network, or guidance around one; what it says of a point may depend on
            that point alone.
        x_1: ``(num, *point_shape)``.
        condition: one row a point, or None.
        integrator: ``AdaptiveSteps()`` if None, or ``FixedSteps``.
        method: ``ExactDivergence()`` if None, or ``HutchinsonDivergence``.
        generator: source of Hutchinson's probes.
        batch_size: points at once.
        t_end: where the data are taken to be; below 1 for a field without a limit there, such
            as that of an endpoint that the network does not know exactly.

    Raises:
        ValueError: ``x_1`` is not a batch of points.

    Example:
        >>> from geometry import Euclidean
        >>> from seqflow.riemannian import VelocityFlow
        >>> flow = VelocityFlow(Euclidean(1))
        >>> shrink = lambda x, t, condition: -x  # p_1 = N(0, exp(-2))
        >>> round(float(log_likelihood(flow, shrink, torch.zeros(1, 1))), 4)  # 1 - log(2 pi)/2
        0.0811
    """
    manifold = process.manifold
    check_shape(manifold, "points on", x_1, manifold.point_shape)
    if x_1.ndim != 1 + len(manifold.point_shape):
        raise ValueError(
            f"expected one batch axis before {manifold.point_shape}, got {tuple(x_1.shape)}; "
            f"make several points of a row one point of a Product"
        )
    conditions = repeat(None) if condition is None else split(condition, batch_size)
    values = []
    for x, own in zip(x_1.split(batch_size), conditions, strict=False):
        n = len(tangent_frame(manifold, x)[0])
        probes = (method or ExactDivergence()).probes(len(x), n, x, generator)
        flow = DensityFlow(process, predictor, own, probes)
        values.append(flow.log_prob(x, integrator or AdaptiveSteps(), t_end))
    return torch.cat(values)


@dataclass(frozen=True)
class DensityFlow:
    """The field of (x, l) on the product of the manifold with R, for one batch.

    Attributes:
        process: knows manifold, prior and velocity.
        predictor: what the velocity is made of.
        condition: one row a point, or None.
        probes: of Hutchinson's, or None for the exact divergence.
    """

    process: DensityProcess
    predictor: Predictor
    condition: Condition
    probes: Probes

    @property
    def space(self) -> Product:
        """The product of the manifold with R."""
        return Product(self.process.manifold, Euclidean(1))

    def log_prob(self, x_1: Tensor, integrator: Integrator, t_end: float) -> Tensor:
        """Carry ``(batch, *point_shape)`` back to t = 0, and look how likely it is there."""
        start = self.space.join([x_1, x_1.new_zeros(len(x_1), 1)])
        x_0, change = self.space.split(integrator(self.space, self, start, t_end, 0.0))
        # l ran backwards: it is minus the integral of the divergence.
        return placed(self.process.prior_law, x_0).log_prob(x_0) + change.squeeze(-1)

    def __call__(self, state: Tensor, t: Tensor, rows: Tensor) -> Tensor:
        """(v, div v) at points (x, l), ``(batch, tangent + 1)``."""
        x, _ = self.space.split(state)
        own = None if self.condition is None else map_state(lambda c: c[rows], self.condition)

        def velocity(y: Tensor) -> Tensor:
            return self.process.velocity(y, self.predictor(y, t, own), t)

        probes = None if self.probes is None else self.probes[rows]
        v, div = divergence(self.process.manifold, velocity, x, probes)
        return self.space.join_tangent([v, div.unsqueeze(-1)])
