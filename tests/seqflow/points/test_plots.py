import pytest
import torch

from geometry.lorentz import Lorentz
from geometry.mesh import Mesh
from geometry.rotations import SO3
from geometry.sphere import Sphere
from geometry.torus import FlatTorus
from seqflow.points.pictures import draw
from seqflow.points.plots import plot_angles, plot_globe

VERTICES = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
FACES = torch.tensor([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])


@pytest.mark.parametrize(
    "manifold",
    [Sphere(2), Sphere(3), FlatTorus(1), FlatTorus(2), FlatTorus(7), SO3(), Mesh(VERTICES, FACES)],
    ids=repr,
)
def test_every_manifold_has_a_picture(manifold, tmp_path):
    x = manifold.random_uniform(40, generator=torch.Generator().manual_seed(0))
    draw(manifold, tmp_path / "picture.png", {"data": x, "samples": x})
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")


def test_hyperbolic_points_are_drawn_in_the_ball(tmp_path):
    x = Lorentz(2).projx(torch.randn(20, 3, generator=torch.Generator().manual_seed(0)))
    draw(Lorentz(2), tmp_path / "picture.png", {"data": x})
    assert (tmp_path / "picture.png").stat().st_size > 1000


@pytest.mark.parametrize(
    ("plot", "manifold"), [(plot_globe, Sphere(2)), (plot_angles, FlatTorus(2))]
)
def test_a_density_is_asked_for_points_of_the_manifold(plot, manifold, tmp_path):
    asked = []

    def density(x):
        manifold.check_point(x)
        asked.append(len(x))
        return x[:, 0]

    x = manifold.random_uniform(9, generator=torch.Generator().manual_seed(0))
    plot(tmp_path / "a.png", {"a": x}, density, columns=12)
    assert sum(asked) in (12 * 6, 12 * 12)


def test_no_panel_and_odd_suffixes_are_refused(tmp_path):
    with pytest.raises(ValueError, match="expected points to draw"):
        plot_globe(tmp_path / "a.png", {})
    x = Sphere(2).random_uniform(3, generator=torch.Generator().manual_seed(0))
    with pytest.raises(ValueError, match="cannot write"):
        plot_globe(tmp_path / "a.odd", {"a": x})
