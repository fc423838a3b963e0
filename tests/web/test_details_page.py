"""The page of one upload: what it is, what happened to it when, and its other name."""

import re
from collections.abc import Callable
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from tests.support.sessions import upload
from tests.support.signatures import content_for
from uploads.models import EventKind, FileSession, SessionEvent, SessionStatus
from uploads.web.context import MAX_EVENTS

from .documents import Element, parse
from .pages import HTMX, PARTIAL, STATES, address, completed, details, make_session, names, rows

pytestmark = pytest.mark.django_db
each_state = pytest.mark.parametrize("state", STATES)


def facts(document: Element) -> dict[str, str]:
    (listed,) = document.all("dl")
    terms = zip(listed.all("dt"), listed.all("dd"), strict=True)
    return {term.text: value.text for term, value in terms}


def events(document: Element) -> list[str]:
    found = [ol for ol in document.all("ol") if "events" in ol.classes]
    return [span.text for ol in found for li in ol.all("li") for span in li.all("span")[:1]]


def tell(session: FileSession, *kinds: EventKind, detail: str = "") -> None:
    for kind in kinds:
        count = session.events.count()
        at = session.created_at + timedelta(seconds=count)
        SessionEvent.objects.create(session=session, kind=kind, detail=detail, at=at)


# ------------------------------------------------------------------------- what it shows


@each_state
def test_every_state_has_a_page(alice: User, alice_client: Client, state: str) -> None:
    session = STATES[state](alice)
    document = details(alice_client, session)
    assert [h1.text for h1 in document.all("h1")] == [session.filename]
    shown_state = document.by_id(f"upload-{session.pk}").get("data-state")
    expected = {"damaged": "damaged", "run out of time": "expired"}
    assert shown_state == expected.get(state, session.status)


def test_what_was_made_for_a_form_says_so_in_its_row_and_on_its_page(
    alice: User, alice_client: Client
) -> None:
    session = completed(alice, "for a form.csv")
    FileSession.objects.filter(pk=session.pk).update(scope="reports|report|")
    assert "form" in facts(details(alice_client, session))["Made for"]
    assert "data-for-form" in rows(alice_client)
    other = completed(alice, "tides.csv")
    assert "Made for" not in facts(details(alice_client, other))


def test_the_page_shows_what_there_is_to_know(alice: User, alice_client: Client) -> None:
    session = completed(alice, "tides.csv", folder="sea/2026", mime_type="text/csv")
    document = details(alice_client, session)
    known = facts(document)
    assert known["Folder"] == "sea/2026"
    assert known["Size"] == "15.0 MB (15,728,640 bytes)"
    assert known["Kind"] == "Documents (text/csv)"
    assert known["Sent in"] == "3 chunks of up to 5.0 MB"
    assert known["SHA-256"] == session.sha256
    assert known["Id"] == str(session.pk)
    assert {"Begun", "Completed", "Last verified"} <= known.keys()


def test_a_hash_that_nobody_has_verified_is_called_declared(
    alice: User, alice_client: Client
) -> None:
    session = make_session(alice)
    known = facts(details(alice_client, session))
    assert known["SHA-256"] == f"{session.sha256} (as declared)"
    assert not {"Completed", "Last verified", "Folder"} & known.keys()
    without = make_session(alice, sha256="")
    assert facts(details(alice_client, without))["SHA-256"] == "not declared yet"


def test_an_upload_of_unknown_size_says_so(alice: User, alice_client: Client) -> None:
    document = details(alice_client, STATES["of unknown size"](alice))
    known = facts(document)
    assert known["Size"] == "not known yet"
    assert "Sent in" not in known
    assert [e.text for e in document.having("data-amount")] == ["6.0 MB so far, size not known yet"]
    assert not document.having("data-chunks")
    expired = make_session(alice, size=None, status=SessionStatus.EXPIRED)
    assert facts(details(alice_client, expired))["Size"] == "not known"


def test_a_finished_file_shows_its_map_too(alice: User, alice_client: Client) -> None:
    document = details(alice_client, completed(alice))
    assert [e.get("data-chunks") for e in document.having("data-chunks")] == ["3/3"]


@pytest.mark.parametrize(("ago", "polls"), [(5, True), (3600, False)])
def test_the_page_polls_only_while_something_is_under_way(
    alice: User, alice_client: Client, ago: float, polls: bool
) -> None:
    session = make_session(alice, ago=ago)
    article = details(alice_client, session).by_id(f"upload-{session.pk}")
    assert article.get("hx-get") == address(session)
    assert ("every 2s" in article.get("hx-trigger")) is polls
    assert "uploads:changed from:body" in article.get("hx-trigger")


