"""Quadrature and goodness of fit, as fixtures; ``dtype`` comes from the folder above."""

import functools
import math

import numpy as np
import pytest
import torch
from scipy import stats

from geometry import SO3, FlatTorus, Product, Sphere
from geometry.distributions import (
    AngularCentralGaussian,
    Antipodal,
    IsotropicGaussianSO3,
    PowerSpherical,
    RiemannianNormal,
    VonMisesFisher,
    WrappedNormal,
)
from geometry.lorentz import Lorentz
from geometry.poincare import PoincareBall


def unit(n, k=0):
    return lambda dtype: torch.eye(n, dtype=dtype)[k]


def lower(dtype):
    return torch.tensor([[1.0, 0, 0], [0.5, 2, 0], [-1, 0.3, 0.7]], dtype=dtype)


def hilltop(n):
    """The origin of the hyperboloid."""
    return unit(n + 1)


# name -> dtype -> distribution; every law of test_distribution_laws.py holds for every entry.
LAWS = {
    "wrapped S1": lambda d: WrappedNormal(Sphere(1), unit(2)(d), 0.7),
    "wrapped S2": lambda d: WrappedNormal(Sphere(2), unit(3)(d), 0.5),
    "wrapped S27": lambda d: WrappedNormal(Sphere(27), unit(28)(d), 0.1),
    "wrapped T2": lambda d: WrappedNormal(FlatTorus(2), torch.ones(2, dtype=d), 1.5),
    "wrapped SO3": lambda d: WrappedNormal(SO3(), unit(4)(d), 0.6),
    "wrapped H3": lambda d: WrappedNormal(Lorentz(3), hilltop(3)(d), 0.8),
    "wrapped product": lambda d: WrappedNormal(
        Product(Sphere(2), FlatTorus(1), weights=(2.0, 0.5)), torch.eye(4, dtype=d)[0], 0.4
    ),
    "wrapped batch": lambda d: WrappedNormal(
        Sphere(2), torch.eye(3, dtype=d), torch.tensor([0.1, 0.2, 0.3], dtype=d)
    ),
    "riemannian S2": lambda d: RiemannianNormal(Sphere(2), unit(3)(d), 0.5),
    "riemannian S27": lambda d: RiemannianNormal(Sphere(27), unit(28)(d), 0.2),
    "riemannian SO3": lambda d: RiemannianNormal(SO3(), unit(4)(d), 0.8),
    "riemannian H3": lambda d: RiemannianNormal(Lorentz(3), hilltop(3)(d), 0.8),
    "riemannian B2": lambda d: RiemannianNormal(PoincareBall(2), torch.zeros(2, dtype=d), 0.8),
    "igso3 narrow": lambda d: IsotropicGaussianSO3(unit(4, 1)(d), 0.1),
    "igso3 wide": lambda d: IsotropicGaussianSO3(unit(4, 1)(d), 1.5),
    "acg": lambda d: AngularCentralGaussian(lower(d)),
    "power spherical": lambda d: PowerSpherical(Sphere(4), unit(5, 2)(d), 7.5),
    "power spherical 0": lambda d: PowerSpherical(Sphere(2), unit(3)(d), 0.0),
    "power spherical 1e6": lambda d: PowerSpherical(Sphere(2), unit(3)(d), 1e6),
    "von mises fisher": lambda d: VonMisesFisher(Sphere(3), unit(4)(d), 12.0),
    "von mises fisher 0": lambda d: VonMisesFisher(Sphere(2), unit(3)(d), 0.0),
    "von mises fisher 1e6": lambda d: VonMisesFisher(Sphere(2), unit(3)(d), 1e6),
    "antipodal": lambda d: Antipodal(PowerSpherical(Sphere(3), unit(4)(d), 5.0)),
}


def pytest_generate_tests(metafunc):
    if "law" in metafunc.fixturenames:
        metafunc.parametrize("law", LAWS.values(), ids=LAWS.keys())


legendre = functools.cache(np.polynomial.legendre.leggauss)


def gauss(low, high, order=200):
    nodes, weights = legendre(order)
    half = (high - low) / 2
    return torch.from_numpy(low + half * (nodes + 1)), torch.from_numpy(half * weights)


def sphere_area(n):
    """Area of the unit sphere of directions in dimension n."""
    return 2 * math.pi ** (n / 2) / math.gamma(n / 2)


@pytest.fixture
def polar_mass():
    """The integral of exp(log_prob) over balls about the mean, by quadrature in the radius.

    ``polar_mass(distribution, direction, area, upper)``: ``area(r)`` is the area of the sphere of
    radius r; returns the mass within each ``upper`` (a number or a list).
    """

    def mass(distribution, direction, area, upper):
        values = []
        for end in np.atleast_1d(upper):
            r, weight = gauss(0.0, float(end))
            mean = distribution.mean.expand(len(r), *distribution.mean.shape)
            x = distribution.manifold.expmap(mean, r[:, None] * direction)
            values.append(float((distribution.log_prob(x).exp() * area(r) * weight).sum()))
        return np.array(values)

    return mass


@pytest.fixture
def sphere_mass():
    """The integral of exp(log_prob) over S^2 by Gauss in the height, trapezoid in longitude."""

    def mass(distribution, order=200):
        z, weight = gauss(-1.0, 1.0, order)
        longitude = 2 * math.pi * torch.arange(order, dtype=torch.float64) / order
        rho = (1 - z * z).sqrt()[:, None]
        x = torch.stack(
            torch.broadcast_tensors(rho * longitude.cos(), rho * longitude.sin(), z[:, None]),
            -1,
        )
        p = distribution.log_prob(x).exp()
        return float((p.sum(-1) * weight).sum() * 2 * math.pi / order)

    return mass


@pytest.fixture
def fits():
    """Kolmogorov-Smirnov against a distribution function, at level 1e-3 with a fixed seed."""

    def check(values, distribution_function):
        result = stats.kstest(values.double().numpy(), distribution_function)
        assert result.pvalue > 1e-3, result

    return check
