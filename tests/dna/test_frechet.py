import numpy as np
import pytest
import scipy.linalg
import torch

from dna.frechet import Gaussian, expected_floor, fit_gaussian, frechet_distance, split_floor


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


def covariance(dim, seed):
    a = normal(dim, 2 * dim, seed=seed)
    return a @ a.T / dim


def test_moments():
    x = normal(50, 3).float()
    fitted = fit_gaussian(x)
    assert fitted.mean.dtype == fitted.covariance.dtype == torch.float64
    np.testing.assert_allclose(fitted.covariance, np.cov(x.double().numpy().T), rtol=1e-12)
    assert fit_gaussian(x[:, :1]).covariance.shape == (1, 1)


def test_closed_form_of_commuting_covariances():
    a, b = normal(5, seed=1).square(), normal(5, seed=2).square()
    shift = normal(5, seed=3)
    q = torch.linalg.qr(normal(5, 5, seed=4)).Q
    first = Gaussian(torch.zeros_like(shift), q @ a.diag() @ q.T, 9)
    second = Gaussian(shift, q @ b.diag() @ q.T, 9)
    expected = shift.square().sum() + (a.sqrt() - b.sqrt()).square().sum()
    assert frechet_distance(first, second) == pytest.approx(float(expected), rel=1e-12)


def test_general_covariances_against_a_matrix_root():
    first = Gaussian(normal(6, seed=1), covariance(6, 2), 9)
    second = Gaussian(normal(6, seed=3), covariance(6, 4), 9)
    root = scipy.linalg.sqrtm((first.covariance @ second.covariance).numpy()).real
    expected = (first.mean - second.mean).square().sum() + float(
        first.covariance.trace() + second.covariance.trace() - 2 * np.trace(root)
    )
    assert frechet_distance(first, second) == pytest.approx(float(expected), rel=1e-9)
    assert frechet_distance(second, first) == pytest.approx(float(expected), rel=1e-9)


@pytest.mark.parametrize("num", [3, 1000])  # 3: the covariance is singular
def test_zero_with_itself(num):
    fitted = fit_gaussian(1e3 * normal(num, 8) + 1e4)
    # Rounding of eigenvalues near 0: the root of eps times their sum, some 1e6.
    assert 0 <= frechet_distance(fitted, fitted) < 1e6 * 1e-7


def test_the_expected_floor_is_the_mean_over_samples():
    scale = torch.tensor([2.0, 1.0, 0.5, 0.1]).double()
    n, m, repeats = 300, 600, 200
    scores = torch.tensor(
        [
            frechet_distance(
                fit_gaussian(normal(n, 4, seed=2 * i) * scale),
                fit_gaussian(normal(m, 4, seed=2 * i + 1) * scale),
            )
            for i in range(repeats)
        ]
    ).double()
    expected = expected_floor(Gaussian(torch.zeros(4).double(), scale.square().diag(), m), n)
    # 4 standard errors of the mean, and terms of relative order dim/n.
    tolerance = float(4 * scores.std() / repeats**0.5) + 4 / n * expected
    assert float(scores.mean()) == pytest.approx(expected, abs=tolerance)
    assert tolerance < 0.25 * expected


def test_the_floor_in_one_dimension_and_of_a_point():
    one = Gaussian(torch.zeros(1).double(), 4 * torch.eye(1).double(), 100)
    # (l + l / 2) (1/n + 1/m) with l = 4.
    assert expected_floor(one, 100) == pytest.approx(6 * 0.02)
    assert expected_floor(Gaussian(one.mean, 0 * one.covariance, 100), 100) == 0


def test_the_measured_floor_agrees_with_the_expected():
    train, test = normal(4000, 5, seed=1), normal(1000, 5, seed=2)
    mean, deviation = split_floor(train, test, 400, repeats=8, generator=generator())
    again = split_floor(train, test, 400, repeats=8, generator=generator())
    assert (mean, deviation) == again
    # One test set is shared by the repeats, so the scatter between sets stays: a factor of 2.
    expected = expected_floor(fit_gaussian(test), 400)
    assert expected / 2 < mean < expected * 2
    assert deviation > 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fit_gaussian(torch.zeros(1, 3)), r"at least 2 rows, got shape \(1, 3\)"),
        (lambda: fit_gaussian(torch.zeros(3)), r"got shape \(3,\)"),
        (lambda: fit_gaussian(torch.tensor([[0.0], [torch.nan]])), "row 1 is not"),
        (
            lambda: frechet_distance(fit_gaussian(normal(4, 2)), fit_gaussian(normal(4, 3))),
            "one width, got 2 and 3; embed both with the same oracle",
        ),
        (lambda: split_floor(normal(4, 2), normal(4, 2), 5), r"num from 2 to 4 .* got 5"),
        (lambda: split_floor(normal(4, 2), normal(4, 2), 2, repeats=1), "2 repeats, got 1"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()