def test_a_refresh_brings_the_part_that_changes_and_not_what_is_typed(
    alice: User, alice_client: Client
) -> None:
    session = make_session(alice)
    part = alice_client.get(address(session), headers=PARTIAL).content.decode()
    assert part.startswith("<article")
    assert part.endswith("</article>")
    assert "<form" not in part
    assert part in alice_client.get(address(session)).content.decode()


def test_a_visit_from_another_page_of_the_site_brings_the_whole_page(
    alice: User, alice_client: Client
) -> None:
    headers = {**HTMX, "HX-Request-Type": "full", "HX-Target": "main#main"}
    html = alice_client.get(address(make_session(alice)), headers=headers).content.decode()
    assert html.startswith("<!doctype html>")


# -------------------------------------------------------------------------- what happened


def test_what_happened_is_told_in_its_order(alice: User, alice_client: Client) -> None:
    session = completed(alice)
    tell(session, EventKind.OPENED, EventKind.CONTINUED, EventKind.RECEIVED)
    tell(session, EventKind.REOPENED, detail="2")
    tell(session, EventKind.COMPLETED)
    tell(session, EventKind.RENAMED, detail="sea/<b>old</b>.csv")
    assert events(details(alice_client, session)) == [
        "Begun",
        "Taken up again",
        "All chunks in, verification began",
        "Damage found, damaged chunks asked for again 2",
        "Verified and complete",
        "Renamed; it was called sea/<b>old</b>.csv",
    ]


def test_what_happened_at_one_instant_is_told_as_it_was_written(
    alice: User, alice_client: Client
) -> None:
    session = make_session(alice)
    at = timezone.now()
    for kind in (EventKind.OPENED, EventKind.RECEIVED, EventKind.FAILED):
        SessionEvent.objects.create(session=session, kind=kind, at=at)
    assert events(details(alice_client, session)) == [
        "Begun",
        "All chunks in, verification began",
        "Failed",
    ]


@pytest.mark.parametrize("kind", EventKind.values)
def test_everything_that_can_happen_has_words(alice: User, alice_client: Client, kind: str) -> None:
    session = make_session(alice)
    tell(session, EventKind(kind))
    (words,) = events(details(alice_client, session))
    assert words


def test_a_very_long_story_is_told_from_its_end(alice: User, alice_client: Client) -> None:
    session = make_session(alice)
    SessionEvent.objects.bulk_create(
        SessionEvent(
            session=session,
            kind=EventKind.CONTINUED,
            detail=str(i),
            at=session.created_at + timedelta(seconds=i),
        )
        for i in range(MAX_EVENTS + 1)
    )
    told = events(details(alice_client, session))
    assert len(told) == MAX_EVENTS
    assert told[0] == "Taken up again 1"
    assert told[-1] == f"Taken up again {MAX_EVENTS}"


def test_what_happened_to_another_upload_is_not_told(alice: User, alice_client: Client) -> None:
    tell(make_session(alice), EventKind.OPENED)
    document = details(alice_client, make_session(alice))
    assert events(document) == []
    assert "What happened when" not in document.text


# ------------------------------------------------------------------------------ another name


def give_name(client: Client, session: FileSession, name: str, **headers: str) -> Any:
    return client.post(address(session, "rename"), {"filename": name}, headers=headers or None)


@each_state
def test_any_upload_but_a_cancelled_one_can_be_renamed(
    alice: User, alice_client: Client, state: str
) -> None:
    session = STATES[state](alice)
    forms = [form.get("action") for form in details(alice_client, session).all("form")]
    response = give_name(alice_client, session, "Other.csv")
    session.refresh_from_db()
    if state == "cancelled":
        assert address(session, "rename") not in forms
        assert response.status_code == 404
        assert session.filename == "tides.csv"
    else:
        assert address(session, "rename") in forms
        assert (response.status_code, response["Location"]) == (303, address(session))
        assert session.filename == "Other.csv"


def test_a_new_name_is_shown_found_and_told_of(alice: User, alice_client: Client) -> None:
    session = completed(alice, "tides.csv", folder="sea")
    give_name(alice_client, session, "  Ebbe & Flut <1>.jpg ")
    document = details(alice_client, session)
    assert [h1.text for h1 in document.all("h1")] == ["Ebbe & Flut <1>.jpg"]
    assert events(document) == ["Renamed; it was called sea/tides.csv"]
    assert facts(document)["Kind"] == "Images"
    assert names(rows(alice_client, "?q=ebbe")) == ["Ebbe & Flut <1>.jpg"]
    assert names(rows(alice_client, "?q=tides")) == []


def test_a_new_name_does_not_move_a_file_in_the_list(alice: User, alice_client: Client) -> None:
    old, new = completed(alice, "old.txt", ago=20), completed(alice, "new.txt", ago=10)
    give_name(alice_client, old, "older.txt")
    assert names(rows(alice_client)) == [new.filename, "older.txt"]


