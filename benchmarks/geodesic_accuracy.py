"""float32 errors and gradients of (x_t, dx_t/dt), ours and the peers', in awkward places.

    pip install -r benchmarks/requirements.txt
    python benchmarks/geodesic_accuracy.py [--pairs 16] [--out docs/results/geodesic_accuracy.md]

Reference: 40 digits from the same float32 numbers (see geodesic_references.py). A cell tells the
largest error of x_t, and the median and the largest error of dx_t/dt relative to its length,
over random pairs; NaNs are counted. The script ends with the cases in which some peer is better.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import warnings
from pathlib import Path
from typing import NamedTuple

import mpmath as mp
import torch
from geodesic_cases import SPACES, generator
from geodesic_peers import NAMES, Step, peers
from geodesic_references import REFERENCES, same_point
from torch import Tensor

from geometry import Sphere
from geometry.manifold import Manifold

EPS = torch.finfo(torch.float32).eps


class Errors(NamedTuple):
    """Of one method in one case."""

    point: float
    median: float
    velocity: float
    nans: int

    def __str__(self) -> str:
        if math.isnan(self.point):
            return "all nan"
        cell = f"{self.point:.0e} / {self.median:.0e} / {self.velocity:.0e}"
        return f"{cell} ({self.nans} nan)" if self.nans else cell


def errors(manifold: Manifold, step: Step, x: Tensor, y: Tensor, t: Tensor, truth: list) -> Errors:
    """Of one method against the references ``truth``."""
    try:
        with torch.no_grad():
            x_t, u_t = (z.double().flatten(1) for z in step(x, y, t))
    except RuntimeError:  # eigenvalue routines refuse NaN
        return Errors(math.nan, math.nan, math.nan, len(truth))
    points, velocities = [], []
    for i, (point, velocity) in enumerate(truth):
        if not (x_t[i].isfinite().all() and u_t[i].isfinite().all()):
            continue
        near = same_point(manifold, x_t[i], point)
        points.append(max(abs(a - b) for a, b in zip(near, x_t[i].tolist(), strict=True)))
        wrong = mp.norm([a - b for a, b in zip(velocity, u_t[i].tolist(), strict=True)])
        size = mp.norm(velocity)
        velocities.append(wrong / size if size > 1e-20 else wrong)
    if not points:
        return Errors(math.nan, math.nan, math.nan, len(truth))
    numbers = (float(max(points)), float(statistics.median(velocities)), float(max(velocities)))
    return Errors(*numbers, len(truth) - len(points))


def methods(manifold: Manifold) -> dict[str, Step]:
    """Ours first."""
    return {"ours": manifold.interpolant} | peers(manifold)


def numbers(x: Tensor) -> list[mp.mpf]:
    """Exactly."""
    return [mp.mpf(a) for a in x.double().flatten().tolist()]


def compare(manifold: Manifold, count: int) -> dict[str, dict[str, Errors]]:
    """Case to method to errors."""
    result: dict[str, dict[str, Errors]] = {}
    t = torch.rand(count, generator=generator())
    for name, pair in SPACES[manifold](count).items():
        x, y = (z.float() for z in pair)
        truth = [
            REFERENCES[type(manifold)](numbers(a), numbers(b), mp.mpf(s.item()))
            for a, b, s in zip(x, y, t, strict=True)
        ]
        result[name] = {
            method: errors(manifold, step, x, y, t, truth)
            for method, step in methods(manifold).items()
        }
    return result


def gradient(step: Step, x: Tensor, y: Tensor, t: Tensor) -> str:
    """F: finite; N: gradient not finite; V: value not finite; E: the backward pass raises."""
    inputs = [z.clone().requires_grad_() for z in (x, y, t)]
    try:
        x_t, u_t = step(*inputs)
        total = x_t.square().sum() + u_t.square().sum()
        if not total.isfinite():
            return "V"
        found = torch.autograd.grad(total, inputs, allow_unused=True)
    except RuntimeError:
        return "E"
    return "F" if all(g is None or bool(g.isfinite().all()) for g in found) else "N"


def gradients(manifold: Manifold, count: int) -> dict[str, dict[str, str]]:
    """Case to method to letter: every case at a random time, a generic pair at 0 and 1."""
    cases = {
        name: tuple(z.float() for z in pair) for name, pair in SPACES[manifold](count).items()
    }
    t = torch.rand(count, generator=generator())
    rows = {name: (*pair, t) for name, pair in cases.items()}
    first = next(iter(cases.values()))
    rows |= {"t = 0": (*first, 0 * t), "t = 1": (*first, 0 * t + 1)}
    if isinstance(manifold, Sphere):
        rows["antipodes"] = (first[0], -first[0], t)
    return {
        name: {method: gradient(step, *row) for method, step in methods(manifold).items()}
        for name, row in rows.items()
    }


def table(rows: dict[str, dict[str, object]]) -> str:
    """Markdown, a line a case."""
    present = ["ours", *(name for name in NAMES if name in next(iter(rows.values())))]
    lines = [f"| case | {' | '.join(present)} |", "|---" * (len(present) + 1) + "|"]
    for case, row in rows.items():
        lines.append(f"| {case} | {' | '.join(str(row[name]) for name in present)} |")
    return "\n".join(lines)


def beaten(rows: dict[str, dict[str, Errors]]) -> list[str]:
    """Where our largest error is above 1.5 times the best peer's and above 8 roundings."""
    found = []
    for case, row in rows.items():
        rivals = [e for name, e in row.items() if name != "ours" and not e.nans]
        for part in ("point", "velocity"):
            mine, best = (
                getattr(row["ours"], part),
                min([getattr(e, part) for e in rivals], default=math.inf),
            )
            if row["ours"].nans or mine > max(1.5 * best, 8 * EPS):
                found.append(f"{case}: {part} {mine:.1e}, best peer {best:.1e}")
    return found


