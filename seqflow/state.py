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
    return {name: function(*(state[name] for state in states)) for name in first}  # type: ignore[index]  # all are mappings


def concatenate(states: Sequence[State]) -> State:
    """Join batches end to end; a single one is returned as it is, without a copy."""
    if len(states) == 1:
        return states[0]
    return map_state(lambda *xs: torch.cat(xs), *states)


def split(state: State, width: int) -> list[State]:
    """Cut a batch into pieces of ``width`` rows, the last one shorter; an empty one is kept.

    Example:
        >>> [len(piece) for piece in split(torch.zeros(5, 2), 2)]
        [2, 2, 1]
    """
    return [
        map_state(lambda x, start=start: x[start : start + width], state)
        for start in range(0, max(num_rows(state), 1), width)
    ]


def num_rows(state: State) -> int:
    """How many rows the batch has."""
    tensor = state if isinstance(state, Tensor) else next(iter(state.values()))
    return tensor.shape[0]
