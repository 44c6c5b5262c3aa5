import gzip

import pytest
import torch

from seqflow.points.tables import read_table, unique_rows, write_table


@pytest.fixture
def write(tmp_path):
    def write(text, name="points.csv"):
        path = tmp_path / name
        path.write_bytes(gzip.compress(text.encode()) if name.endswith("gz") else text.encode())
        return path

    return write


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("# a comment\nLatitude,Longitude\n1,2\n3,4\n", [0, 1]),
        ("lat,place,lon\n1,here,2\n3,there,4\n", ["lat", "LON"]),
        ("1.0,2e0\n\n3,4\n", [0, 1]),
        ("id\ta\tb\nx\t1\t2\ny\t3\t4\n", [1, 2]),
        ("x A 1 2\nx C 3 4\n", [2, 3]),
    ],
)
@pytest.mark.parametrize("name", ["points.csv", "points.tsv.gz"])
def test_every_layout_gives_the_same_numbers(write, text, columns, name):
    assert read_table(write(text, name), columns).numbers.tolist() == [[1, 2], [3, 4]]


def test_missing_values_are_counted_and_lines_kept(write):
    table = read_table(write("a,b\n1,2\n,3\nNA,4\n5,6\n"), ["a", "b"])
    assert table.num_skipped == 2
    assert table.lines == (2, 5)


@pytest.mark.parametrize(
    ("text", "columns", "message"),
    [
        ("a,b\n1,2\n3,x\n", [0, 1], r"points.csv, line 3: expected a number in column 1, got 'x'"),
        ("a,b\n1,2\n3\n", [0, 1], r"line 3: expected at least 2 columns, got 1"),
        ("a,b\n1,inf\n", [0, 1], r"line 2: expected a number"),
        ("a,b\n1,2\n", ["a", "c"], r"line 1: no column 'c'; there are a, b"),
        ("# only\n", [0], r"expected rows of numbers, got none"),
        ("a,b\n", [0, 1], r"expected rows of numbers below the header"),
    ],
)
def test_faults_name_file_and_line(write, text, columns, message):
    with pytest.raises(ValueError, match=message):
        read_table(write(text), columns)


def test_written_numbers_read_back(tmp_path):
    numbers = torch.randn(5, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    write_table(tmp_path / "out.csv", ["a", "b"], numbers)
    back = read_table(tmp_path / "out.csv", ["a", "b"]).numbers
    # Nine significant digits are written.
    torch.testing.assert_close(back, numbers, rtol=1e-8, atol=0)


def test_unique_rows_keep_the_first_in_order():
    rows = torch.tensor([[3.0, 1.0], [1.0, 1.0], [3.0, 1.0], [2.0, 1.0]])
    assert unique_rows(rows).tolist() == [0, 1, 3]
