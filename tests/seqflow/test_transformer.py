"""The transformer, and the predictors that read tokens by looking them up."""

import pytest
import torch

from seqflow.categorical import token_costs
from seqflow.denoiser import CausalPredictor, EvidenceDenoiser
from seqflow.discrete import MaskedFlow, PriorFlow, UniformFlow
from seqflow.inpainting import FREE, Inpainting
from seqflow.networks import Transformer
from seqflow.networks.transformer import Rotary
from seqflow.token_denoiser import TokenCausalPredictor, TokenDenoiser

B, L, K = 3, 10, 5
PROCESSES = [MaskedFlow(K), UniformFlow(K), PriorFlow((1.0, 2.0, 3.0, 4.0, 5.0))]


def network(causal=False, num_labels=2, *, dtype=torch.float32):
    """One whose every weight matters: those that start at zero are drawn too."""
    torch.manual_seed(0)
    model = Transformer(
        K, K, num_labels, width=16, num_layers=2, num_heads=2, condition_width=8, causal=causal
    )
    for weight in model.parameters():
        if not weight.any():
            torch.nn.init.normal_(weight, std=0.3)
    return model.to(dtype)


def test_a_fresh_one_is_silent_and_has_gradients():
    torch.manual_seed(0)
    model = Transformer(K, K, width=16, num_layers=1, num_heads=2)
    logits = model(torch.rand(B, L, K), torch.rand(B))
    assert not logits.any()
    logits.sum().backward()
    assert model.head.bias.grad.any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("shape", [(0, 4), (2, 0), (1, 1), (3, 10)])
def test_any_shape_and_the_ends_of_time(dtype, causal, shape):
    model = network(causal, dtype=dtype)
    for time in (0.0, 1.0):
        features = torch.rand(*shape, K, dtype=dtype, requires_grad=True)
        logits = model(features, torch.full(shape[:1], time, dtype=dtype))
        assert logits.shape == (*shape, K)
        assert logits.dtype == dtype
        logits.square().sum().backward()
        assert logits.isfinite().all()
        assert features.grad.isfinite().all()


def test_labels_and_times_matter_and_absent_labels_are_one():
    model, x = network(), torch.rand(B, L, K)
    t = torch.full((B,), 0.3)
    zero, one = torch.zeros(B).long(), torch.ones(B).long()
    assert not torch.equal(model(x, t, zero), model(x, t, one))
    assert not torch.equal(model(x, t, zero), model(x, t + 0.1, zero))
    assert torch.equal(model(x, t, None), model(x, t, torch.full((B,), -1)))


def test_a_width_that_heads_cannot_share():
    with pytest.raises(ValueError, match="multiple of twice the heads, got width 10 and 3"):
        Transformer(K, K, width=10, num_heads=3)


def test_rotary_scores_depend_on_differences_of_positions():
    q, k = torch.randn(2, 1, 1, 1, 8, generator=torch.Generator().manual_seed(0)).double()
    rotary = Rotary(8).double()
    turned_q, turned_k = rotary(q.expand(-1, -1, 12, -1)), rotary(k.expand(-1, -1, 12, -1))
    scores = (turned_q @ turned_k.mT)[0, 0]
    # Sums of eight products of order one, and angles of up to 12 in float64.
    for offset in range(-11, 12):
        along = scores.diagonal(offset)
        torch.testing.assert_close(along, along[:1].expand_as(along), atol=1e-13, rtol=0)
    assert (scores[0] - scores[0, 0]).abs().max() > 0.1
    torch.testing.assert_close(turned_q.norm(dim=-1), q.norm(dim=-1).expand(-1, -1, 12))


def test_both_forms_of_attention_agree():
    """Under bfloat16 the scores are written out; both round to 8 bits."""
    for causal in (False, True):
        model, x, t = network(causal), torch.rand(B, L, K), torch.rand(B)
        exact = model(x, t)
        with torch.autocast("cpu", torch.bfloat16):
            half = model(x, t)
        assert half.dtype == torch.float32
        # A dozen layers, each rounded to 2^-9 of numbers of order one.
        assert (half - exact).abs().max() < 12 * 2**-9 * exact.abs().max()


@pytest.mark.parametrize("bf16", [False, True])
def test_a_causal_one_sees_the_past_only(bf16):
    model = TokenCausalPredictor(network(causal=True))
    x = torch.randint(0, K, (1, L), generator=torch.Generator().manual_seed(2))
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        base = model(x, torch.zeros(1))
        for position in range(L):
            changed = x.clone()
            changed[0, position] = (changed[0, position] + 1) % K
            same = (model(changed, torch.ones(1)) == base).all(-1)[0]
            assert same[: position + 1].all()
            assert not same[position + 1 :].any()


