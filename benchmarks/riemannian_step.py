"""Time of a training step of one network on the earthquakes, with our path and with a peer's.

    python benchmarks/riemannian_step.py ../shared/data/manifold/earthquake.csv

The peer is ``flow_matching`` (``GeodesicProbPath`` on its ``Sphere``, the loss of its example:
mean squared error of velocities). Both train the same network from the same weights on the same
batches, noise and times; steps of the two alternate, and the time is that of the calling thread,
so that other programs on the machine disturb neither. Without the peer only our half is printed.
The path alone is drawing x_t and its velocity, without network, loss or gradient.
"""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from geometry.sphere import Sphere
from seqflow.networks.mlp import MLP
from seqflow.riemannian import VelocityFlow

Draw = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]
"""Noise, data and times to x_t and its velocity."""


def earth(path: Path) -> Tensor:
    """Unit vectors from the columns latitude and longitude in degrees."""
    degrees = np.genfromtxt(path, delimiter=",", comments="#")[:, :2]
    degrees = np.radians(degrees[np.isfinite(degrees).all(1)])
    lat, lon = degrees.T
    xyz = [np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)]
    return torch.from_numpy(np.stack(xyz, -1)).float()


def our_path() -> Draw:
    """Ours, by ``VelocityFlow.corrupt``."""
    flow = VelocityFlow(Sphere(2))

    def draw(x_0: Tensor, x_1: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        x_t, target = flow.corrupt(x_1, t, x_0)
        return x_t, target.velocity

    return draw


def peer_path() -> Draw | None:
    """The peer's, or None where it is not installed."""
    try:
        from flow_matching.path import GeodesicProbPath
        from flow_matching.path.scheduler import CondOTScheduler
        from flow_matching.utils.manifolds import Sphere as PeerSphere
    except ModuleNotFoundError:
        return None
    path = GeodesicProbPath(scheduler=CondOTScheduler(), manifold=PeerSphere())

    def draw(x_0: Tensor, x_1: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        sample = path.sample(x_0=x_0, x_1=x_1, t=t)
        return sample.x_t, sample.dx_t

    return draw


class Trainer:
    """One network with its optimiser, trained on what a path draws."""

    def __init__(self, network: nn.Module, draw: Draw) -> None:
        self.network, self.draw = network, draw
        self.optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
        self.step_times: list[float] = []
        self.path_times: list[float] = []
        self.losses: list[float] = []

    def step(self, x_0: Tensor, x_1: Tensor, t: Tensor) -> None:
        """Train once, and note how long it took and how long the path alone."""
        start = time.thread_time()
        x_t, u_t = self.draw(x_0, x_1, t)
        drawn = time.thread_time()
        loss = (self.network(x_t, t) - u_t).square().sum(-1).mean() / 2
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.step_times.append(1e3 * (time.thread_time() - start))
        self.path_times.append(1e3 * (drawn - start))
        self.losses.append(loss.item())


def measure(data: Tensor, batch: int, width: int, depth: int, steps: int) -> list[str]:
    """The rows of the table for one size."""
    torch.manual_seed(0)
    network = MLP(Sphere(2), width, depth)
    draws = {"seqflow": our_path(), "flow_matching": peer_path()}
    trainers = {n: Trainer(copy.deepcopy(network), d) for n, d in draws.items() if d is not None}
    generator = torch.Generator().manual_seed(0)
    for _ in range(steps):
        x_1 = data[torch.randint(len(data), (batch,), generator=generator)]
        x_0 = Sphere(2).random_uniform(batch, generator=generator)
        t = torch.rand(batch, generator=generator)
        for trainer in trainers.values():
            trainer.step(x_0, x_1, t)
    warm = steps // 5
    rows, ours = [], float(np.median(trainers["seqflow"].step_times[warm:]))
    for name, trainer in trainers.items():
        step, path = (float(np.median(a[warm:])) for a in (trainer.step_times, trainer.path_times))
        final = float(np.nanmean(trainer.losses[-warm:]))
        rows.append(
            f"| {batch} | {width} x {depth} | {name} | {step:.2f} | {step / ours:.2f} | "
            f"{path:.3f} | {100 * path / step:.1f} % | {final:.3f} |"
        )
    return rows


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="earthquake.csv: latitude and longitude a row")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=60)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    data = earth(arguments.data)
    print("| batch | width x blocks | path | step, ms | to ours | path alone, ms | share | loss |")
    print("|---|---|---|---|---|---|---|---|")
    for batch, width, depth in [(512, 256, 4), (512, 64, 2), (4096, 64, 2)]:
        print("\n".join(measure(data, batch, width, depth, arguments.steps)), flush=True)


if __name__ == "__main__":
    main()
