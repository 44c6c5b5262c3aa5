"""``seqflow proteins``: prepare, train, rectify, sample, evaluate.

Imports torch only when a verb runs.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .evaluation import Judge

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
_TRAIN = """\
examples:
  seqflow proteins train configs/proteins/base.yaml data.path=chains.safetensors
  seqflow proteins train configs/proteins/base.yaml training.steps=500 out=runs/mine

Interrupted? Run the same command again: training goes on where it stopped, bit for bit.
The folder `out` then holds config.yaml and model.safetensors (the model), training.png (its
curves), parts/ (the chains learned, those it was judged by and those kept for tests) and
training_state.safetensors (to go on from; delete it when done).
"""
_RECTIFY = """\
examples:
  seqflow proteins rectify configs/proteins/rectified.yaml model=runs/proteins/base
  seqflow proteins rectify configs/proteins/rectified.yaml model=runs/proteins/base --num 4000
  seqflow proteins rectify configs/proteins/rectified.yaml model=runs/proteins/base --until filter

Makes a model that needs fewer steps, in three steps of which each leaves its result in `out`:
  pairs   backbones of the model, with the noise that each came from: pairs.safetensors
  filter  pairs whose backbone is plausible are kept, and it is said why others are not: pairs.csv
  model   the model goes on learning, from these pairs: config.yaml, model.safetensors
Interrupted? Run the same command again. With a larger --num it makes the pairs that are missing,
but a model that has begun to learn from fewer has to be given another folder.
"""
_SAMPLE = """\
examples:
  seqflow proteins sample --length 64-100 --num 8 --steps 20 --seed 0 --out samples
  seqflow proteins sample --model runs/proteins/base --length 80 --format cif --out samples

Writes a structure file each, metrics.csv, ramachandran.png, distance_maps.png and
backbones.html (open it in a browser; it needs no network), and a summary to stdout. The same
seed gives the same backbones, whatever the batch size.
"""
_EVALUATE = """\
examples:
  seqflow proteins evaluate samples
  seqflow proteins evaluate samples --reference runs/proteins/base/parts/test.safetensors
  seqflow proteins evaluate samples --training runs/proteins/base/parts/train.safetensors
  seqflow proteins evaluate mine.pdb --pictures pictures
  seqflow proteins evaluate samples --mpnn
  seqflow proteins evaluate samples --fold-command 'esm-fold -i {fasta} -o {out}' --designs 8

