"""From a configuration to a trained model in a folder."""

from __future__ import annotations

import sys
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader

from seqflow.objectives import Batch, FlowMatching, Objective
from seqflow.plots import plot_training
from seqflow.scattered_times import ScatteredTimes
from seqflow.training import TrainingModule, TrainingSettings, fit, seeded

from .corpus import Corpus, Part, load_corpus
from .models import Generator, GeneratorSpec, build_generator, save_generator
from .processes import build_training_process
from .settings import GeneratorSettings, complete_path
from .windows import WindowStream

CHANGEABLE = ("steps", "validate_every", "checkpoint_every")
"""Settings of training that may change when it goes on."""

COUNTED = 1_000_000
"""Tokens, evenly spread, of which the network knows the frequencies from the start."""


class WindowTraining(TrainingModule):
    """Trains on random windows of a corpus.

    Args:
        network: whatever the objective calls.
        objective: loss of each window.
        part: tokens to train on.
        length: tokens of a window.
        validation: windows to judge by, or None.
        settings: how to train.
        identity: what must be the same when training goes on.
    """

    def __init__(
        self,
        network: nn.Module,
        objective: Objective,
        part: Part,
        length: int,
        validation: Batch | None,
        settings: TrainingSettings,
        identity: dict[str, Any],
    ) -> None:
        super().__init__(network, objective, {}, validation, settings, identity=identity)
        self.part, self.length = part, length

    def train_dataloader(self) -> DataLoader[Batch]:
        """Batches from the current step on."""
        own = self.settings
        stream = WindowStream(self.part, self.length, own.batch_size, own.seed, self.global_step)
        return DataLoader(stream, batch_size=None)


def train_generator(
    settings: GeneratorSettings, *, device: str = "auto", progress: bool = True
) -> Generator:
    """Train a generator, or go on where its folder stopped, and save it there."""
    corpus = load_corpus(settings.data.corpus)
    spec = GeneratorSpec(
        num_classes=corpus.tokenizer.num_classes,
        length=settings.data.length,
        method=settings.method,
        path=complete_path(settings.method, settings.path),
        network=settings.network,
        provenance=_provenance(settings, corpus),
    )
    with seeded(settings.training.seed):
        generator = build_generator(spec, corpus.tokenizer)
    seen = corpus.part("train").windows(1, COUNTED)
    counts = torch.bincount(seen.flatten(), minlength=spec.num_classes)
    generator.network.network.set_frequencies(counts)
    module = _module(settings, corpus, generator)
    _report(generator.network, corpus)
    averaged = fit(module, settings.out, device=device, progress=progress)
    generator.network.load_state_dict(averaged.state_dict())
    generator.network.cpu().eval()
    save_generator(settings.out, generator)
    plot_training(settings.out / "logs", settings.out / "training.png")
    return generator


def _module(settings: GeneratorSettings, corpus: Corpus, generator: Generator) -> WindowTraining:
    data = settings.data
    part = corpus.part("train")
    WindowStream(part, data.length, 1, 0)  # says if the part is too short, before any work
    validation: Batch | None = None
    if "validation" in corpus.parts:
        windows = corpus.part("validation").windows(data.length, data.validation_windows)
        validation = {"x_1": windows}
    process = build_training_process(
        settings.method, generator.spec.num_classes, generator.spec.path
    )
    return WindowTraining(
        generator.network,
        _objective(generator.spec, process),
        part,
        data.length,
        validation,
        settings.training,
        _identity(settings, corpus),
    )


def _objective(spec: GeneratorSpec, process: Any) -> Objective:
    """Positions at times of their own, where the method has such."""
    if spec.path is not None and spec.path.scatter:
        return ScatteredTimes(process, spec.path.scatter)
    return FlowMatching(process)


def _provenance(settings: GeneratorSettings, corpus: Corpus) -> dict[str, Any]:
    return corpus.description | {
        "characters": corpus.part("train").characters,
        "steps": settings.training.steps,
        "batch_size": settings.training.batch_size,
        "seed": settings.training.seed,
    }


def _identity(settings: GeneratorSettings, corpus: Corpus) -> dict[str, Any]:
    """What must be the same when training goes on: not where files lie."""
    exclude: Any = {"out": True, "data": {"corpus", "validation_windows"}}
    identity = settings.model_dump(mode="json", exclude=exclude)
    for key in CHANGEABLE:
        identity["training"].pop(key)
    tokens = len(corpus.part("train").tokens)
    return identity | {"kind": "language", "tokens": tokens}


def _report(network: nn.Module, corpus: Corpus) -> None:
    size = sum(each.numel() for each in network.parameters())
    tokens = len(corpus.part("train").tokens)
    message = f"{tokens:,} tokens to train on; {size:,} weights"
    print(message, file=sys.stderr)  # noqa: T201  # progress
