"""Turns histories into a table: a row per history, and a named column per number that a function takes from it.

`Columns` is the scikit-learn transformer. The functions here give it what can be read from a history.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Self, TypeAlias, cast

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

from nndynbench.arrays import FloatArray
from nndynbench.fingerprint import fingerprint
from nndynbench.storage.places import NotAtHandError

if TYPE_CHECKING:
    import pandas as pd

    from nndynbench.subsets.history import History

ColumnFunction: TypeAlias = "Callable[[History], Mapping[str, Any]]"

NO_DISTANCE = 1e-12

CURVES = ("train_loss", "train_accuracy", "validation_accuracy")

PLATEAU = 0.002  # by how much a loss at chance wobbles
AVERAGING = 0.9
PULL = 1e-4
HORIZON = 20

# Forms of learning curves, each with the shapes that are tried: rates of a power law, rates and bends of a Weibull curve.
FORMS: dict[str, list[tuple[float, ...]]] = {
    "power": [(rate,) for rate in (0.1, 0.25, 0.5, 1, 2)],
    "weibull": [(rate, bend) for rate in (0.03, 0.1, 0.3, 1) for bend in (0.5, 1, 2)],
}


class Columns(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Turns histories into a DataFrame: a scikit-learn transformer.

    Parameters
    ----------
    functions
        A function, or several. Each takes a history and returns numbers or texts by name. A name that a history lacks is
        NaN, and so is None. A text becomes a column of 0 and 1 for each value that was seen in fitting. True and False are
        1 and 0. Two functions may not return the same name (ValueError).

    Examples
    --------
    >>> import nndynbench
    >>> zoo = nndynbench.load("digits-lenet")
    >>> columns = nndynbench.Columns([nndynbench.columns.hyperparameters])
    >>> columns.fit_transform(zoo.histories([0, 1], budget=5)).shape[0]
    2
    """

    def __init__(self, functions: ColumnFunction | Sequence[ColumnFunction]) -> None:
        self.functions = functions

    def fit(self, X: Sequence[History], y: object = None) -> Self:
        """Learn the columns' names."""
        self.fit_transform(X)
        return self

    def fit_transform(self, X: Sequence[History], y: object = None) -> pd.DataFrame:
        """Learn the columns' names, and return a row per history, float64."""
        import pandas as pd

        numbers, shown = self._tables(X)
        self.columns_ = numbers.columns.append(shown.columns)
        self.shown_ = shown.columns
        return pd.concat([numbers, shown], axis=1)

    def transform(self, X: Sequence[History]) -> pd.DataFrame:
        """A row per history, float64."""
        import pandas as pd

        numbers, shown = self._tables(X)
        shown = shown.reindex(columns=self.shown_, fill_value=0.0)
        return pd.concat([numbers, shown], axis=1).reindex(columns=self.columns_)

    def get_feature_names_out(self, input_features: object = None) -> Any:
        """The columns' names."""
        return self.columns_.to_numpy()

    @property
    def own_functions(self) -> list[ColumnFunction]:
        """The functions, as a list; raises ValueError for anything else."""
        several = [self.functions] if callable(self.functions) else self.functions
        if isinstance(several, Iterable) and all(map(callable, functions := list(several))):
            return functions
        raise ValueError(f"functions must be functions of a history, not {self.functions!r:.100}")

    def _tables(self, X: Sequence[History]) -> tuple[pd.DataFrame, pd.DataFrame]:
        """The numbers, and the texts as columns of 0 and 1."""
        import pandas as pd

        from nndynbench.subsets.history import as_histories

        functions = [(function, fingerprint(function)) for function in self.own_functions]
        histories = as_histories(X)
        rows = [_one_row(each, functions) for each in histories]
        frame = pd.DataFrame(rows)
        texts = frame.select_dtypes(exclude="number")
        shown = pd.get_dummies(texts) if len(texts.columns) else texts
        return frame.drop(columns=texts.columns).astype(np.float64), shown.astype(np.float64)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.no_validation = True
        return tags


