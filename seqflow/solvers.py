r"""Solving dx/dt = v(x, t) on a manifold, by steps that never leave it.

A Runge-Kutta scheme (a, b, c) is applied in normal coordinates u = log_x(y) about the point x
where a step begins. There the field reads D log_x(y) v, and

    y_i = exp_x(h sum_j a_ij k_j),    k_i = D log_x(y_i) v(y_i, t + c_i h),
    x'  = exp_x(h sum_i b_i k_i)

(Munthe-Kaas 1998, with the manifold's own exponential). A change of coordinates costs a scheme
nothing, so its order is that on R^n, whatever the curvature: Euler 1, midpoint 2, RK4 4, with
nothing to be known but exp and log. Carrying k_i to x by parallel transport instead would stop
at order 3. Euler is a geodesic, and needs no log; the others need h |v| below the distance to
the cut locus.

A step is (t, dt) with any start and of either sign: a decreasing grid integrates backwards.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.func import jvp

from geometry.manifold import Manifold

from .process import expand_time
from .state import State

Field = Callable[[Tensor, Tensor], Tensor]
"""Points and times to tangent vectors."""

RowField = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Points, times and the numbers of their rows in the whole batch, to tangent vectors."""


@dataclass(frozen=True)
class Scheme:
    """The coefficients of an explicit Runge-Kutta scheme.

    Attributes:
        a: row i holds the weights of k_1, ..., k_i in the stage i + 1.
        b: weights of the stages in the result.
        c: times of the stages.
        order: the error of a solution is O(h^order).
    """

    a: tuple[tuple[float, ...], ...]
    b: tuple[float, ...]
    c: tuple[float, ...]
    order: int


EULER = Scheme(a=(), b=(1.0,), c=(0.0,), order=1)
MIDPOINT = Scheme(a=((0.5,),), b=(0.0, 1.0), c=(0.0, 0.5), order=2)
RK4 = Scheme(
    a=((0.5,), (0.0, 0.5), (0.0, 0.0, 1.0)),
    b=(1 / 6, 1 / 3, 1 / 3, 1 / 6),
    c=(0.0, 0.5, 0.5, 1.0),
    order=4,
)
SCHEMES = {"euler": EULER, "midpoint": MIDPOINT, "rk4": RK4}
"""What ``--solver`` knows by name."""


def find_scheme(name: str) -> Scheme:
    """The scheme of that name; raises ``ValueError`` with the names that there are.

    Example:
        >>> find_scheme("midpoint").order
        2
    """
    if name not in SCHEMES:
        raise ValueError(f"expected a solver of {', '.join(SCHEMES)}, got {name!r}")
    return SCHEMES[name]


def pushforward(manifold: Manifold, x: Tensor, u: Tensor) -> Tensor:
    """A tangent vector as the velocity of an ambient point; differs from ``u`` on groups.

    Example:
        >>> from geometry import SO3
        >>> pushforward(SO3(), torch.eye(4)[:1], torch.tensor([[2.0, 0.0, 0.0]])).abs()
        tensor([[0., 1., 0., 0.]])
    """
    if manifold.tangent_shape == manifold.point_shape:
        return u
    moved: Tensor = jvp(lambda v: manifold.expmap(x, v), (torch.zeros_like(u),), (u,))[1]
    return moved


def stages(
    scheme: Scheme,
    manifold: Manifold,
    field: Field,
    x: Tensor,
    t: Tensor,
    dt: Tensor,
    first: Tensor,
) -> list[Tensor]:
    """The slopes k_1, ..., k_s in the tangent space at ``x``, of which ``first`` is given."""
    slopes = [first]
    for weights, node in zip(scheme.a, scheme.c[1:], strict=True):
        y = manifold.expmap(x, combine(weights, slopes, dt))
        slopes.append(to_chart(manifold, x, y, field(y, t + node * dt)))
    return slopes


def to_chart(manifold: Manifold, x: Tensor, y: Tensor, v: Tensor) -> Tensor:
    """D log_x(y) v: a tangent vector at ``y`` in normal coordinates about ``x``."""
    slope: Tensor = jvp(lambda z: manifold.logmap(x, z), (y,), (pushforward(manifold, y, v),))[1]
    return slope


