"""What runs in a sealed process: it is handed a method and training labels, and asks outside for what is read from
histories.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import random
import sys
import threading
import traceback
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import sklearn.base  # noqa: F401  # every fit clones: imported once for all that are forked

from nndynbench.arrays import FloatArray
from nndynbench.fingerprint import environment
from nndynbench.protocols.failures import why_it_failed
from nndynbench.protocols.fitting import Known, fit_and_ask
from nndynbench.protocols.method import SEED, as_method, method_names
from nndynbench.protocols.protocol import Protocol
from nndynbench.seal import SealedError, seal
from nndynbench.sealed.channel import Channel, GoneError
from nndynbench.subsets.history import History, Place
from nndynbench.subsets.reader import graph_of

if TYPE_CHECKING:
    from nndynbench.graphs import Architecture, LayeredGraph, Weights

FINGERPRINTING = "nndynbench.sealed.fingerprinting"


@dataclass(frozen=True)
class Surroundings:
    """What a method relies on in the process that evaluates: folder, import path, environment, warning filters, sklearn's
    settings.
    """

    folder: str
    path: list[str]
    environment: dict[str, str]
    warning_filters: list[Any]
    sklearn: dict[str, Any]

    @classmethod
    def here(cls) -> Surroundings:
        import sklearn

        return cls(os.getcwd(), list(sys.path), dict(os.environ), list(warnings.filters), sklearn.get_config())

    def enter(self) -> None:
        import sklearn

        os.chdir(self.folder)
        sys.path[:] = self.path
        os.environ.clear()
        os.environ.update(self.environment)
        warnings.filters[:] = self.warning_filters  # type: ignore[index]
        sklearn.set_config(**self.sklearn)
        # A method that draws from the libraries' own generators draws the same in every process.
        np.random.seed(SEED)  # noqa: NPY002
        random.seed(SEED)


@dataclass(frozen=True)
class Networks:
    """Some networks of one architecture; which ones they are is not known here."""

    count: int
    architecture: Architecture
    layer_sizes: dict[str, int]


@dataclass(frozen=True)
class Job:
    """One fit. ``method`` is a name or a path, or a pickled estimator with its choices; ``tunes`` says whether to choose
    among these.
    """

    method: str | bytes
    protocol: Protocol
    budget: int
    seen: Networks
    asked: Networks
    known: Known
    tunes: bool
    surroundings: bytes


def work(channel: Channel) -> None:
    """Run one sealed process, from its first message to its last."""
    before = set(sys.modules)
    channel.say({"there": os.getpid()})
    job: Job = channel.take()
    seal()
    answer = _answer(job, _Questions(channel))
    imported = set(sys.modules) - before
    if environment.cache_info().currsize:
        imported.add(FINGERPRINTING)
    channel.say(answer | {"imported": sorted(imported)})
    for stream in (sys.stdout, sys.stderr):
        stream.flush()


def warm(modules: Iterable[str], *, bundled: bool) -> None:
    """Import libraries that earlier fits needed and, if ``bundled``, the bundled methods: once, for all processes forked
    later.
    """
    for module in modules:
        with contextlib.suppress(Exception):
            importlib.import_module(module)
    if bundled:
        method_names()


def _answer(job: Job, questions: _Questions) -> dict[str, Any]:
    import cloudpickle

    try:
        cloudpickle.loads(job.surroundings).enter()
        if isinstance(job.method, bytes):
            estimator, choices = cloudpickle.loads(job.method)
    except SealedError as error:
        return {"failed": f"it holds a subset, such as one in a global variable that a function reads: {error}"}
    except Exception as error:
        return {"not carried": why_it_failed(error)}
    networks = [*[job.seen] * job.seen.count, *[job.asked] * job.asked.count]
    readers: list[Any] = [_SealedNetwork(number, questions, each) for number, each in enumerate(networks)]
    histories = [History(reader, job.budget, set()) for reader in readers]
    seen, asked = histories[: job.seen.count], histories[job.seen.count :]
    try:
        if isinstance(job.method, str):
            named = as_method(job.method)
            estimator, choices = named.estimator(job.protocol), named.choices
        choices = choices if job.tunes else {}
        predicted, scores = fit_and_ask(estimator, choices, seen, job.known, asked, job.protocol.task)
        return {"predictions": predicted.tolist(), "scores": None if scores is None else scores.tolist()}
    except GoneError:
        raise
    except BaseException as error:  # even KeyboardInterrupt: Ctrl-C does not reach this process, so the method raised it
        return {"failed": why_it_failed(error), "trace": traceback.format_exc()}


class _Questions:
    """Asks outside, for one thread of the method at a time. Answers about several networks at once are given out one
    by one.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._lock = threading.Lock()
        self._answers: dict[Any, dict[int, Any]] = {}

    def ask(self, what: str, network: int, **more: Any) -> Any:
        """The answer about one network; raises what reading it outside raised."""
        key = what, *(tuple(value) if isinstance(value, list) else value for value in more.values())
        with self._lock:
            known = self._answers.setdefault(key, {})
            if network not in known:
                self._channel.say({"ask": what, "network": network, **more})
                answer = self._channel.take()
                if isinstance(answer, Exception):
                    raise answer
                if len(answer) == 1:  # one network's arrays may be large: they are not kept
                    return answer[network]
                known.update(answer)
            return known[network]

    def tell(self, **message: Any) -> None:
        with self._lock:
            self._channel.say(message)

    def note(self, what: str, network: int, value: Any, **more: Any) -> None:
        """Store what was found out here, as if it had been asked."""
        key = what, *(tuple(item) if isinstance(item, list) else item for item in more.values())
        with self._lock:
            self._answers.setdefault(key, {})[network] = value


