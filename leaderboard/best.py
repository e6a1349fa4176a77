"""The board in short: the best method for whatever is known of a run. `nndynbench.predict` reads it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from leaderboard.check import SUBMISSIONS, submission_files
from nndynbench.own_run import NotGivenError, OwnRun
from nndynbench.protocols.best_methods import BEST_FILE, BestMethod, best_path
from nndynbench.protocols.method import find_method, method_names, seeded
from nndynbench.protocols.protocol import find_protocol
from nndynbench.protocols.results import DRAW
from nndynbench.protocols.scoring import cases
from nndynbench.storage.files import write_whole
from nndynbench.submissions import RefusedError, read_submission
from nndynbench.submissions.admission import is_bundled
from nndynbench.submissions.recomputation import predictions_with_truths
from nndynbench.subsets import History, Subset, load
from nndynbench.subsets.reader import Reader

PROTOCOL, METRIC, BUDGET = "regression-folds", "r2", 5

# The networks on which methods are tried, to see whether they read the weights of the initialisation.
TRIED_ON, TRIED_NETWORKS = "digits-lenet", 40

HEAD = f"""# Of the bundled methods, by what they read, the best on the board: by the mean rank in R² at {BUDGET} epochs
# under {PROTOCOL}, over the subsets that all are submitted for. Where it needs the weights of epoch 0, also the best
# that does not.
# Written by `python -m leaderboard best`: change nothing by hand.
"""


def best_methods(folder: Path = SUBMISSIONS) -> list[BestMethod]:
    """For each combination of what methods read: the best method, and the best one that needs no initialisation."""
    ranks = mean_ranks(folder)
    found = []
    for reads, own in ranks.groupby("reads", sort=True):
        for name, rank in own.sort_values("rank")["rank"].items():
            needs = needs_initialisation(str(name))
            found.append(BestMethod(str(name), tuple(str(reads).split()), needs, round(float(rank), 2)))
            if not needs:
                break
    # Of each combination, keep the first, which is the best, and the first that needs no initialisation, not those between.
    firsts = {method.reads: method.name for method in reversed(found)}
    return [m for m in found if m.name == firsts[m.reads] or not m.needs_initialisation]


def mean_ranks(folder: Path) -> pd.DataFrame:
    """For each method that has a score on every subset: what it ``reads``, separated by blanks, and its mean ``rank``.

    Scores are of the first draw of the folds, which all methods have.
    """
    table = pd.DataFrame(_scores(folder), columns=["method", "reads", "subset", "value"])
    table["rank"] = table.groupby("subset")["value"].rank(ascending=False)
    subsets = table.groupby("method")["subset"].nunique()
    everywhere = subsets.index[subsets == table["subset"].nunique()]
    own = table[table["method"].isin(everywhere)]
    return own.groupby("method").agg({"reads": "first", "rank": "mean"})


def needs_initialisation(name: str) -> bool:
    """Whether a method reads the weights of epoch 0: found by asking it to predict a network without them."""
    zoo = load(TRIED_ON)
    networks = zoo.network_ids[:: len(zoo.network_ids) // TRIED_NETWORKS]
    known = zoo.histories(networks, 1)
    regressor = seeded(find_method(name).estimator(find_protocol(PROTOCOL)))
    regressor.fit(known, zoo.networks.loc[networks, "final_accuracy"].to_numpy())
    history = zoo.history(networks[0], 1)
    given = OwnRun(
        zoo.manifest.architecture, {1: history.weights(1)}, curves=history.curves, hyperparameters=history.hyperparameters
    )
    try:
        regressor.predict([History(Reader(given), 1)])
    except NotGivenError:
        return True
    return False


def write_best(path: Path | None = None, folder: Path = SUBMISSIONS) -> Path:
    """Write the file that `nndynbench.predict` reads; returns its path.

    Raises
    ------
    FileNotFoundError
        For a folder that does not exist, or has no submission to choose from.
    """
    target = best_path() if path is None else path / BEST_FILE
    methods, parts = best_methods(folder), [HEAD]
    if not methods:
        raise FileNotFoundError(f"{folder} has no submission of a bundled method under {PROTOCOL}")
    for method in methods:
        reads = ", ".join(f'"{read}"' for read in method.reads)
        needs = str(method.needs_initialisation).lower()
        parts.append(
            f'[[methods]]\nname = "{method.name}"\nreads = [{reads}]\nneeds_initialisation = {needs}\nrank = {method.rank}\n'
        )
    write_whole(target, "\n".join(parts))
    return target


def _scores(folder: Path) -> Iterator[tuple[str, str, str, float]]:
    # Only methods that anybody can run: a user who names no method is given none that needs a library of its own, and no
    # control, whose information was removed.
    found = {name: find_method(name) for name in method_names()}
    bundled = [name for name, method in found.items() if not method.needs and method.role != "control"]
    protocol, loaded = find_protocol(PROTOCOL), dict[str, Subset]()
    for path in (path for path in submission_files(folder) if path.match(f"*/*.{PROTOCOL}.json")):
        try:
            submission = read_submission(path)
        except RefusedError:
            continue
        own = submission.method in bundled and is_bundled(submission)
        if not own or find_method(submission.method).regressor is None:
            continue
        name, version = submission.subset.name, submission.subset.version
        loaded[name] = loaded.get(name) or load(name, version=version)
        predictions = predictions_with_truths(submission, subsets=loaded)
        first = predictions[(predictions["budget"] == BUDGET) & (predictions.get(DRAW, 0) == 0)]
        for case in cases(first, loaded, protocol).values():
            yield submission.method, " ".join(sorted(submission.reads)), name, case.value(METRIC)
