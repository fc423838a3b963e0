"""A host of its own for content: nothing else is there, and what is needs no cookie (P9)."""

from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import signing
from django.db import OperationalError
from django.test import Client
from pytest_django import Settings

from tests.support.bodies import sha256
from uploads import conf
from uploads.engine import content_tickets
from uploads.engine.admitting import ANYTHING
from uploads.engine.tickets import issue_ticket
from uploads.models import FileSession
from uploads.protocols import download_host

from .conftest import DATA, Answer, refused

MAIN, HOST = "testserver", "content.test"


@pytest.fixture(autouse=True)
def own_host(settings: Settings, upload_root: Path) -> None:
    settings.ALLOWED_HOSTS = [MAIN, HOST]
    origin = f"https://{HOST}"
    setattr(settings, conf.SETTING, {"ROOT": upload_root, "DOWNLOAD_ORIGIN": origin})


@pytest.fixture
def stranger() -> Client:
    """A browser on the download host: without any cookie."""
    return Client(headers={"Host": HOST})


@pytest.fixture
def path(alice_client: Client, completed: dict[str, Any]) -> str:
    """Of alice's content on the download host."""
    answer = alice_client.get(completed["urls"]["content"])
    return answer["Location"].removeprefix(f"https://{HOST}")


def body(answer: Answer) -> bytes:
    return b"".join(answer.streaming_content) if answer.streaming else answer.content


def test_the_address_of_content_leads_there_whatever_the_method(
    alice_client: Client, completed: dict[str, Any]
) -> None:
    for ask in (alice_client.get, alice_client.head):
        answer = ask(completed["urls"]["content"], headers={"Range": "bytes=0-0"})
        assert (answer.status_code, answer.content) == (307, b"")
        assert answer["Location"].startswith(f"https://{HOST}/")
        assert answer["Cache-Control"] == "no-store"
        assert answer["Referrer-Policy"] == "no-referrer"


def test_nobody_is_led_there_who_may_not_have_it(
    alice_client: Client, bob_client: Client, completed: dict[str, Any]
) -> None:
    url = completed["urls"]["content"]
    assert refused(bob_client.get(url), 404, "session_not_found")
    assert refused(Client().get(url), 401, "not_authenticated")
    FileSession.objects.update(status="active")
    assert refused(alice_client.get(url), 409, "content_not_ready")


def test_the_ticket_is_all_that_is_needed_for_whole_part_head_and_conditions(
    stranger: Client, path: str
) -> None:
    whole = stranger.get(path)
    assert (whole.status_code, body(whole)) == (200, DATA)
    assert whole["Content-Disposition"] == 'attachment; filename="file.bin"'
    assert whole["Content-Security-Policy"].startswith("sandbox; default-src 'none'")
    part = stranger.get(path, headers={"Range": "bytes=5-9", "If-Range": whole["ETag"]})
    assert (part.status_code, body(part)) == (206, DATA[5:10])
    head = stranger.head(path)
    assert (head.status_code, head["Content-Length"]) == (200, str(len(DATA)))
    assert stranger.get(path, headers={"If-None-Match": whole["ETag"]}).status_code == 304
    for answer in (whole, part, head):
        assert answer["X-Request-ID"]
        assert answer["Cache-Control"] == "private, no-store"


def test_no_cookie_is_set_or_read_there(
    alice_client: Client, stranger: Client, completed: dict[str, Any], path: str
) -> None:
    for answer in (stranger.get(path), alice_client.get(path, headers={"Host": HOST})):
        assert not answer.cookies
        assert "Vary" not in answer
        assert body(answer) == DATA
    # Signed in, with the address of the main host.
    answer = alice_client.get(completed["urls"]["content"], headers={"Host": HOST})
    assert refused(answer, 404, "not_found")


