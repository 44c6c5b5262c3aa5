"""Numbers about a model and its samples: likelihood of held-out points, distance of samples."""

from __future__ import annotations

from collections.abc import Mapping
from functools import singledispatch
from pathlib import Path

from torch import Tensor

from geometry.manifold import Manifold
from geometry.mesh import Mesh

from ..likelihood.ode import log_likelihood
from ..solvers import Integrator
from .datasets import read_points, split_points
from .distances import squared_discrepancy, total_variation
from .generation import generate
from .latents import write_latents
from .models import PointModel, load_model
from .pictures import draw, model_density
from .settings import space_of


def negative_log_likelihood(
    model: PointModel, points: Tensor, integrator: Integrator | None = None
) -> float:
    """Mean of -log p(x) over ``points`` in nats, with respect to the Riemannian volume.

    Areas are those of the unit sphere, angles are in radians.

    Args:
        model: the model.
        points: ``(N, *point_shape)``.
        integrator: of the ODE; adaptive steps if None.
    """
    values = log_likelihood(
        model.process, model.network, points.float(), integrator=integrator, t_end=model.stop
    )
    return -float(values.mean())


def judge_model(
    name: str,
    path: str | Path,
    *,
    every: bool = False,
    num: int = 1000,
    seed: int = 0,
    picture: Path | None = None,
    latent: Path | None = None,
) -> dict[str, float]:
    """One row about the model ``name``: ``nll`` of points of ``path`` and ``mmd2`` of samples.

    Args:
        name: folder of the model.
        path: table of points, with the columns that it was trained on.
        every: judge by all points, not by the test part of the model's own split.
        num: samples to draw.
        seed: of the samples.
        picture: where to draw samples beside the points, if anywhere.
        latent: CSV file for the points and the noise that each comes from, if any.

    Raises:
        ValueError: a table that cannot be read as the model's points; latents on a mesh.
    """
    model = load_model(name)
    kept = model.spec.provenance
    read = read_points(
        path,
        model.spec.space,
        kept.get("columns"),
        deduplicate=bool(kept.get("deduplicate")) and not every,
    ).points
    held_out = read if every else split_points(read, int(kept.get("split_seed", 0))).test
    held_out = held_out.float()
    if latent:
        write_latents(latent, model, held_out)
    samples = generate(model, num, seed=seed)
    manifold = model.process.manifold
    row = {"points": float(len(held_out))} | likelihood(manifold, model, held_out)
    if picture:
        panels = {"held out": held_out, "samples": samples}
        draw(manifold, picture, panels, model_density(model))
    return row | distances(manifold, samples, held_out)


def judge_points(
    path: str | Path,
    reference: str | Path,
    kind: str | None,
    overrides: list[str],
    *,
    picture: Path | None = None,
) -> dict[str, float]:
    """``mmd2`` between the points of two tables of one kind.

    Raises:
        ValueError: no kind, or tables that cannot be read as such points.
    """
    if kind is None:
        raise ValueError("--reference compares points of one manifold: say which with --manifold")
    space = space_of(kind, overrides)
    points, real = (read_points(one, space).points.float() for one in (path, reference))
    if picture:
        draw(space.manifold(), picture, {"reference": real, "points": points})
    return {"points": float(len(points))} | distances(space.manifold(), points, real)


@singledispatch
def likelihood(manifold: Manifold, model: PointModel, points: Tensor) -> dict[str, float]:
    """``nll`` of points, where there is an exact one."""
    return {"nll": negative_log_likelihood(model, points)}


@likelihood.register
def _(manifold: Mesh, model: PointModel, points: Tensor) -> dict[str, float]:
    # The field jumps at edges, and what slides along a wall has no density.
    return {}


def discrepancies(manifold: Manifold, samples: Tensor, real: Tensor) -> dict[str, float]:
    """MMD^2 to real points and, to compare, of two halves of them."""
    half = len(real) // 2
    return {
        "mmd2": squared_discrepancy(manifold, samples, real),
        "mmd2 of halves": squared_discrepancy(manifold, real[:half], real[half:]),
    }


@singledispatch
def distances(manifold: Manifold, samples: Tensor, real: Tensor) -> dict[str, float]:
    """How far samples are from real points, in the numbers that suit the manifold."""
    return discrepancies(manifold, samples, real)


@distances.register
def _(manifold: Mesh, samples: Tensor, real: Tensor) -> dict[str, float]:
    """The same, and the total variation between cells of the surface."""
    half = len(real) // 2
    return {
        "tv": total_variation(manifold, samples, real),
        "tv of halves": total_variation(manifold, real[:half], real[half:]),
    } | discrepancies(manifold, samples, real)


def format_row(row: Mapping[str, float]) -> str:
    """A Markdown table of one row.

    Example:
        >>> print(format_row({"points": 10.0, "nll": 1.25}))
        | points | nll |
        | --- | --- |
        | 10 | 1.25 |
    """
    lines = [list(row), ["---"] * len(row), [f"{value:.5g}" for value in row.values()]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def format_csv(row: Mapping[str, float]) -> str:
    """A CSV file of one row."""
    return f"{','.join(row)}\n{','.join(f'{value:.9g}' for value in row.values())}\n"
