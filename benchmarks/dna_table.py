r"""The table of DNA generators: baselines, methods, strengths of guidance, judged alike.

Rows: real sequences of the training chromosomes (what a perfect model would score), uniform
random bases, a positional weight matrix, an order-5 Markov chain, and each generator at each
strength. All rows have the same number of sequences; the reference is the held-out test set.
Frechet distances are in the embeddings of an oracle that saw neither training nor test set.
Bits per base are those of the test set under the model, for autoregression, the Markov chain
and the matrix exactly, for masked, uniform and metric flow an upper bound.
Rows are kept in a JSON file beside the table, and a later call adds those that are missing.

    python benchmarks/dna_table.py --files ctcf=ctcf.fa.gz pu1=pu1.fa.gz \
        --train chr2 chr4 ... --test chr1 --oracle ctcf-pu1-oracle \
        --generators dirichlet=ctcf-pu1 linear=runs/... --guidance 0 1 2 3 --num 2000

Other ways to steer are other rows, by a call of their own with another name of the generator:
``--generators "uniform, kernel=runs/..." --combine kernel``.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from dna.cli import COMBINE, GUIDE_FORM, read_steering
from dna.composition import kmer_distance
from dna.datasets import labels_of, read_records, select
from dna.generation import generate
from dna.judge import Judge, format_table, load_judge, with_references
from dna.likelihood import BOUNDED, bits_of, bits_per_base
from dna.markov import fit_markov
from dna.models import Generator, load_generator
from dna.plots import FrontierPoint, plot_frontier
from dna.positional import fit_positional
from dna.settings import DataSettings, TableSettings
from dna.steering import ByPredictions, Steering
from seqflow.files import replacing

Row = dict[str, float]


def main() -> None:
    """Make the table and its pictures."""
    options = parse()
    source = (
        {"table": TableSettings(path=options.table)}
        if options.table
        else {"files": dict(word.split("=", 1) for word in options.files)}
    )
    records = read_records(DataSettings(**source, train=options.train))
    train, test = (
        select(records, groups, key=key)
        for groups, key in ((options.train, "--train"), (options.test, "--test"))
    )
    labels = options.labels or labels_of(records)
    tests = {label: test.with_label(label).tokens for label in labels}
    judge = with_references(load_judge(options.oracle, tests), tests)
    cache = options.out.with_suffix(".json")
    kept = json.loads(cache.read_text()) if cache.exists() else {}
    sections = {
        label: Section(
            judge,
            label,
            train.with_label(label).tokens,
            tests[label],
            options,
            kept.get(label, {}),
        )
        for label in labels
    }
    for section in sections.values():
        section.baselines()
    for word in options.generators:
        for section in sections.values():
            section.generator(*word.split("=", 1))
            write(sections, options)


class Section:
    """The rows of one class."""

    def __init__(
        self,
        judge: Judge,
        label: str,
        train: Tensor,
        test: Tensor,
        options: argparse.Namespace,
        rows: dict[str, Row],
    ) -> None:
        self.judge, self.label, self.options = judge, label, options
        self.train, self.test, self.rows = train, test, rows

    def add(
        self, name: str, draw: Callable[[], Tensor], bits: Callable[[Tensor], float] | None = None
    ) -> None:
        """Judge one set of sequences and what test sequences cost, if not in the table yet."""
        if name not in self.rows:
            self.rows[name] = self.judged(draw)
        row = self.rows[name]
        if bits is not None and "bits" not in row:
            order = torch.randperm(
                len(self.test), generator=torch.Generator().manual_seed(self.options.seed)
            )
            row["bits"] = bits(self.test[order[: self.options.bits_num]])
        print(self.label, name, {k: round(v, 3) for k, v in row.items()}, file=sys.stderr)

    def judged(self, draw: Callable[[], Tensor]) -> Row:
        """The row of one set of sequences."""
        started = time.process_time()
        tokens = draw()
        seconds = time.process_time() - started
        row = self.judge.row(tokens, self.label, self.train)
        row["js 8"] = kmer_distance(tokens, self.test, 8)
        row["CPU s per 1000"] = seconds * 1000 / len(tokens)
        return row

    def baselines(self) -> None:
        """Real sequences, and models that need no network."""
        generator = torch.Generator().manual_seed(self.options.seed)
        num, length = self.options.num, self.train.shape[1]
        order = torch.randperm(len(self.train), generator=generator)[:num]
        shape = (num, length)
        self.add("real, training chromosomes", lambda: self.train[order])
        self.add(
            "uniform random",
            lambda: torch.randint(0, 4, shape, generator=generator),
            lambda _: 2.0,
        )
        matrix, chain = fit_positional(self.train), fit_markov(self.train, order=5)
        self.add(
            "positional weight matrix",
            lambda: matrix.sample(num, generator=generator),
            lambda test: bits_of(matrix.log_likelihood(test), length),
        )
        self.add(
            "Markov chain, order 5",
            lambda: chain.sample(*shape, generator=generator),
            lambda test: bits_of(chain.log_likelihood(test), length),
        )

    def generator(self, name: str, folder: str) -> None:
        """One row for each strength; a guide after a comma: ``name=folder,guide``."""
        folder, _, guide = folder.partition(",")
        model = load_generator(folder)
        for strength in self.options.guidance:
            if guide and strength == 0:  # the same samples as without the guide
                continue
            steering = read_steering(
                strength, self.options.combine, guide, self.options.guide_form
            )
            draw = functools.partial(
                generate,
                model,
                self.label,
                self.options.num,
                steering=steering,
                steps=None if model.spec.method == "autoregressive" else self.options.steps,
                seed=self.options.seed,
                batch_size=self.options.batch_size,
                progress=True,
            )
            self.add(f"{name}, guidance {strength:g}", draw, self.bits(model, steering))

    def bits(self, model: Generator, steering: Steering) -> Callable[[Tensor], float] | None:
        """What test sequences cost a base, for the methods and steerings with a bound."""
        if model.spec.method not in BOUNDED or not isinstance(steering, ByPredictions):
            return None
        return functools.partial(self.bound, model, steering)

    def bound(self, model: Generator, steering: ByPredictions, test: Tensor) -> float:
        """Bits per base of test sequences."""
        return bits_per_base(
            model,
            test,
            self.label,
            steering=steering,
            num_draws=2 if model.spec.method == "autoregressive" else self.options.bits_draws,
            seed=self.options.seed,
            batch_size=self.options.batch_size,
        ).bits


def write(sections: dict[str, Section], options: argparse.Namespace) -> None:
    """The tables so far, and the frontier of every generator."""
    command = shlex.join(["python", "benchmarks/dna_table.py", *map(short, sys.argv[1:])])
    lines = [
        f"# {options.title}",
        "",
        f"{options.num} sequences a row, seed {options.seed}, {options.steps} steps, one seed "
        f"of training; test: {' '.join(options.test)}.",
        "",
    ]
    for label, section in sections.items():
        lines += [f"## {label}", "", format_table(section.rows), ""]
    lines += ["```", command, "```", ""]
    with replacing(options.out) as path:
        path.write_text("\n".join(lines), encoding="utf-8")
    with replacing(options.out.with_suffix(".json")) as path:
        path.write_text(json.dumps({label: section.rows for label, section in sections.items()}))
    for word in options.generators:
        name = word.partition("=")[0]
        curves = {
            label: [
                FrontierPoint(w, section.rows[key]["success"], section.rows[key]["frechet"])
                for w in options.guidance
                if (key := f"{name}, guidance {w:g}") in section.rows
            ]
            for label, section in sections.items()
        }
        if not all(curves.values()):  # not there yet
            continue
        references = {
            row: {
                label: (section.rows[row]["success"], max(section.rows[row]["frechet"], 1e-3))
                for label, section in sections.items()
            }
            for row in ("real, training chromosomes", "Markov chain, order 5")
        }
        picture = options.out.with_name(f"{options.out.stem}_{name.replace(' ', '_')}.png")
        plot_frontier(picture, curves, references=references, title=f"{name}: guidance")


def short(word: str) -> str:
    """A word of the command line with file names instead of paths."""
    key, equals, value = word.rpartition("=")
    return f"{key}{equals}{os.path.basename(value) if value.startswith(('/', '..')) else value}"


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--files", nargs="+", default=[], metavar="LABEL=FILE")
    add("--table", type=Path, help="CSV with columns sequence and label, instead of --files")
    add("--labels", nargs="+", help="classes to report (default: all)")
    add("--train", nargs="+", required=True, help="groups of the generators and baselines")
    add("--test", nargs="+", required=True, help="groups of the reference")
    add("--oracle", required=True)
    add("--generators", nargs="+", default=[], metavar="NAME=MODEL[,GUIDE]")
    add("--combine", choices=COMBINE, help="as in seqflow dna sample, for these generators")
    add("--guide-form", choices=GUIDE_FORM, help="idem, where they have a guide")
    add("--guidance", nargs="+", type=float, default=[0.0, 1.0, 2.0, 3.0, 4.0, 8.0])
    add("--num", type=int, default=2000)
    add("--steps", type=int, default=50)
    add("--batch-size", type=int, default=64)
    add("--seed", type=int, default=0)
    add("--bits-num", type=int, default=500, help="test sequences for bits per base")
    add("--bits-draws", type=int, default=16, help="times for each of them")
    add("--title", default="DNA generators")
    add("--out", type=Path, required=True, help="Markdown file")
    return parser.parse_args()


if __name__ == "__main__":
    main()
