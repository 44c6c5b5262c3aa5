r"""What a backbone network is trained for: the ends of noisy frames, of chains of unequal length.

With probability 1/2 (one coin a batch) the network is shown what it predicted for the same state,
as it will be when sampling (self-conditioning): one more pass, without gradient.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqflow.couplings import Coupling, Independent
from seqflow.objectives import Batch, stratified_times

from .flow import PREVIOUS, ROTATION, TRANSLATION, BackboneFlow
from .frames import backbone_to_frames, frames_to_backbone
from .losses import BackboneLoss, Frames, Residues, Target
from .pairs import NOISE_ROTATION, Pairs


def frame_batch(batch: Batch) -> Batch:
    """Padded coordinates, as ``graphs.padded`` makes them, to centred frames.

    Returns:
        ``translation`` (B, L, 3), ``rotation`` (B, L, 4), ``atoms`` (B, L, 3, 3), ``mask``
        (B, L), ``linked`` (B, L) and ``positions`` (B, L).
    """
    mask, atoms = batch["mask"], batch["coordinates"][..., :3, :]
    rotation, translation = backbone_to_frames(atoms, mask)
    return {
        TRANSLATION: translation,
        ROTATION: rotation,
        "atoms": atoms,
        "mask": mask,
        "linked": _linked(batch),
        "positions": batch["positions"].long(),
    }


def pair_batch(pairs: Pairs, index: Tensor, length: int) -> Batch:
    """Pairs of rectification as :func:`frame_batch` makes chains, with the noise of each.

    Atoms are those of ideal residues, since the sampler made no others; every residue is linked
    to the next. Frames that are absent get the identity.
    """
    batch = dict(pairs.padded(index, length))
    absent = torch.tensor([1.0, 0, 0, 0])
    for name in (ROTATION, NOISE_ROTATION):
        batch[name] = torch.where(batch["mask"].unsqueeze(-1), batch[name], absent)
    atoms = frames_to_backbone(batch[ROTATION], batch[TRANSLATION])
    return {**batch, "atoms": atoms, "linked": _linked(batch)}


@dataclass(frozen=True)
class BackboneMatching:
    """The loss of predicted ends, on batches of :func:`frame_batch`.

    Attributes:
        flow: corrupts.
        loss: judges predictions.
        self_condition: probability of showing the network its own prediction.
        coupling: which noise goes with which chain.
    """

    flow: BackboneFlow
    loss: BackboneLoss
    self_condition: float = 0.5
    coupling: Coupling = field(default_factory=Independent)

    def __call__(self, model: nn.Module, batch: Batch, generator: torch.Generator) -> Tensor:
        """Losses of shape ``(B,)``."""
        target = Target(batch[ROTATION], batch[TRANSLATION], batch["atoms"])
        residues = Residues(batch["mask"], batch["linked"])
        process = self.flow.training_process(residues.mask)
        t = stratified_times(len(residues.mask), generator)
        nothing = torch.zeros_like(target.rotation)
        x_1 = {TRANSLATION: target.translation, ROTATION: target.rotation, PREVIOUS: nothing}
        x_0 = self.coupling(process, batch, generator)
        x_t, _ = process.corrupt(x_1, t, x_0, generator=generator)
        condition = {"mask": residues.mask, "positions": batch["positions"]}
        # One coin a batch: half of the first passes are never made.
        if torch.rand((), generator=generator, device=t.device) < self.self_condition:
            with torch.no_grad():
                x_t[PREVIOUS] = model(x_t, t, condition)[PREVIOUS]
        end = model(x_t, t, condition)
        state = Frames(x_t[ROTATION], x_t[TRANSLATION])
        return self.loss(Frames(end[ROTATION], end[TRANSLATION]), target, state, residues, t)


def _linked(batch: Batch) -> Tensor:
    """Whether residue i is linked to i + 1: both there, in places next to each other."""
    mask, positions = batch["mask"], batch["positions"]
    both = mask[:, :-1] & mask[:, 1:] & (positions.diff() == 1)
    return F.pad(both, (0, 1))
