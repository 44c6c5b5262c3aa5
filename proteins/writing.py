"""Backbones to PDB and mmCIF files, through Biopython's writers.

The suffix chooses the format: ``.pdb`` or ``.ent``, ``.cif`` or ``.mmcif``, each with ``.gz`` too.
A PDB line has room for coordinates from -999.999 to 9999.999 with three decimals, residue numbers
from -999 to 9999, chain names of one letter and 99,999 atoms; what does not fit is refused, as
mmCIF holds it. Absent atoms are not written. A file appears when it is complete.
"""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import Any

from Bio.PDB.mmcifio import MMCIFIO
from Bio.PDB.PDBIO import PDBIO
from Bio.PDB.StructureBuilder import StructureBuilder
from torch import Tensor

from seqflow.files import replacing

from .backbone import ATOMS, Backbone
from .residues import residue_name

_builder: Any = StructureBuilder  # Biopython is not annotated.
_FORMATS: dict[str, Any] = {".pdb": PDBIO, ".ent": PDBIO, ".cif": MMCIFIO, ".mmcif": MMCIFIO}


def write_structure(path: str | Path, *backbones: Backbone) -> None:
    """Write the chains of one or several backbones, in order, as one model.

    Chains of different backbones need different names (``chain_ids``).

    Raises:
        ValueError: for a suffix that is no format's, nothing to write, two chains of one name,
            coordinates that are not finite or do not fit, and a path that cannot be written.

    Example:
        >>> import tempfile
        >>> one = Backbone.from_coordinates(torch.ones(1, 4, 3))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "a.pdb"
        ...     write_structure(path, one)
        ...     print(path.read_text()[:54])
        ATOM      1  N   GLY A   1       1.000   1.000   1.000
    """
    text = format_structure(structure_format(path), *backbones)
    data = text.encode()
    with replacing(path) as temporary:
        # No time stamp, so that equal structures make equal files.
        temporary.write_bytes(
            gzip.compress(data, 6, mtime=0) if Path(path).suffix == ".gz" else data
        )


def structure_format(path: str | Path) -> str:
    """The suffix that says the format, in lower case; raises ``ValueError`` for another one.

    Example:
        >>> structure_format("model.CIF"), structure_format("model.pdb.gz")
        ('.cif', '.pdb')
    """
    path = Path(path)
    plain = path.with_suffix("") if path.suffix == ".gz" else path
    suffix = plain.suffix.lower()
    if suffix not in _FORMATS:
        known = ", ".join(_FORMATS)
        raise ValueError(f"cannot write {path}: expected a name that ends in {known} (or .gz)")
    return suffix


def format_structure(suffix: str, *backbones: Backbone) -> str:
    """The text that `write_structure` writes, in the format of a suffix such as ``.pdb``."""
    _check(backbones)
    if _FORMATS[suffix] is PDBIO:
        _check_columns(backbones)
    output = _FORMATS[suffix]()
    output.set_structure(_to_biopython(backbones))
    text = StringIO()
    output.save(text)
    return text.getvalue()


def _check(backbones: Sequence[Backbone]) -> None:
    for one in backbones:
        bad = ~one.coordinates.isfinite().all(-1) & one.atom_mask
        if bad.any():
            raise ValueError(f"expected finite coordinates, got {_first(one, bad)}; mask the atom")
    if not any(bool(one.atom_mask.any()) for one in backbones):
        raise ValueError("expected a backbone with at least one atom to write, got none")
    names = [name for one in backbones for name in one.chain_ids]
    twice = [name for i, name in enumerate(names) if name in names[:i]]
    if twice:
        raise ValueError(f"expected chains of different names, got {twice[0]!r} twice")


def _check_columns(backbones: Sequence[Backbone]) -> None:
    """Raise ``ValueError`` for what a PDB line has no room for."""
    mend = "write mmCIF instead, with the suffix .cif"
    for one in backbones:
        # In float32 the upper bound would be rounded to the last number that fits.
        x, numbers = one.coordinates.double(), one.residue_index
        # Rounded to three decimals, as they are written.
        bad = ((x <= -999.9995) | (x >= 9999.9995)).any(-1) & one.atom_mask
        if bad.any():
            raise ValueError(
                "expected coordinates from -999.999 to 9999.999 for a PDB file, got "
                f"{_first(one, bad)}; {mend}, or centre the backbone"
            )
        for name in one.chain_ids:
            if len(name) != 1:
                raise ValueError(f"expected chain names of one letter, got {name!r}; {mend}")
        beyond = numbers[(numbers < -999) | (numbers > 9999)].tolist()
        if beyond:
            raise ValueError(f"expected residues from -999 to 9999, got {beyond[0]}; {mend}")
    if sum(int(one.atom_mask.sum()) + len(one.chain_ids) for one in backbones) > 99_999:
        raise ValueError(f"expected at most 99,999 atoms and chain ends for a PDB file; {mend}")


def _first(one: Backbone, bad: Tensor) -> str:
    """The first atom in ``bad``, as people look it up."""
    i, atom = bad.nonzero()[0].tolist()
    place = ", ".join(f"{value:.3f}" for value in one.coordinates[i, atom].tolist())
    return f"({place}) at {ATOMS[atom]} of {one.label(i)}"


def _to_biopython(backbones: Sequence[Backbone]) -> Any:
    """A structure of one model."""
    builder = _builder()
    builder.init_structure("backbone")
    builder.init_model(0)
    builder.init_seg("    ")
    for one in backbones:
        for i, chain in enumerate(one.chain_ids):
            _add_chain(builder, chain, one.select(one.chain_index == i))
    return builder.get_structure()


def _add_chain(builder: Any, chain: str, one: Backbone) -> None:
    places, present = one.coordinates.cpu().double().numpy(), one.atom_mask.tolist()
    kinds, numbers = one.residue_types.tolist(), one.residue_index.tolist()
    seen: set[tuple[int, str]] = set()
    builder.init_chain(chain)
    for i, code in enumerate(one.insertion_codes):
        if (numbers[i], code) in seen:
            raise ValueError(f"expected each residue once in chain {chain}, got {one.label(i)}")
        seen.add((numbers[i], code))
        builder.init_residue(residue_name(kinds[i]), " ", numbers[i], code or " ")
        for j, name in enumerate(ATOMS):
            if present[i][j]:
                builder.init_atom(
                    name, places[i, j], 0.0, 1.0, " ", f" {name:<3}", element=name[0]
                )
