"""Does a backbone look like one that nature makes? A composite of simple measures.

`backbone_plausibility` passes a chain if every component lies within its limits. Each
component sees what others miss: bonds tell noise, the sign of φ tells mirror images (which
hydrogen bonds, distances and even sequence-design networks do not), the Ramachandran map tells
hinges, clashes and the radius of gyration tell wrong folds of right pieces, secondary structure
tells shapeless coils. The limits were set on real chains of 40 to 100 residues and on
decoys, and tested on chains of other families: ``docs/results/plausibility.md``.

What it cannot say: that some sequence folds into the backbone. It needs no sequence and no folding
model, and no number of it compares with a published designability.

A further component, such as the entropy of an inverse-folding model, is one more `Component`:

    gate = (*GATE, Component("mpnn_entropy", entropy, high=2.35, meaning="nats a residue"))
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from .atom_masks import CA, C, N, read_atoms
from .backbone_geometry import IDEAL_LENGTHS, bond_lengths
from .compactness import backbone_clashes, ca_clashes, gyration_ratio
from .measurement import Measurement, masked_mean
from .ramachandran import favoured_share, left_handed_share
from .secondary_structure import structure_fractions
from .torsions import backbone_torsions

Measure = Callable[[Tensor, Tensor | None, Tensor | None], Tensor]
"""Coordinates ``(..., L, 4, 3)``, mask and linked to one number a chain, ``(...)``."""

CA_CA_TOLERANCE, C_N_TOLERANCE = 0.2, 0.1  # Angstrom


@dataclass(frozen=True)
class Component:
    """One measure of a chain and the limits, both included, within which it is plausible."""

    name: str
    measure: Measure
    low: float = -math.inf
    high: float = math.inf
    meaning: str = ""

    def within(self, value: Tensor) -> Tensor:
        """Whether values are within the limits; a NaN is not."""
        return (value >= self.low) & (value <= self.high)


class Plausibility(NamedTuple):
    """What the gate says of chains.

    Attributes:
        passed: bool ``(...)``, all components within their limits.
        values: each component's value ``(...)``, by name.
        within: whether it is within its limits, bool ``(...)``, by name.
    """

    passed: Tensor
    values: dict[str, Tensor]
    within: dict[str, Tensor]


def complete_share(coords: Tensor, mask: Tensor | None, linked: Tensor | None) -> Tensor:
    """Share of residues with N, CA and C among those with any atom; zero if there is none."""
    present = read_atoms(coords, mask).present
    whole = present[..., N] & present[..., CA] & present[..., C]
    return masked_mean(whole.to(coords.dtype), present.any(-1))


def ca_ca_share(coords: Tensor, mask: Tensor | None, linked: Tensor | None) -> Tensor:
    """Share of neighbouring CA 3.8 ± 0.2 Angstrom apart; 1 if there are none."""
    return _share(bond_lengths(coords, mask, linked).ca_ca, "ca_ca", CA_CA_TOLERANCE)


def c_n_share(coords: Tensor, mask: Tensor | None, linked: Tensor | None) -> Tensor:
    """Share of peptide bonds of 1.33 ± 0.1 Angstrom; 1 if there are none."""
    return _share(bond_lengths(coords, mask, linked).c_n, "c_n", C_N_TOLERANCE)


def structured_share(coords: Tensor, mask: Tensor | None, linked: Tensor | None) -> Tensor:
    """Share of residues in helix or strand."""
    return structure_fractions(coords, mask, linked)[..., 1:].sum(-1)


GATE: tuple[Component, ...] = (
    Component("complete", complete_share, low=0.95, meaning="residues with N, CA and C"),
    Component("ca_ca", ca_ca_share, low=0.95, meaning="CA-CA of 3.8 ± 0.2 Angstrom"),
    Component("c_n", c_n_share, low=0.95, meaning="C-N of 1.33 ± 0.1 Angstrom"),
    Component(
        "ca_clashes",
        lambda coords, mask, _: ca_clashes(coords, mask).to(coords.dtype),
        high=1,
        meaning="CA pairs, three residues apart or more, below 3 Angstrom",
    ),
    Component(
        "backbone_clashes",
        lambda coords, mask, _: backbone_clashes(coords, mask).to(coords.dtype),
        high=2,
        meaning="atom pairs, two residues apart or more, below 2.4 Angstrom",
    ),
    Component(
        "favoured",
        lambda *backbone: favoured_share(backbone_torsions(*backbone)),
        low=0.75,
        meaning="residues where 90% of real ones are in the Ramachandran map",
    ),
    Component(
        "left_handed",
        lambda *backbone: left_handed_share(backbone_torsions(*backbone).phi),
        high=0.2,
        meaning="residues with φ > 0",
    ),
    Component(
        "gyration",
        lambda coords, mask, _: gyration_ratio(coords, mask),
        low=0.8,
        high=1.8,
        meaning="Rg / (2.2 L^0.38)",
    ),
    Component("structured", structured_share, low=0.25, meaning="residues in helix or strand"),
)
"""The components and the limits set on real chains of 40 to 100 residues."""


def backbone_plausibility(
    coords: Tensor,
    mask: Tensor | None = None,
    linked: Tensor | None = None,
    *,
    gate: Sequence[Component] = GATE,
) -> Plausibility:
    """Whether backbones pass the gate, with every component's value.

    Args:
        coords: N, CA, C, O in Angstrom, ``(..., L, 4, 3)``.
        mask: residues ``(..., L)`` or atoms ``(..., L, 4)`` that are there.
        linked: residues linked to the next, ``(..., L)``, as `Backbone.linked` says.
        gate: the components; their names must differ.

    Raises:
        ValueError: as `atom_masks.read_atoms` does, and for an empty gate or a name that
            comes twice.

    Example:
        >>> from proteins.decoys import ideal_helix
        >>> verdict = backbone_plausibility(ideal_helix(60))
        >>> [name for name, within in verdict.within.items() if not within]
        ['gyration']
    """
    names = [component.name for component in gate]
    if not names or len(set(names)) < len(names):
        raise ValueError(f"expected components of different names, at least one, got {names}")
    values = {each.name: each.measure(coords, mask, linked) for each in gate}
    within = {each.name: each.within(values[each.name]) for each in gate}
    return Plausibility(torch.stack(list(within.values())).all(0), values, within)


def _share(lengths: Measurement, name: str, tolerance: float) -> Tensor:
    ideal = IDEAL_LENGTHS[name]
    return lengths.share_within(ideal - tolerance, ideal + tolerance)
