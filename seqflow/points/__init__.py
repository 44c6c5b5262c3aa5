"""Points on any manifold: read them, learn their density, draw more, judge and picture them.

The names below load on first use. Nothing else in this package imports this front end.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
