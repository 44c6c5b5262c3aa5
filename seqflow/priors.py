r"""Where flows on manifolds start: a distribution, drawn in any dtype and on any device.

The default is uniform where the volume is finite. Elsewhere it is the wrapped normal of
deviation 1 about the origin (the projection of zero), and on a product each part gets the
default of its own:

    p(x) = prod_i w_i^{-dim_i/2} p_i(x_i)

with respect to the volume of the product, whose metric scales part i by w_i.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from functools import singledispatch
from typing import Any, TypeVar

import torch
from torch import Tensor

from geometry.distributions.distribution import Distribution
from geometry.distributions.uniform import Uniform
from geometry.distributions.wrapped_normal import WrappedNormal
from geometry.manifold import Manifold
from geometry.product import Factored

D = TypeVar("D", bound=Distribution)


@dataclass(frozen=True)
class ProductDistribution(Distribution):
    """Independent ``parts`` on the factors of a product.

    Raises:
        ValueError: not one distribution a factor, on that factor.

    Example:
        >>> from geometry import Euclidean, Product, Sphere
        >>> default_prior(Product(Sphere(2), Euclidean(1))).parts[0]
        Uniform(Sphere(2))
    """

    manifold: Factored
    parts: tuple[Distribution, ...]

    def __post_init__(self) -> None:
        own = tuple(part.manifold for part in self.parts)
        if own != self.manifold.parts:
            raise ValueError(
                f"expected one distribution on each of {self.manifold.parts}, got them on {own}"
            )

    def sample(self, *batch: int, generator: torch.Generator | None = None) -> Tensor:
        """Independent draws, joined."""
        return self.manifold.join([p.sample(*batch, generator=generator) for p in self.parts])

    def log_prob(self, x: Tensor) -> Tensor:
        """Sum of the parts' log densities, less dim_i/2 log w_i for the scaled volumes."""
        pieces = zip(self.parts, self.manifold.split(x), self.manifold.part_weights, strict=True)
        terms = [p.log_prob(a) - p.manifold.dim / 2 * math.log(w) for p, a, w in pieces]
        return sum(terms[1:], terms[0])


def default_prior(manifold: Manifold) -> Distribution:
    """Uniform if the volume is finite, else a wrapped normal about the origin.

    Raises:
        ValueError: the volume is infinite and no wrapped normal with a density is known.

    Example:
        >>> from geometry import FlatTorus, Lorentz
        >>> default_prior(FlatTorus(2))
        Uniform(FlatTorus(2))
        >>> default_prior(Lorentz(2))
        WrappedNormal(Lorentz(2), mean=<(3,) float64>, std=1.0)
    """
    try:
        return Uniform(manifold)
    except ValueError:
        return _infinite(manifold)


@singledispatch
def _infinite(manifold: Manifold) -> Distribution:
    """The default where the volume is infinite."""
    origin = manifold.projx(torch.zeros(manifold.point_shape, dtype=torch.float64))
    return WrappedNormal(manifold, origin, 1.0)


@_infinite.register
def _(manifold: Factored) -> Distribution:
    return ProductDistribution(manifold, tuple(map(default_prior, manifold.parts)))


def placed(distribution: D, x: Tensor) -> D:
    """The same distribution with its parameters in the dtype and on the device of ``x``."""
    # Distributions are frozen dataclasses, so their fields are all that there is to move.
    own = {f.name: getattr(distribution, f.name) for f in _init(distribution)}
    given = {name: _place(value, x) for name, value in own.items()}
    if all(given[name] is value for name, value in own.items()):
        return distribution  # what it computed when it was made is still true
    return replace(distribution, **given)  # type: ignore[type-var]  # see above


def _init(distribution: Distribution) -> list[Any]:
    return [f for f in fields(distribution) if f.init]  # type: ignore[arg-type]  # idem


@singledispatch
def _place(value: Any, x: Tensor) -> Any:
    """What is neither tensor nor distribution stays as it is."""
    return value


@_place.register
def _(value: Tensor, x: Tensor) -> Tensor:
    return value.to(x)


@_place.register
def _(value: Distribution, x: Tensor) -> Distribution:
    return placed(value, x)


@_place.register
def _(value: tuple, x: Tensor) -> Any:  # type: ignore[type-arg]  # dispatch knows no parameters
    items = tuple(_place(item, x) for item in value)
    return value if all(a is b for a, b in zip(items, value, strict=True)) else items


@singledispatch
def draw(
    distribution: Distribution,
    *batch: int,
    generator: torch.Generator | None = None,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
) -> Tensor:
    """Points ``(*batch, *point_shape)`` in the wanted dtype and on the wanted device."""
    like = torch.empty((), dtype=dtype, device=device)
    return placed(distribution, like).sample(*batch, generator=generator)


@draw.register
def _(
    distribution: Uniform,
    *batch: int,
    generator: torch.Generator | None = None,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
) -> Tensor:
    return distribution.sample(*batch, generator=generator, dtype=dtype, device=device)


@draw.register
def _(
    distribution: ProductDistribution,
    *batch: int,
    generator: torch.Generator | None = None,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
) -> Tensor:
    parts = [
        draw(part, *batch, generator=generator, dtype=dtype, device=device)
        for part in distribution.parts
    ]
    return distribution.manifold.join(parts)
