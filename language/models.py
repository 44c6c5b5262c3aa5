"""Language models by name: what a configuration's words mean, and models to and from disk."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import Field
from torch import nn

from seqflow.checkpoints import find_checkpoint, load_checkpoint, save_checkpoint
from seqflow.denoiser import EvidenceDenoiser
from seqflow.inpainting import Inpainting
from seqflow.networks import Transformer
from seqflow.networks.sizes import TransformerSize
from seqflow.settings import Settings, check_settings
from seqflow.token_denoiser import TokenCausalPredictor, TokenDenoiser

from .processes import build_process
from .settings import Method, PathSettings
from .tokenizers import Tokenizer, load_tokenizer, save_tokenizer

DEFAULT_GENERATOR = "novels"
DEFAULT_JUDGE = "novels-judge"


class GeneratorSpec(Settings):
    """What builds a generator again, beside its tokenizer.

    Attributes:
        num_classes: K, kinds of tokens.
        length: tokens of the windows it was trained on.
        method: how noise becomes text.
        path: parameters of the method, all that it has.
        network: size of the network.
        provenance: what it was trained on, for people.
    """

    num_classes: int = Field(ge=2, le=2**24)
    length: int = Field(gt=0, le=65_536)
    method: Method
    path: PathSettings | None = None
    network: TransformerSize
    provenance: dict[str, Any] = Field(default_factory=dict)


@dataclass(frozen=True)
class Generator:
    """A process, the network that predicts for it, and what its tokens mean."""

    spec: GeneratorSpec
    tokenizer: Tokenizer
    process: Any  # a Process of tokens that knows its path_kl
    network: Any  # a module: the predictor

    def holding(self, template: tuple[int, ...]) -> Generator:
        """The same generator with the tokens of a template held."""
        process = Inpainting(self.process, template)
        return replace(self, process=process, network=self.network.seeing(process))

    def default_steps(self, length: int) -> int:
        """Steps that are enough: one a token from left to right, else 64."""
        return length if self.spec.method == "autoregressive" else 64


def build_generator(spec: GeneratorSpec, tokenizer: Tokenizer) -> Generator:
    """A generator with fresh weights."""
    K = spec.num_classes
    process = build_process(spec.method, K, spec.path)
    causal = spec.method == "autoregressive"
    network = Transformer(K, K, causal=causal, **spec.network.options)
    return Generator(spec, tokenizer, process, _PREDICTORS[spec.method](process, network))


_PREDICTORS: dict[str, Callable[[Any, Transformer], nn.Module]] = {
    "radial": EvidenceDenoiser,  # states are points, which speak for all tokens
    "masked": TokenDenoiser,
    "uniform": TokenDenoiser,
    "autoregressive": lambda _, network: TokenCausalPredictor(network),
}


def save_generator(folder: Path, generator: Generator) -> None:
    """Write it so that :func:`load_generator` finds it."""
    config: Mapping[str, Any] = generator.spec.model_dump(mode="json", exclude_none=True)
    save_tokenizer(folder, generator.tokenizer)
    save_checkpoint(
        folder, domain="language", kind="generator", config=config, model=generator.network
    )


def load_generator(name: str) -> Generator:
    """A generator from its folder or, bundled, by name; raises ``ValueError``."""
    folder = find_checkpoint(name, package="language")
    checkpoint = load_checkpoint(folder, domain="language", kind="generator")
    spec = check_settings(GeneratorSpec, checkpoint.config, where=str(folder))
    tokenizer = load_tokenizer(folder)
    if tokenizer.num_classes != spec.num_classes:
        raise ValueError(
            f"expected a tokenizer of {spec.num_classes} tokens in {folder}, got one of "
            f"{tokenizer.num_classes}; do they belong together?"
        )
    generator = build_generator(spec, tokenizer)
    checkpoint.load_into(generator.network)
    return generator
