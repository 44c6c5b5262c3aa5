r"""Flow matching on any manifold: along geodesics, from a prior to the data.

With a schedule kappa from 0 to 1 (the clock t itself by default) the path to a datum x_1 is

    x_t = exp_{x_0}(kappa_t log_{x_0} x_1),
    u_t(x_t | x_1) = kappa'_t / (1 - kappa_t) log_{x_t} x_1,

and the flow dx/dt = v_t(x), v_t(x) = E[u_t(x_t | x_1) | x_t = x], takes the prior to the data.
Two ways to predict v:

    VelocityFlow   the velocity by the clock kappa, dx/dkappa, which has one scale at all times
                   whatever the schedule:    |prediction - u|^2 / dim,     v = kappa' prediction,
                   with u = u_t/kappa' = log_{x_t} x_1/(1 - kappa)
    EndpointFlow   a point y where the geodesic ends, so that log_x y has one scale at all times:
                   |log_x y - log_x x_1|^2 / dim,     v = kappa'/(1 - kappa) log_x y

Lengths are those of the metric at x_t. Both losses are least at the exact field, also where
the manifold is curved: the mean is taken in one tangent space. The conditional velocity comes
from the geodesic's closed form and is finite at t = 1. At a cut locus (antipodes) the path is
one of the shortest.

On a mesh there is no closed form, and ``Mesh.interpolant`` follows a spectral premetric
instead; only velocities can be predicted there.
Source: Chen and Lipman 2024, "Flow Matching on General Geometries", sections 3.1 and 3.2.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from geometry.checks import check_match, check_shape
from geometry.distributions.distribution import Distribution
from geometry.manifold import Manifold

from .priors import default_prior, draw
from .process import expand_time
from .schedules import LinearSchedule, Schedule, arriving_share, hazard


class PathPoint(NamedTuple):
    """A point on the way to a datum: what a prediction is compared with.

    Attributes:
        x_t: where it is, ``(batch, ..., *point_shape)``.
        x_1: where it goes, the same shape.
        velocity: dx_t/dkappa, by the schedule's clock, ``(batch, ..., *tangent_shape)``.
    """

    x_t: Tensor
    x_1: Tensor
    velocity: Tensor


@dataclass(frozen=True)
class GeodesicFlow(ABC):
    """What both predictions share: prior, path and decoding.

    A state is a tensor of points, ``(batch, ..., *point_shape)``: axes between the batch and
    the point, such as the residues of a chain, share the time of their row.

    Args:
        manifold: where the points live.
        prior: a distribution on it; ``default_prior(manifold)`` if None.
        schedule: kappa.

    Attributes:
        prior_law: the prior, chosen or default.

    Raises:
        ValueError: the prior is on another manifold, or there is no default one.
    """

    manifold: Manifold
    prior: Distribution | None = None
    schedule: Schedule = field(default_factory=LinearSchedule)
    prior_law: Distribution = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        law = default_prior(self.manifold) if self.prior is None else self.prior
        if law.manifold != self.manifold:
            raise ValueError(f"expected a prior on {self.manifold}, got one on {law.manifold}")
        object.__setattr__(self, "prior_law", law)

    def sample_prior(
        self,
        shape: Sequence[int],
        *,
        generator: torch.Generator | None = None,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> Tensor:
        """Independent points of the prior; ``shape`` is that of the data.

        Raises:
            ValueError: ``shape`` does not end in the shape of a point.
        """
        batch, end = _split_shape(self.manifold, shape)
        if end != self.manifold.point_shape:
            raise ValueError(
                f"expected a shape (batch, ..., {self.manifold.point_shape}) of points on "
                f"{self.manifold}, got {tuple(shape)}"
            )
        return draw(self.prior_law, *batch, generator=generator, dtype=dtype, device=device)

    def corrupt(
        self,
        x_1: Tensor,
        t: Tensor,
        x_0: Tensor | None = None,
        *,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, PathPoint]:
        """The point x_t of the geodesic from x_0 to x_1, with its velocity u by the clock kappa.

        Args:
            x_1: points, ``(batch, ..., *point_shape)``; their dtype is that of the state.
            t: ``(batch,)``.
            x_0: noise of the same shape, if a coupling chose it.
            generator: source of the draws.

        Raises:
            ValueError: shapes that do not fit.
        """
        check_shape(self.manifold, "points on", x_1, self.manifold.point_shape)
        if x_0 is None:
            x_0 = self.sample_prior(
                x_1.shape, generator=generator, dtype=x_1.dtype, device=x_1.device
            )
        check_match(self.manifold, x_0, x_1)
        if x_0.shape != x_1.shape:
            raise ValueError(
                f"expected one point of noise a datum, {tuple(x_1.shape)}, got {tuple(x_0.shape)}"
            )
        t = _time_of_points(self.manifold, t.to(x_1), x_1)
        x_t, u = self.manifold.interpolant(x_0, x_1, self.schedule.kappa(t))
        return x_t, PathPoint(x_t, x_1, u)

    @abstractmethod
    def loss(self, prediction: Tensor, target: PathPoint, t: Tensor) -> Tensor:
        """A squared length in the metric at x_t, over dim, ``(batch,)``."""

    @abstractmethod
    def velocity(self, x_t: Tensor, prediction: Tensor, t: Tensor) -> Tensor:
        """The field dx/dt that a prediction stands for, ``(batch, ..., *tangent_shape)``."""

    @abstractmethod
    def step(
        self,
        x_t: Tensor,
        prediction: Tensor,
        t: Tensor,
        dt: Tensor,
        *,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """The state at t + dt, with the prediction frozen."""

    def decode(self, x_1: Tensor) -> Tensor:
        """The points themselves."""
        return x_1

    def _squared_error(self, x: Tensor, error: Tensor) -> Tensor:
        """|error|_x^2 / dim, averaged over the points of each example, ``(batch,)``."""
        value = self.manifold.inner(x, error, error) / self.manifold.dim
        return value.unsqueeze(-1).flatten(1).mean(1)


@dataclass(frozen=True)
class VelocityFlow(GeodesicFlow):
    """Predicts the velocity dx/dkappa, a tangent vector ``(batch, ..., *tangent_shape)``.

    Example:
        >>> from geometry import Sphere
        >>> flow = VelocityFlow(Sphere(2))
        >>> x_0, x_1 = torch.eye(3)[:1], torch.eye(3)[1:2]
        >>> x_t, target = flow.corrupt(x_1, torch.tensor([0.5]), x_0)
        >>> x_t
        tensor([[0.7071, 0.7071, 0.0000]])
        >>> flow.step(x_t, target.velocity, torch.tensor([0.5]), torch.tensor([0.5])).round()
        tensor([[-0., 1., 0.]])
    """

    def loss(self, prediction: Tensor, target: PathPoint, t: Tensor) -> Tensor:
        """|prediction - u|^2 / dim in the metric at x_t, ``(batch,)``."""
        del t
        return self._squared_error(target.x_t, prediction - target.velocity)

    def velocity(self, x_t: Tensor, prediction: Tensor, t: Tensor) -> Tensor:
        """kappa' times the prediction."""
        rate = self.schedule.derivative(_time_of_points(self.manifold, t, x_t))
        return expand_time(rate, prediction) * prediction

    def step(
        self,
        x_t: Tensor,
        prediction: Tensor,
        t: Tensor,
        dt: Tensor,
        *,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """exp_x((kappa_{t+dt} - kappa_t) prediction), Euler's step by the clock kappa.

        Along a geodesic; projected, so that rounding stays small.
        """
        del generator
        way = self.schedule.kappa(t + dt) - self.schedule.kappa(t)
        way = _time_of_points(self.manifold, way, x_t)
        moved = self.manifold.expmap(x_t, expand_time(way, prediction) * prediction)
        return self.manifold.projx(moved)


@dataclass(frozen=True)
class EndpointFlow(GeodesicFlow):
    """Predicts where the geodesic ends, a point ``(batch, ..., *point_shape)``.

    Example:
        >>> from geometry import FlatTorus
        >>> flow, end = EndpointFlow(FlatTorus(1)), torch.tensor([[1.0]])
        >>> x, third = torch.tensor([[6.0]]), torch.tensor([1 / 3])
        >>> flow.step(x, end, 0 * third, third)  # a third of the way, across zero
        tensor([[0.1445]])
    """

    def loss(self, prediction: Tensor, target: PathPoint, t: Tensor) -> Tensor:
        """|log_x y - log_x x_1|^2 / dim in the metric at x = x_t, ``(batch,)``."""
        del t
        x_t, x_1, _ = target
        log = self.manifold.logmap
        return self._squared_error(x_t, log(x_t, prediction) - log(x_t, x_1))

    def velocity(self, x_t: Tensor, prediction: Tensor, t: Tensor) -> Tensor:
        """kappa'/(1 - kappa) log_x y; finite at t = 1, where it means nothing."""
        t = _time_of_points(self.manifold, t, x_t)
        u = self.manifold.logmap(x_t, prediction)
        return expand_time(hazard(self.schedule, t), u) * u

    def step(
        self,
        x_t: Tensor,
        prediction: Tensor,
        t: Tensor,
        dt: Tensor,
        *,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """The point (kappa_{t+dt} - kappa_t)/(1 - kappa_t) of the way to the endpoint.

        Exact for a frozen endpoint from any t, also backwards; at t + dt = 1 it lands there.
        """
        del generator
        share = _time_of_points(self.manifold, arriving_share(self.schedule, t, dt), x_t)
        return self.manifold.projx(self.manifold.geodesic(x_t, prediction, share))


def _split_shape(manifold: Manifold, shape: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    cut = len(shape) - len(manifold.point_shape)
    return tuple(shape[:cut]), tuple(shape[cut:])


def _time_of_points(manifold: Manifold, t: Tensor, x: Tensor) -> Tensor:
    """``t`` with singletons for the axes between the batch and the points."""
    between = x.ndim - len(manifold.point_shape) - t.ndim
    return t.reshape(t.shape + (1,) * between)
