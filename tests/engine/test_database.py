"""P5: who awaits somebody's bytes holds no database, but for a few."""

import threading
from contextlib import ExitStack

import pytest
from django.db import connection

from tests.support.threads import Running
from uploads.engine.database import KEPT, awaiting_bytes, let_go_of_databases

pytestmark = pytest.mark.django_db(transaction=True)


def is_open() -> bool:
    return connection.connection is not None


def test_a_thread_that_awaits_bytes_with_few_others_keeps_its_connection() -> None:
    connection.ensure_connection()
    with awaiting_bytes():
        let_go_of_databases()
        assert is_open()
    let_go_of_databases()
    assert not is_open(), "only while the bytes of that body are awaited"


def test_beyond_a_few_nobody_who_awaits_bytes_keeps_one() -> None:
    waiting, done = threading.Barrier(KEPT + 1), threading.Event()

    def await_bytes() -> None:
        with awaiting_bytes():
            waiting.wait(60)
            assert done.wait(60)

    with ExitStack() as stack:
        others = [Running(await_bytes) for _ in range(KEPT)]
        stack.callback(lambda: [other.result() for other in others])
        stack.callback(done.set)
        waiting.wait(60)
        connection.ensure_connection()
        with awaiting_bytes():
            assert not is_open()
    connection.ensure_connection()
    with awaiting_bytes():
        assert is_open(), "the places are free again"
