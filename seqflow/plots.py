"""Pictures that every domain needs. Needs matplotlib, which the domains' extras install."""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from .files import replacing


def save_figure(figure: Figure, path: str | Path, *, dpi: int) -> None:
    """Write a figure in the format of its suffix, without a display, by way of a temporary file.

    Raises:
        ValueError: for a suffix that matplotlib does not know, or a path that cannot be written.
    """
    FigureCanvasAgg(figure)
    with replacing(path) as temporary:
        try:
            figure.savefig(temporary, dpi=dpi)
        except ValueError as error:
            # matplotlib does not know the suffix.
            raise ValueError(f"cannot write {path}: {error}") from None


def plot_training(logs: Path, path: Path) -> None:
    """Draw every loss in ``logs/version_*/metrics.csv`` against the step, as a PNG."""
    curves = read_curves(logs)
    figure = Figure(figsize=(6, 3.5), layout="constrained")
    axes = figure.subplots()
    for name, points in sorted(curves.items()):
        steps = sorted(points)
        values = [points[step] for step in steps]
        axes.plot(steps, values, label=name.replace("_", " "), linewidth=1.2)
    axes.set(xlabel="step", ylabel="loss (nats)", title="Training")
    axes.spines[["top", "right"]].set_visible(False)
    if curves:
        axes.legend(frameon=False)
    save_figure(figure, path, dpi=150)


def read_curves(logs: Path) -> dict[str, dict[int, float]]:
    """Value by step of every column that ends in ``loss``; a later run replaces an earlier."""
    curves: dict[str, dict[int, float]] = defaultdict(dict)
    versions = sorted(logs.glob("version_*"), key=lambda folder: int(folder.name.split("_")[1]))
    for metrics in (version / "metrics.csv" for version in versions):
        if not metrics.is_file():  # a run that was stopped before its first line
            continue
        with metrics.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                for name, value in row.items():
                    if name.endswith("loss") and value:
                        curves[name][int(row["step"])] = float(value)
    return dict(curves)
