"""The files that show a set of backbones: table, pictures and the page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from .backbone import Backbone
from .evaluation import Row, bonded, write_rows
from .measurement import Measurement
from .plots import plot_distance_maps, plot_ramachandran
from .torsions import Torsions, backbone_torsions
from .viewer import Scene, write_page

MOST_MAPS, MOST_SCENES = 16, 64
"""What a gallery and a page can show; the table has all."""


def make_folder(folder: Path) -> None:
    """The folder, made if need be; raises ``ValueError`` if it cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"cannot write to {folder}: {error.strerror}") from None


def write_report(folder: Path, backbones: Sequence[Backbone], rows: Sequence[Row]) -> None:
    """``metrics.csv``, ``ramachandran.png``, ``distance_maps.png`` and ``backbones.html``."""
    make_folder(folder)
    write_rows(folder / "metrics.csv", rows)
    title = f"{len(backbones)} backbones"
    plot_ramachandran(folder / "ramachandran.png", {title: all_torsions(backbones)})
    maps = {f"{one.name} ({len(one)})": one.coordinates for one in backbones[:MOST_MAPS]}
    plot_distance_maps(folder / "distance_maps.png", maps)
    scenes = [
        Scene(one.name, one.coordinates, one.atom_mask, _numbers(row))
        for one, row in zip(backbones[:MOST_SCENES], rows, strict=False)
    ]
    write_page(folder / "backbones.html", scenes, title=title)


def all_torsions(backbones: Sequence[Backbone]) -> Torsions:
    """The torsion angles of all chains, end to end."""
    each = [backbone_torsions(one.coordinates, one.atom_mask, bonded(one)) for one in backbones]
    angles = (zip(*one, strict=True) for one in zip(*each, strict=True))
    return Torsions(*(Measurement(torch.cat(a), torch.cat(b)) for a, b in angles))


def _numbers(row: Row) -> dict[str, float]:
    return {name: value for name, value in row.items() if isinstance(value, int | float)}
