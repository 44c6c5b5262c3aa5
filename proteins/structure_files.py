"""Which files of a folder hold structures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .reading import Refusal

SUFFIXES = (".pdb", ".ent", ".cif", ".mmcif", ".npz")


def find_structures(paths: Sequence[Path]) -> tuple[list[Path], list[Refusal]]:
    """The files to read, each once, and what was passed over.

    A file that is named is read whatever it is called; of a folder and the folders within, the
    files that end in ``SUFFIXES``, plain or with ``.gz``, in order of their names. Hidden files
    are not seen.
    """
    found: list[Path] = []
    refused: list[Refusal] = []
    for path in paths:
        if not path.is_dir():
            found.append(path)
            continue
        inside = sorted(one for one in path.rglob("*") if _is_visible(one, path))
        found += [one for one in inside if has_structure_name(one)]
        reason = f"expected a name that ends in {', '.join(SUFFIXES)} or one of these and .gz"
        refused += [
            Refusal(str(one), "", "", reason) for one in inside if not has_structure_name(one)
        ]
        if not inside:
            refused.append(Refusal(str(path), "", "", "expected files, but the folder has none"))
    return list(dict.fromkeys(found)), refused


def has_structure_name(path: Path) -> bool:
    """Whether a file's name says that it holds a structure.

    Example:
        >>> [has_structure_name(Path(name)) for name in ("1aki.pdb.gz", "a.CIF", "notes.txt")]
        [True, True, False]
    """
    plain = path.with_suffix("") if path.suffix.lower() == ".gz" else path
    return plain.suffix.lower() in SUFFIXES


def _is_visible(path: Path, folder: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
    return path.is_file() and not hidden
