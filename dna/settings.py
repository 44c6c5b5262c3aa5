"""What a YAML file in ``configs/dna`` may say."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, PositiveInt, model_validator

from seqflow.settings import Settings
from seqflow.training import TrainingSettings

Method = Literal["dirichlet", "linear", "autoregressive"]
Noise = Literal["none", "dirichlet", "linear"]


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


class GeneratorSettings(Settings):
    """``seqflow dna train``.

    Attributes:
        data: what to learn.
        method: how noise becomes data.
        network: size of the network.
        training: how long, how fast.
        drop_label: probability of hiding the class, which guidance needs.
        out: folder of the model, its training state and its curves.
    """

    data: DataSettings
    method: Method = "dirichlet"
    network: NetworkSettings = NetworkSettings()
    training: TrainingSettings = TrainingSettings()
    drop_label: float = Field(default=0.15, ge=0, le=1)
    out: Path


class ClassifierSettings(Settings):
    """``seqflow dna oracle``.

    Attributes:
        data: what to learn.
        noise: ``none`` for a judge of finished sequences; a method's name for a classifier
            of its noisy states, which classifier guidance needs.
        network: size of the network.
        dropout: in front of the logits, while training.
        training: how long, how fast.
        out: folder of the model, its training state and its curves.
    """

    data: DataSettings
    noise: Noise = "none"
    network: NetworkSettings = NetworkSettings(channels=64, dilations=[1, 2, 4, 1])
    dropout: float = Field(default=0.2, ge=0, lt=1)
    training: TrainingSettings = TrainingSettings()
    out: Path
