"""Messages between the process that evaluates and a sealed one, over two streams of bytes.

What goes in is pickled, since it comes from the project's own code. What comes out is JSON: unpickling what a method sends
would run it outside.
"""

from __future__ import annotations

import contextlib
import json
import pickle
import struct
from typing import Any, BinaryIO

from nndynbench.errors import NndynbenchError

LENGTH = struct.Struct("!Q")
LONGEST = 1 << 30  # bytes that a message from inside may have


class GoneError(NndynbenchError, RuntimeError):
    """The process at the other end of a channel is gone."""


class Channel:
    """One end of a conversation. Every method raises `GoneError` if the other end is gone."""

    def __init__(self, incoming: BinaryIO, outgoing: BinaryIO) -> None:
        self._incoming, self._outgoing = incoming, outgoing

    def say(self, message: dict[str, Any]) -> None:
        """Send a message from inside."""
        self._send(json.dumps(message).encode())

    def hear(self) -> dict[str, Any]:
        """Receive a message from inside; raises ValueError for anything but a JSON object."""
        message = json.loads(self._receive(LONGEST))
        if not isinstance(message, dict):
            raise ValueError(f"a message from a sealed process is not a JSON object: {message!r:.100}")
        return message

    def hand(self, value: Any) -> None:
        """Send a value to the inside."""
        self._send(pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL))

    def take(self) -> Any:
        """Receive a value on the inside."""
        return pickle.loads(self._receive())

    def close(self) -> None:
        for stream in (self._outgoing, self._incoming):
            with contextlib.suppress(OSError):
                stream.close()

    def _send(self, content: bytes) -> None:
        try:
            self._outgoing.write(LENGTH.pack(len(content)))
            self._outgoing.write(content)
            self._outgoing.flush()
        except (OSError, ValueError) as gone:
            raise GoneError("the other process is gone") from gone

    def _receive(self, longest: int | None = None) -> bytes:
        [length] = LENGTH.unpack(self._read(LENGTH.size))
        if longest is not None and length > longest:
            raise ValueError(f"a message from a sealed process has {length} bytes, more than the {longest} allowed")
        return self._read(length)

    def _read(self, length: int) -> bytes:
        try:
            content = self._incoming.read(length)
        except (OSError, ValueError) as gone:
            raise GoneError("the other process is gone") from gone
        if len(content) < length:
            raise GoneError("the other process is gone")
        return content
