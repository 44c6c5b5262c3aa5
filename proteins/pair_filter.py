"""Which pairs are worth learning: those whose backbone passes the gate.

What the sampler made badly would be learned as well as the rest. The published procedure keeps
what a folding model agrees with; here `backbone_plausibility` judges, with limits of one's own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from .evaluation import Row
from .flow import ROTATION, TRANSLATION
from .frames import frames_to_backbone
from .oxygen import place_oxygen
from .pairs import Pairs
from .plausibility import GATE, Component, backbone_plausibility
from .rectification_settings import Limits


class Judgement(NamedTuple):
    """What the gate says of pairs.

    Attributes:
        kept: bool ``(N,)``.
        values: of each component ``(N,)``, by name.
        within: its limits, bool ``(N,)``, by name.
    """

    kept: Tensor
    values: dict[str, Tensor]
    within: dict[str, Tensor]


def gate_with(limits: Mapping[str, Limits], gate: Sequence[Component] = GATE) -> list[Component]:
    """The gate with some limits replaced, by the name of the component.

    Example:
        >>> [part.low for part in gate_with({"structured": (0.5, None)})][-1]
        0.5
    """
    parts = []
    for part in gate:
        low, high = limits.get(part.name, (part.low, part.high))
        low = -math.inf if low is None else low
        parts.append(replace(part, low=low, high=math.inf if high is None else high))
    return parts


@torch.no_grad()
def judge_pairs(pairs: Pairs, gate: Sequence[Component]) -> Judgement:
    """The verdict on the backbone of every pair; those of one length are judged together."""
    names = [part.name for part in gate]
    values = torch.full((len(pairs), len(gate)), math.nan)
    within = torch.zeros(len(pairs), len(gate), dtype=torch.bool)
    for length in pairs.lengths.unique().tolist():
        index = (pairs.lengths == length).nonzero().squeeze(-1)
        batch = pairs.padded(index, length)
        atoms = frames_to_backbone(batch[ROTATION], batch[TRANSLATION])
        coords = torch.cat((atoms, place_oxygen(atoms).unsqueeze(-2)), -2)
        verdict = backbone_plausibility(coords, gate=gate)
        values[index] = torch.stack([verdict.values[name].float() for name in names], -1)
        within[index] = torch.stack([verdict.within[name] for name in names], -1)
    return Judgement(
        within.all(-1),
        dict(zip(names, values.unbind(-1), strict=True)),
        dict(zip(names, within.unbind(-1), strict=True)),
    )


def describe_judgement(judgement: Judgement) -> str:
    """How many are kept, and for what the others are refused: one may fail in several.

    Example:
        >>> kept = torch.tensor([True, False, False])
        >>> describe_judgement(Judgement(kept, {}, {"c_n": kept, "gyration": ~kept | kept}))
        'kept 1 of 3 pairs (33.3%); outside the limits: c_n 2 (2 alone)'
    """
    num, kept = len(judgement.kept), int(judgement.kept.sum())
    wrong = torch.stack(list(judgement.within.values()), -1).logical_not()
    alone = wrong.sum(-1) == 1
    reasons = [
        f"{name} {int(own.sum())} ({int((own & alone).sum())} alone)"
        for name, own in zip(judgement.within, wrong.unbind(-1), strict=True)
        if own.any()
    ]
    said = f"; outside the limits: {', '.join(reasons)}" if reasons else ""
    return f"kept {kept} of {num} pairs ({100 * kept / max(num, 1):.1f}%){said}"


def judgement_rows(pairs: Pairs, judgement: Judgement) -> list[Row]:
    """One row a pair: its number, length, whether it is kept, and every value."""
    numbers = {"length": pairs.lengths, "kept": judgement.kept, **judgement.values}
    return [
        {"name": f"pair-{i}", **{name: float(value[i]) for name, value in numbers.items()}}
        for i in range(len(pairs))
    ]
