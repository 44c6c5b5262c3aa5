"""Radial diffusion of tokens on a hypersphere: bridges from one start to the vertices.

The process is `radial_flow`; its law `bridge`; how noisy states are drawn `walks`; how samples are
stepped `moves`; what a state says of its token `evidence`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
