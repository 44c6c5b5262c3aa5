r"""A network for points on a manifold: a residual perceptron whose answer is a tangent vector.

    h_0 = W_in f(x),    h <- h + W_2 silu((1 + gamma(c)) W_1 h + beta(c)),    v = head_x(W_out h_L)

with c an embedding of time and label. What it sees of a point, f(x), is a function *on* the
manifold: cosines and sines of angles on a torus, the matrix of a rotation (q and -q look the
same), normal coordinates about the origin in hyperbolic space, where ambient ones grow like
e^r, the eigenfunctions of a mesh, which differ on the two sides of a wall, else the ambient
coordinates. Its head gives vectors of one scale everywhere: projected
to the tangent space or, in hyperbolic space, carried there from the origin. W_out and the
W_2 start at zero, so that the first prediction is v = 0.
"""

from __future__ import annotations

import math
from copy import deepcopy
from functools import singledispatch

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from geometry.lorentz import Lorentz
from geometry.manifold import Manifold
from geometry.mesh import Mesh
from geometry.poincare import PoincareBall
from geometry.product import Factored
from geometry.rotation_conversions import quaternion_to_matrix
from geometry.rotations import SO3
from geometry.torus import FlatTorus

from .embedding import TimeLabelEmbedding
from .feature_grid import FeatureGrid


@singledispatch
def features(manifold: Manifold, x: Tensor) -> Tensor:
    """What a network sees of points: ``(..., *point_shape)`` to ``(..., n)``.

    Example:
        >>> features(FlatTorus(1), torch.tensor([0.0]))
        tensor([1., 0.])
    """
    # Not a reshape to -1, which an empty batch would leave open.
    return x.flatten(-len(manifold.point_shape)) if manifold.point_shape else x.unsqueeze(-1)


@features.register
def _(manifold: FlatTorus, x: Tensor) -> Tensor:
    return torch.cat([x.cos(), x.sin()], -1)


@features.register
def _(manifold: SO3, x: Tensor) -> Tensor:
    return quaternion_to_matrix(x).flatten(-2)


@features.register(Lorentz)
@features.register(PoincareBall)
def _(manifold: Manifold, x: Tensor) -> Tensor:
    # On the hyperboloid with a zero in front, the time part.
    return manifold.logmap(manifold.projx(torch.zeros_like(x)), x)


@features.register
def _(manifold: Mesh, x: Tensor) -> Tensor:
    return manifold.eigenfunctions(x)


@features.register
def _(manifold: Factored, x: Tensor) -> Tensor:
    pairs = zip(manifold.parts, manifold.split(x), strict=True)
    return torch.cat([features(part, a) for part, a in pairs], -1)


@singledispatch
def tangent_head(manifold: Manifold, x: Tensor, raw: Tensor) -> Tensor:
    """A tangent vector at ``x`` from numbers ``(..., *tangent_shape)``."""
    return manifold.proju(x, raw)


@tangent_head.register(Lorentz)
@tangent_head.register(PoincareBall)
def _(manifold: Manifold, x: Tensor, raw: Tensor) -> Tensor:
    # An isometry, so that numbers of order one are vectors of length of order one far out too.
    origin = manifold.projx(torch.zeros_like(x))
    return manifold.transp(origin, x, manifold.proju(origin, raw))


@tangent_head.register
def _(manifold: Factored, x: Tensor, raw: Tensor) -> Tensor:
    triples = zip(manifold.parts, manifold.split(x), manifold.split_tangent(raw), strict=True)
    return manifold.join_tangent([tangent_head(part, a, b) for part, a, b in triples])


class ModulatedBlock(nn.Module):
    """h + W_2 silu((1 + gamma(c)) W_1 h + beta(c)).

    Args:
        width: of h.
        condition_channels: of c.
    """

    def __init__(self, width: int, condition_channels: int) -> None:
        super().__init__()
        self.film = nn.Linear(condition_channels, 2 * width)
        self.inner = nn.Linear(width, width)
        self.outer = nn.Linear(width, width)
        nn.init.zeros_(self.outer.weight)
        nn.init.zeros_(self.outer.bias)

    def hidden_matrices(self) -> list[Tensor]:
        """What maps features to features, for Muon."""
        return [self.inner.weight, self.outer.weight]

    def forward(self, h: Tensor, condition: Tensor) -> Tensor:
        """``(..., width)`` and a condition that broadcasts, to ``(..., width)``."""
        gamma, beta = self.film(condition).chunk(2, -1)
        update: Tensor = self.outer(F.silu(torch.addcmul(beta, 1 + gamma, self.inner(h))))
        return h + update


