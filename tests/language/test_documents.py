"""Documents from files, lines and tables, and how they are split."""

import gzip

import pytest

from language.documents import Document, read_files, read_indexed
from language.splits import PARTS, Fractions, split_documents

TABLE = "file\tauthor\tstart\tchars\na.txt\tA\t0\t5\nb.txt\tB\t6\t5\n"


def write(folder, **contents):
    for name, content in contents.items():
        (folder / f"{name}.txt").write_text(content)
    return [folder / f"{name}.txt" for name in contents]


def test_a_file_is_a_document_and_folders_are_searched(tmp_path):
    write(tmp_path, a="one", b="two")
    (tmp_path / "c.txt.gz").write_bytes(gzip.compress(b"three"))
    (tmp_path / "d.csv").write_text("no")
    found, refused = read_files([tmp_path])
    assert [(each.name, each.text) for each in found] == [
        ("a.txt", "one"),
        ("b.txt", "two"),
        ("c.txt.gz", "three"),
    ]
    assert refused == []


def test_a_line_is_a_document(tmp_path):
    found, _ = read_files(write(tmp_path, a="one\n\n  \ntwo\n"), by_line=True)
    assert [(each.name, each.text) for each in found] == [("a.txt:1", "one"), ("a.txt:4", "two")]


def test_what_cannot_be_read_is_refused_and_the_rest_is_used(tmp_path):
    paths = write(tmp_path, a="one", blank=" \n")
    (tmp_path / "bytes.txt").write_bytes(b"ab\xff")
    (tmp_path / "half.txt.gz").write_bytes(gzip.compress(b"three" * 100)[:20])
    paths += [tmp_path / name for name in ("bytes.txt", "half.txt.gz", "none.txt")]
    found, refused = read_files(paths)
    assert [each.text for each in found] == ["one"]
    for line, message in zip(
        refused,
        ["blank.txt: expected a text", "byte 0xff at offset 2", "complete gzip", "No such file"],
        strict=True,
    ):
        assert message in line
        assert str(tmp_path) in line


def test_a_table_says_where_documents_are(tmp_path):
    (path,) = write(tmp_path, text="first thatn")
    (tmp_path / "index.tsv").write_text(TABLE)
    found, refused = read_indexed(path, tmp_path / "index.tsv", group="author")
    assert found == [Document("a.txt", "A", "first"), Document("b.txt", "B", "thatn")]
    assert refused == []
    found, _ = read_indexed(path, tmp_path / "index.tsv")
    assert [each.group for each in found] == ["a.txt", "b.txt"]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("c\tC\t9\t5", "line 4: start 9 and chars 5 lie outside"),
        ("c\tC\t-1\t5", "lie outside"),
        ("c\tC\t0\t0", "lie outside"),
        ("c\tC\tx\t5", "line 4: invalid literal"),
        ("c\tC\t0", "line 4"),
        ("c\t\t0\t5", "expected a value in column 'author'"),
    ],
)
def test_bad_rows_are_refused(tmp_path, row, message):
    (path,) = write(tmp_path, text="first thatn")
    (tmp_path / "index.tsv").write_text(TABLE + row + "\n")
    found, refused = read_indexed(path, tmp_path / "index.tsv", group="author")
    assert len(found) == 2
    assert message in refused[0]


def test_missing_columns(tmp_path):
    (path,) = write(tmp_path, text="first thatn")
    (tmp_path / "index.tsv").write_text(TABLE.replace("author", "writer"))
    with pytest.raises(ValueError, match=r"no column 'author'; there are file, writer"):
        read_indexed(path, tmp_path / "index.tsv", group="author")


def documents(*sizes):
    return [Document(f"d{i}", f"g{i}", "x" * size) for i, size in enumerate(sizes)]


class TestSplit:
    @pytest.mark.parametrize("seed", range(5))
    @pytest.mark.parametrize("sizes", [[10] * 40, [1, 2, 3], [1000, 1, 1, 1], range(1, 30)])
    def test_every_group_is_in_one_part_and_no_part_is_empty(self, sizes, seed):
        parts = split_documents(documents(*sizes), Fractions(0.8, 0.1, 0.1), seed=seed)
        names = [each.name for name in PARTS for each in parts[name]]
        assert sorted(names) == sorted(f"d{i}" for i in range(len(sizes)))
        groups = [{each.group for each in parts[name]} for name in PARTS]
        assert all(groups)
        assert not groups[0] & groups[1]
        assert not (groups[0] | groups[1]) & groups[2]

    def test_sizes_are_near_the_fractions(self):
        parts = split_documents(documents(*[10] * 100), Fractions(0.8, 0.1, 0.1))
        assert {name: len(part) for name, part in parts.items()} == {
            "train": 80,
            "validation": 10,
            "test": 10,
        }

    def test_the_same_seed_gives_the_same_split(self):
        ours = documents(*range(1, 20))
        first, again, other = (split_documents(ours, Fractions(), seed=s) for s in (1, 1, 2))
        assert first == again != other

    def test_parts_of_fraction_zero_get_nothing(self):
        parts = split_documents(documents(5, 5), Fractions(0.5, 0.0, 0.5))
        assert [len(parts[name]) for name in PARTS] == [1, 0, 1]
        parts = split_documents(documents(5), Fractions(1.0, 0.0, 0.0))
        assert [len(parts[name]) for name in PARTS] == [1, 0, 0]

    def test_one_document_is_cut(self):
        text = "".join(map(chr, range(100, 200)))
        parts = split_documents([Document("d", "g", text)], Fractions(0.8, 0.1, 0.1))
        assert "".join(parts[name][0].text for name in PARTS) == text
        assert len(parts["train"][0].text) == 80

    @pytest.mark.parametrize("fractions", [(0, 0.5, 0.5), (1, 0.1, -0.1), (0.5, 0.1, 0.1)])
    def test_fractions_that_are_none(self, fractions):
        with pytest.raises(ValueError, match="three shares"):
            split_documents(documents(1, 2, 3), Fractions(*fractions))
