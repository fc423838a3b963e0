"""P5: who awaits somebody's bytes holds no database, but for a few."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from django.db import connection

from tests.support.threads import Running
from tests.support.waiting import wait_until
from uploads.engine.database import KEPT, let_go_of_databases, let_go_unless_few

pytestmark = pytest.mark.django_db(transaction=True)


@contextmanager
def other_threads(count: int) -> Iterator[None]:
    """So many wait for bytes meanwhile."""
    waiting, done = threading.Barrier(count + 1), threading.Event()

    def wait_for_bytes() -> None:
        let_go_unless_few()
        waiting.wait(100)
        assert done.wait(100)

    with ExitStack() as stack:
        others = [Running(wait_for_bytes) for _ in range(count)]
        stack.callback(lambda: [other.result() for other in others])
        stack.callback(done.set)
        waiting.wait(100)
        yield


def keeps_its_connection() -> bool:
    connection.ensure_connection()
    let_go_unless_few()
    return connection.connection is not None


@pytest.fixture(autouse=True)
def no_place() -> Iterator[None]:
    let_go_of_databases()
    yield
    let_go_of_databases()


def test_a_thread_that_waits_with_few_others_keeps_its_connection() -> None:
    with other_threads(KEPT - 1):
        assert keeps_its_connection()


def test_beyond_a_few_nobody_who_waits_keeps_one_until_one_of_them_ends() -> None:
    with other_threads(KEPT):
        assert not keeps_its_connection()
    wait_until(keeps_its_connection, "a place")


def test_who_waits_for_long_gives_its_place_to_others() -> None:
    with other_threads(KEPT - 1):
        assert keeps_its_connection()
        let_go_of_databases()
        assert connection.connection is None
        with other_threads(1):
            assert not keeps_its_connection()
