"""Text from a trained generator."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from seqflow.devices import find_device
from seqflow.sampling import Predictor, Sampler, time_grid
from seqflow.tempering import Tempering

from .models import Generator


@dataclass(frozen=True)
class Decoding:
    """How to draw.

    Attributes:
        steps: of the sampler; the generator's default if None.
        temperature: of the predicted posterior; 1 leaves it alone.
        top_p: mass of the posterior that is kept; 1 is all.
    """

    steps: int | None = None
    temperature: float = 1.0
    top_p: float = 1.0


def generate(
    generator: Generator,
    num: int,
    *,
    length: int | None = None,
    template: tuple[int, ...] | None = None,
    decoding: Decoding | None = None,
    seed: int = 0,
    batch_size: int = 64,
    device: str = "cpu",
    progress: bool = False,
) -> list[str]:
    """Draw ``num`` texts.

    Args:
        generator: the model.
        num: how many.
        length: tokens of each; that of the template, or of training, if None.
        template: tokens to hold, as `language.templates` reads them.
        decoding: steps and temperature.
        seed: same seed, same texts, whatever the batch size.
        batch_size: texts that the network sees at once.
        device: where to compute, as `seqflow.devices.find_device` reads it.
        progress: whether to show a bar on stderr.

    Raises:
        ValueError: for a number, length or decoding that cannot be.
    """
    decoding = decoding or Decoding()
    if template is not None:
        if length not in (None, len(template)):
            raise ValueError(
                f"the template has {len(template)} positions, not the {length} of --length; "
                "leave the length out"
            )
        length, generator = len(template), generator.holding(template)
    length = generator.spec.length if length is None else length
    if length < 1:
        raise ValueError(f"expected a length of at least 1, got {length}")
    if num < 1:
        raise ValueError(f"expected a number of texts of at least 1, got {num}")
    place = find_device(device)
    predictor: Predictor = generator.network.to(place)
    if (decoding.temperature, decoding.top_p) != (1, 1):
        predictor = Tempering(predictor, decoding.temperature, decoding.top_p)
    steps = generator.default_steps(length) if decoding.steps is None else decoding.steps
    times = time_grid(steps, device=place)
    sampler = Sampler(generator.process, predictor, times, batch_size, progress)
    x_1 = sampler.sample((num, length), seed=seed)
    tokens: torch.Tensor = generator.process.decode(x_1).cpu()
    return [generator.tokenizer.decode(row) for row in tokens.tolist()]
