import pytest
import torch

from dna.records import Records, concatenate, group_of, make_records
from dna.sequences import decode, encode, reverse_complement


def small():
    return make_records(
        ["ACGT", "NNNN", "acgt", "TTTT"],
        ["chr1:1-4", "chr1:5-8", "chr2:1-4(+)", "x"],
        ["a", "a", "b", "a"],
        None,
        where=lambda i: f"record {i}",
    )


def test_ambiguous_records_are_skipped_and_counted():
    records = small()
    assert decode(records.tokens) == ["ACGT", "ACGT", "TTTT"]
    assert records.num_skipped == 1
    assert records.labels == ("a", "b", "a")
    assert records.names == ("chr1:1-4", "chr2:1-4(+)", "x")
    assert records.groups[:2] == ("chr1", "chr2")
    assert records.groups[2].startswith("hash-")


def test_hash_groups_ignore_name_case_and_strand_and_spread():
    tokens = torch.randint(4, (2000, 20), generator=torch.Generator().manual_seed(0))
    there = [group_of("a", s) for s in decode(tokens)]
    back = [group_of("b", s.lower()) for s in decode(reverse_complement(tokens))]
    assert there == back
    counts = torch.bincount(torch.tensor([int(g.removeprefix("hash-")) for g in there]))
    assert len(counts) == 100
    # 20 expected in each bucket, Poisson: 6 standard deviations.
    assert counts.max() < 20 + 6 * 20**0.5


def test_select_by_group_label_and_position():
    records = small()
    assert records.in_groups(["chr2", "chr1"]).names == ("chr1:1-4", "chr2:1-4(+)")
    assert records.with_label("a").groups[0] == "chr1"
    assert records.select(torch.tensor([2, 0])).labels == ("a", "a")
    assert len(records.select(torch.tensor([], dtype=torch.int64))) == 0
    assert records.label_ids(["b", "a"]).tolist() == [1, 0, 1]


def test_unique_keeps_one_of_each_sequence_and_label():
    records = concatenate([small(), small()])
    assert (len(records), records.num_skipped) == (6, 2)
    unique = records.unique()
    assert unique.names == small().names  # ACGT occurs under two labels
    assert len(Records(records.tokens, records.names, None, records.groups).unique()) == 2


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda r: r.in_groups(["chr3"]), "unknown group 'chr3'; there are chr1, chr2, hash-"),
        (lambda r: r.with_label("c"), "unknown label 'c'; there are a, b"),
        (lambda r: r.label_ids(["a"]), "unknown label 'b'; there are a"),
        (lambda r: Records(r.tokens, r.names, None, r.groups).label_ids(["a"]), "with labels"),
        (lambda r: concatenate([]), "at least one set of records"),
        (
            lambda r: concatenate([r, Records(r.tokens, r.names, None, r.groups)]),
            "expected labels in all 2 parts, got them in 1",
        ),
        (
            lambda r: concatenate([r, Records(encode(["AC"]), ("s",), ("a",), ("g",))]),
            r"one length, got lengths \[4, 2\]",
        ),
        (
            lambda r: make_records(["NA", "AN"], ["x", "y"], None, None, where=str),
            "all 2 records hold ambiguous bases",
        ),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call(small())