@pytest.mark.parametrize("host", [HOST, f"{HOST}:8443", f"{HOST}.", HOST.upper()])
@pytest.mark.parametrize(
    "address",
    ["/", "/sign-in/", "/admin/login/", "/texts.js", "/api/v1/uploads", "/static/css/holdfast.css",
     "/tokens/", "/collections/", "/\u00fc", "/a:b:c", "/" + "x" * 5000],
)  # fmt: skip
def test_nothing_else_is_there(
    alice_client: Client, alice_token: str, address: str, host: str
) -> None:
    for headers in ({}, {"Authorization": f"Bearer {alice_token}"}):
        answer = alice_client.get(address, headers={"Host": host, **headers})
        assert refused(answer, 404, "not_found")
        assert not answer.cookies


def test_other_methods_are_refused_there(stranger: Client, path: str) -> None:
    for ask in (stranger.post, stranger.put, stranger.delete, stranger.options):
        assert refused(ask(path), 405, "method_not_allowed")
    assert FileSession.objects.get().trashed_at is None


def test_the_ticket_is_refused_on_the_main_host(alice_client: Client, path: str) -> None:
    assert alice_client.get(path).status_code == 404
    assert Client().get(path).status_code == 404


def test_a_forged_ticket_or_one_for_something_else_finds_nothing(
    alice: User, stranger: Client, path: str
) -> None:
    session = FileSession.objects.get()
    told = {"user": str(alice.pk), "session": str(session.pk)}
    forged = [
        path[:-1] + ("A" if path[-1] != "A" else "B"),
        path + "/",
        path.replace(":", "", 1),
        "/" + signing.TimestampSigner(salt="other").sign_object(told),
        "/" + issue_ticket(alice, ANYTHING),
    ]
    for address in forged:
        assert refused(stranger.get(address), 404, "not_found")


def test_a_ticket_is_good_for_minutes_and_says_where_a_new_one_is(
    alice_client: Client,
    stranger: Client,
    completed: dict[str, Any],
    path: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    etag = stranger.head(path)["ETag"]
    monkeypatch.setattr(content_tickets, "SECONDS", -1)
    answer = stranger.get(path, headers={"Range": "bytes=5-"})
    assert refused(answer, 410, "link_expired")
    assert "urls.content" in answer.json()["detail"]
    monkeypatch.undo()
    again = alice_client.get(completed["urls"]["content"])["Location"]
    answer = stranger.get(again, headers={"Range": "bytes=5-", "If-Range": etag})
    assert (answer.status_code, body(answer)) == (206, DATA[5:])


def test_a_ticket_ends_with_the_upload(
    alice_client: Client, stranger: Client, completed: dict[str, Any], path: str
) -> None:
    assert alice_client.delete(completed["urls"]["self"]).status_code == 204
    assert refused(stranger.get(path), 404, "session_not_found")


def test_a_ticket_ends_with_the_account(alice: User, stranger: Client, path: str) -> None:
    User.objects.filter(pk=alice.pk).update(is_active=False)
    assert refused(stranger.get(path), 404, "session_not_found")


def test_a_ticket_does_not_follow_an_upload_to_another_person(
    bob: User, stranger: Client, path: str
) -> None:
    FileSession.objects.update(owner=bob)
    assert refused(stranger.get(path), 404, "session_not_found")


def test_a_host_that_is_nobody_s_is_refused_as_ever(path: str) -> None:
    assert Client().get(path, headers={"Host": "evil.test"}).status_code == 400


def test_nginx_is_told_there_as_well(
    settings: Settings, upload_root: Path, stranger: Client, path: str
) -> None:
    setattr(settings, conf.SETTING, conf.given(ACCEL_PREFIX="/protected/"))
    answer = stranger.get(path, headers={"X-Sendfile-Type": "X-Accel-Redirect"})
    assert answer["X-Accel-Redirect"].startswith(f"/protected/{sha256(DATA)}/")


def test_no_ticket_is_logged_while_the_database_is_away(
    stranger: Client,
    path: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    def away(*_: object) -> None:
        raise OperationalError("database is locked")

    monkeypatch.setattr(download_host, "read_content_ticket", away)
    assert stranger.get(path).status_code == 503
    told = "".join(capfd.readouterr()) + caplog.text
    assert "database is locked" in told
    assert path.removeprefix("/") not in told
