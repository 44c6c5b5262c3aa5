import pytest
import torch

from dna.markov import MarkovChain, fit_markov
from dna.sequences import decode


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def random_chain(order, seed=0):
    def logits(*shape):
        return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)

    return MarkovChain(
        order=order,
        log_start=logits(4**order).log_softmax(-1),
        log_next=logits(4**order, 4).log_softmax(-1),
    )


def every_sequence(length):
    return torch.cartesian_prod(*[torch.arange(4)] * length)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_probabilities_sum_to_one(order):
    chain = random_chain(order)
    total = chain.log_likelihood(every_sequence(order + 2)).exp().sum()
    # 4^(k+2) summands, each right to a few units of 2e-16.
    assert float(total) == pytest.approx(1, abs=1e-13)


def test_samples_reproduce_the_chain():
    chain = random_chain(order=2)
    tokens = chain.sample(4000, 150, generator=generator(1))
    fitted = fit_markov(tokens, order=2, pseudo_count=1e-9)
    for log_p, log_q, count in (
        (chain.log_next, fitted.log_next, torch.zeros(16)),
        (chain.log_start, None, torch.tensor(4000.0)),
    ):
        p = log_p.exp()
        if log_q is None:
            q = torch.bincount(4 * tokens[:, 0] + tokens[:, 1], minlength=16).double() / 4000
        else:
            q = log_q.exp()
            windows = 4 * tokens[:, :-2] + tokens[:, 1:-1]
            count = torch.bincount(windows.flatten(), minlength=16).unsqueeze(-1)
        # Binomial given the context: 5 standard deviations, 80 numbers.
        assert ((q - p).abs() <= 5 * (p * (1 - p) / count).sqrt()).all()


def test_likelihood_against_a_loop():
    tokens = torch.randint(4, (20, 30), generator=generator(2))
    chain = fit_markov(tokens, order=3)
    for sequence, value in zip(decode(tokens), chain.log_likelihood(tokens), strict=True):
        ids = ["ACGT".index(letter) for letter in sequence]
        context = 16 * ids[0] + 4 * ids[1] + ids[2]
        total = chain.log_start[context]
        for token in ids[3:]:
            total = total + chain.log_next[context, token]
            context = 4 * context % 64 + token
        torch.testing.assert_close(value, total, rtol=1e-12, atol=0)


def test_samples_are_seeded_and_the_shortest_is_a_start():
    chain = random_chain(order=3)
    assert torch.equal(*(chain.sample(5, 20, generator=generator(7)) for _ in range(2)))
    assert chain.sample(5, 3, generator=generator()).shape == (5, 3)


def test_pseudo_counts_keep_unseen_sequences_possible():
    chain = fit_markov(torch.zeros(3, 10, dtype=torch.int64), order=2)
    assert chain.log_likelihood(torch.full((1, 10), 3)).isfinite().all()


def test_errors():
    tokens = torch.zeros(2, 5, dtype=torch.int64)
    with pytest.raises(ValueError, match="order from 1 to 4, got 5"):
        fit_markov(tokens, order=5)
    with pytest.raises(ValueError, match="positive pseudo-count, got 0"):
        fit_markov(tokens, order=1, pseudo_count=0)
    with pytest.raises(ValueError, match="length of at least 3, got 2"):
        random_chain(order=3).sample(1, 2)
