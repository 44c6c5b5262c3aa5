"""Time of (x_t, dx_t/dt) from (x_0, x_1, t), against one copy of the arrays and against peers.

    pip install -r benchmarks/requirements.txt
    python benchmarks/geodesics.py [--points 100000 1000000] [--rounds 7] [--device cpu]
        [--threads 1] [--no-compile] [--only "Sphere(2)"] [--note TEXT] [--out geodesics.md]

The bound is ``copy_`` of as many numbers as the step must read and write. Rounds are
interleaved, so that a load on the machine falls on all methods alike, and the median is told. On
one thread of a CPU the clock is that thread's own, which does not run while others do; else the
wall clock. Freed memory is kept by the process, as by the
allocators used for training: else every method but the copy, which writes into memory it has,
would be charged for asking the system for fresh pages (more than a microsecond for 4 kB here,
half of the time on small points). Peers on ``SPD`` take microseconds a point: they are timed on
fewer points and scaled.
"""

from __future__ import annotations

import argparse
import ctypes
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from geodesic_peers import NAMES, peers
from torch import Tensor

from geometry import SE3, SO3, SPD, FlatTorus, Lorentz, PoincareBall, Simplex, Sphere
from geometry.manifold import Manifold

FEWER = 5000
# Copies: what flows on these spaces may cost, and on those whose points are wide.
AIM, WIDE_AIM = 5, 2.5
WIDE = (Sphere(27), FlatTorus(7))
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3


def spaces() -> list[Manifold]:
    """The manifolds of the table."""
    curved = [Sphere(2), Sphere(27), Simplex(20), PoincareBall(8), Lorentz(8), SPD(3)]
    return [*curved, FlatTorus(7), SO3(), SE3()]


def points(manifold: Manifold, count: int, seed: int, device: str) -> Tensor:
    """Random points in float32: uniform ones, or normal ones about a fixed point."""
    generator = torch.Generator().manual_seed(seed)
    try:
        return manifold.random_uniform(count, generator=generator, dtype=torch.float32).to(device)
    except ValueError:
        origin = manifold.projx(centre(manifold)).expand(count, *manifold.point_shape)
        return manifold.random_normal(origin, 0.7, generator).to(device)


def centre(manifold: Manifold) -> Tensor:
    """A point to project: the identity of matrices and groups, an origin elsewhere."""
    x = torch.zeros(manifold.point_shape)
    if x.ndim == 2:
        return torch.eye(len(x))
    if isinstance(manifold, Lorentz | SE3):
        x[0] = 1.0
    return x


def keep_freed_memory() -> None:
    """Tell glibc, where it is there, to return nothing to the system."""
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(M_MMAP_THRESHOLD, 2**30)
        libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def synchronise(device: str) -> None:
    """Wait until the device has done its work."""
    if device != "cpu":
        torch.cuda.synchronize()


