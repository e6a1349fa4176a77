"""What networks of neighbouring cells of the grid reached: a smoother over hyperparameters, which looks at no network.

It is there for `transfer-apart`. That protocol tests cells that no network learnt from had, but their neighbours are learnt
from, and end alike on other architectures too. `hyperparameters` (baselines/bar.py) is a blend that is made to be good
within a subset, and where it extrapolates to another one's range it may put the order upside down. A mean of neighbours
cannot. So a method that carries something over from the networks must beat this row as well.
"""

import numpy as np
from sklearn.impute import SimpleImputer
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import nndynbench as nb

SHARES = {"dropout", "label_noise"}
SMALLEST = 1e-8
WIDTH = 0.2  # in standard deviations; of 0.2 and 0.3, and 5, 8 and 12 neighbours, the best on digits-lenet's folds


def cell(history: nb.History) -> dict[str, float | str]:
    """The hyperparameters on the scale by which grids space them: shares and words as they are, numbers as logarithms."""
    values = history.hyperparameters
    return {n: v if isinstance(v, str) or n in SHARES else float(np.log(max(v, SMALLEST))) for n, v in values.items()}


def fading(distances: np.ndarray) -> np.ndarray:
    """Gaussian weights of a cell's neighbours, (cells, neighbours). The nearest one's is 1, however far away it is."""
    return np.exp(-(distances**2 - distances[:, :1] ** 2) / (2 * WIDTH**2))


METHODS = {
    "grid-neighbours": nb.Method(
        description="mean of the five nearest cells of the grid, by Gaussian weights",
        source="Nadaraya 1964, doi 10.1137/1109020, on the nearest neighbours",
        role="trivial",
        reads={"hyperparameters"},
        regressor=make_pipeline(
            nb.Columns([cell]),
            SimpleImputer(strategy="median", keep_empty_features=True),
            StandardScaler(),
            KNeighborsRegressor(5, weights=fading),
        ),
    )
}
