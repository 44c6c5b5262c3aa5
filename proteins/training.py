"""From a configuration to a trained model in a folder."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor, nn

from seqflow.couplings import Coupling, Independent
from seqflow.objectives import Batch
from seqflow.plots import plot_training
from seqflow.sampling import seeded_generator
from seqflow.training import TrainingSettings, fit, seeded

from .buckets import MAX_PADDING, ChainStream
from .couplings import AlignedNoise, TransportedNoise
from .datasets import Chains, load_chains, save_chains
from .graphs import padded
from .lengths import parse_lengths
from .models import Generator, GeneratorSpec, build_generator, build_loss, save_generator
from .objective import BackboneMatching, frame_batch
from .settings import DataSettings, GeneratorSettings
from .splits import split_by_cluster
from .stream_training import Stream, StreamTraining, padded_batches

CHANGEABLE = ("steps", "validate_every", "checkpoint_every")
"""Settings of training that may change when it goes on."""


class CouplingChoice(NamedTuple):
    """A coupling, and how much padding the batches may have that it is given."""

    noise: Coupling
    max_padding: float = MAX_PADDING


COUPLINGS: dict[str, CouplingChoice] = {
    "independent": CouplingChoice(Independent()),
    "align": CouplingChoice(AlignedNoise()),
    # Only chains of one length can be matched, so batches have no others.
    "optimal-transport": CouplingChoice(TransportedNoise(), max_padding=0.0),
}


class ChainParts(NamedTuple):
    """Chains that share no cluster."""

    train: Chains
    validation: Chains
    test: Chains


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
    coupling = COUPLINGS[settings.coupling]
    objective = BackboneMatching(
        generator.flow, build_loss(settings.loss), settings.self_condition, coupling.noise
    )
    print(_report(generator.network, parts), file=sys.stderr)  # noqa: T201  # progress
    module = StreamTraining(
        generator.network,
        objective,
        chain_stream(parts.train, settings.training, coupling.max_padding),
        padded_batches(parts.validation, settings.training.batch_size, frame_chains),
        settings.training,
        _identity(settings, parts),
    )
    _save_parts(settings.out / "parts", parts)
    averaged = fit(module, settings.out, device=device, progress=progress)
    generator.network.load_state_dict(averaged.state_dict())
    generator.network.cpu().eval()
    save_generator(settings.out, generator)
    plot_training(settings.out / "logs", settings.out / "training.png")
    return generator


def frame_chains(chains: Chains, index: Tensor, length: int) -> Batch:
    """Chains as a batch of frames; nothing is turned at random, the network is equivariant."""
    return frame_batch(padded(chains, index, length))


def chain_stream(
    chains: Chains, settings: TrainingSettings, max_padding: float = MAX_PADDING
) -> Stream:
    """Shuffled batches of frames."""
    return lambda start: ChainStream(
        chains,
        settings.batch_size,
        settings.seed,
        start,
        pad=frame_chains,
        max_padding=max_padding,
    )


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
        "coupling": settings.coupling,
        "steps": settings.training.steps,
        "batch_size": settings.training.batch_size,
        "seed": settings.training.seed,
    }


def _identity(settings: GeneratorSettings, parts: ChainParts) -> dict[str, Any]:
    """What must be the same when training goes on: not where files lie."""
    identity = settings.model_dump(mode="json", exclude={"out": True, "data": {"path"}})
    for key in CHANGEABLE:
        identity["training"].pop(key)
    if settings.coupling == "independent":  # states of before there was a choice go on
        identity.pop("coupling")
    return identity | {"kind": "backbones", "chains": len(parts.train)}
