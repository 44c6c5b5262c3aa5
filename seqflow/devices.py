"""Which device to compute on, from a word of the command line."""

from __future__ import annotations

import torch


def find_device(name: str) -> torch.device:
    """``auto`` is CUDA if it is there, else the CPU; other names are torch's.

    Raises:
        ValueError: for a name that torch does not know or a device that is not there.

    Example:
        >>> find_device("cpu")
        device(type='cpu')
    """
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    count = 0 if accelerator is None else torch.accelerator.device_count()
    there = ["cpu"] + [f"{accelerator.type}:{i}" for i in range(count) if accelerator is not None]
    if name == "auto":  # other accelerators lack float64, which weights are computed in
        return torch.device("cuda" if any("cuda" in each for each in there) else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ValueError(f"unknown device {name!r}; this machine has {', '.join(there)}") from None
    if device.type not in {each.partition(":")[0] for each in there} or (
        device.index is not None and f"{device.type}:{device.index}" not in there
    ):
        raise ValueError(f"no device {name!r} here; this machine has {', '.join(there)}")
    return device