def combine(weights: tuple[float, ...], slopes: list[Tensor], dt: Tensor) -> Tensor:
    """dt sum_i b_i k_i."""
    terms = [b * k for b, k in zip(weights, slopes, strict=True) if b]
    return expand_time(dt, slopes[0]) * sum(terms[1:], terms[0])


def geodesic_step(
    scheme: Scheme, manifold: Manifold, field: Field, x: Tensor, t: Tensor, dt: Tensor
) -> Tensor:
    """One step of the scheme.

    Args:
        scheme: such as ``RK4``.
        manifold: with a ``logmap``, unless the scheme is Euler's.
        field: ``(x, t) -> v``.
        x: ``(batch, *point_shape)``.
        t: ``(batch,)`` or one number, where the step begins.
        dt: of the same shape; negative to go back.

    Returns:
        The point at t + dt.

    Example:
        >>> from geometry import FlatTorus
        >>> x, t = torch.tensor([[6.0]]), torch.tensor([0.0])
        >>> geodesic_step(RK4, FlatTorus(1), lambda x, t: t[:, None], x, t, t + 1)
        tensor([[0.2168]])
    """
    slopes = stages(scheme, manifold, field, x, t, dt, field(x, t))
    return manifold.projx(manifold.expmap(x, combine(scheme.b, slopes, dt)))


def solve(scheme: Scheme, manifold: Manifold, field: Field, x: Tensor, times: Tensor) -> Tensor:
    """Where the flow of ``field`` takes ``x`` from times[0] to times[-1], step by step.

    ``times`` is a grid in either direction, ``(N + 1,)``.

    Example:
        >>> from geometry import FlatTorus
        >>> times = torch.linspace(1, 0.5, 3)  # backwards
        >>> field = lambda x, t: t.expand(len(x))[:, None]
        >>> solve(MIDPOINT, FlatTorus(1), field, torch.tensor([[1.0]]), times)
        tensor([[0.6250]])
    """
    for t, dt in zip(times[:-1], times.diff(), strict=True):
        rows = len(x)
        x = geodesic_step(scheme, manifold, field, x, t.expand(rows), dt.expand(rows))
    return x


class Integrator(Protocol):
    """Solves an ODE from one time to another, by a grid or by error control."""

    def __call__(
        self, manifold: Manifold, field: RowField, x: Tensor, start: float, end: float
    ) -> Tensor:
        """Where the flow takes ``x`` from ``start`` to ``end``."""
        ...


@dataclass(frozen=True)
class FixedSteps:
    """Equal steps of one scheme.

    Raises:
        ValueError: fewer than one step.
    """

    num_steps: int = 64
    scheme: Scheme = RK4

    def __post_init__(self) -> None:
        if self.num_steps < 1:
            raise ValueError(f"expected at least one step, got {self.num_steps}")

    def __call__(
        self, manifold: Manifold, field: RowField, x: Tensor, start: float, end: float
    ) -> Tensor:
        """Where the flow takes ``x`` from ``start`` to ``end``."""
        rows = torch.arange(len(x), device=x.device)
        times = torch.linspace(start, end, self.num_steps + 1, dtype=x.dtype, device=x.device)
        return solve(self.scheme, manifold, lambda y, t: field(y, t, rows), x, times)


class FlowProcess(Protocol):
    """A process that follows an ODE on a manifold."""

    @property
    def manifold(self) -> Manifold:
        """Where its states live."""
        ...

    def velocity(self, x_t: Tensor, prediction: Any, t: Tensor) -> Tensor:
        """dx/dt, given a prediction."""
        ...


@dataclass(frozen=True)
class GeodesicSolver:
    """Steps of a scheme for the sampling loop: ``Sampler(..., solver=GeodesicSolver(...))``.

    Attributes:
        process: knows the manifold, and the velocity that a prediction stands for.
        scheme: such as ``MIDPOINT``; calls the predictor once a stage.
    """

    process: FlowProcess
    scheme: Scheme

    def __call__(
        self, predict: Callable[[State, Tensor], Any], x_t: Tensor, t: Tensor, dt: Tensor
    ) -> Tensor:
        """The state at t + dt; ``t`` and ``dt`` are numbers."""

        def field(x: Tensor, time: Tensor) -> Tensor:
            return self.process.velocity(x, predict(x, time), time)

        return geodesic_step(self.scheme, self.process.manifold, field, x_t, t, dt)
