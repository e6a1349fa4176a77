"""How good will this run become? A named method, fitted on a whole subset, asked about one's own checkpoints (the paper's
Figure 1).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nndynbench.centralities import MOMENTS
from nndynbench.checkpoints import read_folder
from nndynbench.convert import CheckpointWeights
from nndynbench.deprecation import renamed_keyword
from nndynbench.given import CurvesLike, checked_curves, checked_hyperparameters
from nndynbench.graphs import architecture
from nndynbench.own_run import NotGivenError, OwnRun
from nndynbench.protocols.fitting import Known, fitted_on
from nndynbench.protocols.harness import evaluate
from nndynbench.protocols.method import SEED, find_method
from nndynbench.protocols.protocol import find_protocol
from nndynbench.protocols.scoring import groups_of
from nndynbench.subsets import BudgetError, History, Subset, load
from nndynbench.subsets.reader import Reader

FloatArray = npt.NDArray[np.float64]

FITTED_AS = "regression-folds"
LEVEL = 0.95


@dataclass(frozen=True)
class Prediction:
    """What `predict` returns, accuracies in percent.

    ``low`` to ``high`` holds 95% of the method's errors on networks of the subset that it was not fitted on;
    ``probability_high`` is the share of them with which the run would reach the subset's ``threshold``. ``outside`` names
    what of the run's degree signature lies outside the subset's: there a method extrapolates, and neither number holds.

    Examples
    --------
    >>> import nndynbench
    >>> zoo = nndynbench.load("digits-lenet")
    >>> forecast = nndynbench.predict(zoo.history(100, budget=1), zoo, method="constant", budget=1)
    >>> 0 <= forecast.probability_high <= 1, forecast.outside
    (True, ())
    """

    accuracy: float
    low: float
    high: float
    probability_high: float
    threshold: float
    outside: tuple[str, ...]

    def __str__(self) -> str:
        likely = f"{100 * self.probability_high:.0f}% of such runs reach {self.threshold:.4g}%"
        beyond = "".join(f"\noutside what the method knows: {what}" for what in self.outside)
        return f"{self.accuracy:.1f}% (95% interval: {self.low:.1f} to {self.high:.1f}%); {likely}{beyond}"

    def _repr_html_(self) -> str:
        from nndynbench.cards import html_card

        facts = {
            "final accuracy": f"{self.accuracy:.1f}%",
            "95% interval": f"{self.low:.1f} to {self.high:.1f}%",
            f"reaches {self.threshold:.4g}%": f"{100 * self.probability_high:.0f}% of such runs",
            "outside what the method knows": "; ".join(self.outside) or "nothing",
        }
        return html_card("Prediction", facts)


@renamed_keyword("epochs", "budget")
def predict(
    run: str | Path | History,
    subset: str | Subset,
    *,
    method: str = "degree-forest",
    budget: int = 5,
    curves: CurvesLike | None = None,
    hyperparameters: Mapping[str, Any] | None = None,
    first_epoch: int | None = None,
    pattern: str | None = None,
    steps_per_epoch: int | None = None,
) -> Prediction:
    """Predict the final accuracy of a run from its first epochs.

    Parameters
    ----------
    run
        A folder of checkpoints of the subset's architecture, one for each of the epochs 1 to ``budget`` (0, the
        initialisation, where a method reads features). Or a history; a network of the subset itself is left out of what the
        method is fitted on.
    subset
        The subset that the method is fitted on: the run's training should be like that of its networks.
    method
        A bundled method, or a method file, with a regressor.
    budget
        How many epochs of the run to look at.
    curves, hyperparameters
        For methods that read them, as `History.curves` (a row for each of the epochs 1 to ``budget``, percent; also a CSV
        file) and `History.hyperparameters` (every column of the subset's grid) give them.
    first_epoch, pattern, steps_per_epoch
        Which checkpoint is of which epoch, where the files leave it open: `nndynbench.checkpoints.read_folder`.

    Raises
    ------
    UnknownNameError, BudgetError
        For a subset, method or budget that does not exist or is not at hand.
    CheckpointError, FileNotFoundError
        For checkpoints that are missing, unreadable, or of another architecture.
    MethodError, NotGivenError
        If the method fails, or reads what was not given; or if what was given is not what the subset's networks have.

    Examples
    --------
    >>> import nndynbench
    >>> zoo = nndynbench.load("digits-lenet")
    >>> forecast = nndynbench.predict(zoo.history(100, budget=1), zoo, method="constant", budget=1)
    >>> forecast.low <= forecast.accuracy <= forecast.high
    True
    """
    loaded = load(subset) if isinstance(subset, str) else subset
    budget = loaded.check_budget(budget)
    if isinstance(run, History):
        _check_history(run, loaded, budget, apart=[curves, hyperparameters, first_epoch, pattern, steps_per_epoch])
        history = run
    else:
        described = architecture(loaded.manifest.architecture)
        folder = read_folder(run, first_epoch=first_epoch, pattern=pattern, steps_per_epoch=steps_per_epoch)
        weights = CheckpointWeights(folder, described)
        weights.need(range(1, budget + 1))
        source = OwnRun(
            described,
            weights,
            where=str(run),
            curves=None if curves is None else checked_curves(curves, budget, classes=described.classes),
            hyperparameters=None if hyperparameters is None else checked_hyperparameters(hyperparameters, loaded),
        )
        history = History(Reader(source), budget)
    found = find_method(method)
    tested = evaluate(found, loaded, protocol=FITTED_AS, budgets=budget, name=method, order_seed=SEED).predictions
    errors = (tested["truth"] - tested["prediction"]).to_numpy()
    everyone = zip(loaded.network_ids, loaded.histories(loaded.network_ids, budget), strict=True)
    others = {network: other for network, other in everyone if not other._is_of(history)}
    known, truth = list(others.values()), loaded.networks.loc[list(others), "final_accuracy"].to_numpy()
    fitted_as = find_protocol(FITTED_AS)
    groups = np.unique(groups_of(loaded, fitted_as).loc[list(others)], return_inverse=True)[1]
    fitted = fitted_on(found.estimator(fitted_as), {}, known, Known(truth, groups, truth), fitted_as.task)
    accuracy = float(np.clip(fitted.predict([history])[0], 0, 100))
    low, high = np.clip(accuracy + np.quantile(errors, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]), 0, 100)
    threshold = loaded.manifest.threshold
    reached = float(np.mean(accuracy + errors >= threshold))
    return Prediction(accuracy, float(low), float(high), reached, threshold, tuple(_outside(history, known)))


def _check_history(history: History, subset: Subset, budget: int, *, apart: Sequence[object]) -> None:
    """Raise where a history is not one of a network such as the subset's, up to the budget."""
    if any(part is not None for part in apart):
        raise NotGivenError("a history has its own epochs, curves and hyperparameters: leave those out")
    if history.epochs != budget:
        raise BudgetError(f"the history ends at epoch {history.epochs}, not at the budget of {budget}")
    layers = subset.history(subset.network_ids[0], budget).layer_sizes
    if history.layer_sizes != layers:
        raise NotGivenError(
            f"the history's network has the layers {history.layer_sizes}, those of {subset.name} have {layers}"
        )


def _outside(history: History, known: list[History]) -> list[str]:
    """The values of a history's degree signature that no network of the subset reaches."""
    own = history.signature("degree")
    others = np.stack([other.signature("degree") for other in known])
    lowest, highest = np.nanmin(others, axis=0), np.nanmax(others, axis=0)
    beyond = ~((own >= lowest) & (own <= highest))
    return [
        f"{MOMENTS[moment].replace('_', ' ')} of the degrees at epoch {epoch + 1}: {own[epoch, moment]:.4g} "
        f"(the subset's: {lowest[epoch, moment]:.4g} to {highest[epoch, moment]:.4g})"
        for epoch, moment in np.argwhere(beyond)
    ]
