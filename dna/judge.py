"""An oracle, motifs and real sequences: together they judge a set of sequences.

The columns of the table, for sequences that should be of class y:

==============  ==========================================================================
success         fraction that the oracle takes for y
motif NAME      fraction with a hit of that motif, on either strand
js 4, js 6      Jensen-Shannon distance of k-mer frequencies from real ones of class y
frechet         Frechet distance of oracle embeddings from real ones of class y
floor           what as many real sequences would score there
gc drift        mean GC content minus that of real ones
unique          distinct sequences over all
nearest         mean identity with the nearest training sequence, if those are given
bits            what a base costs a generator at most, if one is given, see `dna.likelihood`
==============  ==========================================================================

Success above that of real sequences is over-optimisation, not quality.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from seqflow.checkpoints import find_checkpoint

from .diversity import nearest_identity, unique_fraction
from .metrics import KMER_SIZES, Summary, compare, load_summaries, save_summaries, summarise
from .models import Classifier, load_classifier
from .motifs import Motif, find_motifs
from .sequences import one_hot

MOTIFS = ("CTCF", "PU1")
REFERENCE = "reference.safetensors"
CHUNK = 512


@dataclass(frozen=True)
class Judge:
    """Judges sequences of the classes that its oracle knows.

    Attributes:
        oracle: a classifier of finished sequences.
        motifs: whose hits are counted.
        references: statistics of real sequences, by class.
    """

    oracle: Classifier
    motifs: Sequence[Motif]
    references: Mapping[str, Summary]

    @torch.no_grad()
    def embed(self, tokens: Tensor) -> Tensor:
        """Oracle embeddings ``(N, D)`` of tokens ``(N, L)``; ``ValueError`` if too long."""
        network = self.oracle.network
        return torch.cat([network.embed(one_hot(rows)) for rows in torch.split(tokens, CHUNK)])  # type: ignore[operator]  # ConvolutionalClassifier

    @torch.no_grad()
    def summary(self, tokens: Tensor, label: str) -> Summary:
        """The statistics of tokens ``(N, L)`` that should be of class ``label``.

        Raises:
            ValueError: if the oracle does not know the label.
        """
        labels = self.oracle.spec.labels
        if label not in labels:
            raise ValueError(f"no label {label!r}; the oracle knows {', '.join(labels)}")
        embeddings = self.embed(tokens)
        logits = self.oracle.network.classify(embeddings)  # type: ignore[operator]  # ConvolutionalClassifier
        success = float((logits.argmax(-1) == labels.index(label)).double().mean())
        summary = summarise(tokens, motifs=self.motifs, embeddings=embeddings)
        return replace(summary, success=success)

    def row(self, tokens: Tensor, label: str, training: Tensor | None = None) -> dict[str, float]:
        """One row of the table, for sequences that should be of class ``label``.

        Raises:
            ValueError: for a label without an oracle class or without reference.
        """
        if label not in self.references:
            known = ", ".join(self.references) or "none"
            raise ValueError(
                f"no reference for label {label!r}; there are {known}; give real sequences "
                f"with --reference {label}=FILE"
            )
        row = self._compare(self.summary(tokens, label), label)
        row["unique"] = unique_fraction(tokens)
        if training is not None:
            row["nearest"] = float(nearest_identity(tokens, training).mean())
        return row

    def reference_row(self, label: str) -> dict[str, float]:
        """The row of the real sequences of a class: at no distance from themselves."""
        return self._compare(self.references[label], label)

    def _compare(self, summary: Summary, label: str) -> dict[str, float]:
        compared = compare(summary, self.references[label])
        row = {"n": compared["num"]}
        if summary.success is not None:
            row["success"] = summary.success
        names = [f"motif_{m.name}" for m in self.motifs]
        row |= {name.replace("_", " "): compared[name] for name in names if name in compared}
        row |= {f"js {k}": compared[f"js_{k}"] for k in (4, 6)}
        row |= {"frechet": compared["frechet"], "floor": compared["frechet_floor"]}
        return row | {"gc drift": compared["gc_drift"]}


def load_judge(
    name: str,
    references: Mapping[str, Tensor] | None = None,
    motifs: Sequence[str] = MOTIFS,
) -> Judge:
    """The judge in a folder, or bundled.

    Args:
        name: folder or name of the oracle.
        references: tokens by class that replace the real sequences it brings.
        motifs: words that `dna.motifs.find_motifs` understands.

    Raises:
        ValueError: for a classifier that is no oracle, one without references, and as the
            loaders do.
    """
    oracle = load_classifier(name)
    if oracle.spec.noise != "none":
        raise ValueError(
            f"the classifier {name} reads noisy states of {oracle.spec.noise} flow; "
            "an oracle is trained with noise: none"
        )
    found = {motif.name: motif for word in motifs for motif in find_motifs(word)}
    judge = Judge(oracle, list(found.values()), {})
    if references is not None:
        return with_references(judge, references)
    path = find_checkpoint(name, package="dna") / REFERENCE
    if not path.is_file():
        raise ValueError(f"{path.parent} has no {REFERENCE}; give --reference LABEL=FILE")
    summaries = load_summaries(path)
    for label, summary in summaries.items():
        if summary.embedding is None or not set(KMER_SIZES) <= set(summary.kmers):
            raise ValueError(f"{path}: the statistics of {label} are incomplete; make them anew")
    return Judge(oracle, judge.motifs, summaries)


def with_references(judge: Judge, references: Mapping[str, Tensor]) -> Judge:
    """The same judge with statistics of these real sequences."""
    summaries = {label: judge.summary(tokens, label) for label, tokens in references.items()}
    return Judge(judge.oracle, judge.motifs, summaries)


def save_references(folder: Path, judge: Judge) -> None:
    """Keep the judge's reference statistics beside its oracle."""
    save_summaries(folder / REFERENCE, judge.references)


def format_table(rows: Mapping[str, Mapping[str, float]]) -> str:
    """Rows by name as a Markdown table.

    Example:
        >>> print(format_table({"a": {"n": 2, "success": 0.5}}))
        |  | n | success |
        |---|---|---|
        | a | 2 | 0.500 |
    """
    columns = list(dict.fromkeys(column for row in rows.values() for column in row))
    lines = [f"|  | {' | '.join(columns)} |", "|" + "---|" * (len(columns) + 1)]
    for name, row in rows.items():
        cells = [_format(column, row.get(column)) for column in columns]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _format(column: str, value: float | None) -> str:
    if value is None:
        return ""
    if column == "n":
        return f"{value:.0f}"
    return f"{value:+.3f}" if column == "gc drift" else f"{value:.3f}"
