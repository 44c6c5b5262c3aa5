"""Radial diffusion without the network, in units of drawing normal numbers of the state's shape.

    python benchmarks/radial.py [--compile] [--threads 1] [--rounds 7]

What training, evaluation and sampling do around the network, at a small and a large alphabet:
``corrupt`` with each walk, ``evidence``, ``path_kl`` (the integrand of the bound) and ``step``
with each move. Times are CPU times of this thread, the least of the rounds, over that of one
``randn`` of the state's shape; memory is the growth of the peak resident set in a process of its
own (Linux), over the size of a state. With ``--compile`` the last three go through torch.compile,
without a generator.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

from seqflow.radial import (
    DrawnEnd,
    FreshWalk,
    GeodesicWalk,
    MeanDrift,
    ParticleTable,
    RadialFlow,
    TangentNormal,
)

CASES = [(64, 256, 27), (16, 128, 30522)]
WALKS = {"table": ParticleTable(), "fresh walks": FreshWalk(), "normal": TangentNormal()}
MOVES = {"drawn end": DrawnEnd(), "mean drift": MeanDrift(), "geodesic walk": GeodesicWalk()}
Run = Callable[[], object]


def operations(case: tuple[int, int, int], compiled: bool) -> dict[str, Run]:
    """What is timed, by name; nothing is computed yet but the arguments."""
    batch, length, K = case
    generator = torch.Generator().manual_seed(0)
    process = RadialFlow(K, walk=ParticleTable())
    x_1 = torch.randint(K, (batch, length), generator=generator)
    t = torch.rand(batch, generator=generator)
    x_t, _ = process.corrupt(x_1, t, generator=generator)
    logits = torch.randn(batch, length, K, generator=generator)
    dt = torch.full_like(t, 0.01)
    wrap = torch.compile if compiled else lambda function: function
    runs: dict[str, Run] = {"randn": lambda: torch.randn(x_t.shape, generator=generator)}
    for name, walk in WALKS.items():
        own = RadialFlow(K, walk=walk)
        runs[f"corrupt, {name}"] = lambda own=own: own.corrupt(x_1, t, generator=generator)
    evidence, path_kl = wrap(process.evidence), wrap(process.path_kl)
    runs["evidence"] = lambda: evidence(x_t, t)
    runs["path_kl"] = lambda: path_kl(logits, x_1, x_t, t)
    for name, move in MOVES.items():
        step = wrap(RadialFlow(K, move=move).step)
        runs[f"step, {name}"] = lambda step=step: step(x_t, logits, 0.9 * t, dt)
    return runs


@torch.no_grad()
def milliseconds(run: Run, rounds: int) -> float:
    """The least CPU time of this thread, after one run to warm up."""
    run()
    taken = []
    for _ in range(rounds):
        start = time.thread_time()
        run()
        taken.append(1e3 * (time.thread_time() - start))
    return min(taken)


def peak_states(name: str, case: tuple[int, int, int], compiled: bool) -> float:
    """Growth of the peak resident set during a run, in sizes of a state, in its own process."""
    command = [sys.executable, __file__, "--memory-of", name, "--case", json.dumps(case)]
    command += ["--compile"] * compiled
    # Freed memory goes back at once, so that what is resident is what is in use.
    settings = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
    environment = {**os.environ, **settings}
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return float(done.stdout)


@torch.no_grad()
def own_peak(name: str, case: tuple[int, int, int], compiled: bool) -> float:
    """The growth in this process, after a first run has loaded and compiled all code."""
    run = operations(case, compiled)[name]
    run()
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = status("VmRSS")
    run()
    batch, length, K = case
    return (status("VmHWM") - before) * 1024 / (4 * batch * length * (K + 1))


def status(field: str) -> int:
    """One of this process's sizes as Linux reports it, in KiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith(field))
    return int(line.split()[1])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--memory-of", help=argparse.SUPPRESS)
    parser.add_argument("--case", type=json.loads, help="one case only, [batch, length, K]")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.memory_of:
        print(own_peak(options.memory_of, tuple(options.case), options.compile))
        return
    print("| batch, length, K | what | ms | times a randn | peak, states |\n|---|---|---|---|---|")
    for case in [tuple(options.case)] if options.case else CASES:
        runs = operations(case, options.compile)
        times = {name: milliseconds(run, options.rounds) for name, run in runs.items()}
        for name, taken in times.items():
            peak = peak_states(name, case, options.compile)
            ratio = taken / times["randn"]
            print(f"| {case} | {name} | {taken:.3g} | {ratio:.2f} | {peak:.1f} |", flush=True)


if __name__ == "__main__":
    main()
