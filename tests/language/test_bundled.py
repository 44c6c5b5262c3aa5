"""The models that come with the package."""

import math

import pytest
import torch

from language.likelihood import bits
from language.models import DEFAULT_GENERATOR, DEFAULT_JUDGE, load_generator


@pytest.mark.parametrize("name", [DEFAULT_GENERATOR, DEFAULT_JUDGE])
def test_a_bundled_model_has_learned_its_language(name):
    model = load_generator(name)
    text = "it was the best of times and she had not the least doubt of what he would say to her "
    window = torch.tensor([list(map(int, model.tokenizer.encode(text)))])
    # Frequencies of letters alone cost 4.07 bits a character of the test part.
    assert bits(model, window, 1.0, num_draws=8).per_character < 3.5 < math.log2(27)
