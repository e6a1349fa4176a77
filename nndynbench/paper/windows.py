"""Tables 3 and 4 as methods: linear regression on the degree signatures of a window of epochs.

A window "a-b" is read in two ways: half-open, as epochs a+1 to b ("two consecutive epochs"), and closed, as epochs a to b.
The paper does not say whether epoch 0, the initialisation, counts. In both readings here, windows start at epoch 1 at the
earliest.
"""

from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import nndynbench as nb

WINDOWS = ("0-2", "1-3", "0-3", "3-5", "5-7", "7-9")
READINGS = {"half-open": 1, "closed": 0}


def window_epochs(window: str, reading: str) -> list[int]:
    first, last = map(int, window.split("-"))
    return list(range(max(1, first + READINGS[reading]), last + 1))


def on_window(window: str, reading: str) -> nb.Method:
    epochs = window_epochs(window, reading)
    return nb.Method(
        description=f"degree signatures of epochs {epochs[0]} to {epochs[-1]}, linear regression",
        source="Vahedian et al. 2021, arXiv 2111.05410, Tables 3 and 4",
        reads={"weights"},
        regressor=make_pipeline(
            nb.Signature("degree", epochs=epochs),
            nb.SignedLogarithm(),
            SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True),
            StandardScaler(),
            LinearRegression(),
        ),
    )


METHODS = {f"degree-{window}-{reading}": on_window(window, reading) for window in WINDOWS for reading in READINGS}
