"""What every test and doctest of the house shares. Nothing here seeds a global generator.

At the root, not in ``tests/``, because the packages' doctests need it too.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Any

# Read when matplotlib is imported, here and in the commands that tests start.
os.environ["MPLBACKEND"] = "Agg"

import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    """Tests are small and run several at a time: threads would only get in their way."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _close_figures() -> Iterator[None]:
    """Close what a test drew; matplotlib warns of many open figures, and warnings are errors."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


@pytest.fixture(autouse=True)
def _doctest_names(doctest_namespace: dict[str, Any]) -> None:
    """Let doctests use torch without importing it, as their readers would have."""
    doctest_namespace["torch"] = torch
