r"""The heat kernel of SO(3) as a function of the rotation angle, by two exact series.

With the metric |omega|^2 the density of Brownian motion at time t = sigma^2 (sigma the
deviation of each component of omega while it is small), with respect to normalised Haar
measure, is the sum over the irreducible representations

    f(w) = sum_l a_l sin((l+1/2) w)/sin(w/2),    a_l = (2l+1) exp(-l(l+1) t/2)
         = sum_m c_m cos(m w),                   c_0 = sum_l a_l,  c_m = 2 sum_{l>=m} a_l,

which converges fast for large t. Poisson summation turns it into the equally exact

    f(w) = 2 sqrt(2 pi) t^{-3/2} e^{t/8} sum_k (w_k/2)/sin(w_k/2) exp(-w_k^2 / 2t),

w_k = w + 2 pi k, a wrapped Gaussian, for small t (Nikolayev and Savyolova, Textures and
Microstructures 1997). At t = 1, where they change over, ten and three terms leave out less
than 1e-16. In the second the pair k = +-1 is summed before the division by sin(w/2):

    sum_k = (w/2)/sin(w/2) exp(-w^2/2t) M(w),
    M = 1 + (8 pi^2/t) P phi(4 pi w/t) - P - Q,     phi(y) = (1 - e^{-y})/y,
    P, Q = exp(-2 pi (pi -+ w)/t),

so that nothing is 0/0 at angle 0, and nothing overflows however small t is.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .space_forms import SpaceForm

_TERMS = 10
# Its log|det d exp| is 2 log(sin(w/2)/(w/2)).
_POLAR = SpaceForm(3, 0.25, math.pi)


def log_heat_kernel(angle: Tensor, std: Tensor) -> Tensor:
    """log f(angle), with respect to normalised Haar measure; 0 in the limit of large ``std``.

    Args:
        angle: rotation angle in [0, pi], ``(...)``.
        std: sigma > 0, broadcasts against ``angle``.

    Returns:
        ``(...)``; even in the angle, with gradient 0 at 0 and at pi.

    >>> log_heat_kernel(torch.tensor([0.0, 3.1416]), torch.tensor(5.0)).abs().amax() < 1e-4
    tensor(True)
    """
    t = std * std
    small, large = _log_wrapped(angle, t.clamp_max(1)), _log_series(angle, t.clamp_min(1))
    return torch.where(t < 1, small, large)


def heat_kernel_slope(angle: Tensor, std: Tensor) -> Tensor:
    """(d log f / d angle) / angle, shapes as ``log_heat_kernel``; zero at angle pi.

    Finite at angle 0, where it is -1/sigma^2 + 1/12 for small sigma.
    """
    t = std * std
    # Odd over odd: cutting the angle off at eps changes the ratio by less than a rounding.
    angle = angle.clamp_min(torch.finfo(angle.dtype).eps)
    small, large = _slope_wrapped(angle, t.clamp_max(1)), _slope_series(angle, t.clamp_min(1))
    return torch.where(t < 1, small, large)


def _coefficients(t: Tensor) -> Tensor:
    """The c_m, ``(..., 10)``."""
    l = torch.arange(_TERMS, dtype=t.dtype, device=t.device)
    a = (2 * l + 1) * (-l * (l + 1) * t[..., None] / 2).exp()
    tails = a.flip(-1).cumsum(-1).flip(-1)
    return torch.cat([tails[..., :1], 2 * tails[..., 1:]], -1)


def _log_series(angle: Tensor, t: Tensor) -> Tensor:
    m = torch.arange(_TERMS, dtype=t.dtype, device=t.device)
    return (_coefficients(t) * (m * angle[..., None]).cos()).sum(-1).log()


def _slope_series(angle: Tensor, t: Tensor) -> Tensor:
    m = torch.arange(_TERMS, dtype=t.dtype, device=t.device)
    c, phase = _coefficients(t), m * angle[..., None]
    slope = -(c * m * phase.sin()).sum(-1) / angle
    return slope / (c * phase.cos()).sum(-1)


def _log_wrapped(angle: Tensor, t: Tensor) -> Tensor:
    angle = angle.clamp_min(torch.finfo(angle.dtype).eps)
    constant = math.log(2) + math.log(2 * math.pi) / 2
    leading = constant - 1.5 * t.log() + t / 8 - angle * angle / (2 * t)
    return leading - _POLAR.log_det_exp(angle) / 2 + _pair(angle, t)[0].log()


def _slope_wrapped(angle: Tensor, t: Tensor) -> Tensor:
    m, slope = _pair(angle, t)
    return _cotangent(angle) - 1 / t + slope / angle / m


def _pair(angle: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """(M, dM/dw)."""
    rate = 2 * math.pi / t
    y = 2 * rate * angle
    p, q = (-rate * (math.pi - angle)).exp(), (-rate * (math.pi + angle)).exp()
    phi = -(-y).expm1() / y
    weight = 4 * math.pi * rate * p
    m = 1 + weight * phi - p - q
    slope = weight * rate * (phi + 2 * _phi_slope(y, phi)) + rate * p * (-y).expm1()
    return m, slope


def _phi_slope(y: Tensor, phi: Tensor) -> Tensor:
    """phi'(y) = (e^{-y} - phi)/y, by its series below 0.01."""
    small = y < 0.01
    s = torch.where(small, y, 0.0)
    series = -0.5 + s * (1 / 3 - s * (1 / 8 - s * (1 / 30 - s * (1 / 144 - s / 840))))
    y = torch.where(small, 1.0, y)
    return torch.where(small, series, ((-y).exp() - phi) / y)


def _cotangent(angle: Tensor) -> Tensor:
    """(1/w - cot(w/2)/2)/w, the slope of log of (w/2)/sin(w/2); 1/12 at 0."""
    small = angle < 0.4
    s = torch.where(small, angle * angle, 0.0)
    series = (1 + s / 60 * (1 + s / 42 * (1 + s / 40 * (1 + s / 39.6 * (1 + s / 39.5))))) / 12
    w = torch.where(small, 1.0, angle)
    return torch.where(small, series, (1 / w - 0.5 * (w / 2).cos() / (w / 2).sin()) / w)
