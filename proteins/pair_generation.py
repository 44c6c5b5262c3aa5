"""Making the pairs of rectification: many short walks of a sampler, kept as they come.

Pairs are made in groups of ``GROUP`` of one length, so nothing is padded. Group j has a length and
noise that belong to (seed, j) alone: whatever was interrupted goes on, and more pairs can be
asked for later, without a change of those that are there.
"""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from seqflow.devices import find_device
from seqflow.process import Condition
from seqflow.product_process import Parts
from seqflow.sampling import Predictor, Sampler, seeded_generator, time_grid

from .flow import ROTATION, TRANSLATION
from .generation import draw_lengths
from .lengths import parse_lengths
from .models import Generator
from .pairs import NOISE_ROTATION, NOISE_TRANSLATION, Pairs, load_pairs, save_pairs
from .rectification_settings import PairSettings

GROUP = 16
"""Pairs of one length and one generator. Part of what a seed means."""

SAVE_EVERY = 30.0
"""Seconds of work that an interruption may cost."""


class MixedPrecision:
    """A predictor whose matrix products are of bfloat16; geometry stays float32."""

    def __init__(self, network: Predictor) -> None:
        self.network = network

    def __call__(self, x_t: Parts, t: Tensor, condition: Condition = None) -> Any:
        """What the network says."""
        with torch.autocast(t.device.type, torch.bfloat16):
            return self.network(x_t, t, condition)


def make_pairs(
    generator: Generator,
    settings: PairSettings,
    path: Path,
    *,
    device: str = "auto",
    progress: bool = True,
) -> Pairs:
    """The pairs that ``settings`` describe, of ``path`` as far as they are there, and kept there.

    Raises:
        ValueError: for a length that cannot be, or a file of pairs that were made otherwise.
    """
    place = find_device(device)
    lengths = parse_lengths(settings.length or generator.spec.length)
    groups = draw_lengths(lengths, -(-settings.num // GROUP), settings.seed)
    pairs = _begin(path, _origin(generator, settings))
    generator.network.to(place)
    plain = settings.precision == "32-true"
    predictor = generator.network if plain else MixedPrecision(generator.network)
    times, done = time_grid(settings.steps, device=place), len(pairs) // GROUP
    fresh: list[dict[str, Tensor]] = []
    saved = time.monotonic()
    total = GROUP * len(groups)
    with tqdm(
        total=total,
        initial=min(len(pairs), total),
        unit="pair",
        desc="pairs",
        disable=not progress,
    ) as bar:
        for j in range(done, len(groups)):
            mask = torch.ones(groups[j], dtype=torch.bool, device=place)
            process = generator.flow.sampling_process(mask)
            sampler = Sampler(process, predictor, times, settings.batch_size)
            fresh.append(_walk(sampler, groups[j], settings.seed, j))
            bar.update(GROUP)
            if time.monotonic() - saved > SAVE_EVERY or j == len(groups) - 1:
                pairs, fresh = pairs.joined(fresh), []
                save_pairs(path, pairs)
                saved = time.monotonic()
    return pairs.select(torch.arange(total))


def weights_digest(network: nn.Module) -> str:
    """Twelve hexadecimal digits that tell weights apart."""
    digest = hashlib.sha256()
    for name, x in sorted(network.state_dict().items()):
        digest.update(name.encode() + x.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:12]


def _walk(sampler: Sampler, length: int, seed: int, group: int) -> dict[str, Tensor]:
    own = seeded_generator(seed, 2, group).initial_seed()
    x_0, x_1 = sampler.ends((GROUP, length), seed=own)
    return {
        NOISE_TRANSLATION: x_0[TRANSLATION],  # type: ignore[index]  # a mapping
        NOISE_ROTATION: x_0[ROTATION],  # type: ignore[index]
        TRANSLATION: x_1[TRANSLATION],  # type: ignore[index]
        ROTATION: x_1[ROTATION],  # type: ignore[index]
    }


def _origin(generator: Generator, settings: PairSettings) -> dict[str, Any]:
    """What must be the same for pairs to be of one set."""
    return {
        "weights": weights_digest(generator.network),
        "flow": generator.spec.flow.model_dump(mode="json"),
        "length": settings.length or generator.spec.length,
        "steps": settings.steps,
        "seed": settings.seed,
        "precision": settings.precision,
        "group": GROUP,
    }


def _begin(path: Path, origin: dict[str, Any]) -> Pairs:
    """The pairs that are there already."""
    if not path.exists():
        return Pairs.empty(origin)
    pairs = load_pairs(path)
    for key, wanted in origin.items():
        if pairs.origin.get(key) != wanted:
            raise ValueError(
                f"{path} has pairs made with {key} {pairs.origin.get(key)!r}, not {wanted!r}; "
                "choose another folder, or delete it to start anew"
            )
    return pairs
