"""Time of everything in a sampling step but the network, against touching the state once.

    python benchmarks/dirichlet_step.py --threads 1

The ratio is to one read and write of the state (a copy), the least any step can cost. Times
are the fastest of many, in milliseconds.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch

from seqflow.dirichlet import DirichletFlow
from seqflow.dirichlet_rate import dirichlet_rate
from seqflow.simplex import LinearFlow

SHAPES = [(64, 500, 4), (512, 4, 160)]


def fastest(function: Callable[[], object], repeats: int) -> float:
    """The shortest of ``repeats`` runs, in milliseconds, after three to warm up."""
    for _ in range(3):
        function()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return 1e3 * min(times)


def measure(shape: tuple[int, int, int], repeats: int) -> list[str]:
    """The rows of the table for one shape."""
    generator = torch.Generator().manual_seed(0)
    batch, length, num_classes = shape
    dirichlet, linear = DirichletFlow(num_classes), LinearFlow(num_classes)
    x = dirichlet.sample_prior((batch, length), generator=generator)
    logits = torch.randn(shape, generator=generator)
    tokens = logits.argmax(-1)
    t, dt = torch.full((batch,), 0.3), torch.full((batch,), 0.01)
    s = dirichlet.dirichlet_time(t)[:, None, None]
    copy = fastest(x.clone, repeats)

    def rate() -> torch.Tensor:
        return dirichlet_rate(x, s, num_classes)

    def step(process: DirichletFlow | LinearFlow) -> Callable[[], torch.Tensor]:
        return lambda: process.step(x, logits, t, dt)

    parts: list[tuple[str, Callable[[], object]]] = [
        ("copy of the state", x.clone),
        ("softmax of torch", lambda: logits.softmax(-1)),
        ("C(x, s)", rate),
        ("C(x, s), compiled", torch.compile(rate)),
        ("Dirichlet step", step(dirichlet)),
        ("Dirichlet step, compiled", torch.compile(step(dirichlet))),
        ("linear step", step(linear)),
        ("linear step, compiled", torch.compile(step(linear))),
        ("Dirichlet corrupt", lambda: dirichlet.corrupt(tokens, t, generator=generator)),
    ]
    rows = []
    for name, function in parts:
        milliseconds = fastest(function, repeats)
        rows.append(f"| {shape} | {name} | {milliseconds:.3f} | {milliseconds / copy:.0f} |")
    return rows


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=100)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print("| batch, length, K | what | ms | times a copy |")
    print("|---|---|---|---|")
    with torch.no_grad():
        for shape in SHAPES:
            print("\n".join(measure(shape, arguments.repeats)))


if __name__ == "__main__":
    main()
