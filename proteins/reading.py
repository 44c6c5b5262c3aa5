"""What came of reading a file: chains, refusals with their reasons, and remarks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from seqflow.files import replacing

from .backbone import Backbone


@dataclass(frozen=True)
class Refusal:
    """Something that was not read, and why.

    Attributes:
        source: the file.
        chain: the chain's name, or nothing if it is about the file.
        residue: the residue, such as ``GLY 45B``, or nothing.
        reason: what was expected and what came.
    """

    source: str
    chain: str
    residue: str
    reason: str

    def __str__(self) -> str:
        where = [self.source]
        where += [f"chain {self.chain}"] if self.chain else []
        where += [f"residue {self.residue}"] if self.residue else []
        return f"{', '.join(where)}: {self.reason}"


class RefusedError(ValueError):
    """A `Refusal` as an error."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(str(refusal))
        self.refusal = refusal


@dataclass(frozen=True)
class Reading:
    """What a file held.

    Attributes:
        chains: the protein chains, one `Backbone` each, named ``file:chain``.
        refused: chains that were not read, or the whole file.
        remarks: what the parser found odd and passed over.
    """

    chains: tuple[Backbone, ...]
    refused: tuple[Refusal, ...] = ()
    remarks: tuple[str, ...] = ()


def write_refusals(path: str | Path, refusals: Sequence[Refusal]) -> None:
    """A TSV file with the columns file, chain, residue and reason.

    Raises ``ValueError`` if it cannot be written.
    """
    rows = [("file", "chain", "residue", "reason")]
    rows += [(one.source, one.chain, one.residue, one.reason) for one in refusals]
    # No tab or line end may come from the name of a file.
    lines = ("\t".join(" ".join(cell.split()) for cell in row) for row in rows)
    with replacing(path) as temporary:
        temporary.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
