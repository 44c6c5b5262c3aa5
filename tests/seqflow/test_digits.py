"""Tokens to digits and back, and digits that share a position."""

import pytest
import torch

from seqflow.categorical import cross_entropy
from seqflow.denoiser import EvidenceDenoiser
from seqflow.digits import DigitCodec, DigitsInPlace
from seqflow.radial import RadialFlow

# 125 = 5^3, 216 = 6^3 and 1000 = 10^3 are those where logarithms in floating point go wrong.
CODECS = [DigitCodec(*each) for each in ((2, 2), (3, 2), (125, 5), (216, 6), (1000, 10), (97, 7))]
CODECS += [DigitCodec(30522), DigitCodec(5, 32), DigitCodec.balanced(30522)]

every_codec = pytest.mark.parametrize("codec", CODECS, ids=repr)


@every_codec
def test_every_token_has_its_own_digits(codec):
    tokens = torch.arange(codec.vocabulary)
    digits = codec.encode(tokens)
    assert digits.shape == (codec.vocabulary, codec.num_digits)
    assert digits.min() >= 0
    assert digits.max() < codec.base
    assert torch.equal(codec.decode(digits), tokens)
    assert codec.valid(digits).all()
    # As few digits as there can be.
    assert codec.base ** (codec.num_digits - 1) < codec.vocabulary <= codec.base**codec.num_digits


@every_codec
def test_other_codes_are_known_and_digits_that_no_token_has(codec):
    axes = [torch.arange(codec.base)] * codec.num_digits
    codes = torch.cartesian_prod(*axes).reshape(-1, codec.num_digits)
    valid = codec.valid(codes)
    assert valid.sum() == codec.vocabulary
    seen = torch.zeros(codec.num_digits, codec.base, dtype=torch.bool)
    for place in range(codec.num_digits):
        seen[place, codes[valid][:, place].unique()] = True
    assert torch.equal(codec.possible(), seen)


def test_a_balanced_base_leaves_few_codes_over():
    for vocabulary in (33, 1000, 1025, 30522, 50257, 2**17):
        plain, balanced = DigitCodec(vocabulary), DigitCodec.balanced(vocabulary)
        assert balanced.num_digits == plain.num_digits
        assert (balanced.base - 1) ** balanced.num_digits < vocabulary
        assert balanced.base <= plain.base


def test_tokens_of_any_size_are_exact():
    codec = DigitCodec(2**60, base=1000)
    tokens = torch.tensor([2**60 - 1, 2**53 + 1, 0])
    assert torch.equal(codec.decode(codec.encode(tokens)), tokens)


def test_digits_in_place_see_each_other_and_never_take_what_no_token_has():
    codec = DigitCodec(100, base=16)  # first digits 0 to 6
    m, b = codec.num_digits, codec.base
    inner = torch.nn.Linear(m * b, m * b)
    outer = torch.nn.Identity()
    outer.forward = lambda features, t, condition: inner(features)
    process = RadialFlow(b)
    denoiser = EvidenceDenoiser(process, DigitsInPlace(codec, outer))
    tokens = torch.arange(96).reshape(4, 24)
    digits = codec.encode(tokens).flatten(1)
    t = torch.full((4,), 0.5)
    x_t, target = process.corrupt(digits, t, generator=torch.Generator().manual_seed(0))
    logits = denoiser(x_t, t)
    assert logits.shape == (4, 48, b)
    assert (logits.softmax(-1)[:, ::2, 7:] < 1e-6).all()
    torch.testing.assert_close(process.loss(logits, target, t), cross_entropy(logits, digits))
    gradient = torch.autograd.grad(logits[0, 0, 0], inner.weight)[0]
    assert gradient.isfinite().all()
    assert gradient[0, b:].abs().sum() > 0  # the other digit of its token


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: DigitCodec(1), "a vocabulary of at least 2, got 1"),
        (lambda: DigitCodec(10, base=1), "a base of at least 2, got 1"),
        (
            lambda: DigitsInPlace(DigitCodec(100, 10), torch.nn.Identity())(
                torch.zeros(1, 3, 10), torch.zeros(1)
            ),
            "whole tokens of 2 digits each, got 3 digits",
        ),
    ],
)
def test_refusals(wrong, message):
    with pytest.raises(ValueError, match=message):
        wrong()
