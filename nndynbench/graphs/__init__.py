"""Snapshots as graphs: architectures as data, rolled and unrolled graphs of their weights or of a user's module."""

from nndynbench.graphs.architecture import Architecture, Layer, architecture, architecture_names
from nndynbench.graphs.initialisation import initial_weights, random_weights
from nndynbench.graphs.layered import LayeredGraph
from nndynbench.graphs.modules import NotRepresentableError, from_module
from nndynbench.graphs.naming import NamingError, renamed
from nndynbench.graphs.rolled import rolled
from nndynbench.graphs.unrolled import unrolled
from nndynbench.graphs.weights import Weights

__all__ = [
    "Architecture",
    "Layer",
    "LayeredGraph",
    "NamingError",
    "NotRepresentableError",
    "Weights",
    "architecture",
    "architecture_names",
    "from_module",
    "initial_weights",
    "random_weights",
    "renamed",
    "rolled",
    "unrolled",
]
