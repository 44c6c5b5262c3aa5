"""Discrete flow matching: Markov chains in continuous time whose states are tokens.

Paths from masks, uniform or other noise (`mixture_path`), or through near tokens
(`metric_path`); sampling with exact steps that looks only where tokens jump (`lazy_logits`).
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
