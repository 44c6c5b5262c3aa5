r"""Rectification: a flow learned anew from the pairs that it makes itself.

    1. walk from noise x_0 to a backbone x_1 with the trained model, many times
    2. keep the pairs whose backbone is plausible
    3. go on training its weights with the same loss, x_0 and x_1 from one pair

Where paths of the first flow cross, the network predicts the mean of several ends. Those of
its own pairs do not cross, so the second flow is straighter, and a few steps follow it (Liu et
al. 2023, arXiv:2209.03003). The pairs are those of the sampler as it is, with its own schedules:
it is this coupling that is made straight, not the flow of the training schedules.

Each step leaves its result in the folder and is not done again: ``pairs.safetensors``,
``pairs.csv``, and the model with its training state.
"""

from __future__ import annotations

import sys
from typing import Any, Literal

import torch

from seqflow.plots import plot_training
from seqflow.sampling import seeded_generator
from seqflow.training import TrainingSettings, fit

from .buckets import ChainStream
from .couplings import StoredNoise
from .datasets import load_chains
from .evaluation import write_rows
from .models import (
    Generator,
    GeneratorSpec,
    build_generator,
    build_loss,
    load_generator,
    save_generator,
)
from .objective import BackboneMatching, pair_batch
from .pair_filter import describe_judgement, gate_with, judge_pairs, judgement_rows
from .pair_generation import make_pairs, weights_digest
from .pairs import Pairs
from .rectification_settings import MixtureSettings, RectificationSettings
from .report import make_folder
from .stream_training import MixedStream, Stream, StreamTraining, padded_batches
from .training import CHANGEABLE, chain_stream

Step = Literal["pairs", "filter", "model"]
STEPS: tuple[Step, ...] = ("pairs", "filter", "model")


def rectify(
    settings: RectificationSettings,
    *,
    until: Step = "model",
    device: str = "auto",
    progress: bool = True,
) -> None:
    """Do the steps of this module's head up to ``until``, or go on where its folder stopped.

    Raises:
        ValueError: for settings that do not fit what is in the folder, or pairs of which too
            few are left to train on.
    """
    make_folder(settings.out)
    base = load_generator(settings.model)
    path = settings.pairs.path or settings.out / "pairs.safetensors"
    pairs = make_pairs(base, settings.pairs, path, device=device, progress=progress)
    _say(f"{len(pairs)} pairs in {path}")
    if until == "pairs":
        return
    kept = keep_pairs(pairs, settings)
    if until == "filter":
        return
    train_on_pairs(settings, base, kept, device=device, progress=progress)


def keep_pairs(pairs: Pairs, settings: RectificationSettings) -> Pairs:
    """The plausible ones; the verdict on all of them goes to ``pairs.csv``."""
    judgement = judge_pairs(pairs, gate_with(settings.filter.limits))
    table = settings.out / "pairs.csv"
    write_rows(table, judgement_rows(pairs, judgement))
    _say(f"{describe_judgement(judgement)}; see {table}")
    return pairs.select(judgement.kept)


def split_pairs(pairs: Pairs, validation: float, seed: int) -> tuple[Pairs, Pairs]:
    """Pairs to train on and to judge by; raises ``ValueError`` if either would be empty."""
    num = len(pairs)
    held_out = max(round(validation * num), 1)
    if num <= held_out:
        raise ValueError(
            f"expected at least {held_out + 1} plausible pairs to train on, got {num}; "
            "raise pairs.num, or widen filter.limits"
        )
    order = torch.randperm(num, generator=seeded_generator(seed, 4))
    return pairs.select(order[held_out:]), pairs.select(order[:held_out])


def train_on_pairs(
    settings: RectificationSettings,
    base: Generator,
    pairs: Pairs,
    *,
    device: str = "auto",
    progress: bool = True,
) -> Generator:
    """Train on, from the weights of ``base``, and save the new model in the folder."""
    own = settings.training
    generator = build_generator(_spec(settings, base, pairs))
    generator.network.load_state_dict(base.network.state_dict())
    train, held_out = split_pairs(pairs, settings.validation, own.seed)
    module = StreamTraining(
        generator.network,
        BackboneMatching(
            generator.flow, build_loss(settings.loss), settings.self_condition, StoredNoise()
        ),
        _mixed(pair_stream(train, own), settings.mixture, own),
        padded_batches(held_out, own.batch_size, pair_batch),
        own,
        _identity(settings, base, pairs),
    )
    averaged = fit(module, settings.out, device=device, progress=progress)
    generator.network.load_state_dict(averaged.state_dict())
    generator.network.cpu().eval()
    save_generator(settings.out, generator)
    plot_training(settings.out / "logs", settings.out / "training.png")
    return generator


def pair_stream(pairs: Pairs, settings: TrainingSettings) -> Stream:
    """Shuffled batches of pairs."""
    return lambda start: ChainStream(
        pairs, settings.batch_size, settings.seed, start, pad=pair_batch
    )


def _mixed(pairs: Stream, mixture: MixtureSettings, settings: TrainingSettings) -> Stream:
    if mixture.path is None or not mixture.share:
        return pairs
    real = chain_stream(load_chains(mixture.path), settings)
    return lambda start: MixedStream(pairs, real, mixture.share, start)


def _spec(settings: RectificationSettings, base: Generator, pairs: Pairs) -> GeneratorSpec:
    """That of the base, with other schedules of sampling if they are wanted."""
    flow = base.spec.flow
    if settings.sampling is not None:
        flow = flow.model_copy(update={"sampling": settings.sampling})
    provenance = {
        "base": base.spec.provenance,
        "pairs": dict(pairs.origin) | {"kept": len(pairs)},
        "limits": settings.filter.limits,
        "mixture": settings.mixture.share,
        "steps": settings.training.steps,
        "batch_size": settings.training.batch_size,
        "seed": settings.training.seed,
    }
    length = settings.pairs.length or base.spec.length
    update = {"flow": flow, "length": length, "steps": settings.steps, "provenance": provenance}
    checked = base.spec.model_copy(update=update).model_dump(mode="json")
    return GeneratorSpec.model_validate(checked)


def _identity(settings: RectificationSettings, base: Generator, pairs: Pairs) -> dict[str, Any]:
    """What must be the same when training goes on: not where files lie."""
    samples: Any = {"sampling": True, "steps": True}  # change nothing of the training
    places: Any = {"out": True, "model": True, "pairs": True, "mixture": {"path"}}
    identity = settings.model_dump(mode="json", exclude=samples | places)
    for key in CHANGEABLE:
        identity["training"].pop(key)
    pairs_of = {"pairs": dict(pairs.origin), "kept": len(pairs)}
    start = weights_digest(base.network)
    return identity | pairs_of | {"kind": "rectified backbones", "start": start}


def _say(message: str) -> None:
    print(message, file=sys.stderr)  # noqa: T201  # a message
