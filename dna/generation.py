"""Sequences from a trained generator, steered or not."""

from __future__ import annotations

import torch
from torch import Tensor

from seqflow.devices import find_device
from seqflow.guidance import NO_LABEL
from seqflow.sampling import Sampler, time_grid

from .models import Generator
from .steering import ByPredictions, Steered, Steering
from .templates import read_template


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
        steering: how to; as the data are if None.
        steps: of the sampler; the generator's default if None.
        seed: same seed, same sequences, whatever the batch size.
        batch_size: sequences that the network sees at once.
        device: where to compute, as `seqflow.devices.find_device` reads it.
        progress: whether to show a bar on stderr.

    Raises:
        ValueError: for an unknown label, a template, length or number that cannot be, or a
            steering that the generator's method does not allow.
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
    place = find_device(device)
    steered = Steered(generator.process, generator.network.to(place))
    if label is not None:
        steered = (steering or ByPredictions(1.0)).steer(generator, place)
    steps = generator.default_steps(length) if steps is None else steps
    times = time_grid(steps, device=place)
    sampler = Sampler(steered.process, steered.predictor, times, batch_size, progress)
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
