import pytest
import torch

from dna.sequences import (
    ALPHABET,
    AMBIGUOUS,
    byte_codes,
    check_tokens,
    decode,
    encode,
    one_hot,
    reverse_complement,
)


def random_tokens(num, length, seed=0):
    return torch.randint(4, (num, length), generator=torch.Generator().manual_seed(seed))


def test_round_trip_both_ways():
    tokens = random_tokens(50, 33)
    assert torch.equal(encode(decode(tokens)), tokens)
    assert encode(["acgt"]).tolist() == encode([ALPHABET]).tolist() == [[0, 1, 2, 3]]
    assert encode(["A"]).dtype == torch.int64


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32, torch.int64])
def test_decode_any_integer(dtype):
    assert decode(torch.tensor([[3, 0]], dtype=dtype)) == ["TA"]


def test_reverse_complement_is_an_involution_and_matches_biopython():
    from Bio.Seq import Seq

    tokens = random_tokens(20, 15)
    other = reverse_complement(tokens)
    assert torch.equal(reverse_complement(other), tokens)
    assert decode(other) == [str(Seq(s).reverse_complement()) for s in decode(tokens)]


def test_one_hot_is_exact():
    tokens = random_tokens(5, 7)
    assert torch.equal(one_hot(tokens).argmax(-1), tokens)
    assert torch.equal(one_hot(tokens).sum(-1), torch.ones(5, 7))


def test_every_byte_is_base_ambiguous_or_an_error():
    for code in range(128):
        letter = chr(code)
        if letter.upper() in ALPHABET + AMBIGUOUS:
            assert byte_codes([letter], str).item() <= 4
        else:
            with pytest.raises(ValueError, match="position 1: expected A, C, G, T, N"):
                byte_codes([letter], str)


@pytest.mark.parametrize(
    ("sequences", "message"),
    [
        ("ACGT", r"expected a list of sequences, got one string"),
        ([], "expected at least one sequence, got none"),
        (["", ""], "sequence 1: expected a sequence, got none"),
        (["ACG", "AC"], "sequence 2: expected length 3 as in the first record, got 2"),
        (["ACG", "AUG"], "sequence 2, position 2: .* got 'U'"),
        (["AéG"], "sequence 1, position 2: .* got 'é'"),
        (["ACG", "ACn"], "sequence 2, position 3: expected one of ACGT, got 'n'"),
    ],
)
def test_encode_says_what_is_wrong(sequences, message):
    with pytest.raises(ValueError, match=message):
        encode(sequences)


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        (torch.zeros(3, dtype=torch.int64), r"batch of tokens \(N, L\), got shape \(3,\)"),
        (torch.zeros(0, 3, dtype=torch.int64), r"non-empty batch .* \(0, 3\)"),
        (torch.zeros(2, 3), "expected integer tokens, got torch.float32"),
        (torch.zeros(2, 3, dtype=torch.bool), "expected integer tokens, got torch.bool"),
        (torch.tensor([[0, 4]]), r"expected tokens 0\.\.3 .* from 0 to 4"),
        (torch.tensor([[-1, 2]]), "from -1 to 2"),
    ],
)
def test_check_tokens(tokens, message):
    with pytest.raises(ValueError, match=message):
        check_tokens(tokens)
