"""The paper's signatures as they differ from those of the network's own initialisation: what training has changed.

Kernel and C are chosen inside each training fold, since the paper names neither; its regression is by least squares,
where an RBF kernel stands here. Differences are small beside the signatures, so they count a hundredfold before the
logarithm, which is then close to linear for small ones.
"""

from sklearn.impute import SimpleImputer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, SVR

import nndynbench as nb

SCALE = 100
SIZES = [1, 10, 100, 1000]  # of C


def since_initialisation(centrality: str) -> object:
    def columns(history: nb.History) -> dict[str, float]:
        changes = history.signature(centrality) - history.signature(centrality, epochs=[0])
        return {f"{centrality}_{i}": value for i, value in enumerate(SCALE * changes.ravel())}

    return columns


def chosen(centrality: str, learner: object, choices: dict[str, list]) -> Pipeline:
    return make_pipeline(
        nb.Columns([since_initialisation(centrality)]),
        nb.SignedLogarithm(),
        SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True),
        StandardScaler(),
        GridSearchCV(learner, choices),
    )


METHODS = {
    f"{centrality}-relative-svm": nb.Method(
        description=f"{centrality} signatures of the rolled graph, relative to epoch 0, SVM with chosen kernel and C",
        source="Vahedian et al. 2021, arXiv 2111.05410, sections 3.2 and 4, relative to the initialisation",
        reads={"weights"},
        classifier=chosen(centrality, SVC(), {"kernel": ["linear", "rbf"], "C": SIZES}),
        regressor=chosen(centrality, SVR(), {"C": SIZES}),
    )
    for centrality in ("degree", "eigenvector")
}
