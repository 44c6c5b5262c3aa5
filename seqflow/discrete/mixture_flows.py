r"""Discrete flow matching: masked, uniform and any other mixture path of tokens.

    p_t(x | x_1) = kappa_t 1[x = x_1] + (1 - kappa_t) p_0(x)

=====================  ============================  ========================================
:class:`MaskedFlow`    p_0 = mask, token number K    each token is decided once (unless renewed)
:class:`UniformFlow`   p_0 = 1/K                     tokens may change until the end
:class:`PriorFlow`     p_0 as given                  idem
=====================  ============================  ========================================

The mathematics is in `mixture_path`, noise in `sources`, losses in `losses`, what renews tokens
in `correctors`, and schedules in `seqflow.schedules`.
Sources: Gat et al. 2024, "Discrete Flow Matching"; Campbell et al. 2024; Sahoo et al. 2024.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from ..schedules import LINEAR, Schedule, check_schedule
from .correctors import Corrector
from .divergences import REVERSED_NOISING, Divergence
from .losses import CROSS_ENTROPY, TokenLoss
from .mixture_path import MixturePath
from .sources import MaskSource, PriorSource, Source, UniformSource


@dataclass(frozen=True)
class MaskedFlow(MixturePath):
    """Masks become tokens, one after another in random order: masked diffusion.

    A state is int64 tokens ``(batch, length)``, where ``num_classes`` itself is the mask; a
    prediction the logits of p(x_1 | x_t), ``(batch, length, K)``. Tokens that are not masks are
    settled: the prediction is not looked at there. Satisfies ``CategoricalProcess``.

    Attributes:
        num_classes: K, the number of clean tokens, at least 2.
        schedule: kappa, the expected share of unmasked positions.
        corrector: masks some tokens again while sampling.
        objective: the training loss.

    Raises:
        ValueError: for fewer than two classes, or a schedule that does not run from 0 to 1.

    Example:
        >>> process = MaskedFlow(4)
        >>> x_1, t = torch.tensor([[0, 1, 2, 3]]), torch.tensor([0.5])
        >>> process.corrupt(x_1, t, generator=torch.Generator().manual_seed(0))[0]
        tensor([[0, 4, 2, 3]])
    """

    num_classes: int
    schedule: Schedule = LINEAR
    corrector: Corrector | None = None
    objective: TokenLoss = CROSS_ENTROPY

    def __post_init__(self) -> None:
        _check(self.num_classes, self.schedule)

    @property
    def source(self) -> Source:
        """All masks."""
        return MaskSource(self.num_classes)


@dataclass(frozen=True)
class UniformFlow(MixturePath):
    """Random tokens become data; any token may still change until t = 1.

    A state is int64 tokens ``(batch, length)``, a prediction the logits of p(x_1 | x_t),
    ``(batch, length, K)``. Satisfies ``CategoricalProcess``.

    Attributes:
        num_classes: K, the number of tokens, at least 2.
        schedule: kappa, the probability that a token is settled.
        corrector: renews some tokens while sampling.
        objective: the training loss.
        divergence: the rates that ``path_kl`` compares; the default makes the bound tight.

    Raises:
        ValueError: for fewer than two classes, or a schedule that does not run from 0 to 1.

    Example:
        >>> process = UniformFlow(4)
        >>> x_t, t = torch.tensor([[2]]), torch.tensor([0.5])
        >>> process.evidence(x_t, t).softmax(-1)
        tensor([[[0.1250, 0.1250, 0.6250, 0.1250]]])
    """

    num_classes: int
    schedule: Schedule = LINEAR
    corrector: Corrector | None = None
    objective: TokenLoss = CROSS_ENTROPY
    divergence: Divergence = REVERSED_NOISING

    def __post_init__(self) -> None:
        _check(self.num_classes, self.schedule)

    @property
    def source(self) -> Source:
        """Uniform tokens."""
        return UniformSource(self.num_classes)


@dataclass(frozen=True)
class PriorFlow(MixturePath):
    """Tokens of any prior become data, such as the composition of a genome.

    Attributes:
        probabilities: p_0, K positive numbers, in use scaled to add up to one.
        schedule: kappa, the probability that a token is settled.
        corrector: renews some tokens while sampling.
        objective: the training loss.
        num_classes: K; not an argument.

    Raises:
        ValueError: for fewer than two classes, a probability that is not positive, or a
            schedule that does not run from 0 to 1.

    Example:
        >>> process = PriorFlow((3.0, 1.0))
        >>> x_0 = process.sample_prior((1, 1000), generator=torch.Generator().manual_seed(0))
        >>> x_0.double().mean().item()
        0.242
    """

    probabilities: tuple[float, ...]
    schedule: Schedule = LINEAR
    corrector: Corrector | None = None
    objective: TokenLoss = CROSS_ENTROPY
    num_classes: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        for token, p in enumerate(self.probabilities):
            if not 0 < p < math.inf:
                raise ValueError(f"expected positive probabilities, got {p} for token {token}")
        _check(len(self.probabilities), self.schedule)
        # Frozen; this one is read off the other.
        object.__setattr__(self, "num_classes", len(self.probabilities))

    @property
    def source(self) -> Source:
        """Tokens of the prior."""
        return PriorSource(self.probabilities)


def _check(num_classes: int, schedule: Schedule) -> None:
    if num_classes < 2:
        raise ValueError(f"expected num_classes of at least 2, got {num_classes}")
    check_schedule(schedule)
