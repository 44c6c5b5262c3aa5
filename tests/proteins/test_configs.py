"""Every shipped configuration is one that its command understands."""

from pathlib import Path

import pytest

from proteins.models import build_flow, build_loss
from proteins.rectification_settings import RectificationSettings
from proteins.settings import GeneratorSettings
from seqflow.schedules import LINEAR, ExponentialSchedule
from seqflow.settings import load_settings

FOLDER = Path(__file__).parents[2] / "configs" / "proteins"
RECTIFIED = FOLDER / "rectified.yaml"
CONFIGS = sorted(set(FOLDER.glob("*.yaml")) - {RECTIFIED})


def test_there_are_some():
    assert CONFIGS


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_config_is_valid_and_says_its_command(path):
    settings = load_settings(GeneratorSettings, path)
    assert f"seqflow proteins train configs/proteins/{path.name}" in path.read_text()
    assert str(settings.out).startswith("runs/proteins/")


def test_the_configuration_of_rectification_is_valid_and_says_its_command():
    settings = load_settings(RectificationSettings, RECTIFIED)
    assert f"seqflow proteins rectify configs/proteins/{RECTIFIED.name}" in RECTIFIED.read_text()
    assert str(settings.out).startswith("runs/proteins/")
    build_loss(settings.loss)


def test_every_weight_and_schedule_of_a_configuration_is_used():
    path = CONFIGS[0]
    words = ["loss.links=7", "loss.rotation_error=log", "flow.training.rotation.kind=exponential"]
    words += ["flow.sampling.rotation.rate=4", "flow.rotation_prior=igso3", "loss.huber=3"]
    settings = load_settings(GeneratorSettings, path, words)
    loss, flow = build_loss(settings.loss), build_flow(settings.flow)
    assert (loss.links, loss.huber, loss.rotation_error.__name__) == (7, 3, "log_error")
    assert flow.training.rotation == ExponentialSchedule(10)
    assert flow.sampling.rotation == ExponentialSchedule(4)
    assert flow.training.translation == LINEAR
    assert "IsotropicGaussianSO3" in repr(flow.rotation_prior)
