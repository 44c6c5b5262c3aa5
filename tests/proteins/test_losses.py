"""Losses of frames: zero at the truth, the same for both signs, finite everywhere."""

import math

import pytest
import torch

from geometry import SO3
from geometry.quaternions import quaternion_multiply, quaternion_rotate
from proteins.frames import frames_to_backbone
from proteins.losses import (
    BackboneLoss,
    Frames,
    Residues,
    Target,
    geodesic_error,
    log_error,
)

L = 9
ERRORS = [geodesic_error, log_error]
TERMS = ["translation", "rotation", "atoms", "distances", "links"]
T = torch.tensor([0.3, 0.6, 0.95])


def frames(num=3, seed=0, dtype=torch.float32, scale=10.0):
    generator = torch.Generator().manual_seed(seed)
    q = SO3().random_uniform(num, L, generator=generator, dtype=dtype)
    x = torch.randn(num, L, 3, generator=generator, dtype=dtype)
    return Frames(q, scale * x)


def target(seed=0, dtype=torch.float32):
    one = frames(seed=seed, dtype=dtype)
    return Target(*one, frames_to_backbone(*one))


def everyone(num=3):
    mask = torch.ones(num, L, dtype=torch.bool)
    return Residues(mask, mask.clone())


@pytest.mark.parametrize("error", ERRORS)
def test_zero_at_the_truth_and_only_there(error):
    loss, truth, state = BackboneLoss(rotation_error=error), target(), frames(seed=1)
    assert (loss(frames(), truth, state, everyone(), T) < 1e-8).all()
    wrong = loss.terms(frames(seed=2), truth, state, everyone(), T)
    assert sorted(wrong) == sorted(TERMS)
    assert all((value > 0.01).all() for value in wrong.values())


@pytest.mark.parametrize("name", TERMS)
def test_every_term_has_its_weight(name):
    arguments = frames(seed=2), target(), frames(seed=1), everyone(), T
    none = dict.fromkeys(TERMS, 0.0)
    alone = BackboneLoss(**none | {name: 3.0})
    torch.testing.assert_close(alone(*arguments), 3 * alone.terms(*arguments)[name])
    assert not BackboneLoss(**none)(*arguments).any()


@pytest.mark.parametrize("error", ERRORS)
def test_signs_do_not_matter(error):
    loss = BackboneLoss(rotation_error=error)
    given = [frames(seed=2), target(), frames(seed=1)]
    plain = loss(*given, everyone(), T)
    for i, one in enumerate(given):
        flipped = [*given[:i], one._replace(rotation=-one.rotation), *given[i + 1 :]]
        torch.testing.assert_close(loss(*flipped, everyone(), T), plain)


@pytest.mark.parametrize("error", ERRORS)
def test_rigid_motions_do_not_matter(error):
    loss, (g, shift) = BackboneLoss(rotation_error=error), (frames(1, 5)[0][0, 0], 7.0)

    def moved(one):
        there = {
            name: quaternion_rotate(g, x) + shift
            for name, x in one._asdict().items()
            if name != "rotation"
        }
        return one._replace(rotation=quaternion_multiply(g, one.rotation), **there)

    given = [frames(seed=2), target(), frames(seed=1)]
    plain = loss(*given, everyone(), T)
    # Coordinates of 30 A in float32, squared: 1e-6 relative, and some.
    torch.testing.assert_close(
        loss(*map(moved, given), everyone(), T), plain, rtol=1e-5, atol=1e-5
    )


def test_padding_does_not_matter():
    loss, given = BackboneLoss(), [frames(seed=2), target(), frames(seed=1)]
    inside = torch.arange(L) < 6
    mask = inside.expand(3, L)
    residues = Residues(mask, (torch.arange(L) < 5).expand(3, L))
    cut = [type(one)(*(x[:, :6] for x in one)) for one in given]
    short = Residues(mask[:, :6], residues.linked[:, :6])
    torch.testing.assert_close(loss(*given, residues, T), loss(*cut, short, T))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("angle", [0.0, 1e-4, 1.0, math.pi - 1e-4, math.pi])
@pytest.mark.parametrize("error", ERRORS)
def test_gradients_are_finite_at_any_angle(error, angle, dtype):
    truth = target(dtype=dtype)
    axis = torch.tensor([0.0, 0.0, angle], dtype=dtype)
    q = SO3().expmap(truth.rotation, axis).requires_grad_()
    x = truth.translation.clone().requires_grad_()
    for state in (frames(dtype=dtype), frames(seed=1, dtype=dtype)):
        value = BackboneLoss(rotation_error=error)(
            Frames(q, x), truth, state, everyone(), T.to(dtype)
        )
        gradients = torch.autograd.grad(value.sum(), (q, x))
        assert value.isfinite().all()
        assert value.dtype == dtype
        assert all(g.isfinite().all() for g in gradients)


def test_the_geodesic_error_is_the_angle():
    truth, axis = frames(), torch.tensor([0.0, 0.3, 0.4])
    turned = SO3().expmap(truth.rotation, axis)
    error = geodesic_error(turned, truth.rotation, turned)
    torch.testing.assert_close(error, axis.expand(3, L, 3), rtol=1e-5, atol=1e-6)


def test_coincident_atoms_and_empty_chains_are_finite():
    """All residues in one place, one residue, none."""
    mask = torch.arange(L) < torch.tensor([L, 1, 0])[:, None]
    linked = torch.arange(L) < torch.tensor([L - 1, 0, 0])[:, None]
    one_place = Frames(torch.eye(4)[0].expand(3, L, 4), torch.zeros(3, L, 3))
    x = torch.zeros(3, L, 3, requires_grad=True)
    value = BackboneLoss()(
        Frames(one_place.rotation, x), target(), one_place, Residues(mask, linked), T
    )
    (gradient,) = torch.autograd.grad(value.sum(), x)
    assert value.isfinite().all()
    assert gradient.isfinite().all()
    assert value[2] == 0
    assert not gradient[2].any()


def test_large_errors_keep_a_gradient():
    """The published min(5, .) has none where the loss is above 5."""
    x = (500 + frames().translation).requires_grad_()
    terms = BackboneLoss().terms(Frames(frames().rotation, x), target(), frames(), everyone(), T)
    (gradient,) = torch.autograd.grad(terms["translation"].sum(), x)
    assert (terms["translation"] > 5).all()
    assert (gradient > 0).all()


def test_late_terms_wait():
    early = BackboneLoss(late=0.5).terms(frames(seed=2), target(), frames(), everyone(), T)
    assert early["atoms"][0] == 0
    assert (early["atoms"][1:] > 0).all()
    assert (early["translation"] > 0).all()
