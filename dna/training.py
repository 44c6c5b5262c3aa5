"""From a configuration to a trained model in a folder."""

from __future__ import annotations

import sys
from typing import Any

from torch import nn

from seqflow.objectives import Batch, Classification, FlowMatching, NoisyClassification, Objective
from seqflow.plots import plot_training
from seqflow.training import TrainingModule, TrainingSettings, fit, seeded

from .datasets import check_disjoint, either_strand, labels_of, read_records, select, to_batch
from .models import (
    Classifier,
    ClassifierSpec,
    Generator,
    GeneratorSpec,
    build_classifier,
    build_generator,
    save_classifier,
    save_generator,
)
from .processes import K, build_process
from .records import Records
from .settings import ClassifierSettings, DataSettings, GeneratorSettings, complete_path


def train_generator(
    settings: GeneratorSettings, *, device: str = "auto", progress: bool = True
) -> Generator:
    """Train a generator, or go on where its folder stopped, and save it there."""
    data = _Data(settings.data)
    spec = GeneratorSpec(
        labels=data.labels,
        length=data.train.tokens.shape[1],
        method=settings.method,
        path=complete_path(settings.method, settings.path),
        network=settings.network,
        transformer=settings.transformer,
        provenance=data.provenance(settings.training),
    )
    with seeded(settings.training.seed):
        generator = build_generator(spec)
    objective = FlowMatching(generator.process, settings.drop_label)
    identity = {"kind": "generator"} | settings.model_dump(mode="json")
    data.fit(generator.network, objective, settings, identity, device, progress)
    save_generator(settings.out, generator)
    return generator


def train_classifier(
    settings: ClassifierSettings, *, device: str = "auto", progress: bool = True
) -> Classifier:
    """Train an oracle or a noisy classifier, likewise."""
    data = _Data(settings.data)
    spec = ClassifierSpec(
        labels=data.labels,
        length=data.train.tokens.shape[1],
        noise=settings.noise,
        path=complete_path(settings.noise, settings.path),
        network=settings.network,
        provenance=data.provenance(settings.training),
    )
    with seeded(settings.training.seed):
        classifier = build_classifier(spec, dropout=settings.dropout)
    objective: Objective = (
        Classification(K)
        if settings.noise == "none"
        else NoisyClassification(build_process(settings.noise, settings.path))
    )
    identity = {"kind": "classifier"} | settings.model_dump(mode="json")
    data.fit(classifier.network, objective, settings, identity, device, progress)
    save_classifier(settings.out, classifier)
    return classifier


class _Data:
    """The sequences of a configuration, split."""

    def __init__(self, settings: DataSettings) -> None:
        records = read_records(settings)
        self.settings = settings
        self.labels = labels_of(records)
        for label in self.labels:
            if not label or any(character.isspace() for character in label):
                raise ValueError(f"expected labels without spaces, for FASTA headers: {label!r}")
        self.train = select(records, settings.train, key="data.train")
        self.validation: Records | None = None
        if settings.validation:
            self.validation = select(records, settings.validation, key="data.validation")
            check_disjoint(train=self.train, validation=self.validation)
        message = (
            f"{len(self.train)} sequences of {records.tokens.shape[1]} bases to train on, "
            f"{len(self.validation or ())} to validate; {records.num_skipped} skipped "
            f"for ambiguous bases; classes: {', '.join(self.labels)}"
        )
        print(message, file=sys.stderr)  # noqa: T201  # progress

    def provenance(self, training: TrainingSettings) -> dict[str, Any]:
        return {
            "sequences": len(self.train),
            "train": self.settings.train,
            "validation": self.settings.validation,
            "steps": training.steps,
            "batch_size": training.batch_size,
            "seed": training.seed,
        }

    def fit(
        self,
        network: nn.Module,
        objective: Objective,
        settings: GeneratorSettings | ClassifierSettings,
        identity: dict[str, Any],
        device: str,
        progress: bool,
    ) -> None:
        """Train ``network`` in place, on its averaged weights in the end."""
        # Where files lie and how often it reports may change; longer is allowed.
        identity = {key: value for key, value in identity.items() if key != "out"}
        identity["data"] |= {"labels": self.labels, "sequences": len(self.train)}
        for key in ("files", "table"):
            identity["data"].pop(key)
        for key in ("steps", "validate_every", "checkpoint_every"):
            identity["training"].pop(key)
        validation: Batch | None = None
        if self.validation is not None:
            validation = to_batch(self.validation, self.labels)
        module = TrainingModule(
            network,
            objective,
            to_batch(self.train, self.labels),
            validation,
            settings.training,
            either_strand if self.settings.reverse_complement else None,
            identity,
        )
        averaged = fit(module, settings.out, device=device, progress=progress)
        network.load_state_dict(averaged.state_dict())
        network.cpu().eval()
        plot_training(settings.out / "logs", settings.out / "training.png")
