"""The processes that the words of a configuration mean, on the four bases."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from seqflow.dirichlet import DirichletFlow
from seqflow.discrete import MaskedFlow, MetricFlow, UniformFlow, transition_transversion
from seqflow.fisher import FisherFlow
from seqflow.process import CategoricalProcess
from seqflow.schedules import CosineSchedule, KineticOptimalSchedule, LinearSchedule, Schedule
from seqflow.simplex import LinearFlow

from .sequences import ALPHABET
from .settings import PathSettings, complete_path

K = len(ALPHABET)


def build_process(method: str, path: PathSettings | None = None) -> CategoricalProcess:
    """The process of a method, any but ``autoregressive``, which shows no evidence.

    Raises ``ValueError`` for a parameter that the method does not have.

    Example:
        >>> build_process("uniform").schedule
        KineticOptimalSchedule(p_0=0.25)
    """
    return _BUILDERS[method](complete_path(method, path))


def _metric(path: Any) -> MetricFlow:
    return MetricFlow(transition_transversion(path.transition), path.strength, path.power)


def _schedule(path: Any, p_0: float) -> Schedule:
    """The schedule by name, for noise that equals the datum with probability ``p_0``."""
    schedules: dict[str, Schedule] = {
        "linear": LinearSchedule(),
        "cosine": CosineSchedule(),
        "kinetic": KineticOptimalSchedule(p_0),
    }
    return schedules[path.schedule]


# What is given to them is complete: every parameter of the method is there.
_BUILDERS: dict[str, Callable[[Any], CategoricalProcess]] = {
    "dirichlet": lambda _: DirichletFlow(K),
    "linear": lambda _: LinearFlow(K),
    "fisher": lambda _: FisherFlow(K),
    "masked": lambda path: MaskedFlow(K, _schedule(path, 0.0)),
    "uniform": lambda path: UniformFlow(K, _schedule(path, 1 / K)),
    "metric": _metric,
}
