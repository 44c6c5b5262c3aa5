"""The one list of manifolds: every law of test_laws.py holds for every entry, in both dtypes.

To add a manifold, add a line to CASES. ``pytest`` hands ``case`` and ``dtype`` to each test that
asks for them; ``uniform_case`` runs over the entries of finite volume and
small dimension, ``infinite_case`` over those of infinite volume.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch

from geometry import (
    SE3,
    SO3,
    CentredEuclidean,
    Euclidean,
    FlatTorus,
    MaskedEuclidean,
    PositiveOrthant,
    Product,
    Simplex,
    Sphere,
)
from geometry.log_euclidean import SPDLogEuclidean
from geometry.lorentz import Lorentz
from geometry.manifold import Manifold
from geometry.poincare import PoincareBall
from geometry.spd import SPD
from geometry.statistical import Gaussian

DTYPES = (torch.float32, torch.float64)


@dataclass(frozen=True)
class Case:
    """A manifold and how to draw points on it.

    Attributes:
        manifold: the instance.
        origin: where normal points are centred if the volume is infinite; ``dtype -> point``.
        std: deviation of those.
        far: points at the cut locus of given ones, ``x -> y``.
        edge: other awkward pairs, ``dtype -> [(x0, x1), ...]``.
        centre: a point 1/4 or more from any boundary, where there is one; ``dtype -> point``.
        inset: share of the way to the centre by which points are moved, where coordinates lose
            digits at the boundary: at p on a simplex, vectors are known to eps/sqrt(p).
        slack: by how much the coordinates amplify the rounding of an inner product.
        extends: whether ``inner`` is meant for ambient vectors too (not so on a hyperboloid).
        smooth: whether second derivatives are finite at the awkward points.
    """

    manifold: Manifold
    origin: Callable | None = None
    std: float = 1.0
    far: Callable | None = None
    edge: Callable | None = None
    centre: Callable | None = None
    inset: float = 0.0
    slack: float = 1.0
    extends: bool = True
    smooth: bool = True

    def points(self, *batch, dtype, seed):
        generator = torch.Generator().manual_seed(seed)
        if self.origin is None:
            x = self.manifold.random_uniform(*batch, generator=generator, dtype=dtype)
            return x if self.inset == 0 else x + self.inset * (self.centre(dtype) - x)
        origin = self.origin(dtype).expand((*batch, *self.manifold.point_shape))
        return self.manifold.random_normal(origin, self.std, generator)

    def tolerance(self, dtype):
        """64 roundings of numbers of order one: the longest law is a chain of about 20."""
        return 64 * torch.finfo(dtype).eps * self.slack

    def awkward(self, dtype):
        """Pairs (name, x0, x1), batches of 3: coincident, near, at and near the cut locus."""
        m = self.manifold
        x, y = self.points(3, dtype=dtype, seed=5), self.points(3, dtype=dtype, seed=6)
        towards = m.logmap(x, y)
        towards = towards / m.norm(x, towards).reshape((-1,) + (1,) * len(m.tangent_shape))
        pairs = [("generic", x, y), ("identical", x, x.clone())]
        pairs += [(f"{r:g} apart", x, m.expmap(x, r * towards)) for r in (1e-3, 1e-6, 1e-9)]
        if self.far is not None:
            z = self.far(x)
            pairs.append(("cut locus", x, z))
            pairs += [(f"{r:g} from it", m.expmap(x, r * towards), z) for r in (1e-3, 1e-6)]
        if self.edge is not None:
            pairs += [(f"edge {i}", a, b) for i, (a, b) in enumerate(self.edge(dtype))]
        return pairs


def zeros(*shape):
    return lambda dtype: torch.zeros(shape, dtype=dtype)


def concatenated(*parts):
    return lambda dtype: torch.cat([part(dtype) for part in parts])


def identity(dtype):
    return torch.eye(4, dtype=dtype)[0]


def half_turn(q):
    """``q`` times the rotation by pi about the first axis."""
    w, x, y, z = q.unbind(-1)
    return torch.stack((-x, w, z, -y), -1)


def axes(n):
    """Unit vectors along the axes and their negatives, in all ordered pairs with the first."""

    def pairs(dtype):
        e = torch.eye(n, dtype=dtype)
        return [(e[0], sign * e[k]) for k in (0, 1) for sign in (1, -1)]

    return pairs


def vertices(n):
    """Simplex vertices, the centre, and a point with one zero."""

    def pairs(dtype):
        e = torch.eye(n, dtype=dtype)
        centre = torch.full((n,), 1 / n, dtype=dtype)
        side = (1 - e[0]) / (n - 1)
        tiny = torch.cat((torch.full((1,), 1e-30, dtype=dtype), side[1:]))
        return [(e[0], e[1]), (e[0], e[0]), (centre, e[0]), (e[0], side), (side, tiny)]

    return pairs


def diagonal(n, power):
    """The point all of whose numbers are n^-power."""
    return lambda dtype: torch.full((n,), n**-power, dtype=dtype)


MASK = torch.tensor([[True, True, True, False], [True, True, True, True]])

CASES = [
    Case(Euclidean(5), origin=zeros(5)),
    Case(Euclidean(), origin=zeros()),
    Case(Euclidean(4, 3), origin=zeros(4, 3)),
    Case(CentredEuclidean(4, 3), origin=zeros(4, 3)),
    Case(MaskedEuclidean(MASK[0], 3), origin=zeros(4, 3)),
    Case(Sphere(1), far=torch.neg, edge=axes(2)),
    Case(Sphere(2), far=torch.neg, edge=axes(3)),
    Case(Sphere(27), far=torch.neg, edge=axes(28)),
    Case(PositiveOrthant(3), centre=diagonal(3, 0.5)),
    Case(Simplex(3), edge=vertices(3), centre=diagonal(3, 1), inset=0.01, slack=4, smooth=False),
    Case(
        Simplex(20), edge=vertices(20), centre=diagonal(20, 1), inset=0.01, slack=4, smooth=False
    ),
    Case(FlatTorus(1), far=lambda x: x + torch.pi),
    Case(FlatTorus(7), far=lambda x: x + torch.pi),
    Case(SO3(), far=half_turn, edge=axes(4)),
    Case(SE3(), origin=concatenated(identity, zeros(3))),
    Case(Product(Sphere(2), FlatTorus(2), SO3(), weights=(1.0, 0.5, 2.0))),
    # Coordinates grow like cosh of the radius, up to 10 here, and roundings with its square.
    Case(Lorentz(3), origin=identity, std=0.6, slack=64, extends=False),
    # Its second derivatives overflow float32 where the points coincide.
    Case(PoincareBall(3), origin=zeros(3), std=0.6, slack=8, smooth=False),
    # Logarithms are relative to the condition number, up to 50 here.
    Case(SPD(3), origin=lambda dtype: torch.eye(3, dtype=dtype), std=0.5, slack=16, smooth=False),
    Case(
        SPDLogEuclidean(3),
        origin=lambda dtype: torch.eye(3, dtype=dtype),
        std=0.5,
        slack=16,
        smooth=False,
    ),
    Case(Gaussian(), origin=lambda dtype: torch.tensor([0.3, 1.0], dtype=dtype), slack=16),
]


@pytest.fixture
def geomstats():
    """``name -> module`` of geomstats on its pytorch backend, in the float64 it insists on."""
    from geometry.geomstats_adapter import geomstats_module

    def module(name):
        with warnings.catch_warnings():
            # geomstats 2.8.0 loads its backend by a hook of Python 3.3.
            warnings.filterwarnings("ignore", "BackendImporter.exec_module", ImportWarning)
            try:
                return geomstats_module(f"geomstats.{name}")
            except ImportError as error:
                pytest.skip(str(error))

    torch.set_default_dtype(torch.float64)
    yield module
    torch.set_default_dtype(torch.float32)


def pytest_generate_tests(metafunc):
    if "case" in metafunc.fixturenames:
        metafunc.parametrize("case", CASES, ids=lambda case: str(case.manifold))
    if "uniform_case" in metafunc.fixturenames:
        small = [c for c in CASES if c.origin is None and c.manifold.dim <= 3]
        metafunc.parametrize("uniform_case", small, ids=lambda case: str(case.manifold))
    if "infinite_case" in metafunc.fixturenames:
        infinite = [c for c in CASES if c.origin is not None]
        metafunc.parametrize("infinite_case", infinite, ids=lambda case: str(case.manifold))
    marked = [mark.args[0] for mark in metafunc.definition.iter_markers("parametrize")]
    if "dtype" in metafunc.fixturenames and not any("dtype" in names for names in marked):
        metafunc.parametrize("dtype", DTYPES, ids=lambda dtype: str(dtype).split(".")[-1])
