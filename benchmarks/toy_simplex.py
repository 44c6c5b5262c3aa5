"""The toy of the Dirichlet paper: how well four tokens are learned as their alphabet grows.

    python benchmarks/toy_simplex.py --out docs/results/toy_simplex.md

Four independent positions, each with its own law pi = softmax(u), u uniform in [0, 1)^K. A
small residual network is trained on one path or the other with the same budget, samples are
drawn, and the Kullback-Leibler divergence of their frequencies from pi is averaged over the
positions. The plug-in estimate has a floor of (K - 1)/(2 N), which is taken off. Predictors:

    exact      Bayes' posterior softmax(evidence + ln pi); only the sampler can err
    raw        logits = network(x_t, t), the published set-up
    evidence   logits = evidence + network(softmax(evidence), t)

Source: Stark et al. 2024, "Dirichlet Flow Matching with Applications to DNA Sequence Design",
section 4.1. Network, budget and number of samples are smaller here, and stated.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from seqflow.dirichlet import DirichletFlow
from seqflow.process import CategoricalProcess
from seqflow.simplex import LinearFlow

LENGTH, WIDTH, BLOCKS, BATCH, RATE = 4, 128, 3, 256, 2e-3
STEPS = 100  # of the sampler
CHUNK = 1 << 18  # numbers in the state of one chunk of samples

PROCESSES: dict[str, Callable[[int], CategoricalProcess]] = {
    "linear": LinearFlow,
    "Dirichlet": DirichletFlow,
}
Predictor = Callable[[Tensor, Tensor], Tensor]


class Network(nn.Module):
    """A residual perceptron over all positions: (batch, 4, K) and t to logits (batch, 4, K)."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.shape = (LENGTH, num_classes)
        self.frequencies = math.pi * 2.0 ** torch.arange(5)
        self.first = nn.Linear(LENGTH * num_classes + 11, WIDTH)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.LayerNorm(WIDTH), nn.Linear(WIDTH, WIDTH), nn.SiLU(), nn.Linear(WIDTH, WIDTH)
            )
            for _ in range(BLOCKS)
        )
        head = nn.Linear(WIDTH, LENGTH * num_classes)
        nn.init.zeros_(head.weight)
        self.last = nn.Sequential(nn.LayerNorm(WIDTH), head)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """Logits of the clean tokens."""
        angles = t[:, None] * self.frequencies
        h = self.first(torch.cat([x.flatten(1), t[:, None], angles.sin(), angles.cos()], -1))
        for block in self.blocks:
            h = h + block(h)
        logits: Tensor = self.last(h).unflatten(-1, self.shape)
        return logits


def predictor(kind: str, process: CategoricalProcess, network: nn.Module) -> Predictor:
    """Logits of p(x_1 | x_t) from a network, as ``kind`` says."""

    def raw(x_t: Tensor, t: Tensor) -> Tensor:
        logits: Tensor = network(x_t, t)
        return logits

    def with_evidence(x_t: Tensor, t: Tensor) -> Tensor:
        evidence = process.evidence(x_t, t)
        logits: Tensor = network(evidence.softmax(-1), t)
        return evidence + logits

    return {"raw": raw, "evidence": with_evidence}[kind]


def target(num_classes: int, seed: int) -> Tensor:
    """The law of each position, (4, K)."""
    u = torch.rand(LENGTH, num_classes, generator=torch.Generator().manual_seed(seed))
    return u.double().softmax(-1)


