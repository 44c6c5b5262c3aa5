"""Atoms to frames and back: laws, and the triples that have no frame."""

import pytest
import torch

from geometry import SO3
from geometry.quaternions import quaternion_multiply, quaternion_rotate
from geometry.rotation_conversions import quaternion_to_matrix
from proteins.chain_builder import build_backbone, ideal_coordinates
from proteins.frames import LOCAL_ATOMS, backbone_to_frames, frames_to_backbone, gram_schmidt
from proteins.oxygen import place_oxygen

DTYPES = (torch.float32, torch.float64)
DEGENERATE = {
    "all at one point": [[1.0, 2, 3], [1, 2, 3], [1, 2, 3]],
    "N on CA": [[0.0, 0, 0], [0, 0, 0], [1.5, 0, 0]],
    "C on CA": [[-0.5, 1.4, 0], [0, 0, 0], [0, 0, 0]],
    "straight": [[-1.4, 0, 0], [0, 0, 0], [1.5, 0, 0]],
    "folded": [[0, 0, 1.4], [0, 0, 0], [0, 0, 1.5]],
    "straight down": [[0, 0, 1.4], [0, 0, 0], [0, 0, -1.5]],
}


def random_frames(*batch, dtype, seed=0):
    generator = torch.Generator().manual_seed(seed)
    q = SO3().random_uniform(*batch, generator=generator, dtype=dtype)
    return q, 20 * torch.randn(*batch, 3, generator=generator, dtype=dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("batch", [(), (0,), (500,), (3, 7)])
def test_frames_survive_the_way_through_atoms(batch, dtype):
    q, x = random_frames(*batch, dtype=dtype)
    atoms = frames_to_backbone(q, x)
    assert atoms.shape == (*batch, 3, 3)
    back, ca = backbone_to_frames(atoms)
    assert back.dtype == ca.dtype == dtype
    assert ca.equal(x)
    # Atoms up to 100 A from the origin are rounded by 100 eps, over arms of 1.4 A.
    bound = 200 * torch.finfo(dtype).eps
    assert not (SO3().dist(q, back) > bound).any()
    # Notes, section 9: below 1e-4 A in float32.
    assert not ((frames_to_backbone(back, ca) - atoms).abs() > 4 * bound).any()


@pytest.mark.parametrize("dtype", DTYPES)
def test_frames_are_what_the_formula_says(dtype):
    generator = torch.Generator().manual_seed(1)
    n, ca, c = torch.randn(3, 100, 3, generator=generator, dtype=dtype)
    q, _ = backbone_to_frames(torch.stack((n, ca, c), 1))
    r = quaternion_to_matrix(q)
    bound = 1e4 * torch.finfo(dtype).eps  # the most oblique of the triples
    u = (c - ca) / (c - ca).norm(dim=-1, keepdim=True)
    assert (r[..., 0] - u).abs().max() < bound
    local = torch.einsum("bji,bj->bi", r, n - ca)
    assert (local[:, 1] > 0).all()
    assert local[:, 2].abs().max() < bound
    assert (torch.linalg.det(r) - 1).abs().max() < bound


@pytest.mark.parametrize("dtype", DTYPES)
def test_frames_move_with_the_atoms(dtype):
    generator = torch.Generator().manual_seed(2)
    atoms = torch.randn(50, 3, 3, generator=generator, dtype=dtype)
    g, shift = random_frames(dtype=dtype, seed=3)
    q, x = backbone_to_frames(atoms)
    moved_q, moved_x = backbone_to_frames(quaternion_rotate(g, atoms) + shift)
    bound = 1e5 * torch.finfo(dtype).eps  # coordinates of 20 A, the most oblique triple
    assert SO3().dist(quaternion_multiply(g, q), moved_q).max() < bound
    assert (quaternion_rotate(g, x) + shift - moved_x).abs().max() < bound


def test_the_axes_of_an_ideal_residue_are_those_of_space():
    q, x = backbone_to_frames(torch.tensor(LOCAL_ATOMS))
    assert q.tolist() == [1, 0, 0, 0]
    assert x.tolist() == [0, 0, 0]


def test_a_helix_turns_by_a_hundred_degrees_a_residue():
    turns = torch.tensor([-57.0, -47.0]).deg2rad()[:, None].expand(2, 30)
    q, _ = backbone_to_frames(build_backbone(ideal_coordinates(*turns)))
    angle = SO3().dist(q[:-1], q[1:]).rad2deg()
    # An alpha helix has 3.6 residues a turn.
    assert (angle - 100).abs().max() < 3
    assert angle.std() < 1e-2


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", DEGENERATE)
def test_degenerate_triples_have_a_frame_and_finite_gradients(name, dtype):
    atoms = torch.tensor(DEGENERATE[name], dtype=dtype, requires_grad=True)
    q, x = backbone_to_frames(atoms)
    r = quaternion_to_matrix(q)
    eye = torch.eye(3, dtype=dtype)
    assert (r.mT @ r - eye).abs().max() < 8 * torch.finfo(dtype).eps
    weights = torch.arange(1.0, 8.0, dtype=dtype)
    (torch.cat((q, x)) @ weights).backward()
    assert atoms.grad is not None
    assert atoms.grad.isfinite().all()


def test_no_direction_at_all_is_the_identity():
    q, _ = backbone_to_frames(torch.full((3, 3), 7.0))
    assert q.tolist() == [1, 0, 0, 0]


@pytest.mark.parametrize("dtype", DTYPES)
def test_nearly_straight_triples_are_rotations_with_finite_gradients(dtype):
    bend = torch.logspace(-12, 0, 200, dtype=dtype)
    zero = torch.zeros_like(bend)
    v = torch.stack((-1.4 * torch.ones_like(bend), bend, zero), -1).requires_grad_()
    u = torch.tensor([1.5, 0, 0], dtype=dtype).expand_as(v)
    r = gram_schmidt(u, v)
    assert (r.mT @ r - torch.eye(3, dtype=dtype)).abs().max() < 1e-3
    r.sum().backward()
    assert v.grad is not None
    assert v.grad.isfinite().all()
    # 1/(sine of the bend), of which the square root of the rounding unit is the least.
    assert v.grad.abs().max() < 4 / torch.finfo(dtype).eps ** 0.5


def test_absent_residues_get_the_identity_and_no_gradient():
    atoms = torch.randn(4, 3, 3, generator=torch.Generator().manual_seed(0))
    atoms[2] = torch.nan
    atoms.requires_grad_()
    mask = torch.tensor([True, True, False, True])
    q, x = backbone_to_frames(atoms, mask)
    assert q[2].tolist() == [1, 0, 0, 0]
    assert x[2].tolist() == [0, 0, 0]
    (q.sum() + x.sum()).backward()
    assert atoms.grad is not None
    assert (atoms.grad[2] == 0).all()
    assert (atoms.grad[mask] != 0).any()


def test_wrong_shapes_are_named():
    with pytest.raises(ValueError, match=r"expected atoms .* got shape \(5, 2, 3\)"):
        backbone_to_frames(torch.zeros(5, 2, 3))
    with pytest.raises(ValueError, match=r"expected atoms .* got shape \(3, 3\)"):
        place_oxygen(torch.zeros(3, 3))


def test_oxygen_lies_in_the_peptide_plane():
    generator = torch.Generator().manual_seed(4)
    atoms = build_backbone(ideal_coordinates(*(6.28 * torch.rand(2, 40, generator=generator))))
    o = place_oxygen(atoms)
    c, ca, following = atoms[:-1, 2], atoms[:-1, 1], atoms[1:, 0]
    normal = torch.linalg.cross(c - ca, following - c)
    assert ((o - atoms[:, 2]).norm(dim=-1) - 1.23).abs().max() < 1e-4
    assert ((o[:-1] - c) * normal).sum(-1).abs().max() < 1e-4
    # As far from the one neighbour of C as the unit vectors of its bonds allow: 120 degrees.
    assert (o - atoms[:, 3])[:-1].norm(dim=-1).max() < 0.05


def test_oxygen_is_finite_where_atoms_coincide():
    atoms = torch.zeros(2, 5, 3, 3, requires_grad=True)
    o = place_oxygen(atoms)
    o.sum().backward()
    assert o.isfinite().all()
    assert atoms.grad is not None
    assert atoms.grad.isfinite().all()
    assert place_oxygen(torch.zeros(0, 3, 3)).shape == (0, 3)
