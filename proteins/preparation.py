"""From files of structures to one set of chains, with a reason for all that is left out.

1. Every file is read: PDB and mmCIF by ``structure``, ``.npz`` by ``archives``.
2. Residues without N, CA or C are cut off at both ends of a chain; an absent O is placed.
3. Chains that break the ``Criteria`` are refused.
4. Of chains with one sequence the most complete is kept, the first of equals.
5. A chain's cluster is that of the table, else of the archive, else one of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from .archives import read_archive
from .backbone import Backbone
from .cluster_table import cluster_of
from .criteria import Criteria, trim
from .datasets import Chains, gather_chains
from .reading import Refusal, RefusedError
from .structure import read_structure
from .structure_files import find_structures


@dataclass(frozen=True)
class Preparation:
    """What came of the files.

    Attributes:
        chains: those that were taken.
        refused: files and chains that were not.
        duplicates: chains left out for their sequence.
        remarks: what the parser passed over, one line a file.
        unclustered: how many chains have a cluster of their own because no table knew one.
    """

    chains: Chains
    refused: tuple[Refusal, ...]
    duplicates: tuple[Refusal, ...]
    remarks: tuple[str, ...]
    unclustered: int


class _Found(NamedTuple):
    """A chain, where it is from and how a refusal calls it."""

    source: str
    label: str
    backbone: Backbone
    cluster: str | None


class Preparer:
    """Reads file after file and keeps account of it.

    Args:
        criteria: which chains to take.
        clusters: by name of a chain or file, as ``cluster_table`` reads them.
        cluster_key: key of the clusters in archives, see ``archives.read_archive``.
        model: which model of files that have several.
    """

    def __init__(
        self,
        criteria: Criteria,
        clusters: Mapping[str, str] | None = None,
        cluster_key: str | None = None,
        model: int = 1,
    ) -> None:
        self.criteria, self.clusters = criteria, clusters or {}
        self.cluster_key, self.model = cluster_key, model
        self.refused: list[Refusal] = []
        self._taken: list[_Found] = []
        self._remarks: list[str] = []

    def read_all(self, paths: Sequence[Path], *, progress: bool = False) -> None:
        """Read files and folders; a bar on stderr shows how far it is."""
        files, refused = find_structures(paths)
        self.refused += refused
        for path in tqdm(files, desc="reading", unit="file", disable=not progress):
            self.read(path)

    def read(self, path: Path) -> None:
        """Take the chains of one file, or note why not."""
        try:
            found = self._archive(path) if path.suffix.lower() == ".npz" else self._file(path)
        except RefusedError as error:
            self.refused.append(error.refusal)
        except OSError as error:
            reason = f"cannot be opened: {error.strerror or error}"
            self.refused.append(Refusal(str(path), "", "", reason))
        else:
            for one in found:
                self._judge(one)

    def _archive(self, path: Path) -> list[_Found]:
        chains, refused = read_archive(path, cluster_key=self.cluster_key)
        self.refused += refused
        return [_Found(str(path), one.name, one, cluster) for one, cluster in chains]

    def _file(self, path: Path) -> list[_Found]:
        reading = read_structure(path, model=self.model)
        self.refused += reading.refused
        if reading.remarks:
            first, *more = reading.remarks
            self._remarks.append(f"{path}: {first}" + (f" (and {len(more)} more)" if more else ""))
        return [_Found(str(path), one.chain_ids[0], one, None) for one in reading.chains]

    def _judge(self, one: _Found) -> None:
        backbone = trim(one.backbone).with_oxygen()
        fault = self.criteria.fault(backbone)
        if fault:
            self.refused.append(Refusal(one.source, one.label, *fault))
        else:
            cluster = cluster_of(backbone.name, self.clusters) or one.cluster
            self._taken.append(one._replace(backbone=backbone, cluster=cluster))

    def finish(self) -> Preparation:
        """All that was taken, each sequence once.

        Raises ``ValueError`` if nothing was; says why the first was refused.
        """
        if not self._taken:
            first = f"; the first: {self.refused[0]}" if self.refused else ""
            raise ValueError(f"no chain was taken and {len(self.refused)} refused{first}")
        kept, duplicates = _unique(self._taken)
        chains = gather_chains(
            [one.backbone for one in kept],
            # A prefix keeps the name of a chain apart from those of clusters.
            [one.cluster or f"chain {one.backbone.name}" for one in kept],
        )
        return Preparation(
            chains,
            tuple(self.refused),
            tuple(duplicates),
            tuple(self._remarks),
            sum(one.cluster is None for one in kept),
        )


def _unique(found: Sequence[_Found]) -> tuple[list[_Found], list[Refusal]]:
    """The most complete chain of every sequence, in order; unknown sequences are all kept."""
    groups: dict[str, list[_Found]] = {}
    for i, one in enumerate(found):
        sequence = one.backbone.sequence
        groups.setdefault(sequence if sequence.strip("X") else f"unknown {i}", []).append(one)
    kept: list[_Found] = []
    duplicates: list[Refusal] = []
    for group in groups.values():
        best = max(range(len(group)), key=lambda i: int(group[i].backbone.mask.sum()))
        reason = f"has the sequence of {group[best].backbone.name}"
        kept.append(group[best])
        duplicates += [
            Refusal(one.source, one.label, "", reason) for i, one in enumerate(group) if i != best
        ]
    return kept, duplicates
