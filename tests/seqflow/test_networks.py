"""Networks and what stands between them and a process."""

import pytest
import torch

from seqflow.autoregressive import Autoregression
from seqflow.denoiser import CausalPredictor, EvidenceDenoiser, NoisyClassifier
from seqflow.dirichlet import DirichletFlow
from seqflow.networks import ConvolutionalClassifier, ConvolutionalNetwork
from seqflow.sampling import Sampler, time_grid
from seqflow.simplex import LinearFlow

B, L, K = 3, 10, 4


def network(**options):
    torch.manual_seed(0)
    return ConvolutionalNetwork(
        K, K, 2, **({"channels": 8, "max_length": L, "dilations": (1, 2)} | options)
    )


def noisy(process):
    generator = torch.Generator().manual_seed(1)
    x_1 = torch.randint(0, K, (B, L), generator=generator)
    t = torch.linspace(0, 0.9, B)
    return *process.corrupt(x_1, t, generator=generator), t


@pytest.mark.parametrize("process", [DirichletFlow(K), LinearFlow(K)])
class TestDenoiser:
    def test_silent_network_leaves_bayes_rule_with_a_flat_prior(self, process):
        x_t, _, t = noisy(process)
        model = EvidenceDenoiser(process, lambda features, t, condition: 0 * features)
        assert torch.equal(model(x_t, t), process.evidence(x_t, t))

    def test_network_sees_one_scale(self, process):
        seen = []

        def spy(features, t, condition):
            seen.append(features)
            return features

        x_t, _, t = noisy(process)
        EvidenceDenoiser(process, spy)(x_t, t)
        assert (seen[0] >= 0).all()
        # A softmax over four entries: four roundings of one.
        torch.testing.assert_close(seen[0].sum(-1), torch.ones(B, L), atol=5e-7, rtol=0)

    def test_finite_everywhere(self, process):
        vertex = torch.nn.functional.one_hot(torch.zeros(B, L, dtype=torch.long), K).float()
        for t in (0.0, 0.5, 1.0):
            x = vertex.clone().requires_grad_()
            logits = EvidenceDenoiser(process, network())(x, torch.full((B,), t))
            logits.square().sum().backward()
            assert logits.isfinite().all()
            assert x.grad.isfinite().all()

    def test_noisy_classifier(self, process):
        x_t, _, t = noisy(process)
        inner = ConvolutionalClassifier(
            K, 5, channels=8, max_length=L, dilations=(1,), embedding_size=4
        )
        logits = NoisyClassifier(process, inner)(x_t, t)
        assert logits.shape == (B, 5)
        assert logits.isfinite().all()


def test_labels_and_times_matter_and_absent_labels_are_one():
    model, x = network(), torch.rand(B, L, K)
    t = torch.full((B,), 0.3)
    zero, one = torch.zeros(B).long(), torch.ones(B).long()
    assert not torch.equal(model(x, t, zero), model(x, t, one))
    assert not torch.equal(model(x, t, zero), model(x, t + 0.1, zero))
    assert torch.equal(model(x, t, None), model(x, t, torch.full((B,), -1)))


def test_shorter_sequences_pass_and_longer_ones_are_refused():
    model, t = network(), torch.zeros(1)
    assert model(torch.rand(1, 1, K), t).shape == (1, 1, K)
    with pytest.raises(ValueError, match=r"at most 10 positions, got 11"):
        model(torch.rand(1, L + 1, K), t)


def test_classifier_embedding_feeds_its_logits():
    model = ConvolutionalClassifier(K, 2, channels=8, max_length=L, embedding_size=6).eval()
    features = torch.rand(B, L, K)
    assert model.embed(features).shape == (B, 6)
    assert torch.equal(model(features), model(features, torch.ones(B)))


class TestAutoregression:
    model = CausalPredictor(K, network(causal=True))

    def test_a_token_sees_only_those_before_it(self):
        x = torch.randint(0, K, (1, L), generator=torch.Generator().manual_seed(2))
        base = self.model(x, torch.zeros(1))
        for position in range(L):
            changed = x.clone()
            changed[0, position] = (changed[0, position] + 1) % K
            logits = self.model(changed, torch.zeros(1))
            same = (logits == base).all(-1)[0]
            assert same[: position + 1].all()
            # With kernel 9 and dilations 1 and 2 all later positions are in reach.
            assert not same[position + 1 :].any()

    def test_time_is_not_looked_at(self):
        x = torch.zeros(1, L, dtype=torch.long)
        assert torch.equal(self.model(x, torch.zeros(1)), self.model(x, torch.ones(1)))

    @pytest.mark.parametrize("steps", [1, 3, L, 2 * L])
    def test_every_token_is_drawn_once(self, steps):
        """Tokens that were drawn stay, and each step draws those of its span."""

        def certain(x_t, t, condition=None):
            # The number of the step: 0, 1, 2, ... modulo K, as certainty.
            step = (t * steps).round().long() % K
            return 1e9 * torch.nn.functional.one_hot(step, K)[:, None].expand(-1, L, -1).float()

        x_1 = Sampler(Autoregression(K), certain, time_grid(steps)).sample((2, L))
        ends = torch.linspace(0, L, steps + 1).round()[1:].contiguous()
        expected = torch.searchsorted(ends, torch.arange(L).float(), right=True) % K
        assert torch.equal(x_1, expected.expand(2, L))

    def test_exact_with_one_step_a_token(self):
        """A Markov chain known in closed form is sampled with its own transitions."""
        transition = torch.tensor([[0.7, 0.1, 0.1, 0.1], [0.1, 0.2, 0.3, 0.4]] * 2)

        def chain(x_t, t, condition=None):
            first = torch.full((len(x_t), 1, K), 0.25)
            return torch.cat([first, transition[x_t[:, :-1]]], 1).log()

        x = Sampler(Autoregression(K), chain, time_grid(6)).sample((4000, 6), seed=1)
        pairs = torch.bincount((x[:, :-1] * K + x[:, 1:]).flatten(), minlength=K * K).view(K, K)
        estimate = pairs / pairs.sum(1, keepdim=True)
        # Five standard deviations of a frequency among at least 2,000 draws.
        assert pairs.sum(1).min() > 2000
        assert (estimate - transition).abs().max() < 5 * 0.5 / 2000**0.5

    def test_one_forward_pass_holds_every_prefix(self):
        process = Autoregression(K)
        x_1 = torch.randint(0, K, (B, L), generator=torch.Generator().manual_seed(3))
        x_t, target = process.corrupt(x_1, torch.rand(B))
        loss = process.loss(self.model(x_t, torch.zeros(B)), target, torch.zeros(B))
        by_hand = torch.zeros(B)
        for position in range(L):
            prefix = torch.zeros_like(x_1)
            prefix[:, :position] = x_1[:, :position]
            log_p = self.model(prefix, torch.zeros(B)).log_softmax(-1)[:, position]
            by_hand -= log_p.gather(1, x_1[:, position, None]).squeeze(1) / L
        # Ten additions of float32 numbers of order one.
        torch.testing.assert_close(loss, by_hand, atol=1e-6, rtol=1e-6)
