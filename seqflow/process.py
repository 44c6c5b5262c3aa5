"""The one idea: a process turns noise into data by answering four questions.

====================================================  ===================================
where does it start?                                  ``sample_prior(shape) -> x_0``
what does a clean point look like at time t?          ``corrupt(x_1, t) -> (x_t, target)``
how good is a prediction?                             ``loss(prediction, target, t)``
where does the state go next, given a prediction?     ``step(x_t, prediction, t, dt)``
====================================================  ===================================

Time runs from 0 (noise) to 1 (data). A method with another clock converts inside its own
file. A time ``t`` has the batch shape, without trailing singletons. The sampling loop,
guidance, training and checkpoints know only these protocols, never a particular method.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

from .state import State

Condition = State | None
"""What a sample is conditioned on: class labels, a mapping of tensors, or nothing."""


S = TypeVar("S", bound=State)


class Process(Protocol[S]):
    """How noise becomes data; S is the kind of its state, a tensor or a mapping.

    All draws come from ``generator``. Shapes: ``t`` and ``dt`` are ``(batch,)``.
    """

    def sample_prior(
        self,
        shape: Sequence[int],
        *,
        generator: torch.Generator | None = None,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> S:
        """Draw x_0; ``shape`` is the shape of the data, batch first."""
        ...

    def corrupt(
        self,
        x_1: Any,
        t: Tensor,
        x_0: S | None = None,
        *,
        generator: torch.Generator | None = None,
    ) -> tuple[S, Any]:
        """Draw x_t given the clean ``x_1``; returns it with the training target.

        ``x_0`` is the noise to start from, if a coupling chose one.
        """
        ...

    def loss(self, prediction: Any, target: Any, t: Tensor) -> Tensor:
        """Loss of each example, shape ``(batch,)``."""
        ...

    def step(
        self,
        x_t: S,
        prediction: Any,
        t: Tensor,
        dt: Tensor,
        *,
        generator: torch.Generator | None = None,
    ) -> S:
        """Draw (or move to) x_{t+dt}, with the prediction frozen over the step."""
        ...

    def decode(self, x_1: S) -> Any:
        """Read the data off a finished state."""
        ...


class CategoricalProcess(Process[Tensor], Protocol):
    """A process whose data are tokens ``(batch, length)`` of ``num_classes`` kinds.

    Its prediction is the logits of p(x_1 | x_t), shape ``(batch, length, num_classes)``.
    """

    @property
    def num_classes(self) -> int:
        """K, the size of the alphabet."""
        ...

    def evidence(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Log p(x_t | x_1 = i) for each clean token i, up to a constant per position.

        Added to the logarithm of a prior over tokens it gives Bayes' posterior of x_1 for
        one position seen alone. Finite everywhere, shape ``(batch, length, num_classes)``.
        """
        ...


class Tiltable(Protocol):
    """A process whose prediction can be tilted by the gradient of a classifier."""

    def relax(self, x_t: Tensor, t: Tensor) -> Tensor:
        """The state where a classifier can be differentiated: itself, or tokens one-hot."""
        ...

    def tilt(self, prediction: Tensor, gradient: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
        """The prediction of the path reweighted by exp(h); ``gradient`` is dh/d relax(x_t)."""
        ...


def expand_time(t: Tensor, x: Tensor) -> Tensor:
    """Append singletons to ``t`` until it broadcasts against ``x`` from the left.

    Example:
        >>> expand_time(torch.zeros(3), torch.zeros(3, 5, 4)).shape
        torch.Size([3, 1, 1])
    """
    return t.reshape(t.shape + (1,) * (x.ndim - t.ndim))


def reaches_data(t: Tensor, dt: Tensor) -> Tensor:
    """Whether a step ends at t = 1, forgiving the rounding of ``t + dt``.

    Both summands are rounded, so their sum may miss 1 by two units in the last place.
    """
    return t + dt >= 1 - 4 * torch.finfo(t.dtype).eps
