r"""The flow of backbone frames: a translation and a rotation a residue, each on its own path.

    x_t = x_0 + t (x_1 - x_0),     x_0 ~ N(0, (10 Angstrom)^2), its mean at the origin
    q_t = q_0 Exp(kappa_t Log(q_0* q_1)),     q_0 ~ Haar

Both are predicted by where they end, and with an end (y, r) the step from t to s is exact::

    alpha = (kappa_s - kappa_t)/(1 - kappa_t)
    x <- x + alpha (y - x),   q <- q Exp(alpha Log(q* r))

for any schedule. Euler's step alpha = c D of the published samplers is its first order: at five
steps of the exponential schedule it is 2.5, and diverges. Noise is the same in training and in
sampling. Schedules may differ: rotations that settle early (exponential, c = 10) make better
chains of a network that was trained with kappa_t = t (Yim et al. 2023, Bose et al. 2024).

Padding. The mask of a batch is part of the space of translations (``MaskedEuclidean``): the
centre is that of the residues that are there, the others stay at the origin. So a process is made
for each batch; it is a handful of small frozen objects.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from geometry import SO3
from geometry.distributions.distribution import Distribution
from geometry.distributions.uniform import Uniform
from geometry.distributions.wrapped_normal import WrappedNormal
from geometry.euclidean import MaskedEuclidean
from seqflow.product_process import Memory, Part, ProductProcess
from seqflow.riemannian import EndpointFlow
from seqflow.schedules import LINEAR, ExponentialSchedule, Schedule

PRIOR_STD = 10.0
"""Of translations at t = 0, in Angstrom."""

TRANSLATION, ROTATION, PREVIOUS = "translation", "rotation", "previous"
"""The parts of a state: CA ``(B, L, 3)`` in Angstrom, unit quaternions ``(B, L, 4)``, and the
CA predicted last, in homogeneous coordinates (x, y, z, 1), ``(B, L, 4)``, zero for none."""


@dataclass(frozen=True)
class Schedules:
    """kappa of either part."""

    translation: Schedule = LINEAR
    rotation: Schedule = LINEAR


ANNEALED = Schedules(rotation=ExponentialSchedule(10.0))
"""Rotations settle early; for sampling."""


@dataclass(frozen=True)
class BackboneFlow:
    """What all batches share.

    Attributes:
        training: schedules to train with.
        sampling: schedules to sample with.
        rotation_prior: of rotations, Haar by default; an ``IsotropicGaussianSO3``, say.
        std: of translations at t = 0, in Angstrom.

    Example:
        >>> process = BackboneFlow().sampling_process(torch.ones(60, dtype=torch.bool))
        >>> sorted(process.sample_prior((2, 60)))
        ['previous', 'rotation', 'translation']
    """

    training: Schedules = Schedules()
    sampling: Schedules = ANNEALED
    rotation_prior: Distribution = field(default_factory=lambda: Uniform(SO3()))
    std: float = PRIOR_STD

    def training_process(self, mask: Tensor) -> ProductProcess:
        """For data with residues where the bool ``mask`` (..., L) is true."""
        return self._process(mask, self.training)

    def sampling_process(self, mask: Tensor) -> ProductProcess:
        """The same with the schedules of sampling; for one length, ``mask`` is (L,)."""
        return self._process(mask, self.sampling)

    def _process(self, mask: Tensor, schedules: Schedules) -> ProductProcess:
        space = MaskedEuclidean(mask, 3)
        origin = torch.zeros(space.point_shape, device=mask.device)
        noise = WrappedNormal(space, origin, self.std)
        translation = EndpointFlow(space, noise, schedules.translation)
        rotation = EndpointFlow(SO3(), self.rotation_prior, schedules.rotation)
        return ProductProcess(
            translation=Part(translation, (3,)),
            rotation=Part(rotation, (4,)),
            previous=Part(Memory(), (4,)),
        )


def remaining_noise(t: Tensor) -> Tensor:
    """s(t) = 1 - min(t, 0.9): the scale of what a prediction has to add, and of its errors."""
    return 1 - t.clamp_max(0.9)
