"""Invariant point attention: the same function as displacement by displacement; its size."""

import pytest
import torch
import torch.nn.functional as F

from geometry import SO3
from geometry.rotation_conversions import quaternion_to_matrix
from proteins.ipa import InvariantPointAttention
from proteins.ipa_edges import NUM_BINS, EdgeEmbedding, EdgeTransition, distance_bins, sinusoids
from proteins.ipa_network import IPANetwork

B, L, CHANNELS, PAIRS, HEADS, SIZE, ASKING, SENT = 2, 13, 24, 16, 3, 8, 4, 5


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def attention():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        sizes = {"size": SIZE, "query_points": ASKING, "value_points": SENT}
        module = InvariantPointAttention(CHANNELS, PAIRS, HEADS, **sizes)
        torch.nn.init.normal_(module.gamma)
    return module


def inputs(dtype, spread=3.0):
    """Chains of ``spread`` nanometres, centred; the last residues of one are not there."""
    h = torch.randn(B, L, CHANNELS, generator=seeded(), dtype=torch.float64)
    z = torch.randn(B, L, L, PAIRS, generator=seeded(1), dtype=torch.float64)
    x = spread * torch.randn(B, L, 3, generator=seeded(2), dtype=torch.float64)
    x = x - x.mean(-2, keepdim=True)
    q = SO3().random_uniform(B, L, generator=seeded(3), dtype=torch.float64)
    mask = torch.arange(L) < torch.tensor([[L], [L - 4]])
    return h.to(dtype), z.to(dtype), mask, q.to(dtype), x.to(dtype)


def displacement_by_displacement(module, h, z, mask, q, x):
    """The published formula as it is written: a tensor (B, L, L, heads, points, 3)."""
    R = quaternion_to_matrix(q)
    query, key, value = module.numbers(h).unflatten(-1, (HEADS, -1)).split(SIZE, -1)
    points = module.points(h).unflatten(-1, (HEADS, -1, 3))
    there = torch.einsum("blij,blhpj->blhpi", R, points) + x[:, :, None, None]
    a, b, c = there.split((ASKING, ASKING, SENT), -2)
    bias, passed = module.pairs(z).split((HEADS, PAIRS // 4), -1)
    g = F.softplus(module.gamma) * (1 / 3) ** 0.5 * (2 / (9 * ASKING)) ** 0.5
    squares = (a[:, :, None] - b[:, None]).square().sum((-1, -2))
    logits = torch.einsum("bihc,bjhc->bijh", query, key) / (3 * SIZE) ** 0.5 + bias / 3**0.5
    logits = (logits - 0.5 * g * squares).masked_fill(~mask[:, None, :, None], -torch.inf)
    weights = logits.softmax(2)
    numbers = torch.einsum("bijh,bjhc->bihc", weights, value)
    mean = torch.einsum("bijh,bjhpc->bihpc", weights, c) - x[:, :, None, None]
    local = torch.einsum("blji,blhpj->blhpi", R, mean)
    pairs = torch.einsum("bijh,bijc->bihc", weights, passed)
    parts = (numbers, local, local.norm(dim=-1), pairs)
    return module.out(torch.cat([part.flatten(2) for part in parts], -1))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_expanded_square_is_the_same_function(dtype):
    module, given = attention().to(dtype), inputs(dtype)
    expanded, naive = module(*given), displacement_by_displacement(module, *given)
    # Squares of 100 nm^2 are rounded to 100 eps, and so are logits, to which weights are equal.
    within = 1e-5 if dtype == torch.float32 else 1e-12
    torch.testing.assert_close(expanded, naive, rtol=0, atol=within)


def test_gradients_are_the_same_too():
    module, (h, z, mask, q, x) = attention().double(), inputs(torch.float64)
    leaves = [each.requires_grad_() for each in (h, z, q, x)]
    weights = torch.randn(B, L, CHANNELS, generator=seeded(4), dtype=torch.float64)
    both = []
    for function in (module, lambda *given: displacement_by_displacement(module, *given)):
        # Off the sphere the two mean different things by a quaternion.
        total = (weights * function(h, z, mask, SO3().projx(q), x)).sum()
        both.append(torch.autograd.grad(total, (*leaves, *module.parameters())))
    for ours, naive in zip(*both, strict=True):
        torch.testing.assert_close(ours, naive, rtol=1e-9, atol=1e-9)


def test_far_from_the_origin_digits_are_lost():
    """Why the network centres chains: the square of 1,000 nm leaves none for 1 nm."""
    module, (h, z, mask, q, x) = attention(), inputs(torch.float32)
    near, far = module(h, z, mask, q, x), module(h, z, mask, q, x + 1000)
    assert (near - far).abs().max() > 1e-3


def test_published_sizes():
    """The published network has 16,779,268 weights, of which 128 by 256 embed the time again."""
    with torch.device("meta"):
        size = sum(each.numel() for each in IPANetwork().parameters())
    assert size == 16_779_268 - 128 * 256


def test_a_row_of_parts_is_never_formed():
    """The layers of parts are the layers of the whole row."""
    torch.manual_seed(0)
    h, z = torch.randn(2, 7, 12).double(), torch.randn(2, 7, 7, 8).double()
    transition = EdgeTransition(12, 8).double()
    p = transition.project(h)
    here, there = p.unsqueeze(2).expand(-1, -1, 7, -1), p.unsqueeze(1).expand(-1, 7, -1, -1)
    row = torch.cat((z, here, there), -1)
    found = transition.second(transition.first(row).relu()).relu()
    torch.testing.assert_close(transition(h, z), transition.norm(transition.last(found + row)))


def test_pairs_at_first_are_a_network_of_the_published_features():
    torch.manual_seed(0)
    embedding = EdgeEmbedding(12, 8).double()
    h, x = torch.randn(2, 7, 12).double(), 8 * torch.randn(2, 7, 3).double()
    known = torch.tensor([1.0, 0.0]).double()[:, None, None].expand(2, 7, 1)
    previous, places = torch.cat((known * x.flip(1), known), -1), torch.arange(7).expand(2, 7)
    p = torch.cat((embedding.project(h), known), -1)
    apart = sinusoids((places[:, :, None] - places[:, None]).double(), 4, torch.pi)
    row = torch.cat(
        (
            p.unsqueeze(2).expand(-1, -1, 7, -1),
            p.unsqueeze(1).expand(-1, 7, -1, -1),
            embedding.relative(apart),
            F.one_hot(distance_bins(x), NUM_BINS + 1)[..., 1:],
            F.one_hot(distance_bins(previous[..., :3]), NUM_BINS + 1)[..., 1:],
        ),
        -1,
    )
    wanted = embedding.rest(embedding.first(row.double()))
    torch.testing.assert_close(embedding(h, places, x, previous), wanted)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"channels": 10}, "encoder heads that divide the width, got 4 of 10"),
        ({"channels": 9, "encoder_heads": 3}, "an even width, got 9"),
        ({"channels": 8, "pair_channels": 6}, "pair channels divisible by 4, got 6"),
    ],
)
def test_widths_must_divide(sizes, message):
    with pytest.raises(ValueError, match=message):
        IPANetwork(**sizes)
