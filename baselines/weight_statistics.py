"""Statistics of each layer's weights and biases at the last epoch, and gradient-boosted trees."""

from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline

import nndynbench as nb

STATISTICS = tuple(
    f"{of}{statistic}" for of in ("", "bias_") for statistic in nb.features.STATISTICS
)  # mean, standard deviation, quartiles


def statistics(history: nb.History) -> dict[str, float]:
    return {name: value for name, value in nb.columns.last_features(history).items() if name.startswith(STATISTICS)}


def boosted(trees: object) -> Pipeline:
    return make_pipeline(nb.Columns([statistics]), SimpleImputer(strategy="median", keep_empty_features=True), trees)


METHODS = {
    "weight-statistics": nb.Method(
        description="mean, standard deviation and quartiles of each layer's weights and biases, gradient-boosted trees",
        source="Unterthiner et al. 2020, arXiv 2002.11448",
        reads={"weights"},
        classifier=boosted(GradientBoostingClassifier(subsample=0.7, max_features=0.3)),
        regressor=boosted(GradientBoostingRegressor(subsample=0.7, max_features=0.3)),
    )
}
