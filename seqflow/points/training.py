"""From a configuration to a trained model in a folder."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from functools import singledispatch
from typing import Any, NamedTuple

import torch
from torch import Tensor

from geometry.manifold import Manifold
from geometry.mesh import Mesh

from ..couplings import Coupling, Independent
from ..devices import find_device
from ..objectives import Batch, FlowMatching, Objective
from ..plots import plot_training
from ..pooled_targets import PooledFlowMatching
from ..priors import placed
from ..riemannian import GeodesicFlow, VelocityFlow
from ..training import TrainingModule, fit, seeded
from .datasets import Points, Split, read_split
from .local_kernels import LocalKernels, fit_local_kernels
from .models import PointModel, PointSpec, build_model, build_network, save_model
from .paths import StoredPaths, simulate_paths
from .responsibilities import responsible_kernels
from .settings import PointSettings
from .strength import best_strength

CHANGEABLE = ("steps", "validate_every", "checkpoint_every")
"""Settings of training that may change when it goes on."""


def train_points(
    settings: PointSettings, *, device: str = "auto", progress: bool = True
) -> PointModel:
    """Train a model, or go on where its folder stopped, and save it there."""
    points, split = read_split(settings.data)
    print(_report(settings, points, split), file=sys.stderr)  # noqa: T201  # progress
    train, validation = split.train.float(), split.validation.float()
    manifold = settings.data.space.manifold()
    law = None
    if settings.prior == "kernels" or settings.smoothing:
        law = fit_local_kernels(manifold, train)
    prior = law if settings.prior == "kernels" else None
    spec = PointSpec(
        space=settings.data.space,
        method=settings.method,
        schedule=settings.schedule,
        network=settings.network,
        num_centres=len(train) if prior else 0,
        provenance=_provenance(settings, split),
    )
    with seeded(settings.training.seed):
        network = build_network(spec, manifold)
    model = build_model(spec, manifold, network, prior)
    coupling: Coupling = Independent()
    if prior:  # it draws noise where the network is, unlike smoothing, which makes batches
        here = train.new_empty(0, device=find_device(device))
        coupling = responsible_kernels(placed(prior, here))
    lesson = make_lesson(manifold, settings, model.process, train, validation, coupling)
    module = TrainingModule(
        network,
        lesson.objective,
        lesson.train,
        # Where a validation point may start is known of training points only.
        None if prior else lesson.validation,
        settings.training,
        Smoothing(law) if settings.smoothing and law else None,
        _identity(settings, split),
    )
    averaged = fit(module, settings.out, device=device, progress=progress)
    network.load_state_dict(averaged.state_dict())
    network.cpu().eval()
    if prior:
        model = strengthen(model, validation)
    save_model(settings.out, model)
    plot_training(settings.out / "logs", settings.out / "training.png")
    return model


def strengthen(model: PointModel, validation: Tensor) -> PointModel:
    """The model with as much of its field as validation points ask for."""
    network: Any = model.network  # of velocities, as PointSettings makes sure
    strength = best_strength(model.process, network, validation)
    print(f"the field counts {strength:g}, by validation points", file=sys.stderr)  # noqa: T201
    return replace(model, network=network.scaled(strength))


class Lesson(NamedTuple):
    """What a network is trained for, and on which rows."""

    objective: Objective
    train: Batch
    validation: Batch


@singledispatch
def make_lesson(
    manifold: Manifold,
    settings: PointSettings,
    process: GeodesicFlow,
    train: Tensor,
    validation: Tensor,
    coupling: Coupling,
) -> Lesson:
    """Noise and times are drawn anew for every batch of points."""
    objective: Objective = FlowMatching(process, coupling=coupling)
    if settings.pools and isinstance(process, VelocityFlow):
        objective = PooledFlowMatching(process)
    return Lesson(objective, rows_of(train, settings.training.batch_size), {"x_1": validation})


@make_lesson.register
def _(
    manifold: Mesh,
    settings: PointSettings,
    process: GeodesicFlow,
    train: Tensor,
    validation: Tensor,
    coupling: Coupling,
) -> Lesson:
    """Paths are walked before; validation takes a twentieth as many."""
    space: Any = settings.data.space  # a mesh's
    num, seed = space.num_paths, settings.training.seed
    return Lesson(
        StoredPaths(process),
        simulate_paths(manifold, train, num, seed),
        simulate_paths(manifold, validation, -(-num // 20), seed + 1),
    )


def rows_of(train: Tensor, batch_size: int) -> Batch:
    """Training points, repeated where there are fewer than a batch, with their numbers."""
    rows = torch.arange(len(train)).repeat(-(-batch_size // len(train)))
    return {"x_1": train[rows], "row": rows}


@dataclass(frozen=True)
class Smoothing:
    """An augmentation: each point is replaced by a draw of a kernel around it.

    Attributes:
        law: kernels of the training points.
    """

    law: LocalKernels

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        """The batch with another ``x_1``."""
        rows = batch["row"]
        kind = self.law.kinds(len(rows), generator)
        return {**batch, "x_1": self.law.place(rows, kind, generator)}


def _report(settings: PointSettings, points: Points, split: Split) -> str:
    kept = len(points.points)
    return (
        f"{points.num_rows} points on a {settings.data.space.kind}, {points.num_skipped} rows "
        f"skipped for missing values, {points.num_rows - kept} duplicates removed; "
        f"{len(split.train)} to train on, {len(split.validation)} to validate, "
        f"{len(split.test)} to test"
    )


def _provenance(settings: PointSettings, split: Split) -> dict[str, Any]:
    data = settings.data.model_dump(mode="json", exclude={"space", "path"})
    training = {"steps": settings.training.steps, "seed": settings.training.seed}
    return data | training | {"points": len(split.train), "file": settings.data.path.name}


def _identity(settings: PointSettings, split: Split) -> dict[str, Any]:
    """What must be the same when training goes on: not where files lie."""
    identity = settings.model_dump(mode="json", exclude={"out": True, "data": {"path"}})
    for key in CHANGEABLE:
        identity["training"].pop(key)
    return identity | {"kind": "points", "points": len(split.train)}
