import math

import pytest
import torch

from proteins.backbone_geometry import IDEAL_ANGLES, IDEAL_LENGTHS, bond_angles, bond_lengths
from proteins.chain_builder import build_backbone, ideal_coordinates, internal_coordinates
from proteins.decoys import ideal_helix
from proteins.superposition import ca_rmsd
from proteins.torsions import backbone_torsions


def draw(*shape, dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return (2 * torch.rand(*shape, generator=generator, dtype=dtype) - 1) * math.pi


def circle(a, b):
    """Largest difference of angles."""
    return float(torch.remainder(a - b + math.pi, 2 * math.pi).sub(math.pi).abs().max())


# Rounding builds up along the product of 3 L rotations, as log2(3 L) in the scan.
@pytest.mark.parametrize(("dtype", "bound"), [(torch.float32, 1e-4), (torch.float64, 1e-12)])
@pytest.mark.parametrize("length", [2, 3, 64, 257])
def test_torsions_come_back(length, dtype, bound):
    phi, psi, omega = draw(3, 2, length, dtype=dtype)
    x = build_backbone(ideal_coordinates(phi, psi, omega))
    found = backbone_torsions(x)
    assert circle(found.phi.value[:, 1:], phi[:, 1:]) < bound
    assert circle(found.psi.value[:, :-1], psi[:, :-1]) < bound
    assert circle(found.omega.value[:, :-1], omega[:, :-1]) < bound


def test_lengths_and_angles_are_ideal():
    x = build_backbone(ideal_coordinates(*draw(2, 30)))
    lengths, angles = bond_lengths(x), bond_angles(x)
    for name in ("n_ca", "ca_c", "c_o", "c_n"):
        value = getattr(lengths, name).value
        torch.testing.assert_close(value, torch.full_like(value, IDEAL_LENGTHS[name]))
    for name in ("n_ca_c", "ca_c_n", "c_n_ca"):
        value = getattr(angles, name).value
        torch.testing.assert_close(value, torch.full_like(value, IDEAL_ANGLES[name]))


def test_any_chain_is_rebuilt_from_its_internal_coordinates():
    generator = torch.Generator().manual_seed(3)
    parts = ideal_coordinates(*draw(2, 3, 40))
    x = build_backbone(parts)
    x = x + 0.05 * torch.randn(x.shape, generator=generator, dtype=x.dtype)
    rebuilt = build_backbone(internal_coordinates(x))
    heavy, again = (y[:, :, :3].flatten(1, 2) for y in (x, rebuilt))
    # The superposition stops at the square root of the rounding unit of squared distances.
    assert ca_rmsd(heavy, again).max() < 1e-6


def test_the_helix_has_the_rise_and_turn_of_one():
    """1.5 Angstrom and 100 degrees a residue (Pauling, Corey and Branson 1951)."""
    ca = ideal_helix(40, dtype=torch.float64)[:, 1]
    axis = torch.nn.functional.normalize(ca[36:].mean(0) - ca[:4].mean(0), dim=0)
    rise = (ca[1:] - ca[:-1]) @ axis
    assert 1.4 < float(rise.mean()) < 1.6
    flat = ca - (ca @ axis)[:, None] * axis
    step = (flat - flat[:36].mean(0))[:36]
    cosine = torch.nn.functional.cosine_similarity(step[1:], step[:-1], dim=-1)
    assert 95 < float(cosine.acos().rad2deg().mean()) < 105


def test_gradients_are_right():
    phi, psi = draw(2, 1, 5)
    torch.autograd.gradcheck(
        lambda a, b: build_backbone(ideal_coordinates(a, b)),
        (phi.requires_grad_(), psi.requires_grad_()),
    )


def test_one_residue_and_none():
    assert build_backbone(ideal_coordinates(*torch.zeros(2, 1))).isfinite().all()
    assert build_backbone(ideal_coordinates(*torch.zeros(2, 0, 5))).shape == (0, 5, 4, 3)
    with pytest.raises(ValueError, match=r"one shape \(\.\.\., L\), L >= 1"):
        build_backbone(ideal_coordinates(*torch.zeros(2, 0)))
