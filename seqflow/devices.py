"""Which device to compute on, from a word of the command line."""

from __future__ import annotations

import torch


def find_device(name: str) -> torch.device:
    """``auto`` is the accelerator if there is one, else the CPU; other names are torch's.

    Raises:
        ValueError: for a name that torch does not know or a device that is not there.

    Example:
        >>> find_device("cpu")
        device(type='cpu')
    """
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    if name == "auto":
        return torch.device("cpu") if accelerator is None else accelerator
    there = ["cpu"] if accelerator is None else ["cpu", accelerator.type]
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ValueError(f"unknown device {name!r}; this machine has {', '.join(there)}") from None
    if device.type not in there:
        raise ValueError(f"no device {name!r} here; this machine has {', '.join(there)}")
    return device