class _SealedNetwork:
    """Reads one network's data for a history by asking outside, in the place of `nndynbench.subsets.reader.Reader`."""

    identity: str | None = None

    def __init__(self, number: int, questions: _Questions, networks: Networks) -> None:
        self._number = number
        self._questions = questions
        self.described = networks.architecture
        self.architecture = networks.architecture.family
        self.layer_sizes = networks.layer_sizes
        self._handed: dict[Any, dict[int, Any]] = {}

    @property
    def hyperparameters(self) -> dict[str, Any]:
        return dict(self._ask("hyperparameters"))

    def curves(self, last: int) -> pd.DataFrame:
        return self._rows("curves")

    def features(self, last: int) -> pd.DataFrame:
        return self._rows("features")

    def weights(self, epoch: int) -> Weights:
        weights: Weights = self._next("weights", epoch)
        return weights

    def graph(self, epoch: int, representation: str) -> LayeredGraph:
        tier, parts = self._next("graph", epoch, representation=representation)
        return graph_of(tier, parts, self.described, representation)

    def centrality(self, name: str, representation: str, sign: str | None, epochs: Sequence[int]) -> FloatArray:
        values: FloatArray = self._ask("centrality", name=name, representation=representation, sign=sign)
        return values.copy()

    def signature(self, centrality: str, representation: str, sign: str | None, epochs: Sequence[int]) -> FloatArray:
        options = {"centrality": centrality, "representation": representation, "sign": sign, "epochs": list(epochs)}
        values: FloatArray = self._ask("signature", **options)
        return values.copy()

    def known(self, code: str, place: Place) -> Any:
        options = {"code": code, "place": list(place)}
        found = self._ask("known", **options)
        # Since all networks were asked about at once, another fit that runs beside this one may have computed it.
        return self._ask("known", **options, alone=True) if found is None else found

    def keep(self, code: str, place: Place, value: Any, seconds: float) -> None:
        try:
            self._questions.tell(keep=value, network=self._number, code=code, place=list(place), seconds=seconds)
        except (TypeError, ValueError):  # no JSON: it is kept nowhere
            return
        self._questions.note("known", self._number, value, code=code, place=list(place))

    def _next(self, what: str, epoch: int, **more: Any) -> Any:
        """An epoch's arrays, which came with an earlier epoch's or are asked for now. They are given out once, so that every
        caller has its own.
        """
        key = what, *more.values()
        if epoch not in self._handed.get(key, {}):
            self._handed[key] = dict(self._ask(what, epoch=epoch, **more))
        return self._handed[key].pop(epoch)

    def _ask(self, what: str, **more: Any) -> Any:
        return self._questions.ask(what, self._number, **more)

    def _rows(self, table: str) -> pd.DataFrame:
        frame, first, last = self._ask(table)
        rows: pd.DataFrame = frame.iloc[first:last].copy()
        return rows
