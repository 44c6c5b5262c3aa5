r"""Large alphabets as digits: a token of V is m digits of base b, b^m >= V.

    token = d_1 b^{m-1} + ... + d_m,    all integers

The most significant digit comes first. A process on b kinds of tokens then sees m of them where
there was one; `DigitsInPlace` shows the m digits of a token to a network as one position with m
heads, so that the sequence it attends over is no longer than before. Digits are drawn one by one,
so a code may be none of a token: the fewer of the b^m codes are left over, the better, hence
`DigitCodec.balanced`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .process import Condition

_NEVER = -1e4
"""A logit that no evidence of a fair state outweighs, and that keeps logits finite."""


@dataclass(frozen=True)
class DigitCodec:
    """Tokens below ``vocabulary`` as digits of ``base``.

    Attributes:
        vocabulary: V, at least 2.
        base: b, at least 2.

    Raises:
        ValueError: for a vocabulary or a base below 2.

    Example:
        >>> codec = DigitCodec(1000, base=10)
        >>> codec.encode(torch.tensor([7, 421]))
        tensor([[0, 0, 7],
                [4, 2, 1]])
        >>> codec.decode(torch.tensor([4, 2, 1]))
        tensor(421)
    """

    vocabulary: int
    base: int = 32

    def __post_init__(self) -> None:
        for name in ("vocabulary", "base"):
            if getattr(self, name) < 2:
                raise ValueError(f"expected a {name} of at least 2, got {getattr(self, name)}")

    @classmethod
    def balanced(cls, vocabulary: int, near: int = 32) -> DigitCodec:
        """With as many digits as the base ``near`` needs, and the smallest base that does.

        Example:
            >>> DigitCodec.balanced(1000)
            DigitCodec(vocabulary=1000, base=32)
            >>> DigitCodec.balanced(2000)
            DigitCodec(vocabulary=2000, base=13)
        """
        num_digits, base = cls(vocabulary, near).num_digits, 2
        while base**num_digits < vocabulary:
            base += 1
        return cls(vocabulary, base)

    @property
    def num_digits(self) -> int:
        """The smallest m with b^m >= V, by integers: logarithms would be off by one at times.

        Example:
            >>> DigitCodec(125, base=5).num_digits
            3
        """
        m, codes = 1, self.base
        while codes < self.vocabulary:
            m, codes = m + 1, codes * self.base
        return m

    def encode(self, tokens: Tensor) -> Tensor:
        """Digits ``(..., m)`` of int64 tokens ``(...)``; of others than 0..V-1 they are wrong."""
        return tokens[..., None] // self._weights(tokens) % self.base

    def decode(self, digits: Tensor) -> Tensor:
        """Tokens ``(...)`` of digits ``(..., m)``; V or more where the digits are no token's."""
        return (digits * self._weights(digits)).sum(-1)

    def valid(self, digits: Tensor) -> Tensor:
        """Whether digits ``(..., m)`` are those of a token, bool ``(...)``."""
        return self.decode(digits) < self.vocabulary

    def possible(self) -> Tensor:
        """Which values each digit takes among all tokens, bool ``(m, b)``."""
        top = (self.vocabulary - 1) // self._weights(torch.zeros(1, dtype=torch.long))
        # A digit is free if the one before it can be more than zero.
        return torch.arange(self.base) <= top[:, None]

    def _weights(self, like: Tensor) -> Tensor:
        powers = [self.base**i for i in reversed(range(self.num_digits))]
        return torch.tensor(powers, dtype=torch.long, device=like.device)


class DigitsInPlace(nn.Module):
    """Shows the digits of a token to a network as one position, with a head for each.

    Args:
        codec: how many digits a token has, and which values they take.
        network: ``(features, t, condition) -> logits``, both ``(batch, length, m b)``.

    Example:
        >>> codec = DigitCodec(100, base=10)
        >>> shape_of = lambda features, t, condition: features
        >>> network = torch.nn.Identity()
        >>> network.forward = shape_of
        >>> DigitsInPlace(codec, network)(torch.zeros(3, 8, 10), torch.zeros(3)).shape
        torch.Size([3, 8, 10])
    """

    never: Tensor

    def __init__(self, codec: DigitCodec, network: nn.Module) -> None:
        super().__init__()
        self.codec, self.network = codec, network
        self.register_buffer("never", ~codec.possible(), persistent=False)

    def forward(self, features: Tensor, t: Tensor, condition: Condition = None) -> Tensor:
        """Features of digits ``(batch, length m, b)`` to their logits, of the same shape.

        Raises:
            ValueError: if the digits are not whole tokens.
        """
        m, b = self.codec.num_digits, self.codec.base
        if features.shape[1] % m:
            raise ValueError(
                f"expected whole tokens of {m} digits each, got {features.shape[1]} digits"
            )
        tokens = features.unflatten(1, (-1, m)).flatten(2)
        logits = self.network(tokens, t, condition).unflatten(-1, (m, b))
        masked: Tensor = logits.masked_fill(self.never, _NEVER)
        return masked.flatten(1, 2)