HEAD = """# Geodesics in float32: errors and gradients

    pip install -r benchmarks/requirements.txt
    python benchmarks/geodesic_accuracy.py --pairs {pairs} --out docs/results/geodesic_accuracy.md

Largest error of x_t / median / largest error of dx_t/dt relative to its length (absolute where
that is 0), over {pairs} random pairs, against 40 digits computed from the same float32 numbers,
scaled to the manifold. Pairs whose result is not finite are counted as nan and left out of
the errors. "geoopt log" takes the velocity from log_(x_t)(x_1)/(1 - t).
"""

GRADIENTS = """## Gradients

Of |x_t|^2 + |dx_t/dt|^2 with respect to x_0, x_1 and t, for a batch of {pairs} pairs.
F: finite; N: not finite; V: the value itself is not finite; E: the computation raises.
"""


def main() -> None:
    """Print the tables, and write them where asked."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pairs", type=int, default=16)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    accuracy, letters, better = [HEAD.format(pairs=options.pairs)], [], []
    for manifold in SPACES:
        print(manifold, file=sys.stderr)
        rows = compare(manifold, options.pairs)
        accuracy.append(f"## {manifold!r}\n\n{table(rows)}\n")
        letters.append(f"### {manifold!r}\n\n{table(gradients(manifold, options.pairs))}\n")
        better += [f"- {manifold!r}, {line}" for line in beaten(rows)]
    verdict = "## Rows where a peer is better\n\nOur largest error above 1.5 times the best "
    verdict += "peer's and above 8 roundings (1e-6), or NaN: " + ("\n\n" if better else "none.")
    verdict += "\n".join(better) + "\n"
    text = "\n".join([*accuracy, verdict, GRADIENTS.format(pairs=options.pairs), *letters])
    print(text)
    if options.out:
        options.out.write_text(text)


if __name__ == "__main__":
    main()
