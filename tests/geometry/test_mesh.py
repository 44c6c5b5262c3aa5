"""Triangle meshes: a flat square where all is exact, and a sphere where it is nearly so."""

import math

import pytest
import torch

from geometry.mesh import Mesh
from geometry.mesh_search import FaceFinder, closest, nearest_face, squared_gaps
from geometry.mesh_spectrum import Biharmonic, CommuteTime, Diffusion, eigenpairs
from geometry.mesh_topology import adjacency

DOUBLE = torch.float64


def square(n, height=0.0):
    """The unit square as 2 n^2 triangles, folded along the line y = x if ``height`` is not 0."""
    side = torch.linspace(0, 1, n + 1, dtype=DOUBLE)
    x, y = (part.reshape(-1) for part in torch.meshgrid(side, side, indexing="ij"))
    vertices = torch.stack([x, y, height * (x - y).clamp_min(0)], -1)
    i, j = (part.reshape(-1) for part in torch.meshgrid(*[torch.arange(n)] * 2, indexing="ij"))
    a = i * (n + 1) + j
    b, c, d = a + n + 1, a + n + 2, a + 1
    return vertices, torch.cat([torch.stack([a, b, c], -1), torch.stack([a, c, d], -1)])


def octahedron():
    axes = torch.eye(3, dtype=DOUBLE)
    vertices = torch.stack([s * axes[k] for k in range(3) for s in (1, -1)])
    faces = [[a, b, c] for a in (0, 1) for b in (2, 3) for c in (4, 5)]
    return vertices, torch.tensor(faces)


def sphere(level):
    """The octahedron, each face split into four and pushed out to the unit sphere, repeatedly."""
    vertices, faces = octahedron()
    for _ in range(level):
        a, b, c = vertices[faces].unbind(1)
        x, y, z = a + b, b + c, c + a
        parts = ((a, x, z), (b, y, x), (c, z, y), (x, y, z))
        corners = torch.cat([torch.stack(part, 1) for part in parts])
        corners = corners / corners.norm(dim=-1, keepdim=True)
        # Equal points are equal to rounding: both come from the same two ends.
        keys = (corners.reshape(-1, 3) * 1e9).round()
        _, inverse = keys.unique(dim=0, return_inverse=True)
        vertices = corners.new_zeros(int(inverse.max()) + 1, 3)
        vertices[inverse] = corners.reshape(-1, 3)
        faces = inverse.reshape(-1, 3)
    return vertices, faces


@pytest.fixture(scope="module")
def flat():
    return Mesh(*square(6), num_eigenpairs=20, num_steps=32)


@pytest.fixture(scope="module")
def ball():
    return Mesh(*sphere(3), num_eigenpairs=24, num_steps=32)


def generator(seed):
    return torch.Generator().manual_seed(seed)


def test_walking_a_plane_is_adding(flat):
    """Over many edges, and through vertices: the points (i/6, j/6) are vertices."""
    ends = torch.rand(2, 64, 3, generator=generator(0), dtype=DOUBLE)
    ends[..., 2] = 0
    ends[:, :8] = (ends[:, :8] * 6).round() / 6
    x, y = ends
    assert torch.allclose(flat.expmap(x, y - x), y, rtol=0, atol=1e-13)


def test_walking_a_fold_is_unfolding():
    """A square folded along its diagonal: the walk is straight after the fold is opened."""
    height = 1.3
    mesh = Mesh(*square(4, height))
    x = torch.tensor([[0.2, 0.7, 0.0], [0.35, 0.5, 0.0]], dtype=DOUBLE)
    u = torch.tensor([[0.5, -0.2, 0.0], [0.3, -0.4, 0.0]], dtype=DOUBLE)
    found = mesh.expmap(x, u)
    # In the frame (along, across) the diagonal, what lies across is stretched beyond the fold.
    stretch = math.sqrt(1 + 2 * height**2)
    along, across = (torch.tensor(v, dtype=DOUBLE) / math.sqrt(2) for v in ((1, 1), (1, -1)))
    end = (x + u)[:, :2]
    depth = (end @ across) / stretch
    plane = (end @ along).unsqueeze(-1) * along + depth.unsqueeze(-1) * across
    height_there = (height * (plane[:, 0] - plane[:, 1])).unsqueeze(-1)
    assert torch.allclose(found, torch.cat([plane, height_there], -1), rtol=0, atol=1e-13)


