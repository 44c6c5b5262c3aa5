"""What a YAML file in ``configs/proteins`` may say."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from seqflow.settings import Settings
from seqflow.training import TrainingSettings

from .lengths import parse_lengths
from .trunk_settings import PairBiasSettings, TrunkSettings

Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class DataSettings(Settings):
    """Which chains to learn.

    Attributes:
        path: the file that ``seqflow proteins prepare`` wrote.
        length: residues of a chain, such as ``40-100``.
        validation: share of the chains to judge by while training.
        test: share to keep for the end; whole clusters go to one part.
        split_seed: shuffles the clusters.
    """

    path: Path
    length: str = "40-100"
    validation: float = Field(default=0.05, gt=0, lt=1)
    test: float = Field(default=0.1, gt=0, lt=1)
    split_seed: int = Field(default=0, ge=0)

    @field_validator("length")
    @classmethod
    def _is_length(cls, value: str) -> str:
        return str(parse_lengths(value))

    @model_validator(mode="after")
    def _leaves_some(self) -> Self:
        if self.validation + self.test >= 1:
            raise ValueError("validation and test leave no chain to train on")
        return self


class ScheduleSettings(Settings):
    """How much of the datum is there at time t.

    Attributes:
        kind: ``linear``, kappa = t, or ``exponential``, (1 - e^{-ct})/(1 - e^{-c}).
        rate: c, of the exponential one.
    """

    kind: Literal["linear", "exponential"] = "linear"
    rate: float = Field(default=10.0, gt=0, le=50)


class PathSettings(Settings):
    """Schedules of either part.

    Attributes:
        translation: of CA.
        rotation: of the frames.
    """

    translation: ScheduleSettings = ScheduleSettings()
    rotation: ScheduleSettings = ScheduleSettings()


class FlowSettings(Settings):
    """From which noise, and along which paths.

    Attributes:
        training: schedules to train with.
        sampling: schedules to sample with.
        rotation_prior: ``haar``, or ``igso3``, the isotropic Gaussian about the identity.
        rotation_std: of ``igso3``, in radians.
        translation_std: in Angstrom.
    """

    training: PathSettings = PathSettings()
    sampling: PathSettings = PathSettings(rotation=ScheduleSettings(kind="exponential"))
    rotation_prior: Literal["haar", "igso3"] = "haar"
    rotation_std: float = Field(default=1.5, gt=0, le=25)
    translation_std: float = Field(default=10.0, gt=0, le=1000)


class LossSettings(Settings):
    """Weights of the terms of ``proteins.losses``.

    Attributes:
        translation: of CA.
        rotation: of the frames.
        atoms: of N, CA and C.
        distances: of all pairs of these.
        links: of those across peptide bonds.
        late: the last three count after this time.
        huber: errors of CA well beyond, in nanometres over s(t), count by their length.
        rotation_error: ``geodesic``, to the target, or ``log``, of velocities.
    """

    translation: Weight = 1.0
    rotation: Weight = 1.0
    atoms: Weight = 1.0
    distances: Weight = 1.0
    links: Weight = 1.0
    late: float = Field(default=0.25, ge=0, le=1)
    huber: float = Field(default=2.0, gt=0, allow_inf_nan=False)
    rotation_error: Literal["geodesic", "log"] = "geodesic"


class GeneratorSettings(Settings):
    """``seqflow proteins train``.

    Attributes:
        data: what to learn.
        flow: from noise to chains.
        network: kind and size.
        loss: how predictions are judged.
        self_condition: probability of showing the network its own prediction.
        coupling: which noise goes with which chain: ``independent``, ``align``, turned onto it, or
            ``optimal-transport``, also permuted among the chains of one length in a batch.
        training: how long, how fast.
        out: folder of the model, its training state, its curves and the parts of the data.
    """

    data: DataSettings
    flow: FlowSettings = FlowSettings()
    network: TrunkSettings = PairBiasSettings()
    loss: LossSettings = LossSettings()
    self_condition: float = Field(default=0.5, ge=0, le=1)
    coupling: Literal["independent", "align", "optimal-transport"] = "independent"
    training: TrainingSettings = TrainingSettings()
    out: Path
