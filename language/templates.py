"""Templates: texts of which some positions are given, as in ``it was _____ of times``.

The mark ``_`` (or another, where it is a letter of the alphabet) stands for one free token;
what is between marks is held.
"""

from __future__ import annotations

from seqflow.inpainting import FREE

from .tokenizers import Tokenizer

MARK = "_"


def read_template(text: str, tokenizer: Tokenizer, mark: str = MARK) -> tuple[int, ...]:
    """A token of each position, `seqflow.inpainting.FREE` where anything may be.

    Raises ``ValueError`` for a template without a free position, a mark that is not one character,
    and what the tokenizer cannot write.

    Example:
        >>> from language.tokenizers import CharacterTokenizer
        >>> read_template("ab__a", CharacterTokenizer(" abc"))
        (1, 2, -1, -1, 1)
    """
    if len(mark) != 1:
        raise ValueError(f"expected one character that marks free positions, got {mark!r}")
    if mark not in text:
        raise ValueError(
            f"expected a template with free positions, {mark}, got {text!r}; to go on from a "
            "text give it as a prompt"
        )
    tokens: list[int] = []
    for number, piece in enumerate(text.split(mark)):
        tokens += [FREE] if number else []
        tokens += tokenizer.encode(piece).tolist()
    return tuple(tokens)


def continue_prompt(prompt: str, length: int, tokenizer: Tokenizer) -> tuple[int, ...]:
    """A template of ``length`` tokens that begins with a text.

    Raises ``ValueError`` if the text leaves nothing free, or for a length below one.
    """
    if length < 1:
        raise ValueError(f"expected a length of at least 1, got {length}")
    tokens = tokenizer.encode(prompt).tolist()
    if len(tokens) >= length:
        raise ValueError(
            f"the prompt has {len(tokens)} tokens, which leaves none of the {length} of a sample "
            "free; give a larger --length"
        )
    return (*tokens, *[FREE] * (length - len(tokens)))
