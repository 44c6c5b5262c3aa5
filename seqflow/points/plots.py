"""Pictures: the globe, panels of pairs of angles, a mesh; density below, points on top.

Each function takes points and a path and writes one picture (PNG, or what the suffix says),
whole or not at all. Figures are made without pyplot, so that no screen is needed. The globe is
Mollweide's equal-area projection, in which a density per steradian looks as it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from torch import Tensor

from geometry.mesh import Mesh
from geometry.torus import FlatTorus

from ..plots import save_figure

Density = Callable[[Tensor], Tensor]
"""Points ``(N, *point_shape)`` to log densities ``(N,)``."""

DPI = 100
MOST_PANELS = 6
MOST_DOTS = 2000
"""Points drawn over a density, which they would hide."""
STYLE: dict[Any, Any] = {"font.size": 10, "axes.titlesize": 11}
COLOURS = "magma"
DOTS = "#3fd8ff"  # a colour that the map below lacks
SPAN = 8.0
"""Nats of log density that the colours show below the 99.9th percentile."""


def plot_globe(
    path: str | Path,
    panels: Mapping[str, Tensor],
    log_density: Density | None = None,
    *,
    columns: int = 120,
) -> None:
    """Unit vectors ``(N, 3)`` by title, one globe below the other, over one log density.

    Raises ``ValueError`` for no panel.
    """
    _check(panels)
    with rc_context(STYLE):
        figure = Figure(figsize=(8, 4.3 * len(panels)), layout="constrained")
        axes = figure.subplots(
            len(panels), 1, squeeze=False, subplot_kw={"projection": "mollweide"}
        )[:, 0]
        grid = None if log_density is None else _globe_grid(log_density, columns)
        for axis, (title, x) in zip(axes, panels.items(), strict=True):
            _draw_globe(axis, x[:MOST_DOTS], grid)
            axis.set_title(_heading(title, x), pad=14)
        if grid is not None:
            _add_colours(figure, axes, grid[2], "log density (nats per steradian)")
        save_figure(figure, path, dpi=DPI)


def plot_angles(
    path: str | Path,
    panels: Mapping[str, Tensor],
    log_density: Density | None = None,
    *,
    columns: int = 60,
) -> None:
    """Angles ``(N, d)`` by title, a row each, as in a Ramachandran plot; -180 to 180 degrees.

    Each panel shows a pair of neighbouring angles. The density is drawn for d = 2; for more
    angles the panels show histograms. Raises ``ValueError`` for no panel.
    """
    _check(panels)
    d = next(iter(panels.values())).shape[-1]
    pairs = list(combinations(range(d), 2)) if d <= 3 else [(i, i + 1) for i in range(d - 1)]
    pairs = pairs[:MOST_PANELS] or [(0, 0)]
    grid = _angle_grid(log_density, columns) if d == 2 and log_density else None
    with rc_context(STYLE):
        size = (3.1 * len(pairs) + 1.8, 3.2 * len(panels))
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots(len(panels), len(pairs), squeeze=False)
        for row, (title, x) in zip(axes, panels.items(), strict=True):
            for axis, (i, j) in zip(row, pairs, strict=True):
                shown = x if grid is None else x[:MOST_DOTS]
                _draw_angles(axis, shown[:, [i, j]], grid)
                axis.set(xlabel=f"angle {i + 1}", ylabel=f"angle {j + 1}")
            heading = f"{title} ({len(x)} points)" if grid is None else _heading(title, x)
            row[0].set_title(heading, loc="left")
        if grid is not None:
            _add_colours(figure, axes, grid[2], "log density (nats per square radian)")
        save_figure(figure, path, dpi=DPI)


def plot_mesh(path: str | Path, mesh: Mesh, panels: Mapping[str, Tensor]) -> None:
    """Points ``(N, 3)`` by title on a grey surface, side by side.

    Raises ``ValueError`` for no panel.
    """
    _check(panels)
    with rc_context(STYLE):
        figure = Figure(figsize=(4.5 * len(panels), 4.5), layout="constrained")
        axes = figure.subplots(1, len(panels), squeeze=False, subplot_kw={"projection": "3d"})[0]
        x, y, z = mesh.vertices.cpu().numpy().T
        for axis, (title, points) in zip(axes, panels.items(), strict=True):
            axis.plot_trisurf(
                x, y, z, triangles=mesh.faces.cpu().numpy(), color="#cccccc", alpha=0.45
            )
            axis.scatter(*points.double().numpy().T, s=3, color="#D55E00", depthshade=False)
            extent = np.ptp([x, y, z], axis=1)
            axis.set_box_aspect(extent + 1e-9, zoom=1.2)
            if extent[2] < 1e-6 * extent.max():  # a plane, such as a maze, is seen from above
                axis.set_proj_type("ortho")
                axis.view_init(90, -90)
            axis.set_axis_off()
            axis.set_title(f"{title} ({len(points)} points)")
        save_figure(figure, path, dpi=DPI)


def plot_coordinates(path: str | Path, panels: Mapping[str, Tensor]) -> None:
    """The first two coordinates of points ``(N, n)`` by title, side by side."""
    _check(panels)
    with rc_context(STYLE):
        figure = Figure(figsize=(4.2 * len(panels), 4.2), layout="constrained")
        axes = figure.subplots(1, len(panels), squeeze=False, sharex=True, sharey=True)[0]
        for axis, (title, x) in zip(axes, panels.items(), strict=True):
            flat = x[:, :2].double().numpy()
            axis.scatter(flat[:, 0], flat[:, 1], s=4, color="#0072B2", linewidths=0)
            axis.set_aspect("equal")
            axis.set_title(f"{title} ({len(x)} points)")
        save_figure(figure, path, dpi=DPI)


Grid = tuple[Any, Any, Any]
"""Edges of cells along both axes, and the log density of each cell."""


def _globe_grid(log_density: Density, columns: int) -> Grid:
    """Cells of equal angles, the density at their middles."""
    longitude = torch.linspace(-math.pi, math.pi, columns + 1, dtype=torch.float64)
    latitude = torch.linspace(-math.pi / 2, math.pi / 2, columns // 2 + 1, dtype=torch.float64)
    lat, lon = torch.meshgrid(
        (latitude[1:] + latitude[:-1]) / 2, (longitude[1:] + longitude[:-1]) / 2, indexing="ij"
    )
    x = torch.stack([lat.cos() * lon.cos(), lat.cos() * lon.sin(), lat.sin()], -1)
    value = log_density(x.reshape(-1, 3).float()).reshape(lat.shape)
    return longitude.numpy(), latitude.numpy(), value.detach().numpy()


def _angle_grid(log_density: Density, columns: int) -> Grid:
    """Cells of the square, in degrees; rows are the second angle."""
    edges = torch.linspace(-180, 180, columns + 1)
    middle = ((edges[1:] + edges[:-1]) / 2).deg2rad()
    second, first = torch.meshgrid(middle, middle, indexing="ij")
    x = FlatTorus(2).projx(torch.stack([first, second], -1).reshape(-1, 2))
    value = log_density(x).reshape(first.shape)
    return edges.numpy(), edges.numpy(), value.detach().numpy()


def _draw_globe(axis: Any, x: Tensor, grid: Grid | None) -> None:
    lat = torch.atan2(x[:, 2], torch.hypot(x[:, 0], x[:, 1])).numpy()
    lon = torch.atan2(x[:, 1], x[:, 0]).numpy()
    if grid is not None:
        axis.pcolormesh(*grid, cmap=COLOURS, rasterized=True, norm=_limits(grid[2]))
    colour = "#0072B2" if grid is None else DOTS
    axis.scatter(lon, lat, s=2.5, color=colour, linewidths=0, alpha=0.7, zorder=3)
    axis.set_xticks(np.radians([-120, -60, 0, 60, 120]))
    axis.set_yticks(np.radians([-60, -30, 0, 30, 60]))
    axis.tick_params(labelbottom=False, labelsize=8)
    axis.grid(alpha=0.25, linewidth=0.5)


def _draw_angles(axis: Axes, x: Tensor, grid: Grid | None) -> None:
    degrees = (torch.remainder(x + math.pi, 2 * math.pi) - math.pi).rad2deg().numpy()
    first, second = degrees[:, 0], degrees[:, 1]
    if grid is not None:
        axis.pcolormesh(*grid, cmap=COLOURS, rasterized=True, norm=_limits(grid[2]))
        axis.scatter(first, second, s=2.5, color=DOTS, linewidths=0, alpha=0.7)
    else:
        edges = np.linspace(-180, 180, 61)
        counts, _, _ = np.histogram2d(first, second, bins=[edges, edges])
        axis.pcolormesh(edges, edges, np.log1p(counts.T), cmap=COLOURS, rasterized=True)
    axis.set(xlim=(-180, 180), ylim=(-180, 180), aspect="equal")
    axis.set_xticks([-180, -90, 0, 90, 180])
    axis.set_yticks([-180, -90, 0, 90, 180])


def _heading(title: str, x: Tensor) -> str:
    """How many points there are, and how many are drawn if not all."""
    shown = f"{MOST_DOTS} of " if len(x) > MOST_DOTS else ""
    return f"{title} ({shown}{len(x)} points)"


def _limits(value: Any) -> Normalize:
    """Colours end where all but one cell in a thousand lie below, and span eight nats."""
    top = float(np.quantile(value, 0.999))
    return Normalize(top - SPAN, top)


def _add_colours(figure: Figure, axes: Any, value: Any, label: str) -> None:
    scale = ScalarMappable(_limits(value), COLOURS)
    figure.colorbar(scale, ax=list(np.ravel(axes)), label=label, shrink=0.7, extend="both")


def _check(panels: Mapping[str, Tensor]) -> None:
    if not panels:
        raise ValueError("expected points to draw, got no panel")
