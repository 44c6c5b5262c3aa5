"""Laws of every measure of a backbone, and the inputs on which measures break."""

import math

import pytest
import torch

from geometry import SO3, quaternion_to_matrix
from proteins.atom_masks import read_atoms
from proteins.backbone_geometry import angle, bond_angles, bond_lengths
from proteins.chain_builder import build_backbone, ideal_coordinates
from proteins.compactness import (
    backbone_clashes,
    ca_clashes,
    ca_distances,
    contacts_per_residue,
    gyration_ratio,
    radius_of_gyration,
)
from proteins.decoys import ideal_helix, mirror_image
from proteins.measurement import Measurement
from proteins.plausibility import backbone_plausibility
from proteins.ramachandran import favoured_share, left_handed_share
from proteins.secondary_structure import structure_fractions
from proteins.superposition import RigidMotion
from proteins.torsions import backbone_torsions, dihedral


def flat(*measurements):
    return torch.cat([torch.cat([m.value, m.defined.to(m.value)], -1) for m in measurements], -1)


# Each maps (coords, mask, linked) to numbers (batch, any).
MEASURES = {
    "torsions": lambda *b: flat(*backbone_torsions(*b)),
    "bond lengths": lambda *b: flat(*bond_lengths(*b)),
    "bond angles": lambda *b: flat(*bond_angles(*b)),
    "gyration": lambda x, mask, _: gyration_ratio(x, mask)[..., None],
    "distances": lambda x, mask, _: ca_distances(x, mask).flatten(-2),
    "clashes": lambda x, mask, _: ca_clashes(x, mask)[..., None].to(x),
    "backbone clashes": lambda x, mask, _: backbone_clashes(x, mask)[..., None].to(x),
    "contacts": lambda x, mask, _: contacts_per_residue(x, mask)[..., None],
    "favoured": lambda *b: favoured_share(backbone_torsions(*b))[..., None],
    "left-handed": lambda *b: left_handed_share(backbone_torsions(*b).phi)[..., None],
    "structure": lambda *b: structure_fractions(*b),
    "plausibility": lambda *b: torch.stack(list(backbone_plausibility(*b).values.values()), -1),
}
DIFFERENTIABLE = ["torsions", "bond lengths", "bond angles", "gyration", "distances"]
MIRROR_BLIND = ["bond lengths", "bond angles", "gyration", "distances", "contacts", "structure"]


