"""A completed upload whose stored file rotted: its row and its JSON say so, and offer no bytes."""

import re

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from uploads.engine.rereading import DAMAGED_ERROR
from uploads.models import FileSession, SessionStatus, StoredFile

from .test_dashboard_pages import LIST, actions, make_session, row, rows

pytestmark = pytest.mark.django_db


def damaged_session(owner: User, filename: str = "tides.csv") -> FileSession:
    session = make_session(owner, filename, received=3, status=SessionStatus.COMPLETED)
    StoredFile.objects.filter(sessions=session.pk).update(state=StoredFile.State.DAMAGED)
    return session


def test_p1_a_damaged_row_says_so_and_offers_no_download(alice: User, alice_client: Client) -> None:
    session = damaged_session(alice)
    for html in (row(alice_client, session), rows(alice_client)):
        assert 'data-state="damaged"' in html
        assert "data-label>Damaged<" in html
        assert DAMAGED_ERROR.replace("'", "&#x27;") in html
        assert actions(html) == {"delete"}
        assert f"/uploads/{session.pk}/content" not in html
        assert "data-percent" not in html
        assert "100 %" not in html


def test_a_damaged_row_still_says_which_file_it_was(alice: User, alice_client: Client) -> None:
    session = damaged_session(alice)
    html = row(alice_client, session)
    assert "15.0\xa0MB" in html
    assert f'data-sha256="{session.sha256}"' in html
    assert 'data-chunks="3/3"' in html


def test_a_damaged_row_is_not_polled_for(alice: User, alice_client: Client) -> None:
    damaged_session(alice)
    assert "every 2s" not in rows(alice_client)


def test_what_the_page_writes_into_a_damaged_row_has_its_place(
    alice: User, alice_client: Client
) -> None:
    html = row(alice_client, damaged_session(alice))
    for slot in ("label", "line"):
        assert re.search(rf'<\w+[^>]*data-slot="{slot}"[^>]*hx-morph-skip', html)


def test_a_sound_row_beside_it_is_as_it_was(alice: User, alice_client: Client) -> None:
    damaged_session(alice)
    sound = make_session(alice, "sound.csv", received=3, status=SessionStatus.COMPLETED)
    html = row(alice_client, sound)
    assert 'data-state="completed"' in html
    assert actions(html) == {"download", "delete"}
    assert 'data-state="completed"' in rows(alice_client)


@pytest.mark.parametrize("status", [SessionStatus.FAILED, SessionStatus.ACTIVE])
def test_only_what_completed_is_called_damaged(
    alice: User, alice_client: Client, status: SessionStatus
) -> None:
    session = damaged_session(alice)
    FileSession.objects.update(status=status, error="Why.")
    assert f'data-state="{status}"' in row(alice_client, session)


def test_the_number_of_queries_does_not_grow_with_damaged_rows(
    alice: User, alice_client: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(5):
        damaged_session(alice)
        make_session(alice, status=SessionStatus.COMPLETED)
    # The login session, its user, the list.
    with django_assert_num_queries(3):
        rows(alice_client)
    with django_assert_num_queries(3):
        alice_client.get("/api/v1/uploads")


def test_json_keeps_the_state_and_says_what_is_wrong(alice: User, alice_client: Client) -> None:
    damaged, sound = damaged_session(alice), make_session(alice, status=SessionStatus.COMPLETED)
    body = alice_client.get(f"/api/v1/uploads/{damaged.pk}").json()
    assert (body["state"], body["error"]) == ("completed", DAMAGED_ERROR)
    assert "error" not in alice_client.get(f"/api/v1/uploads/{sound.pk}").json()
    listed = {entry["id"]: entry for entry in alice_client.get(LIST).json()["results"]}
    assert listed[str(damaged.pk)]["error"] == DAMAGED_ERROR
    assert "error" not in listed[str(sound.pk)]
