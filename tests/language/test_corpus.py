"""A corpus on disk and its windows."""

import itertools
import json

import numpy as np
import pytest
import torch

from language.corpus import load_corpus, save_corpus
from language.documents import Document
from language.tokenizers import CharacterTokenizer
from language.windows import WindowStream

TOKENIZER = CharacterTokenizer(" abc")
PARTS = {
    "train": [Document("d1", "g1", "abcab"), Document("d2", "g2", "ccc")],
    "validation": [],
    "test": [Document("d3", "g3", "abba" * 10)],
}


@pytest.fixture
def corpus(tmp_path):
    save_corpus(tmp_path / "c", TOKENIZER, PARTS, {"files": ["x.txt"]})
    return load_corpus(tmp_path / "c")


def test_there_and_back(corpus):
    assert sorted(corpus.parts) == ["test", "train"]
    train = corpus.part("train")
    assert TOKENIZER.decode(train.tokens.tolist()) == "abcab ccc "
    assert train.tokens.dtype == np.dtype("<u2")
    assert isinstance(train.tokens, np.memmap)
    assert (train.characters, train.groups) == (10, ["g1", "g2"])
    assert corpus.description == {"files": ["x.txt"]}


def test_large_vocabularies_take_four_bytes(tmp_path):
    alphabet = "".join(map(chr, range(32, 0xD800))) + "".join(map(chr, range(0xE000, 0x13000)))
    tokenizer = CharacterTokenizer(alphabet)
    save_corpus(tmp_path, tokenizer, {"train": [Document("d", "g", alphabet[-3:])]}, {})
    tokens = load_corpus(tmp_path).part("train").tokens
    assert tokens.tolist()[:3] == [len(alphabet) - 3, len(alphabet) - 2, len(alphabet) - 1]


def test_windows_do_not_overlap_and_are_spread(corpus):
    part = corpus.part("test")  # 41 tokens
    windows = part.windows(4)
    assert windows.shape == (10, 4)
    assert torch.equal(windows.flatten(), torch.from_numpy(part.tokens[:40].astype(np.int64)))
    assert torch.equal(part.windows(4, 5), windows[::2])
    assert torch.equal(part.windows(4, 99), windows)


def test_windows_that_cannot_be(corpus):
    for length, num in ((42, None), (4, 0)):
        with pytest.raises(ValueError, match="at least one window"):
            corpus.part("test").windows(length, num)
    with pytest.raises(ValueError, match=r"no part 'validation' in .*; there are train, test"):
        corpus.part("validation")


class TestStream:
    def batches(self, corpus, num, start=0, seed=0, length=4):
        stream = WindowStream(corpus.part("test"), length, 8, seed, start)
        return [batch["x_1"] for batch in itertools.islice(stream, num)]

    def test_batch_n_depends_on_its_number_alone(self, corpus):
        whole, rest = self.batches(corpus, 5), self.batches(corpus, 3, start=2)
        assert all(torch.equal(a, b) for a, b in zip(whole[2:], rest, strict=True))
        assert not torch.equal(whole[0], whole[1])
        assert not torch.equal(whole[0], self.batches(corpus, 1, seed=1)[0])

    def test_windows_are_from_the_text_and_from_all_of_it(self, corpus):
        text = TOKENIZER.decode(corpus.part("test").tokens.tolist())
        rows = torch.cat(self.batches(corpus, 50)).tolist()
        seen = [TOKENIZER.decode(row) for row in rows]
        assert all(window in text for window in seen)
        assert set(seen) == {text[i : i + 4] for i in range(len(text) - 3)}

    def test_one_window_that_is_all(self, corpus):
        tokens = corpus.part("test").tokens
        assert (self.batches(corpus, 1, length=len(tokens))[0].numpy() == tokens).all()

    def test_a_part_too_short(self, corpus):
        with pytest.raises(ValueError, match="at least 42 tokens to train on, got 41"):
            self.batches(corpus, 1, length=42)


@pytest.mark.parametrize("damage", ["json", "format", "short", "missing", "entry", "parts"])
def test_damage_is_told(corpus, damage):
    path = corpus.folder / "corpus.json"
    content = json.loads(path.read_text())
    if damage == "json":
        path.write_text("{")
    elif damage == "format":
        path.write_text(json.dumps(content | {"format": 9}))
    elif damage == "entry":
        del content["parts"]["train"]["tokens"]
        path.write_text(json.dumps(content))
    elif damage == "parts":
        path.write_text(json.dumps(content | {"parts": []}))
    elif damage == "short":
        (corpus.folder / "train.bin").write_bytes(b"\0\0")
    else:
        (corpus.folder / "train.bin").unlink()
    with pytest.raises(ValueError, match="damaged corpus"):
        load_corpus(corpus.folder)


def test_no_corpus(tmp_path):
    with pytest.raises(ValueError, match="make one with: seqflow language prepare"):
        load_corpus(tmp_path)


def test_a_document_that_cannot_be_encoded(tmp_path):
    with pytest.raises(ValueError, match="d9: expected characters"):
        save_corpus(tmp_path, TOKENIZER, {"train": [Document("d9", "g", "xyz")]}, {})
    assert not list(tmp_path.iterdir())
