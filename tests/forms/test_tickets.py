"""The ticket of a page: what the handshake may open by it, for whom, and for how long."""

import json
import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils.datastructures import MultiValueDict
from pytest_django import Settings

from tests.support.sessions import begin
from uploads.engine.admitting import Admission
from uploads.engine.tickets import issue_ticket, read_ticket
from uploads.errors import TicketInvalid
from uploads.forms import bind_uploads
from uploads.models import FileSession

from .conftest import DATA, SCOPE, PhotosForm, ReportForm

Make = Callable[..., FileSession]
ADMISSION = Admission(SCOPE, 400, ("txt",), ("text/plain",))


def offer(client: Client, **given: Any) -> Any:
    body = {"filename": "notes.txt", "size": 350, "mime_type": "text/plain", **given}
    return client.post("/api/v1/uploads/handshake", json.dumps(body), "application/json")


def refusal(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def test_a_ticket_admits_what_it_was_issued_for(alice: User) -> None:
    assert read_ticket(alice, issue_ticket(alice, ADMISSION)) == ADMISSION


def test_a_page_s_ticket_opens_an_upload_that_the_form_takes(
    alice: User, alice_client: Client
) -> None:
    form = ReportForm()
    bind_uploads(form, alice)
    [ticket] = re.findall(r'data-ticket="([^"]+)"', str(form))
    answer = offer(alice_client, ticket=ticket)
    assert answer.status_code == 201
    assert FileSession.objects.get().scope == SCOPE


def test_the_parts_protocol_takes_it_too(alice: User, alice_client: Client) -> None:
    body = {"filename": "notes.txt", "size": 350, "ticket": issue_ticket(alice, Admission("x"))}
    answer = alice_client.post("/uploads/sessions", json.dumps(body), "application/json")
    assert answer.status_code == 201
    assert FileSession.objects.get().scope == "x"


@pytest.mark.parametrize(
    "change",
    [
        lambda ticket: ticket[:-1] + ("A" if ticket[-1] != "A" else "B"),
        lambda ticket: "x" + ticket,
        lambda ticket: ticket.split(":")[0],
        lambda ticket: "x",
    ],
)
def test_e3_a_forged_ticket_opens_nothing(
    alice: User, alice_client: Client, change: Callable[[str], str]
) -> None:
    forged = change(issue_ticket(alice, ADMISSION))
    assert refusal(offer(alice_client, ticket=forged)) == (400, "ticket_invalid")
    assert not FileSession.objects.exists()


def test_p9_another_users_ticket_opens_nothing(
    alice: User, bob_client: Client, alice_client: Client
) -> None:
    ticket = issue_ticket(alice, ADMISSION)
    assert refusal(offer(bob_client, ticket=ticket)) == (400, "ticket_invalid")
    assert not FileSession.objects.exists()


def test_a_ticket_signed_for_something_else_is_none(alice: User) -> None:
    from django.core import signing

    with pytest.raises(TicketInvalid):
        read_ticket(alice, signing.dumps({"user": str(alice.pk)}))


@pytest.mark.parametrize("value", [1, [], "x" * 8193, "a\nb"])
def test_p10_a_ticket_that_is_no_text_is_refused(alice_client: Client, value: Any) -> None:
    assert refusal(offer(alice_client, ticket=value)) == (400, "invalid_request")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"size": 401}, (413, "too_large")),
        ({"filename": "notes.exe"}, (415, "type_not_allowed")),
        ({"mime_type": "image/png"}, (415, "type_not_allowed")),
    ],
)
def test_limits_are_told_before_anything_is_sent(
    alice: User, alice_client: Client, given: Any, expected: tuple[int, str]
) -> None:
    ticket = issue_ticket(alice, ADMISSION)
    assert refusal(offer(alice_client, ticket=ticket, **given)) == expected


def test_an_old_ticket_opens_nothing_and_finds_what_was_begun(
    alice: User, alice_client: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.UPLOADS = {**settings.UPLOADS, "TICKET_HOURS": 2}
    ticket = issue_ticket(alice, ADMISSION)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 2 * 3600 + 1)
    key = {"ticket": ticket, "resume_key": "a key"}
    assert refusal(offer(alice_client, **key)) == (400, "ticket_expired")
    session = begin(
        alice,
        DATA,
        sha256="",
        resume_key="a key",
        filename="notes.txt",
        mime_type="text/plain",
        admission=ADMISSION,
    )
    answer = offer(alice_client, **key)
    assert (answer.status_code, answer.json()["id"]) == (200, str(session.pk))


# What the page shows.


def test_a_form_shown_again_keeps_what_has_arrived(alice: User, make_upload: Make) -> None:
    session = make_upload(alice, filename="a<b>.txt")
    form = ReportForm({"report": str(session.pk)})
    bind_uploads(form, alice)
    html = str(form)
    assert f'name="report" value="{session.pk}"' in html
    assert "a&lt;b&gt;.txt" in html
    assert "<b>" not in html


def test_a_plain_file_is_kept_too(alice: User) -> None:
    from django.core.files.uploadedfile import SimpleUploadedFile

    file = SimpleUploadedFile("n.txt", DATA, "text/plain")
    form = ReportForm({}, MultiValueDict({"report-file": [file]}))
    bind_uploads(form, alice)
    assert form.is_valid()
    assert f'name="report" value="{FileSession.objects.get().pk}"' in str(form)


def test_p9_ids_of_others_are_not_shown(alice: User, bob: User, make_upload: Make) -> None:
    form = ReportForm({"report": str(make_upload(alice).pk)})
    bind_uploads(form, bob)
    assert "notes.txt" not in str(form)


def test_what_was_interrupted_in_this_form_is_shown(alice: User) -> None:
    begin(alice, DATA, filename="here.txt", admission=Admission(SCOPE))
    begin(alice, DATA, filename="elsewhere.txt")
    form = ReportForm()
    bind_uploads(form, alice)
    assert "here.txt" in str(form)
    assert "elsewhere.txt" not in str(form)


def test_several_files_have_an_input_for_several(alice: User) -> None:
    form = PhotosForm()
    bind_uploads(form, alice)
    assert re.search(r'<input type="file"[^>]* multiple', str(form))
    assert form.is_multipart()


def test_the_media_of_a_form_name_module_and_styles(alice: User) -> None:
    assert 'type="module"' in str(ReportForm().media)
    assert "js/uploads/field.js" in str(ReportForm().media)
    assert "css/uploads-field.css" in str(ReportForm().media)
