"""Snapshots as graphs: architectures as data, rolled and unrolled graphs, initial weights."""

from nndynbench.graphs.architecture import Architecture, Layer, architecture, architecture_names
from nndynbench.graphs.initialisation import random_weights
from nndynbench.graphs.layered import LayeredGraph
from nndynbench.graphs.rolled import rolled
from nndynbench.graphs.unrolled import unrolled
from nndynbench.graphs.weights import Weights

__all__ = [
    "Architecture",
    "Layer",
    "LayeredGraph",
    "Weights",
    "architecture",
    "architecture_names",
    "random_weights",
    "rolled",
    "unrolled",
]
