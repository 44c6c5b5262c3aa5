import pytest
import torch

from dna import diversity
from dna.diversity import nearest_identity, unique_fraction


def random_tokens(num, length, seed=0):
    return torch.randint(4, (num, length), generator=torch.Generator().manual_seed(seed))


def test_unique_fraction():
    tokens = random_tokens(50, 30)
    assert unique_fraction(tokens) == 1
    assert unique_fraction(tokens.repeat(4, 1)) == 0.25


def test_nearest_identity_is_that_of_all_pairs_whatever_the_chunks(monkeypatch):
    a, b = random_tokens(37, 12, seed=1), random_tokens(53, 12, seed=2)
    expected = (a[:, None] == b).double().mean(-1).amax(-1)
    torch.testing.assert_close(nearest_identity(a, b), expected)
    monkeypatch.setattr(diversity, "QUERY_CHUNK", 10)
    monkeypatch.setattr(diversity, "REFERENCE_CHUNK", 7)
    torch.testing.assert_close(nearest_identity(a, b), expected)


def test_a_subset_of_references_is_a_lower_bound_and_seeded():
    a, b = random_tokens(20, 12, seed=1), random_tokens(500, 12, seed=2)
    few = [
        nearest_identity(a, b, max_reference=50, generator=torch.Generator().manual_seed(3))
        for _ in range(2)
    ]
    assert torch.equal(*few)
    assert (few[0] <= nearest_identity(a, b)).all()
    assert torch.equal(nearest_identity(a, b, max_reference=500), nearest_identity(a, b))
    assert torch.equal(nearest_identity(b, b), torch.ones(500).double())


def test_errors():
    with pytest.raises(ValueError, match="references of length 5, got 6"):
        nearest_identity(random_tokens(2, 5), random_tokens(2, 6))
    with pytest.raises(ValueError, match="at least 1 reference row, got 0"):
        nearest_identity(random_tokens(2, 5), random_tokens(2, 5), max_reference=0)
