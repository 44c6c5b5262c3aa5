"""Where points live: manifolds, their geodesics and their distributions.

The names below load on first use, so that ``import geometry`` stays instant.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
