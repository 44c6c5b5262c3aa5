r"""The Ramachandran map: which φ and ψ real residues have.

The density of (φ, ψ) on the torus is estimated with a von Mises kernel of concentration κ,

    p(φ, ψ) ∝ sum_i exp(κ cos(φ - φ_i) + κ cos(ψ - ψ_i)),

on a grid of 5 degrees (`estimate_levels`; a convolution, by FFT). What is stored is not the
density but its **level**: the share of the residues themselves that lie where it is higher.
Level 0 is the peak of the α region, level 1 empty land, and {level <= 0.9} the smallest region
that holds 90% of the residues. All residue types share one map (a backbone model
names none), so what only glycine favours counts as rare.

The map in ``proteins/tables`` was made by ``benchmarks/ramachandran_map.py`` from real chains; its
metadata say which and how many.
"""

from __future__ import annotations

import functools
import math
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from .measurement import Measurement, masked_mean
from .torsions import Torsions

MAP = Path(__file__).parent / "tables" / "ramachandran.safetensors"
FAVOURED = 0.9
"""The level up to which a residue is favoured: 90% of residues in real chains are."""

CELLS = 72  # of 5 degrees
CONCENTRATION = 60.0  # κ: a standard deviation of 7.4 degrees


def ramachandran_level(phi: Tensor, psi: Tensor, levels: Tensor | None = None) -> Tensor:
    """Level of angles in radians ``(...)``: share of real residues in denser places, in [0, 1].

    Bilinear between the points of the map ``levels`` ``(K, K)`` (the stored one, if not
    given), periodic, differentiable almost everywhere.

    Example:
        >>> phi, psi = torch.tensor([[-62.0, 60.0], [-42.0, -120.0]]).deg2rad()
        >>> ramachandran_level(phi, psi) < 0.95  # a helix, and where hardly anything is
        tensor([ True, False])
    """
    table = (stored_levels() if levels is None else levels).to(phi)
    size = table.shape[0]
    x, y = ((angle + math.pi) * (size / (2 * math.pi)) for angle in (phi, psi))
    i, j = x.floor(), y.floor()
    u, v = x - i, y - j
    i0, j0 = i.long() % size, j.long() % size
    i1, j1 = (i0 + 1) % size, (j0 + 1) % size
    low = table[i0, j0] * (1 - v) + table[i0, j1] * v
    high = table[i1, j0] * (1 - v) + table[i1, j1] * v
    level: Tensor = low * (1 - u) + high * u
    return level


def favoured_share(torsions: Torsions, *, level: float = FAVOURED) -> Tensor:
    """Share of residues with both angles that are in the favoured region, ``(...)``.

    Zero where no residue has both: a chain without torsion angles shows nothing right.
    """
    phi, psi = torsions.phi, torsions.psi
    inside = ramachandran_level(phi.value, psi.value) <= level
    return masked_mean(inside.to(phi.value.dtype), phi.defined & psi.defined)


def left_handed_share(phi: Measurement) -> Tensor:
    """Share of residues with φ in (0, π), ``(...)``: some 6% in real chains, 94% in mirror images.

    Zero where no φ is defined.
    """
    return masked_mean((phi.value > 0).to(phi.value.dtype), phi.defined)


def estimate_levels(
    phi: Tensor, psi: Tensor, *, cells: int = CELLS, concentration: float = CONCENTRATION
) -> Tensor:
    """The map of levels, float32 ``(cells, cells)``, of angles ``(n,)`` in radians.

    Entry (i, j) belongs to φ = 2π i / cells - π, ψ = 2π j / cells - π. Each angle is shared
    between the nearest grid points in proportion, which widens the kernel by a sixth of a
    cell at most.

    Raises:
        ValueError: for no angle.
    """
    if phi.shape != psi.shape or phi.ndim != 1 or len(phi) == 0:
        raise ValueError(
            f"expected as many φ as ψ, at least one, got {tuple(phi.shape)} and {tuple(psi.shape)}"
        )
    mass = _histogram(phi.double(), psi.double(), cells)
    offset = torch.arange(cells, dtype=torch.float64) * (2 * math.pi / cells)
    kernel = (concentration * (offset.cos() - 1)).exp()
    spectrum = torch.fft.fft2(kernel[:, None] * kernel)
    density = torch.fft.ifft2(torch.fft.fft2(mass) * spectrum).real.flatten()
    order = density.argsort(descending=True)
    # Real residues are counted, not the kernel's mass, which lies a little farther out.
    shares = (mass / mass.sum()).flatten()[order]
    levels = torch.empty_like(density)
    levels[order] = shares.cumsum(0) - shares / 2
    return levels.reshape(cells, cells).float()


@functools.cache
def stored_levels() -> Tensor:
    """The map that comes with the package, float32 ``(72, 72)``."""
    return load_file(MAP)["levels"]


def _histogram(phi: Tensor, psi: Tensor, cells: int) -> Tensor:
    """Mass on the grid ``(cells, cells)``, each point split bilinearly."""
    mass = torch.zeros(cells * cells, dtype=phi.dtype)
    x, y = ((angle + math.pi) * (cells / (2 * math.pi)) for angle in (phi, psi))
    i, j = x.floor(), y.floor()
    for along_phi in (0, 1):
        for along_psi in (0, 1):
            share = (1 - (x - i - along_phi).abs()) * (1 - (y - j - along_psi).abs())
            place = ((i.long() + along_phi) % cells) * cells + (j.long() + along_psi) % cells
            mass.index_add_(0, place, share)
    return mass.reshape(cells, cells)
