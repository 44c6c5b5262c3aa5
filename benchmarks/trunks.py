"""Forward time and memory of each trunk of backbones, beside the published one written out.

    python benchmarks/trunks.py [--rounds 5] [--note TEXT] [--out docs/results/trunks.md]

One chain, float32, without gradient, one thread. The clock is that thread's own, which does not
run while other programs do; rounds are interleaved, so that a load on the machine falls on all
trunks alike, and the median is told. Freed memory is kept by the process: without, the largest
tensors are asked of the system each time, which is worse for the trunks that have more of them.
Memory is the growth of the peak resident set in a forward pass, beyond weights and
inputs, in a process of its own (Linux).

The trunk that all are compared with, ``plain_ipa.py``, is invariant point attention with a
displacement of every pair and an edge transition of rows, as wide as the others in the
residues and as published in all else. It has the weights of ``ipa``, and before it is timed the
two must agree.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from discrete_sampler import status
from geodesics import keep_freed_memory
from plain_ipa import PlainAttention, plain
from torch import Tensor, nn

from geometry import SO3
from proteins.ipa_network import IPANetwork
from proteins.knn_network import KNNTransformer
from proteins.network import PairBiasTransformer
from seqflow.product_process import Parts

WIDTHS, LENGTHS, LONG = (192, 256), (64, 128, 256), (512, 1024)
TRUNKS: dict[str, Callable[[int], nn.Module]] = {
    "plain": lambda width: plain(IPANetwork(width)),
    "ipa": IPANetwork,
    "pair-bias": PairBiasTransformer,
    "knn": KNNTransformer,
}
Case = tuple[int, int, list[str]]
CASES: list[Case] = [(width, length, list(TRUNKS)) for width in WIDTHS for length in LENGTHS]
CASES += [(WIDTHS[0], length, ["pair-bias", "knn"]) for length in LONG]
COLUMNS = "| width | L | trunk | weights, M | ms | times faster | peak MiB | times smaller |"

ATTENTION = "| L | plain attention, ms | expanded, ms | times faster |"

HEAD = """# The trunks of backbones: forward time and memory

    python benchmarks/trunks.py --rounds {rounds} --out docs/results/trunks.md

One chain, float32, no gradient, eager, torch {torch}, random weights (seed 0).
{note}
The load of the {cores} cores was {least:.1f} to {most:.1f}, so that milliseconds are worth less
than ratios: times are the calling thread's CPU time, the median of {rounds} interleaved rounds.
Memory is the growth of the peak resident set in a forward pass.

`plain` is the published invariant-point trunk written out (`benchmarks/plain_ipa.py`):
displacements of every pair, rows of a pair's parts before each linear layer; as wide as the
others, at width 256 the published network. `ipa` is the same function with the same weights.
At equal width `pair-bias` and `knn` have a quarter of the weights, for no layer of theirs works on
pairs again and again. Nothing is said here of how good backbones are.
"""


def build(name: str, width: int) -> nn.Module:
    """A trunk with random weights, none of them zero, the same for both kinds of ``ipa``."""
    torch.manual_seed(0)
    network = TRUNKS[name](width).eval()
    for each in network.parameters():
        if not each.any():
            nn.init.normal_(each, std=0.02)
    return network


def chain(length: int) -> dict[str, Tensor]:
    """Noise, and a first prediction of it."""
    generator = torch.Generator().manual_seed(0)
    x = 10 * torch.randn(1, length, 3, generator=generator)
    guess = torch.cat(
        (x + torch.randn(x.shape, generator=generator), torch.ones(1, length, 1)), -1
    )
    q = SO3().random_uniform(1, length, generator=generator)
    return {"translation": x, "rotation": q, "previous": guess}


@torch.no_grad()
def run(network: nn.Module, x_t: Parts) -> dict[str, Tensor]:
    """One forward pass."""
    end: dict[str, Tensor] = network(x_t, torch.tensor([0.5]))
    return end


def interleaved(calls: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median milliseconds of each call over rounds, after one to warm up."""
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for i in range(rounds + 1):
        for name, call in calls.items():
            start = time.thread_time()
            call()
            if i:
                taken[name].append(1e3 * (time.thread_time() - start))
    return {name: statistics.median(each) for name, each in taken.items()}


