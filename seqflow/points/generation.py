"""New points from a trained model."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ..devices import find_device
from ..flow_map import flow_map
from ..sampling import Sampler, time_grid
from ..solvers import GeodesicSolver, find_scheme
from .models import PointModel

DEFAULT_STEPS = 50
ADAPTIVE = "adaptive"


def generate(
    model: PointModel,
    num: int,
    *,
    steps: int = DEFAULT_STEPS,
    solver: str | None = None,
    seed: int = 0,
    batch_size: int = 1024,
    device: str = "cpu",
    progress: bool = False,
) -> Tensor:
    """Draw points ``(num, *point_shape)``.

    Args:
        model: the model.
        num: how many.
        steps: of the solver.
        solver: euler, midpoint or rk4; adaptive, which chooses its own steps; the method's own
            step of one prediction if None.
        seed: same seed, same points, whatever the batch size.
        batch_size: points at once.
        device: where to compute, as `seqflow.devices.find_device` reads it.
        progress: whether to show a bar on stderr.

    Raises:
        ValueError: a number of points below one, an unknown solver.
    """
    if num < 1:
        raise ValueError(f"expected a number of points of at least 1, got {num}")
    process, network = model.process, model.network
    fixed = None if solver in (None, ADAPTIVE) else GeodesicSolver(process, find_scheme(solver))
    place = find_device(device)
    network.to(place)
    sampler = Sampler(
        process, network, time_grid(steps, device=place), batch_size, progress, fixed
    )
    shape = (num, *process.manifold.point_shape)
    if solver == ADAPTIVE:
        x_0: Any = sampler.prior(shape, seed=seed)
        state: Any = flow_map(process, network, x_0, 0.0, model.stop, batch_size=batch_size)
    else:
        state = sampler.sample(shape, seed=seed)
    return process.decode(state).cpu()
