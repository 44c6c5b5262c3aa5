"""``seqflow proteins``: prepare. Imports torch only when a verb runs."""

from __future__ import annotations

import argparse
from pathlib import Path

_PREPARE = """\
examples:
  seqflow proteins prepare pdb/ --out chains.safetensors
  seqflow proteins prepare pdb/ --length 40-100 --clusters clusters.csv --out short.safetensors
  seqflow proteins prepare backbones.npz --cluster-key cluster40 --out chains.safetensors

Reads PDB and mmCIF files (plain or gzipped) and numpy archives with the arrays `coords`
(N, CA, C and perhaps O of all residues), `offsets` and, if known, `name`, `sequence`, `cluster`.
What is refused is said on stderr, one line each, and in a TSV file beside the output; it fails
only if no chain could be taken. Chains of one cluster are never divided between training and
test: without a table every distinct sequence is its own cluster, so that relatives may be.
"""


def add_commands(parser: argparse.ArgumentParser) -> None:
    """Add the verbs of this domain; see `seqflow.cli` for the contract."""
    parser.description = "Protein backbones: read them, learn them, make them, judge them."
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    _add_prepare(
        verbs.add_parser("prepare", help="read structures into one file", epilog=_PREPARE)
    )


def _add_prepare(verb: argparse.ArgumentParser) -> None:
    add = verb.add_argument
    add("paths", nargs="+", type=Path, metavar="DIR|FILE", help="structures, or folders of them")
    add("--out", type=Path, required=True, metavar="FILE", help="safetensors file to write")
    add("--length", default="20-512", metavar="A-B", help="residues of a chain (default: 20-512)")
    add(
        "--max-missing",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="of residues without N, CA or C inside a chain (default: 0)",
    )
    add("--max-gaps", type=int, default=0, metavar="N", help="breaks of a chain (default: 0)")
    add("--clusters", type=Path, metavar="TABLE", help="CSV or TSV with columns name and cluster")
    add("--cluster-key", metavar="KEY", help="array of clusters in .npz files (default: cluster)")
    add("--pdb-model", type=int, default=1, metavar="N", help="of NMR files (default: 1)")
    verb.set_defaults(handler=run_prepare)


def run_prepare(options: argparse.Namespace) -> None:
    """Read structures into one file."""
    from seqflow.files import check_writable

    from .cluster_table import read_clusters
    from .criteria import Criteria
    from .datasets import save_chains
    from .lengths import parse_lengths
    from .preparation import Preparer
    from .reading import write_refusals

    check_writable(options.out)
    criteria = Criteria(parse_lengths(options.length), options.max_missing, options.max_gaps)
    clusters = read_clusters(options.clusters) if options.clusters else None
    preparer = Preparer(criteria, clusters, options.cluster_key, options.pdb_model)
    preparer.read_all(options.paths, progress=True)
    for refusal in preparer.refused:
        _say(f"refused: {refusal}")
    result = preparer.finish()
    for remark in result.remarks:
        _say(f"note: {remark}")
    table = options.out.with_suffix(".refused.tsv")
    write_refusals(table, [*result.refused, *result.duplicates])
    save_chains(options.out, result.chains)
    lengths = result.chains.lengths
    _say(
        f"wrote {options.out}: {len(result.chains)} chains of {int(lengths.min())}-"
        f"{int(lengths.max())} residues in {len(set(result.chains.clusters))} clusters "
        f"({result.unclustered} chains without a given one)"
    )
    _say(
        f"left out {len(result.refused)} refused and {len(result.duplicates)} of known "
        f"sequence: {table}"
    )


def _say(message: str) -> None:
    import sys

    print(message, file=sys.stderr)  # noqa: T201  # a message
