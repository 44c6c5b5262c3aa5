"""How likely data are under a model: bounds, and exact likelihoods where there are any."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
