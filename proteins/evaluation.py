"""What is measured of a set of backbones, chain by chain and on the whole."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from seqflow.files import replacing

from .backbone import Backbone
from .datasets import load_chains
from .diversity import mean_pairwise_tm, nearest_training
from .plausibility import GATE, backbone_plausibility
from .secondary_structure import structure_fractions
from .structure import read_structure
from .structure_files import find_structures

Row = dict[str, float | str]

Judge = Callable[[Sequence[Backbone]], list[dict[str, float]]]
"""A program from outside: what it measures of every chain, by name."""

OUTSIDE = (
    "mpnn_entropy",
    "mpnn_glycine",
    "fold_ca_rmsd",
    "fold_ca_mean_dist",
    "fold_tm",
)
"""What judges from outside may add; see ``inverse_folding`` and ``folding``."""

CHAINS = ".safetensors"


def read_backbones(paths: Sequence[Path]) -> tuple[list[Backbone], list[str]]:
    """The chains of structure files, folders of them, and files of chains; and what was refused.

    Raises ``ValueError`` if there is no chain, ``OSError`` for a file that cannot be opened.
    """
    backbones: list[Backbone] = []
    refused: list[str] = []
    for path in paths:
        if path.suffix == CHAINS:
            chains = load_chains(path)
            backbones += [chains[i] for i in range(len(chains))]
            continue
        # What a folder of samples holds beside structures is no fault.
        files, _ = find_structures([path])
        for file in files:
            reading = read_structure(file)
            backbones += [one.with_oxygen() for one in reading.chains]
            refused += [str(one) for one in reading.refused]
    if not backbones:
        first = f"; the first: {refused[0]}" if refused else ""
        raise ValueError(f"no chain in {', '.join(map(str, paths))}{first}")
    return backbones, refused


def measure_backbone(one: Backbone, training: Sequence[Tensor] = ()) -> Row:
    """The gate's verdict and every number of one chain.

    Args:
        one: the chain.
        training: CA traces; then also the TM-score with the nearest of them.
    """
    coords, mask, linked = one.coordinates, one.atom_mask, bonded(one)
    verdict = backbone_plausibility(coords, mask, linked)
    coil, helix, strand = structure_fractions(coords, mask, linked).tolist()
    row: Row = {"name": one.name, "length": len(one), "plausible": float(verdict.passed)}
    row |= {name: float(value) for name, value in verdict.values.items()}
    row |= {"helix": helix, "strand": strand, "coil": coil}
    if training:
        row["nearest_tm"] = nearest_training(coords[one.mask, 1], training).score
    return row


def measure_all(
    chains: Sequence[Backbone], training: Sequence[Tensor] = (), judges: Sequence[Judge] = ()
) -> list[Row]:
    """`measure_backbone` of every chain, and what the judges add."""
    rows = [measure_backbone(one, training) for one in chains]
    for judge in judges:
        for row, found in zip(rows, judge(chains), strict=True):
            row |= found
    return rows


def summarise(rows: Sequence[Row], traces: Sequence[Tensor]) -> dict[str, float]:
    """Means over chains, the share within each limit, and the mean TM-score of pairs.

    ``NAME ok`` is the share of chains within the limits of a component.
    """
    summary = {"chains": float(len(rows)), "plausible": _mean(rows, "plausible")}
    for part in GATE:
        values = torch.tensor([float(row[part.name]) for row in rows])
        summary[f"{part.name} ok"] = float(part.within(values).double().mean())
    names = [part.name for part in GATE] + ["helix", "strand", "nearest_tm", *OUTSIDE]
    summary |= {name: _mean(rows, name) for name in names if name in rows[0]}
    pairs = mean_pairwise_tm(traces)
    return summary if pairs is None else summary | {"pairwise_tm": pairs}


def format_summary(sets: Mapping[str, Mapping[str, float]]) -> str:
    """A Markdown table, one column a set.

    Example:
        >>> print(format_summary({"mine": {"chains": 2.0, "plausible": 0.5}}))
        |  | mine |
        |---|---|
        | chains | 2 |
        | plausible | 0.500 |
    """
    measures = list(dict.fromkeys(name for one in sets.values() for name in one))
    lines = ["|  | " + " | ".join(sets) + " |", "|---" * (len(sets) + 1) + "|"]
    for name in measures:
        cells = " | ".join(_cell(name, one.get(name, math.nan)) for one in sets.values())
        lines.append(f"| {name} | {cells} |")
    return "\n".join(lines)


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """One line a chain as CSV, whole or not at all."""
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        for row in rows:
            writer.writerow({n: f"{v:.4g}" if isinstance(v, float) else v for n, v in row.items()})


def bonded(one: Backbone) -> Tensor:
    """Residues that are, or ought to be, linked to the next, bool ``(L,)``.

    `Backbone.linked` takes a bond that is too long for a gap; in a chain without one, where
    numbers follow each other, it is a fault to be counted.
    """
    follows = (one.residue_index.diff() == 1) & (one.chain_index.diff() == 0)
    return one.linked() | torch.cat((follows, follows.new_zeros(min(len(one), 1))))


def ca_traces(backbones: Sequence[Backbone]) -> list[Tensor]:
    """CA of the residues that are there, ``(L, 3)`` each."""
    return [one.coordinates[one.mask, 1] for one in backbones]


def _mean(rows: Sequence[Row], name: str) -> float:
    return math.fsum(float(row[name]) for row in rows) / len(rows)


def _cell(name: str, value: float) -> str:
    if math.isnan(value):
        return "-"
    return f"{value:.0f}" if name == "chains" else f"{value:.3f}"
