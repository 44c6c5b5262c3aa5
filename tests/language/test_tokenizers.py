"""Both kinds of tokenizers: there and back, on disk, and what they refuse."""

import json

import numpy as np
import pytest

from language.folding import FOLDED, fold
from language.tokenizers import (
    BytePairTokenizer,
    CharacterTokenizer,
    load_tokenizer,
    save_tokenizer,
)

TEXTS = ["It was the best of times,\nit was the worst of times", "Zoë ate 3 € of \t <|end|> 茶"]
TOKENIZERS = {
    "character": CharacterTokenizer.of(TEXTS),
    "character folded": CharacterTokenizer.of(TEXTS, folded=True),
    "bpe": BytePairTokenizer.of(TEXTS, vocabulary=270),
    "bpe folded": BytePairTokenizer.of(TEXTS, vocabulary=40, folded=True),
}


@pytest.fixture(params=TOKENIZERS)
def tokenizer(request):
    return TOKENIZERS[request.param]


def test_there_and_back(tokenizer):
    for text in [*TEXTS, ""]:
        tokens = tokenizer.encode(text)
        assert tokens.dtype == np.int64
        assert tokens.ndim == 1
        assert ((tokens >= 0) & (tokens < tokenizer.num_classes)).all()
        assert tokenizer.decode(tokens.tolist()) == (fold(text) if tokenizer.folded else text)


def test_on_disk(tokenizer, tmp_path):
    save_tokenizer(tmp_path, tokenizer)
    again = load_tokenizer(tmp_path)
    assert again.state() == tokenizer.state()
    assert again.num_classes == tokenizer.num_classes
    assert np.array_equal(again.encode(TEXTS[0]), tokenizer.encode(TEXTS[0]))
    assert [path.name for path in tmp_path.iterdir()] == ["tokenizer.json"]


def test_a_separator_is_no_letter(tokenizer):
    assert 0 <= tokenizer.separator < tokenizer.num_classes
    a, b = (tokenizer.encode(text).tolist() for text in ("it", "was"))
    between = " " if tokenizer is TOKENIZERS["character folded"] else "\n"
    assert tokenizer.decode([*a, tokenizer.separator, *b]) == f"it{between}was"


def test_the_name_of_the_separator_is_text_in_a_text():
    tokenizer = TOKENIZERS["bpe"]
    assert tokenizer.separator not in tokenizer.encode("<|end|>")


def test_pieces_are_longer_than_letters():
    tokenizer = BytePairTokenizer.of(["the cat and the hat " * 50], vocabulary=300)
    assert len(tokenizer.encode("the cat and the hat")) < 8


def test_long_texts_are_cut_where_no_token_is(monkeypatch):
    tokenizer, text = TOKENIZERS["bpe"], TEXTS[0] * 20
    whole = tokenizer.encode(text)
    monkeypatch.setattr("language.tokenizers._PIECE", 7)
    assert np.array_equal(tokenizer.encode(text), whole)


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("It was, in 1813, a café.", "it was in a cafe "),
        ("ÀÉÎ ﬁn", "aei fin"),
        ("", ""),
        ("茶", " "),
        ("a\n\nb", "a b"),
    ],
)
def test_folding(text, folded):
    assert fold(text) == folded
    assert fold(folded) == folded
    assert set(folded) <= set(FOLDED)


def test_letters_that_are_not_there():
    with pytest.raises(ValueError, match=r"got 'X' at position 3"):
        CharacterTokenizer(" ab").encode("abXab")
    with pytest.raises(ValueError, match=r"got '茶' at position 1"):
        CharacterTokenizer(" ab").encode("茶")


@pytest.mark.parametrize("alphabet", ["", " ", "aa b", "ab"])
def test_alphabets_that_are_none(alphabet):
    with pytest.raises(ValueError, match="expected"):
        CharacterTokenizer(alphabet)


def test_a_vocabulary_below_the_bytes():
    with pytest.raises(ValueError, match="more than 256 tokens"):
        BytePairTokenizer.of(TEXTS, vocabulary=256)


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"format": 1, "kind": "magic"}', '{"format": 2}']
)
def test_damaged_files(tmp_path, content):
    (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(ValueError, match="damaged tokenizer"):
        load_tokenizer(tmp_path)


def test_a_damaged_library_file(tmp_path):
    save_tokenizer(tmp_path, TOKENIZERS["bpe"])
    content = json.loads((tmp_path / "tokenizer.json").read_text())
    content["model"]["model"] = {}
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match="damaged tokenizer"):
        load_tokenizer(tmp_path)


def test_no_file(tmp_path):
    with pytest.raises(ValueError, match="no tokenizer in"):
        load_tokenizer(tmp_path)
