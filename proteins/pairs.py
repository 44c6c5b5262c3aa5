"""Pairs of rectification on disk: the noise that a sampler started from and what it returned.

A flow learned from such pairs takes straighter ways than one that is learned from noise and
data drawn apart, and needs fewer steps (Liu et al. 2023, arXiv:2209.03003). Both ends are kept
as frames, as the sampler had them: not as atoms, from which the rotations would have to be found
again, and not as text, which rounds. One safetensors file holds N pairs end to end:

======================  ====================  ===========================================
tensor                  dtype, shape          what
======================  ====================  ===========================================
``noise_translation``   float32 ``(S, 3)``    x_0 of CA, in Angstrom
``noise_rotation``      float32 ``(S, 4)``    x_0 of the frames, unit quaternions
``translation``         float32 ``(S, 3)``    x_1
``rotation``            float32 ``(S, 4)``    x_1
``offsets``             int64 ``(N + 1,)``    pair i has the rows offsets[i] to offsets[i + 1]
======================  ====================  ===========================================

and in its header the format and, as JSON, the origin: model, lengths, steps, seed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from seqflow.files import replacing
from seqflow.objectives import Batch

from .flow import ROTATION, TRANSLATION
from .tensor_files import read_json, read_tensors

FORMAT = "seqflow-protein-pairs-1"
NOISE_TRANSLATION, NOISE_ROTATION = "noise_translation", "noise_rotation"
_WIDTHS = {NOISE_TRANSLATION: 3, NOISE_ROTATION: 4, TRANSLATION: 3, ROTATION: 4}


@dataclass(frozen=True, eq=False)
class Pairs:
    """N pairs of S residues in all, end to end.

    Attributes:
        rows: the four tensors of this module's head, by name.
        offsets: first row of each pair, and S: int64 ``(N + 1,)``.
        origin: what they were made with, plain values.

    Example:
        >>> Pairs.empty({"seed": 0})
        Pairs(0 pairs, 0 residues)
    """

    rows: Mapping[str, Tensor]
    offsets: Tensor
    origin: Mapping[str, Any]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __repr__(self) -> str:
        return f"Pairs({len(self)} pairs, {int(self.offsets[-1])} residues)"

    @classmethod
    def empty(cls, origin: Mapping[str, Any]) -> Pairs:
        """None yet."""
        rows = {name: torch.empty(0, width) for name, width in _WIDTHS.items()}
        return cls(rows, torch.zeros(1, dtype=torch.int64), origin)

    @property
    def lengths(self) -> Tensor:
        """Residues of every pair, int64 ``(N,)``."""
        return self.offsets.diff()

    def joined(self, others: Sequence[Mapping[str, Tensor]]) -> Pairs:
        """These and others behind them: batches ``(n, L, ...)`` by the names of the rows."""
        rows = {
            name: torch.cat([own, *(one[name].flatten(0, 1).float().cpu() for one in others)])
            for name, own in self.rows.items()
        }
        shapes = [one[TRANSLATION].shape for one in others]
        lengths = torch.cat([self.lengths, *(torch.full((n,), size) for n, size, _ in shapes)])
        return Pairs(rows, _offsets(lengths), self.origin)

    def select(self, index: Tensor) -> Pairs:
        """The pairs at ``index``: int64 positions, or a bool mask ``(N,)``."""
        if index.dtype == torch.bool:
            index = index.nonzero().squeeze(-1)
        lengths = self.lengths[index]
        offsets = _offsets(lengths)
        # The row of every residue: where its pair begins, and its place in it.
        begins = (self.offsets[:-1][index] - offsets[:-1]).repeat_interleave(lengths)
        chosen = begins + torch.arange(int(offsets[-1]))
        return Pairs({name: x[chosen] for name, x in self.rows.items()}, offsets, self.origin)

    def padded(self, index: Tensor, length: int) -> Batch:
        """The pairs at ``index`` as one batch, zero beyond their ends.

        Returns:
            The four tensors ``(B, length, ...)``, and ``mask`` and ``positions`` ``(B, length)``.
        """
        place = torch.arange(length)
        mask = place < self.lengths[index].unsqueeze(-1)
        where = (self.offsets[:-1][index].unsqueeze(-1) + place) * mask
        batch = {name: mask.unsqueeze(-1) * x[where] for name, x in self.rows.items()}
        return {**batch, "mask": mask, "positions": place * mask}


def save_pairs(path: str | Path, pairs: Pairs) -> None:
    """Write the file of this module's head; raises ``ValueError`` if it cannot be written."""
    tensors = {name: x.contiguous() for name, x in pairs.rows.items()}
    header = {"format": FORMAT, "origin": json.dumps(dict(pairs.origin))}
    with replacing(path) as temporary:
        save_file({**tensors, "offsets": pairs.offsets}, temporary, header)


def load_pairs(path: str | Path) -> Pairs:
    """Read such a file.

    Raises:
        ValueError: names the file: not a safetensors file, another format, damaged.
        OSError: if it cannot be opened.
    """
    mend = "make it with: seqflow proteins rectify"
    tensors, header = read_tensors(path, FORMAT, "pairs", mend)
    if not _fit(tensors):
        raise ValueError(f"{path}: damaged: its tensors do not fit each other; {mend}")
    origin = read_json(path, header, "origin", {}, mend)
    offsets = tensors.pop("offsets")
    return Pairs(tensors, offsets, origin)


def _fit(tensors: Mapping[str, Tensor]) -> bool:
    """Whether the tensors are those of one set of pairs."""
    if set(tensors) != {*_WIDTHS, "offsets"} or tensors["offsets"].dtype != torch.int64:
        return False
    offsets = tensors["offsets"]
    if len(offsets) < 1 or int(offsets[0]) != 0 or bool((offsets.diff() < 0).any()):
        return False
    return all(
        tensors[name].dtype == torch.float32
        and tuple(tensors[name].shape) == (int(offsets[-1]), width)
        for name, width in _WIDTHS.items()
    )


def _offsets(lengths: Tensor) -> Tensor:
    return torch.cat((lengths.new_zeros(1), lengths.cumsum(0)))
