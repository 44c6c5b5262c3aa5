"""What every process on tokens shares: its loss, and drawing a token from logits."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

# Classes up to which torch's softmax is faster along columns than along rows: on a CPU five times
# at 4, where at 27 rows take a third and at 2048 half of the time.
_SHORT = 16


def cross_entropy(logits: Tensor, tokens: Tensor) -> Tensor:
    """Mean over positions of -log p(token), in nats.

    Args:
        logits: ``(batch, length, K)``.
        tokens: ``(batch, length)``, integers below K.

    Returns:
        The loss of each example, shape ``(batch,)``.
    """
    return token_costs(logits, tokens).mean(-1)


def token_costs(logits: Tensor, tokens: Tensor) -> Tensor:
    """-log p(token) in nats at every position, ``(batch, length)``; see `cross_entropy`."""
    if logits.shape[-1] <= _SHORT:
        return F.cross_entropy(logits.movedim(-1, 1), tokens, reduction="none")
    flat = F.cross_entropy(logits.flatten(0, 1), tokens.flatten(), reduction="none")
    return flat.view_as(tokens)


def probabilities(logits: Tensor) -> Tensor:
    """The softmax of ``logits`` over the last dimension, in separate steps.

    On a CPU torch's softmax runs row by row: for rows of four it is five times slower.
    """
    weights = (logits - logits.amax(-1, keepdim=True).detach()).exp()
    return weights / weights.sum(-1, keepdim=True)


def sample_tokens(logits: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
    """Draw one token per position from softmax(logits), by inverting its distribution.

    One uniform a position; no Gumbel noise, whose float32 truncation lowers the
    temperature of large vocabularies. Shape ``(..., K)`` to ``(...)``.
    """
    cumulative = probabilities(logits).cumsum(-1)
    # Scaled by the rounded total, so that a draw never lands beyond the last token.
    total = cumulative[..., -1:]
    # Not torch.rand, whose generator argument torch 2.13 cannot compile for changing shapes.
    u = cumulative.new_empty((*logits.shape[:-1], 1)).uniform_(generator=generator)
    last = logits.shape[-1] - 1
    return torch.searchsorted(cumulative, u * total, right=True).squeeze(-1).clamp_(max=last)


def each_position(
    function: Callable[[Tensor, Tensor], Tensor], x: Tensor, times: Tensor
) -> Tensor:
    """A function of states ``(batch, length, ...)`` and times ``(batch,)``, at times a position.

    Args:
        function: such as ``process.evidence``, that takes each position by itself.
        x: ``(batch, length, ...)``.
        times: ``(batch, length)``.

    Example:
        >>> x, times = torch.ones(2, 3), torch.arange(6.0).view(2, 3)
        >>> each_position(lambda x, t: t[:, None] * x, x, times)
        tensor([[0., 1., 2.],
                [3., 4., 5.]])
    """
    # A position with a time of its own is an example of one token.
    found = function(x.flatten(0, 1).unsqueeze(1), times.flatten())
    return found.reshape(*times.shape, *found.shape[2:])


def check_tokens(tokens: Tensor, num_classes: int) -> None:
    """Raise ``ValueError`` unless all tokens are in 0..K-1, so that no mask is among them.

    Looks at tokens on a CPU only, and not while compiling: elsewhere it would make the host
    wait. Data are read on the CPU, where it costs a pass over the tokens.

    Example:
        >>> check_tokens(torch.tensor([[0, 4]]), 4)
        Traceback (most recent call last):
        ...
        ValueError: expected clean tokens in 0..3, got 4, which is the mask
    """
    if tokens.device.type != "cpu" or torch.compiler.is_compiling() or tokens.numel() == 0:
        return
    low, high = tokens.aminmax()
    if low < 0 or high >= num_classes:
        token = int(low if low < 0 else high)
        mask = ", which is the mask" if token == num_classes else ""
        raise ValueError(f"expected clean tokens in 0..{num_classes - 1}, got {token}{mask}")
