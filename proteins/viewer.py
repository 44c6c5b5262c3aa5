"""One HTML file that shows backbones in three dimensions, in any browser, with no network.

The page holds everything: the coordinates as PDB text, a table of numbers, and the viewer 3Dmol.js
(BSD-3-Clause, ``proteins/vendor``) with its licence. Its content security policy forbids the
browser to fetch anything else, so the page works the same offline and in twenty years, and tells
nobody that it was opened. Without WebGL the numbers remain.
"""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from string import Template

import torch
from torch import Tensor

from seqflow.files import replacing

from .atom_masks import read_atoms

VENDOR = Path(__file__).parent / "vendor"
PAGE = Path(__file__).parent / "viewer.html"
ATOM_NAMES = ("N", "CA", "C", "O")
LARGEST = 999.0  # Angstrom: PDB text has room for eight characters


@dataclass(frozen=True, eq=False)
class Scene:
    """One backbone of a page: its name, coordinates ``(L, 4, 3)`` and numbers to show.

    Attributes:
        name: heading of the entry.
        coords: N, CA, C, O in Angstrom, any dtype.
        mask: residues ``(L,)`` or atoms ``(L, 4)`` that are there; all, if not given.
        values: numbers by name; NaN is shown as a dash.
    """

    name: str
    coords: Tensor
    mask: Tensor | None = None
    values: Mapping[str, float] = field(default_factory=dict)


def write_page(path: str | Path, scenes: Sequence[Scene], *, title: str = "Backbones") -> None:
    """Write a page that shows these backbones, whole or not at all.

    Raises:
        ValueError: for no backbone, coordinates of another shape or too large for the format,
            and a path that cannot be written.
    """
    if not scenes:
        raise ValueError("expected at least one backbone to show, got none")
    entries = [
        {"name": scene.name, "pdb": pdb_text(scene), "values": _clean(scene.values)}
        for scene in scenes
    ]
    # A script ends at the first "</", wherever it stands.
    data = json.dumps(entries, ensure_ascii=True, allow_nan=False).replace("<", "\\u003c")
    page = Template(PAGE.read_text(encoding="utf-8")).substitute(
        title=html.escape(title),
        licence=html.escape((VENDOR / "3Dmol-LICENSE").read_text(encoding="utf-8")),
        viewer=(VENDOR / "3Dmol-min.js").read_text(encoding="utf-8"),
        data=data,
    )
    with replacing(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def pdb_text(scene: Scene) -> str:
    """The atoms that are there, centred, as PDB records of alanines in one chain.

    Raises:
        ValueError: for atoms farther than 999 Angstrom from their mean, or another shape.
    """
    if scene.coords.ndim != 3:
        raise ValueError(
            f"expected one backbone (L, 4, 3) for {scene.name!r}, got {tuple(scene.coords.shape)}"
        )
    coords, present = read_atoms(scene.coords.detach().cpu().double(), scene.mask)
    where = present.nonzero()
    points = coords[present]
    points = points - points.mean(0) if len(points) else points
    if bool((points.abs() > LARGEST).any()):
        raise ValueError(
            f"expected atoms within {LARGEST:g} Angstrom of their mean in {scene.name!r}, "
            f"got one {float(points.abs().max()):.4g} away"
        )
    lines = [
        f"ATOM  {k % 100000:5d}  {ATOM_NAMES[atom]:<3} ALA A{residue % 10000:4d}    "
        f"{x:8.3f}{y:8.3f}{z:8.3f}  1.00  0.00           {ATOM_NAMES[atom][0]}"
        for k, ((i, atom), (x, y, z)) in enumerate(
            zip(where.tolist(), points.tolist(), strict=True), 1
        )
        for residue in (i + 1,)
    ]
    return "\n".join([*lines, "TER", "END", ""])


def _clean(values: Mapping[str, float]) -> dict[str, float | None]:
    """Numbers that JSON knows; what is not finite becomes null."""
    numbers = {name: float(value) for name, value in values.items()}
    return {n: x if torch.tensor(x).isfinite() else None for n, x in numbers.items()}
