"""What the flows on the simplex share: their prior, their vertices, and a tilted prediction.

A token of K kinds is a vertex e_i of the simplex, noise a uniform point x of it, and a
prediction the logits of p_i = p(x_1 = i | x_t). Reweighting the path by exp(h(x_t)) adds the
natural gradient of h, the replicator field, to the prediction:

    p' = p + strength x (g - <x, g>),   g = dh/dx,

whose sum is one whatever g. (In score space it is adding g to the score, so no K x K system
has to be solved.) Where p' would leave the simplex the strength is reduced to the largest
that does not, per position. Source: Stark et al. 2024, section 3.4; the closed form, and its
generalisation to other paths on the simplex, follow from eliminating the score.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from .categorical import probabilities


def uniform_simplex(
    shape: Sequence[int],
    num_classes: int,
    *,
    generator: torch.Generator | None = None,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
) -> Tensor:
    """Uniform points of the simplex, Dirichlet(1, ..., 1), shape ``(*shape, K)``.

    Exponentials divided by their sum.

    Example:
        >>> x = uniform_simplex((2, 3), 4, generator=torch.Generator().manual_seed(0))
        >>> x.shape, torch.allclose(x.sum(-1), torch.ones(2, 3))
        (torch.Size([2, 3, 4]), True)
    """
    noise = torch.empty((*shape, num_classes), dtype=dtype, device=device)
    noise = noise.exponential_(generator=generator)
    return noise / noise.sum(-1, keepdim=True)


def vertices(tokens: Tensor, num_classes: int, dtype: torch.dtype) -> Tensor:
    """The vertex e_i of each token i, shape ``(*tokens.shape, K)``.

    Example:
        >>> vertices(torch.tensor([2, 0]), 3, torch.float32)
        tensor([[0., 0., 1.],
                [1., 0., 0.]])
    """
    return (tokens[..., None] == torch.arange(num_classes, device=tokens.device)).to(dtype)


def draw_vertices(p: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
    """Draw a vertex per position from the probabilities ``p``, shape ``(..., K)``.

    Inverts the distribution function with one uniform a position, elementwise; a token of
    probability zero is never drawn.
    """
    cumulative = p.cumsum(-1)
    # Not torch.rand, whose generator argument torch 2.13 cannot compile for changing shapes.
    u = p.new_empty((*p.shape[:-1], 1)).uniform_(generator=generator)
    # Whether the draw lies beyond token k; never beyond the last, whatever the rounding.
    beyond = (cumulative <= u * cumulative[..., -1:])[..., :-1]
    reached = F.pad(beyond, (1, 0), value=True)
    return (reached & ~F.pad(beyond, (0, 1), value=False)).to(p.dtype)


def land(
    x_t: Tensor, p: Tensor, arrives: Tensor, *, generator: torch.Generator | None = None
) -> Tensor:
    """Put the rows that arrive on vertices drawn from ``p``, leave the others where they are.

    Args:
        x_t: ``(batch, length, K)``.
        p: probabilities of the tokens, ``(batch, length, K)``.
        arrives: bool, ``(batch, 1, 1)``.
        generator: source of the draws, which are made for every row.
    """
    return torch.where(arrives, draw_vertices(p, generator=generator), x_t)


def tilt_logits(logits: Tensor, gradient: Tensor, x_t: Tensor, strength: Tensor) -> Tensor:
    """Logits of p' = p + alpha strength x (g - <x, g>), alpha in [0, 1] the largest possible.

    Finite: a probability of zero counts as the dtype's smallest normal number.

    Args:
        logits: of p, ``(batch, length, K)``.
        gradient: g = dh/dx_t, ``(batch, length, K)``; a constant added to it does nothing.
        x_t: points of the simplex, ``(batch, length, K)``.
        strength: ``(batch, 1, 1)``, positive and finite.

    Example:
        >>> x, p = torch.tensor([0.5, 0.25, 0.25]), torch.tensor([0.25, 0.5, 0.25])
        >>> g = torch.tensor([4.0, 0.0, 0.0])
        >>> tilt_logits(p.log(), g, x, torch.tensor(0.1)).exp()
        tensor([0.3500, 0.4500, 0.2000])
        >>> tilt_logits(p.log(), g, x, torch.tensor(9.0)).exp().round(decimals=4)
        tensor([0.7500, 0.2500, 0.0000])
    """
    tiny = torch.finfo(x_t.dtype).tiny
    p = probabilities(logits).clamp_min(tiny)
    delta = strength * x_t * (gradient - (x_t * gradient).sum(-1, keepdim=True))
    # alpha = p/loss where a token would lose more than p; p/(p + loss) is bounded, p/loss not.
    kept = (p / (p + (-delta).relu())).amin(-1, keepdim=True).clamp_max(0.5)
    alpha = kept / (1 - kept)
    return (p + alpha * delta).clamp_min(tiny).log()


def check_state(x: Tensor, shape: Sequence[int], num_classes: int) -> None:
    """Raise ``ValueError`` unless ``x`` holds one point of the simplex for each token."""
    expected = (*shape, num_classes)
    if tuple(x.shape) != expected:
        raise ValueError(
            f"expected points of the simplex of shape {expected}, got {tuple(x.shape)}; "
            "the last dimension holds one coordinate a class"
        )
