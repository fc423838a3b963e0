"""One person has a bounded share of the server; beyond it 429, and nobody else notices."""

import io
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import User
from django.http import HttpRequest
from django.test import Client, RequestFactory
from pytest_django import Settings

from tests.support.bodies import WAIT_SECONDS
from uploads import conf
from uploads.core.plan import MIB
from uploads.errors import TooManyRequests
from uploads.protocols import fairness
from uploads.protocols.fairness import fair_share

from .conftest import CHUNKS, Answer, Begin, Put, refused

HANDSHAKE = "/api/v1/uploads/handshake"
FIELDS = {"filename": "f", "size": 10}

Set = Callable[..., None]


@pytest.fixture
def bounds(settings: Settings) -> Set:
    def set_bounds(**given: int) -> None:
        settings.UPLOADS = {**settings.UPLOADS, **{key.upper(): v for key, v in given.items()}}

    return set_bounds


@pytest.fixture(autouse=True)
def nothing_stays_counted() -> Iterator[None]:
    yield
    assert not fairness._shares


def of_length(length: int | str, method: str = "PUT") -> HttpRequest:
    return RequestFactory().generic(method, "/", CONTENT_LENGTH=str(length))


@contextmanager
def in_flight(user: User, *lengths: int) -> Iterator[None]:
    """Requests of the user with bodies of so many bytes, on their way for as long as this lasts."""
    if not lengths:
        yield
        return
    with fair_share(of_length(lengths[0]), user), in_flight(user, *lengths[1:]):
        yield


def asks_for_patience(response: Answer) -> bool:
    assert refused(response, 429, "too_many_requests")
    assert response["Retry-After"] == "1"
    assert "send the same request again" in response.json()["detail"]
    return True


def handshake(client: Client) -> Answer:
    return client.post(HANDSHAKE, FIELDS, "application/json")


def test_one_request_too_many_is_429_and_others_are_not_affected(
    alice: User, alice_client: Client, bob_client: Client, bounds: Set
) -> None:
    bounds(max_requests_per_user=3)
    with in_flight(alice, 0, 0, 0):
        response = handshake(alice_client)
        assert asks_for_patience(response)
        assert response.json()["limit"] == 3
        assert handshake(bob_client).status_code == 201
    with in_flight(alice, 0, 0):
        assert handshake(alice_client).status_code == 201


def test_the_default_bound_leaves_places_for_others() -> None:
    config = conf.parse({"ROOT": "/unused"})
    assert config.max_requests_per_user == 48
    assert config.max_bytes_per_user == 1024 * MIB
    assert 4 * config.max_requests_per_user < config.max_readers


def test_a_token_and_a_browser_of_one_person_share(
    alice: User, alice_token: str, bounds: Set
) -> None:
    bounds(max_requests_per_user=1)
    bearer = {"Authorization": f"Bearer {alice_token}"}
    with in_flight(alice, 0):
        response = Client().post(HANDSHAKE, FIELDS, "application/json", headers=bearer)
        assert asks_for_patience(response)


def test_too_many_bytes_at_once_are_429_however_few_the_requests(
    alice: User, bob: User, bounds: Set
) -> None:
    bounds(max_bytes_per_user=100)
    with in_flight(alice, 60), in_flight(bob, 100):
        with pytest.raises(TooManyRequests) as refusal, in_flight(alice, 41):
            pass
        assert refusal.value.members == {"limit": 100}
        with in_flight(alice, 40), in_flight(alice, 0):
            pass
    with in_flight(alice, 100):
        pass


def test_a_body_larger_than_the_bound_is_taken_one_at_a_time_and_shuts_nothing_else_out(
    alice: User, bounds: Set
) -> None:
    bounds(max_bytes_per_user=100)
    with in_flight(alice, 60, 10**12):
        with in_flight(alice, 40):
            pass
        with pytest.raises(TooManyRequests), in_flight(alice, 101):
            pass
    with in_flight(alice, 10**12):
        pass


@pytest.mark.parametrize("length", ["", "ten", "-5", "1_0", "\u0663", "9" * 30])
def test_a_length_that_is_none_counts_as_a_request_of_no_bytes(
    alice: User, bounds: Set, length: str
) -> None:
    bounds(max_requests_per_user=2, max_bytes_per_user=100)
    with (
        in_flight(alice, 100),
        fair_share(of_length(length), alice),
        pytest.raises(TooManyRequests),
        fair_share(of_length(length), alice),
    ):
        pass


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_what_changes_nothing_is_not_counted(alice: User, bounds: Set, method: str) -> None:
    bounds(max_requests_per_user=1)
    with in_flight(alice, 0), fair_share(of_length(0, method), alice):
        pass
    with fair_share(of_length(0, method), alice), in_flight(alice, 0):
        pass


