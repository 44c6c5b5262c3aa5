"""One of the alternative locations of a residue, chosen as a whole.

Taking atom by atom what is occupied most can join half of one conformer to half of another. The
location with the highest sum of occupancies over N, CA, C and O is taken, the first in the file
on ties; an atom without that location gives its most occupied one. Where two different residues
share a place (a point mutation), their best locations compete in the same way.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .backbone import ATOMS


class Conformer(NamedTuple):
    """The backbone atoms of one residue.

    Attributes:
        name: of the residue, three letters.
        coordinates: float32 ``(4, 3)``, 0 where absent.
        present: bool ``(4,)``.
        occupancy: sum over the atoms.
    """

    name: str
    coordinates: NDArray[np.float32]
    present: NDArray[np.bool_]
    occupancy: float

    @property
    def is_complete(self) -> bool:
        """Whether N, CA and C are there."""
        return bool(self.present[:3].all())


def best_conformer(residue: Any) -> Conformer:
    """The backbone of a residue of Biopython's, in its most occupied form."""
    variants = residue.disordered_get_list() if residue.is_disordered() == 2 else [residue]
    # max keeps the first of equals.
    return max((_of_variant(one) for one in variants), key=lambda one: one.occupancy)


def _of_variant(residue: Any) -> Conformer:
    """The best location of one kind of residue."""
    places = [_places(residue, name) for name in ATOMS]
    names = dict.fromkeys(name for place in places for name in place)
    found = [_at(residue.resname.strip(), places, name) for name in names or ("",)]
    return max(found, key=lambda one: one.occupancy)


def _places(residue: Any, name: str) -> dict[str, Any]:
    """The atom at each of its locations."""
    if not residue.has_id(name):
        return {}
    atom = residue[name]
    # Not disordered_get_list: Biopython 1.88 sorts it by letter, and fails for names of two.
    atoms = atom.child_dict.values() if atom.is_disordered() == 2 else [atom]
    return {one.get_altloc(): one for one in atoms}


def _at(name: str, places: list[dict[str, Any]], location: str) -> Conformer:
    """The residue with the atoms of ``location``, and the best of others where it has none."""
    coordinates, present = np.zeros((4, 3), np.float32), np.zeros(4, bool)
    total = 0.0
    for i, place in enumerate(places):
        if not place:
            continue
        atom = place.get(location) or max(place.values(), key=_occupancy)
        coordinates[i] = atom.coord
        present[i] = np.isfinite(coordinates[i]).all()
        # An atom of another location does not speak for this one.
        total += _occupancy(atom) if location in place else 0.0
    coordinates[~present] = 0
    return Conformer(name, coordinates, present, total)


def _occupancy(atom: Any) -> float:
    """A missing occupancy is a full one."""
    value = atom.get_occupancy()
    return 1.0 if value is None else float(value)
