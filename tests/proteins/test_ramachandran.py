import math

import pytest
import torch
from safetensors import safe_open

from proteins.chain_builder import build_backbone, ideal_coordinates
from proteins.decoys import mirror_image
from proteins.ramachandran import (
    FAVOURED,
    MAP,
    estimate_levels,
    favoured_share,
    left_handed_share,
    ramachandran_level,
    stored_levels,
)
from proteins.torsions import backbone_torsions


def degrees(*pairs):
    return torch.tensor(pairs, dtype=torch.float64).deg2rad().unbind(-1)


def test_the_stored_map_knows_the_regions():
    helix, strand, left, empty, wrong = ramachandran_level(
        *degrees((-62, -42), (-120, 130), (57, 40), (60, -120), (120, -130))
    )
    assert helix < 0.2
    assert strand < FAVOURED
    assert helix < strand < left < 0.95
    assert min(empty, wrong) > 0.95


def test_the_stored_map_says_what_made_it():
    with safe_open(MAP, framework="pt") as file:
        assert int(file.metadata()["residues"]) > 100_000
        assert "training clusters" in file.metadata()["made_by"]
    assert stored_levels().shape == (72, 72)
    assert stored_levels().min() >= 0
    assert stored_levels().max() <= 1


def test_levels_are_periodic_and_continuous():
    grid = torch.linspace(-math.pi, math.pi, 289, dtype=torch.float64)
    levels = ramachandran_level(grid[:, None].expand(289, 289), grid.expand(289, 289))
    torch.testing.assert_close(levels[0], levels[-1])
    torch.testing.assert_close(levels[:, 0], levels[:, -1])
    # A quarter of a cell moves at most a quarter of what neighbouring cells differ by.
    table = stored_levels().double()
    steepest = max(float((table - table.roll(1, k)).abs().max()) for k in (0, 1))
    assert float(levels.diff(dim=0).abs().max()) <= steepest / 4 + 1e-9


def test_a_level_is_the_share_that_lies_in_denser_places():
    generator = torch.Generator().manual_seed(0)
    phi, psi = 0.4 * torch.randn(2, 20_000, generator=generator, dtype=torch.float64)
    levels = estimate_levels(phi, psi)
    for share in (0.5, 0.9):
        found = float((ramachandran_level(phi, psi, levels) <= share).double().mean())
        # A ring of cells of 5 degrees about the contour holds up to 6% of the points.
        assert abs(found - share) < 0.03
    # For a Gaussian the region is a disc, -2 ln(1 - share) standard deviations squared.
    radius = 0.4 * math.sqrt(-2 * math.log(0.5))
    inside = ramachandran_level(*torch.tensor([[0.8 * radius], [0.0]]).double(), levels)
    outside = ramachandran_level(*torch.tensor([[1.2 * radius], [0.0]]).double(), levels)
    assert inside < 0.5 < outside


def test_every_point_of_the_torus_is_equal():
    """Turning all data by whole cells turns the map."""
    generator = torch.Generator().manual_seed(1)
    phi, psi = 0.5 * torch.randn(2, 500, generator=generator, dtype=torch.float64)
    turn = 10 * 2 * math.pi / 72
    turned = estimate_levels(torch.remainder(phi + turn + math.pi, 2 * math.pi) - math.pi, psi)
    expected = estimate_levels(phi, psi).roll(10, 0)
    # Where the kernel has underflowed the order of cells is rounding's.
    told = expected < 0.99
    torch.testing.assert_close(turned[told], expected[told], atol=1e-3, rtol=0)


def test_mirrors_are_seen():
    angles = torch.tensor([-62.0, -42.0]).deg2rad()[:, None].expand(2, 20)
    helix = build_backbone(ideal_coordinates(*angles))
    right, wrong = backbone_torsions(helix), backbone_torsions(mirror_image(helix))
    assert float(favoured_share(right)) == 1
    assert (float(left_handed_share(right.phi)), float(left_handed_share(wrong.phi))) == (0, 1)


def test_refusals():
    with pytest.raises(ValueError, match="at least one, got"):
        estimate_levels(torch.zeros(0), torch.zeros(0))
