"""Snapshots as graphs: architectures as data, and the rolled and unrolled graphs of weights or of a user's module."""

from nndynbench.graphs.architecture import Architecture, ArchitectureError, Layer, architecture, architecture_names
from nndynbench.graphs.describing import describe
from nndynbench.graphs.initialisation import initial_weights, random_weights
from nndynbench.graphs.layered import LayeredGraph, NotRepresentableError
from nndynbench.graphs.modules import from_module
from nndynbench.graphs.naming import NamingError, renamed
from nndynbench.graphs.on_demand import SnapshotsOnDemand
from nndynbench.graphs.rolled import rolled
from nndynbench.graphs.unrolled import unrolled
from nndynbench.graphs.weights import Weights

__all__ = [
    "Architecture",
    "ArchitectureError",
    "Layer",
    "LayeredGraph",
    "NamingError",
    "NotRepresentableError",
    "SnapshotsOnDemand",
    "Weights",
    "architecture",
    "architecture_names",
    "describe",
    "from_module",
    "initial_weights",
    "random_weights",
    "renamed",
    "rolled",
    "unrolled",
]
