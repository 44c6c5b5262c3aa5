"""Backbones from a trained generator."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from tqdm import tqdm

from seqflow.devices import find_device
from seqflow.sampling import Sampler, seeded_generator, time_grid

from .backbone import Backbone
from .flow import ROTATION, TRANSLATION
from .frames import frames_to_backbone
from .lengths import LengthRange
from .models import Generator

LONGEST = 1024
"""Residues; the memory of a sample grows with their square."""


def draw_lengths(lengths: LengthRange, num: int, seed: int) -> list[int]:
    """Residues of ``num`` chains, uniform over the range; the first few do not depend on ``num``.

    Raises ``ValueError`` for no chain, or one beyond ``LONGEST``.

    Example:
        >>> draw_lengths(LengthRange(64, 100), 3, seed=0)
        [72, 65, 100]
    """
    if num < 1:
        raise ValueError(f"expected a number of backbones of at least 1, got {num}")
    if lengths.longest > LONGEST:
        raise ValueError(f"expected lengths of at most {LONGEST} residues, got {lengths}")
    generator, (low, high) = seeded_generator(seed, 0), lengths
    return [int(torch.randint(low, high + 1, (), generator=generator)) for _ in range(num)]


def generate(
    generator: Generator,
    lengths: Sequence[int],
    *,
    steps: int | None = None,
    seed: int = 0,
    batch_size: int = 16,
    device: str = "cpu",
    progress: bool = False,
) -> list[Backbone]:
    """A backbone of each length, polyglycine with ideal residues and O placed.

    Chains of one length are made together, with noise of a seed of their own.

    Args:
        generator: the model.
        lengths: residues of each.
        steps: of the sampler, one prediction each; by default the model's own.
        seed: same seed and lengths, same backbones, whatever the batch size.
        batch_size: backbones that the network sees at once.
        device: where to compute, as `seqflow.devices.find_device` reads it.
        progress: whether to show a bar on stderr.

    Raises:
        ValueError: for a number of steps, batch size or seed that cannot be.
    """
    place = find_device(device)
    generator.network.to(place)
    times = time_grid(generator.spec.steps if steps is None else steps, device=place)
    found: dict[int, Backbone] = {}
    with tqdm(total=len(lengths), unit="chain", desc="sampling", disable=not progress) as bar:
        for length in sorted(set(lengths)):
            where = [i for i, each in enumerate(lengths) if each == length]
            process = generator.flow.sampling_process(
                torch.ones(length, dtype=torch.bool, device=place)
            )
            sampler = Sampler(process, generator.network, times, batch_size)
            own = seeded_generator(seed, 1, length).initial_seed()
            state = sampler.sample((len(where), length), seed=own)
            atoms = frames_to_backbone(state[ROTATION], state[TRANSLATION])  # type: ignore[index]  # a mapping
            for i, one in zip(where, atoms.cpu(), strict=True):
                found[i] = Backbone.from_coordinates(one, name=f"sample-{seed}-{i}")
            bar.update(len(where))
    return [found[i] for i in range(len(lengths))]
