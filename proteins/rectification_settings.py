"""What a YAML file of ``seqflow proteins rectify`` may say."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from seqflow.settings import Settings
from seqflow.training import TrainingSettings

from .lengths import parse_lengths
from .plausibility import GATE
from .settings import LossSettings, PathSettings

Limits = tuple[float | None, float | None]
"""Lowest and highest value that is kept; none for no limit."""


class PairSettings(Settings):
    """Pairs of noise and backbone, made by the model to be rectified.

    Attributes:
        num: how many, rounded up to whole groups of ``pair_generation.GROUP`` of one length.
        length: residues, such as ``40-100``; by default as the model was trained.
        steps: of the sampler, a prediction each.
        seed: of the noise.
        batch_size: chains that the network sees at once.
        precision: of the network while sampling; ``bf16-mixed`` is a little faster on a CPU.
        path: where they are kept; by default ``pairs.safetensors`` in the folder ``out``.
    """

    num: int = Field(default=1500, gt=0)
    length: str | None = None
    steps: int = Field(default=50, gt=0)
    seed: int = Field(default=0, ge=0)
    batch_size: int = Field(default=16, gt=0)
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    path: Path | None = None

    @field_validator("length", mode="before")
    @classmethod
    def _is_length(cls, value: str | int | None) -> str | None:
        """In YAML a single length is a number."""
        return None if value is None else str(parse_lengths(str(value)))


class FilterSettings(Settings):
    """Which pairs to learn: those whose backbone is plausible.

    Attributes:
        limits: of components of the gate, by name, in place of its own; ``[null, null]`` lets
            all pass.
    """

    limits: dict[str, Limits] = Field(default_factory=dict)

    @field_validator("limits")
    @classmethod
    def _are_components(cls, value: dict[str, Limits]) -> dict[str, Limits]:
        known = [component.name for component in GATE]
        if unknown := [name for name in value if name not in known]:
            raise ValueError(f"no component {', '.join(unknown)}; there are {', '.join(known)}")
        return value


class MixtureSettings(Settings):
    """Real chains among the pairs, with noise drawn for each.

    Attributes:
        share: of the batches that are of real chains.
        path: a file of ``seqflow proteins prepare``, such as ``parts/train.safetensors`` of the
            model.
    """

    share: float = Field(default=0.0, ge=0, lt=1)
    path: Path | None = None

    @model_validator(mode="after")
    def _has_chains(self) -> Self:
        if self.share and self.path is None:
            raise ValueError("a share of real chains needs the path of their file")
        return self


class RectificationSettings(Settings):
    """``seqflow proteins rectify``.

    Attributes:
        model: folder of the model to rectify, or a bundled one by name.
        pairs: how to make them.
        filter: which of them to learn.
        mixture: real chains among them.
        validation: share of the pairs to judge by while training.
        sampling: schedules to sample the new model with; by default those of the old one.
        steps: of the sampler of the new model, where no number is asked for.
        loss: how predictions are judged.
        self_condition: probability of showing the network its own prediction.
        training: how long, how fast.
        out: folder of the pairs, the new model, its training state and its curves.
    """

    model: str
    pairs: PairSettings = PairSettings()
    filter: FilterSettings = FilterSettings()
    mixture: MixtureSettings = MixtureSettings()
    validation: float = Field(default=0.05, gt=0, lt=1)
    sampling: PathSettings | None = None
    steps: int = Field(default=10, gt=0)
    loss: LossSettings = LossSettings()
    self_condition: float = Field(default=0.5, ge=0, le=1)
    training: TrainingSettings = TrainingSettings()
    out: Path
