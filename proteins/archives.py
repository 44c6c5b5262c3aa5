"""Backbones from a numpy archive (``.npz``), the format to bring data of one's own in.

============  ========================  =================================================
key           shape                     what
============  ========================  =================================================
``coords``    (sum, 3 or 4, 3)          N, CA, C and, if known, O in Angstrom, all chains
                                        end to end; NaN where an atom is absent
``offsets``   (chains + 1,)             chain i has the rows offsets[i] to offsets[i + 1]
``name``      (chains,)                 optional; by default ``file:i``
``sequence``  (chains,)                 optional; one letter a residue
``cluster``   (chains,)                 optional; chains of one cluster are split together
============  ========================  =================================================

Nothing is unpickled. A table of clusters may have another key, which the caller names.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from .backbone import Backbone
from .reading import Refusal, RefusedError
from .residues import encode_sequence

Arrays = Mapping[str, Any]


class ArchivedChain(NamedTuple):
    """A chain and its cluster, if the archive knows it."""

    backbone: Backbone
    cluster: str | None


def read_archive(
    path: str | Path, *, cluster_key: str | None = None
) -> tuple[list[ArchivedChain], list[Refusal]]:
    """All chains of an archive, and those that were refused.

    Args:
        path: the archive.
        cluster_key: the key of the clusters, which must then exist; by default ``cluster``,
            which need not.

    Raises:
        RefusedError: (a ``ValueError``) if it is no such archive; names the file and the key.
        OSError: if it cannot be opened.
    """
    arrays = _load(path)
    _check(str(path), arrays, cluster_key)
    clusters = arrays.get(cluster_key or "cluster")
    chains, refused = [], []
    for i in range(len(arrays["offsets"]) - 1):
        try:
            backbone = _chain(str(path), arrays, i)
        except RefusedError as error:
            refused.append(error.refusal)
        else:
            chains.append(ArchivedChain(backbone, None if clusters is None else str(clusters[i])))
    return chains, refused


def _load(path: str | Path) -> dict[str, Any]:
    # Opened here, since numpy leaves a damaged file open.
    with Path(path).open("rb") as file:
        try:
            if not zipfile.is_zipfile(file):
                raise ValueError("it is no zip file")
            file.seek(0)
            archive = np.load(file, allow_pickle=False)
            arrays = {key: archive[key] for key in archive.files}
            if not all(isinstance(one, np.ndarray) for one in arrays.values()):
                raise ValueError("some of its members are no arrays")
            return arrays
        except (ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
            fault = " ".join(str(error).split()) or type(error).__name__
    reason = f"expected a numpy archive (.npz) of plain arrays, but {fault}"
    raise RefusedError(Refusal(str(path), "", "", reason))


def _check(source: str, arrays: Arrays, cluster_key: str | None) -> None:
    """Raise ``RefusedError`` unless keys and shapes are as at the head of this file."""

    def refuse(reason: str) -> None:
        raise RefusedError(Refusal(source, "", "", reason))

    for key in ("coords", "offsets", *([cluster_key] if cluster_key else [])):
        if key not in arrays:
            refuse(f"no array {key!r}; there are {', '.join(sorted(arrays)) or 'none'}")
    coords, offsets = arrays["coords"], arrays["offsets"]
    if coords.ndim != 3 or coords.shape[1] not in (3, 4) or coords.shape[2] != 3:
        refuse(f"expected coords (sum, 3 or 4, 3) of N, CA, C, O, got shape {coords.shape}")
    if not np.issubdtype(coords.dtype, np.floating):
        refuse(f"expected coords of a floating dtype, got {coords.dtype}")
    whole = offsets.ndim == 1 and len(offsets) > 0 and np.issubdtype(offsets.dtype, np.integer)
    if not whole or offsets[0] != 0 or offsets[-1] != len(coords) or (np.diff(offsets) < 0).any():
        refuse(f"expected offsets that rise from 0 to {len(coords)}, the rows of coords")
    for key in ("name", "sequence", cluster_key or "cluster"):
        if key in arrays and arrays[key].shape != (len(offsets) - 1,):
            refuse(f"expected {key} of {len(offsets) - 1} chains, got shape {arrays[key].shape}")


def _chain(source: str, arrays: Arrays, i: int) -> Backbone:
    start, stop = (int(end) for end in arrays["offsets"][i : i + 2])
    name = str(arrays["name"][i]) if "name" in arrays else f"{Path(source).stem}:{i}"
    size = stop - start
    sequence = str(arrays["sequence"][i]) if "sequence" in arrays else "X" * size
    if len(sequence) != size:
        reason = f"expected a sequence of {size} letters, as it has residues, got {len(sequence)}"
        raise RefusedError(Refusal(source, name, "", reason))
    rows = torch.from_numpy(arrays["coords"][start:stop].astype(np.float32))
    if rows.shape[1] == 3:
        rows = torch.cat((rows, torch.full((size, 1, 3), torch.nan)), 1)
    present = rows.isfinite().all(-1)
    if not present[:, :3].all(-1).any():
        reason = f"expected N, CA and C, but none of the {size} residues has all three"
        raise RefusedError(Refusal(source, name, "", reason))
    return Backbone(
        coordinates=torch.where(present[..., None], rows, 0.0),
        atom_mask=present,
        residue_index=torch.arange(1, size + 1),
        insertion_codes=("",) * size,
        residue_types=encode_sequence(sequence),
        chain_index=torch.zeros(size, dtype=torch.int64),
        chain_ids=("A",),
        name=name,
    )
