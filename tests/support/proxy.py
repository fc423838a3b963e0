"""A network that a test can cut: a TCP proxy on the loopback in front of a server."""

import contextlib
import socket
import threading
import time
from types import TracebackType
from typing import Self

_PIECE = 16 * 1024
#: A request without a body comes in smaller pieces.
_BODY_PIECE = 4 * 1024


class _Way:
    """One direction of all connections together: its bytes, and after which of them to cut."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0
        self._cut_at: int | None = None

    @property
    def count(self) -> int:
        with self._lock:
            return self._count

    def reset_count(self) -> None:
        with self._lock:
            self._count = 0

    def cut_after(self, count: int | None) -> None:
        """After so many more; None for never."""
        with self._lock:
            self._cut_at = None if count is None else self._count + count

    def counted(self, piece: bytes) -> bytes:
        """The part of `piece` that may pass before a cut."""
        with self._lock:
            room = len(piece) if self._cut_at is None else max(0, self._cut_at - self._count)
            allowed = piece[:room]
            self._count += len(allowed)
            return allowed


class Proxy:
    """`with Proxy(server.port) as proxy:` forwards from `proxy.url` to the server.

    Counts the bytes sent upstream (from client to server) and downstream; can cut all connections
    after so many of them, refuse new connections, slow the way up, hold bodies back, and heal.
    """

    def __init__(self, target_port: int) -> None:
        self._target = ("127.0.0.1", target_port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._lock = threading.Lock()
        self._cutting = threading.Lock()
        self._connections: set[socket.socket] = set()
        #: Those to the server with a body under way, be its next piece as small as it may.
        self._in_body: set[socket.socket] = set()
        self._upward = _Way()
        self._downward = _Way()
        self._stays_down = True
        self._hold_at: int | None = None
        self._freed = threading.Event()
        self._down = False
        self._bytes_per_second: float | None = None
        self._closed = False
        #: Set when a cut that was asked for has happened.
        self.was_cut = threading.Event()
        #: Set when a body has been stopped by `hold_after`.
        self.was_held = threading.Event()

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def bytes_upstream(self) -> int:
        return self._upward.count

    @property
    def bytes_downstream(self) -> int:
        return self._downward.count

    def reset_count(self) -> None:
        """Of both ways."""
        self._upward.reset_count()
        self._downward.reset_count()

    def cut_after(self, count: int) -> None:
        """After `count` more bytes upstream, cut all connections and refuse new ones."""
        self.was_cut.clear()
        self._stays_down = True
        self._upward.cut_after(count)

    def cut_down_after(self, count: int, *, stay_down: bool = True) -> None:
        """After `count` more bytes downstream, cut all connections; refuse new ones, or don't.

        If they are not refused there is but one cut: whoever tries again gets through at once.
        """
        self.was_cut.clear()
        self._stays_down = stay_down
        self._downward.cut_after(count)

    def hold_after(self, count: int) -> None:
        """After `count` more bytes upstream let no body through until `release`.

        Requests without one still pass: pages load, while what is in mid-air stays there.
        """
        self.was_held.clear()
        with self._lock:
            self._freed.clear()
            self._hold_at = self._upward.count + count

    def release(self) -> None:
        with self._lock:
            self._hold_at = None
        self._freed.set()

    def drop(self) -> None:
        """Cut all connections, with what they still carry; new ones are welcome at once."""
        self.go_down()
        self.release()
        self.heal()

    def go_down(self) -> None:
        """Cut all connections and refuse new ones, until `heal`."""
        with self._lock:
            self._down = True
        self._disconnect()

    def _disconnect(self) -> None:
        with self._lock:
            connections, self._connections = self._connections, set()
        for connection in connections:
            _close(connection)

    def come_up(self) -> None:
        """Let connections in again; what was said of speed and the next cut still holds."""
        with self._lock:
            self._down = False

    def heal(self) -> None:
        """Let everything through again, at full speed."""
        with self._lock:
            self._down = False
            self._bytes_per_second = None
        self._upward.cut_after(None)
        self._downward.cut_after(None)

    def throttle(self, bytes_per_second: float | None) -> None:
        """Slow the way up of each connection; None for full speed."""
        self._bytes_per_second = bytes_per_second

    def close(self) -> None:
        self._closed = True
        self.go_down()
        self.release()
        # A blocked accept() is woken by a shutdown, not by a close.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while not self._closed:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._connect, args=(client,), daemon=True).start()

    def _connect(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(self._target)
        except OSError:
            _close(client)
            return
        with self._lock:
            refused = self._down
            if not refused:
                self._connections |= {client, server}
        if refused:
            _close(client)
            _close(server)
            return
        threading.Thread(target=self._pump_down, args=(server, client), daemon=True).start()
        self._pump_up(client, server)

    def _pump_up(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := client.recv(_PIECE):
                if self._is_held(piece, server):
                    self.was_held.set()
                    self._freed.wait()
                allowed = self._upward.counted(piece)
                server.sendall(allowed)
                if len(allowed) < len(piece):
                    self._cut()
                    return
                self._slow_down(len(piece))
            server.shutdown(socket.SHUT_WR)
            return
        self._forget(client, server)

    def _pump_down(self, server: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := server.recv(_PIECE):
                self._is_answered(server)
                allowed = self._downward.counted(piece)
                client.sendall(allowed)
                if len(allowed) < len(piece):
                    self._cut()
                    return
        self._forget(client, server)

    def _cut(self) -> None:
        """Once, though several connections may come to the same end."""
        with self._cutting:
            if self.was_cut.is_set():
                return
            if self._stays_down:
                self.go_down()
            else:
                self._downward.cut_after(None)
                self._disconnect()
            self.was_cut.set()

    def _is_held(self, piece: bytes, server: socket.socket) -> bool:
        """Whether it is of a body, and none passes now."""
        with self._lock:
            if len(piece) >= _BODY_PIECE:
                self._in_body.add(server)
            is_due = self._hold_at is not None and self._upward.count >= self._hold_at
            return is_due and server in self._in_body

    def _is_answered(self, server: socket.socket) -> None:
        with self._lock:
            self._in_body.discard(server)

    def _slow_down(self, count: int) -> None:
        if self._bytes_per_second:
            time.sleep(count / self._bytes_per_second)

    def _forget(self, *connections: socket.socket) -> None:
        with self._lock:
            self._connections -= set(connections)
            self._in_body -= set(connections)
        for connection in connections:
            _close(connection)


def _close(connection: socket.socket) -> None:
    """Shut down first: another thread may be blocked in recv() on it."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
