"""What a YAML file in ``configs/points`` may say."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from ..settings import Settings, check_settings, override_settings, starting_from
from ..training import TrainingSettings
from .spaces import Space

Method = Literal["velocity", "endpoint"]
Prior = Literal["default", "kernels"]
Clock = Literal["linear", "exponential"]
POOLING = ("sphere", "torus", "so3")
"""Spaces with a uniform law, from which the density of a path is known."""


class DataSettings(Settings):
    """Where the points are.

    Attributes:
        path: CSV or TSV, plain or gzipped.
        space: their manifold, and what a row says; see `spaces`.
        columns: by name or place (from 0); the first ones if not given.
        deduplicate: keep the first of rows with equal numbers, before the split.
        split_seed: of the random split 80 : 10 : 10.
    """

    path: Path
    space: Space = Field(discriminator="kind")
    columns: list[int | str] | None = None
    deduplicate: bool = False
    split_seed: int = Field(default=0, ge=0)


class NetworkSettings(Settings):
    """Size of the perceptron.

    Attributes:
        width: of its layers.
        depth: blocks of two layers.
        num_frequencies: octaves of cosines and sines of the coordinates; more resolve finer
            detail.
        grid_levels: of learned features on grids of 8, 16, 32, ... cells, for detail that
            harmonics do not reach; on the sphere and tori of at most three angles; 0 for none.
    """

    width: int = Field(default=256, gt=0, le=8192)
    depth: int = Field(default=3, gt=0, le=64)
    num_frequencies: int = Field(default=5, ge=0, le=12)
    grid_levels: int = Field(default=0, ge=0, le=12)


TRAINING: dict[str, Any] = {"batch_size": 512}
"""How point models are trained where nothing else is said."""


class PointSettings(Settings):
    """``seqflow points train``.

    Attributes:
        data: what to learn.
        method: what the network predicts: a velocity, or the end of the geodesic.
        prior: where the flow starts: ``default``, uniform (a wrapped normal where the volume
            is infinite); ``kernels``, a local kernel density of the training points, from
            which the velocity is followed as far as the validation points ask for.
        schedule: how the noise shrinks: ``linear``, or ``exponential``, which gives every scale of
            detail as much time as the others.
        smoothing: train on draws of the local kernels around the training points instead of
            the points themselves, so that no point becomes a spike.
        pooled: train on the mean of the targets of all points of the batch that may have led to
            a state: the same field, with less noise. It concerns velocities from the uniform
            noise of a sphere, a torus or so3; elsewhere a state has the target of its own point.
        network: size of the network.
        training: how long, how fast.
        out: folder of the model, its training state and its curves.
    """

    data: DataSettings
    method: Method = "velocity"
    prior: Prior = "default"
    schedule: Clock = "linear"
    smoothing: bool = False
    pooled: bool = True
    network: NetworkSettings = NetworkSettings()
    training: Annotated[TrainingSettings, starting_from(TRAINING)] = TrainingSettings(**TRAINING)
    out: Path

    @property
    def pools(self) -> bool:
        """Whether targets are pooled and can be."""
        uniform = self.prior == "default" and self.data.space.kind in POOLING
        return self.pooled and uniform and self.method == "velocity"

    @model_validator(mode="after")
    def _kernels_need_a_velocity(self) -> Self:
        if self.prior == "kernels" and self.method != "velocity":
            raise ValueError(
                f"expected method: velocity with prior: kernels, got {self.method}; a flow from "
                "near its end has no use for an endpoint"
            )
        return self

    @model_validator(mode="after")
    def _paths_on_a_mesh_are_linear(self) -> Self:
        if self.data.space.kind == "mesh" and self.schedule != "linear":
            raise ValueError(f"expected schedule: linear on a mesh, got {self.schedule}")
        return self


def settings_of_table(path: Path, kind: str, overrides: Sequence[str]) -> PointSettings:
    """Settings for a table alone: the defaults, some of them replaced.

    Raises:
        ValueError: as `seqflow.settings.load_settings` does.
    """
    content: dict[str, Any] = {
        "data": {"path": str(path), "space": {"kind": kind}},
        "out": f"runs/points/{path.name.split('.')[0]}",
    }
    return check_settings(PointSettings, override_settings(content, overrides), where="settings")


def space_of(kind: str, overrides: Sequence[str]) -> Space:
    """A space by its kind; words such as ``data.space.dim=3`` replace what it says by default.

    Raises:
        ValueError: an unknown or missing setting of that space.
    """
    content: dict[str, Any] = {"data": {"path": "-", "space": {"kind": kind}}, "out": "-"}
    content = override_settings(content, overrides)
    return check_settings(PointSettings, content, where="settings").data.space
