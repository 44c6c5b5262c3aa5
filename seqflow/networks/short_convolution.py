r"""Nearest neighbours, before attention looks for those that matter.

    h_l <- h_l + sum_i w_i * norm(h)_{l+i}

over k positions about l, or up to l where it is causal, with a weight w_i for each feature (a
depthwise convolution), all zero at first. Which letter stands next to which is most of what a
small language model learns first; attention needs a layer of heads, and hundreds of steps, to
find the places beside a position.
Source: So et al. 2021, "Primer" (NeurIPS), there on queries, keys and values; Allen-Zhu 2025,
"Physics of Language Models: Part 4.1", on the residual stream.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ShortConvolution(nn.Module):
    """Sums the features of neighbours, each by a weight of its own.

    Args:
        width: features of a position.
        kernel_size: k, positions that are summed; even ones see one more before than behind.
        causal: whether position l sees positions up to l only.

    Raises:
        ValueError: for fewer than one position.

    Example:
        >>> layer = ShortConvolution(4, 3)
        >>> _ = nn.init.ones_(layer.weight)
        >>> layer(torch.eye(4)[None])[0, :, 0]  # feature 0 is at position 0
        tensor([1., 1., 0., 0.], grad_fn=<SelectBackward0>)
    """

    def __init__(self, width: int, kernel_size: int, *, causal: bool = False) -> None:
        super().__init__()
        if kernel_size < 1:
            raise ValueError(f"expected a kernel of at least one position, got {kernel_size}")
        self.weight = nn.Parameter(torch.zeros(width, 1, kernel_size))
        before = kernel_size - 1 if causal else kernel_size // 2
        self.padding = (before, kernel_size - 1 - before)

    def forward(self, h: Tensor) -> Tensor:
        """``(batch, length, width)`` to the same; zeros stand around the sequence."""
        if h.shape[1] == 0:
            return h
        padded = F.pad(h.mT, self.padding)
        return F.conv1d(padded, self.weight, groups=len(self.weight)).mT
