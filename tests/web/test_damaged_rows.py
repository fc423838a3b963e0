"""A completed upload whose stored file rotted: its row and its JSON say so, and offer no bytes."""

import re

import pytest
from django.contrib.auth.models import User
from django.test import Client

from uploads.engine.rereading import DAMAGED_ERROR
from uploads.models import FileSession, SessionStatus

from .pages import LIST, actions, completed, damaged, details, row, rows

pytestmark = pytest.mark.django_db


def test_p1_a_damaged_row_says_so_and_offers_no_download(alice: User, alice_client: Client) -> None:
    session = damaged(alice)
    for html in (row(alice_client, session), rows(alice_client)):
        assert 'data-state="damaged"' in html
        assert "data-label>Damaged<" in html
        assert DAMAGED_ERROR.replace("'", "&#x27;") in html
        assert actions(html) == {"delete"}
        assert f"/uploads/{session.pk}/content" not in html
        assert "data-percent" not in html
        assert "100 %" not in html


def test_a_damaged_row_still_says_how_large_it_was_and_what_is_in(
    alice: User, alice_client: Client
) -> None:
    html = row(alice_client, damaged(alice))
    assert "15.0\xa0MB" in html
    assert 'data-chunks="3/3"' in html


def test_p1_the_page_of_a_damaged_file_says_so_and_offers_no_download(
    alice: User, alice_client: Client
) -> None:
    session = damaged(alice)
    document = details(alice_client, session)
    article = document.by_id(f"upload-{session.pk}")
    assert article.get("data-state") == "damaged"
    assert [reason.text for reason in article.having("data-reason")] == [DAMAGED_ERROR]
    assert not [a for a in document.all("a") if "download" in a.attrs]
    # Which content it was is how a copy elsewhere is recognised.
    assert session.sha256 in [code.text for code in article.all("code")]
    assert "Last verified" not in article.text


def test_a_damaged_row_is_not_polled_for(alice: User, alice_client: Client) -> None:
    damaged(alice)
    assert "every 2s" not in rows(alice_client)


def test_what_the_page_writes_into_a_damaged_row_has_its_place(
    alice: User, alice_client: Client
) -> None:
    html = row(alice_client, damaged(alice))
    for slot in ("label", "line"):
        assert re.search(rf'<\w+[^>]*data-slot="{slot}"[^>]*hx-morph-skip', html)


def test_a_sound_row_beside_it_is_as_it_was(alice: User, alice_client: Client) -> None:
    damaged(alice)
    sound = completed(alice, "sound.csv")
    html = row(alice_client, sound)
    assert 'data-state="completed"' in html
    assert actions(html) == {"download", "delete"}
    assert 'data-state="completed"' in rows(alice_client)


@pytest.mark.parametrize("status", [SessionStatus.FAILED, SessionStatus.ACTIVE])
def test_only_what_completed_is_called_damaged(
    alice: User, alice_client: Client, status: SessionStatus
) -> None:
    session = damaged(alice)
    FileSession.objects.update(status=status, error="Why.")
    assert f'data-state="{status}"' in row(alice_client, session)


def test_json_keeps_the_state_and_says_what_is_wrong(alice: User, alice_client: Client) -> None:
    rotten, sound = damaged(alice), completed(alice)
    body = alice_client.get(f"/api/v1/uploads/{rotten.pk}").json()
    assert (body["state"], body["error"]) == ("completed", DAMAGED_ERROR)
    assert "error" not in alice_client.get(f"/api/v1/uploads/{sound.pk}").json()
    listed = {entry["id"]: entry for entry in alice_client.get(LIST).json()["results"]}
    assert listed[str(rotten.pk)]["error"] == DAMAGED_ERROR
    assert "error" not in listed[str(sound.pk)]