def test_walks_conserve_length_and_can_be_walked_back(ball):
    from geometry.mesh_walk import walk

    x = ball.random_uniform(64, generator=generator(1), dtype=DOUBLE)
    u = ball.proju(x, torch.randn(64, 3, generator=generator(2), dtype=DOUBLE))
    tri = ball._triangles
    face = nearest_face(tri, x)
    there, y, v = walk(tri, face, x, u, 100)
    assert torch.allclose(v.norm(dim=-1), u.norm(dim=-1), rtol=1e-13, atol=0)
    assert (v * tri.normals[there]).sum(-1).abs().max() < 1e-13 * u.norm(dim=-1).max()
    ball.check_point(y)
    _, back, _ = walk(tri, there, y, -v, 100)
    # Each of up to 60 crossings turns by rounding, amplified by the curvature of the sphere.
    assert torch.allclose(back, x, rtol=0, atol=1e-11)


def test_walks_on_a_sphere_are_nearly_great_circles(ball):
    """Of length 1; edges are 0.2 long, so faces miss the sphere and angles by 0.2^2/4 or so."""
    x = ball.random_uniform(32, generator=generator(3), dtype=DOUBLE)
    u = ball.proju(x, torch.randn(32, 3, generator=generator(4), dtype=DOUBLE))
    u = u / u.norm(dim=-1, keepdim=True)
    y = ball.expmap(x, u)
    angle = torch.atan2(torch.linalg.cross(x, y).norm(dim=-1), (x * y).sum(-1))
    assert (angle - 1).abs().max() < 0.05


def test_walks_stop_at_the_boundary(flat):
    x, u = (
        torch.tensor([[0.5, 0.4, 0.0]], dtype=DOUBLE),
        torch.tensor([[2.0, 0.0, 0.0]], dtype=DOUBLE),
    )
    assert torch.allclose(flat.expmap(x, u), torch.tensor([[1.0, 0.4, 0.0]], dtype=DOUBLE))


def test_projection_is_the_nearest_point(flat):
    x = torch.tensor([[0.3, 0.6, 0.5], [1.5, 0.5, 0.2], [-1.0, -1.0, 1.0]], dtype=DOUBLE)
    wanted = torch.tensor([[0.3, 0.6, 0.0], [1.0, 0.5, 0.0], [0.0, 0.0, 0.0]], dtype=DOUBLE)
    assert torch.allclose(flat.projx(x), wanted, rtol=0, atol=1e-15)
    near = x.clone().requires_grad_()
    flat.projx(near).sum().backward()
    assert torch.equal(near.grad[0], torch.tensor([1.0, 1.0, 0.0], dtype=DOUBLE))
    faces = nearest_face(flat._triangles, x)
    assert torch.equal(nearest_face(flat._triangles, x, budget=1), faces)


def test_slanting_walks_slide_along_the_boundary_and_into_corners(flat):
    """Ahead the wall takes all; along it nothing is lost, but in the corner."""
    x = torch.tensor([[0.9, 0.4, 0.0], [1.0, 0.4, 0.0], [0.9, 0.4, 0.0]], dtype=DOUBLE)
    u = torch.tensor([[0.5, 0.3, 0.0], [0.1, -0.3, 0.0], [0.3, 9.0, 0.0]], dtype=DOUBLE)
    wanted = torch.tensor([[1.0, 0.7, 0.0], [1.0, 0.1, 0.0], [1.0, 1.0, 0.0]], dtype=DOUBLE)
    assert torch.allclose(flat.expmap(x, u)[:2], wanted[:2], rtol=0, atol=1e-12)
    end = flat.expmap(x, u)[2]
    assert end[1] == 1.0
    assert 0.9 < end[0] <= 1.0


def test_the_finder_finds_what_comparison_with_all_faces_finds(ball):
    """Also on a mesh of very unequal faces, where a large one has many small neighbours."""
    vertices, faces = square(12)
    uneven = Mesh(vertices**4, faces)
    for mesh in (ball, uneven):
        x = mesh.random_uniform(512, generator=generator(9), dtype=DOUBLE)
        finder = FaceFinder.of(mesh._triangles)
        assert 3 < finder.num_candidates <= len(mesh.faces)
        assert torch.equal(finder(mesh._triangles, x), nearest_face(mesh._triangles, x))
        assert torch.equal(finder(mesh._triangles, x, budget=1), finder(mesh._triangles, x))


def test_nearest_faces_off_the_surface_have_the_nearest_points(ball):
    x = torch.randn(64, 3, generator=generator(1), dtype=DOUBLE)
    tri = ball._triangles
    points = closest(tri.corners, tri.slopes, x.unsqueeze(1))
    gaps = (x.unsqueeze(1) - points).square().sum(-1)
    assert torch.allclose(squared_gaps(tri, x), gaps, rtol=0, atol=1e-13)


