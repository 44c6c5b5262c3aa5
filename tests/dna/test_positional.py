import pytest
import torch

from dna.positional import PositionalMatrix, fit_positional


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_probabilities_sum_to_one():
    matrix = fit_positional(torch.randint(4, (9, 3), generator=generator()))
    every = torch.cartesian_prod(*[torch.arange(4)] * 3)
    assert float(matrix.log_likelihood(every).exp().sum()) == pytest.approx(1, abs=1e-13)


def test_samples_reproduce_the_matrix():
    logits = torch.randn(20, 4, generator=generator(), dtype=torch.float64)
    matrix = PositionalMatrix(logits.log_softmax(-1))
    num = 20_000
    tokens = matrix.sample(num, generator=generator(1))
    p = matrix.log_probabilities.exp()
    q = fit_positional(tokens, pseudo_count=1e-9).log_probabilities.exp()
    assert ((q - p).abs() <= 5 * (p * (1 - p) / num).sqrt()).all()


def test_it_tells_classes_apart_by_place():
    left, right = (torch.randint(4, (500, 10), generator=generator(i)) for i in range(2))
    left[:, 2:4] = torch.tensor([2, 3])
    right[:, 6:8] = torch.tensor([2, 3])
    a, b = fit_positional(left[:250]), fit_positional(right[:250])
    wins = a.log_likelihood(left[250:]) > b.log_likelihood(left[250:])
    # A "GT" at both places ties: 1 in 16 is uncertain.
    assert wins.double().mean() > 0.9


def test_errors():
    tokens = torch.zeros(2, 5, dtype=torch.int64)
    with pytest.raises(ValueError, match="positive pseudo-count, got -1"):
        fit_positional(tokens, pseudo_count=-1)
    with pytest.raises(ValueError, match="sequences of length 5, got 4"):
        fit_positional(tokens).log_likelihood(tokens[:, :4])
