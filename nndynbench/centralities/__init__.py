"""Numbers per node of a snapshot graph, and the moments that summarise them.

Everything here takes blocks: a sequence of arrays (..., n_out, n_in), one between each layer of nodes and the next. Axes in
front stack snapshots of one architecture, which are then computed together. Results list the nodes layer after layer.
"""

from nndynbench.centralities.degree import degree
from nndynbench.centralities.eigenvector import ConvergenceWarning, PrincipalPair, eigenvector_centrality, principal_pair
from nndynbench.centralities.moments import MOMENTS, moments

__all__ = [
    "MOMENTS",
    "ConvergenceWarning",
    "PrincipalPair",
    "degree",
    "eigenvector_centrality",
    "moments",
    "principal_pair",
]
