"""DNA models by name: what a configuration's words mean, and models to and from disk."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from pydantic import Field
from torch import nn

from seqflow.autoregressive import Autoregression
from seqflow.checkpoints import find_checkpoint, load_checkpoint, save_checkpoint
from seqflow.denoiser import CausalPredictor, EvidenceDenoiser, NoisyClassifier
from seqflow.inpainting import Inpainting
from seqflow.networks import ConvolutionalClassifier, ConvolutionalNetwork, Transformer
from seqflow.networks.sizes import TransformerSize
from seqflow.process import Process
from seqflow.settings import Settings, check_settings

from .processes import K, build_process
from .settings import Method, NetworkSettings, Noise, PathSettings

DEFAULT_GENERATOR = "ctcf-pu1"
DEFAULT_ORACLE = "ctcf-pu1-oracle"


class GeneratorSpec(Settings):
    """What builds a generator again.

    Attributes:
        labels: the classes, in order of their numbers.
        length: bases of the training sequences, and the most it can make.
        method: how noise becomes data.
        path: parameters of the method, all that it has.
        network: size of the convolutional network.
        transformer: size of the transformer that stands in its place, if one does.
        provenance: what it was trained on, for people.
    """

    labels: list[str]
    length: int = Field(gt=0, le=1_000_000)
    method: Method
    path: PathSettings | None = None
    network: NetworkSettings
    transformer: TransformerSize | None = None
    provenance: dict[str, Any] = Field(default_factory=dict)


class ClassifierSpec(Settings):
    """What builds a classifier again.

    Attributes:
        labels: the classes, in order of their numbers.
        length: bases of the training sequences.
        noise: the method whose noisy states it reads, or ``none``.
        path: parameters of that method, all that it has.
        network: size of the network.
        provenance: what it was trained on, for people.
    """

    labels: list[str]
    length: int = Field(gt=0, le=1_000_000)
    noise: Noise
    path: PathSettings | None = None
    network: NetworkSettings
    provenance: dict[str, Any] = Field(default_factory=dict)


@dataclass(frozen=True)
class Generator:
    """A process and the network that predicts for it."""

    spec: GeneratorSpec
    process: Process[Any]
    network: EvidenceDenoiser | CausalPredictor

    def holding(self, template: tuple[int, ...]) -> Generator:
        """The same generator with the bases of a template held, as `read_template` reads it."""
        process = Inpainting(self.process, template)
        return replace(self, process=process, network=self.network.seeing(process))

    def label_id(self, label: str) -> int:
        """The number of a class; ``ValueError`` that names those there are."""
        if label not in self.spec.labels:
            raise ValueError(f"no label {label!r}; the model knows {', '.join(self.spec.labels)}")
        return self.spec.labels.index(label)

    def default_steps(self, length: int) -> int:
        """Steps that are enough: one a base from left to right, else 50."""
        return length if self.spec.method == "autoregressive" else 50


@dataclass(frozen=True)
class Classifier:
    """A classifier of finished sequences or, with noise, of noisy states."""

    spec: ClassifierSpec
    network: nn.Module


Spec = TypeVar("Spec", bound=Settings)
Model = TypeVar("Model", Generator, Classifier)


def build_generator(spec: GeneratorSpec) -> Generator:
    """A generator with fresh weights."""
    if spec.method == "autoregressive":
        causal = _build_network(spec, causal=True)
        return Generator(spec, Autoregression(K), CausalPredictor(K, causal))
    process = build_process(spec.method, spec.path)
    return Generator(spec, process, EvidenceDenoiser(process, _build_network(spec, causal=False)))


def _build_network(spec: GeneratorSpec, *, causal: bool) -> nn.Module:
    labels = len(spec.labels)
    if spec.transformer is not None:
        return Transformer(K, K, labels, causal=causal, **spec.transformer.options)
    size = dict(spec.network) | {"max_length": spec.length}
    return ConvolutionalNetwork(K, K, labels, causal=causal, **size)


def build_classifier(spec: ClassifierSpec, *, dropout: float = 0.0) -> Classifier:
    """A classifier with fresh weights."""
    network = ConvolutionalClassifier(
        K, len(spec.labels), max_length=spec.length, dropout=dropout, **dict(spec.network)
    )
    if spec.noise == "none":
        return Classifier(spec, network)
    return Classifier(spec, NoisyClassifier(build_process(spec.noise, spec.path), network))


def save_generator(folder: Path, generator: Generator) -> None:
    """Write it so that :func:`load_generator` finds it."""
    _save(folder, "generator", generator.spec, generator.network)


def save_classifier(folder: Path, classifier: Classifier) -> None:
    """Write it so that :func:`load_classifier` finds it."""
    _save(folder, "classifier", classifier.spec, classifier.network)


def load_generator(name: str) -> Generator:
    """A generator from its folder or, bundled, by name; raises ``ValueError``."""
    return _load(name, "generator", GeneratorSpec, build_generator)


def load_classifier(name: str) -> Classifier:
    """A classifier from its folder or, bundled, by name; raises ``ValueError``."""
    return _load(name, "classifier", ClassifierSpec, build_classifier)


def _load(name: str, kind: str, schema: type[Spec], build: Callable[[Spec], Model]) -> Model:
    """Find the folder, build what its configuration says and fill in its weights."""
    checkpoint = load_checkpoint(find_checkpoint(name, package="dna"), domain="dna", kind=kind)
    model = build(check_settings(schema, checkpoint.config, where=str(checkpoint.folder)))
    checkpoint.load_into(model.network)
    return model


def _save(folder: Path, kind: str, spec: Settings, model: nn.Module) -> None:
    config: Mapping[str, Any] = spec.model_dump(mode="json", exclude_none=True)
    save_checkpoint(folder, domain="dna", kind=kind, config=config, model=model)
