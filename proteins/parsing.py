"""PDB and mmCIF text to Biopython's model, with its failures turned into reasons.

Which of the two formats it is, is seen from the text (mmCIF begins with ``data_``). Of a PDB file
only the coordinate records of one model are parsed: headers, anisotropies and other models can
have no error that matters. The other lines are replaced, not removed, so that line numbers in
messages are those of the file.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any

from Bio.PDB.MMCIF2Dict import MMCIF2Dict
from Bio.PDB.MMCIFParser import MMCIFParser
from Bio.PDB.PDBExceptions import PDBConstructionException
from Bio.PDB.PDBParser import PDBParser

from seqflow.files import read_text

from .reading import Refusal, RefusedError

_pdb_parser: Any = PDBParser  # Biopython is not annotated.
_mmcif_parser: Any = MMCIFParser
_mmcif_table: Any = MMCIF2Dict
_NUMBERS = ("Cartn_x", "Cartn_y", "Cartn_z", "occupancy", "B_iso_or_equiv", "auth_seq_id")
_NAMES = ("auth_asym_id", "label_comp_id")
_COORDINATES = ("ATOM  ", "HETATM")
_LINE = re.compile(r"at line\s+(\d+)")
# Chains come in pieces, protein first and ligands last, in nearly every file, and many programs
# leave the column of elements empty. Side chains are no concern of a backbone.
_USUAL = re.compile(r"discontinuous|\belement\b|Atom (?!(?:N|CA|C|O) )\S+ defined twice")
# What Biopython raises for damaged files, beside its own error.
_DAMAGE = (
    PDBConstructionException,
    ArithmeticError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
)


def parse_model(path: str | Path, model: int = 1) -> tuple[Any, tuple[str, ...]]:
    """The model number ``model``, counted from 1 in the order of the file, and remarks.

    Args:
        path: a PDB or mmCIF file, plain or gzipped.
        model: which one, where there are several (NMR).

    Returns:
        Biopython's ``Model``, and what its parser warned of, one line each.

    Raises:
        RefusedError: (a ``ValueError``) if the file holds no such model or is damaged;
            names the file, and chain and residue where there are any.
        OSError: if it cannot be opened.
    """
    source = str(path)
    try:
        text = read_text(path)
    except ValueError as error:
        reason = str(error).removeprefix(f"{path}: ")
        raise RefusedError(Refusal(source, "", "", reason)) from None
    body = text.lstrip()
    if not body:
        reason = "expected a PDB or mmCIF file, got an empty one"
        raise RefusedError(Refusal(source, "", "", reason))
    read = _read_mmcif if _is_mmcif(body) else _read_pdb
    with _recorded() as remarks:
        found = read(source, text, model)
    return found, tuple(remarks)


def _is_mmcif(text: str) -> bool:
    # Comments may come before the first block.
    lines = (line for line in text.split("\n") if line.strip() and not line.startswith("#"))
    return next(lines, "").lstrip().lower().startswith("data_")


def _read_pdb(source: str, text: str, model: int) -> Any:
    lines, count = _coordinate_lines(text.split("\n"), model)
    if count == 0:
        reason = "expected ATOM records (PDB) or data_ (mmCIF), got neither"
        raise RefusedError(Refusal(source, "", "", reason))
    _check_model(source, model, count)
    parser = _pdb_parser(PERMISSIVE=True, QUIET=False)
    try:
        structure = parser.get_structure("", StringIO("\n".join(lines)))
    except _DAMAGE as error:
        raise RefusedError(_pdb_damage(source, lines, parser, error)) from None
    return next(iter(structure))


def _coordinate_lines(lines: list[str], model: int) -> tuple[list[str], int]:
    """Lines with all replaced but the atoms of one model, and how many models there are.

    The file ends at END if atoms came before: what follows is another structure.
    """
    kept, current, count = [], 1, 0
    for line in lines:
        record = line[:6]
        if record.startswith("MODEL"):
            current = count + 1
        elif record.rstrip() == "END" and count:
            break
        is_atom = record in _COORDINATES
        count = max(count, current) if is_atom else count
        # TER is a record that the parser passes over, also in the header.
        kept.append(line if is_atom and current == model else "TER   ")
    return kept, count


def _pdb_damage(source: str, lines: list[str], parser: Any, error: Exception) -> Refusal:
    """What was wrong, with chain and residue of the line at which the parser stopped."""
    match = _LINE.search(str(error))
    number = int(match[1]) if match else int(parser.structure_builder.line_counter)
    line = lines[number - 1] if 0 < number <= len(lines) else ""
    residue = " ".join(line[17:20].split() + line[22:27].split())
    reason = f"damaged at line {number}: {line.rstrip()[:80]!r} is no atom record in PDB columns"
    return Refusal(source, line[21:22].strip(), residue, reason)


def _read_mmcif(source: str, text: str, model: int) -> Any:
    parser = _mmcif_parser(PERMISSIVE=True, QUIET=False)
    try:
        structure = parser.get_structure("", StringIO(text))
    except _DAMAGE as error:
        raise RefusedError(_mmcif_damage(source, text, error)) from None
    _check_model(source, model, len(structure))
    return list(structure)[model - 1]


def _mmcif_damage(source: str, text: str, error: Exception) -> Refusal:
    """What was wrong, with chain and residue of the first atom that has no numbers."""
    if isinstance(error, KeyError):
        reason = f"expected atoms in a table with the column {error.args[0]}, but it has none"
        return Refusal(source, "", "", reason)
    try:
        table = _mmcif_table(StringIO(text))
        columns = {name: table[f"_atom_site.{name}"] for name in (*_NUMBERS, *_NAMES)}
    except _DAMAGE:  # no table to look into
        columns = {}
    rows = (dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=False))
    for i, row in enumerate(rows, 1):
        for name in _NUMBERS:
            if not _is_number(row[name]):
                residue = f"{row['label_comp_id']} {row['auth_seq_id']}"
                reason = f"damaged at atom {i}: expected a number for {name}, got {row[name]!r}"
                return Refusal(source, row["auth_asym_id"], residue, reason)
    return Refusal(source, "", "", f"damaged mmCIF: {' '.join(str(error).split())}")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _check_model(source: str, model: int, count: int) -> None:
    if not 1 <= model <= count:
        reason = f"expected a model from 1 to {count}, asked for {model}"
        raise RefusedError(Refusal(source, "", "", reason))


@contextmanager
def _recorded() -> Iterator[list[str]]:
    """Warnings raised within, as remarks of one line; each once."""
    remarks: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield remarks
    lines = (str(one.message).strip().split("\n")[0] for one in caught)
    short = (line.split("Exception: ")[-1].removeprefix("WARNING: ") for line in lines)
    remarks += dict.fromkeys(line for line in short if not _USUAL.search(line))
