"""The older name of `nndynbench.protocols.best_methods`, by which `nndynbench.prediction` still imports it."""

from nndynbench.protocols.best_methods import NoMethodError, best_method
from nndynbench.protocols.best_methods import best_methods as board

__all__ = ["NoMethodError", "best_method", "board"]
