"""Held-out likelihood on the earth sets and RNA torsions: kernels and flows, five seeds.

    python benchmarks/earth_table.py DATA --rows runs/earth_rows.json       # run, or go on
    python benchmarks/earth_table.py DATA --rows runs/earth_rows.json --table  # what is there

DATA is a folder with volcano.csv, earthquake.csv, flood.csv, fire.csv (latitude, longitude)
and rna_torsions.tsv (seven angles in columns 3-9). Splits 80/10/10 by seed. Methods:

    one width       a kernel density, its width chosen on the validation points
    scale mixture   ten widths, weights by expectation maximisation on the validation points
    spikes          half the scale mixture, half kernels of 6e-3 degrees (kappa = 1e8): what a
                    density gains by mere repetition of training points
    local kernels   kernels of the shape of their neighbourhood and round ones, fitted on the
                    training points
    flow            Riemannian flow matching from the uniform law, on smoothed training points and
                    pooled targets
    kernel flow     flow matching from the local kernels; its field times 0, 1/4, 1/2 or 1, as the
                    validation points choose
    flow + kernels  the mixture of flow and local kernels, its weight by expectation maximisation
                    on the validation points

Nothing in a row is fitted on its test points. Every finished row is in the file, so a stopped
run goes on.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from geometry import Sphere
from seqflow.batches import Augmentation
from seqflow.files import replacing
from seqflow.likelihood.ode import log_likelihood
from seqflow.networks import MLP, FeatureGrid
from seqflow.objectives import FlowMatching, Objective
from seqflow.points.datasets import read_points, split_points
from seqflow.points.kernels import CONCENTRATIONS, fit_weights, log_scales, mix
from seqflow.points.local_kernels import LocalKernels, fit_local_kernels
from seqflow.points.responsibilities import responsible_kernels
from seqflow.points.spaces import SphereSpace, TorusSpace
from seqflow.points.strength import best_strength
from seqflow.points.training import Smoothing, rows_of
from seqflow.pooled_targets import PooledFlowMatching
from seqflow.riemannian import VelocityFlow
from seqflow.schedules import ExponentialSchedule
from seqflow.solvers import FixedSteps
from seqflow.training import TrainingModule, TrainingSettings, fit, seeded

EARTH = ("volcano", "earthquake", "flood", "fire")
FILES: dict[str, Any] = {name: (f"{name}.csv", SphereSpace(), [0, 1]) for name in EARTH}
FILES["rna"] = ("rna_torsions.tsv", TorusSpace(dim=7), list(range(2, 9)))
# As published for Riemannian flow matching, from memory; raw sets.
PUBLISHED = {"volcano": -7.93, "earthquake": -0.28, "flood": 0.42, "fire": -1.86, "rna": -5.20}
KINDS = ("raw", "dedup")
METHODS = (
    "one width",
    "scale mixture",
    "spikes",
    "local kernels",
    "flow",
    "kernel flow",
    "flow + kernels",
)
SPIKE = 1e8
LEVELS = 8
DEFAULT_STEPS, KERNEL_STEPS, ODE_STEPS = 2000, 500, 16


class Row:
    """One set, split once; fitted parts are made when first asked for."""

    def __init__(self, folder: Path, name: str, deduplicate: bool, seed: int, steps: int) -> None:
        file, space, columns = FILES[name]
        points = read_points(folder / file, space, columns, deduplicate=deduplicate).points
        self.exact = vars(split_points(points, seed))
        self.parts = {key: part.float() for key, part in self.exact.items()}
        self.manifold, self.seed, self.steps = space.manifold(), seed, steps

    def run(self, method: str) -> dict[str, float]:
        """The numbers of one method."""
        found: dict[str, float] = getattr(self, method.replace(" + ", "_and_").replace(" ", "_"))()
        return found

    @cached_property
    def scales(self) -> dict[str, Tensor]:
        """Log densities of the ten widths, each alone, ``(N, 10)``."""
        kappa = torch.tensor(CONCENTRATIONS, dtype=torch.float64)
        return {
            key: log_scales(self.manifold, self.exact["train"], kappa, self.exact[key])
            for key in ("validation", "test")
        }

    @cached_property
    def scale_values(self) -> Tensor:
        """Log density of the test points under the scale mixture."""
        return mix(self.scales["test"], fit_weights(self.scales["validation"]))

    @cached_property
    def kernels(self) -> LocalKernels:
        """Fitted on the training points."""
        return fit_local_kernels(self.manifold, self.parts["train"])

    @cached_property
    def flow_values(self) -> dict[str, Tensor]:
        """Log densities of the flow from the uniform law."""
        process = VelocityFlow(self.manifold, schedule=ExponentialSchedule(5.0))
        network = self.train(
            PooledFlowMatching(process), Smoothing(self.kernels), self.steps, self.fine_network
        )
        return {key: self.log_likelihood(process, network, key) for key in ("validation", "test")}

    def fine_network(self) -> MLP:
        """With a grid on the globe; seven angles have none."""
        if self.manifold != Sphere(2):
            return MLP(self.manifold, 128, 2, num_frequencies=2)
        grid = FeatureGrid(self.manifold, LEVELS)
        return MLP(self.manifold, 128, 2, num_frequencies=3, grid=grid)

    def small_network(self) -> MLP:
        """For what a prior gets wrong."""
        return MLP(self.manifold, 64, 2, num_frequencies=2)

    def one_width(self) -> dict[str, float]:
        """A kernel density."""
        best = self.scales["validation"].mean(0).argmax()
        return {"nll": nll(self.scales["test"][:, best])}

    def scale_mixture(self) -> dict[str, float]:
        """Ten widths."""
        return {"nll": nll(self.scale_values)}

    def spikes(self) -> dict[str, float]:
        """Half the scale mixture, half spikes, and how many test points were trained on."""
        train, test = self.exact["train"], self.exact["test"]
        spike = log_scales(self.manifold, train, torch.tensor([SPIKE]).double(), test)
        parts = torch.stack([self.scale_values, spike[:, 0]], 1)
        seen = (test.unsqueeze(1) == train).all(-1).any(1).double().mean()
        return {"nll": nll(mix(parts, torch.tensor([0.5, 0.5]))), "seen": float(seen)}

    def local_kernels(self) -> dict[str, float]:
        """Kernels of the shape of their neighbourhood, and round ones."""
        return {"nll": nll(self.kernels.log_prob(self.parts["test"]))}

    def flow(self) -> dict[str, float]:
        """From the uniform law, on smoothed points."""
        return {"nll": nll(self.flow_values["test"])}

    def flow_and_kernels(self) -> dict[str, float]:
        """The mixture of flow and local kernels."""
        both = {
            key: torch.stack([value, self.kernels.log_prob(self.parts[key])], 1)
            for key, value in self.flow_values.items()
        }
        weights = fit_weights(both["validation"])
        return {"nll": nll(mix(both["test"], weights)), "share of flow": float(weights[0])}

    def kernel_flow(self) -> dict[str, float]:
        """From the local kernels."""
        process = VelocityFlow(self.manifold, self.kernels)
        objective = FlowMatching(process, coupling=responsible_kernels(self.kernels))
        network = self.train(objective, None, KERNEL_STEPS, self.small_network)
        strength = best_strength(process, network, self.parts["validation"])
        value = self.log_likelihood(process, network.scaled(strength), "test")
        return {"nll": nll(value), "strength": strength}

    def train(
        self,
        objective: Objective,
        augment: Augmentation | None,
        steps: int,
        make: Callable[[], MLP],
    ) -> Any:
        """A trained network; its weights are averages."""
        settings = TrainingSettings(
            steps=steps,
            batch_size=512,
            learning_rate=5e-3,
            validate_every=steps,
            checkpoint_every=steps,
            seed=self.seed,
        )
        with seeded(self.seed):
            network = make()
        module = TrainingModule(
            network,
            objective,
            rows_of(self.parts["train"], settings.batch_size),
            settings=settings,
            augment=augment,
        )
        with tempfile.TemporaryDirectory() as folder:
            return fit(module, Path(folder), device="cpu", progress=False)

    def log_likelihood(self, process: VelocityFlow, predictor: Any, key: str) -> Tensor:
        """Of each point of one part."""
        return log_likelihood(
            process, predictor, self.parts[key], integrator=FixedSteps(ODE_STEPS)
        )


def nll(log_density: Tensor) -> float:
    """Minus the mean."""
    return -float(log_density.mean())


def tasks(options: argparse.Namespace) -> Iterator[tuple[str, bool, int, list[str]]]:
    """Names of the rows, in an order in which the cheap ones come first."""
    chosen = [method for method in METHODS if method in options.methods]
    cheap = [method for method in chosen if "flow" not in method]
    for group in (cheap, [method for method in chosen if method not in cheap]):
        for seed in options.seeds:
            for name in options.sets:
                for deduplicate in (False, True):
                    if deduplicate and name == "rna":  # it has no duplicates
                        continue
                    if group and (name == "rna" or KINDS[deduplicate] in options.kinds):
                        yield name, deduplicate, seed, group


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Fill in the rows that are missing."""
    rows: dict[str, Any] = {}
    if options.rows.exists():
        rows = json.loads(options.rows.read_text())
    for name, deduplicate, seed, methods in tasks(options):
        kind = KINDS[deduplicate]
        keys = {method: f"{name}/{kind}/{seed}/{method}" for method in methods}
        if all(key in rows for key in keys.values()):
            continue
        row = Row(options.data, name, deduplicate, seed, options.steps)
        for method, key in keys.items():
            if key in rows:
                continue
            started = time.process_time()
            rows[key] = row.run(method) | {"steps": options.steps}
            rows[key]["cpu seconds"] = round(time.process_time() - started, 1)
            with replacing(options.rows) as path:
                path.write_text(json.dumps(rows, indent=1))
            print(key, rows[key], file=sys.stderr, flush=True)
    return rows


