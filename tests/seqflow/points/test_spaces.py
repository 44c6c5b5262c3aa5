import pytest
import torch

from seqflow.points.datasets import read_points, split_points
from seqflow.points.spaces import HyperbolicSpace, MeshSpace, SO3Space, SphereSpace, TorusSpace

OFF = """OFF
# a tetrahedron
4 4 6
0 0 0
1 0 0
0 1 0
0 0 1
3 0 2 1
3 0 1 3
3 0 3 2
3 1 2 3
"""


@pytest.fixture
def mesh_file(tmp_path):
    path = tmp_path / "one.off"
    path.write_text(OFF)
    return path


@pytest.fixture(params=["sphere", "torus", "radians", "so3", "vector", "ball", "lorentz", "mesh"])
def case(request, mesh_file):
    g = torch.Generator().manual_seed(0)
    u = torch.rand(20, 4, generator=g, dtype=torch.float64)
    ball = 0.6 * (u[:, :2] - 0.5)
    height = (1 + ball.square().sum(-1, keepdim=True)).sqrt()
    quaternion = torch.nn.functional.normalize(u, dim=-1)
    on_face = u[:, :3] / (2 * u[:, :3].sum(-1, keepdim=True)) * torch.tensor([1.0, 1.0, 0.0])
    return {
        "sphere": (SphereSpace(), 90 * (2 * u[:, :2] - 1)),
        "torus": (TorusSpace(dim=3), 180 * (2 * u[:, :3] - 1)),
        "radians": (TorusSpace(dim=3, degrees=False), 6.28 * u[:, :3]),
        "so3": (SO3Space(), quaternion),
        "vector": (SO3Space(form="rotation_vector"), u[:, :3]),
        "ball": (HyperbolicSpace(), ball),
        "lorentz": (HyperbolicSpace(form="lorentz"), torch.cat([height, ball], -1)),
        "mesh": (MeshSpace(path=mesh_file), on_face),
    }[request.param]


def test_rows_become_points_and_rows_again(case):
    space, numbers = case
    assert not space.fault(numbers)[0].any()
    assert numbers.shape[1] == len(space.names)
    points = space.to_points(numbers)
    space.manifold().check_point(points)
    # Rounding of float64 through a few trigonometric functions.
    torch.testing.assert_close(space.to_numbers(points), numbers, rtol=1e-9, atol=1e-9)


def test_poles_and_the_date_line_are_points():
    numbers = torch.tensor([[90.0, 0.0], [-90.0, 12.0], [0.0, 180.0], [0.0, -180.0]])
    x = SphereSpace().to_points(numbers.double())
    torch.testing.assert_close(x[2], x[3], atol=1e-12, rtol=0)
    back = SphereSpace().to_numbers(x)
    torch.testing.assert_close(back[:2, 0], numbers[:2, 0].double())


@pytest.mark.parametrize(
    ("space", "row", "message"),
    [
        (SphereSpace(), "95,10", "line 11: expected a latitude from -90 to 90"),
        (TorusSpace(), "10,400", "line 11: expected angles of at most 360"),
        (SO3Space(), "0,0,0,0", "line 11: expected a quaternion of positive length"),
        (HyperbolicSpace(), "1,1", "line 11: expected coordinates inside the unit ball"),
        (HyperbolicSpace(form="lorentz"), "1,1,1", "line 11: expected x_0 = sqrt"),
    ],
)
def test_rows_that_are_no_points_are_named(tmp_path, space, row, message):
    good = "1,0,0" if "lorentz" in str(space) else ",".join(["0.1"] * len(space.names))
    path = tmp_path / "points.csv"
    path.write_text("\n".join([good] * 10 + [row]))
    with pytest.raises(ValueError, match=message):
        read_points(path, space)


def test_points_far_from_the_surface_are_refused(mesh_file, tmp_path):
    path = tmp_path / "points.csv"
    path.write_text("0.1,0.1,0\n9,9,9\n")
    with pytest.raises(ValueError, match=r"line 2: expected a point within 0\.05 diameters"):
        read_points(path, MeshSpace(path=mesh_file))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (OFF.replace("3 0 2 1", "4 0 2 1 3"), "line 8: expected a triangle, got 4 corners"),
        (OFF.replace("0 1 0", "0 one 0"), "line 6: expected 3 numbers"),
        ("\n".join(OFF.split("\n")[:6]), "cut short"),
    ],
)
def test_faults_of_a_mesh_file_are_named(tmp_path, text, message):
    path = tmp_path / "bad.off"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        MeshSpace(path=path).manifold()


def test_duplicates_go_before_the_split(tmp_path):
    path = tmp_path / "points.csv"
    path.write_text("\n".join(f"{i % 20},{i % 20}" for i in range(60)))
    assert len(read_points(path, SphereSpace()).points) == 60
    read = read_points(path, SphereSpace(), deduplicate=True)
    assert (len(read.points), read.num_rows) == (20, 60)


def test_a_split_is_a_partition_that_belongs_to_its_seed():
    x = torch.arange(103.0).unsqueeze(1)
    one, again, other = (split_points(x, seed) for seed in (0, 0, 1))
    assert [len(part) for part in vars(one).values()] == [82, 10, 11]
    assert torch.cat(list(vars(one).values())).sort(0).values.equal(x)
    assert one.test.equal(again.test)
    assert not one.test.equal(other.test[: len(one.test)])
    with pytest.raises(ValueError, match="at least 10 points"):
        split_points(x[:9], 0)
