"""Sampling of tokens without the network's cost, against the package flow_matching.

    python -m venv peer && peer/bin/pip install flow_matching . && \
        peer/bin/python benchmarks/discrete_sampler.py

A constant network answers at once, so that all time and memory are the sampler's own. The peer
is ``MixtureDiscreteEulerSolver`` of flow_matching (CC-BY-NC, hence not a requirement of ours),
given the constant probabilities. Ours are the masked and the uniform flow, through the same
``Sampler`` that everything else uses: *dense* with constant logits, *lazy* with a constant
hidden state and a head that copies a row of logits for each position that jumps.

Times are the least of interleaved rounds of CPU time on one thread, in milliseconds a step, of
whole runs; only of the peer's 128 steps at K = 32,000 the first four are run, which cost least.
Memory is the growth of the peak resident set while sampling, beyond the constant answer, in a
process of its own (Linux).
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from seqflow.discrete import LazyHead, MaskedFlow, UniformFlow
from seqflow.sampling import Sampler, time_grid

CASES = [(64, 500, 4, 20), (64, 500, 4, 100), (2, 1024, 32000, 4), (2, 1024, 32000, 128)]
PEER_NUMBERS = 2**26  # probabilities that the peer may touch; beyond, only its first 4 steps run
Run = Callable[[], object]
FLOWS = {"masked": MaskedFlow, "uniform": UniformFlow}


def peer_steps(shape: Sequence[int], steps: int) -> int:
    """How many steps of the peer are run."""
    return steps if steps * math.prod(shape) < PEER_NUMBERS else min(steps, 4)


def peer(shape: tuple[int, int, int], steps: int) -> Run:
    """The peer's first steps, from uniform noise."""
    from flow_matching.path import MixtureDiscreteProbPath
    from flow_matching.path.scheduler import PolynomialConvexScheduler
    from flow_matching.solver import MixtureDiscreteEulerSolver
    from flow_matching.utils import ModelWrapper

    batch, length, K = shape
    p = torch.randn(shape, generator=torch.Generator().manual_seed(0)).softmax(-1)

    class Constant(ModelWrapper):
        def forward(self, x: Tensor, t: Tensor, **extras: object) -> Tensor:
            return p

    path = MixtureDiscreteProbPath(scheduler=PolynomialConvexScheduler(n=1))
    solver = MixtureDiscreteEulerSolver(Constant(torch.nn.Identity()), path, vocabulary_size=K)
    times = torch.tensor([0.0, peer_steps(shape, steps) / steps])
    noise = torch.randint(K, (batch, length))
    return lambda: solver.sample(noise, step_size=1 / steps, time_grid=times)


def ours(kind: str, shape: tuple[int, int, int], steps: int) -> Run:
    """A whole run of ours; ``kind`` names the flow and dense or lazy logits."""
    flow, form = kind.split()
    batch, length, K = shape
    process = FLOWS[flow](K)
    if form == "dense":
        logits = torch.randn(shape, generator=torch.Generator().manual_seed(0))
        sampler = Sampler(process, lambda x, t, c: logits[: len(x)], time_grid(steps))
    else:
        row = torch.randn(K, generator=torch.Generator().manual_seed(0))
        hidden = torch.zeros(batch, length, 1)
        # A copy for each row, as a head would write one.
        head = LazyHead(process, lambda h: row.expand(len(h), -1).clone())
        sampler = Sampler(head, lambda x, t, c: hidden[: len(x)], time_grid(steps))
    return lambda: sampler.sample((batch, length))


def build(kind: str, shape: tuple[int, int, int], steps: int) -> Run:
    """The run of a kind, ``peer`` or one of ours."""
    return peer(shape, steps) if kind == "peer" else ours(kind, shape, steps)


def kinds() -> list[str]:
    """Whom to compare; the peer comes first."""
    return ["peer"] + [f"{flow} {form}" for flow in FLOWS for form in ("dense", "lazy")]


def milliseconds_per_step(
    runs: dict[str, Run], shape: Sequence[int], steps: int, rounds: int
) -> dict[str, float]:
    """The least of interleaved rounds, after one to warm up."""
    taken: dict[str, list[float]] = {kind: [] for kind in runs}
    for _ in range(rounds + 1):
        for kind, run in runs.items():
            start = time.process_time()
            run()
            count = peer_steps(shape, steps) if kind == "peer" else steps
            taken[kind].append(1e3 * (time.process_time() - start) / count)
    return {kind: min(each[1:]) for kind, each in taken.items()}


def peak_mebibytes(kind: str, case: Sequence[int]) -> float:
    """Growth of the peak resident set during a run, in MiB, in a process of its own."""
    command = [sys.executable, __file__, "--memory-of", kind, "--case", json.dumps(case)]
    # Freed memory goes back at once, so that what is resident is what is in use.
    settings = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
    environment = {**os.environ, **settings}
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return float(done.stdout)


def own_peak(kind: str, case: Sequence[int]) -> float:
    """The growth in this process, after a short run has loaded all code."""
    batch, length, K, steps = case
    build(kind, (2, 3, K), 4)()
    run = build(kind, (batch, length, K), steps)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = status("VmRSS")
    run()
    return status("VmHWM") - before


def status(field: str) -> float:
    """One of this process's sizes as Linux reports it, in MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith(field))
    return int(line.split()[1]) / 1024


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--memory-of", help=argparse.SUPPRESS)
    parser.add_argument("--case", type=json.loads, help="one case only, [B, L, K, steps]")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.memory_of:
        print(own_peak(arguments.memory_of, arguments.case))
        return
    print("| batch, length, K | steps | sampler | ms a step | ratio | peak MiB | of the peer's |")
    print("|---|---|---|---|---|---|---|")
    for case in [tuple(arguments.case)] if arguments.case else CASES:
        *shape, steps = case
        runs = {kind: build(kind, tuple(shape), steps) for kind in kinds()}
        times = milliseconds_per_step(runs, shape, steps, arguments.rounds)
        peaks = {kind: peak_mebibytes(kind, case) for kind in runs}
        for kind in times:
            ratio, share = times["peer"] / times[kind], peaks[kind] / peaks["peer"]
            print(
                f"| {case[:3]} | {case[3]} | {kind} | {times[kind]:.3g} | {ratio:.3g}x "
                f"| {peaks[kind]:.1f} | {share:.1%} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
