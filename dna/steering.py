r"""Ways to push samples towards a class, each with a strength w of its own.

=======================  ============================================  =====================
:class:`ByPredictions`   mixes predictions with and without the class  any method
:class:`ByKernels`       mixes the laws of a whole step                states of bases
:class:`ByGradient`      follows a guide's gradient                    all but autoregression
:class:`ByJumps`         tries each base where one jumps               states of bases
=======================  ============================================  =====================

A guide is a classifier of the generator's noisy states. With w = 0 the class is ignored, with 1
samples are as the data of the class, beyond that more typical of it and less diverse.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch

from seqflow.denoiser import NoisyClassifier
from seqflow.discrete import BothPredictions, JumpGuidance, KernelGuidance, Labelled
from seqflow.guidance import ClassifierFreeGuidance, ClassifierGuidance, Combination, log_linear
from seqflow.process import Process
from seqflow.sampling import Predictor

from .models import Classifier, Generator

MAX_STRENGTH = 100
TOKEN_METHODS = ("masked", "uniform", "metric")
"""The methods whose states are bases, so that a step has a law that can be written down."""


class Steered(NamedTuple):
    """What a sampler needs.

    Attributes:
        process: the generator's, or one around it.
        predictor: whose predictions its step takes.
    """

    process: Process[Any]
    predictor: Predictor


@dataclass(frozen=True)
class Steering(ABC):
    """How to push samples towards their class.

    Attributes:
        strength: w.

    Raises:
        ValueError: for a strength beyond ``MAX_STRENGTH``.
    """

    strength: float

    def __post_init__(self) -> None:
        if not -MAX_STRENGTH <= self.strength <= MAX_STRENGTH:  # NaN fails too
            raise ValueError(
                f"expected a guidance between -{MAX_STRENGTH} and {MAX_STRENGTH}, "
                f"got {self.strength}"
            )

    @abstractmethod
    def steer(self, generator: Generator, device: torch.device) -> Steered:
        """The generator steered, on a device; raises ``ValueError`` if it cannot be so."""


@dataclass(frozen=True)
class ByPredictions(Steering):
    """Classifier-free guidance.

    Attributes:
        combine: of the predictions with and without the class.
    """

    combine: Combination = log_linear

    def steer(self, generator: Generator, device: torch.device) -> Steered:
        """Steers any method."""
        network = generator.network.to(device)
        predictor = ClassifierFreeGuidance(network, self.strength, self.combine)
        return Steered(generator.process, predictor)


@dataclass(frozen=True)
class ByKernels(Steering):
    """Classifier-free guidance of the law of each step, which guides staying as well."""

    def steer(self, generator: Generator, device: torch.device) -> Steered:
        """Steers the methods ``TOKEN_METHODS``."""
        _check_tokens(generator, "law of a step to mix; mix predictions (--combine log)")
        process: Any = generator.process  # by its method one with kernels
        predictor = BothPredictions(generator.network.to(device))
        return Steered(KernelGuidance(process, self.strength), predictor)


@dataclass(frozen=True)
class ByGradient(Steering):
    """Classifier guidance: the gradient of log p(y | x_t) tilts the prediction.

    Attributes:
        guide: a classifier of the generator's noisy states.
    """

    guide: Classifier

    def steer(self, generator: Generator, device: torch.device) -> Steered:
        """Steers the method that the guide was trained for."""
        classifier = _seeing(self.guide, generator).to(device)
        process: Any = generator.process  # of the guide's method, which can be tilted
        network = generator.network.to(device)
        predictor = ClassifierGuidance(process, network, classifier, self.strength)
        return Steered(process, predictor)


@dataclass(frozen=True)
class ByJumps(Steering):
    """Classifier guidance that asks the guide for each base where one is about to jump.

    Attributes:
        guide: a classifier of the generator's noisy states.
    """

    guide: Classifier

    def steer(self, generator: Generator, device: torch.device) -> Steered:
        """Steers the methods ``TOKEN_METHODS``."""
        _check_tokens(generator, "jumps to try; follow the gradient (--guide-form gradient)")
        classifier = _seeing(self.guide, generator).to(device)
        process: Any = generator.process  # by its method one of jumps
        predictor = Labelled(generator.network.to(device))
        return Steered(JumpGuidance(process, classifier, self.strength), predictor)


def _check_tokens(generator: Generator, what: str) -> None:
    if generator.spec.method not in TOKEN_METHODS:
        raise ValueError(
            f"the method {generator.spec.method} has no {what}, or take a model "
            f"of {', '.join(TOKEN_METHODS)}"
        )


def _seeing(guide: Classifier, generator: Generator) -> NoisyClassifier:
    """The guide as it sees the generator's states; raises ``ValueError`` if it does not fit."""
    if guide.spec.noise != generator.spec.method:
        raise ValueError(
            f"the guide reads {guide.spec.noise} states, the generator makes "
            f"{generator.spec.method} ones; train a guide with noise: {generator.spec.method}"
        )
    read, made = (m.spec.path.model_dump() if m.spec.path else {} for m in (guide, generator))
    for key in made:
        if read.get(key) != made[key]:
            raise ValueError(
                f"the guide was trained with path.{key} {read.get(key)}, the generator with "
                f"{made[key]}; train a guide with the same path"
            )
    if guide.spec.labels != generator.spec.labels:
        raise ValueError(
            f"the guide knows the labels {', '.join(guide.spec.labels)}, the generator "
            f"{', '.join(generator.spec.labels)}; train both on the same classes, in one order"
        )
    network: Any = guide.network  # of noisy states, by its noise
    seeing: NoisyClassifier = network.seeing(generator.process)
    return seeing
