r"""Schedules kappa: [0, 1] -> [0, 1], increasing: how much of the datum is there at time t.

A mixture path holds the datum with probability kappa_t and noise with 1 - kappa_t, the
*survival* of the noise. Between two times s < t a piece of noise that is still there survives
with probability (1 - kappa_t)/(1 - kappa_s), so it is replaced with probability

    (kappa_t - kappa_s)/(1 - kappa_s) = 1 - survival(t)/survival(s),

and at the rate kappa'_t/(1 - kappa_t). Near t = 1 these need the survival to full relative
precision, which 1 - kappa_t does not have: every schedule gives it in closed form.

======================================  ======================================  ==============
schedule                                kappa_t                                 shortest for
======================================  ======================================  ==============
:class:`LinearSchedule`                 t
:class:`PolynomialSchedule`             t^p
:class:`ExponentialSchedule`            (1 - e^{-ct})/(1 - e^{-c})
:class:`CosineSchedule`                 sin^2(pi t/2)                           masks
:class:`KineticOptimalSchedule`         1 - sin^2((1 - t) W)/sin^2 W            p_0 = cos^2 W
======================================  ======================================  ==============

The last two run along the great circle from sqrt(p_0) to the datum at constant speed in the
Fisher-Rao metric, that is with the least kinetic energy (Shaul et al. 2024).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from .process import reaches_data


class Schedule(Protocol):
    """A differentiable increasing map of [0, 1] onto itself; all shapes are kept."""

    def kappa(self, t: Tensor) -> Tensor:
        """kappa_t."""
        ...

    def survival(self, t: Tensor) -> Tensor:
        """1 - kappa_t, to full relative precision near t = 1."""
        ...

    def derivative(self, t: Tensor) -> Tensor:
        """d kappa_t / dt."""
        ...

    def inverse(self, kappa: Tensor) -> Tensor:
        """The t at which kappa_t = ``kappa``."""
        ...


@dataclass(frozen=True)
class LinearSchedule:
    """kappa_t = t.

    Example:
        >>> LinearSchedule().survival(torch.tensor([0.0, 0.25, 1.0]))
        tensor([1.0000, 0.7500, 0.0000])
    """

    def kappa(self, t: Tensor) -> Tensor:
        """t."""
        return t

    def survival(self, t: Tensor) -> Tensor:
        """1 - t."""
        return 1 - t

    def derivative(self, t: Tensor) -> Tensor:
        """1."""
        return torch.ones_like(t)

    def inverse(self, kappa: Tensor) -> Tensor:
        """kappa."""
        return kappa


LINEAR = LinearSchedule()
"""kappa_t = t, the default."""


@dataclass(frozen=True)
class PolynomialSchedule:
    """kappa_t = t^p, late for p > 1.

    Attributes:
        power: p, at least 1.

    Raises:
        ValueError: for a power below 1, whose speed is infinite at t = 0.

    Example:
        >>> PolynomialSchedule(2.0).kappa(torch.tensor(0.5))
        tensor(0.2500)
    """

    power: float

    def __post_init__(self) -> None:
        if not self.power >= 1:
            raise ValueError(f"expected a power of at least 1, got {self.power}")

    def kappa(self, t: Tensor) -> Tensor:
        """t^p."""
        return t**self.power

    def survival(self, t: Tensor) -> Tensor:
        """-expm1(p log t)."""
        return -torch.expm1(self.power * t.clamp_min(torch.finfo(t.dtype).tiny).log())

    def derivative(self, t: Tensor) -> Tensor:
        """p t^(p - 1)."""
        return self.power * t ** (self.power - 1)

    def inverse(self, kappa: Tensor) -> Tensor:
        """kappa^(1/p)."""
        return kappa ** (1 / self.power)


@dataclass(frozen=True)
class ExponentialSchedule:
    """kappa_t = (1 - e^{-ct})/(1 - e^{-c}), early: what is left shrinks at the rate c.

    Normalised, so that it ends at the datum. FrameDiff's successors sample rotations with
    c = 10 after training with the linear schedule ("inference annealing", Bose et al. 2024).

    Attributes:
        rate: c.

    Raises:
        ValueError: unless 0 < c <= 50, beyond which float32 cannot tell kappa from 1.

    Example:
        >>> ExponentialSchedule(10.0).survival(torch.tensor([0.0, 0.1, 1.0]))
        tensor([1.0000, 0.3679, 0.0000])
    """

    rate: float = 10.0

    def __post_init__(self) -> None:
        if not 0 < self.rate <= 50:
            raise ValueError(f"expected a rate above 0 and up to 50, got {self.rate}")

    def kappa(self, t: Tensor) -> Tensor:
        """expm1(-ct)/expm1(-c)."""
        return torch.expm1(-self.rate * t) / math.expm1(-self.rate)

    def survival(self, t: Tensor) -> Tensor:
        """e^{-ct} expm1(-c (1 - t))/expm1(-c)."""
        left = torch.expm1(-self.rate * (1 - t)) / math.expm1(-self.rate)
        return (-self.rate * t).exp() * left

    def derivative(self, t: Tensor) -> Tensor:
        """c e^{-ct}/(1 - e^{-c})."""
        return -self.rate / math.expm1(-self.rate) * (-self.rate * t).exp()

    def inverse(self, kappa: Tensor) -> Tensor:
        """-log1p(kappa expm1(-c))/c."""
        return -torch.log1p(kappa * math.expm1(-self.rate)) / self.rate


@dataclass(frozen=True)
class CosineSchedule:
    """kappa_t = sin^2(pi t/2), kinetic-optimal where the noise never equals the datum: masks.

    Example:
        >>> CosineSchedule().kappa(torch.tensor([0.0, 0.5, 1.0]))
        tensor([0.0000, 0.5000, 1.0000])
    """

    def kappa(self, t: Tensor) -> Tensor:
        """sin^2(pi t/2)."""
        return (0.5 * math.pi * t).sin().square()

    def survival(self, t: Tensor) -> Tensor:
        """sin^2(pi (1 - t)/2)."""
        return (0.5 * math.pi * (1 - t)).sin().square()

    def derivative(self, t: Tensor) -> Tensor:
        """(pi/2) sin(pi t), through the nearer end."""
        return 0.5 * math.pi * (math.pi * torch.minimum(t, 1 - t)).sin()

    def inverse(self, kappa: Tensor) -> Tensor:
        """(2/pi) atan2(sqrt(kappa), sqrt(1 - kappa))."""
        return (2 / math.pi) * torch.atan2(kappa.sqrt(), (1 - kappa).clamp_min(0).sqrt())


@dataclass(frozen=True)
class KineticOptimalSchedule:
    """kappa_t = 1 - sin^2((1 - t) W)/sin^2(W) with W = arccos sqrt(p_0).

    The mixture of noise and datum then runs along the Fisher-Rao geodesic: with
    a = sin((1 - t) W)/sin W, sqrt(p_t(y)) = a sqrt(p_0(y)) for every token but the datum.

    Attributes:
        p_0: probability that the noise equals the datum, 1/K for uniform noise of K tokens,
            0 for masks. For unequal priors it depends on the datum; take a typical value.

    Raises:
        ValueError: unless 0 <= p_0 < 1.

    Example:
        >>> KineticOptimalSchedule(1 / 4).kappa(torch.tensor([0.0, 0.5, 1.0]))
        tensor([0.0000, 0.6667, 1.0000])
    """

    p_0: float

    def __post_init__(self) -> None:
        if not 0 <= self.p_0 < 1:
            raise ValueError(f"expected a probability p_0 in [0, 1), got {self.p_0}")

    @property
    def angle(self) -> float:
        """W, the angle between sqrt(p_0) and the datum."""
        return math.acos(math.sqrt(self.p_0))

    def kappa(self, t: Tensor) -> Tensor:
        """sin(t W) sin((2 - t) W)/sin^2(W), the difference of squares as a product."""
        W = self.angle
        return (t * W).sin() * ((2 - t) * W).sin() / (1 - self.p_0)

    def survival(self, t: Tensor) -> Tensor:
        """sin^2((1 - t) W)/sin^2(W)."""
        return ((1 - t) * self.angle).sin().square() / (1 - self.p_0)

    def derivative(self, t: Tensor) -> Tensor:
        """W sin(2 (1 - t) W)/sin^2(W), as 2 sin cos, of which rounding makes nothing negative."""
        phi = (1 - t) * self.angle
        return 2 * self.angle * phi.sin() * phi.cos().clamp_min(0) / (1 - self.p_0)

    def inverse(self, kappa: Tensor) -> Tensor:
        """1 - arcsin(sqrt(1 - kappa) sin W)/W."""
        return 1 - ((1 - kappa).clamp_min(0) * (1 - self.p_0)).sqrt().asin() / self.angle


def hazard(schedule: Schedule, t: Tensor) -> Tensor:
    """kappa'_t/(1 - kappa_t), the rate at which noise becomes datum; finite, also at t = 1."""
    return schedule.derivative(t) / schedule.survival(t).clamp_min(torch.finfo(t.dtype).eps)


