"""New points from a trained model."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ..devices import find_device
from ..sampling import Sampler, time_grid
from ..solvers import GeodesicSolver, find_scheme
from .models import PointModel

DEFAULT_STEPS = 50


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
        solver: euler, midpoint or rk4; the method's own step of one prediction if None.
        seed: same seed, same points, whatever the batch size.
        batch_size: points at once.
        device: where to compute, as `seqflow.devices.find_device` reads it.
        progress: whether to show a bar on stderr.

    Raises:
        ValueError: a number of points below one, an unknown solver.
    """
    if num < 1:
        raise ValueError(f"expected a number of points of at least 1, got {num}")
    scheme = None if solver is None else GeodesicSolver(model.process, find_scheme(solver))
    place = find_device(device)
    model.network.to(place)
    times = time_grid(steps, device=place)
    sampler = Sampler(model.process, model.network, times, batch_size, progress, scheme)
    state: Any = sampler.sample((num, *model.process.manifold.point_shape), seed=seed)
    return model.process.decode(state).cpu()
