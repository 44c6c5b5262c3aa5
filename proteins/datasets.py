"""A set of single chains in memory, and the one file that holds it.

``seqflow proteins prepare`` writes a safetensors file with, for N chains of S residues in all,

===================  =====================  ================================================
``coordinates``      float32 (S, 4, 3)      N, CA, C, O in Angstrom, the mean CA of each
                                           chain at the origin; 0 where masked
``mask``             bool (S,)              residues with N, CA and C
``positions``        int32 (S,)             place in the chain, with jumps at gaps
``residue_types``    uint8 (S,)             positions in ``residues.ALPHABET``
``offsets``          int64 (N + 1,)         chain i has the rows offsets[i] to offsets[i + 1]
===================  =====================  ================================================

and in its header the format and, as JSON, the names and clusters of the chains.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from seqflow.files import replacing

from .backbone import Backbone, centre
from .residues import decode_sequence
from .tensor_files import read_json, read_tensors

FORMAT = "seqflow-protein-chains-1"
_DTYPES = {
    "coordinates": torch.float32,
    "mask": torch.bool,
    "positions": torch.int32,
    "residue_types": torch.uint8,
    "offsets": torch.int64,
}


@dataclass(frozen=True, eq=False)
class Chains:
    """N chains of S residues in all, end to end.

    Attributes:
        coordinates: float32 ``(S, 4, 3)``, N, CA, C, O in Angstrom, each chain centred.
        mask: residues that are there, bool ``(S,)``.
        positions: place in the chain, int64 ``(S,)``.
        residue_types: positions in ``residues.ALPHABET``, int64 ``(S,)``.
        offsets: first row of each chain, and S: int64 ``(N + 1,)``.
        names: one a chain.
        clusters: one a chain.
    """

    coordinates: Tensor
    mask: Tensor
    positions: Tensor
    residue_types: Tensor
    offsets: Tensor
    names: tuple[str, ...]
    clusters: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    def __repr__(self) -> str:
        return f"Chains({len(self)} chains, {len(self.mask)} residues)"

    @property
    def lengths(self) -> Tensor:
        """Residues of every chain, int64 ``(N,)``."""
        return self.offsets.diff()

    def rows(self, i: int) -> slice:
        """Where chain i lies; raises ``IndexError`` beyond the last."""
        if not 0 <= i < len(self):
            raise IndexError(f"expected a chain from 0 to {len(self) - 1}, got {i}")
        return slice(int(self.offsets[i]), int(self.offsets[i + 1]))

    def __getitem__(self, i: int) -> Backbone:
        """Chain i, numbered from 1."""
        rows = self.rows(i)
        one = Backbone.from_coordinates(
            self.coordinates[rows],
            mask=self.mask[rows],
            sequence=decode_sequence(self.residue_types[rows]),
            name=self.names[i],
        )
        one.residue_index.copy_(self.positions[rows] + 1)
        return one

    def select(self, index: Tensor) -> Chains:
        """The chains at ``index``: int64 positions, or a bool mask ``(N,)``."""
        if index.dtype == torch.bool:
            index = index.nonzero().squeeze(-1)
        chosen = index.tolist()
        spans = [torch.arange(*self.offsets[i : i + 2].tolist()) for i in chosen]
        rows = torch.cat([self.offsets.new_empty(0), *spans])
        return Chains(
            coordinates=self.coordinates[rows],
            mask=self.mask[rows],
            positions=self.positions[rows],
            residue_types=self.residue_types[rows],
            offsets=_offsets(self.lengths[index]),
            names=tuple(self.names[i] for i in chosen),
            clusters=tuple(self.clusters[i] for i in chosen),
        )


def gather_chains(backbones: Sequence[Backbone], clusters: Sequence[str]) -> Chains:
    """Chains of backbones, one each, without atoms of incomplete residues.

    Each is moved to have its mean CA at the origin.

    Raises ``ValueError`` for no backbone, one of several chains, or a cluster too few.
    """
    if not backbones or len(backbones) != len(clusters):
        raise ValueError(
            f"expected as many clusters as backbones, at least one, got {len(clusters)} "
            f"and {len(backbones)}"
        )
    for one in backbones:
        if len(one.chain_ids) != 1:
            raise ValueError(f"expected backbones of one chain, got {one}")
    return Chains(
        coordinates=torch.cat([centre(one.coordinates, one.mask) for one in backbones]),
        mask=torch.cat([one.mask for one in backbones]),
        positions=torch.cat([one.positions() for one in backbones]),
        residue_types=torch.cat([one.residue_types for one in backbones]),
        offsets=_offsets(torch.tensor([len(one) for one in backbones])),
        names=tuple(one.name for one in backbones),
        clusters=tuple(clusters),
    )


def save_chains(path: str | Path, chains: Chains) -> None:
    """Write the file of this module's head; raises ``ValueError`` if it cannot be written."""
    tensors = {
        name: getattr(chains, name).to(dtype).contiguous() for name, dtype in _DTYPES.items()
    }
    header = {
        "format": FORMAT,
        "names": json.dumps(chains.names),
        "clusters": json.dumps(chains.clusters),
    }
    with replacing(path) as temporary:
        save_file(tensors, temporary, header)


def load_chains(path: str | Path) -> Chains:
    """Read such a file.

    Raises:
        ValueError: names the file: not a safetensors file, another format, damaged.
        OSError: if it cannot be opened.
    """
    mend = "make it with: seqflow proteins prepare"
    tensors, header = read_tensors(path, FORMAT, "chains", mend)
    words = {key: read_json(path, header, key, [], mend) for key in ("names", "clusters")}
    chains = _from_file(tensors, **words)
    if chains is None:
        raise ValueError(f"{path}: damaged: its tensors do not fit each other; {mend}")
    return chains


def _from_file(
    tensors: dict[str, Tensor], names: Sequence[str], clusters: Sequence[str]
) -> Chains | None:
    """The chains, or nothing if the parts do not fit."""
    if {name: one.dtype for name, one in tensors.items()} != _DTYPES:
        return None
    offsets, total = tensors["offsets"], len(tensors["mask"])
    fits = (
        all(len(tensors[key]) == total for key in ("coordinates", "positions", "residue_types"))
        and tensors["coordinates"].shape[1:] == (4, 3)
        and len(names) == len(clusters) == len(offsets) - 1
        and bool((offsets.diff() >= 0).all())
        and offsets[[0, -1]].tolist() == [0, total]
    )
    if not fits:
        return None
    return Chains(
        tensors["coordinates"],
        tensors["mask"],
        tensors["positions"].long(),
        tensors["residue_types"].long(),
        offsets,
        tuple(names),
        tuple(clusters),
    )


def _offsets(lengths: Tensor) -> Tensor:
    return torch.cat((lengths.new_zeros(1), lengths.cumsum(0)))
