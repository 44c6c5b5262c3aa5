"""The statistics by which generated sequences are judged against real ones.

A `Summary` holds sufficient statistics of a set of sequences: k-mer counts, GC content, motif
hit rates, and the mean and covariance of an oracle's embeddings. Real and generated sets are
summarised alike and two summaries are compared, so that a stored summary of the real sequences
stands in for their file. Each number is defined in the file it comes from: `dna.composition`,
`dna.motif_scan`, `dna.frechet`. Diversity needs the sequences themselves: `dna.diversity`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from seqflow.files import replacing

from .composition import count_kmers, gc_content, jensen_shannon_distance
from .frechet import Gaussian, expected_floor, fit_gaussian, frechet_distance
from .motif_scan import hit_rate
from .motifs import Motif

KMER_SIZES = (4, 6)


@dataclass(frozen=True)
class Summary:
    """Sufficient statistics of a set of sequences.

    Attributes:
        num: how many sequences.
        gc: mean fraction of C and G.
        kmers: counts by k, each int64 ``(4^k,)``.
        motif_rates: fraction of sequences with a hit, by motif name.
        embedding: moments of the oracle's embeddings, if they were given.
        success: fraction that the oracle takes for their class, if it was asked.
    """

    num: int
    gc: float
    kmers: Mapping[int, Tensor]
    motif_rates: Mapping[str, float] = field(default_factory=dict)
    embedding: Gaussian | None = None
    success: float | None = None

    def to_tensors(self) -> dict[str, Tensor]:
        """Named tensors for a safetensors file; inverse of `from_tensors`."""
        tensors = {"num": torch.tensor(self.num), "gc": torch.tensor(self.gc, dtype=torch.float64)}
        tensors |= {f"kmers.{k}": counts for k, counts in self.kmers.items()}
        for name, rate in self.motif_rates.items():
            tensors[f"motif.{name}"] = torch.tensor(rate, dtype=torch.float64)
        if self.success is not None:
            tensors["success"] = torch.tensor(self.success, dtype=torch.float64)
        if self.embedding is not None:
            tensors["embedding.mean"] = self.embedding.mean
            tensors["embedding.covariance"] = self.embedding.covariance
            tensors["embedding.num"] = torch.tensor(self.embedding.num)
        return tensors

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> Summary:
        """Raises ``ValueError`` that names what is missing."""
        missing = [name for name in ("num", "gc") if name not in tensors]
        if missing:
            raise ValueError(f"expected the tensors of a summary, there is no {missing[0]!r}")
        embedding = None
        if "embedding.mean" in tensors:
            embedding = Gaussian(
                mean=tensors["embedding.mean"],
                covariance=tensors["embedding.covariance"],
                num=int(tensors["embedding.num"]),
            )
        return cls(
            num=int(tensors["num"]),
            gc=float(tensors["gc"]),
            kmers={int(name): counts for name, counts in _below("kmers.", tensors).items()},
            motif_rates={name: float(rate) for name, rate in _below("motif.", tensors).items()},
            embedding=embedding,
            success=float(tensors["success"]) if "success" in tensors else None,
        )


def summarise(
    tokens: Tensor,
    *,
    motifs: Sequence[Motif] = (),
    embeddings: Tensor | None = None,
    kmer_sizes: Sequence[int] = KMER_SIZES,
) -> Summary:
    """Statistics of tokens ``(N, L)`` and, if given, their embeddings ``(N, D)``.

    Example:
        >>> summary = summarise(torch.tensor([[0, 1, 2, 3, 0, 1, 2, 3]]))
        >>> summary.gc, int(summary.kmers[4].sum())
        (0.5, 5)
    """
    if embeddings is not None and embeddings.shape[0] != tokens.shape[0]:
        raise ValueError(f"expected {tokens.shape[0]} embeddings, got {embeddings.shape[0]}")
    return Summary(
        num=tokens.shape[0],
        gc=float(gc_content(tokens).mean()),
        kmers={k: count_kmers(tokens, k) for k in kmer_sizes},
        motif_rates={motif.name: hit_rate(tokens, motif) for motif in motifs},
        embedding=None if embeddings is None else fit_gaussian(embeddings),
    )


def compare(sample: Summary, reference: Summary) -> dict[str, float]:
    """How far a sample is from the reference, in what both have.

    Keys: ``num``, ``gc_drift`` (mean of the sample minus mean of the reference), ``js_K`` for
    each k, ``frechet`` and ``frechet_floor`` (its expected value for a perfect sampler of
    that size), ``motif_NAME`` (rate in the sample).
    """
    row = {"num": float(sample.num), "gc_drift": sample.gc - reference.gc}
    for k in sorted(sample.kmers.keys() & reference.kmers.keys()):
        row[f"js_{k}"] = jensen_shannon_distance(sample.kmers[k], reference.kmers[k])
    if sample.embedding is not None and reference.embedding is not None:
        row["frechet"] = frechet_distance(sample.embedding, reference.embedding)
        row["frechet_floor"] = expected_floor(reference.embedding, sample.embedding.num)
    row |= {f"motif_{name}": rate for name, rate in sample.motif_rates.items()}
    return row


def save_summaries(path: str | Path, summaries: Mapping[str, Summary]) -> None:
    """Write summaries by label to one safetensors file, whole or not at all.

    Raises ``ValueError`` for a label that holds a slash and a path that cannot be written.
    """
    for label in summaries:
        if "/" in label:
            raise ValueError(f"expected labels without a slash, got {label!r}")
    tensors = {
        f"{label}/{name}": tensor.contiguous()
        for label, summary in summaries.items()
        for name, tensor in summary.to_tensors().items()
    }
    with replacing(path) as temporary:
        temporary.write_bytes(save(tensors))


def load_summaries(path: str | Path) -> dict[str, Summary]:
    """Summaries by label; raises ``ValueError`` that names a file that is damaged."""
    try:
        tensors = load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path}: expected a safetensors file of summaries: {error}") from None
    labels = {name.partition("/")[0] for name in tensors}
    try:
        return {
            label: Summary.from_tensors(_below(f"{label}/", tensors)) for label in sorted(labels)
        }
    except (KeyError, ValueError) as error:
        raise ValueError(f"{path}: expected a file of summaries: {error}") from None


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }
