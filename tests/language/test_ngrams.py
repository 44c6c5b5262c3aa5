"""N-grams against counting by hand, and against laws that are known."""

import math
from collections import Counter

import numpy as np
import pytest

from language import ngrams
from language.ngrams import SMOOTHING, fit_ngram, ladder

K = 5


def text(size, seed=0):
    return np.random.default_rng(seed).integers(0, K, size)


def by_hand(train, test, order):
    joint = Counter(tuple(train[i : i + order + 1]) for i in range(len(train) - order))
    context = Counter()
    for gram, count in joint.items():
        context[gram[:-1]] += count
    costs = [
        -math.log2(
            (joint[tuple(test[i : i + order + 1])] + SMOOTHING)
            / (context[tuple(test[i : i + order])] + SMOOTHING * K)
        )
        for i in range(len(test) - order)
    ]
    return sum(costs) / len(costs)


@pytest.mark.parametrize("order", range(4))
@pytest.mark.parametrize("largest", [0, 2**24])
def test_counts_by_hand(monkeypatch, order, largest):
    """With tables of all n-grams, and with sorted ones."""
    monkeypatch.setattr(ngrams, "_LARGEST_TABLE", largest)
    train, test = text(300), text(200, seed=1)
    assert fit_ngram(train, order, K).bits(test) == pytest.approx(by_hand(train, test, order))


def test_a_markov_chain_costs_its_entropy_from_its_order_on():
    """The next token is the last but one, or with probability 1/4 any: order 2 knows it."""
    rng = np.random.default_rng(0)
    chain = [0, 1]
    for noise, other in zip(rng.random(60_000) < 0.25, rng.integers(0, 3, 60_000), strict=True):
        chain.append(int(other) if noise else chain[-2])
    chain = np.array(chain)
    p = np.array([0.75 + 0.25 / 3, 0.25 / 3, 0.25 / 3])
    entropy = -(p * np.log2(p)).sum()
    costs = ladder(chain[:40_000], chain[40_000:], 3, range(4))
    # Standard deviation of one token's cost is about 1.3 bits: 5 of them among 20,000 tokens.
    assert costs[2] == pytest.approx(entropy, abs=5 * 1.3 / math.sqrt(20_000))
    assert costs[1] > entropy + 0.3
    assert costs[3] < costs[1]


def test_every_order_is_a_probability():
    """The costs of all continuations of one context add up to one."""
    model, context = fit_ngram(text(100), 2, K), [0, 3]
    total = sum(2 ** -model.bits(np.array([*context, token])) for token in range(K))
    assert total == pytest.approx(1)


def test_orders_that_do_not_fit():
    with pytest.raises(ValueError, match="smaller order or vocabulary than 5 of 4096"):
        fit_ngram(text(100), 5, 4096)
    with pytest.raises(ValueError, match="more than 3 tokens, got 3"):
        fit_ngram(text(3), 3, K)
    with pytest.raises(ValueError, match="more than 2 tokens, got 1"):
        fit_ngram(text(9), 2, K).bits(text(1))
    assert list(ladder(text(100), text(100), 4096)) == [0, 1, 2, 3, 4]