def random_chains(batch, length, dtype=torch.float32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    phi, psi = (2 * torch.rand(2, batch, length, generator=generator, dtype=dtype) - 1) * math.pi
    return build_backbone(ideal_coordinates(phi, psi))


def awkward_inputs(dtype):
    chain = random_chains(1, 6, dtype)
    nan = chain.clone()
    nan[:, 2] = torch.nan
    nothing = torch.zeros(1, 6, dtype=torch.bool)
    some_atoms = torch.ones(1, 6, 4, dtype=torch.bool)
    some_atoms[:, 1, 2] = some_atoms[:, 3, 0] = some_atoms[:, 4, 1] = False
    line = torch.arange(24, dtype=dtype).reshape(1, 6, 4, 1) * torch.tensor([1.0, 0, 0]).to(dtype)
    return {
        "no residue": (torch.zeros(1, 0, 4, 3, dtype=dtype), None),
        "one residue": (chain[:, :1], None),
        "two residues": (chain[:, :2], None),
        "empty batch": (chain[:0], None),
        "all absent": (chain, nothing),
        "a residue of NaN": (nan, None),
        "atoms absent": (chain, some_atoms),
        "one point": (torch.ones_like(chain), None),
        "one line": (line, None),
        "far away": (chain + 1e4, None),
    }


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", MEASURES)
def test_awkward_inputs_give_finite_numbers(name, dtype):
    for what, (x, mask) in awkward_inputs(dtype).items():
        found = MEASURES[name](x, mask, None)
        assert found.shape[0] == x.shape[0], what
        assert found.dtype == dtype, what
        assert found.isfinite().all(), what


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_awkward_inputs_give_finite_gradients(name, dtype):
    for what, (x, mask) in awkward_inputs(dtype).items():
        x = x.clone().requires_grad_()
        MEASURES[name](x, mask, None).sum().backward()
        assert x.grad.isfinite().all(), what


@pytest.mark.parametrize("name", MEASURES)
def test_padding_changes_nothing(name):
    """A chain in a batch with padding measures as it does alone, entry by entry or as a whole."""
    chain = random_chains(1, 12, torch.float64)
    garbage = torch.randn(1, 5, 4, 3, generator=torch.Generator().manual_seed(1)).double()
    padded = torch.cat([chain, garbage], 1)
    mask = torch.arange(17)[None] < 12
    alone, inside = MEASURES[name](chain, None, None), MEASURES[name](padded, mask, None)
    if inside.shape == alone.shape:
        torch.testing.assert_close(inside, alone)
    else:  # an entry a residue or a pair: what the padding adds is zero
        torch.testing.assert_close(inside.sum(), alone.sum())


@pytest.mark.parametrize("name", MEASURES)
def test_a_batch_is_its_chains(name):
    x = random_chains(3, 12)
    found = MEASURES[name](x, None, None)
    for i in range(3):
        # A batched sum may round in another order: a few units in the last place of 100.
        torch.testing.assert_close(found[i], MEASURES[name](x[i], None, None), atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", MEASURES)
def test_rigid_motions_change_nothing(name):
    x = random_chains(2, 12, torch.float64)
    generator = torch.Generator().manual_seed(2)
    q = SO3().random_uniform(1, generator=generator, dtype=torch.float64)
    shift = torch.full((1, 3), 7.0, dtype=torch.float64)
    moved = RigidMotion(quaternion_to_matrix(q), shift).apply(x.flatten(1, 2)).reshape(x.shape)
    found = MEASURES[name](moved, None, None)
    # ω is π or -π, one rounding apart: compare what does not jump there.
    torch.testing.assert_close(found.abs(), MEASURES[name](x, None, None).abs())


@pytest.mark.parametrize("name", MIRROR_BLIND)
def test_what_is_blind_to_mirrors(name):
    x = ideal_helix(20, dtype=torch.float64)
    found = MEASURES[name](mirror_image(x), None, None)
    torch.testing.assert_close(found, MEASURES[name](x, None, None))


def test_a_gap_undoes_bonds_across_it():
    x = random_chains(1, 6)
    linked = torch.tensor([[True, True, False, True, True, False]])
    torsions, lengths = backbone_torsions(x, None, linked), bond_lengths(x, None, linked)
    assert lengths.c_n.defined.tolist() == [[True, True, False, True, True]]
    assert torsions.phi.defined.tolist() == [[False, True, True, False, True, True]]
    assert torsions.psi.defined.tolist() == [[True, True, False, True, True, False]]
    assert torsions.omega.defined.tolist() == torsions.psi.defined.tolist()


def test_known_angles():
    x, y, z = torch.eye(3, dtype=torch.float64)
    o = torch.zeros(3, dtype=torch.float64)
    for degrees in (0.0, 1e-6, 1.0, 89.0, 90.0, 179.0, 180.0 - 1e-6, 180.0):
        a = math.radians(degrees)
        turned = math.cos(a) * x + math.sin(a) * y
        # atan2 is exact to a few units in the last place, also at 0 and 180 degrees.
        assert abs(float(angle(x, o, turned).value) - a) < 1e-15 + 1e-15 * a
        assert abs(float(dihedral(x, o, z, z + turned).value) - a) < 1e-15 + 1e-15 * a
        assert (
            abs(float(dihedral(x, o, z, z + turned * torch.tensor([1, -1, 1])).value)) <= math.pi
        )


def test_dihedrals_have_the_sign_of_iupac():
    """Looking along b -> c, clockwise is positive: x to y about z."""
    x, y, z = torch.eye(3)
    assert dihedral(x, 0 * x, z, z + y).value > 0
    assert left_handed_share(backbone_torsions(ideal_helix(10)).phi) == 0


def test_clashes_and_contacts_are_counted():
    """A hairpin of CA atoms 3.8 apart, strands ``gap`` apart: every rung is a pair."""
    for gap, clashes, contacts in ((2.5, 7, True), (5.0, 0, True), (9.0, 0, False)):
        up = torch.stack([torch.arange(8) * 3.8, torch.zeros(8), torch.zeros(8)], -1)
        down = up.flip(0) + torch.tensor([0.0, gap, 0.0])
        trace = torch.cat([up, down])
        coords = trace[:, None].expand(16, 4, 3)
        assert int(ca_clashes(coords)) == clashes
        assert bool(contacts_per_residue(coords) > 0) == contacts


def test_the_radius_of_gyration_of_a_rod():
    """Points evenly on a rod of length h: h^2/12 (1 + 2/(n-1))."""
    x = torch.linspace(0, 30, 31, dtype=torch.float64)
    coords = torch.stack([x, 0 * x, 0 * x], -1)[:, None].expand(31, 4, 3)
    expected = math.sqrt(900 / 12 * (1 + 2 / 30))
    assert float(radius_of_gyration(coords)) == pytest.approx(expected, rel=1e-12)


def test_measurements_of_nothing_have_the_value_asked_for():
    nothing = Measurement(torch.zeros(2, 0), torch.zeros(2, 0, dtype=torch.bool))
    assert nothing.mean().tolist() == [0, 0]
    assert nothing.mean(empty=5.0).tolist() == [5, 5]
    assert nothing.share_within(0, 1).tolist() == [1, 1]
    assert nothing.num().tolist() == [0, 0]


def test_torsions_compile():
    x = random_chains(2, 8)
    compiled = torch.compile(backbone_torsions, backend="eager", fullgraph=True)
    for a, b in zip(compiled(x), backbone_torsions(x), strict=True):
        torch.testing.assert_close(a.value, b.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((torch.zeros(5, 3, 3),), r"coordinates \(\.\.\., L, 4, 3\), got shape \(5, 3, 3\)"),
        (
            (torch.zeros(5, 4, 3, dtype=torch.int64),),
            "floating-point coordinates, got torch.int64",
        ),
        ((torch.zeros(5, 4, 3), torch.ones(4, dtype=torch.bool)), r"residues \(5,\) or of atoms"),
        ((torch.zeros(5, 4, 3), torch.ones(5)), "mask of dtype bool, got torch.float32"),
    ],
)
def test_refusals(arguments, message):
    with pytest.raises(ValueError, match=message):
        read_atoms(*arguments)
    with pytest.raises(ValueError, match=message):
        backbone_plausibility(*arguments)


def test_links_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"linked as bool \(5,\), an entry a residue"):
        bond_lengths(torch.zeros(5, 4, 3), None, torch.ones(4, dtype=torch.bool))
