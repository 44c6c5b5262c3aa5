"""How well a generator predicts a text that it has not seen: bits per token and character.

Autoregression has its exact likelihood, the other methods a variational bound
(`seqflow.likelihood.bound`), so that all numbers compare with each other and with those of
n-grams. Tokens are seen in windows, the first token of each without what stands before it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

from seqflow.devices import find_device
from seqflow.likelihood import Bound, variational_bound

from .models import Generator


class Bits(NamedTuple):
    """What a text costs.

    Attributes:
        per_token: bits.
        per_character: bits.
        standard_error: of ``per_character``, by windows and draws; NaN for one window.
        tokens: how many were looked at.
    """

    per_token: float
    per_character: float
    standard_error: float
    tokens: int


def bits(
    generator: Generator,
    windows: Tensor | Sequence[Tensor],
    characters_per_token: float,
    *,
    num_draws: int = 16,
    seed: int = 0,
    batch_size: int = 64,
    device: str = "cpu",
) -> Bits:
    """An upper bound on the bits that each token of windows costs; exact for autoregression.

    Args:
        generator: the model.
        windows: int64 ``(N, L)``, or several of different lengths.
        characters_per_token: of the text they are from.
        num_draws: times for each window, even; autoregression needs no more than two.
        seed: same seed, same result, whatever the batch size.
        batch_size: windows that the network sees at once.
        device: where to compute, as `seqflow.devices.find_device` reads it.
    """
    place = find_device(device)
    network = generator.network.to(place)
    exact = generator.spec.method == "autoregressive"
    sets = [windows] if isinstance(windows, Tensor) else windows
    bounds = [
        variational_bound(
            generator.process,
            network,
            each.to(place),
            num_draws=2 if exact else num_draws,
            seed=seed,
            batch_size=batch_size,
        )
        for each in sets
    ]
    return _join(bounds, [each.numel() for each in sets], characters_per_token)


def _join(bounds: list[Bound], sizes: list[int], characters_per_token: float) -> Bits:
    """The mean over all tokens."""
    total = sum(sizes)
    shares = [size / total for size in sizes]
    nats = sum(share * bound.nats for share, bound in zip(shares, bounds, strict=True))
    errors = [share * error for share, error in zip(shares, _errors(bounds, sizes), strict=True)]
    scale = 1 / math.log(2)
    return Bits(
        per_token=scale * nats,
        per_character=scale * nats / characters_per_token,
        standard_error=scale * math.hypot(*errors) / characters_per_token,
        tokens=total,
    )


def _errors(bounds: list[Bound], sizes: list[int]) -> list[float]:
    """The standard error of each set of windows; a text ends in a set of one shorter window.

    One window shows no spread, so it has that of the largest set, for independent tokens.
    """
    most, size = max(zip(bounds, sizes, strict=True), key=lambda pair: pair[0].num_sequences)
    one_token = most.standard_error * math.sqrt(size)
    return [
        bound.standard_error if bound.num_sequences > 1 else one_token / math.sqrt(size)
        for bound, size in zip(bounds, sizes, strict=True)
    ]
