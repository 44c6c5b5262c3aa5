"""From text to tokens and back: characters, or pieces of words (byte-pair encoding).

Byte-pair encoding (Sennrich et al. 2016) starts from bytes and joins the most frequent pair
of neighbours again and again, within words; any text can be written, and comes back as it was.
Both kinds may fold the text first (`folding`). Between documents stands a token of its own or,
for characters, a line break, or a space where the alphabet has none.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from seqflow.files import replacing

from .folding import FOLDED, fold

FORMAT = 1
FILE = "tokenizer.json"
_END = "<|end|>"
_PIECE = 2**20  # characters that are encoded at once: the library keeps much about each

Tokens = NDArray[np.int64]


class Tokenizer(Protocol):
    """Numbers the pieces of a text."""

    @property
    def folded(self) -> bool:
        """Whether texts are folded first."""
        ...

    @property
    def num_classes(self) -> int:
        """K, how many tokens there are."""
        ...

    @property
    def separator(self) -> int:
        """The token between documents."""
        ...

    def encode(self, text: str) -> Tokens:
        """The tokens of a text; ``ValueError`` for one that cannot be written in them."""
        ...

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of tokens; a separator is a line break."""
        ...

    def state(self) -> dict[str, Any]:
        """All that builds it again, in plain values."""
        ...


@dataclass(frozen=True)
class CharacterTokenizer:
    """One token a character, numbered as in the alphabet.

    Attributes:
        alphabet: the characters, each once, a line break or a space among them.
        folded: whether texts are folded first.

    Raises:
        ValueError: for another alphabet.

    Example:
        >>> tokenizer = CharacterTokenizer(" abc")
        >>> tokenizer.encode("a cab")
        array([1, 0, 3, 1, 2])
    """

    alphabet: str
    folded: bool = False
    _table: Tokens = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        codes = _code_points(self.alphabet)
        if len(set(self.alphabet)) < max(2, len(self.alphabet)):
            raise ValueError(f"expected at least two characters, each once: {self.alphabet!r}")
        if not {"\n", " "} & set(self.alphabet):
            raise ValueError("expected a line break or a space in the alphabet")
        table = np.full(int(codes.max()) + 2, -1)
        table[codes] = np.arange(len(codes))
        object.__setattr__(self, "_table", table)  # frozen; this one is read off the alphabet

    @classmethod
    def of(cls, documents: Iterable[str], *, folded: bool = False) -> CharacterTokenizer:
        """The tokenizer of all characters in ``documents``; a line break is always one."""
        if folded:
            return cls(FOLDED, folded=True)
        found = {"\n"}
        for document in documents:
            found |= set(document)
        return cls("".join(sorted(found)))

    @property
    def num_classes(self) -> int:
        """The size of the alphabet."""
        return len(self.alphabet)

    @property
    def separator(self) -> int:
        """The line break, else the space."""
        return self.alphabet.index("\n" if "\n" in self.alphabet else " ")

    def encode(self, text: str) -> Tokens:
        """The number of each character."""
        codes = _code_points(fold(text) if self.folded else text)
        tokens: Tokens = self._table[np.minimum(codes, len(self._table) - 1)]
        if (tokens < 0).any():
            position = int((tokens < 0).argmax())
            raise ValueError(
                f"expected characters of the alphabet {self.alphabet!r}, got {text[position]!r} "
                f"at position {position + 1}"
            )
        return tokens

    def decode(self, tokens: Sequence[int]) -> str:
        """The characters."""
        return "".join(self.alphabet[token] for token in tokens)

    def state(self) -> dict[str, Any]:
        """The alphabet."""
        return {"kind": "character", "alphabet": self.alphabet, "folded": self.folded}


