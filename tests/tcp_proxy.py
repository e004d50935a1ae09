"""A TCP proxy that misbehaves on command: what stands between a process and its server when a network fails.

    with TcpProxy(target) as proxy:
        proxy.swallow()                    # nothing arrives any more, and nobody is told
        proxy.restore()

`target` is a port on the loopback address or the path of a Unix socket. Each connection has two threads, one for each
direction, that look at the state of the proxy whenever bytes come.
"""

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

_CHUNK = 1 << 16


class Mode(StrEnum):
    """What happens to bytes and to new connections."""

    PASS = "pass"
    SWALLOW = "swallow"  #: taken and dropped in both directions; new connections are accepted and get nothing
    REFUSE = "refuse"  #: connections are reset, and new ones too
    DELAY = "delay"  #: passed on late


@dataclass(eq=False)
class _Pair:
    """One connection: the client's end, and the one that the proxy opened for it."""

    client: socket.socket
    server: socket.socket
    is_swallowed: bool = False  #: for good: once bytes are missing, nothing that follows would make sense
    cut_at_answer: "Cut | None" = None
    sent: bytearray = field(default_factory=bytearray)  #: the first bytes of the client, which name the application

    def reset(self) -> None:
        """Closes both ends at once, as a machine does that lost its memory of the connection."""
        for end in (self.client, self.server):
            with contextlib.suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


@dataclass(eq=False)
class Cut:
    """A connection that is to be reset around the next bytes that match."""

    when: Literal["before", "after"]  #: they reached the server, or it answered and nobody heard it
    pattern: bytes
    application: bytes
    done: threading.Event = field(default_factory=threading.Event)


class TcpProxy:
    """Listens on a port of the loopback address until its block ends. New connections follow the present mode."""

    def __init__(self, target: int | Path) -> None:
        self._target = target
        self._mode = Mode.PASS
        self._delay_s = 0.0
        self._pairs: set[_Pair] = set()
        self._cuts: list[Cut] = []
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, name="proxy", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # Closing alone does not wake the thread that accepts.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.reset()

    @property
    def n_connections(self) -> int:
        """How many connections are open through the proxy."""
        return len(self._pairs)

    def restore(self) -> None:
        """Lets everything pass again, but on connections that lost something: those are swallowed for good."""
        self._mode = Mode.PASS

    def swallow(self) -> None:
        """Drops all bytes in both directions, also of new connections, and closes nothing."""
        self._mode = Mode.SWALLOW

    def forget(self) -> None:
        """Swallows the connections there are, for good; new ones pass. So does a firewall that was restarted."""
        with self._lock:
            for pair in self._pairs:
                pair.is_swallowed = True

    def refuse(self) -> None:
        """Resets all connections, and each new one."""
        self._mode = Mode.REFUSE
        self.reset()

    def delay(self, seconds: float) -> None:
        """Passes everything on after a while."""
        self._delay_s = seconds
        self._mode = Mode.DELAY

    def reset(self) -> None:
        """Resets the connections there are; new ones follow the mode."""
        with self._lock:
            pairs = list(self._pairs)
        for pair in pairs:
            self._drop(pair)

    def cut(self, when: Literal["before", "after"], pattern: bytes, *, application: bytes = b"") -> Cut:
        """Resets one connection when the pattern passes next, of an application whose first bytes hold its name.

        Before: the server never sees the bytes. After: it has answered them, and the client never sees that.
        """
        cut = Cut(when, pattern, application)
        with self._lock:
            self._cuts.append(cut)
        return cut

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            pair = None if self._mode == Mode.REFUSE else self._connected(client)
            if pair is None:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                client.close()
                continue
            with self._lock:
                self._pairs.add(pair)
            for pump in (self._to_server, self._to_client):
                threading.Thread(target=self._run, args=(pump, pair), name="proxy", daemon=True).start()

    def _connected(self, client: socket.socket) -> _Pair | None:
        is_port = isinstance(self._target, int)
        server = socket.socket(socket.AF_INET if is_port else socket.AF_UNIX)
        try:
            server.connect(("127.0.0.1", self._target) if is_port else str(self._target))
        except OSError:
            server.close()
            return None
        return _Pair(client, server)

    def _run(self, pump: Callable[[_Pair], None], pair: _Pair) -> None:
        with contextlib.suppress(OSError):
            pump(pair)
        if not (pair.is_swallowed or self._mode == Mode.SWALLOW):
            self._drop(pair)

    def _to_server(self, pair: _Pair) -> None:
        while data := pair.client.recv(_CHUNK):
            if len(pair.sent) < 1024:
                pair.sent += data
            if not self._passes(pair):
                continue
            cut = self._take_cut(pair, data)
            if cut is not None and cut.when == "before":
                self._drop(pair)
                cut.done.set()
                return
            pair.cut_at_answer = cut
            pair.server.sendall(data)

    def _to_client(self, pair: _Pair) -> None:
        while data := pair.server.recv(_CHUNK):
            if pair.cut_at_answer is not None:
                self._drop(pair)
                pair.cut_at_answer.done.set()
                return
            if self._passes(pair):
                pair.client.sendall(data)

    def _passes(self, pair: _Pair) -> bool:
        if self._mode == Mode.DELAY:
            time.sleep(self._delay_s)
        if self._mode == Mode.SWALLOW:
            pair.is_swallowed = True
        return not pair.is_swallowed

    def _take_cut(self, pair: _Pair, data: bytes) -> Cut | None:
        with self._lock:
            for cut in self._cuts:
                if cut.pattern in data and cut.application in pair.sent:
                    self._cuts.remove(cut)
                    return cut
        return None

    def _drop(self, pair: _Pair) -> None:
        with self._lock:
            self._pairs.discard(pair)
        pair.reset()
