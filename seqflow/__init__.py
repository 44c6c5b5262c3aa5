"""Generative models of sequences and proteins on discrete spaces and manifolds.

The names below load on first use, so that ``import seqflow`` stays instant.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