def next_time(t: Tensor, dt: Tensor) -> Tensor:
    """``t + dt``, which is 1 where its rounding alone keeps it from being so.

    Example:
        >>> dt = torch.tensor(0.1)
        >>> next_time(torch.tensor(0.9), dt).item()
        1.0
    """
    return torch.where(reaches_data(t, dt), 1.0, t + dt)


def arriving_share(schedule: Schedule, t: Tensor, dt: Tensor) -> Tensor:
    """(kappa_{t+dt} - kappa_t)/(1 - kappa_t), the part of the noise replaced over a step.

    Without cancellation, 1 where the step ends at t = 1, negative for a step backwards.

    Example:
        >>> arriving_share(LINEAR, torch.tensor(0.5), torch.tensor([0.25, 0.5]))
        tensor([0.5000, 1.0000])
    """
    left = schedule.survival(t).clamp_min(torch.finfo(t.dtype).eps)
    return 1 - schedule.survival(next_time(t, dt)) / left


def check_schedule(schedule: Schedule) -> None:
    """Raise ``ValueError`` unless kappa increases from 0 to 1 and the survival is 1 - kappa.

    Looks at 257 times in float64.

    Example:
        >>> check_schedule(CosineSchedule())
    """
    t = torch.linspace(0, 1, 257, dtype=torch.float64)
    kappa = schedule.kappa(t)
    ends = (kappa[0].item(), kappa[-1].item())
    if max(abs(ends[0]), abs(ends[1] - 1)) > 1e-9:
        raise ValueError(
            f"expected a schedule from 0 to 1, got {schedule} from {ends[0]:.4g} to {ends[1]:.4g}"
        )
    if not bool((kappa.diff() > 0).all()):
        where = t[int(kappa.diff().argmin())].item()
        raise ValueError(
            f"expected an increasing schedule, got {schedule}, which falls at t = {where:.3g}"
        )
    if not torch.allclose(schedule.survival(t), 1 - kappa, rtol=0, atol=1e-9):
        raise ValueError(
            f"expected a survival of 1 - kappa, got {schedule}, whose survival differs"
        )
