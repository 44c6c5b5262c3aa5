r"""Backbones of a model and of the rectified one, by the number of steps, beside real chains.

    python benchmarks/rectification.py --models base=runs/proteins/base \
        rectified=runs/proteins/rectified --parts runs/proteins/base/parts \
        --out docs/results/rectification.md

For every model, number of steps and length as many backbones are made and judged by the gate of
`proteins.plausibility`. Beside them: the chains that were kept for tests, one a cluster, and
decoys made of these. Cells are kept in a JSON file beside the page, and a later call adds those
that are missing; a model with other weights is another model.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from plausibility_gate import CLASSES, interval
from torch import Tensor
from tqdm import tqdm

from proteins.backbone import Backbone
from proteins.datasets import Chains, load_chains
from proteins.diversity import mean_pairwise_tm, nearest_training
from proteins.evaluation import ca_traces, measure_backbone
from proteins.generation import generate
from proteins.models import Generator, load_generator
from proteins.pair_generation import weights_digest
from proteins.plausibility import GATE
from seqflow.files import replacing
from seqflow.plots import save_figure

Cell = dict[str, Any]
"""Of a set of chains: how many, how many passed, and of each measure a list with one a chain."""

DECOYS = ("frame noise 0.4 Å, 12°", "mirror image", "shuffled φ, ψ")
MEANS = ("helix", "strand", "gyration", "favoured")


def main() -> None:
    """Fill the cells that are missing and write the page."""
    options = parse()
    torch.set_num_threads(options.threads)
    cache = options.out.with_suffix(".json")
    cells: dict[str, Cell] = json.loads(cache.read_text()) if cache.exists() else {}
    training = ca_traces(backbones_of(load_chains(options.parts / "train.safetensors")))
    todo = [*real_cells(options), *model_cells(options)]
    for key, make in tqdm(todo, desc="cells"):
        if key in cells:
            continue
        began = time.process_time()
        chains = make()
        seconds = time.process_time() - began
        cells[key] = judge(chains, training, options.nearest) | {"seconds": seconds}
        with replacing(cache) as temporary:
            temporary.write_text(json.dumps(cells))
    page = write_page(options, cells)
    with replacing(options.out) as temporary:
        temporary.write_text(page, encoding="utf-8")
    plot(options, cells)
    print(page)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--models", nargs="+", required=True, metavar="NAME=FOLDER")
    add("--parts", type=Path, required=True, metavar="FOLDER", help="left by the training")
    add("--steps", type=int, nargs="+", default=[5, 10, 20, 50, 100])
    add("--lengths", type=int, nargs="+", default=[60, 80, 100])
    add("--num", type=int, default=64, help="backbones a cell (default: 64)")
    add("--nearest", type=int, default=16, help="of a cell, compared with training chains")
    add("--seed", type=int, default=0)
    add("--threads", type=int, default=1)
    add("--out", type=Path, default=Path("docs/results/rectification.md"))
    options = parser.parse_args()
    options.models = dict(word.split("=", 1) for word in options.models)
    return options


def model_cells(options: argparse.Namespace) -> list[tuple[str, Any]]:
    """Keys, and what makes the backbones of each."""
    cells = []
    for folder in options.models.values():
        generator = load_generator(folder)
        for steps in options.steps:
            for length in options.lengths:
                key = cell_key(options, generator, steps, length)
                cells.append((key, Making(generator, steps, length, options)))
    return cells


def cell_key(options: argparse.Namespace, generator: Generator, steps: int, length: int) -> str:
    """What a cell depends on: the weights and how they are asked."""
    sampling = generator.spec.flow.sampling.model_dump_json()
    digest = weights_digest(generator.network)
    return f"{digest} {sampling} {steps} {length} {options.num} {options.seed}"


class Making:
    """The backbones of one cell, when called."""

    def __init__(
        self, generator: Generator, steps: int, length: int, options: argparse.Namespace
    ) -> None:
        self.generator, self.steps, self.options = generator, steps, options
        self.lengths = [length] * options.num

    def __call__(self) -> list[Backbone]:
        """Sampled."""
        seed = self.options.seed
        return generate(self.generator, self.lengths, steps=self.steps, seed=seed)


def real_cells(options: argparse.Namespace) -> list[tuple[str, Any]]:
    """The test part, one chain a cluster, as it is and as decoys."""
    chains = load_chains(options.parts / "test.safetensors")
    first = {cluster: i for i, cluster in reversed(list(enumerate(chains.clusters)))}
    real = backbones_of(chains.select(torch.tensor(sorted(first.values()))))

    def made(name: str) -> list[Backbone]:
        generator = torch.Generator().manual_seed(options.seed)
        return [
            Backbone.from_coordinates(CLASSES[name](one.coordinates, generator), name=one.name)
            for one in real
        ]

    decoys = [(f"{name} {options.seed}", lambda name=name: made(name)) for name in DECOYS]
    return [("real chains", lambda: real), *decoys]


def backbones_of(chains: Chains) -> list[Backbone]:
    """All of them."""
    return [chains[i] for i in range(len(chains))]


def judge(chains: Sequence[Backbone], training: Sequence[Tensor], nearest: int) -> Cell:
    """Every measure of every chain, and what pairs and training chains say."""
    rows = [measure_backbone(one) for one in chains]
    traces = ca_traces(chains)
    names = ["plausible", *(part.name for part in GATE), "helix", "strand"]
    cell: Cell = {name: [round(float(row[name]), 4) for row in rows] for name in names}
    cell["pairwise_tm"] = mean_pairwise_tm(traces)
    cell["nearest_tm"] = [nearest_training(one, training).score for one in traces[:nearest]]
    return cell


def pooled(cells: Sequence[Cell]) -> Cell:
    """Several cells as one; TM-scores of pairs are averaged, as lengths are not mixed."""
    whole: Cell = {}
    for name, first in cells[0].items():
        values = [cell[name] for cell in cells]
        if isinstance(first, list):
            whole[name] = [one for value in values for one in value]
        else:
            known = [value for value in values if value is not None]
            whole[name] = math.fsum(known) / len(known) if known else None
    return whole


def row(name: str, steps: str, cell: Cell) -> str:
    """A line of the main table."""
    passed = torch.tensor(cell["plausible"]).bool()
    parts = [f"{100 * share_within(cell, part.name):.0f}" for part in GATE]
    means = [f"{mean(cell[key]):.2f}" for key in MEANS]
    pairs = "-" if cell["pairwise_tm"] is None else f"{cell['pairwise_tm']:.2f}"
    tm = [pairs, f"{mean(cell['nearest_tm']):.2f}", f"{max(cell['nearest_tm']):.2f}"]
    return "| " + " | ".join([name, steps, interval(passed), *parts, *means, *tm]) + " |"


def share_within(cell: Cell, name: str) -> float:
    """Share of chains within the limits of a component."""
    part = next(one for one in GATE if one.name == name)
    return float(part.within(torch.tensor(cell[name])).double().mean())


def mean(values: Sequence[float]) -> float:
    """Mean of some numbers."""
    return math.fsum(values) / len(values)


def write_page(options: argparse.Namespace, cells: dict[str, Cell]) -> str:
    """The page: main table, and plausibility by length."""
    real, *decoys = (key for key, _ in real_cells(options))
    heads = [part.name for part in GATE]
    head = ["set", "steps", "plausible, % (95%)", *heads, *MEANS]
    head += ["TM of pairs", "nearest TM, mean", "max"]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    lines.append(row("real chains, unseen", "", cells[real]))
    lines += [row(f"decoy: {key.rsplit(' ', 1)[0]}", "", cells[key]) for key in decoys]
    by_length = ["| model | steps | " + " | ".join(map(str, options.lengths)) + " |"]
    by_length.append("|---" * (2 + len(options.lengths)) + "|")
    for name, folder in options.models.items():
        generator = load_generator(folder)
        for steps in options.steps:
            own = [cells[cell_key(options, generator, steps, n)] for n in options.lengths]
            lines.append(row(name, str(steps), pooled(own)))
            shares = " | ".join(f"{100 * mean(cell['plausible']):.0f}" for cell in own)
            by_length.append(f"| {name} | {steps} | {shares} |")
    real_count = len(cells[real]["plausible"])
    title = ["", "Plausible, %, by the number of residues:", ""]
    return "\n".join([*preface(options, real_count), *lines, *title, *by_length, ""])


def preface(options: argparse.Namespace, num_real: int) -> list[str]:
    """What was done, with which command."""
    lengths = ", ".join(map(str, options.lengths))
    return [
        "# Rectified in few steps",
        "",
        f"{options.num} backbones each of {lengths} residues, seed {options.seed}, for every",
        "model and number of steps (one prediction of the network each). Beside them",
        f"{num_real} real chains of 40-100 residues from clusters that were not trained on, one",
        "a cluster, and decoys made of them. Columns from `complete` to `structured`: % of the",
        "chains within the limits of one component of the gate; see",
        "[plausibility](plausibility.md). TM of pairs: mean over pairs of one length. Nearest TM:",
        f"with training chains, of the first {options.nearest} chains of a cell. `plausible` is",
        "no designability: it says nothing of sequences.",
        "",
        f"    {command(options)}",
        "",
        "Weights: " + "; ".join(describe(name, f) for name, f in options.models.items()) + ".",
        "",
    ]


def command(options: argparse.Namespace) -> str:
    """The call that fills the same cells."""
    words = ["python benchmarks/rectification.py --models"]
    words += [f"{name}=FOLDER" for name in options.models]
    words += ["--parts FOLDER --steps", *map(str, options.steps)]
    words += ["--lengths", *map(str, options.lengths), f"--num {options.num}"]
    words += [f"--nearest {options.nearest} --seed {options.seed}"]
    return " ".join(words)


def describe(name: str, folder: str) -> str:
    """Which weights, and how long they were trained."""
    generator = load_generator(folder)
    made = generator.spec.provenance
    return f"{name} {weights_digest(generator.network)}, {made.get('steps')} training steps"


def plot(options: argparse.Namespace, cells: dict[str, Cell]) -> None:
    """Plausibility over the number of steps."""
    figure = Figure(figsize=(5, 3.5), layout="constrained")
    axes = figure.add_subplot()
    for name, folder in options.models.items():
        generator = load_generator(folder)
        means = []
        for steps in options.steps:
            own = [cells[cell_key(options, generator, steps, n)] for n in options.lengths]
            means.append(100 * mean(pooled(own)["plausible"]))
        axes.plot(options.steps, means, marker="o", label=name)
    axes.axhline(100 * mean(cells["real chains"]["plausible"]), color="grey", ls=":", label="real")
    axes.set(xscale="log", xlabel="steps", ylabel="plausible, %", ylim=(0, 100))
    axes.set_xticks(options.steps, labels=list(map(str, options.steps)), minor=False)
    axes.legend()
    save_figure(figure, options.out.with_suffix(".png"), dpi=150)


if __name__ == "__main__":
    main()
