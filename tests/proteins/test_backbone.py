"""The value that structures are read into."""

import math
from dataclasses import replace

import pytest
import torch

from proteins.backbone import Backbone, centre
from proteins.chain_builder import build_backbone, ideal_coordinates


@pytest.fixture
def helix():
    angles = torch.tensor([-60.0, -45.0]).deg2rad()
    return Backbone.from_coordinates(
        build_backbone(ideal_coordinates(*angles[:, None].expand(2, 12))), name="helix"
    )


def without(one, residue, atom):
    """The same with one atom absent."""
    mask, coordinates = one.atom_mask.clone(), one.coordinates.clone()
    mask[residue, atom], coordinates[residue, atom] = False, 0
    return replace(one, atom_mask=mask, coordinates=coordinates)


def test_bare_coordinates_make_a_chain_of_glycines(helix):
    assert helix.sequence == "G" * 12
    assert helix.mask.all()
    assert helix.label(0) == "GLY 1"
    assert helix.coordinates.dtype == torch.float32
    assert repr(helix) == "Backbone('helix', 12 residues, chains A)"


def test_three_atoms_get_an_oxygen(helix):
    bare = Backbone.from_coordinates(helix.coordinates[:, :3])
    assert bare.atom_mask.all()
    # The last residue's O is not in the other atoms. The builder's two angles at O differ by
    # 2.6 degrees where the rule halves: 1.3 degrees at 1.23 A are 0.03 A.
    off = (bare.coordinates[:-1, 3] - helix.coordinates[:-1, 3]).norm(dim=-1)
    assert off.max() < 0.05


def test_all_but_the_last_are_linked(helix):
    assert helix.linked().tolist() == [True] * 11 + [False]
    assert helix.positions().tolist() == list(range(12))


def test_a_missing_loop_is_a_gap_of_its_size(helix):
    cut = helix.select(torch.tensor([0, 1, 2, 7, 8]))
    assert cut.linked().tolist() == [True, True, False, True, False]
    assert cut.positions().tolist() == [0, 1, 2, 7, 8]


def test_numbers_that_jump_over_a_bond_are_no_gap(helix):
    jumpy = replace(helix, residue_index=helix.residue_index + 10 * (torch.arange(12) > 5))
    assert jumpy.linked()[:-1].all()
    assert jumpy.positions().tolist() == list(range(12))


def test_where_the_bond_is_not_seen_numbers_decide(helix):
    blind = without(helix, 4, 2)
    assert blind.linked()[:-1].all()
    jumpy = replace(blind, residue_index=blind.residue_index + (torch.arange(12) > 4))
    assert jumpy.linked()[:-1].tolist() == [i != 4 for i in range(11)]
    assert jumpy.positions().tolist() == [0, 1, 2, 3, 4, *range(6, 13)]


def test_chains_are_not_linked(helix):
    two = replace(helix, chain_index=(torch.arange(12) > 5).long(), chain_ids=("A", "B"))
    assert two.linked()[:-1].tolist() == [i != 5 for i in range(11)]


def test_an_absent_oxygen_is_placed_and_a_given_one_kept(helix):
    filled = without(helix, 3, 3).with_oxygen()
    assert filled.atom_mask.all()
    assert (filled.coordinates[3, 3] - helix.coordinates[3, 3]).norm() < 0.05
    others = torch.arange(12) != 3
    assert filled.coordinates[others].equal(helix.coordinates[others])


@pytest.mark.parametrize("atom", [0, 1, 2])
def test_no_oxygen_without_a_frame(helix, atom):
    filled = without(without(helix, 3, 3), 3, atom).with_oxygen()
    assert not filled.atom_mask[3, 3]
    assert filled.coordinates.isfinite().all()


def test_an_oxygen_before_an_absent_nitrogen_lies_in_its_own_plane(helix):
    one = without(without(helix, 3, 3), 4, 0).with_oxygen()
    n, ca, c, o = one.coordinates[3]
    normal = torch.linalg.cross(n - ca, c - ca)
    assert one.atom_mask[3, 3]
    assert abs((o - c).norm() - 1.23) < 1e-5
    assert abs(torch.dot(normal, o - c)) < 1e-4 * normal.norm()


def test_empty_and_single_residues():
    empty = Backbone.from_coordinates(torch.zeros(0, 4, 3))
    assert len(empty.linked()) == len(empty.positions()) == len(empty.with_oxygen()) == 0
    single = Backbone.from_coordinates(torch.eye(3)[None])
    assert single.linked().tolist() == [False]
    assert single.positions().tolist() == [0]


def test_wrong_shapes_are_named(helix):
    with pytest.raises(ValueError, match=r"coordinates \(L, 4, 3\) .* got shape \(12, 5, 3\)"):
        Backbone.from_coordinates(torch.zeros(12, 5, 3))
    with pytest.raises(ValueError, match="expected residue_types of 12 residues, got 3"):
        Backbone.from_coordinates(helix.coordinates, sequence="GGG")
    with pytest.raises(ValueError, match=r"atom_mask as bool \(12, 4\), got torch.float32"):
        replace(helix, atom_mask=helix.atom_mask.float())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_centring_puts_the_mean_of_the_masked_ca_at_the_origin(dtype):
    generator = torch.Generator().manual_seed(0)
    x = 30 + torch.randn(2, 9, 4, 3, generator=generator, dtype=dtype)
    mask = torch.tensor([[True] * 9, [True] * 4 + [False] * 5])
    centred = centre(x, mask)
    assert centred.dtype == dtype
    # Nine sums of numbers near 30.
    bound = 9 * 30 * torch.finfo(dtype).eps
    for i, size in enumerate((9, 4)):
        assert centred[i, :size, 1].mean(0).abs().max() < bound
    assert (centred[1, 4:] == 0).all()
    assert (centre(x, torch.zeros_like(mask)) == 0).all()


def test_centring_has_finite_gradients_without_residues():
    x = torch.ones(1, 3, 4, 3, requires_grad=True)
    centre(x, torch.zeros(1, 3, dtype=torch.bool)).sum().backward()
    assert x.grad is not None
    assert math.isfinite(x.grad.abs().sum())
