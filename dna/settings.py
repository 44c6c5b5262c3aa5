"""What a YAML file in ``configs/dna`` may say."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from seqflow.networks.sizes import TransformerSize
from seqflow.settings import Settings, complete_parameters
from seqflow.training import TrainingSettings

Method = Literal["dirichlet", "linear", "fisher", "masked", "uniform", "metric", "autoregressive"]
Noise = Literal["none", "dirichlet", "linear", "fisher", "masked", "uniform", "metric"]
ScheduleName = Literal["linear", "cosine", "kinetic"]


class TableSettings(Settings):
    """A CSV or TSV file and its columns.

    Attributes:
        path: the file, plain or gzipped.
        sequence: column of the sequence.
        label: column of the class.
        group: column of what to split by, such as the chromosome; else groups are hashes.
    """

    path: Path
    sequence: str = "sequence"
    label: str = "label"
    group: str | None = None


class DataSettings(Settings):
    """Where the sequences are, and which of them to use.

    Attributes:
        files: a FASTA file for each class, or
        table: one table of all classes.
        train: groups to train on: chromosomes, or ``hash-00`` to ``hash-99`` where there are
            none; shell patterns such as ``hash-[0-7]?`` are understood.
        validation: groups to judge by while training.
        reverse_complement: whether to show either strand at random.
    """

    files: dict[str, Path] = Field(default_factory=dict)
    table: TableSettings | None = None
    train: list[str] = Field(min_length=1)
    validation: list[str] = Field(default_factory=list)
    reverse_complement: bool = False

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if bool(self.files) == (self.table is not None):
            raise ValueError("give either files (one FASTA a class) or table")
        return self


class NetworkSettings(Settings):
    """Size of a convolutional network.

    Attributes:
        channels: width.
        kernel_size: taps of every convolution.
        dilations: one residual block each.
    """

    channels: int = Field(default=96, gt=0, le=4096)
    kernel_size: int = Field(default=9, gt=0, le=999)
    dilations: list[PositiveInt] = Field(default=[1, 2, 4, 8, 1, 4], min_length=1)


class PathSettings(Settings):
    """The parameters of a method; None for its default, and where it has no such thing.

    Attributes:
        schedule: of ``masked`` and ``uniform``: how much of the datum is there at time t.
        transition: of ``metric``: the distance of A and G, and of C and T, in units of that
            of other pairs of bases.
        strength: of ``metric``: c in beta_t = c (t/(1 - t))^a.
        power: of ``metric``: a.
    """

    schedule: ScheduleName | None = None
    transition: float | None = Field(default=None, gt=0, le=100)
    strength: float | None = Field(default=None, gt=0, le=1000)
    power: float | None = Field(default=None, gt=0, le=10)


DEFAULTS: dict[str, dict[str, Any]] = {
    # Each step of an even grid decides as many bases, and a network in training meets every
    # number of masks equally often.
    "masked": {"schedule": "linear"},
    # Equal steps then change the law of a base by equal amounts (Fisher-Rao); the linear
    # schedule leaves most of the change to the last steps.
    "uniform": {"schedule": "kinetic"},
    # With equal distances this strength would be half way where a linear schedule is.
    "metric": {"transition": 0.5, "strength": math.log(5), "power": 1.0},
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


class GeneratorSettings(Settings):
    """``seqflow dna train``.

    Attributes:
        data: what to learn.
        method: how noise becomes data.
        path: parameters of the method.
        network: size of the convolutional network.
        transformer: size of a transformer, to be used instead.
        training: how long, how fast.
        drop_label: probability of hiding the class, which guidance needs.
        out: folder of the model, its training state and its curves.
    """

    data: DataSettings
    method: Method = "dirichlet"
    path: PathSettings | None = None
    network: NetworkSettings = NetworkSettings()
    transformer: TransformerSize | None = None
    training: TrainingSettings = TrainingSettings()
    drop_label: float = Field(default=0.15, ge=0, le=1)
    out: Path

    @model_validator(mode="after")
    def _known_parameters(self) -> Self:
        complete_path(self.method, self.path)
        return self


class ClassifierSettings(Settings):
    """``seqflow dna oracle``.

    Attributes:
        data: what to learn.
        noise: ``none`` for a judge of finished sequences; a method's name for a classifier
            of its noisy states, which classifier guidance needs.
        path: parameters of that method, the same as the generator's.
        network: size of the network.
        dropout: in front of the logits, while training.
        training: how long, how fast.
        out: folder of the model, its training state and its curves.
    """

    data: DataSettings
    noise: Noise = "none"
    path: PathSettings | None = None
    network: NetworkSettings = NetworkSettings(channels=64, dilations=[1, 2, 4, 1])
    dropout: float = Field(default=0.2, ge=0, lt=1)
    training: TrainingSettings = TrainingSettings()
    out: Path

    @model_validator(mode="after")
    def _known_parameters(self) -> Self:
        complete_path(self.noise, self.path)
        return self
