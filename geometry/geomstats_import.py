r"""Importing geomstats without letting its side effects out.

geomstats 2.8 chooses one backend for the whole process from GEOMSTATS_BACKEND at its first
import, sets torch's default dtype to float64 then, draws from the global generators, and does
not import with numpy 2.4. Each function here lets one of these happen only inside.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


@contextmanager
def float64_default() -> Iterator[None]:
    """torch's default dtype is float64 inside, and what it was outside."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@contextmanager
def _pytorch_backend() -> Iterator[None]:
    """GEOMSTATS_BACKEND is pytorch inside, and what it was outside."""
    before = os.environ.get("GEOMSTATS_BACKEND")
    os.environ["GEOMSTATS_BACKEND"] = "pytorch"
    try:
        yield
    finally:
        if before is None:
            del os.environ["GEOMSTATS_BACKEND"]
        else:
            os.environ["GEOMSTATS_BACKEND"] = before


@contextmanager
def random_state(generator: torch.Generator | None) -> Iterator[None]:
    """The global generators, which geomstats draws from, seeded by ``generator`` inside."""
    if generator is None:
        yield
        return
    numpy = importlib.import_module("numpy")
    seed = int(torch.randint(2**31, (), generator=generator))
    state = numpy.random.get_state()
    numpy.random.seed(seed)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            yield
    finally:
        numpy.random.set_state(state)


def check_backend() -> None:
    """Raise ``ValueError`` if geomstats runs on another backend than torch."""
    name = sys.modules["geomstats.backend"].__name__
    if name != "geomstats.pytorch":
        raise ValueError(
            f"expected geomstats on its pytorch backend, got {name}, chosen when it was first "
            f"imported; set GEOMSTATS_BACKEND=pytorch before that, or import it through "
            f"geometry.geomstats_module"
        )


def geomstats_module(name: str) -> Any:
    """Import a module of geomstats on its pytorch backend, without its side effects.

    Example:
        >>> geomstats_module("geomstats.geometry.hypersphere").Hypersphere(2).dim
        2
        >>> torch.get_default_dtype()
        torch.float32

    Args:
        name: e.g. ``"geomstats.geometry.hypersphere"``.

    Raises:
        ImportError: geomstats is missing, or numpy is too new for it.
        ValueError: geomstats was imported before on another backend.
    """
    if not hasattr(importlib.import_module("numpy"), "trapz"):
        raise ImportError(
            "expected numpy < 2.4, which geomstats 2.8 needs, got a newer one without trapz; "
            "pip install 'numpy<2.4'"
        )
    if importlib.util.find_spec("geomstats") is None:
        raise ImportError(
            "expected geomstats, got no such package; pip install 'seqflow[geometry]'"
        )
    with float64_default(), _pytorch_backend():
        importlib.import_module("geomstats.backend")
        module = importlib.import_module(name)
    check_backend()
    return module