def peaks_mebibytes(name: str) -> dict[tuple[int, int], float]:
    """Growth of the peak resident set in a forward pass of every case, in one process."""
    command = [sys.executable, "-W", "ignore", __file__, "--memory-of", name]
    # Freed memory goes back at once, so that what is resident is what is in use.
    settings = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
    environment = {**os.environ, **settings}
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return {(width, length): peak for width, length, peak in json.loads(done.stdout)}


def own_peak(name: str, width: int, length: int) -> float:
    """The growth in this process, after a short chain has loaded all code."""
    network, x_t = build(name, width), chain(length)
    run(network, chain(8))
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = status("VmRSS")
    run(network, x_t)
    return status("VmHWM") - before


def check_same(networks: dict[str, nn.Module], x_t: Parts) -> None:
    """Raise ``SystemExit`` unless both kinds of ``ipa`` are one function."""
    ours, theirs = (run(networks[name], x_t)["translation"] for name in ("ipa", "plain"))
    apart = (ours - theirs).abs().max().item()
    if apart > 1e-3:  # Angstrom; float32 knows coordinates of 40 A to 4e-6
        raise SystemExit(f"the plain trunk is another function: {apart:.1e} A apart")


def rows(case: Case, peaks: dict[str, dict[tuple[int, int], float]], rounds: int) -> list[str]:
    """Of the table."""
    width, length, names = case
    networks, x_t = {name: build(name, width) for name in names}, chain(length)
    if "plain" in names:
        check_same(networks, x_t)
    calls = {name: partial(run, network, x_t) for name, network in networks.items()}
    times = interleaved(calls, rounds)
    found = []
    for name, network in networks.items():
        size = sum(each.numel() for each in network.parameters()) / 1e6
        taken, peak = times[name], peaks[name][width, length]
        faster = smaller = ""
        if "plain" in names:
            faster = f"{times['plain'] / taken:.1f}"
            smaller = f"{peaks['plain'][width, length] / peak:.1f}"
        numbers = f"{size:.1f} | {taken:.1f} | {faster} | {peak:.0f} | {smaller}"
        found.append(f"| {width} | {length} | {name} | {numbers} |")
    return found


def attention_rows(length: int, rounds: int) -> list[str]:
    """Invariant point attention alone, at the published sizes, both ways."""
    torch.manual_seed(0)
    ours = IPANetwork(layers=1).blocks[0].attention
    h, z = torch.randn(1, length, 256), torch.randn(1, length, length, 128)
    x_t = chain(length)
    x, mask = x_t["translation"] / 10, torch.ones(1, length, dtype=torch.bool)
    both = {"plain": PlainAttention(ours), "expanded": ours}
    with torch.no_grad():
        taken = interleaved(
            {n: partial(m, h, z, mask, x_t["rotation"], x) for n, m in both.items()}, rounds
        )
    plain_time, our_time = taken["plain"], taken["expanded"]
    return [f"| {length} | {plain_time:.1f} | {our_time:.1f} | {plain_time / our_time:.1f} |"]


def ruler(columns: str) -> str:
    """The line below a head of columns."""
    return "|---" * (columns.count("|") - 1) + "|"


def report(rounds: int, note: str) -> str:
    """Both tables and what they are of."""
    keep_freed_memory()
    peaks = {name: peaks_mebibytes(name) for name in TRUNKS}
    lines, load = [COLUMNS, ruler(COLUMNS)], [os.getloadavg()[0]]
    for case in CASES:
        lines += rows(case, peaks, rounds)
        load.append(os.getloadavg()[0])
        print(*lines[-len(case[2]) :], f"load {load[-1]:.1f}", sep="\n", file=sys.stderr)
    lines += ["", ATTENTION, ruler(ATTENTION)]
    lines += [row for length in LENGTHS for row in attention_rows(length, rounds)]
    busy = {"least": min(load), "most": max(load), "cores": os.cpu_count()}
    head = HEAD.format(rounds=rounds, note=note, torch=torch.__version__, **busy)
    return "\n".join([head, *lines, ""])


def main() -> None:
    """Print the table, and write it where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--note", default="", help="the machine, in words")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--memory-of", choices=TRUNKS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.memory_of:
        name, cases = options.memory_of, [case for case in CASES if options.memory_of in case[2]]
        print(json.dumps([[*case[:2], own_peak(name, *case[:2])] for case in cases]))
        return
    text = report(options.rounds, options.note)
    print(text)
    if options.out:
        options.out.write_text(text)


if __name__ == "__main__":
    main()
