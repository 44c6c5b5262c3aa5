"""From a configuration to a trained model in a folder."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.utils.data import DataLoader

from seqflow.objectives import Batch, Objective
from seqflow.plots import plot_training
from seqflow.sampling import seeded_generator
from seqflow.training import TrainingModule, TrainingSettings, fit, seeded

from .buckets import ChainStream, length_buckets
from .datasets import Chains, load_chains, save_chains
from .graphs import padded
from .lengths import parse_lengths
from .models import Generator, GeneratorSpec, build_generator, build_loss, save_generator
from .objective import BackboneMatching, frame_batch
from .settings import DataSettings, GeneratorSettings
from .splits import split_by_cluster

CHANGEABLE = ("steps", "validate_every", "checkpoint_every")
"""Settings of training that may change when it goes on."""


class ChainParts(NamedTuple):
    """Chains that share no cluster."""

    train: Chains
    validation: Chains
    test: Chains


class ChainTraining(TrainingModule):
    """Trains on batches of chains of similar length.

    Args:
        network: whatever the objective calls.
        objective: loss of each chain.
        parts: chains to train on and to judge by.
        settings: how to train.
        identity: what must be the same when training goes on.
    """

    def __init__(
        self,
        network: nn.Module,
        objective: Objective,
        parts: ChainParts,
        settings: TrainingSettings,
        identity: dict[str, Any],
    ) -> None:
        super().__init__(network, objective, {}, {}, settings, identity=identity)
        self.parts = parts

    def train_dataloader(self) -> DataLoader[Batch]:
        """Batches from the current step on."""
        own = self.settings
        stream = ChainStream(
            self.parts.train, own.batch_size, own.seed, self.global_step, _as_frames
        )
        return DataLoader(stream, batch_size=None)

    def val_dataloader(self) -> DataLoader[Batch]:
        """Validation chains, longest first."""
        chains, size = self.parts.validation, self.settings.batch_size
        buckets = length_buckets(chains.lengths)
        pieces: Any = [
            frame_batch(padded(chains, part, bucket.length))
            for bucket in buckets
            for part in bucket.index.split(size)
        ]
        return DataLoader(pieces, batch_size=None)


def read_parts(settings: DataSettings) -> ChainParts:
    """The chains of the wanted lengths, split by cluster.

    Raises ``ValueError`` if no chain has such a length, or a part gets none.
    """
    shortest, longest = parse_lengths(settings.length)
    chains = load_chains(settings.path)
    chains = chains.select((chains.lengths >= shortest) & (chains.lengths <= longest))
    if not len(chains):
        raise ValueError(f"{settings.path}: no chain of {settings.length} residues")
    fractions = (1 - settings.validation - settings.test, settings.validation, settings.test)
    split = split_by_cluster(chains.clusters, fractions, seeded_generator(settings.split_seed))
    return ChainParts(*(chains.select(index) for index in split))


def train_generator(
    settings: GeneratorSettings, *, device: str = "auto", progress: bool = True
) -> Generator:
    """Train a generator, or go on where its folder stopped, and save it there."""
    parts = read_parts(settings.data)
    spec = GeneratorSpec(
        length=settings.data.length,
        flow=settings.flow,
        network=settings.network,
        provenance=_provenance(settings, parts),
    )
    with seeded(settings.training.seed):
        generator = build_generator(spec)
    objective = BackboneMatching(
        generator.flow, build_loss(settings.loss), settings.self_condition
    )
    print(_report(generator.network, parts), file=sys.stderr)  # noqa: T201  # progress
    module = ChainTraining(
        generator.network, objective, parts, settings.training, _identity(settings, parts)
    )
    _save_parts(settings.out / "parts", parts)
    averaged = fit(module, settings.out, device=device, progress=progress)
    generator.network.load_state_dict(averaged.state_dict())
    generator.network.cpu().eval()
    save_generator(settings.out, generator)
    plot_training(settings.out / "logs", settings.out / "training.png")
    return generator


def _as_frames(batch: Batch, generator: torch.Generator) -> Batch:
    """As an augmentation that needs no chance: the network is equivariant, so no turning."""
    del generator
    return frame_batch(batch)


def _save_parts(folder: Path, parts: ChainParts) -> None:
    """Keep what was learned and what was not, for ``evaluate``."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"cannot write the model to {folder}: {error.strerror}") from None
    for name, chains in parts._asdict().items():
        save_chains(folder / f"{name}.safetensors", chains)


def _report(network: nn.Module, parts: ChainParts) -> str:
    size = sum(each.numel() for each in network.parameters())
    train, validation, test = parts
    return (
        f"{len(train)} chains in {len(set(train.clusters))} clusters to train on, "
        f"{len(validation)} to validate, {len(test)} kept for tests; {size:,} weights"
    )


def _provenance(settings: GeneratorSettings, parts: ChainParts) -> dict[str, Any]:
    return {
        "file": settings.data.path.name,
        "chains": len(parts.train),
        "split_seed": settings.data.split_seed,
        "validation": settings.data.validation,
        "test": settings.data.test,
        "loss": settings.loss.model_dump(mode="json"),
        "self_condition": settings.self_condition,
        "steps": settings.training.steps,
        "batch_size": settings.training.batch_size,
        "seed": settings.training.seed,
    }


def _identity(settings: GeneratorSettings, parts: ChainParts) -> dict[str, Any]:
    """What must be the same when training goes on: not where files lie."""
    identity = settings.model_dump(mode="json", exclude={"out": True, "data": {"path"}})
    for key in CHANGEABLE:
        identity["training"].pop(key)
    return identity | {"kind": "backbones", "chains": len(parts.train)}