class BytePairTokenizer:
    """Pieces of words, learned from a corpus.

    Args:
        model: the ``tokenizers`` library's own description, in plain values.
        folded: whether texts are folded first.
    """

    def __init__(self, model: dict[str, Any], *, folded: bool = False) -> None:
        from tokenizers import Tokenizer as Library

        self.folded = folded
        self._library = Library.from_str(json.dumps(model))
        self._library.encode_special_tokens = True  # the separator's name in a text is text

    @classmethod
    def of(
        cls, documents: Iterable[str], *, vocabulary: int, folded: bool = False
    ) -> BytePairTokenizer:
        """The tokenizer of at most ``vocabulary`` tokens, learned from ``documents``.

        Raises ``ValueError`` for a vocabulary too small for single bytes.
        """
        from tokenizers import Tokenizer as Library
        from tokenizers import decoders, models, pre_tokenizers, trainers

        alphabet = pre_tokenizers.ByteLevel.alphabet()
        if folded:
            alphabet = [each for each in alphabet if each in FOLDED or each == "Ġ"]  # a space
        if vocabulary <= len(alphabet):
            raise ValueError(
                f"expected a vocabulary of more than {len(alphabet)} tokens, one for each byte "
                f"and one between documents, got {vocabulary}"
            )
        library = Library(models.BPE())
        library.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        library.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=vocabulary,
            special_tokens=[_END],
            initial_alphabet=alphabet,
            show_progress=False,
        )
        texts = map(fold, documents) if folded else documents
        library.train_from_iterator((piece for text in texts for piece in _pieces(text)), trainer)
        return cls(json.loads(library.to_str()), folded=folded)

    @property
    def num_classes(self) -> int:
        """The size of the vocabulary."""
        size: int = self._library.get_vocab_size()
        return size

    @property
    def separator(self) -> int:
        """The token that ends a document."""
        token: Any = self._library.token_to_id(_END)
        return int(token)

    def encode(self, text: str) -> Tokens:
        """The pieces of each word."""
        text = fold(text) if self.folded else text
        found = [self._library.encode(piece).ids for piece in _pieces(text)]
        return np.array([token for ids in found for token in ids], dtype=np.int64)

    def decode(self, tokens: Sequence[int]) -> str:
        """The text; bytes that are no character are shown as U+FFFD."""
        documents: list[list[int]] = [[]]
        for token in tokens:
            if token == self.separator:
                documents.append([])
            else:
                documents[-1].append(int(token))
        return "\n".join(self._library.decode(ids) for ids in documents)

    def state(self) -> dict[str, Any]:
        """The library's description."""
        model = json.loads(self._library.to_str())
        return {"kind": "bpe", "folded": self.folded, "model": model}


def save_tokenizer(folder: Path, tokenizer: Tokenizer) -> None:
    """Write it into a folder."""
    with replacing(folder / FILE) as path:
        content = {"format": FORMAT} | tokenizer.state()
        path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


def load_tokenizer(folder: Path) -> Tokenizer:
    """Read it from a folder; raises ``ValueError`` if there is none, or a damaged one."""
    path = folder / FILE
    if not path.is_file():
        raise ValueError(f"no tokenizer in {folder}: there is no {FILE}")
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
        if state["format"] != FORMAT:
            raise ValueError(f"of format {state['format']!r}, not {FORMAT}")
        tokenizer: Tokenizer = _BUILDERS[state["kind"]](state)
        return tokenizer
    # The library raises plain exceptions for a description that is none.
    except ModuleNotFoundError:
        raise
    except Exception as error:
        raise ValueError(f"damaged tokenizer: {path} cannot be read ({error})") from None


_BUILDERS: dict[str, Any] = {
    "character": lambda state: CharacterTokenizer(state["alphabet"], state["folded"]),
    "bpe": lambda state: BytePairTokenizer(state["model"], folded=state["folded"]),
}


def _code_points(text: str) -> NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


def _pieces(text: str) -> Iterator[str]:
    """The text in parts, cut in front of a space, where no token is cut."""
    start = 0
    while start < len(text):
        end = text.find(" ", start + _PIECE)
        end = len(text) if end < 0 else end
        yield text[start:end]
        start = end