class MLP(nn.Module):
    """Predicts a tangent vector at each point; for ``VelocityFlow``.

    Args:
        manifold: where the points live.
        width: of the hidden layers.
        depth: residual blocks, two layers each.
        num_labels: how many labels there are; 0 for an unconditional network.
        num_frequencies: cosines and sines of the features times pi, 2 pi, 4 pi, ..., which
            resolve finer detail; 0 for the features alone.
        grid: learned features for detail that is finer still, or None; each counts as much as
            the time says.

    Example:
        >>> from geometry import Sphere
        >>> network = MLP(Sphere(2), width=16, depth=1)
        >>> network(torch.eye(3), torch.rand(3)).shape
        torch.Size([3, 3])
    """

    def __init__(
        self,
        manifold: Manifold,
        width: int = 256,
        depth: int = 4,
        *,
        num_labels: int = 0,
        num_frequencies: int = 0,
        grid: FeatureGrid | None = None,
    ) -> None:
        super().__init__()
        self.manifold, self.num_frequencies, self.grid = manifold, num_frequencies, grid
        condition_channels = min(width, 128)
        # Slow cosines: the field stays smooth in time, and an ODE along it cheap.
        self.embedding = TimeLabelEmbedding(condition_channels, num_labels, top=1.0)
        origin = torch.zeros(manifold.point_shape)
        seen = features(manifold, origin).shape[-1] * (1 + 2 * num_frequencies)
        if grid is not None:
            seen += grid.channels
            self.gate = nn.Linear(condition_channels, grid.channels)
        self.first = nn.Linear(seen, width)
        self.blocks = nn.ModuleList(
            ModulatedBlock(width, condition_channels) for _ in range(depth)
        )
        self.last = nn.Linear(width, math.prod(manifold.tangent_shape))
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, x_t: Tensor, t: Tensor, condition: Tensor | None = None) -> Tensor:
        """Points ``(batch, ..., *point_shape)``, times and labels ``(batch,)``; to vectors."""
        seen = self._harmonics(features(self.manifold, x_t))
        c = F.silu(self.embedding(t, condition))
        c = c.reshape(len(c), *(1,) * (seen.ndim - 2), c.shape[-1])
        if self.grid is not None:
            seen = torch.cat([seen, (1 + self.gate(c)) * self.grid(x_t)], -1)
        h = self.first(seen)
        for block in self.blocks:
            h = block(h, c)
        raw = self.last(F.silu(h))
        raw = raw.reshape(*raw.shape[:-1], *self.manifold.tangent_shape)
        return tangent_head(self.manifold, x_t, raw)

    @torch.no_grad()
    def scaled(self, strength: float) -> MLP:
        """A copy whose vectors are ``strength`` times as long."""
        copy = deepcopy(self)
        copy.last.weight.mul_(strength)
        copy.last.bias.mul_(strength)
        return copy

    def _harmonics(self, seen: Tensor) -> Tensor:
        phases = [math.pi * 2**k * seen for k in range(self.num_frequencies)]
        waves = [wave for phase in phases for wave in (phase.cos(), phase.sin())]
        return torch.cat([seen, *waves], -1) if waves else seen


class EndpointHead(nn.Module):
    """Turns a network of tangent vectors into one of points, exp_x(v); for ``EndpointFlow``.

    Args:
        manifold: where the points live.
        network: ``(x_t, t, condition) -> v``, such as an ``MLP``.

    Example:
        >>> from geometry import SO3
        >>> network = EndpointHead(SO3(), MLP(SO3(), width=16, depth=1))
        >>> network(torch.eye(4), torch.rand(4)).equal(torch.eye(4))  # at first, where it is
        True
    """

    def __init__(self, manifold: Manifold, network: nn.Module) -> None:
        super().__init__()
        self.manifold, self.network = manifold, network

    def forward(self, x_t: Tensor, t: Tensor, condition: Tensor | None = None) -> Tensor:
        """Points, times and labels, to points ``(batch, ..., *point_shape)``."""
        return self.manifold.expmap(x_t, self.network(x_t, t, condition))