@pytest.mark.parametrize("process", PROCESSES, ids=lambda process: type(process).__name__)
class TestTokenDenoiser:
    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_it_is_the_evidence_denoiser(self, process, dtype):
        model = network(dtype=dtype)
        generator = torch.Generator().manual_seed(1)
        x_1 = torch.randint(0, K, (B, L), generator=generator)
        # At t = 1 unsettled tokens stand at odds of e^32: single tokens, up to rounding.
        t = torch.tensor([0.0, 0.6, 1.0], dtype=dtype)
        x_t, _ = process.corrupt(x_1, t, generator=generator)
        by_lookup = TokenDenoiser(process, model)(x_t, t)
        by_features = EvidenceDenoiser(process, model)(x_t, t)
        # Some hundred roundings of numbers of order one, beside evidence of up to 72.
        tolerance = 300 * torch.finfo(dtype).eps
        torch.testing.assert_close(by_lookup, by_features, atol=tolerance, rtol=tolerance)

    def test_templates_are_taken_for_certain(self, process):
        held = Inpainting(process, (2, FREE, FREE, 0))
        x_0 = held.sample_prior((B, 4), generator=torch.Generator().manual_seed(0))
        model, t = network(), torch.full((B,), 0.1)
        by_lookup = TokenDenoiser(process, model).seeing(held)(x_0, t)
        by_features = EvidenceDenoiser(process, model).seeing(held)(x_0, t)
        torch.testing.assert_close(by_lookup, by_features, atol=1e-4, rtol=1e-4)  # as above
        assert (by_lookup.softmax(-1)[:, 0, 2] > 0.99).all()
        assert torch.equal(held.evidence(x_0, t).amax(-1), held.odds(x_0, t))

    def test_finite_values_and_gradients(self, process):
        model = TokenDenoiser(process, network())
        for time in (0.0, 0.5, 1.0):
            t = torch.full((B,), time)
            x_t, _ = process.corrupt(torch.zeros(B, L, dtype=torch.long), t)
            logits = model(x_t, t)
            logits.square().sum().backward()
            assert logits.isfinite().all()
            assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)


def test_frequencies_make_the_mean_of_a_lone_posterior():
    model = network()
    model.set_frequencies(torch.arange(K))
    pi = torch.arange(1, K + 1) / sum(range(1, K + 1))
    torch.testing.assert_close(model.head.bias.exp(), pi)
    p = torch.rand(3, K, generator=torch.Generator().manual_seed(1))
    posterior = p * pi / (p * pi).sum(-1, keepdim=True)
    torch.testing.assert_close(model.embedding(p), posterior @ model.embedding.weight)
    with pytest.raises(ValueError, match=f"expected {K} counts, got"):
        model.set_frequencies(torch.ones(1))


def test_rows_without_a_token_have_finite_gradients():
    model, p = network().embedding, torch.zeros(2, K, requires_grad=True)
    (100 * model(p)).sum().backward()
    assert all(each.grad.isfinite().all() for each in (p, *model.parameters()))


def test_causal_lookup_is_the_causal_predictor():
    model, x = network(causal=True), torch.randint(0, K, (B, L))
    by_lookup = TokenCausalPredictor(model)(x, torch.rand(B))
    torch.testing.assert_close(by_lookup, CausalPredictor(K, model)(x, torch.rand(B)))


def test_weights_are_interchangeable():
    model = network()
    saved = EvidenceDenoiser(MaskedFlow(K), model).state_dict()
    TokenDenoiser(MaskedFlow(K), network()).load_state_dict(saved)
    causal = CausalPredictor(K, model).state_dict()
    TokenCausalPredictor(network()).load_state_dict(causal)


@pytest.mark.parametrize("num_classes", [2, 16, 17, 300])
@pytest.mark.parametrize("shape", [(0, 3), (2, 1), (3, 4)])
def test_costs_of_few_and_of_many_classes(num_classes, shape):
    """Rows or columns: both are minus the logarithm of the softmax."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(*shape, num_classes, generator=generator, dtype=torch.float64)
    tokens = torch.randint(num_classes, shape, generator=generator)
    expected = -logits.log_softmax(-1).gather(-1, tokens[..., None]).squeeze(-1)
    torch.testing.assert_close(token_costs(logits, tokens), expected)


@pytest.mark.parametrize("bf16", [False, True])
@pytest.mark.parametrize("causal", [False, True])
def test_it_is_one_graph(causal, bf16):
    """Captured whole, so that torch.compile has no Python between its kernels."""
    inner = network(causal)
    model = TokenCausalPredictor(inner) if causal else TokenDenoiser(MaskedFlow(K), inner)
    x, t = torch.randint(0, K, (B, L)), torch.rand(B)
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        assert torch.equal(compiled(x, t), model(x, t))