def test_a_trajectory_falls_linearly_too(ball):
    x, y = (ball.random_uniform(4, generator=generator(s), dtype=DOUBLE) for s in (6, 7))
    points, velocities = ball.trajectory(x, y)
    assert points.shape == velocities.shape == (32, 4, 3)
    assert torch.equal(points[0], x)
    left = 1 - torch.arange(32, dtype=DOUBLE).unsqueeze(1) / 32
    total = ball.dist(x, y)
    # Where the gradient nearly vanishes, far from the end, a step overshoots, and the next ones
    # make up for it. Of the last one a part of its length 1/32 is missing.
    assert (ball.dist(points, y) - left * total)[16:].abs().max() < total.max() / 32
    assert torch.equal(velocities[0], ball.interpolant(x, y, torch.zeros(4))[1])


def test_uniform_points_fill_faces_by_area():
    """Chi-square of the counts of 8000 points in 32 stretched faces; z of it below 4.5."""
    vertices, faces = square(4)
    mesh = Mesh(vertices * torch.tensor([1.0, 3.0, 1.0]) ** 2 + vertices**2, faces)
    x = mesh.random_uniform(8000, generator=generator(5), dtype=DOUBLE)
    counts = torch.bincount(nearest_face(mesh._triangles, x), minlength=len(faces))
    areas = mesh._triangles.areas
    expected = 8000 * areas / areas.sum()
    chi2 = ((counts - expected) ** 2 / expected).sum()
    freedom = len(faces) - 1
    assert abs(chi2 - freedom) < 4.5 * math.sqrt(2 * freedom)
    assert mesh.log_uniform() == -math.log(mesh.area)


def test_eigenvalues_of_the_sphere_are_l_times_l_plus_one(ball):
    """Within h^2 lambda/4 of l(l + 1) for edges of h = 0.2: linear elements are of order 2."""
    values = ball.spectrum[0]
    wanted = torch.cat([torch.full((2 * k + 1,), float(k * (k + 1))) for k in (1, 2, 3, 4)])
    assert ((values / wanted) - 1).abs().max() < 0.01 * wanted.max()
    assert (values[:3] - 2).abs().max() < 0.02


def test_lanczos_agrees_with_the_dense_solver():
    vertices, faces = square(22)  # 529 vertices: beyond the limit of the dense solver
    values, functions = eigenpairs(vertices, faces, 5)
    pi2 = math.pi**2
    # Neumann eigenvalues pi^2 (a^2 + b^2) of the square, lambda h^2/12 too low: 0.1 % here.
    wanted = torch.tensor([1.0, 1.0, 2.0, 4.0, 4.0], dtype=DOUBLE) * pi2
    assert torch.allclose(values, wanted, rtol=0.01)
    assert functions.shape == (529, 5)


@pytest.mark.parametrize("premetric", [Biharmonic(), CommuteTime(), Diffusion(0.1)], ids=str)
def test_premetric_laws(premetric):
    mesh = Mesh(*square(4), premetric=premetric)
    x, y, z = (mesh.random_uniform(32, generator=generator(s), dtype=DOUBLE) for s in (1, 2, 3))
    assert torch.equal(mesh.dist(x, y), mesh.dist(y, x))
    assert (mesh.dist(x, x) == 0).all()
    assert (mesh.dist(x, z) <= mesh.dist(x, y) + mesh.dist(y, z) + 1e-14).all()


def test_interpolant_falls_linearly(ball):
    x, y = (ball.random_uniform(16, generator=generator(s), dtype=DOUBLE) for s in (6, 7))
    t = torch.rand(16, generator=generator(8), dtype=DOUBLE)
    x_t, u_t = ball.interpolant(x, y, t)
    total = ball.dist(x, y)
    ball.check_point(x_t)
    # One step is 1/32; what it misses is second order in it.
    assert (ball.dist(x_t, y) - (1 - t) * total).abs().max() < 4 / 32**2 * total.max()
    assert torch.equal(ball.geodesic(x, y, 0 * t), x)
    # The field falls at the rate due: <grad d, u> = -d(x0, x1), by a short walk along it.
    h = 1e-6
    fall = (ball.dist(ball.expmap(x_t, h * u_t), y) - ball.dist(x_t, y)) / h
    assert (fall / total + 1).abs().median() < 1e-4


