"""Where sealed processes come from: a server that never held data forks one for each fit.

The server is forked from this process if that holds no data yet; else it is a new interpreter. It lives until this process
ends: however that ends, the server's socket closes, and the server ends whatever is still running. It has a session of its
own, so Ctrl-C reaches this process alone. Where nothing can be forked safely, each fit is a new interpreter.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any

from nndynbench.seal import holds_data
from nndynbench.sealed.channel import LENGTH, Channel, GoneError

# Apple's libraries may not be used after a fork.
CAN_FORK = sys.platform == "linux"

PATIENCE = 10.0  # seconds that a server has to end by itself

NEW_SERVER = "import sys; sys.path[:] = {path!r}; from nndynbench.sealed import server; server.serve_from({descriptor})"
NEW_FIT = "import sys; sys.path[:] = {path!r}; from nndynbench.sealed import server; server.work_alone()"


class Server:
    """The process that forks, and this process's end of the socket to it."""

    def __init__(self, control: socket.socket, pid: int, end: Callable[[float], None]) -> None:
        self.pid = pid
        self._control, self._end = control, end
        self._lock = threading.Lock()
        self._running = 0
        self._imported: set[str] = set()

    def process(self, *, bundled: bool = False) -> Channel:
        """Start a new sealed process, and return the channel to it.

        The server first imports the libraries that earlier fits needed and, if ``bundled``, the bundled methods, once for
        all processes that follow.

        Raises
        ------
        GoneError
            If the server is gone.
        """
        ours, theirs = socket.socketpair()
        with self._lock, theirs:
            request = json.dumps({"modules": sorted(_needed - self._imported), "bundled": bundled}).encode()
            self._imported |= _needed
            self._running += 1  # also where the server is gone: it is not idle then, so it is ended and a new one is started
            try:
                socket.send_fds(self._control, [LENGTH.pack(len(request))], [theirs.fileno()])
                self._control.sendall(request)
            except OSError as gone:
                ours.close()
                raise GoneError("the server of sealed processes is gone") from gone
        with ours:
            channel = Channel(ours.makefile("rb"), ours.makefile("wb"))
        channel.hear()  # it is there: the server has read this request, so the next one is a message of its own
        return channel

    def done(self, channel: Channel) -> None:
        """Note that the process behind a channel has given its answer."""
        channel.close()
        with self._lock:
            self._running -= 1

    @property
    def is_idle(self) -> bool:
        return self._running == 0

    def stop(self) -> None:
        """End the server and everything that it forked."""
        self._control.close()
        self._end(PATIENCE)


_server: Server | None = None
_needed: set[str] = set()
_starting = threading.Lock()


def server(*, fork: bool | None = None) -> Server:
    """The server of this process, started when it is first asked for.

    ``fork``: whether to fork it from this process, which must not have used threads of native code yet. By default it is
    forked if no thread runs beside the main one.
    """
    global _server
    with _starting:
        if _server is None:
            single = len(os.listdir("/proc/self/task")) == 1 if CAN_FORK else False
            may_fork = CAN_FORK and not holds_data() and threading.active_count() == 1
            _server = _forked() if may_fork and (single if fork is None else fork) else _new()
        return _server


def need(libraries: Iterable[str]) -> None:
    """Note modules that a sealed process had to import: the server imports them before it forks the next one."""
    _needed.update(libraries)


def stop_server() -> None:
    """End the server of this process, if it has one, and everything that it forked."""
    global _server
    with _starting:
        stopped, _server = _server, None
    if stopped is not None:
        stopped.stop()


def stop_unless_idle() -> None:
    """End the server if anything that it forked still runs: nobody waits for it any more."""
    if _server is not None and not _server.is_idle:
        stop_server()


atexit.register(stop_server)


def _forget() -> None:
    """Forget the server, in a process that was forked from this one: it is not its own."""
    global _server, _starting
    if _server is not None:
        _server._control.close()
    _server, _starting = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def new_fit() -> tuple[Channel, Callable[[], None]]:
    """Start a sealed process as a new interpreter; returns the channel to it, and what ends it."""
    command = [sys.executable, "-c", NEW_FIT.format(path=sys.path)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
    assert process.stdin is not None
    assert process.stdout is not None
    channel = Channel(process.stdout, process.stdin)  # type: ignore[arg-type]
    channel.hear()

    def end() -> None:
        channel.close()
        process.kill()
        process.wait()

    return channel, end


def _new() -> Server:
    ours, theirs = socket.socketpair()
    command = [sys.executable, "-c", NEW_SERVER.format(path=sys.path, descriptor=theirs.fileno())]
    with theirs:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()], start_new_session=True, close_fds=True
        )

    def end(patience: float) -> None:
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    return Server(ours, process.pid, end)


def _forked() -> Server:
    ours, theirs = socket.socketpair()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, OSError, ValueError):
            stream.flush()  # else the copy writes it again
    child = os.fork()
    if child == 0:
        try:
            ours.close()
            os.setsid()
            serve(theirs)
        finally:
            os._exit(0)
    theirs.close()

    def end(patience: float) -> None:
        watch = threading.Timer(patience, os.kill, (child, signal.SIGKILL))
        watch.start()
        try:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(child, 0)
        finally:
            watch.cancel()

    return Server(ours, child, end)


def serve_from(descriptor: int) -> None:
    """The start of a new interpreter that serves on an inherited socket."""
    serve(socket.socket(fileno=descriptor))


def serve(control: socket.socket) -> None:
    """Fork a sealed process for every request until the other end is closed, then end those that still run."""
    from nndynbench.sealed import inside

    running: set[int] = set()

    def reap(*_: Any) -> None:
        for pid in list(running):
            with contextlib.suppress(ChildProcessError):
                if os.waitpid(pid, os.WNOHANG)[0] == pid:
                    running.discard(pid)
                    _end_group(pid)  # and what it started itself

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL if number != signal.SIGINT else signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, reap)
    gc.freeze()  # what is here is never garbage, so no copy needs to look at it
    while True:
        length, descriptors, _, _ = socket.recv_fds(control, LENGTH.size, 1)
        if not descriptors:
            break
        [count] = LENGTH.unpack(length)
        request = control.recv(count, socket.MSG_WAITALL)
        inside.warm(**json.loads(request))
        # No child may be reaped between its fork and its note in `running`, or it would stay there for ever.
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
        pid = os.fork()
        if pid == 0:
            try:
                os.setpgid(0, 0)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                signal.signal(signal.SIGINT, signal.default_int_handler)
                signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGCHLD])
                control.close()
                with socket.socket(fileno=descriptors[0]) as own:
                    inside.work(Channel(own.makefile("rb"), own.makefile("wb")))
            except BaseException:
                os._exit(1)
            os._exit(0)
        with contextlib.suppress(OSError):  # parent and child both do this, whichever comes first
            os.setpgid(pid, pid)
        running.add(pid)
        os.close(descriptors[0])
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGCHLD])
        reap()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for pid in list(running):
        _end_group(pid)


def work_alone() -> None:
    """The start of a new interpreter for one fit. Its conversation is on its standard streams; prints go to standard
    error.
    """
    from nndynbench.sealed import inside

    channel = Channel(os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb"))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    inside.work(channel)


def _end_group(pid: int) -> None:
    with contextlib.suppress(OSError):
        os.killpg(pid, signal.SIGKILL)
