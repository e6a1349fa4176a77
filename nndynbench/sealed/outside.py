"""Fits and queries a method in a sealed process: the side that holds the subset."""

from __future__ import annotations

import contextlib
import importlib
import io
import pickle
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from nndynbench.arrays import FloatArray
from nndynbench.errors import NndynbenchError
from nndynbench.protocols.fitting import Known
from nndynbench.protocols.method import is_file_name
from nndynbench.protocols.protocol import Protocol
from nndynbench.sealed import server
from nndynbench.sealed.channel import Channel, GoneError
from nndynbench.sealed.desk import Desk, networks_of
from nndynbench.sealed.inside import FINGERPRINTING, Job, Surroundings
from nndynbench.sources import INSTALLED, PACKAGE, is_small
from nndynbench.subsets.history import History


class NotCarriedError(NndynbenchError, ValueError):
    """A method that cannot be carried over to another process; says why."""


class SealedMethodError(NndynbenchError, RuntimeError):
    """What a method raised in a sealed process, in words."""


@dataclass(frozen=True)
class Sealed:
    """A method that can be fitted in sealed processes, given by its name or file, or pickled with its code."""

    method: str | bytes

    @classmethod
    def of(cls, method: str | tuple[Any, Any]) -> Sealed:
        """A method given as a name, a path, or an estimator with its choices.

        Raises
        ------
        NotCarriedError
            For an estimator that cannot be pickled.
        """
        if isinstance(method, str):
            return cls(method)
        try:
            return cls(_pickled_as_it_is_now(method))
        except Exception as error:  # whatever its parts raise
            raise NotCarriedError(f"it cannot be pickled: {' '.join(str(error).split())[:300]}") from error

    def fit_and_ask(
        self,
        protocol: Protocol,
        seen: Sequence[History],
        known: Known,
        asked: Sequence[History],
        tunes: bool,
        read: set[str],
    ) -> tuple[FloatArray, FloatArray | None]:
        """Predictions for the networks asked about, and a classifier's scores.

        Raises
        ------
        NotCarriedError
            For a method that cannot be read in the sealed process.
        SealedMethodError
            With what the method raised there, or if its process ended without an answer.
        """
        surroundings = _pickled(Surroundings.here())
        job = Job(self.method, protocol, seen[0].epochs, networks_of(seen), networks_of(asked), known, tunes, surroundings)
        desk = Desk([*seen, *asked], read)
        with _process(self) as channel:
            channel.hand(job)
            said = _served(channel, desk)
        server.need(name for name in map(str, said.get("imported", [])) if _is_library(name))
        if "not carried" in said:
            raise NotCarriedError(f"it cannot be read in another process: {said['not carried']}")
        if "failed" in said:
            failure = SealedMethodError(str(said["failed"]))
            failure.add_note(str(said.get("trace", "")))
            raise failure
        scores = said.get("scores")
        return _numbers(said["predictions"]), None if scores is None else _numbers(scores)


def _pickled_as_it_is_now(value: Any) -> bytes:
    """A value, pickled with what the user's own modules hold now: a sealed process would import them anew, as their files
    are.
    """
    import cloudpickle

    known = cloudpickle.list_registry_pickle_by_value()
    own = [module for name, module in list(sys.modules.items()) if name not in known and _is_own(name, module)]
    for module in own:
        cloudpickle.register_pickle_by_value(module)
    try:
        with contextlib.suppress(Exception):  # a module may hold what cannot be pickled: then it is imported there
            return _pickled(value)
    finally:
        for module in own:
            cloudpickle.unregister_pickle_by_value(module)
    return _pickled(value)


def _is_own(name: str, module: object) -> bool:
    """Whether a module comes from a file of the user's own."""
    top = name.partition(".")[0]
    if name == "__main__" or top == PACKAGE or _is_library(name) or not getattr(module, "__file__", None):
        return False
    return isinstance(module, ModuleType) and module.__name__ == name and is_small(top)


def _pickled(value: Any) -> bytes:
    """A value, pickled with the code of everything in it that no other process could import."""
    import cloudpickle

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
        def reducer_override(self, value: Any) -> Any:
            # Lazily loaded packages, such as this one, have a class of their own, so cloudpickle takes them for objects.
            if isinstance(value, ModuleType) and type(value) is not ModuleType:
                return importlib.import_module, (value.__name__,)
            return super().reducer_override(value)

    content = io.BytesIO()
    Pickler(content, protocol=pickle.HIGHEST_PROTOCOL).dump(value)
    return content.getvalue()


def is_cheap() -> bool:
    """Whether a sealed process costs little here, since it can be forked."""
    return server.CAN_FORK


def prepare(*, early: bool = False) -> None:
    """Start the server of sealed processes before it is needed; ``early``: nothing but imports ran in this process yet."""
    if server.CAN_FORK:
        server.server(fork=True if early else None)


def stop_what_runs() -> None:
    """End the sealed processes that nobody waits for any more."""
    server.stop_unless_idle()


def _served(channel: Channel, desk: Desk) -> dict[str, Any]:
    """Answer questions until the last message, and return that."""
    try:
        while True:
            message = channel.hear()
            if "ask" in message:
                channel.hand(desk.answer(message))
            elif "keep" in message:
                with contextlib.suppress(KeyError, TypeError, ValueError):
                    desk.keep(message)
            else:
                return message
    except GoneError:
        raise SealedMethodError("its process ended without an answer: it crashed or ran out of memory") from None


@contextmanager
def _process(method: Sealed) -> Iterator[Channel]:
    end: Callable[[], None]
    if server.CAN_FORK:
        of = server.server()
        bundled = isinstance(method.method, str) and not is_file_name(method.method)
        channel = of.process(bundled=bundled)
        yield channel
        # After an error the process may still be at work. Whoever evaluates then ends the server, and this process with it.
        of.done(channel)
        return
    channel, end = server.new_fit()
    try:
        yield channel
    finally:
        end()


def _numbers(values: Any) -> FloatArray:
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise SealedMethodError(f"it did not return numbers: {error}") from None


def _is_library(name: str) -> bool:
    """Whether a module belongs to an installed package of this process, or to Python itself."""
    top = name.partition(".")[0]
    path = getattr(sys.modules.get(top), "__file__", None) or ""
    if top in sys.stdlib_module_names or name == FINGERPRINTING:
        return True
    return not INSTALLED.isdisjoint(path.replace("\\", "/").split("/"))
