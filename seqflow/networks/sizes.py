"""What a configuration may say of a network that several domains share."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from ..settings import Settings


class TransformerSize(Settings):
    """Size of a transformer.

    Attributes:
        width: features of a position.
        layers: blocks.
        heads: of each attention; the width is a multiple of twice as many.
        kernel: positions that the short convolution of each block sums; 1 for none but its own.
    """

    width: int = Field(default=128, gt=0, le=16_384)
    layers: int = Field(default=4, gt=0, le=1000)
    heads: int = Field(default=4, gt=0, le=1000)
    kernel: int = Field(default=7, gt=0, le=1000)

    @model_validator(mode="after")
    def _heads_share_the_width(self) -> Self:
        if self.width % (2 * self.heads):
            raise ValueError(
                f"expected a width that is a multiple of twice the heads, {2 * self.heads}, "
                f"got {self.width}"
            )
        return self

    @property
    def options(self) -> dict[str, int]:
        """As the arguments of ``Transformer``."""
        return {
            "width": self.width,
            "num_layers": self.layers,
            "num_heads": self.heads,
            "kernel_size": self.kernel,
        }
