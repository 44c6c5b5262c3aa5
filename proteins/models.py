"""Backbone models by name: what a configuration's words mean, and models to and from disk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import Field
from torch import nn

from geometry import SO3
from geometry.distributions.distribution import Distribution
from geometry.distributions.isotropic_gaussian_so3 import IsotropicGaussianSO3
from geometry.distributions.uniform import Uniform
from seqflow.checkpoints import find_checkpoint, load_checkpoint, save_checkpoint
from seqflow.schedules import LINEAR, ExponentialSchedule, Schedule
from seqflow.settings import Settings, check_settings

from .flow import BackboneFlow, Schedules
from .ipa_network import IPANetwork
from .knn_network import KNNTransformer
from .losses import BackboneLoss, RotationError, geodesic_error, log_error
from .network import PairBiasTransformer
from .settings import FlowSettings, LossSettings, PathSettings, ScheduleSettings
from .trunk_settings import TrunkSettings

DEFAULT_GENERATOR = "backbones"

SCHEDULES: dict[str, Callable[[float], Schedule]] = {
    "linear": lambda rate: LINEAR,
    "exponential": ExponentialSchedule,
}
ROTATION_PRIORS: dict[str, Callable[[float], Distribution]] = {
    "haar": lambda std: Uniform(SO3()),
    "igso3": lambda std: IsotropicGaussianSO3(torch.tensor([1.0, 0, 0, 0]), std),
}
TRUNKS: dict[str, Callable[..., nn.Module]] = {
    "pair-bias": PairBiasTransformer,
    "ipa": IPANetwork,
    "knn": KNNTransformer,
}
ROTATION_ERRORS: dict[str, RotationError] = {"geodesic": geodesic_error, "log": log_error}


class GeneratorSpec(Settings):
    """What builds a generator again.

    Attributes:
        length: residues of the training chains, such as ``40-100``.
        flow: from noise to chains.
        network: kind and size.
        steps: of the sampler, where no number is asked for.
        provenance: what it was trained on, for people.
    """

    length: str
    flow: FlowSettings
    network: TrunkSettings
    steps: int = Field(default=50, gt=0)
    provenance: dict[str, Any] = Field(default_factory=dict)


@dataclass(frozen=True)
class Generator:
    """A flow and the network that predicts for it."""

    spec: GeneratorSpec
    flow: BackboneFlow
    network: nn.Module


def build_flow(settings: FlowSettings) -> BackboneFlow:
    """The flow that a configuration describes."""
    return BackboneFlow(
        _schedules(settings.training),
        _schedules(settings.sampling),
        ROTATION_PRIORS[settings.rotation_prior](settings.rotation_std),
        settings.translation_std,
    )


def build_loss(settings: LossSettings) -> BackboneLoss:
    """The loss that a configuration describes."""
    weights = settings.model_dump(exclude={"rotation_error"})
    return BackboneLoss(**weights, rotation_error=ROTATION_ERRORS[settings.rotation_error])


def build_network(settings: TrunkSettings) -> nn.Module:
    """The network that a configuration describes, with fresh weights."""
    return TRUNKS[settings.trunk](**settings.model_dump(exclude={"trunk"}))


def build_generator(spec: GeneratorSpec) -> Generator:
    """A generator with fresh weights."""
    return Generator(spec, build_flow(spec.flow), build_network(spec.network))


def save_generator(folder: Path, generator: Generator) -> None:
    """Write it so that :func:`load_generator` finds it."""
    config = generator.spec.model_dump(mode="json")
    save_checkpoint(
        folder, domain="proteins", kind="generator", config=config, model=generator.network
    )


def load_generator(name: str) -> Generator:
    """A generator from its folder or, bundled, by name; raises ``ValueError``."""
    folder = find_checkpoint(name, package="proteins")
    checkpoint = load_checkpoint(folder, domain="proteins", kind="generator")
    spec = check_settings(GeneratorSpec, checkpoint.config, where=str(folder))
    generator = build_generator(spec)
    checkpoint.load_into(generator.network)
    return generator


def _schedules(settings: PathSettings) -> Schedules:
    return Schedules(_schedule(settings.translation), _schedule(settings.rotation))


def _schedule(settings: ScheduleSettings) -> Schedule:
    return SCHEDULES[settings.kind](settings.rate)
