"""P5, P8: connections on which nothing moves are ended, all others are left alone."""

import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import pytest

from tests.support.waiting import wait_until
from uploads.connections import end_idle

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="uses TCP_INFO")

#: Long enough that what is sent in a loop without pause moves, even on a busy machine.
IDLE_SECONDS = 2.0

Pair = tuple[socket.socket, socket.socket]


class Place:
    """A served port, and connections to it; both ends are in this process."""

    def __init__(self, host: str) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._stack = ExitStack()
        self.listener = self._stack.enter_context(socket.create_server((host, 0), family=family))
        self.port: int = self.listener.getsockname()[1]

    def connect(self) -> Pair:
        """The client's end and the server's."""
        client = socket.create_connection(self.listener.getsockname()[:2])
        served, _ = self.listener.accept()
        return self._stack.enter_context(client), self._stack.enter_context(served)

    def end_one(self) -> None:
        """Wait until one connection is idle, and end it."""
        wait_until(lambda: end_idle(self.port, IDLE_SECONDS) == 1, "an idle connection")

    def close(self) -> None:
        self._stack.close()


@pytest.fixture
def place() -> Iterator[Place]:
    with closing(Place("127.0.0.1")) as place:
        yield place


def open_sockets() -> int:
    """Of this process; files that other threads open and close meanwhile are none."""
    count = 0
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            count += str(descriptor.readlink()).startswith("socket:")
    return count


def is_ended(end: socket.socket) -> bool:
    """Whether nothing more will come."""
    end.settimeout(0)
    try:
        return end.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_p5_a_connection_that_has_stalled_is_ended_on_both_sides(host: str) -> None:
    try:
        place = Place(host)
    except OSError:
        pytest.skip(f"there is no {host} here")
    with closing(place):
        client, served = place.connect()
        client.sendall(b"PUT / HTTP/1.1\r\nContent-Length: 10\r\n\r\n12345")
        served.recv(100)
        place.end_one()
        assert is_ended(served)
        wait_until(lambda: is_ended(client), "the news at the client")


@pytest.mark.parametrize("upwards", [True, False])
def test_p5_one_that_moves_in_either_direction_is_not_ended(place: Place, upwards: bool) -> None:
    moving, stalled = place.connect(), place.connect()
    sender, receiver = moving if upwards else moving[::-1]

    def move() -> bool:
        sender.sendall(b"x")
        receiver.recv(1)
        return end_idle(place.port, IDLE_SECONDS) == 1

    wait_until(move, "the end of the other")
    assert is_ended(stalled[1])
    assert not is_ended(moving[1])


def test_p5_a_client_that_reads_nothing_is_ended_whatever_it_acknowledges(place: Place) -> None:
    _, served = place.connect()
    served.setblocking(False)

    def full() -> bool:
        try:
            served.send(bytes(65536))
        except BlockingIOError:
            return True
        return False

    wait_until(full, "the client's window to be closed")
    place.end_one()


def test_p5_a_client_that_has_said_all_and_reads_nothing_is_ended(place: Place) -> None:
    """Half closed: the kernel does not count it as established any more."""
    client, served = place.connect()
    client.shutdown(socket.SHUT_WR)
    place.end_one()
    with pytest.raises(BrokenPipeError):
        served.send(b"x")


def test_nothing_but_connections_at_the_port_is_touched(place: Place, tmp_path: Path) -> None:
    stalled = place.connect()
    with ExitStack() as stack:
        other = Place("127.0.0.1")
        stack.callback(other.close)
        elsewhere = other.connect()
        # The event loop of the server wakes itself by such a pair, and panics when it breaks.
        own = [stack.enter_context(end) for end in socket.socketpair()]
        datagrams = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        datagrams.bind(("127.0.0.1", place.port))
        file = stack.enter_context((tmp_path / "file").open("w"))
        before = open_sockets()
        place.end_one()
        assert not any(map(is_ended, [*elsewhere, *own])), "another port, or none"
        assert file.write("still open")
        assert datagrams.getsockname()[1] == place.port
        assert place.listener.getsockname()[1] == place.port, "the port is still listened at"
        assert place.connect()
        assert open_sockets() == before + 2
    assert is_ended(stalled[1])