def test_gradients_and_dtypes(flat):
    x = flat.random_uniform(3, generator=generator(1))
    assert x.dtype == torch.float32
    y = flat.random_uniform(3, generator=generator(2)).requires_grad_()
    a = x.clone().requires_grad_()
    t = torch.full((3,), 0.5)
    for end in (y, a):
        x_t, u_t = flat.interpolant(a, end, t)
        assert x_t.dtype == u_t.dtype == torch.float32
        total = x_t.sum() + u_t.sum() + flat.dist(a, end).sum() + flat.expmap(a, y - y).sum()
        grads = torch.autograd.grad(total, (a, y), allow_unused=True)
        assert all(grad is None or grad.isfinite().all() for grad in grads)


def test_shapes_broadcast_and_vmap(flat):
    x = flat.random_uniform(2, 1, generator=generator(1))
    y = flat.random_uniform(3, generator=generator(2))
    x_t, u_t = flat.interpolant(x, y, torch.tensor(0.3))
    assert x_t.shape == u_t.shape == (2, 3, 3)
    assert flat.dist(x, y).shape == (2, 3)
    assert flat.projx(y[:0]).shape == (0, 3)
    by_map = torch.func.vmap(flat.dist, (0, None))(x[:, 0], y[0])
    assert torch.allclose(by_map, flat.dist(x[:, 0], y[0]))


def test_equal_content_is_equal(tmp_path):
    vertices, faces = octahedron()
    lines = [f"v {x} {y} {z}" for x, y, z in vertices.tolist()]
    lines += [f"f {a + 1}/1 {b + 1}/1 {c - 6}" for a, b, c in faces.tolist()]
    path = tmp_path / "octahedron.obj"
    path.write_text("# made here\n" + "\n".join(lines))
    mesh = Mesh.from_obj(path)
    assert mesh == Mesh(vertices, faces)
    assert hash(mesh) == hash(Mesh(vertices, faces))
    assert mesh != Mesh(2 * vertices, faces)
    assert repr(mesh) == "Mesh(6 vertices, 8 faces)"
    path.write_text("v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nf 1 2 3 4\n")
    with pytest.raises(ValueError, match="4 corners on line 5; triangulate"):
        Mesh.from_obj(path)


def test_every_edge_of_a_closed_surface_is_paired():
    across = adjacency(octahedron()[1])
    assert (across.faces >= 0).all()
    faces = torch.arange(8).unsqueeze(-1).expand(8, 3)
    assert torch.equal(across.faces[across.faces, across.edges], faces)


def broken(change):
    vertices, faces = octahedron()
    return change(vertices.clone(), faces.clone())


BROKEN = [
    (lambda v, f: (v, f.int()), "int64"),
    (lambda v, f: (v[:, :2], f), r"\(V, 3\), got torch.float64 \(6, 2\)"),
    (lambda v, f: (v.index_fill(0, torch.tensor(2), torch.nan), f), "vertex 2 not finite"),
    (lambda v, f: (v, f + 1), r"vertices 0 to 5, got face 1 = \[1, 3, 6\]"),
    (lambda v, f: (torch.cat([v, v[:1]]), f), "vertex 6 unreferenced"),
    (lambda v, f: (v, torch.cat([f, f[3:4]])), r"once, got face 3 = \[0, 3, 5\] again"),
    (lambda v, f: (v, torch.cat([f, torch.tensor([[0, 0, 2]])])), "face 8.*of area 0"),
    (lambda v, f: (v, torch.cat([f, torch.tensor([[0, 2, 3]])])), r"edge \[0, 2\] of 3"),
]


@pytest.mark.parametrize(("change", "message"), BROKEN, ids=lambda value: str(value)[:24])
def test_broken_meshes_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        Mesh(*broken(change))


def test_bad_points_are_named(flat):
    with pytest.raises(ValueError, match=r"Mesh\(49 vertices.*index \(1,\); project with projx"):
        flat.check_point(torch.tensor([[0.5, 0.5, 0.0], [0.5, 0.5, 0.1]]))
    with pytest.raises(ValueError, match="proju"):
        flat.check_tangent(torch.tensor([0.5, 0.5, 0.0]), torch.tensor([0.0, 0.0, 1.0]))
    with pytest.raises(ValueError, match=r"logarithm.*use interpolant"):
        flat.logmap(torch.zeros(3), torch.zeros(3))
    vertices, faces = octahedron()
    both = Mesh(torch.cat([vertices, vertices + 3]), torch.cat([faces, faces + 6]))
    with pytest.raises(ValueError, match="2 pieces: vertices 0 and 6"):
        both.dist(vertices[0], vertices[1])
    with pytest.raises(ValueError, match="tau > 0"):
        Diffusion(0.0)