Reads PDB and mmCIF files, folders of them, and files of `prepare`. `plausible` is the share of
chains whose bonds, angles, shape and secondary structure are all within the limits of real
ones; it says nothing of sequences, and is no designability. Judges from outside stand beside it:
--mpnn, the entropy of what ProteinMPNN thinks the residues are (nats; real chains have less than
most wrong ones, mirror images less still, so see the share of glycine too), and --fold-command, a
program that turns a FASTA file into a folder of structures named after its records. It is given
sequences that ProteinMPNN designed; of each chain's the best is compared, by the root mean square
distance of CA (fold_ca_rmsd) and by the mean (fold_ca_mean_dist), which many papers call RMSD.
Both need: pip install 'seqflow[mpnn]'
"""

_PAIR_OPTIONS = {
    "num": "how many pairs, short for pairs.num=N",
    "length": "their residues",
    "steps": "of the sampler",
    "seed": "of their noise",
    "batch-size": "chains at once",
}


def add_commands(parser: argparse.ArgumentParser) -> None:
    """Add the verbs of this domain; see `seqflow.cli` for the contract."""
    parser.description = "Protein backbones: read them, learn them, make them, judge them."
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    _add_prepare(
        verbs.add_parser("prepare", help="read structures into one file", epilog=_PREPARE)
    )
    _add_train(verbs.add_parser("train", help="train a generator", epilog=_TRAIN))
    _add_rectify(
        verbs.add_parser("rectify", help="make a generator need fewer steps", epilog=_RECTIFY)
    )
    _add_sample(verbs.add_parser("sample", help="make backbones", epilog=_SAMPLE))
    _add_evaluate(verbs.add_parser("evaluate", help="judge backbones", epilog=_EVALUATE))


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


def _add_train(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("config", type=Path, metavar="CONFIG.yaml", help="what to train, and how")
    verb.add_argument(
        "overrides", nargs="*", metavar="key=value", help="replace a setting, as in out=runs/mine"
    )
    verb.add_argument("--device", default="auto", help="auto (default), cpu, cuda, ...")
    verb.set_defaults(handler=run_train)


def _add_rectify(verb: argparse.ArgumentParser) -> None:
    add = verb.add_argument
    add("config", type=Path, metavar="CONFIG.yaml", help="which model to rectify, and how")
    add("overrides", nargs="*", metavar="key=value", help="replace a setting, as in out=runs/mine")
    for name, what in _PAIR_OPTIONS.items():
        add(f"--{name}", metavar="N" if name != "length" else "L|A-B", help=what)
    add("--until", choices=("pairs", "filter", "model"), default="model", help="stop after a step")
    add("--device", default="auto", help="auto (default), cpu, cuda, ...")
    verb.set_defaults(handler=run_rectify)


def _add_sample(verb: argparse.ArgumentParser) -> None:
    add = verb.add_argument
    add("--model", help="folder of a model, or a bundled one by name (default: backbones)")
    add("--num", type=int, default=8, help="how many backbones (default: 8)")
    add("--length", metavar="L|A-B", help="residues (default: as trained)")
    add("--steps", type=int, help="of the sampler, a prediction each (default: the model's)")
    add("--seed", type=int, default=0, help="(default: 0)")
    add("--batch-size", type=int, default=16, help="backbones at once (default: 16)")
    add("--device", default="auto", help="auto (default), cpu, cuda, ...")
    add("--format", choices=("pdb", "cif"), default="pdb", help="of structures (default: pdb)")
    add("--out", type=Path, required=True, metavar="DIR", help="folder to write to")
    verb.set_defaults(handler=run_sample)


def _add_evaluate(verb: argparse.ArgumentParser) -> None:
    add = verb.add_argument
    add("paths", nargs="+", type=Path, metavar="FILE|DIR", help="structures, or files of chains")
    add("--reference", nargs="+", type=Path, metavar="FILE|DIR", help="real ones, to see beside")
    add("--training", nargs="+", type=Path, metavar="FILE|DIR", help="find the nearest of these")
    add("--pictures", type=Path, metavar="DIR", help="also write pictures and the page")
    add("--mpnn", action="store_true", help="ask ProteinMPNN, too")
    add("--fold-command", metavar="CMD", help="fold designs, with {fasta} and {out} in CMD")
    add("--designs", type=int, default=8, help="sequences a chain to fold (default: 8)")
    add("--seed", type=int, default=0, help="of the designs (default: 0)")
    add("--out", type=Path, metavar="FILE", help="CSV of every chain (summary to stdout)")
    verb.set_defaults(handler=run_evaluate)


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


def run_train(options: argparse.Namespace) -> None:
    """Train a generator."""
    from seqflow.settings import load_settings

    from .settings import GeneratorSettings
    from .training import train_generator

    settings = load_settings(GeneratorSettings, options.config, options.overrides)
    train_generator(settings, device=options.device)
    _say(f"wrote {settings.out}; try: seqflow proteins sample --model {settings.out} --out DIR")


def run_rectify(options: argparse.Namespace) -> None:
    """Make a generator need fewer steps."""
    from seqflow.settings import load_settings

    from .rectification import rectify
    from .rectification_settings import RectificationSettings

    keys = [name.replace("-", "_") for name in _PAIR_OPTIONS]
    given = [(key, getattr(options, key)) for key in keys if getattr(options, key) is not None]
    words = [*options.overrides, *(f"pairs.{key}={value}" for key, value in given)]
    settings = load_settings(RectificationSettings, options.config, words)
    rectify(settings, until=options.until, device=options.device)
    if options.until == "model":
        _say(
            f"wrote {settings.out}; try: seqflow proteins sample --model {settings.out} --out DIR"
        )


def run_sample(options: argparse.Namespace) -> None:
    """Make backbones."""
    from .evaluation import ca_traces, format_summary, measure_backbone, summarise
    from .generation import draw_lengths, generate
    from .lengths import parse_lengths
    from .models import DEFAULT_GENERATOR, load_generator
    from .report import make_folder, write_report
    from .writing import write_structure

    generator = load_generator(options.model or DEFAULT_GENERATOR)
    lengths = draw_lengths(
        parse_lengths(options.length or generator.spec.length), options.num, options.seed
    )
    make_folder(options.out)
    backbones = generate(
        generator,
        lengths,
        steps=options.steps,
        seed=options.seed,
        batch_size=options.batch_size,
        device=options.device,
        progress=True,
    )
    for one in backbones:
        write_structure(options.out / f"{one.name}.{options.format}", one)
    rows = [measure_backbone(one) for one in backbones]
    write_report(options.out, backbones, rows)
    print(format_summary({"samples": summarise(rows, ca_traces(backbones))}))  # noqa: T201  # the result
    _say(f"wrote {options.num} backbones to {options.out}; see {options.out / 'backbones.html'}")


def run_evaluate(options: argparse.Namespace) -> None:
    """Judge backbones."""
    from seqflow.files import check_writable

    from .evaluation import (
        ca_traces,
        format_summary,
        measure_all,
        read_backbones,
        summarise,
        write_rows,
    )
    from .report import write_report

    if options.out:
        check_writable(options.out)
    judges = _judges(options)
    sets = {"given": options.paths, "reference": options.reference, "training": options.training}
    read = {name: read_backbones(paths) for name, paths in sets.items() if paths}
    for _, refused in read.values():
        for each in refused:
            _say(f"refused: {each}")
    training = ca_traces(read.pop("training")[0]) if options.training else []
    rows = {
        name: measure_all(backbones, training, judges) for name, (backbones, _) in read.items()
    }
    summaries = {name: summarise(rows[name], ca_traces(read[name][0])) for name in rows}
    if options.out:
        write_rows(options.out, rows["given"])
        _say(f"wrote {options.out}")
    if options.pictures:
        write_report(options.pictures, read["given"][0], rows["given"])
        _say(f"wrote pictures to {options.pictures}")
    print(format_summary(summaries))  # noqa: T201  # the result


def _judges(options: argparse.Namespace) -> list[Judge]:
    """The programs from outside that are asked for."""
    if not (options.mpnn or options.fold_command):
        return []
    from functools import partial

    from .folding import FoldCommand, refolding_measures
    from .inverse_folding import InverseFolding, sequence_measures

    fold = FoldCommand(options.fold_command) if options.fold_command else None
    designer = InverseFolding()
    judges: list[Judge] = [partial(sequence_measures, designer)] if options.mpnn else []
    if fold is not None:
        how = {"designs": options.designs, "seed": options.seed}
        judges.append(partial(refolding_measures, fold, designer, **how))
    return judges


def _say(message: str) -> None:
    import sys

    print(message, file=sys.stderr)  # noqa: T201  # a message