def table(rows: dict[str, Any], sets: list[str]) -> str:
    """Markdown: mean and deviation over the seeds that are there."""
    lines = [f"| set | {' | '.join(METHODS)} | published |", "| --- " * (len(METHODS) + 2) + "|"]
    for name in sets:
        for kind in KINDS:
            found = [
                [row["nll"] for key, row in rows.items() if fits(key, name, kind, method)]
                for method in METHODS
            ]
            if any(found):
                last = f"{PUBLISHED[name]:.2f}" if kind == "raw" else ""
                cells = " | ".join(map(cell, found))
                lines.append(f"| {name}, {kind} | {cells} | {last} |")
    return "\n".join(lines)


def fits(key: str, name: str, kind: str, method: str) -> bool:
    """Whether a row is one of these, whatever its seed."""
    own_name, own_kind, _, own_method = key.split("/")
    return (own_name, own_kind, own_method) == (name, kind, method)


def cell(values: list[float]) -> str:
    """Mean and deviation."""
    if not values:
        return ""
    x = torch.tensor(values, dtype=torch.float64)
    spread = f" ± {x.std(correction=0):.2f}" if len(x) > 1 else ""
    return f"{x.mean():.2f}{spread}" + (f" (n={len(x)})" if len(x) < 5 else "")


def main() -> None:
    """Run, or print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder of the sets")
    parser.add_argument("--rows", type=Path, default=Path("runs/earth_rows.json"))
    parser.add_argument("--sets", nargs="+", choices=tuple(FILES), default=list(FILES))
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--seeds", nargs="+", type=int, default=list(range(5)))
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--steps", type=int, default=DEFAULT_STEPS, help="of training")
    parser.add_argument("--table", action="store_true", help="print what is there, and stop")
    options = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    options.rows.parent.mkdir(parents=True, exist_ok=True)
    rows = json.loads(options.rows.read_text()) if options.table else run(options)
    print(table(rows, options.sets))


if __name__ == "__main__":
    main()
