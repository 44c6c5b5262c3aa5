import pytest
import torch

from seqflow.devices import find_device


def test_auto_is_always_there():
    assert torch.zeros(1, device=find_device("auto")).numel() == 1


def test_unknown_and_absent_devices_are_named():
    with pytest.raises(ValueError, match=r"unknown device 'abacus'; this machine has cpu"):
        find_device("abacus")
    with pytest.raises(ValueError, match=r"no device 'vulkan' here; this machine has cpu"):
        find_device("vulkan")
