"""Mazes and rings that the project makes, and paths on them."""

import pytest
import torch

from geometry.mesh import Mesh
from geometry.mesh_spectrum import CommuteTime
from seqflow.points.distances import total_variation
from seqflow.points.paths import simulate_paths
from seqflow.points.surfaces import carve, format_off, maze, read_drawing, ring
from seqflow.points.synthetic import SURFACES

CORNER = "..#\n#..\n"


@pytest.mark.parametrize("seed", range(5))
def test_a_carved_maze_is_a_tree_of_rooms(seed):
    """Connected, with one passage fewer than rooms; the same seed draws it again."""
    drawing = carve(3, 4, seed)
    assert drawing == carve(3, 4, seed)
    assert drawing.count(".") == 2 * 3 * 4 - 1
    mesh = Mesh(*maze(drawing, pieces=1), num_eigenpairs=1)
    assert mesh.area == pytest.approx(23)
    assert mesh.spectrum[0][0] > 1e-6  # raises where there are two pieces


def test_drawings_without_floor_are_refused():
    with pytest.raises(ValueError, match="got walls"):
        read_drawing("##\n##")
    with pytest.raises(ValueError, match="at least one row"):
        carve(0, 2, 0)


def test_a_ring_is_closed_and_survives_its_file(tmp_path):
    from seqflow.points.mesh_files import read_mesh

    surface = ring(12, 8)
    assert (Mesh(*surface)._triangles.across.faces >= 0).all()
    (tmp_path / "ring.off").write_text(format_off(surface))
    vertices, faces = read_mesh(tmp_path / "ring.off")
    torch.testing.assert_close(vertices, surface[0], atol=1e-8, rtol=1e-8)
    assert torch.equal(faces, surface[1])


def test_paths_stay_on_the_floor_and_arrive():
    mesh = Mesh(*maze(CORNER, pieces=3), CommuteTime(), 30, 24)
    x_1 = torch.tensor([[0.5, 1.5, 0.0], [2.5, 0.5, 0.0]])
    states = simulate_paths(mesh, x_1, 64, seed=0)
    assert states["x_t"].shape == states["velocity"].shape == (64 * 24, 3)
    mesh.check_point(states["x_t"])
    last = states["t"] == 23 / 24
    assert last.sum() == 64
    # A step of 1/24 is left of a way of at most three sides.
    gap = (states["x_t"] - states["x_1"])[last].norm(dim=-1)
    assert gap.max() < 0.5
    again = simulate_paths(mesh, x_1, 64, seed=0)
    assert all(torch.equal(states[key], again[key]) for key in states)


def test_total_variation_is_zero_for_the_same_and_one_for_the_separate():
    mesh = Mesh(*maze(CORNER, pieces=3), CommuteTime(), 30)
    a, b = torch.tensor([[0.2, 1.8, 0.0]]), torch.tensor([[2.8, 0.2, 0.0]])
    assert total_variation(mesh, a, a) == 0
    assert total_variation(mesh, a, b) == 1


@pytest.mark.parametrize("name", SURFACES)
def test_synthetic_points_lie_on_their_surface(name):
    points, surface = SURFACES[name](50, torch.Generator().manual_seed(0))
    assert points.shape == (50, 3)
    Mesh(*surface).check_point(points)
