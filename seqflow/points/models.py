"""Models of points: what a configuration's words mean, and models to and from disk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from geometry.distributions.distribution import Distribution
from geometry.manifold import Manifold

from ..checkpoints import find_checkpoint, load_checkpoint, save_checkpoint
from ..networks import MLP, EndpointHead, FeatureGrid
from ..riemannian import EndpointFlow, GeodesicFlow, VelocityFlow
from ..schedules import ExponentialSchedule, LinearSchedule, Schedule
from ..settings import Settings, check_settings
from .local_kernels import NUM_KINDS, LocalKernels
from .settings import Clock, Method, NetworkSettings
from .spaces import Space

FLOWS: dict[Method, Callable[[Manifold, Distribution | None, Schedule], GeodesicFlow]] = {
    "velocity": VelocityFlow,
    "endpoint": EndpointFlow,
}
SCHEDULES: dict[Clock, Schedule] = {
    "linear": LinearSchedule(),
    "exponential": ExponentialSchedule(5.0),
}
STOPS: dict[Method, float] = {"velocity": 1.0, "endpoint": 1 - 1e-3}


class PointSpec(Settings):
    """What builds a model of points again.

    Attributes:
        space: their manifold, and what a row of numbers says.
        method: what the network predicts.
        schedule: how the noise shrinks.
        network: its size.
        num_centres: of the kernel prior; 0 for the default prior.
        split: what was kept out of training: path, columns, split_seed, deduplicate.
        provenance: what it was trained on, for people.
    """

    space: Space = Field(discriminator="kind")
    method: Method
    schedule: Clock = "linear"
    network: NetworkSettings
    num_centres: int = Field(default=0, ge=0)
    provenance: dict[str, Any] = Field(default_factory=dict)


class KernelPrior(nn.Module):
    """The tensors of a kernel prior, to be kept with the weights.

    Args:
        manifold: where it lives.
        num_centres: n.
    """

    centres: Tensor
    weights: Tensor

    def __init__(self, manifold: Manifold, num_centres: int) -> None:
        super().__init__()
        self.register_buffer("centres", torch.zeros(num_centres, *manifold.point_shape))
        self.register_buffer("weights", torch.zeros(NUM_KINDS + 1))


@dataclass(frozen=True)
class PointModel:
    """A flow on a manifold and the network that predicts for it."""

    spec: PointSpec
    process: GeodesicFlow
    network: nn.Module

    @property
    def stop(self) -> float:
        """The last time at which the field is finite; likelihoods start there."""
        return STOPS[self.spec.method]


def build_network(spec: PointSpec, manifold: Manifold) -> nn.Module:
    """A network with fresh weights."""
    size = spec.network
    grid = FeatureGrid(manifold, size.grid_levels) if size.grid_levels else None
    network = MLP(
        manifold, size.width, size.depth, num_frequencies=size.num_frequencies, grid=grid
    )
    return EndpointHead(manifold, network) if spec.method == "endpoint" else network


def build_model(
    spec: PointSpec, manifold: Manifold, network: nn.Module, prior: LocalKernels | None
) -> PointModel:
    """Process and network together."""
    flow = FLOWS[spec.method](manifold, prior, SCHEDULES[spec.schedule])
    return PointModel(spec, flow, network)


def save_model(folder: Path, model: PointModel) -> None:
    """Write it so that :func:`load_model` finds it."""
    parts = _parts(model.spec, model.process.manifold, model.network)
    law = model.process.prior
    if isinstance(law, LocalKernels):  # the only prior with tensors of its own
        parts["prior"].load_state_dict({"centres": law.centres, "weights": law.weights})
    config = model.spec.model_dump(mode="json")
    save_checkpoint(folder, domain="points", kind="flow", config=config, model=parts)


def load_model(name: str) -> PointModel:
    """A model from its folder; raises ``ValueError``."""
    folder = find_checkpoint(name, package="seqflow.points")
    checkpoint = load_checkpoint(folder, domain="points", kind="flow")
    spec = check_settings(PointSpec, checkpoint.config, where=str(folder))
    manifold = spec.space.manifold()
    parts = _parts(spec, manifold, build_network(spec, manifold))
    checkpoint.load_into(parts)
    prior = None
    if spec.num_centres:
        kept = parts["prior"].state_dict()
        prior = LocalKernels(manifold, kept["centres"], kept["weights"])
    return build_model(spec, manifold, parts["network"], prior)


def _parts(spec: PointSpec, manifold: Manifold, network: nn.Module) -> nn.ModuleDict:
    """What lies in the weights' file."""
    parts = {"network": network}
    if spec.num_centres:
        parts["prior"] = KernelPrior(manifold, spec.num_centres)
    return nn.ModuleDict(parts)
