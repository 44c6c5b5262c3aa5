"""Every shipped configuration is one that its command understands."""

from pathlib import Path

import pytest

from language.models import GeneratorSpec, build_generator
from language.settings import GeneratorSettings, PathSettings, complete_path
from language.tokenizers import CharacterTokenizer
from seqflow.settings import check_settings, load_settings

CONFIGS = sorted((Path(__file__).parents[2] / "configs" / "language").glob("*.yaml"))


def test_there_are_some():
    assert len(CONFIGS) >= 5


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_config_is_valid_and_says_its_command(path):
    settings = load_settings(GeneratorSettings, path)
    assert f"seqflow language train configs/language/{path.name}" in path.read_text()
    assert settings.out.as_posix() == f"runs/language/{path.stem.replace('_', '-')}"


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_config_makes_a_model_of_about_a_million_weights(path):
    settings = load_settings(GeneratorSettings, path)
    spec = GeneratorSpec(
        num_classes=27, length=8, method=settings.method, network=settings.network
    )
    model = build_generator(spec, CharacterTokenizer(" abcdefghijklmnopqrstuvwxyz")).network
    assert 0.9e6 < sum(weight.numel() for weight in model.parameters()) < 1.1e6


def test_parameters_are_completed_and_others_refused():
    assert complete_path("masked", PathSettings(schedule="cosine")).schedule == "cosine"
    assert complete_path("radial", None).start == 0
    assert complete_path("autoregressive", None) is None
    with pytest.raises(ValueError, match=r"masked has no start; leave out path\.start"):
        complete_path("masked", PathSettings(start=0.5))


def test_what_a_section_leaves_out_has_the_defaults_of_language():
    content = {"data": {"corpus": "c"}, "out": "o", "training": {"steps": 7}}
    given = check_settings(GeneratorSettings, content, where="here").training
    assert given.steps == 7
    assert given.muon_learning_rate == 1e-2
    assert given.precision == "bf16-mixed"
    content["training"]["muon_learning_rate"] = None
    plain = check_settings(GeneratorSettings, content, where="here").training
    assert plain.muon_learning_rate is None