def _one_row(history: History, functions: Sequence[tuple[ColumnFunction, str | None]]) -> dict[str, Any]:
    """What all functions return for a history; raises ValueError for a name that two of them return."""
    row: dict[str, Any] = {}
    for function, code in functions:
        own = history._row(function, code)
        if twice := sorted(row.keys() & own.keys()):
            raise ValueError(f"two functions return a column named {twice[0]!r}: have one of them return another name")
        row |= own
    return row


def hyperparameters(history: History) -> dict[str, Any]:
    """Every column of the grid. Positive numbers have their decimal logarithm beside them, since most are drawn on that
    scale.

    If the grid has optimisers, the learning rate also has a column for each of them, NaN for networks of the others: the
    same rate is small for one optimiser and large for another.
    """
    columns: dict[str, Any] = {}
    for name, value in history.hyperparameters.items():
        columns[name] = value
        if not isinstance(value, str) and value > 0:
            columns[f"log10_{name}"] = np.log10(value)
    if "optimiser" in columns:
        columns[f"log10_learning_rate_{columns['optimiser']}"] = columns.get("log10_learning_rate", np.nan)
    return columns


def curves(history: History) -> dict[str, float]:
    """Losses and accuracies of epochs 1 to the budget, and the number of epochs that the network ran. The last ones are
    repeated if training ended earlier; they are NaN if it ended in its first epoch.
    """
    frame = history.curves
    columns = {"epochs_run": float(len(frame))}
    for name in CURVES:
        values = frame[name].to_numpy()
        for epoch in range(1, history.epochs + 1):
            columns[f"{name}_{epoch}"] = float(values[min(epoch, len(values)) - 1]) if len(values) else np.nan
    return columns


def curve_shapes(history: History) -> dict[str, float]:
    """What learning curves say beyond their values, at epochs 1 to the budget.

    - ``below_chance_1``, …: how far the training loss is below that of guessing, arcsinh((ln classes − loss) / 0.002). This
      is linear while a network is on the plateau, and logarithmic once it has left it. NaN if the classes are unknown.
    - ``gap_1``, …: training minus validation accuracy; ``below_chance_rise_2``, ``train_loss_rise_2``,
      ``validation_accuracy_rise_2``, …: the rise of each since the epoch before.
    - ``loss_sum``: the sum of training losses (SoTL, also TSE); ``loss_average``: the sum weighted by 0.9 for each epoch
      since then (TSE-EMA; Ru et al. 2021, arXiv 2006.04492).
    - ``best_accuracy``, ``accuracy_sum``: the best validation accuracy, and their sum.
    - ``power_…``, ``weibull_…``: where a power law and a Weibull curve through losses and accuracies stand after 20 epochs
      (Viering & Loog 2021, arXiv 2103.10948). With one epoch there is no curve: it stays where it is.
    """
    values = curves(history)
    series = {name: np.array([values[f"{name}_{epoch}"] for epoch in range(1, history.epochs + 1)]) for name in CURVES}
    losses, accuracies = series["train_loss"], series["validation_accuracy"]
    classes = history._classes if history._classes > 1 else np.nan
    below = np.arcsinh((np.log(classes) - losses) / PLATEAU)
    columns = _by_epoch("below_chance", below) | _by_epoch("gap", series["train_accuracy"] - accuracies)
    rising = {"below_chance": below, "train_loss": losses, "validation_accuracy": accuracies}
    for name, curve in rising.items():
        columns |= _by_epoch(f"{name}_rise", np.diff(curve), first=2)
    columns["loss_sum"] = float(losses.sum())
    columns["loss_average"] = float(losses @ AVERAGING ** np.arange(len(losses))[::-1])
    columns |= {"best_accuracy": float(accuracies.max()), "accuracy_sum": float(accuracies.sum())}
    for name, curve in {"loss": losses, "accuracy": accuracies}.items():
        columns |= {f"{form}_{name}": _extrapolated(curve, form) for form in FORMS}
    return columns


