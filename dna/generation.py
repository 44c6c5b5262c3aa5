"""Sequences from a trained generator, steered or not."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from seqflow.devices import find_device
from seqflow.guidance import (
    NO_LABEL,
    ClassifierFreeGuidance,
    ClassifierGuidance,
    Combination,
    log_linear,
)
from seqflow.process import Tiltable
from seqflow.sampling import Predictor, Sampler, time_grid

from .models import Classifier, Generator
from .templates import read_template

MAX_STRENGTH = 100


@dataclass(frozen=True)
class Steering:
    """How to push samples towards their class.

    Attributes:
        strength: 0 not at all, 1 as the data are, more beyond.
        combine: of classifier-free guidance.
        guide: a classifier of the generator's noisy states; then its gradient steers, and
            ``combine`` is not used.
    """

    strength: float = 1.0
    combine: Combination = log_linear
    guide: Classifier | None = None

    def __post_init__(self) -> None:
        if not -MAX_STRENGTH <= self.strength <= MAX_STRENGTH:  # NaN fails too
            raise ValueError(
                f"expected a guidance between -{MAX_STRENGTH} and {MAX_STRENGTH}, "
                f"got {self.strength}"
            )

    def predictor(self, generator: Generator) -> Predictor:
        """The generator's network, steered; raises ``ValueError`` if the guide does not fit."""
        if self.guide is None:
            return ClassifierFreeGuidance(generator.network, self.strength, self.combine)
        _check_guide(self.guide, generator)
        process: Tiltable = generator.process  # type: ignore[assignment]  # of the guide's method
        classifier = self.guide.network.seeing(process)  # type: ignore[operator]  # NoisyClassifier
        return ClassifierGuidance(process, generator.network, classifier, self.strength)


def generate(
    generator: Generator,
    label: str | None,
    num: int,
    *,
    length: int | None = None,
    template: str | None = None,
    steering: Steering | None = None,
    steps: int | None = None,
    seed: int = 0,
    batch_size: int = 64,
    device: str = "cpu",
    progress: bool = False,
) -> Tensor:
    """Draw tokens ``(num, length)``.

    Args:
        generator: the model.
        label: the class to steer towards; None for sequences of any class.
        num: how many.
        length: bases; that of the template, or the training length, if None.
        template: bases to hold, such as ``ACGT....NNNN``; see `dna.templates`.
        steering: how strongly; as the data are if None.
        steps: of the sampler; the generator's default if None.
        seed: same seed, same sequences, whatever the batch size.
        batch_size: sequences that the network sees at once.
        device: where to compute, as `seqflow.devices.find_device` reads it.
        progress: whether to show a bar on stderr.

    Raises:
        ValueError: for an unknown label, a template, length or number that cannot be.
    """
    if template is not None:
        length = _check_template(template, length, generator)
        generator = generator.holding(read_template(template))
    length = generator.spec.length if length is None else length
    if not 1 <= length <= generator.spec.length:
        raise ValueError(f"expected a length from 1 to {generator.spec.length}, got {length}")
    if num < 1:
        raise ValueError(f"expected a number of sequences of at least 1, got {num}")
    number = NO_LABEL if label is None else generator.label_id(label)
    steering = Steering() if steering is None else steering
    place = find_device(device)
    generator.network.to(place)
    if steering.guide is not None:
        steering.guide.network.to(place)
    predictor = generator.network if label is None else steering.predictor(generator)
    steps = generator.default_steps(length) if steps is None else steps
    times = time_grid(steps, device=place)
    sampler = Sampler(generator.process, predictor, times, batch_size, progress)
    condition = torch.full((num,), number, device=place)
    x_1 = sampler.sample((num, length), condition=condition, seed=seed)
    tokens: Tensor = generator.process.decode(x_1).cpu()
    return tokens


def _check_template(template: str, length: int | None, generator: Generator) -> int:
    """The template's length, if the generator makes sequences of it."""
    if len(template) > generator.spec.length:
        raise ValueError(
            f"the template has {len(template)} positions, but the model makes at most "
            f"{generator.spec.length} bases"
        )
    if length not in (None, len(template)):
        raise ValueError(
            f"the template has {len(template)} positions, not the {length} of --length; "
            "leave the length out"
        )
    return len(template)


def _check_guide(guide: Classifier, generator: Generator) -> None:
    if guide.spec.noise != generator.spec.method:
        raise ValueError(
            f"the guide reads {guide.spec.noise} states, the generator makes "
            f"{generator.spec.method} ones; train a guide with noise: {generator.spec.method}"
        )
    read, made = (m.spec.path.model_dump() if m.spec.path else {} for m in (guide, generator))
    for key in made:
        if read.get(key) != made[key]:
            raise ValueError(
                f"the guide was trained with path.{key} {read.get(key)}, the generator with "
                f"{made[key]}; train a guide with the same path"
            )
    if guide.spec.labels != generator.spec.labels:
        raise ValueError(
            f"the guide knows the labels {', '.join(guide.spec.labels)}, the generator "
            f"{', '.join(generator.spec.labels)}; train both on the same classes, in one order"
        )