@pytest.mark.parametrize(
    ("typed", "reason"),
    [
        ("   ", "a file name cannot be empty"),
        ("a/b.txt", "a file name is a single name, not a path"),
        ("..", "a file name is a single name, not a path"),
        ("a\\b", "a file name is a single name, not a path"),
        ("x" * 256, "a file name has at most 255 characters"),
        ("a\x00b", "a file name cannot contain control or text-direction characters"),
        ("a\nb", "a file name cannot contain control or text-direction characters"),
        ("\u202etxt.exe", "a file name cannot contain control or text-direction characters"),
        ('"/><script>alert(1)</script>', "a file name is a single name, not a path"),
    ],
)
def test_a_name_that_cannot_be_is_refused_at_its_field_and_kept_there(
    alice: User, alice_client: Client, typed: str, reason: str
) -> None:
    session = completed(alice)
    response = give_name(alice_client, session, typed)
    assert response.status_code == 422
    assert response["HX-Replace-Url"] == "false"
    html = response.content.decode()
    assert "<script>alert" not in html
    document = parse(html)
    field = document.by_id("filename")
    assert unescape(field.get("value")) == typed
    assert field.get("aria-invalid") == "true"
    error = document.by_id(field.get("aria-describedby"))
    assert error.text == f"It keeps its name: {reason}."
    assert error.get("role") == "alert"
    session.refresh_from_db()
    assert session.filename == "tides.csv"
    assert not session.events.exists()
    # What cannot be is not what the page is about.
    assert [h1.text for h1 in document.all("h1")] == ["tides.csv"]


@pytest.mark.parametrize(
    ("typed", "reason"),
    [
        ("tides.png", "the content of the file is not what this name says"),
        ("tides.exe", "a file of this name is not taken here"),
    ],
)
def test_a_name_that_the_file_contradicts_is_refused_at_its_field(
    alice: User,
    alice_client: Client,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
    typed: str,
    reason: str,
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        session = upload(alice, content_for("tides.csv", 1000), filename="tides.csv")
    response = give_name(alice_client, session, typed)
    assert response.status_code == 422
    document = parse(response.content.decode())
    assert document.by_id("filename").get("value") == typed
    assert document.by_id("rename-error").text == f"It keeps its name: {reason}."
    session.refresh_from_db()
    assert session.filename == "tides.csv"


def refuse(_: object) -> None:
    raise ValidationError("Tides are secret.")


def break_down(_: object) -> None:
    raise ConnectionError("the scanner is down")


@pytest.mark.parametrize(
    ("validator", "reason"),
    [
        (refuse, "Tides are secret"),
        (break_down, "the file cannot be looked at just now, so try again in a moment"),
    ],
)
def test_p10_a_name_that_a_validator_does_not_take_now_is_refused_at_its_field(
    alice: User,
    alice_client: Client,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
    settings: Settings,
    validator: Callable[[object], None],
    reason: str,
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        session = upload(alice, content_for("tides.csv", 1000), filename="tides.csv")
    settings.UPLOADS = {**settings.UPLOADS, "VALIDATORS": [f"{__name__}.{validator.__name__}"]}
    response = give_name(alice_client, session, "other.csv")
    assert response.status_code == 422
    document = parse(response.content.decode())
    assert document.by_id("rename-error").text == f"It keeps its name: {reason}."
    session.refresh_from_db()
    assert session.filename == "tides.csv"


@pytest.mark.parametrize("data", [{}, {"filename": ""}])
def test_no_name_at_all_is_refused(alice: User, alice_client: Client, data: dict[str, str]) -> None:
    session = completed(alice)
    response = alice_client.post(address(session, "rename"), data)
    assert response.status_code == 422
    assert parse(response.content.decode()).by_id("filename").get("aria-invalid") == "true"
    session.refresh_from_db()
    assert session.filename == "tides.csv"


def test_a_field_that_nothing_is_wrong_with_does_not_say_so(
    alice: User, alice_client: Client
) -> None:
    document = details(alice_client, completed(alice))
    assert "aria-invalid" not in document.by_id("filename").attrs
    assert not [e for e in document.walk() if e.get("id") == "rename-error"]


def test_a_file_cancelled_while_its_new_name_is_on_the_way_is_not_found(
    alice: User, alice_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    from uploads.web import actions

    session = make_session(alice)
    found = actions._session

    def cancelled_meanwhile(*given: Any) -> FileSession:
        read = found(*given)
        FileSession.objects.update(status=SessionStatus.CANCELLED)
        return read

    monkeypatch.setattr(actions, "_session", cancelled_meanwhile)
    assert give_name(alice_client, session, "other.txt").status_code == 404


def test_the_whole_digest_can_be_read(alice: User, alice_client: Client) -> None:
    session = completed(alice)
    html = alice_client.get(address(session)).content.decode()
    assert re.search(rf"<code[^>]*>{session.sha256}</code>", html)
