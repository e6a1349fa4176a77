"""Fits a method in a sealed process, and asks it there: the side that holds the subset."""

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
import numpy.typing as npt

from nndynbench.errors import NndynbenchError
from nndynbench.protocols.fitting import Known
from nndynbench.protocols.method import is_file_name
from nndynbench.protocols.protocol import Protocol
from nndynbench.sealed import server
from nndynbench.sealed.channel import Channel
from nndynbench.sealed.desk import Desk, networks_of
from nndynbench.sealed.inside import FINGERPRINTING, Job, Surroundings
from nndynbench.subsets.history import History

FloatArray = npt.NDArray[np.float64]

INSTALLED = frozenset({"site-packages", "dist-packages"})


class NotCarriedError(NndynbenchError, ValueError):
    """A method that cannot be carried over to another process; says why."""


class SealedMethodError(NndynbenchError, RuntimeError):
    """What a method raised in a sealed process, in words."""


@dataclass(frozen=True)
class Sealed:
    """A method that can be fitted in sealed processes: by its name or file, or pickled with its code."""

    method: str | bytes

    @classmethod
    def of(cls, method: str | tuple[Any, Any]) -> Sealed:
        """Of a name, a path, or an estimator with its choices.

        Raises
        ------
        NotCarriedError
            For an estimator that cannot be pickled, or on a system where none can be carried over at little cost.
        """
        if isinstance(method, str):
            return cls(method)
        try:
            return cls(_pickled(method))
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
        """Predictions, and the scores of a classifier, of the networks asked about.

        Raises
        ------
        NotCarriedError
            For a method that cannot be read there.
        SealedMethodError
            With what it raised there.
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


def _pickled(value: Any) -> bytes:
    """Pickled with the code of what no other process could import."""
    import cloudpickle

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
        def reducer_override(self, value: Any) -> Any:
            # Lazily loaded packages, as this one, are of a class of their own, which cloudpickle takes for an object.
            if isinstance(value, ModuleType) and type(value) is not ModuleType:
                return importlib.import_module, (value.__name__,)
            return super().reducer_override(value)

    content = io.BytesIO()
    Pickler(content, protocol=pickle.HIGHEST_PROTOCOL).dump(value)
    return content.getvalue()


def is_cheap() -> bool:
    """Whether a sealed process costs little here: where it can be forked."""
    return server.CAN_FORK


def prepare(*, early: bool = False) -> None:
    """Have sealed processes at hand before they are needed; ``early``: nothing ran in this process yet but imports."""
    if server.CAN_FORK:
        server.server(fork=True if early else None)


def stop_what_runs() -> None:
    """End the sealed processes that nobody waits for any more."""
    server.stop_unless_idle()


def _served(channel: Channel, desk: Desk) -> dict[str, Any]:
    """Answer until the last word, and return it."""
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
    except EOFError:
        raise SealedMethodError("its process ended without an answer: it crashed, or there was no memory left") from None


@contextmanager
def _process(method: Sealed) -> Iterator[Channel]:
    end: Callable[[], None]
    if server.CAN_FORK:
        of = server.server()
        bundled = isinstance(method.method, str) and not is_file_name(method.method)
        channel = of.process(bundled=bundled)
        yield channel
        # After an error the process may still be at work: the server is ended with it, by whoever evaluates.
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
        raise SealedMethodError(f"it returned no numbers: {error}") from None


def _is_library(name: str) -> bool:
    """Whether a module is of an installed package of this process, or of Python's own."""
    top = name.partition(".")[0]
    path = getattr(sys.modules.get(top), "__file__", None) or ""
    if top in sys.stdlib_module_names or name == FINGERPRINTING:
        return True
    return not INSTALLED.isdisjoint(path.replace("\\", "/").split("/"))
