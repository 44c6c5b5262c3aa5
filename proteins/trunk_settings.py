"""The sizes of a network, by its trunk: what ``network`` in a configuration may say."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from seqflow.settings import Settings

Count = Annotated[int, Field(gt=0, le=64)]
Width = Annotated[int, Field(gt=0, le=2048)]
Neighbours = Annotated[int, Field(ge=0, le=256)]
DEFAULT_TRUNK = "pair-bias"


class PairBiasSettings(Settings):
    """The default: attention with a bias of pairs, see ``proteins.network``.

    Attributes:
        trunk: its name.
        channels: width.
        layers: blocks.
        heads: of each block; they divide the width.
        points: that a residue sends, a head.
        pair_channels: hidden numbers of a pair.
    """

    trunk: Literal["pair-bias"] = "pair-bias"
    channels: Width = 192
    layers: Count = 6
    heads: Count = 8
    points: Count = 4
    pair_channels: Width = 64

    @model_validator(mode="after")
    def _divides(self) -> Self:
        _check_divides(self.heads, self.channels, "heads")
        return self


class IPASettings(Settings):
    """The published trunk of invariant point attention, see ``proteins.ipa_network``.

    Attributes:
        trunk: its name.
        channels: width, even.
        layers: blocks.
        heads: of the invariant point attention.
        size: numbers of a query, a key and a value of a head.
        query_points: of a head.
        value_points: of a head.
        pair_channels: width of a pair, divisible by 4.
        encoder_heads: of the sequence transformers; they divide the width.
        encoder_layers: of the sequence transformer of a block.
    """

    trunk: Literal["ipa"]
    channels: Annotated[Width, Field(multiple_of=2)] = 256
    layers: Count = 6
    heads: Count = 8
    size: Width = 128
    query_points: Count = 8
    value_points: Count = 12
    pair_channels: Annotated[Width, Field(multiple_of=4)] = 128
    encoder_heads: Count = 4
    encoder_layers: Count = 2

    @model_validator(mode="after")
    def _divides(self) -> Self:
        _check_divides(self.encoder_heads, self.channels, "encoder_heads")
        return self


class KNNSettings(Settings):
    """The trunk for long chains, see ``proteins.knn_network``.

    Attributes:
        trunk: its name.
        channels: width.
        layers: blocks.
        heads: of each block; they divide the width.
        points: that a residue sends, a head.
        pair_channels: hidden numbers of a pair.
        along: neighbours along the chain.
        near: neighbours in space.
        far: neighbours at random.
    """

    trunk: Literal["knn"]
    channels: Width = 192
    layers: Count = 6
    heads: Count = 8
    points: Count = 4
    pair_channels: Width = 64
    along: Neighbours = 16
    near: Neighbours = 32
    far: Neighbours = 16

    @model_validator(mode="after")
    def _divides(self) -> Self:
        _check_divides(self.heads, self.channels, "heads")
        return self


def _check_divides(heads: int, channels: int, name: str) -> None:
    """Raise ``ValueError`` if the width is not the heads' multiple."""
    if channels % heads:
        raise ValueError(f"{heads} {name} do not divide the width {channels}")


def _trunk(network: Any) -> str:
    """The name; a configuration without one means the default."""
    if isinstance(network, dict):
        return str(network.get("trunk", DEFAULT_TRUNK))
    return str(getattr(network, "trunk", None))


TrunkSettings = Annotated[
    Annotated[PairBiasSettings, Tag("pair-bias")]
    | Annotated[IPASettings, Tag("ipa")]
    | Annotated[KNNSettings, Tag("knn")],
    Discriminator(
        _trunk,
        custom_error_type="trunk",
        custom_error_message="expected network.trunk to be pair-bias, ipa or knn",
    ),
]
