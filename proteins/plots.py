"""Pictures of backbones: Ramachandran plots and galleries of distance maps.

A Ramachandran plot shows (φ, ψ) of every residue over the map of real chains
(`ramachandran`); helices lie near (-60°, -45°), strands near (-120°, 130°), and what is of the
wrong hand on the right. A distance map shows the distances of all pairs of CA: helices are a
thick diagonal, parallel strands lines beside it, antiparallel ones lines across it; it is the
same for a mirror image.

Each function takes data and a path and writes one picture, whole or not at all, without pyplot.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from seqflow.plots import save_figure

from .compactness import ca_distances
from .ramachandran import FAVOURED, ramachandran_level, stored_levels
from .torsions import Torsions

DPI = 160
STYLE: dict[Any, Any] = {"font.size": 10, "axes.spines.top": False, "axes.spines.right": False}
BOX = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1.5}
COLUMNS = 4
ALLOWED = 0.98
MOST_POINTS = 20_000
"""Residues drawn in one plot, evenly taken from all."""

FARTHEST = 40.0  # Angstrom, where the colours of a distance map end


def plot_ramachandran(path: str | Path, panels: Mapping[str, Torsions]) -> None:
    """One Ramachandran plot for each set of chains, by title, over the map of real chains.

    The inner contour holds 90% of the residues of real chains, the outer 98%; what lies beyond
    the inner one is red. Raises ``ValueError`` for no panel.

    Args:
        path: where the picture goes.
        panels: torsion angles of any batch of chains.
    """
    _check_some(panels)
    columns = min(len(panels), COLUMNS)
    rows = -(-len(panels) // columns)
    with rc_context(STYLE):
        figure = Figure(figsize=(3.1 * columns + 0.4, 3.3 * rows + 0.2), layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
        for axis, (title, torsions) in zip(grid.flat, panels.items(), strict=False):
            _draw_angles(axis, torsions)
            axis.set_title(title, loc="left", fontsize=10)
        _hide_spare(grid, len(panels))
        for axis in grid[:, 0]:
            axis.set_ylabel("ψ (degrees)")
        figure.supxlabel("φ (degrees)", fontsize=10)
        save_figure(figure, path, dpi=DPI)


def plot_distance_maps(
    path: str | Path, chains: Mapping[str, Tensor], *, columns: int = COLUMNS
) -> None:
    """A gallery of CA distance maps of backbones ``(L, 4, 3)`` in Angstrom, by title.

    All maps have one scale of colours. Raises ``ValueError`` for no chain, one that is no
    backbone, or ``columns`` below one.
    """
    _check_some(chains)
    if columns < 1:
        raise ValueError(f"expected at least 1 column, got {columns}")
    for title, coords in chains.items():
        if coords.ndim != 3 or len(coords) == 0:
            raise ValueError(
                f"expected a backbone (L, 4, 3) for {title!r}, got {tuple(coords.shape)}"
            )
    columns = min(columns, len(chains))
    rows = -(-len(chains) // columns)
    with rc_context(STYLE):
        figure = Figure(figsize=(2.5 * columns + 0.9, 2.6 * rows + 0.3), layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False)
        for axis, (title, coords) in zip(grid.flat, chains.items(), strict=False):
            image = _draw_distances(axis, coords)
            axis.set_title(title, loc="left", fontsize=9)
        _hide_spare(grid, len(chains))
        bar = figure.colorbar(image, ax=grid, shrink=0.8, aspect=30, extend="max")
        bar.set_label("CA-CA distance (Å)")
        save_figure(figure, path, dpi=DPI)


def _draw_angles(axis: Axes, torsions: Torsions) -> None:
    both = torsions.phi.defined & torsions.psi.defined
    phi, psi = torsions.phi.value[both].cpu(), torsions.psi.value[both].cpu()
    every = max(-(-len(phi) // MOST_POINTS), 1)
    outside = ramachandran_level(phi, psi) > FAVOURED
    _draw_map(axis)
    size = 2.0 if len(phi) > 2000 else 5.0
    for chosen, colour in ((~outside, "#0072B2"), (outside, "#D55E00")):
        x, y = (angle[chosen][::every].rad2deg().tolist() for angle in (phi, psi))
        axis.scatter(x, y, s=size, color=colour, linewidths=0, alpha=0.6, rasterized=True)
    share = f"{100 * (1 - float(outside.double().mean())):.0f}%" if len(phi) else "no angle"
    axis.text(
        0.97, 0.03, share, transform=axis.transAxes, ha="right", va="bottom", fontsize=9, bbox=BOX
    )
    axis.set(xlim=(-180, 180), ylim=(-180, 180), aspect="equal")
    axis.set_xticks(range(-180, 181, 90))
    axis.set_yticks(range(-180, 181, 90))


def _draw_map(axis: Axes) -> None:
    """The regions that hold 90% and 98% of real residues."""
    levels = stored_levels()
    closed = torch.cat([levels, levels[:1]])
    closed = torch.cat([closed, closed[:, :1]], 1)
    ticks = [math.degrees(2 * math.pi * k / len(levels) - math.pi) for k in range(len(closed))]
    bounds, greys = [-1.0, FAVOURED, ALLOWED], ["#c9c9c9", "#ececec"]
    axis.contourf(ticks, ticks, closed.T.tolist(), levels=bounds, colors=greys)


def _draw_distances(axis: Axes, coords: Tensor) -> Any:
    distances = ca_distances(coords.detach().cpu())
    length = len(distances)
    axis.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axis.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    return axis.imshow(
        distances.tolist(),
        cmap="viridis_r",
        vmin=0,
        vmax=FARTHEST,
        interpolation="nearest",
        extent=(0.5, length + 0.5, length + 0.5, 0.5),
    )


def _check_some(panels: Mapping[str, object]) -> None:
    if not panels:
        raise ValueError("expected at least one panel to draw, got none")


def _hide_spare(grid: Any, used: int) -> None:
    for axis in grid.flat[used:]:
        axis.set_visible(False)
