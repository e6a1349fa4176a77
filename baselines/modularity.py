"""n-cut of the rolled graph: how well its nodes fall into clusters that few edges connect, by spectral clustering."""

import numpy as np
from sklearn.cluster import KMeans
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import nndynbench as nb

CLUSTERS = 12


def n_cut(graph: nb.graphs.LayeredGraph) -> np.ndarray:
    """Σ over clusters of (weight of edges that leave it) / (degree sum within it); one value, NaN if not finite."""
    adjacency = graph.to_scipy().toarray()
    degrees = adjacency.sum(axis=1)
    if not np.isfinite(degrees).all():
        return np.array([np.nan])
    linked = degrees > 0
    adjacency, degrees = adjacency[np.ix_(linked, linked)], degrees[linked]
    roots = np.sqrt(degrees)
    _, vectors = np.linalg.eigh(adjacency / np.outer(roots, roots))
    # Shi and Malik's relaxation: the leading eigenvectors of the random walk are nearly constant within clusters. The first
    # is constant everywhere, and its spread is rounding.
    embedding = vectors[:, -CLUSTERS:-1] / roots[:, None]
    cluster = KMeans(CLUSTERS, n_init=1, random_state=0).fit_predict(embedding / embedding.std(axis=0))
    inside = np.eye(CLUSTERS)[cluster]
    volume = inside.T @ degrees
    kept = np.einsum("ik,ij,jk->k", inside, adjacency, inside, optimize=True)
    filled = volume > 0
    return np.array([np.sum(1 - kept[filled] / volume[filled])])


SIGNATURE = nb.Signature(n_cut)
PREPARED = (SIGNATURE, SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler())

METHODS = {
    "n-cut": nb.Method(
        description=f"n-cut of the rolled graph into {CLUSTERS} clusters at each epoch, logistic or linear regression",
        source="Filan et al. 2021, arXiv 2103.03386",
        reads={"weights"},
        classifier=make_pipeline(*PREPARED, LogisticRegression()),
        regressor=make_pipeline(*PREPARED, LinearRegression()),
    )
}
