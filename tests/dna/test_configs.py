"""Every shipped configuration is one that its command understands."""

from pathlib import Path

import pytest

from dna.settings import ClassifierSettings, GeneratorSettings
from seqflow.settings import load_settings

CONFIGS = sorted((Path(__file__).parents[2] / "configs" / "dna").glob("*.yaml"))


def test_there_are_some():
    assert len(CONFIGS) >= 5


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_config_is_valid_and_says_its_command(path):
    judge = path.stem.endswith(("oracle", "guide"))
    settings = load_settings(ClassifierSettings if judge else GeneratorSettings, path)
    assert f"seqflow dna {'oracle' if judge else 'train'} configs/dna/{path.name}" in (
        path.read_text()
    )
    assert str(settings.out).startswith("runs/dna/")
