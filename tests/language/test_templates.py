"""Prompts as templates."""

import pytest

from language.templates import continue_prompt
from language.tokenizers import CharacterTokenizer


@pytest.mark.parametrize("length", [0, -3])
def test_a_length_that_cannot_be(length):
    with pytest.raises(ValueError, match=f"length of at least 1, got {length}"):
        continue_prompt("", length, CharacterTokenizer(" ab"))
