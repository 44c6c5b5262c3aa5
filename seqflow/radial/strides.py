r"""Steps in time of the logarithm bridge, with times as angles.

Bridge time s in [0, 1] is sin^2 of an angle between 0 and pi/2, so that both s and 1 - s have
their full relative precision, and equal steps of the angle are fine at either end.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..schedules import Schedule


def time_angle(schedule: Schedule, t: Tensor) -> Tensor:
    """The angle of s = kappa_t."""
    kappa, survival = schedule.kappa(t).clamp_min(0), schedule.survival(t).clamp_min(0)
    # A square root has no finite slope at zero, which a state at t = 0 or 1 must not pass on.
    tiny = torch.finfo(t.dtype).tiny
    return torch.atan2(
        kappa / kappa.clamp_min(tiny).sqrt(), survival / survival.clamp_min(tiny).sqrt()
    )


def between(first: Tensor, last: Tensor) -> Tensor:
    """The difference s' - s = sin(phi' - phi) sin(phi' + phi), to full relative precision."""
    return (last - first).sin() * (last + first).sin()


def stride(variance: float, first: Tensor, last: Tensor) -> tuple[Tensor, Tensor]:
    """The share of the logarithm, and the deviation of the noise, of a step.

    Just 1 and 0 where it ends at s = 1, to the rounding of an angle.
    """
    step, left = between(first, last), first.cos().square()
    share = (step / left.clamp_min(torch.finfo(left.dtype).tiny)).clamp(0, 1)
    going = last.cos() > torch.finfo(left.dtype).eps
    return torch.where(going, share, 1.0), (variance * share).sqrt() * last.cos() * going
