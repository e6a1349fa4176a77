"""How good will a neural network become? A benchmark of methods that predict this from the first training epochs.

The public names are those of ``__init__.pyi`` beside this file; each is imported when it is first used, so that
``import nndynbench`` costs next to nothing.
"""

from typing import Any

import lazy_loader

_attribute, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("nndynbench")
    return _attribute(name)
