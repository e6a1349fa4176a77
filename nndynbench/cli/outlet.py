"""Where command lines print: standard output, on which no work fails."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from nndynbench.plain import IN_PLAIN


class Outlet:
    """Standard output, whatever that is at the moment: what cannot be shown stops no work.

    What the encoding lacks is shown in plain signs. Where a pipe was closed or a disk is full, ``failure`` is kept, for the
    exit status to tell.
    """

    failure: OSError | None = None

    @property
    def stream(self) -> IO[str] | None:
        """None where it was closed from the beginning: nobody wants to see anything."""
        stream: IO[str] | None = getattr(sys.stdout, "rich_proxied_file", sys.stdout)
        return stream

    @property
    def rich_proxied_file(self) -> Outlet:
        # While a bar is shown, rich stands in for standard output and prints to this.
        return self

    @property
    def encoding(self) -> str:
        return getattr(self.stream, "encoding", None) or "utf-8"

    def isatty(self) -> bool:
        return self.stream is not None and self.stream.isatty()

    def write(self, text: str) -> int:
        with self._failure_kept():
            if self.stream is not None:
                try:
                    self.stream.write(text)
                except UnicodeEncodeError:
                    self.stream.write(text.encode(self.encoding, IN_PLAIN).decode(self.encoding))
        return len(text)

    def flush(self) -> None:
        with self._failure_kept():
            if self.stream is not None:
                self.stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    @contextmanager
    def _failure_kept(self) -> Iterator[None]:
        try:
            yield
        except OSError as failure:
            self.failure = self.failure or failure


outlet = Outlet()
