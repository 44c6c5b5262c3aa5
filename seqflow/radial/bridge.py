r"""The logarithm bridge from one start to a vertex of the sphere, and its two inner products.

A token k of K is the vertex e_k of the sphere S^K in R^{K+1}, whose last axis is the mask. All
tokens start at one point of the arc between the mask and the centre of all tokens,

    x_0 = (sqrt(start/K), ..., sqrt(start/K), sqrt(1 - start)),    0 <= start <= 1,

and run to e_k. With s in [0, 1] as time and the total variance v_1 of the noise,

    dX = log_X(e_k)/(1 - s) ds + sqrt(v_1) dB.

Over a step from s to s' the flat bridge moves by the *share* (s' - s)/(1 - s) of the logarithm,
with the noise v_1 (s' - s)(1 - s')/(1 - s) in every direction, exactly; so does ours, along a
geodesic, up to curvature.

Turning the sphere about e_k and x_0 leaves this law as it is. So, in the frame of e_k and
f = (x_0 - c e_k)/sqrt(1 - c^2), c = <x_0, e_k>,

    X = a e_k + b f + r u,    u uniform on the unit sphere of the K - 1 other directions,

and (a, b, r) take a walk of their own, of three numbers a token whatever K, equal in law to the
walk in R^{K+1} step by step. `lift` turns it into a point.
Source: Jo and Hwang 2025, "Continuous Diffusion Model for Language Modeling"; the reduction to
(a, b, r) is ours.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from .angles import angle_ratio


class Radial(NamedTuple):
    """Coordinates of X in the frame of its own token, with a^2 + b^2 + r^2 = 1.

    Attributes:
        a: <X, e_k>, ``(...)``.
        b: <X, f>, ``(...)``.
        r: the length of the rest, ``(...)``.
    """

    a: Tensor
    b: Tensor
    r: Tensor


class Noise(NamedTuple):
    """A standard normal vector of R^{K+1} as a walk of (a, b, r) sees it.

    Attributes:
        a: along e_k, ``(...)``.
        b: along f, ``(...)``.
        u: along the direction of the rest, ``(...)``.
        rest: the length of all else, of chi distribution with K - 2 degrees, ``(...)``.
    """

    a: Tensor
    b: Tensor
    u: Tensor
    rest: Tensor


@dataclass(frozen=True)
class Bridge:
    """The law of one token, but for its clock.

    Attributes:
        num_classes: K, at least 2.
        start: where on the arc all tokens start; 0 is the mask, 1 the centre of all tokens.
        variance: v_1.

    Raises:
        ValueError: for fewer than two classes, a start off the arc, or no variance.

    Example:
        >>> Bridge(4, start=1.0, variance=0.25).origin()
        tensor([0.5000, 0.5000, 0.5000, 0.5000, 0.0000])
    """

    num_classes: int
    start: float
    variance: float

    def __post_init__(self) -> None:
        if self.num_classes < 2:
            raise ValueError(f"expected num_classes of at least 2, got {self.num_classes}")
        if not 0 <= self.start <= 1:
            raise ValueError(f"expected a start between 0, the mask, and 1, got {self.start}")
        if not (self.variance > 0 and math.isfinite(self.variance)):
            raise ValueError(f"expected a finite variance > 0, got {self.variance}")

    @property
    def cosine(self) -> float:
        """The number c = <x_0, e_k> = sqrt(start/K)."""
        return math.sqrt(self.start / self.num_classes)

    @property
    def sine(self) -> float:
        """sqrt(1 - c^2)."""
        return math.sqrt(1 - self.start / self.num_classes)

    @property
    def angle(self) -> float:
        """The angle between x_0 and e_k."""
        return math.atan2(self.sine, self.cosine)

    @property
    def f_token(self) -> float:
        """The coordinate of f at any other token."""
        return self.cosine / self.sine

    @property
    def f_mask(self) -> float:
        """The coordinate of f at the mask."""
        return math.sqrt(1 - self.start) / self.sine

    def origin(
        self, dtype: torch.dtype | None = None, device: torch.device | str | None = None
    ) -> Tensor:
        """x_0, ``(K + 1,)``."""
        x_0 = torch.full((self.num_classes + 1,), self.cosine, dtype=dtype, device=device)
        x_0[-1] = math.sqrt(1 - self.start)
        return x_0

    def departure(self, like: Tensor) -> Radial:
        """(a, b, r) of x_0, of the shape of ``like``."""
        a = torch.full_like(like, self.cosine)
        return Radial(a, torch.full_like(like, self.sine), torch.zeros_like(like))

    def noise(self, like: Tensor, generator: torch.Generator | None) -> Noise:
        """Draw the noise of a step, each of the shape of ``like``."""
        a, b, u = (torch.empty_like(like).normal_(generator=generator) for _ in range(3))
        half = torch.full_like(like, (self.num_classes - 2) / 2)
        # The one sampler of gammas in torch that takes a generator.
        return Noise(a, b, u, (2 * torch._standard_gamma(half, generator=generator)).sqrt())


def advance(point: Radial, share: Tensor, std: Tensor, noise: Noise) -> Radial:
    """One geodesic step: by ``share`` of the logarithm, and ``std`` times the noise.

    All broadcast against each other.
    """
    a, b, r = point
    pull = share * angle_ratio(0.5 - 0.5 * a)
    v_a, v_b, v_u = std * noise.a + pull, std * noise.b, std * noise.u
    inward = v_a * a + v_b * b + v_u * r
    v_a, v_b, v_u = v_a - inward * a, v_b - inward * b, v_u - inward * r
    off = std * noise.rest
    tiny = torch.finfo(a.dtype).tiny
    N = (v_a.square() + v_b.square() + v_u.square() + off.square()).clamp_min(tiny).sqrt()
    cos, sinc = N.cos(), N.sin() / N
    along = cos * r + sinc * v_u
    across = sinc * off
    rest = (along.square() + across.square()).sqrt()
    return on_sphere(cos * a + sinc * v_a, cos * b + sinc * v_b, rest)


def on_sphere(a: Tensor, b: Tensor, r: Tensor) -> Radial:
    """Scaled to a^2 + b^2 + r^2 = 1."""
    scale = (a.square() + b.square() + r.square()).rsqrt()
    return Radial(scale * a, scale * b, scale * r)


def lift(
    bridge: Bridge, tokens: Tensor, point: Radial, generator: torch.Generator | None
) -> Tensor:
    """X = a e_k + b f + r u with a random direction u, ``(..., K + 1)``.

    Normal numbers but for a zero at e_k and the mask are a direction orthogonal to both. The
    reflection that takes the mask to -f, and e_k to itself, makes it one orthogonal to f, and
    keeps its length: with Z the sum of the numbers, each of them loses (1 - f_m)/(K - 1) Z, and
    at the mask there will be -f_j Z.

    Args:
        bridge: the law.
        tokens: k, int64 ``(...)``.
        point: (a, b, r), ``(...)`` each.
        generator: source of the draws.
    """
    a, b, r = (each.unsqueeze(-1) for each in point)
    tokens = tokens.unsqueeze(-1)
    shape = (*tokens.shape[:-1], bridge.num_classes + 1)
    z = a.new_empty(shape).normal_(generator=generator)
    z.scatter_(-1, tokens, 0.0)
    z[..., -1] = 0
    scale = r / torch.linalg.vector_norm(z, dim=-1, keepdim=True)
    mask = b * bridge.f_mask
    if bridge.start == 0:
        x = z.mul_(scale)
    else:
        total = scale * z.sum(-1, keepdim=True)
        lost = (1 - bridge.f_mask) / (bridge.num_classes - 1)
        x = z.mul_(scale).add_(b * bridge.f_token - lost * total)
        mask = mask - bridge.f_token * total
    x.scatter_(-1, tokens, a)
    x[..., -1:] = mask
    return x
