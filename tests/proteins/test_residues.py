"""Letters, names and numbers of amino acids."""

from proteins.residues import (
    ALPHABET,
    STANDARD,
    UNKNOWN,
    decode_sequence,
    encode_sequence,
    is_amino_acid,
    residue_name,
    residue_type,
)


def test_the_twenty_have_a_name_each():
    names = [residue_name(kind) for kind in range(len(ALPHABET))]
    assert {*names[:UNKNOWN]} == STANDARD
    assert [residue_type(name) for name in names] == list(range(len(ALPHABET)))


def test_sequences_go_both_ways():
    assert decode_sequence(encode_sequence(ALPHABET)) == ALPHABET
    assert decode_sequence(encode_sequence("acB-*")) == "ACXXX"
    assert decode_sequence(encode_sequence("")) == ""


def test_modified_residues_count_as_what_they_come_from():
    modified = {"MSE": "M", "SEP": "S", "HYP": "P", "PCA": "Q", "CSO": "C"}
    assert {name: ALPHABET[residue_type(name)] for name in modified} == modified
    assert not any(is_amino_acid(name) for name in ("DA", "A", "HOH", "ACE", "NH2", "CA", "ZN"))
