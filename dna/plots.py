"""Pictures: sequence logos, the guidance frontier, where motifs stand.

Each function takes data and a path and writes one picture (PNG, or what the suffix says), whole
or not at all. Figures are made without pyplot, so that nothing global changes and no screen is
needed. A logo stacks letters to the information of a column (Schneider and Stephens 1990,
Nucleic Acids Res. 18(20)): ``2 - H(p_j)`` bits, each letter as high as its share.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import logomaker
import pandas as pd  # type: ignore[import-untyped]  # stubs are a package of their own
import torch
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from seqflow.plots import save_figure

from .sequences import ALPHABET

# Okabe and Ito's colours, which colour-blind readers can tell apart.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
BASE_COLOURS = dict(zip(ALPHABET, ("#009E73", "#0072B2", "#E69F00", "#D55E00"), strict=True))
MARKERS = "sD^vPX"
GREY = "#666666"
DPI = 160
STYLE: dict[Any, Any] = {"font.size": 11, "axes.spines.top": False, "axes.spines.right": False}


class FrontierPoint(NamedTuple):
    """One guidance strength: success in 0..1 and Frechet distance."""

    gamma: float
    success: float
    distance: float


def information(counts: Tensor) -> Tensor:
    """Height of each letter in bits, ``(4, W)`` of counts ``(4, W)``.

    Example:
        >>> information(torch.tensor([[8, 1], [0, 1], [0, 1], [0, 1]]))[0]
        tensor([2., 0.], dtype=torch.float64)
    """
    p = counts.double() / counts.sum(0).clamp_min(1)
    bits = 2 + torch.special.xlogy(p, p).sum(0) / math.log(2)
    heights: Tensor = p * bits.clamp_min(0)
    return heights


def plot_logos(path: str | Path, panels: Mapping[str, Tensor], *, first: int = 1) -> None:
    """One sequence logo below the other, from counts ``(4, W)`` by title.

    ``first`` is the number of the first position. Raises ``ValueError`` for no panel or
    another shape.
    """
    if not panels:
        raise ValueError("expected at least one logo, got none")
    for title, counts in panels.items():
        if counts.ndim != 2 or counts.shape[0] != 4:
            raise ValueError(f"expected counts (4, W) for {title!r}, got {tuple(counts.shape)}")
    widest = max(counts.shape[1] for counts in panels.values())
    with rc_context(STYLE):
        size = (min(max(0.34 * widest, 5.0), 16.0), 1.9 * len(panels))
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots(len(panels), 1, squeeze=False)[:, 0]
        for axis, (title, counts) in zip(axes, panels.items(), strict=True):
            _draw_logo(axis, counts, first)
            axis.set_title(title, loc="left", fontsize=11)
        axes[-1].set_xlabel("position")
        save_figure(figure, path, dpi=DPI)


def plot_frontier(
    path: str | Path,
    curves: Mapping[str, Sequence[FrontierPoint]],
    *,
    references: Mapping[str, Mapping[str, tuple[float, float]]] | None = None,
    title: str = "What guidance buys and costs",
) -> None:
    """Success against Frechet distance, one line a class, its guidance strengths written.

    ``references`` gives other samples, real ones among them, as
    ``{name: {class: (success, distance)}}``. Up and left is better; the distance is on a
    logarithmic scale. Raises ``ValueError`` for no curve or a distance that is not positive.
    """
    references = references or {}
    distances = [p.distance for points in curves.values() for p in points]
    distances += [d for row in references.values() for _, d in row.values()]
    if not curves or not all(d > 0 for d in distances):
        raise ValueError(f"expected at least one curve of positive distances, got {distances}")
    colours = dict(zip(curves, COLOURS * len(curves), strict=False))
    with rc_context(STYLE):
        figure = Figure(figsize=(7.2, 4.8), layout="constrained")
        axis = figure.subplots()
        for i, (label, points) in enumerate(curves.items()):
            _draw_curve(axis, label, points, colours[label], above=i % 2 == 0)
        for (name, row), marker in zip(
            references.items(), MARKERS * len(references), strict=False
        ):
            _draw_reference(axis, name, row, marker, colours)
        axis.set_xscale("log")
        axis.xaxis.set_major_formatter("{x:g}")
        axis.margins(0.08)
        axis.set_xlabel("Frechet distance to held-out sequences (log scale, left is better)")
        axis.set_ylabel("judged to be of the wanted class")
        axis.set_title(title, loc="left")
        axis.grid(alpha=0.25, linewidth=0.6)
        axis.legend(
            title="numbers: guidance",
            title_fontsize=9.5,
            frameon=False,
            loc="center left",
            bbox_to_anchor=(1.0, 0.5),
        )
        save_figure(figure, path, dpi=DPI)


def plot_profiles(
    path: str | Path, profiles: Mapping[str, Tensor], *, title: str = "Where the motif starts"
) -> None:
    """Fraction of sequences with a hit at each start, ``(positions,)`` by name.

    Raises ``ValueError`` for no profile.
    """
    if not profiles:
        raise ValueError("expected at least one profile, got none")
    with rc_context(STYLE):
        figure = Figure(figsize=(7.2, 3.4), layout="constrained")
        axis = figure.subplots()
        colours = COLOURS * len(profiles)
        for (name, profile), colour in zip(profiles.items(), colours, strict=False):
            heights = (100 * profile).tolist()
            starts = range(1, len(heights) + 1)
            axis.step(starts, heights, where="mid", color=colour, label=name, linewidth=1.6)
        axis.set_ylim(bottom=0)
        axis.set_xlabel("first position of the motif")
        axis.set_ylabel("sequences (%)")
        axis.set_title(title, loc="left")
        axis.legend(frameon=False)
        save_figure(figure, path, dpi=DPI)


def _draw_logo(axis: Axes, counts: Tensor, first: int) -> None:
    frame = pd.DataFrame(information(counts).T.cpu().numpy(), columns=list(ALPHABET))
    frame.index = frame.index + first
    logomaker.Logo(frame, ax=axis, color_scheme=BASE_COLOURS, show_spines=None)
    axis.set_ylim(0, 2)
    axis.set_yticks([0, 1, 2])
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.set_ylabel("bits")


def _draw_curve(
    axis: Axes, label: str, points: Sequence[FrontierPoint], colour: str, *, above: bool
) -> None:
    ordered = sorted(points)
    x, y = [p.distance for p in ordered], [p.success for p in ordered]
    axis.plot(x, y, "-o", color=colour, label=label, linewidth=1.8, markersize=5)
    for point in ordered:
        axis.annotate(
            f"{point.gamma:g}",
            (point.distance, point.success),
            xytext=(0, 7 if above else -15),
            horizontalalignment="center",
            textcoords="offset points",
            color=colour,
            fontsize=9,
        )


def _draw_reference(
    axis: Axes,
    name: str,
    row: Mapping[str, tuple[float, float]],
    marker: str,
    colours: Mapping[str, str],
) -> None:
    for label, (success, distance) in row.items():
        colour = colours.get(label, GREY)
        axis.plot(distance, success, marker, color=colour, markersize=8, markerfacecolor="white")
    axis.plot([], [], marker, color=GREY, markersize=8, markerfacecolor="white", label=name)
