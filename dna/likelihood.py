"""How well a generator predicts sequences that it has not seen: bits per base.

Masked, uniform and metric flow have a variational bound, autoregression its exact likelihood,
so their numbers compare with each other and, being upper bounds, with that of a Markov chain:
below it, the generator knows more. Of uniform bases it would be 2. Dirichlet, linear and Fisher
flow have no bound here: their states are points, not bases.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from seqflow.devices import find_device
from seqflow.guidance import NO_LABEL
from seqflow.likelihood import Bound, Bounded, variational_bound

from .models import Generator
from .sequences import check_tokens
from .steering import ByPredictions, Steered

BOUNDED = ("masked", "uniform", "metric", "autoregressive")
"""The methods whose likelihood can be bounded."""


def bits_per_base(
    generator: Generator,
    tokens: Tensor,
    label: str | None,
    *,
    steering: ByPredictions | None = None,
    num_draws: int = 16,
    seed: int = 0,
    batch_size: int = 64,
    device: str = "cpu",
) -> Bound:
    """An upper bound on the bits that each base of ``tokens`` costs: ``.bits`` of the result.

    Args:
        generator: the model, of one of the methods ``BOUNDED``.
        tokens: int64 ``(N, L)``.
        label: the class to predict for; None for any.
        steering: guidance, which makes it the bound of the steered model.
        num_draws: times for each sequence, even.
        seed: same seed, same result.
        batch_size: sequences that the network sees at once.
        device: where to compute, as `seqflow.devices.find_device` reads it.

    Raises:
        ValueError: for a method without a bound, an unknown label, or tokens that are not
            bases or longer than the model makes.
    """
    spec = generator.spec
    if spec.method not in BOUNDED:
        raise ValueError(
            f"the method {spec.method} has no bound on its likelihood; "
            f"there is one for {', '.join(BOUNDED)}"
        )
    check_tokens(tokens)
    if tokens.shape[1] > spec.length:
        raise ValueError(
            f"expected sequences of at most {spec.length} bases, got {tokens.shape[1]}"
        )
    number = NO_LABEL if label is None else generator.label_id(label)
    place = find_device(device)
    steered = Steered(generator.process, generator.network.to(place))
    if label is not None:
        steered = (steering or ByPredictions(1.0)).steer(generator, place)
    process: Bounded = steered.process  # type: ignore[assignment]  # by its method
    return variational_bound(
        process,
        steered.predictor,
        tokens.to(place),
        condition=torch.full((len(tokens),), number, device=place),
        num_draws=num_draws,
        seed=seed,
        batch_size=batch_size,
    )


def bits_of(log_likelihood: Tensor, length: int) -> float:
    """Mean bits per base of log-likelihoods of sequences in nats, ``(N,)``.

    Example:
        >>> round(bits_of(torch.tensor([0.25, 0.25]).log(), 1), 6)
        2.0
    """
    return -float(log_likelihood.double().mean()) / length / math.log(2)