def measure(
    steps: dict[str, Callable[[], object]], options: argparse.Namespace
) -> dict[str, float]:
    """Median seconds of each step over interleaved rounds, after one to warm up."""
    own = options.device == "cpu" and options.threads == 1
    clock = time.thread_time if own else time.perf_counter
    times: dict[str, list[float]] = {name: [] for name in steps}
    for i in range(options.rounds + 1):
        for name, step in steps.items():
            synchronise(options.device)
            start = clock()
            step()
            synchronise(options.device)
            if i:
                times[name].append(clock() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def row(manifold: Manifold, count: int, options: argparse.Namespace) -> dict[str, float]:
    """Median seconds of the copy, of our own steps and of the peers'."""
    x, y = (points(manifold, count, seed, options.device) for seed in (1, 2))
    t = torch.rand(count, generator=torch.Generator().manual_seed(3)).to(options.device)
    x_t, u_t = manifold.interpolant(x, y, t)
    # One number read for each of the inputs and one written for each of the outputs.
    source = torch.zeros((2 * x.numel() + x_t.numel() + u_t.numel()) // 2, device=options.device)
    target = torch.empty_like(source)
    steps: dict[str, Callable[[], object]] = {"copy": lambda: target.copy_(source)}
    steps["eager"] = lambda: manifold.interpolant(x, y, t)
    if options.compile:
        torch.compiler.reset()
        compiled = torch.compile(manifold.interpolant, fullgraph=True, dynamic=False)
        steps["compiled"] = lambda: compiled(x, y, t)
    few = min(count, FEWER) if isinstance(manifold, SPD) else count
    rivals = peers(manifold)
    for name, step in rivals.items():
        steps[name] = lambda step=step: step(x[:few], y[:few], t[:few])
    with torch.no_grad():
        times = measure(steps, options)
    return {name: s * count / few if name in rivals else s for name, s in times.items()}


def misses(manifold: Manifold, count: int, times: dict[str, float]) -> list[str]:
    """Which aims a row misses: copies, 10 times each peer (5 times roma), eager no slower."""
    bound, ours = times["copy"], times.get("compiled", times["eager"])
    aim = WIDE_AIM if manifold in WIDE else AIM
    name = f"{manifold!r} at {count:.0e}"
    found = [f"{name}: {ours / bound:.1f} copies, not {aim}"] if ours > aim * bound else []
    for peer in NAMES:
        if peer not in times:
            continue
        wanted = {"roma": 5, "e3nn": 1}.get(peer, 10)
        if times[peer] < wanted * ours:
            found.append(f"{name}: {times[peer] / ours:.1f} times {peer}, not {wanted}")
        if times[peer] < times["eager"]:
            found.append(f"{name}: eager slower than {peer}")
    return found


def table(options: argparse.Namespace) -> str:
    """Markdown: a line for each manifold and number of points, then the aims that are missed."""
    head = ["manifold", "points", "copy (ms)", "eager", "compiled", *NAMES]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    missed: list[str] = []
    for manifold in spaces():
        if options.only and repr(manifold) not in options.only:
            continue
        for count in options.points:
            times = row(manifold, count, options)
            bound, ours = times["copy"], times.get("compiled", times["eager"])
            cells = [repr(manifold), f"{count:.0e}", f"{1e3 * bound:.3g}"]
            for name in ("eager", "compiled"):
                seconds = times.get(name)
                cells.append(f"{1e3 * seconds:.3g} ({seconds / bound:.3g})" if seconds else "-")
            for name in NAMES:
                seconds = times.get(name)
                cells.append(f"{1e3 * seconds:.3g} ({seconds / ours:.3g}x)" if seconds else "-")
            lines.append(f"| {' | '.join(cells)} |")
            print(lines[-1], file=sys.stderr)
            missed += [f"- {line}" for line in misses(manifold, count, times)]
    verdict = "\n".join(missed) or "None."
    return (
        "\n".join(lines)
        + f"\n\nAims missed ({AIM} copies, {WIDE_AIM} on {' and '.join(map(repr, WIDE))}; "
        + f"10 times each peer, 5 times roma, once e3nn; eager no slower):\n\n{verdict}"
    )


HEAD = """# Geodesics with their velocities, against one copy and against peers

    pip install -r benchmarks/requirements.txt
    python benchmarks/geodesics.py --threads {threads} --out docs/results/geodesics.md

float32 on {machine}, {threads} thread(s), {clock}, torch {torch}, median of {rounds}
interleaved rounds. Ours in milliseconds and (in brackets) in copies; peers in milliseconds and
in multiples of ours compiled. Peers on SPD are timed on {fewer} points and scaled, which favours
them (they stay in cache). A copy of 1e5 points may stay in the cache too. Freed memory is
kept by the process.{note}
"""


def heading(options: argparse.Namespace) -> str:
    """What was measured, where and how."""
    own = options.device == "cpu" and options.threads == 1
    return HEAD.format(
        threads=options.threads,
        machine=f"{platform.machine()} CPU" if options.device == "cpu" else options.device,
        clock="its own CPU time" if own else "wall clock",
        torch=torch.__version__.split("+")[0],
        rounds=options.rounds,
        fewer=FEWER,
        note=f" {options.note}" if options.note else "",
    )


def main() -> None:
    """Print the table, and write it where asked."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--points", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--compile", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--only", nargs="+", help='such as "Sphere(2)"')
    parser.add_argument("--note", help="a sentence for the heading, such as what else ran")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(options.threads)
    text = heading(options) + "\n" + table(options) + "\n"
    print(text)
    if options.out:
        options.out.write_text(text)


if __name__ == "__main__":
    main()