def _by_epoch(name: str, values: FloatArray, *, first: int = 1) -> dict[str, float]:
    return {f"{name}_{epoch}": float(value) for epoch, value in enumerate(values, start=first)}


def _extrapolated(curve: FloatArray, form: str) -> float:
    """The value of c + b·shape(epoch) at the horizon, for the shape of a form with the least squared error.

    A weak pull holds b at 0, since two epochs do not determine three parameters.
    """
    shapes, ahead = _shapes(form, len(curve))
    middles = shapes.mean(axis=1, keepdims=True)
    apart, level = shapes - middles, curve - curve.mean()
    slopes = apart @ level / (np.sum(apart**2, axis=1) + PULL)
    errors = np.sum((level - slopes[:, None] * apart) ** 2, axis=1) + PULL * slopes**2
    best = int(np.argmin(errors)) if np.isfinite(errors).all() else 0
    return float(curve.mean() + slopes[best] * (ahead[best] - middles[best, 0]))


@cache
def _shapes(form: str, epochs: int) -> tuple[FloatArray, FloatArray]:
    """A form's shapes at epochs 1 to ``epochs``, (shapes, epochs), and at the horizon, (shapes,)."""
    times = np.append(np.arange(1.0, epochs + 1), HORIZON)
    drawn = [times ** -p[0] if form == "power" else np.exp(-((p[0] * times) ** p[1])) for p in FORMS[form]]
    return np.stack(drawn)[:, :-1], np.stack(drawn)[:, -1]


def last_features(history: History) -> dict[str, float]:
    """The layers' features at the last kept epoch within the budget, ``{"mean conv1": …}``."""
    features = _features(history)
    return _by_layer(features.loc[features.index.get_level_values("epoch").max()])


def initial_features(history: History) -> dict[str, float]:
    """The layers' features at epoch 0, before any training. This is what a control sees."""
    return _by_layer(_features(history, initial=True).loc[[0]].droplevel("epoch"))


def layer_distances(history: History) -> dict[str, float]:
    """Each layer's distance from its initialisation after epochs 1 to the budget, relative to the initial norm.

    It is log10(‖W_e − W_0‖ / ‖W_0‖), ``{"distance conv1 1": −1.3, …}``. The last kept epoch counts for one that was not
    kept, or if training ended earlier; NaN if it ended in its first epoch. A layer that does not move at all counts as moved
    by 1e-12. A layer that begins at 0 is NaN, since nothing is relative to its norm.
    """
    features = _features(history, initial=True)
    kept, initial = features.index.unique("epoch"), cast("pd.Series[float]", features.loc[0, "l2_norm"])
    initial = initial.where(initial > 0)
    columns: dict[str, float] = {}
    for epoch in range(1, history.epochs + 1):
        until = kept[(kept > 0) & (kept <= epoch)]
        last = features.loc[until.max(), "distance_from_initial"] if len(until) else np.nan * initial
        relative = np.log10(np.maximum(cast("pd.Series[float]", last).to_numpy() / initial.to_numpy(), NO_DISTANCE))
        columns |= {f"distance {layer} {epoch}": float(value) for layer, value in zip(initial.index, relative, strict=True)}
    return columns


def _features(history: History, *, initial: bool = False) -> pd.DataFrame:
    """A history's features; raises `NotAtHandError` if there are none or, where they are needed, none of epoch 0."""
    features = history.features
    epochs = [int(epoch) for epoch in features.index.unique("epoch")]
    if not epochs or (initial and 0 not in epochs):
        which = " of epoch 0, the initialisation" if initial else ""
        raise NotAtHandError(f"a network has no features{which} (it has those of epochs: {epochs or 'none'})")
    return features


def _by_layer(features: pd.DataFrame) -> dict[str, float]:
    names = [f"{feature} {layer}" for layer in features.index for feature in features.columns]
    return dict(zip(names, features.to_numpy().ravel(), strict=True))
