"""The gate on made-up chains. Real chains: benchmarks/plausibility_gate.py."""

import math

import pytest
import torch

from proteins.chain_builder import build_backbone, ideal_coordinates
from proteins.compactness import radius_of_gyration
from proteins.decoys import (
    frame_noise,
    hinged,
    ideal_helix,
    mirror_image,
    random_walk,
    shuffled_torsions,
)
from proteins.plausibility import GATE, Component, backbone_plausibility
from proteins.torsions import backbone_torsions

HELIX = [(-62, -42)] * 15
FIRST_LOOP = [(55, 45), (-120, 130), (-65, -40), (-70, 145)]
SECOND_LOOP = [(-65, -40), (-65, -40), (-65, -40), (-120, 130)]


def bundle(dtype=torch.float32):
    """Three helices, packed; the loops were found by search."""
    angles = torch.tensor([*HELIX, *FIRST_LOOP, *HELIX, *SECOND_LOOP, *HELIX], dtype=dtype)
    return build_backbone(ideal_coordinates(*angles.deg2rad().unbind(-1)))


def failing(coords, mask=None):
    verdict = backbone_plausibility(coords, mask)
    return {name for name, within in verdict.within.items() if not within}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def noise(translation, degrees):
    return lambda x, g: frame_noise(x, translation, math.radians(degrees), generator=g)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_helical_bundle_is_plausible(dtype):
    assert failing(bundle(dtype)) == set()


@pytest.mark.parametrize(
    ("make", "seen_by"),
    [
        (noise(0.15, 4), {"c_n", "ca_ca"}),
        (noise(0.4, 12), {"c_n", "ca_ca", "favoured"}),
        (noise(1.0, 25), {"c_n", "ca_ca", "favoured", "structured"}),
        (lambda x, _: mirror_image(x), {"left_handed"}),
        (lambda x, _: ideal_helix(len(x)), {"gyration"}),
        (lambda x, g: random_walk(len(x), generator=g), {"complete", "favoured", "structured"}),
        (lambda x, _: x * 0, {"ca_ca", "ca_clashes", "gyration"}),
        (lambda x, _: x[:1], {"gyration", "structured", "favoured"}),
        (lambda x, _: x[:0], {"complete"}),
    ],
)
def test_decoys_fail_by_the_component_made_for_them(make, seen_by):
    assert seen_by <= failing(make(bundle(), generator()))


def test_wrong_folds_of_right_pieces_mostly_fail():
    """Hinges do; shuffling a chain that is nearly all helix makes nearly the same again."""
    chains = hinged(bundle().expand(40, 53, 4, 3), generator=generator(1))
    # Of a thousand 17% pass, more than of mixed chains; 16 of 40 has a probability below 1e-3.
    assert int(backbone_plausibility(chains).passed.sum()) < 16


def test_verdicts_of_a_batch_are_those_of_its_chains():
    chains = torch.stack([bundle(), mirror_image(bundle()), ideal_helix(53)])
    assert backbone_plausibility(chains).passed.tolist() == [True, False, False]
    assert backbone_plausibility(chains[:0]).passed.shape == (0,)


def test_absent_atoms_count_against_a_chain():
    mask = torch.ones(53, 4, dtype=torch.bool)
    mask[::10, 0] = False
    assert "complete" in failing(bundle(), mask)


def test_another_component_joins_in():
    entropy = Component("entropy", lambda x, mask, linked: x.new_tensor(3.0), high=2.35)
    verdict = backbone_plausibility(bundle(), gate=(*GATE, entropy))
    assert not verdict.passed
    assert float(verdict.values["entropy"]) == 3
    assert not Component("x", lambda *_: torch.zeros(1), low=0).within(torch.tensor(torch.nan))


def test_refusals():
    with pytest.raises(ValueError, match="different names, at least one"):
        backbone_plausibility(bundle(), gate=())
    with pytest.raises(ValueError, match="different names"):
        backbone_plausibility(bundle(), gate=(GATE[0], GATE[0]))
    with pytest.raises(ValueError, match="a hinge every 1 residue"):
        hinged(bundle(), 0)


def test_shuffling_keeps_the_pairs_of_angles():
    x = bundle(torch.float64)
    shuffled = shuffled_torsions(x, generator=generator())
    before, after = backbone_torsions(x), backbone_torsions(shuffled)
    pairs = [
        torch.stack([t.phi.value, t.psi.value], -1)[1:-1].rad2deg().round().tolist()
        for t in (before, after)
    ]
    assert sorted(pairs[0]) == sorted(pairs[1])
    assert pairs[0] != pairs[1]


def test_hinges_are_where_they_should_be():
    x = bundle(torch.float64)
    before, after = (backbone_torsions(y) for y in (x, hinged(x, generator=generator())))
    moved = (before.psi.value - after.psi.value).abs() > 1e-6
    assert moved.nonzero().flatten().tolist() == list(range(4, 52, 8))


def test_noise_has_the_size_asked_for():
    x = torch.zeros(20_000, 4, 3)
    x[:, 0, 0] = 1.0
    moved = frame_noise(x, 0.5, 0.1, generator=generator())
    # Standard deviations of 60,000 and 20,000 normal draws: 0.3% and 0.5%; four of them.
    assert float(moved[:, 1].std()) == pytest.approx(0.5, rel=0.012)
    bend = (moved[:, 0] - moved[:, 1])[:, 1:].square().sum(-1).mean().sqrt()
    # A turn by a about a uniform axis moves a unit vector by a sqrt(2/3) on average.
    assert float(bend) == pytest.approx(0.1 * math.sqrt(2 / 3), rel=0.04)


def test_decoys_are_reproducible():
    for make in (noise(0.3, 5), lambda x, g: hinged(x, generator=g)):
        torch.testing.assert_close(make(bundle(), generator(3)), make(bundle(), generator(3)))


def test_a_random_walk_has_the_steps_of_a_chain():
    walk = random_walk(2000, generator=generator())
    steps = walk[1:, 1] - walk[:-1, 1]
    torch.testing.assert_close(steps.norm(dim=-1), torch.full((1999,), 3.8))
    assert walk[:, [0, 2, 3]].isnan().all()
    assert float(radius_of_gyration(walk)) > 0
