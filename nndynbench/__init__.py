"""How good will a neural network become? A benchmark for answering from its first training epochs.

The public names are those of ``__init__.pyi`` beside this file; each is imported when it is first used, so that
``import nndynbench`` costs next to nothing.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
