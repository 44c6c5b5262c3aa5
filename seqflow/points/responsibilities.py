r"""Which noise of a kernel prior goes with which datum.

With x_0 drawn from a kernel K_im that could have made the datum x_1 = x_j, chosen with

    r_j(i, m) ~ w_m K_im(x_j),   i != j,

a path is as short as a kernel is wide, and no point is drawn towards itself: the flow learns
what the kernel density gets wrong about points it has not seen, instead of memorising its
centres. Averaged over the data the kernels get their share by one step of expectation
maximisation from the prior's weights; the coupling's first marginal is the prior up to that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..objectives import Batch
from ..process import Process
from .local_kernels import NUM_KINDS, LocalKernels, log_kernels_at, with_uniform
from .neighbours import neighbours


@dataclass(frozen=True)
class ResponsibleKernels:
    """A coupling for ``FlowMatching``: starts each datum in a kernel of another.

    Attributes:
        law: the prior, of the training points.
        near: the neighbours of each training point, ``(n, k)``.
        shares: probability of their kernels and, last, of the uniform part, ``(n, k m + 1)``.
    """

    law: LocalKernels
    near: Tensor
    shares: Tensor

    def __call__(self, process: Process[Any], batch: Batch, generator: torch.Generator) -> Tensor:
        """x_0 of the training points ``batch["row"]``, ``(batch, *point_shape)``."""
        del process  # the law is its prior
        rows = batch["row"]
        chosen = torch.multinomial(self.shares[rows], 1, generator=generator).squeeze(1)
        m = NUM_KINDS
        last = self.near.shape[1] * m
        centre = self.near[rows, (chosen // m).clamp_max(self.near.shape[1] - 1)]
        kind = torch.where(chosen == last, m, chosen % m)
        return self.law.place(centre, kind, generator)


def responsible_kernels(law: LocalKernels, *, reach: int = 64) -> ResponsibleKernels:
    """The coupling of a prior with its own centres."""
    n = len(law.centres)
    near = neighbours(law.manifold, law.centres, min(reach, n - 1))
    values = (log_kernels_at(law, law.centres, near) - math.log(n - 1)).flatten(1)
    weights = torch.cat([law.weights[:-1].repeat(near.shape[1]), law.weights[-1:]])
    shares = (with_uniform(law.manifold, values) + weights.log()).softmax(1)
    return ResponsibleKernels(law, near, shares)
