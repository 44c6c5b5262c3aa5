r"""Training on positions that are at different times.

Where all positions are equally noisy a network learns slowly how tokens go together: while the
neighbours say little there is little to learn, and once they say much the position itself says
nearly all. With times scattered about that of the example, in log odds,

    log(t_l/(1 - t_l)) = log(t/(1 - t)) + spread z_l,    z_l ~ N(0, 1),

some neighbours are clear and some tokens hidden, as in masked diffusion. Noise is independent
from position to position and a network reads states as evidence, so that every such state is one
that it may be asked about; the posterior is still the least of the loss. At equal times, where
it is used, the network must generalise.
Source: after Chen et al. 2024, "Diffusion Forcing" (NeurIPS), section 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .categorical import cross_entropy, each_position
from .objectives import Batch, stratified_times
from .process import CategoricalProcess


@dataclass(frozen=True)
class ScatteredTimes:
    """-log p(x_1) of each token, averaged over positions, for a denoiser without labels.

    Attributes:
        process: that the denoiser, an ``EvidenceDenoiser`` or ``TokenDenoiser``, reads.
        spread: of the times; at 0 the cross-entropy of ``FlowMatching``, at infinity each
            position is at either end.

    Raises:
        ValueError: for a spread below 0; when called, for data with labels.

    Example:
        >>> from seqflow.denoiser import EvidenceDenoiser
        >>> from seqflow.radial import RadialFlow
        >>> process = RadialFlow(3)
        >>> model = EvidenceDenoiser(process, lambda p, t, condition: 0 * p)
        >>> objective = ScatteredTimes(process, 1.5)
        >>> data, draw = {"x_1": torch.tensor([[0, 2], [1, 1]])}, torch.Generator().manual_seed(0)
        >>> objective(model, data, draw).shape
        torch.Size([2])
    """

    process: CategoricalProcess
    spread: float

    def __post_init__(self) -> None:
        if not 0 <= self.spread < torch.inf:
            raise ValueError(f"expected a finite spread of times, 0 or more, got {self.spread}")

    def __call__(self, model: Any, batch: Batch, generator: torch.Generator) -> Tensor:
        """Losses of shape ``(batch,)``."""
        if "label" in batch:
            raise ValueError("expected data without labels; train with FlowMatching instead")
        x_1 = batch["x_1"]
        t = stratified_times(len(x_1), generator)
        times = scatter(t, x_1.shape[1], self.spread, generator)
        x_t = each_position(
            lambda x, own: self.process.corrupt(x, own, generator=generator)[0], x_1, times
        )
        return cross_entropy(model.at_times(x_t, times, t), x_1)


def scatter(t: Tensor, length: int, spread: float, generator: torch.Generator) -> Tensor:
    """Times of positions about those of their examples, ``(batch,)`` to ``(batch, length)``."""
    z = torch.randn(len(t), length, generator=generator, dtype=t.dtype, device=t.device)
    return (t.logit()[:, None] + spread * z).sigmoid()
