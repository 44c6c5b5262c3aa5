"""What flows: a tensor, or a mapping of named tensors.

A DNA sampler moves one tensor of simplex points; a protein sampler moves
``{"translation": ..., "rotation": ...}``. Code that slices or joins states goes
through this file, so that nothing else asks which of the two it holds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

State = Tensor | Mapping[str, Tensor]
"""A batch of points; the first dimension of every tensor is the batch."""


def map_state(function: Callable[..., Tensor], *states: State) -> State:
    """Apply ``function`` to matching tensors of ``states``, which share one structure.

    Example:
        >>> map_state(lambda x: x + 1, {"a": torch.zeros(2)})
        {'a': tensor([1., 1.])}
    """
    first = states[0]
    if isinstance(first, Tensor):
        return function(*states)
    return {name: function(*(state[name] for state in states)) for name in first}  # type: ignore[index]


def rows(state: State, start: int, stop: int) -> State:
    """Rows ``start`` to ``stop`` of the batch."""
    return map_state(lambda x: x[start:stop], state)


def concatenate(states: Sequence[State]) -> State:
    """Join batches end to end; raises ``ValueError`` if there is none."""
    if not states:
        raise ValueError("expected at least one state to concatenate, got none")
    return map_state(lambda *xs: torch.cat(xs), *states)


def batch_size(state: State) -> int:
    """How many rows the batch has."""
    tensor = state if isinstance(state, Tensor) else next(iter(state.values()))
    return tensor.shape[0]
