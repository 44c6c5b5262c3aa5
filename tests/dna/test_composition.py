import math
from collections import Counter
from itertools import product

import pytest
import torch

from dna.composition import (
    base_counts,
    count_kmers,
    gc_content,
    jensen_shannon_distance,
    kmer_distance,
)
from dna.sequences import decode


def random_tokens(num, length, seed=0):
    return torch.randint(4, (num, length), generator=torch.Generator().manual_seed(seed))


def random_histograms(num, size, seed=0):
    generator = torch.Generator().manual_seed(seed)
    counts = torch.rand(num, size, generator=generator, dtype=torch.float64)
    return counts * (torch.rand(num, size, generator=generator) < 0.6)


@pytest.mark.parametrize("k", [1, 2, 4, 6])
def test_kmers_are_those_of_a_naive_count(k):
    tokens = random_tokens(30, 25)
    naive = Counter(s[i : i + k] for s in decode(tokens) for i in range(25 - k + 1))
    expected = [naive["".join(kmer)] for kmer in product("ACGT", repeat=k)]
    assert count_kmers(tokens, k).tolist() == expected


def test_positions_and_gc():
    tokens = random_tokens(40, 9)
    assert torch.equal(base_counts(tokens).sum(0), torch.full((9,), 40.0, dtype=torch.float64))
    gc = base_counts(tokens)[1:3].sum() / tokens.numel()
    torch.testing.assert_close(gc_content(tokens).mean(), gc)


def test_the_distance_is_a_metric_between_0_and_1():
    p = random_histograms(12, 30)
    d = torch.tensor([[jensen_shannon_distance(a, b) for b in p] for a in p]).double()
    assert torch.equal(d.diagonal(), torch.zeros(12).double())
    torch.testing.assert_close(d, d.T, rtol=0, atol=1e-12)
    assert d.max() <= 1
    assert d[~torch.eye(12, dtype=torch.bool)].min() > 0
    # d(a, c) <= d(a, b) + d(b, c), with room for the rounding of the roots.
    assert (d[:, None, :] <= d[:, :, None] + d[None, :, :] + 1e-12).all()


def test_known_distances():
    one, two = torch.tensor([1.0, 0]), torch.tensor([1.0, 1])
    # JSD = 1.5 - 0.75 log2(3): M = (3/4, 1/4), H(M) - H(Q)/2 with H(M) = 2 - 0.75 log2(3).
    assert jensen_shannon_distance(one, two) == pytest.approx(
        math.sqrt(1.5 - 0.75 * math.log2(3)), rel=1e-12
    )
    assert jensen_shannon_distance(one, torch.tensor([0, 7])) == 1
    assert jensen_shannon_distance(two, 10 * two) == 0


def test_samples_of_one_source_are_at_the_floor():
    a, b = random_tokens(3000, 4, seed=1), random_tokens(3000, 4, seed=2)
    # One window each, so the windows are independent: 8 n ln2 JSD / 2 is chi square with 255
    # degrees of freedom, standard deviation sqrt(2 / 255) = 9% of the mean.
    floor = math.sqrt(255 * (2 / 3000) / (8 * math.log(2)))
    assert kmer_distance(a, b, 4) == pytest.approx(floor, rel=0.5 * 4 * 0.09)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: count_kmers(random_tokens(2, 5), 6), r"k from 1 to 5 \(length 5\), got 6"),
        (lambda: count_kmers(random_tokens(2, 5), 0), "k from 1 to 5"),
        (lambda: count_kmers(random_tokens(2, 50), 13), "k from 1 to 12"),
        (lambda: jensen_shannon_distance(torch.ones(3), torch.ones(4)), r"\(3,\) and \(4,\)"),
        (lambda: jensen_shannon_distance(torch.ones(3), torch.zeros(3)), "not all 0"),
        (lambda: jensen_shannon_distance(torch.ones(2), torch.tensor([2, -1])), "not negative"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()
