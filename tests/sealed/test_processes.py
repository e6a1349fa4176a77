"""Sealed processes: what can be sent to them, how they end, and that nothing is left of them."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pytest
from sklearn.base import BaseEstimator, RegressorMixin

import nndynbench as nb
from nndynbench.protocols import MethodError
from nndynbench.sealed import server
from tests.patience import PATIENCE_SECONDS

cloudpickle.register_pickle_by_value(sys.modules[__name__])

pytestmark = pytest.mark.skipif(not server.CAN_FORK, reason="needs Linux, to fork sealed processes")

OPTIONS: dict[str, Any] = {"protocol": "regression", "budgets": 1}


class Does(RegressorMixin, BaseEstimator):
    """Does something when it is fitted, and predicts how many networks it was fitted on."""

    def __init__(self, what: Callable[[], Any]) -> None:
        self.what = what

    def fit(self, X: Sequence[Any], y: Any) -> Does:
        self.what()
        self.count_ = len(X)
        return self

    def predict(self, X: Sequence[Any]) -> Any:
        return np.full(len(X), float(self.count_))


def nothing() -> None:
    pass


def test_an_estimator_of_a_script_runs_sealed_with_its_code(digits: nb.Subset) -> None:
    result = nb.evaluate(Does(nothing), digits, **OPTIONS)
    assert result.facts.sealed
    assert result.facts.unsealed == ""
    assert set(result.predictions["prediction"]) == {float(len(digits.split("holdout")[0][0]))}


def test_what_cannot_be_carried_over_runs_here_and_the_result_says_so(digits: nb.Subset) -> None:
    lock = threading.Lock()
    method = Does(lambda: lock.locked())
    result = nb.evaluate(method, digits, **OPTIONS)
    assert result.facts.sealed is False
    assert "cannot be pickled" in result.facts.unsealed
    with pytest.raises(MethodError, match="cannot be pickled"):
        nb.evaluate(method, digits, sealed=True, **OPTIONS)


def test_a_new_interpreter_for_each_fit_gives_the_same(digits: nb.Subset, monkeypatch: pytest.MonkeyPatch) -> None:
    forked = nb.evaluate("degree-linear", digits, order_seed=1, **OPTIONS)
    monkeypatch.setattr(server, "CAN_FORK", False)
    alone = nb.evaluate("degree-linear", digits, order_seed=1, sealed=True, **OPTIONS)
    assert alone.predictions.equals(forked.predictions)
    unasked = nb.evaluate("degree-linear", digits, order_seed=1, **OPTIONS)
    assert not unasked.facts.sealed
    assert "new interpreter" in unasked.facts.unsealed


@pytest.mark.parametrize("how", [lambda: os._exit(3), lambda: os.kill(os.getpid(), signal.SIGKILL)])
def test_a_process_that_dies_is_an_error_and_the_next_one_works(digits: nb.Subset, how: Callable[[], Any]) -> None:
    with pytest.raises(MethodError, match="fold 0: its process ended without an answer"):
        nb.evaluate(Does(how), digits, **OPTIONS)
    assert nb.evaluate(Does(nothing), digits, **OPTIONS).facts.sealed


def test_a_server_that_died_is_an_error_once_and_then_replaced(digits: nb.Subset) -> None:
    nb.evaluate(Does(nothing), digits, **OPTIONS)
    pid = server.server().pid
    os.kill(pid, signal.SIGKILL)
    while is_running(pid):
        time.sleep(0.01)
    with pytest.raises(MethodError, match="is gone"):
        nb.evaluate(Does(nothing), digits, **OPTIONS)
    assert nb.evaluate(Does(nothing), digits, **OPTIONS).facts.sealed


@pytest.mark.parametrize("error", [KeyboardInterrupt, GeneratorExit, SystemExit, RecursionError, EOFError])
def test_what_a_sealed_method_raises_is_named_whatever_it_is(digits: nb.Subset, error: type[BaseException]) -> None:
    def fail() -> None:
        raise error

    with pytest.raises(MethodError, match=f"fold 0: {error.__name__}"):
        nb.evaluate(Does(fail), digits, **OPTIONS)


INTERRUPTED = """
import sys, time
import numpy as np
import nndynbench as nb
from pathlib import Path
from sklearn.base import BaseEstimator, RegressorMixin

class Sleeps(RegressorMixin, BaseEstimator):
    def fit(self, X, y):
        import os, subprocess
        own = subprocess.Popen(["sleep", "600"])
        with open({notes!r}, "a") as notes:
            notes.write(f"{{os.getpid()}} {{os.getppid()}} {{own.pid}}\\n")
        time.sleep(600)

    def predict(self, X):
        return np.zeros(len(X))

nb.evaluate(Sleeps(), "digits-lenet", protocol="regression-folds", budgets=1, jobs={jobs})
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("jobs", [1, 2])
def test_nothing_is_left_of_an_evaluation_that_is_stopped(tmp_path: Path, number: int, jobs: int) -> None:
    notes = tmp_path / "notes"
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED.format(notes=str(notes), jobs=jobs)],
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a process that a script starts with & ignores it
    )
    until = time.monotonic() + PATIENCE_SECONDS
    while not (notes.is_file() and len(notes.read_text().splitlines()) == jobs):
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.1)
    process.send_signal(number)
    assert process.wait(PATIENCE_SECONDS) != 0
    for pid in {int(word) for word in notes.read_text().split()}:
        while is_running(pid):  # the server sees that its socket is closed, and ends the processes
            assert time.monotonic() < until
            time.sleep(0.1)


def is_running(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def test_a_module_of_ones_own_is_sent_as_it_is_now(
    digits: nb.Subset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_method.py").write_text(
        "import numpy as np\nfrom sklearn.base import BaseEstimator, RegressorMixin\nVALUE = 1.0\n"
        "class Own(RegressorMixin, BaseEstimator):\n    def fit(self, X, y):\n        return self\n"
        "    def predict(self, X):\n        return np.full(len(X), VALUE)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    module = importlib.import_module("own_method")
    for value in (2.0, 3.0):
        monkeypatch.setattr(module, "VALUE", value)
        result = nb.evaluate(module.Own(), digits, **OPTIONS)
        assert result.facts.sealed
        assert set(result.predictions["prediction"]) == {value}