def train(kind: str, process: CategoricalProcess, pi: Tensor, budget: int, seed: int) -> Predictor:
    """Adam on the cross-entropy for ``budget`` batches, its rate falling linearly to zero."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    network = Network(process.num_classes)
    predict = predictor(kind, process, network)
    optimizer = torch.optim.Adam(network.parameters(), lr=RATE, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda i: 1 - i / budget)
    for _ in range(budget):
        x_1 = torch.multinomial(pi, BATCH, replacement=True, generator=generator).T
        t = torch.rand(BATCH, generator=generator)
        x_t, tokens = process.corrupt(x_1, t, generator=generator)
        loss = process.loss(predict(x_t, t), tokens, t).mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    return predict


@torch.no_grad()
def sample(process: CategoricalProcess, predict: Predictor, num: int, seed: int) -> Tensor:
    """Counts of the tokens drawn at each position, (4, K), with an even grid of t."""
    generator, K = torch.Generator().manual_seed(seed), process.num_classes
    counts = torch.zeros(LENGTH, K, dtype=torch.int64)
    chunk = max(CHUNK // (LENGTH * K), 1)
    for start in range(0, num, chunk):
        batch = min(chunk, num - start)
        x = process.sample_prior((batch, LENGTH), generator=generator)
        dt = torch.full((batch,), 1 / STEPS)
        for i in range(STEPS):
            t = torch.full((batch,), i / STEPS)
            x = process.step(x, predict(x, t), t, dt, generator=generator)
        tokens = process.decode(x)
        counts += torch.stack([torch.bincount(column, minlength=K) for column in tokens.T])
    return counts


def excess(counts: Tensor, pi: Tensor) -> float:
    """Mean over positions of KL(frequencies || pi), less the floor of the estimate."""
    num = int(counts[0].sum())
    frequency = counts / num
    divergence = float(torch.special.xlogy(frequency, frequency / pi).sum(-1).mean())
    return divergence - (pi.shape[-1] - 1) / (2 * num)


def experiment(K: int, arguments: argparse.Namespace) -> list[dict[str, float | str]]:
    """Every path and predictor for one alphabet."""
    num = arguments.samples
    rows: list[dict[str, float | str]] = []
    for name, make in PROCESSES.items():
        process = make(K)
        for kind in ("exact", "raw", "evidence"):
            values, start = [], time.process_time()
            for seed in range(arguments.seeds):
                pi = target(K, seed)
                if kind == "exact":
                    log_pi = pi.log().float()
                    predict: Predictor = lambda x, t: process.evidence(x, t) + log_pi  # noqa: B023, E731
                else:
                    predict = train(kind, process, pi, arguments.budget, seed)
                values.append(excess(sample(process, predict, num, seed), pi))
            rows.append(
                {
                    "K": K,
                    "path": name,
                    "predictor": kind,
                    "samples": num,
                    "excess": statistics.mean(values),
                    "low": min(values),
                    "high": max(values),
                    "noise": math.sqrt((K - 1) / 2 / LENGTH / arguments.seeds) / num,
                    "seconds": time.process_time() - start,
                }
            )
            print(rows[-1], flush=True)
    return rows


def report(rows: list[dict[str, float | str]], arguments: argparse.Namespace) -> str:
    """The page of results."""
    lines = [
        "# Toy: four tokens on the simplex, by size of the alphabet",
        "",
        "Excess Kullback-Leibler divergence of the sampled frequencies from the target, in nats,",
        "over the floor (K - 1)/(2 N) of the estimate; mean of four positions and "
        f"{arguments.seeds} seeds",
        "(target, network and samples change with the seed), lowest and highest seed in brackets.",
        "Noise is the standard error that sampling alone gives an excess of zero.",
        "",
        "    python benchmarks/toy_simplex.py "
        f"--budget {arguments.budget} --seeds {arguments.seeds} --samples {arguments.samples}",
        "",
        f"Budget of every trained row: {arguments.budget} batches of {BATCH}, Adam at {RATE} "
        "falling to 0,",
        f"residual perceptron of width {WIDTH} with {BLOCKS} blocks; {STEPS} sampler steps; "
        f"one thread, {sum(float(r['seconds']) for r in rows) / 60:.0f} CPU minutes in all.",
        "",
        "| K | samples | noise | predictor | linear | Dirichlet |",
        "|---|---|---|---|---|---|",
    ]
    cells = {
        (
            r["K"],
            r["predictor"],
            r["path"],
        ): f"{r['excess']:.1e} ({r['low']:.0e} .. {r['high']:.0e})"
        for r in rows
    }
    for r in rows:
        if r["path"] == "linear":
            key = (r["K"], r["predictor"])
            lines.append(
                f"| {r['K']} | {r['samples']} | {r['noise']:.0e} | {r['predictor']} "
                f"| {cells[(*key, 'linear')]} | {cells[(*key, 'Dirichlet')]} |"
            )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run, print progress, write the page after each alphabet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--classes", type=int, nargs="+", default=[4, 20, 40, 80, 160])
    parser.add_argument("--budget", type=int, default=1500, help="training batches of a run")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--samples", type=int, default=12_000, help="sequences drawn in a run")
    parser.add_argument("--out", type=Path, default=None, help="where the page goes")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows: list[dict[str, float | str]] = []
    for K in arguments.classes:
        rows += experiment(K, arguments)
        if arguments.out is not None:
            arguments.out.parent.mkdir(parents=True, exist_ok=True)
            arguments.out.write_text(report(rows, arguments))
    print(report(rows, arguments))


if __name__ == "__main__":
    main()
