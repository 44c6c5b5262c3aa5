"""Tables of clusters."""

import pytest

from proteins.cluster_table import cluster_of, read_clusters


@pytest.mark.parametrize(
    "text", ["name,cluster\na:A,1\nb,2\n", "x\tname\tcluster\n0\ta:A\t1\n0\tb\t2"]
)
def test_csv_and_tsv(tmp_path, text):
    (tmp_path / "t").write_text(text)
    assert read_clusters(tmp_path / "t") == {"a:A": "1", "b": "2"}


def test_a_chain_goes_before_its_file():
    table = {"a": "file", "a:B": "chain"}
    assert [cluster_of(name, table) for name in ("a:A", "a:B", "c:A", "a")] == [
        "file",
        "chain",
        None,
        "file",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no column 'name' in its first line; there are none"),
        ("name,group\na,1", "no column 'cluster' in its first line; there are name, group"),
        ("name,cluster\na,\n", "line 2: expected a name and a cluster"),
        ("name,cluster\na\n", "line 2: expected a name and a cluster"),
        ("name,cluster\na,1\na,2\n", "line 3: 'a' is in the clusters '1' and '2'"),
    ],
)
def test_faults_are_named_with_their_line(tmp_path, text, message):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(ValueError, match=f"t.csv: {message}"):
        read_clusters(tmp_path / "t.csv")
