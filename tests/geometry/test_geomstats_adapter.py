"""geomstats behind our interface, and its side effects kept there."""

import os
import subprocess
import sys

import pytest
import torch

from geometry.geomstats_adapter import GeomstatsManifold, geomstats_module
from geometry.sphere import Sphere


def fresh(code, **environment):
    """Run code in a new interpreter: geomstats chooses its backend once for a process."""
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def hypersphere():
    module = geomstats_module("geomstats.geometry.hypersphere")
    return GeomstatsManifold.build(module.Hypersphere, 2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_agrees_with_our_sphere(hypersphere, dtype):
    m, ours = hypersphere, Sphere(2)
    generator = torch.Generator().manual_seed(0)
    x = m.random_uniform(4, 1, generator=generator, dtype=dtype)
    y = m.random_uniform(3, generator=generator, dtype=dtype)
    t = torch.rand(3, generator=generator, dtype=dtype)
    u, v = ours.logmap(x, y), ours.logmap(x, y.roll(1, 0))
    pairs = [
        (m.logmap(x, y), u),
        (m.expmap(x, v), ours.expmap(x, v)),
        (m.dist(x, y), ours.dist(x, y)),
        (m.inner(x, u, v), ours.inner(x, u, v)),
        (m.transp(x, y, v), ours.transp(x, y, v)),
        (m.projx(2 * x), ours.projx(2 * x)),
        (m.proju(x, y), ours.proju(x, y)),
        *zip(m.interpolant(x, y, t), ours.interpolant(x, y, t), strict=True),
    ]
    # geomstats takes arc cosines: eps/theta for separations down to 0.1.
    for theirs, wanted in pairs:
        assert theirs.dtype == dtype
        assert theirs.shape == wanted.shape
        assert torch.allclose(theirs, wanted, rtol=0, atol=100 * torch.finfo(dtype).eps)
    m.check_point(x)
    m.check_tangent(x, m.logmap(x, y[:1]))
    assert torch.get_default_dtype() == torch.float32


def test_batches(hypersphere):
    x = torch.eye(3)[0]
    assert hypersphere.dist(x, torch.eye(3)[1]).shape == ()
    assert hypersphere.expmap(x.expand(0, 3), x.expand(0, 3)).shape == (0, 3)
    assert hypersphere.random_uniform().shape == (3,)
    assert hypersphere.random_uniform(1, dtype=torch.float64).shape == (1, 3)
    assert hypersphere.random_uniform(0).shape == (0, 3)


def test_generators_are_obeyed_and_the_global_one_left_alone(hypersphere):
    before = torch.get_rng_state()
    a, b = (
        hypersphere.random_uniform(5, generator=torch.Generator().manual_seed(1)) for _ in "ab"
    )
    assert torch.equal(a, b)
    assert torch.equal(torch.get_rng_state(), before)


def test_normal_is_isotropic(hypersphere):
    """Deviation 0.01 across, 0 along x: z of the variance of 2000 below 4.5."""
    x = torch.tensor([0.0, 0.6, 0.8], dtype=torch.float64).expand(2000, 3)
    y = hypersphere.random_normal(x, 0.01, torch.Generator().manual_seed(2))
    u = hypersphere.logmap(x, y)
    across = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.8, -0.6]], dtype=torch.float64)
    z = ((u @ across.mT).square().mean(0) / 1e-4 - 1) / (2 / 2000) ** 0.5
    assert z.abs().max() < 4.5


def test_velocity_without_closed_transport():
    """The half-plane's exp is known, transport is not: the speed is still the distance."""
    module = geomstats_module("geomstats.geometry.poincare_half_space")
    m = GeomstatsManifold.build(module.PoincareHalfSpace, 2)
    x, y = torch.tensor([[0.0, 1.0], [1.0, 2.0]], dtype=torch.float64)
    x_t, u_t = m.interpolant(x, y, torch.tensor(0.4, dtype=torch.float64))
    assert abs(m.norm(x_t, u_t) - m.dist(x, y)) < 1e-9


def test_gradients_flow(hypersphere):
    x, y = torch.eye(3)[:2]
    x = x.clone().requires_grad_()
    (grad,) = torch.autograd.grad(hypersphere.dist(x, y), x)
    assert grad.isfinite().all()


def test_what_is_missing_says_so(hypersphere):
    with pytest.raises(ValueError, match=r"known, finite volume.*Hypersphere"):
        hypersphere.log_uniform()
    with pytest.raises(ValueError, match="on the CPU, got meta"):
        hypersphere.dist(torch.eye(3, device="meta")[0], torch.eye(3, device="meta")[1])
    with pytest.raises(ValueError, match="on the CPU, got meta"):
        hypersphere.random_uniform(2, device="meta")
    with pytest.raises(ValueError, match=r"belongs\(x\).*index \(1,\)"):
        hypersphere.check_point(torch.tensor([[1.0, 0.0, 0.0], [2.0, 0.0, 0.0]]))
    with pytest.raises(ValueError, match="to_tangent"):
        hypersphere.check_tangent(torch.eye(3)[0], torch.eye(3)[0])
    with pytest.raises(ValueError, match="space with a metric, got int"):
        GeomstatsManifold(3)
    module = geomstats_module("geomstats.geometry.poincare_half_space")
    plane = GeomstatsManifold.build(module.PoincareHalfSpace, 2)
    with pytest.raises(ValueError, match="finite volume"):
        plane.random_uniform(2)
    with pytest.raises(ValueError, match="parallel_transport on"):
        plane.transp(*torch.tensor([[0.0, 1.0], [1.0, 1.0], [1.0, 0.0]]))


SIDE_EFFECTS = """
import os, torch
from geometry.geomstats_adapter import geomstats_module, GeomstatsManifold
before = dict(os.environ)
module = geomstats_module("geomstats.geometry.hypersphere")
m = GeomstatsManifold.build(module.Hypersphere, 2)
m.dist(*torch.eye(3)[:2])
assert torch.get_default_dtype() == torch.float32
assert dict(os.environ) == before
"""


def test_the_process_is_left_as_it_was():
    done = fresh(SIDE_EFFECTS, GEOMSTATS_BACKEND="numpy")
    assert done.returncode == 0, done.stderr


def test_another_backend_is_refused():
    code = (
        "import geomstats.backend\nfrom geometry.geomstats_adapter import geomstats_module\n"
        "geomstats_module('geomstats.geometry.hypersphere')"
    )
    done = fresh(code, GEOMSTATS_BACKEND="numpy")
    assert (
        "ValueError: expected geomstats on its pytorch backend, got geomstats.numpy" in done.stderr
    )


def test_a_numpy_without_trapz_is_refused(monkeypatch):
    import numpy

    monkeypatch.delattr(numpy, "trapz")
    with pytest.raises(ImportError, match=r"numpy < 2\.4.*pip install 'numpy<2\.4'"):
        geomstats_module("geomstats.geometry.hypersphere")


def test_a_missing_geomstats_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "geomstats", None)
    with pytest.raises(ImportError, match=r"pip install 'seqflow\[geometry\]'"):
        geomstats_module("geomstats.geometry.hypersphere")
