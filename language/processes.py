"""The processes that the words of a configuration mean, on K tokens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from seqflow.autoregressive import Autoregression
from seqflow.discrete import MaskedFlow, UniformFlow
from seqflow.radial import ParticleTable, RadialFlow
from seqflow.schedules import CosineSchedule, KineticOptimalSchedule, LinearSchedule, Schedule

from .settings import PathSettings, complete_path


def build_process(method: str, num_classes: int, path: PathSettings | None = None) -> Any:
    """The process of a method; it knows its ``path_kl``, so that its likelihood is bounded.

    Raises ``ValueError`` for a parameter that the method does not have.

    Example:
        >>> build_process("masked", 27).schedule
        LinearSchedule()
    """
    return _BUILDERS[method](num_classes, complete_path(method, path))


def build_training_process(method: str, num_classes: int, path: PathSettings | None = None) -> Any:
    """The same for training, where draws may share a table that makes them cheaper."""
    process = build_process(method, num_classes, path)
    return replace(process, walk=ParticleTable()) if method == "radial" else process


def _schedule(path: Any, p_0: float) -> Schedule:
    """The schedule by name, for noise that equals the datum with probability ``p_0``."""
    schedules: dict[str, Schedule] = {
        "linear": LinearSchedule(),
        "cosine": CosineSchedule(),
        "kinetic": KineticOptimalSchedule(p_0),
    }
    return schedules[path.schedule]


# What is given to them is complete: every parameter of the method is there.
_BUILDERS: dict[str, Callable[[int, Any], Any]] = {
    "masked": lambda K, path: MaskedFlow(K, _schedule(path, 0.0)),
    "uniform": lambda K, path: UniformFlow(K, _schedule(path, 1 / K)),
    "radial": lambda K, path: RadialFlow(K, path.start, path.variance),
    "autoregressive": lambda K, _: Autoregression(K),
}
