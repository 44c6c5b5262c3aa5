"""Largest relative error of the rate of the Dirichlet path against 40-digit arithmetic.

    python benchmarks/dirichlet_rate_accuracy.py

Coordinates from 1e-30 to 1, denser towards both corners; Dirichlet times from 1e-3 to 30.
"""

from __future__ import annotations

import argparse

import mpmath  # type: ignore[import-untyped]  # ships no type information
import torch

from seqflow.dirichlet_rate import dirichlet_rate, quadrature


def exact(x: float, s: float, num_classes: int) -> float:
    """C = z sum_j w_j l_{n-j}, l_r(y) = sum_m y^m/(m + r), by recursion downwards in r."""
    n = num_classes - 1
    z, a = mpmath.mpf(x), 1 + mpmath.mpf(s)
    weights = [1 / (a + n - 1)]
    for j in range(n - 2, -1, -1):
        weights.append(weights[-1] * (j + 1) / (a + j))
    lerch = mpmath.hyp2f1(1, n, n + 1, 1 - z) / n
    total = weights[-1] * lerch
    for r in range(n - 1, 0, -1):
        lerch = mpmath.mpf(1) / r + (1 - z) * lerch
        total += weights[r - 1] * lerch
    return float(z * total)


def grid(num_points: int) -> torch.Tensor:
    """Float32 numbers in (0, 1], half of them spread evenly in ln x, half in ln(1 - x)."""
    low = torch.logspace(-30, -1, num_points)
    high = 1 - torch.logspace(-7, -0.05, num_points)
    return torch.cat([low, high, torch.ones(1)])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--classes", type=int, nargs="+", default=[2, 3, 4, 8, 20, 160, 1000])
    parser.add_argument("--points", type=int, default=60, help="coordinates towards each corner")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    mpmath.mp.dps = 40
    x = grid(arguments.points)
    s = torch.tensor([1e-3, 0.1, 0.5, 1.0, 2.0, 4.0, 7.0, 12.0, 20.0, 30.0])[:, None]
    print("| K | float32 | poles | float64 | poles |")
    print("|---|---|---|---|---|")
    for K in arguments.classes:
        rows = [[exact(z, u, K) for z in x.tolist()] for u in s.flatten().tolist()]
        reference = torch.tensor(rows, dtype=torch.float64)
        cells = [str(K)]
        for dtype in (torch.float32, torch.float64):
            rate = dirichlet_rate(x.to(dtype), s.to(dtype), K).double()
            cells.append(f"{(rate / reference - 1).abs().max().item():.1e}")
            cells.append(str(len(quadrature(K - 1, dtype == torch.float64)[1])))
        print("| " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
