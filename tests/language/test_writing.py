"""Samples on disk in every format."""

import gzip
import json

import pytest

from language.writing import html_sheet, markdown_sheet, write_samples

TEXTS = ["it was <b>", "```\nnot a block\n```", "& so on", ""]


def test_plain_text(tmp_path):
    write_samples(str(tmp_path / "out.txt"), TEXTS, {})
    assert (tmp_path / "out.txt").read_text() == "".join(f"{text}\n" for text in TEXTS)


@pytest.mark.parametrize("name", ["out.jsonl", "out.jsonl.gz"])
def test_records(tmp_path, name):
    for _ in range(2):
        write_samples(str(tmp_path / name), TEXTS, {"seed": 7})
    content = (tmp_path / name).read_bytes()
    content = gzip.decompress(content) if name.endswith("gz") else content
    records = [json.loads(line) for line in content.decode().splitlines()]
    assert [record["text"] for record in records] == TEXTS
    assert [(record["seed"], record["index"]) for record in records] == [(7, i) for i in range(4)]


def test_the_same_samples_are_the_same_file(tmp_path):
    for name in ("a.jsonl.gz", "b.jsonl.gz"):
        write_samples(str(tmp_path / name), TEXTS, {})
    assert (tmp_path / "a.jsonl.gz").read_bytes() == (tmp_path / "b.jsonl.gz").read_bytes()


def test_text_is_no_markup():
    page = html_sheet(TEXTS, {"prompt": "it was <", "model": "a & b"})
    assert "<mark>it was &lt;</mark>b&gt;" in page
    assert "<dd>a &amp; b</dd>" in page
    assert page.count("<li>") == len(TEXTS)
    sheet = markdown_sheet(TEXTS, {"seed": 0})
    assert "\n````\n```\nnot a block\n```\n````\n" in sheet
    assert "* seed: `0`" in sheet


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(ValueError, match="there is no folder"):
        write_samples(str(tmp_path / "none" / "out.md"), TEXTS, {})
