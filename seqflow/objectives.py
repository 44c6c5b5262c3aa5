r"""What a model is trained for: a loss of each example, given a batch and its noise.

============================  ==============================================
:class:`FlowMatching`         process.loss(model(x_t, t, y), target, t)
:class:`Classification`       -log p(y | x_1)
:class:`NoisyClassification`  -log p(y | x_t)
============================  ==============================================

Times are stratified over the batch, t_b = (b + u) / B with one u: the same expectation as
independent draws, with less variance.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .couplings import Batch as Batch
from .couplings import Coupling, Independent
from .guidance import NO_LABEL
from .process import Process


class Objective(Protocol):
    """A loss of each example."""

    def __call__(self, model: nn.Module, batch: Batch, generator: torch.Generator) -> Tensor:
        """Losses of shape ``(batch,)``; all noise comes from ``generator``."""
        ...


def stratified_times(batch: int, generator: torch.Generator) -> Tensor:
    """Times in [0, 1], one in each of ``batch`` equal strata, in random order of strata."""
    offset = torch.rand((), generator=generator, device=generator.device)
    strata = torch.randperm(batch, generator=generator, device=generator.device)
    return (strata + offset) / batch


def hide_labels(label: Tensor, probability: float, generator: torch.Generator) -> Tensor:
    """Replace each label by ``NO_LABEL`` with the given probability."""
    u = torch.rand(label.shape, generator=generator, device=label.device)
    return torch.where(u < probability, NO_LABEL, label)


@dataclass(frozen=True)
class FlowMatching:
    """The process's own loss on noisy states.

    Attributes:
        process: corrupts, and judges predictions.
        drop_label: probability of hiding the label, which classifier-free guidance needs.
        coupling: which noise goes with which datum.
    """

    process: Process[Any]
    drop_label: float = 0.0
    coupling: Coupling = field(default_factory=Independent)

    def __call__(self, model: nn.Module, batch: Batch, generator: torch.Generator) -> Tensor:
        """Losses of shape ``(batch,)``."""
        x_1 = batch["x_1"]
        t = stratified_times(len(x_1), generator)
        x_0 = self.coupling(self.process, batch, generator)
        x_t, target = self.process.corrupt(x_1, t, x_0, generator=generator)
        label = batch.get("label")
        if label is not None:
            label = hide_labels(label, self.drop_label, generator)
        return self.process.loss(model(x_t, t, label), target, t)


@dataclass(frozen=True)
class Classification:
    """Cross-entropy of the label of clean tokens, shown one-hot.

    Attributes:
        num_classes: size of the alphabet.
    """

    num_classes: int

    def __call__(self, model: nn.Module, batch: Batch, generator: torch.Generator) -> Tensor:
        """Losses of shape ``(batch,)``."""
        del generator  # clean data need no noise
        features = F.one_hot(batch["x_1"], self.num_classes).float()
        return F.cross_entropy(model(features), batch["label"], reduction="none")


@dataclass(frozen=True)
class NoisyClassification:
    """Cross-entropy of the label of noisy states, for classifier guidance.

    Attributes:
        process: corrupts.
    """

    process: Process[Any]

    def __call__(self, model: nn.Module, batch: Batch, generator: torch.Generator) -> Tensor:
        """Losses of shape ``(batch,)``."""
        t = stratified_times(len(batch["x_1"]), generator)
        x_t, _ = self.process.corrupt(batch["x_1"], t, generator=generator)
        return F.cross_entropy(model(x_t, t), batch["label"], reduction="none")
