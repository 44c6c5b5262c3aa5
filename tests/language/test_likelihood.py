"""What texts cost models whose cost is known."""

import math
from dataclasses import replace

import pytest
import torch

from language.evaluation import read_file, split_windows
from language.likelihood import bits
from language.models import GeneratorSpec, build_generator
from language.settings import Method
from language.statistics import distinct, entropy, text_statistics
from language.tokenizers import CharacterTokenizer
from language.writing import json_lines
from seqflow.networks.sizes import TransformerSize

TOKENIZER = CharacterTokenizer(" abcdefg")
K, LENGTH = 8, 6
METHODS = Method.__args__


def silent(method):
    """A model with fresh weights: all tokens are equal to it, but for what the state shows."""
    spec = GeneratorSpec(
        num_classes=K, length=LENGTH, method=method, network=TransformerSize(width=8, heads=2)
    )
    return build_generator(spec, TOKENIZER)


def texts(num, size=LENGTH):
    generator = torch.Generator().manual_seed(0)
    return [
        TOKENIZER.decode(row.tolist())
        for row in torch.randint(K, (num, size), generator=generator)
    ]


@pytest.mark.parametrize("method", METHODS)
def test_uniform_tokens_cost_their_entropy(method):
    """Of independent uniform tokens evidence alone is the posterior: its bound is tight."""
    model = silent(method)
    cost = bits(model, split_windows(texts(200), model), 1.0, num_draws=16)
    # Radial evidence and walks are approximate by less than half a per cent.
    slack = 0.005 * 3 if method == "radial" else 1e-6
    assert cost.per_token == pytest.approx(3, abs=5 * cost.standard_error + slack)
    assert cost.standard_error < 0.1
    assert cost.tokens == 200 * LENGTH


@pytest.mark.parametrize("method", METHODS)
def test_the_batch_size_does_not_change_it(method):
    model = silent(method)
    windows = split_windows(texts(20), model)
    one, other = (bits(model, windows, 1.0, num_draws=2, batch_size=size) for size in (3, 64))
    # The same numbers in other sums of float32.
    assert one.per_token == pytest.approx(other.per_token, rel=1e-5)


def test_every_token_counts_alike_and_is_counted_once():
    model = silent("autoregressive")
    with torch.no_grad():
        model.network.network.head.bias.copy_(torch.arange(K))
    log_p = torch.arange(K).float().log_softmax(0)
    found = [*texts(5), *texts(3, 2 * LENGTH + 1), "a"]
    windows = split_windows(found, model)
    assert [tuple(each.shape) for each in windows] == [(11, LENGTH), (4, 1)]
    tokens = torch.cat([torch.from_numpy(TOKENIZER.encode(text)) for text in found])
    cost = bits(model, windows, 2.0)
    assert cost.per_token == pytest.approx(-float(log_p[tokens].mean()) / math.log(2), rel=1e-5)
    assert cost.per_character == pytest.approx(cost.per_token / 2)
    assert cost.tokens == len(tokens)


def test_one_window_has_no_standard_error():
    model = silent("autoregressive")
    assert math.isnan(bits(model, torch.zeros(1, 3, dtype=torch.long), 1.0).standard_error)


def test_a_shorter_window_at_the_end_has_the_spread_of_the_others():
    model = silent("autoregressive")
    with torch.no_grad():
        model.network.network.head.bias.copy_(torch.arange(K))
    windows = split_windows([*texts(5), "a"], model)
    assert [len(each) for each in windows] == [5, 1]
    whole, error = bits(model, windows[0], 1.0), bits(model, windows, 1.0).standard_error
    # Of n independent tokens with one spread: n grows by one.
    n = windows[0].numel()
    expected = whole.standard_error * math.sqrt(n / (n + 1))
    assert error == pytest.approx(expected, rel=1e-6)


def test_what_is_counted():
    assert entropy({"a": 2, "b": 1, "c": 1}) == 1.5
    assert distinct(["a b a b"], 2) == pytest.approx(2 / 3)
    assert distinct(["a b", "a b"], 2) == 0.5  # pairs do not reach over texts
    assert math.isnan(distinct(["a", ""], 2))
    found = text_statistics(["aab ab", ""])
    assert found["distinct 1"] == 1
    assert list(found) == ["entropy", "distinct 1", "distinct 2", "distinct 3"]


def test_samples_with_separators_of_lines_are_read(tmp_path):
    model = replace(silent("autoregressive"), tokenizer=CharacterTokenizer(" \u2028\x85abcde"))
    path = tmp_path / "samples.jsonl"
    path.write_text(json_lines(["a\u2028b", "c\x85"], 0), encoding="utf-8")
    assert read_file(path, model).sample == ["a\u2028b", "c\x85"]
