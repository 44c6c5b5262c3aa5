import pytest
import torch

from proteins.chain_builder import build_backbone, ideal_coordinates
from proteins.secondary_structure import (
    HELIX,
    LOOP,
    STRAND,
    secondary_structure,
    structure_fractions,
)


def chain(phi, psi, length):
    angles = torch.tensor([phi, psi]).deg2rad()[:, None].expand(2, length)
    return build_backbone(ideal_coordinates(*angles))


def sheet(strands=3, length=8):
    """Antiparallel straight strands 4.8 Angstrom apart: every other rung can bond twice."""
    strand = chain(-139.0, 135.0, length).double()
    strand = strand - strand[:, 1].mean(0)
    _, _, v = torch.linalg.svd(strand[:, 1])
    c_o = (strand[2, 3] - strand[2, 2]) @ v.T
    along = torch.nn.functional.normalize(torch.tensor([0.0, c_o[1], c_o[2]]).double(), dim=0)
    y = along @ v
    x = v[0]
    turn = -torch.eye(3).double() + 2 * torch.outer(z := torch.linalg.cross(x, y), z)
    return strand, x, y, turn


def test_a_helix_is_one_but_for_its_ends():
    found = secondary_structure(chain(-62.0, -42.0, 20))
    assert found[1:-1].eq(HELIX).all()
    assert found[[0, -1]].eq(LOOP).all()


def test_an_extended_chain_alone_is_loop():
    assert secondary_structure(chain(-139.0, 135.0, 20)).eq(LOOP).all()


def test_two_strands_find_each_other():
    """The second strand is put where the hydrogen bonds are, by trying places."""
    strand, x, y, turn = sheet()
    best = 0
    for shift in torch.arange(-4, 4, 0.25):
        for gap in (4.8, 5.2):
            other = strand @ turn.T + shift * x + gap * y
            linked = torch.ones(16, dtype=torch.bool)
            linked[7] = False
            found = secondary_structure(torch.cat([strand, other]), None, linked)
            best = max(best, int(found.eq(STRAND).sum()))
    assert best >= 6


def test_absent_residues_break_helices_and_are_loop():
    helix = chain(-62.0, -42.0, 24)
    mask = torch.ones(24, dtype=torch.bool)
    mask[12] = False
    found = secondary_structure(helix, mask)
    assert found[12] == LOOP
    assert found[2:7].eq(HELIX).all()
    assert found[18:22].eq(HELIX).all()


def test_a_batch_of_padded_chains_is_its_chains():
    helix = chain(-62.0, -42.0, 24)
    batch = helix.expand(3, 24, 4, 3)
    lengths = torch.tensor([24, 10, 3])
    mask = torch.arange(24) < lengths[:, None]
    found = secondary_structure(batch, mask)
    for row, length in zip(found, lengths.tolist(), strict=True):
        assert row[:length].tolist() == secondary_structure(helix[:length]).tolist()
        assert row[length:].eq(LOOP).all()
    fractions = structure_fractions(batch, mask)
    torch.testing.assert_close(fractions.sum(-1), torch.ones(3))
    assert float(fractions[0, HELIX]) == pytest.approx(22 / 24)


def test_leading_dimensions_are_kept():
    assert secondary_structure(torch.zeros(2, 3, 5, 4, 3)).shape == (2, 3, 5)
    assert secondary_structure(torch.zeros(0, 5, 4, 3)).shape == (0, 5)
    assert structure_fractions(torch.zeros(2, 0, 4, 3)).tolist() == [[0, 0, 0], [0, 0, 0]]
