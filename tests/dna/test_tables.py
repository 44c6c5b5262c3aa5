import gzip

import pytest

from dna.sequences import decode
from dna.tables import read_table


def read(tmp_path, text, **options):
    path = tmp_path / "in.csv"
    path.write_bytes(text.encode())
    return read_table(path, **options)


@pytest.mark.parametrize("delimiter", [",", "\t"])
def test_columns_by_name(tmp_path, delimiter):
    text = "seq,kind,id,where\nacgt,x,one,chrX\n\nNNNN,x,two,chrX\nTTTT,y,three,chr2\n"
    records = read(
        tmp_path,
        text.replace(",", delimiter),
        sequence="seq",
        label="kind",
        name="id",
        group="where",
    )
    assert decode(records.tokens) == ["ACGT", "TTTT"]
    assert records.labels == ("x", "y")
    assert records.names == ("one", "three")
    assert records.groups == ("chrX", "chr2")
    assert records.num_skipped == 1


def test_a_gzipped_table_without_other_columns(tmp_path):
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress('\ufeffsequence\r\nACG\r\n"TTT"\r\n'.encode()))
    records = read_table(path)
    assert decode(records.tokens) == ["ACG", "TTT"]
    assert records.names == ("line 2", "line 3")
    assert records.labels is None
    assert all(group.startswith("hash-") for group in records.groups)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "in.csv: expected a table with a header line, got an empty file"),
        ("sequence,label\n", "in.csv: expected rows below the header, got none"),
        ("seq,label\nAC,x\n", "in.csv: no column 'sequence'; there are seq, label"),
        ("sequence\nAC\n", "no column 'label'; there are sequence"),
        ("sequence,label\nAC,x\nAC\n", "line 3: expected 2 cells as in the header, got 1"),
        ("sequence,label\nAC,x\nAC,x,y\n", "line 3: expected 2 cells as in the header, got 3"),
        ("sequence,label\nAC,\n", "line 2: expected a value in column 'label', got none"),
        ("sequence,label\n,x\n", "line 2: expected a value in column 'sequence'"),
        ("sequence,label\nAC,x\nACG,y\n", "in.csv: line 3: expected length 2 .* got 3"),
        ("sequence,label\nAC,x\n\nAX,y\n", "in.csv: line 4, position 2: .* got 'X'"),
        ('sequence,label\nAC,x\n"AC', "in.csv: line 3: unexpected end of data"),
    ],
)
def test_bad_tables(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        read(tmp_path, text, label="label")
