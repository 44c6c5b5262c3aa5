"""What a YAML file in ``configs/language`` may say."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from seqflow.networks.sizes import TransformerSize
from seqflow.settings import Settings, complete_parameters, starting_from
from seqflow.training import TrainingSettings

Method = Literal["radial", "masked", "uniform", "autoregressive"]
ScheduleName = Literal["linear", "cosine", "kinetic"]


class DataSettings(Settings):
    """What to learn.

    Attributes:
        corpus: folder that ``seqflow language prepare`` made.
        length: tokens of a window.
        validation_windows: windows to judge by while training, at most.
    """

    corpus: Path
    length: int = Field(default=128, gt=0, le=65_536)
    validation_windows: int = Field(default=256, gt=0)


class PathSettings(Settings):
    """The parameters of a method; None for its default, and where it has no such thing.

    Attributes:
        schedule: of ``masked`` and ``uniform``: how much of the datum is there at time t.
        start: of ``radial``: where all tokens start, 0 at the mask, 1 at the centre of tokens.
        variance: of ``radial``: of the noise in one direction over all times.
        scatter: of ``uniform`` and ``radial``, in training: spread of the times of positions
            about that of their window, in log odds (`seqflow.scattered_times`); 0 for none.
    """

    schedule: ScheduleName | None = None
    start: float | None = Field(default=None, ge=0, le=1)
    variance: float | None = Field(default=None, gt=0, le=10)
    scatter: float | None = Field(default=None, ge=0, le=100)


DEFAULTS: dict[str, dict[str, Any]] = {
    "masked": {"schedule": "linear"},
    "uniform": {"schedule": "kinetic", "scatter": 1.5},
    # Without a variance it is 1/K, so that noise is as long whatever the alphabet.
    "radial": {"start": 0.0, "variance": None, "scatter": 1.5},
}
"""The parameters of the methods that have any, with their defaults."""


def complete_path(method: str, path: PathSettings | None) -> PathSettings | None:
    """All parameters of a method, those not given at their defaults; None if it has none.

    Raises ``ValueError`` for a parameter that the method does not have.

    Example:
        >>> complete_path("masked", None).schedule
        'linear'
    """
    return complete_parameters(PathSettings, path, method, DEFAULTS)


TRAINING: dict[str, Any] = {
    "steps": 10_000,
    "batch_size": 32,
    "learning_rate": 2e-3,
    "muon_learning_rate": 1e-2,
    "ema_decay": 0.998,
    "precision": "bf16-mixed",
}
"""How language models are trained where nothing else is said."""


class GeneratorSettings(Settings):
    """``seqflow language train``.

    Attributes:
        data: what to learn.
        method: how noise becomes text.
        path: parameters of the method.
        network: size of the network.
        training: how long, how fast.
        out: folder of the model, its training state and its curves.
    """

    data: DataSettings
    method: Method = "masked"
    path: PathSettings | None = None
    network: TransformerSize = TransformerSize()
    training: Annotated[TrainingSettings, starting_from(TRAINING)] = TrainingSettings(**TRAINING)
    out: Path

    @model_validator(mode="after")
    def _known_parameters(self) -> Self:
        complete_path(self.method, self.path)
        return self
