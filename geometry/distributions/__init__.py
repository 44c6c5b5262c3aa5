"""Probability distributions on manifolds, one a file: draws from a Generator, and log densities.

The names below load on first use.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
