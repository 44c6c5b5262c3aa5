import gzip
import re
import time

import pytest
import torch

from dna.fasta import read_fasta, write_fasta
from dna.sequences import decode


def read(tmp_path, text, **options):
    path = tmp_path / "in.fa"
    path.write_text(text)
    return read_fasta(path, **options)


@pytest.mark.parametrize("name", ["out.fa", "out.fa.gz"])
@pytest.mark.parametrize("width", [None, 1, 7, 60, 100])
def test_what_is_written_is_read_back(tmp_path, name, width):
    tokens = torch.randint(4, (5, 60), generator=torch.Generator().manual_seed(1))
    headers = [f"s{i} label=ctcf seed=0 index={i}" for i in range(5)]
    write_fasta(tmp_path / name, tokens, headers, width=width)
    records = read_fasta(tmp_path / name)
    assert torch.equal(records.tokens, tokens)
    assert records.labels == ("ctcf",) * 5
    assert records.names == tuple(f"s{i}" for i in range(5))
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert ((tmp_path / name).read_bytes()[:2] == b"\x1f\x8b") == name.endswith(".gz")


def test_lines_are_wrapped(tmp_path, capsys):
    write_fasta("-", torch.tensor([[0, 1, 2, 3, 0]]), ["s"], width=2)
    assert capsys.readouterr().out == ">s\nAC\nGT\nA\n"


def test_case_wrapping_blank_lines_and_windows_line_ends(tmp_path):
    records = read(tmp_path, "\n>chr1:0-4 x\r\nac\r\nGT\r\n\r\n>b\nAC GT\n>c\nACRT\n")
    assert decode(records.tokens) == ["ACGT", "ACGT"]
    assert records.names == ("chr1:0-4", "b")
    assert records.groups[0] == "chr1"
    assert records.num_skipped == 1
    assert records.labels is None


def test_labels_from_the_caller_or_from_every_header(tmp_path):
    assert read(tmp_path, ">a label=x\nAC\n>b\nAC\n").labels is None
    assert read(tmp_path, ">a label=x\nAC\n>b n=1 label=y\nAC\n").labels == ("x", "y")
    assert read(tmp_path, ">a label=x\nAC\n>\nAC\n", label="z").labels == ("z", "z")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "in.fa: expected FASTA records, got an empty file"),
        (" \n\n", "empty file"),
        ("ACGT\n>a\nACGT\n", "in.fa: expected a FASTA header '>name' first, got 'ACGT'"),
        (">a\n>b\nAC\n", r"in.fa: record 1 \('a'\): expected a sequence, got none"),
        (">a x\nACG\n>b y\nACGT\n", r"record 2 \('b y'\): expected length 3 .* got 4"),
        (">a\nACG\n>b\nA\nCU\n", r"record 2 \('b'\), position 3: .* got 'U'"),
        (">a\nAC-\n", r"record 1 \('a'\), position 3: .* got '-'"),
        (">a\nNN\n>b\nRA\n", "all 2 records hold ambiguous bases"),
    ],
)
def test_bad_files(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        read(tmp_path, text)


def test_bad_output(tmp_path):
    tokens = torch.tensor([[0, 1]])
    path = tmp_path / "out.fa"
    for headers, width, message in (
        ([], None, "expected 1 headers, got 0"),
        (["a\n>b"], None, "expected a header of one line"),
        (["a"], 0, "line width of at least 1, got 0"),
    ):
        with pytest.raises(ValueError, match=message):
            write_fasta(path, tokens, headers, width=width)
    with pytest.raises(ValueError, match=re.escape(f"cannot write {tmp_path}: it is a folder")):
        write_fasta(tmp_path, tokens, ["a"])
    assert not any(tmp_path.iterdir())


def test_tens_of_thousands_of_records_are_read_in_a_second_or_so(tmp_path):
    tokens = torch.randint(4, (20_000, 100), generator=torch.Generator().manual_seed(2))
    text = "".join(f">chr1:{i}-{i + 100}\n{s}\n" for i, s in enumerate(decode(tokens)))
    (tmp_path / "big.fa").write_bytes(gzip.compress(text.encode(), 1))
    start = time.process_time()
    assert torch.equal(read_fasta(tmp_path / "big.fa").tokens, tokens)
    # 0.15 s where this was written; a loop over characters would take 10 s and more.
    assert time.process_time() - start < 3