def test_to_ask_and_to_download_is_possible_beside_a_full_share(
    alice: User, alice_client: Client, begin: Begin, bounds: Set
) -> None:
    session = begin()
    bounds(max_requests_per_user=1)
    with in_flight(alice, 0):
        assert alice_client.get(session["urls"]["self"]).status_code == 200
        assert alice_client.get("/api/v1/uploads").status_code == 200
        assert alice_client.get("/").status_code == 200


class _NeverRead(io.RawIOBase):
    """A body that only what drains it may read."""

    def read(self, size: int = -1, /) -> bytes:
        raise AssertionError("the body was read")


ADDRESSES = [
    ("POST", HANDSHAKE),
    ("DELETE", f"/api/v1/uploads/{UUID(int=1)}"),
    ("PUT", f"/api/v1/uploads/{UUID(int=1)}/chunks/0"),
    ("POST", f"/api/v1/uploads/{UUID(int=1)}/chunks/0"),
    ("POST", f"/api/v1/uploads/{UUID(int=1)}/complete"),
    ("POST", "/uploads/send"),
]


@pytest.mark.parametrize(("method", "path"), ADDRESSES)
def test_every_address_that_changes_something_refuses_before_its_body_is_read(
    alice: User,
    alice_client: Client,
    bounds: Set,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    path: str,
) -> None:
    monkeypatch.setattr("uploads.protocols.endpoint.drain_unread", lambda _: None)
    bounds(max_requests_per_user=1)
    unread: dict[str, Any] = {"wsgi.input": _NeverRead(), "CONTENT_LENGTH": "1000"}
    with in_flight(alice, 0):
        response = alice_client.generic(method, path, b"x", "application/json", **unread)
    assert asks_for_patience(response)


def test_a_browser_s_form_is_led_back_with_a_sentence(
    alice: User, alice_client: Client, bounds: Set
) -> None:
    bounds(max_requests_per_user=1)
    with in_flight(alice, 0):
        form = {"file": io.BytesIO(b"abc")}
        response = alice_client.post(
            "/uploads/send", form, headers={"Accept": "text/html"}, follow=True
        )
    assert "Nothing was lost: wait a moment" in response.content.decode()


def test_who_is_not_signed_in_is_told_so_and_counts_for_nobody(
    alice: User, client: Client, bounds: Set
) -> None:
    bounds(max_requests_per_user=1)
    with in_flight(alice, 0):
        assert refused(handshake(client), 401, "not_authenticated")


def test_what_was_refused_or_failed_leaves_its_place(
    alice_client: Client, begin: Begin, put: Put, bounds: Set, monkeypatch: pytest.MonkeyPatch
) -> None:
    bounds(max_requests_per_user=1)
    session = begin()
    assert refused(put(session, 0, b"too short"), 400, "length_mismatch")
    assert refused(put(session, 99, CHUNKS[0]), 404, "chunk_not_found")

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a defect")

    with monkeypatch.context() as patch:
        patch.setattr("uploads.engine.receiving.check_chunk", broken)
        with pytest.raises(RuntimeError, match="a defect"):
            put(session, 0, CHUNKS[0])
    assert put(session, 0, CHUNKS[0]).status_code == 200


def test_a_refusal_that_is_drained_takes_no_place_of_its_sender(
    alice_client: Client, begin: Begin, put: Put, bounds: Set, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that is refused and sends on, or stalls, must not be shut out by that."""
    bounds(max_requests_per_user=1)
    session = begin()
    meanwhile = []

    def drain(_: HttpRequest) -> None:
        with monkeypatch.context() as patch:
            patch.setattr("uploads.protocols.endpoint.drain_unread", lambda _: None)
            meanwhile.append(put(session, 0, CHUNKS[0]).status_code)

    monkeypatch.setattr("uploads.protocols.endpoint.drain_unread", drain)
    assert refused(put(session, 99, CHUNKS[1]), 404, "chunk_not_found")
    assert meanwhile == [200]


def test_many_threads_at_once_are_counted_right(alice: User, bounds: Set) -> None:
    bounds(max_requests_per_user=5)
    threads = 20
    begin, decided = threading.Barrier(threads), threading.Barrier(threads)
    outcomes = []

    def ask() -> None:
        begin.wait(WAIT_SECONDS)
        try:
            with fair_share(of_length(1), alice):
                outcomes.append("taken")
                decided.wait(WAIT_SECONDS)
        except TooManyRequests:
            outcomes.append("refused")
            decided.wait(WAIT_SECONDS)

    running = [threading.Thread(target=ask) for _ in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join(WAIT_SECONDS)
    assert (outcomes.count("taken"), outcomes.count("refused")) == (5, 15)
