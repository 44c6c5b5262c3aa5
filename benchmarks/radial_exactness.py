"""Radial diffusion with exact posteriors, no network: its bound, and its sampler by steps.

    python benchmarks/radial_exactness.py

1. The bound of independent uniform tokens, with the closed-form evidence as posterior, beside
   their entropy: 2,000 sequences of 16, 8 times each.
2. What the sampler draws from the exact posterior, by steps and moves: the KL divergence of its
   frequencies from the data, less the floor (n - 1)/(2 N) that N samples of n outcomes set, for
   one token, and for three tokens of three kinds that depend on each other.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable

import torch
from torch import Tensor

from seqflow.likelihood import variational_bound
from seqflow.radial import DrawnEnd, GeodesicWalk, MeanDrift, RadialFlow
from seqflow.sampling import time_grid

STEPS = (2, 4, 8, 16, 32)
MOVES = (DrawnEnd(), MeanDrift(), GeodesicWalk())
Predict = Callable[[RadialFlow, Tensor, Tensor], Tensor]


def seeded(seed: int) -> torch.Generator:
    """A generator of its own."""
    return torch.Generator().manual_seed(seed)


def bounds() -> None:
    """Print the table of bounds."""
    print("| K | start | bound, nats | standard error | entropy |\n|---|---|---|---|---|")
    for K in (3, 27):
        for start in (0.0, 0.5, 1.0):
            process = RadialFlow(K, start)
            x_1 = torch.randint(K, (2000, 16), generator=seeded(0))
            bound = variational_bound(
                process, lambda x, t, y, p=process: p.evidence(x, t), x_1, num_draws=8
            )
            numbers = f"{bound.nats:.3f} | {bound.standard_error:.3f} | {math.log(K):.3f}"
            print(f"| {K} | {start} | {numbers} |", flush=True)


def excess(process: RadialFlow, predict: Predict, law: Tensor, num: int, steps: int) -> float:
    """The KL divergence of ``num`` samples from ``law``, an axis a token, less its floor."""
    K, length, generator = len(law), law.ndim, seeded(0)
    x, times = process.sample_prior((num, length)), time_grid(steps)
    for t, dt in zip(times[:-1], times.diff(), strict=True):
        t, dt = t.expand(num), dt.expand(num)
        x = process.step(x, predict(process, x, t), t, dt, generator=generator)
    codes = (process.decode(x) * K ** torch.arange(length - 1, -1, -1)).sum(-1)
    q, p = torch.bincount(codes, minlength=K**length) / num, law.flatten()
    return float(torch.special.xlogy(q, q / p).sum()) - (len(p) - 1) / (2 * num)


def posterior_of(law: Tensor) -> Predict:
    """Bayes' rule for the joint law of some tokens, by summing over all of them."""

    def predict(process: RadialFlow, x: Tensor, t: Tensor) -> Tensor:
        evidence = process.evidence(x, t)
        axes = range(1, law.ndim + 1)
        joint = law.log().expand(len(x), *law.shape)
        for i in range(law.ndim):
            joint = joint + evidence[:, i].reshape(
                -1, *(len(law) if a == i + 1 else 1 for a in axes)
            )
        others = [[a for a in axes if a != own] for own in axes]
        rows = [joint.logsumexp(each) if each else joint for each in others]
        return torch.stack(rows, 1)

    return predict


def samples() -> None:
    """Print the table of divergences, in units of 1e-4."""
    print("| tokens | move |" + "".join(f" {n} |" for n in STEPS) + " spread |")
    print("|---|---|" + "---|" * (len(STEPS) + 1))
    correlated = (1.5 * torch.randn(27, generator=seeded(11))).softmax(0).reshape(3, 3, 3)
    laws = [(3 * torch.rand(K, generator=seeded(7))).softmax(0) for K in (4, 27)]
    for law, num in ((laws[0], 40_000), (laws[1], 40_000), (correlated, 20_000)):
        name = f"{law.ndim} of {len(law)} kinds"
        spread = 1e4 * math.sqrt((law.numel() - 1) / 2) / num
        for move in MOVES:
            process, predict = RadialFlow(len(law), move=move), posterior_of(law)
            row = [1e4 * excess(process, predict, law, num, n) for n in STEPS]
            cells = "".join(f" {value:.1f} |" for value in row)
            print(f"| {name} | {type(move).__name__} |{cells} {spread:.1f} |", flush=True)


def main() -> None:
    """Print both tables."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    torch.set_num_threads(1)
    bounds()
    print()
    with torch.no_grad():
        samples()


if __name__ == "__main__":
    main()
