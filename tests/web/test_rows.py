"""A row of the list: what it says in each state, what it offers, what it carries for the script."""

import json
import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from uploads.core.plan import MIB
from uploads.engine.reasons import DATA_LOST, OTHER_KIND
from uploads.models import FileSession, SessionStatus

from .documents import parse
from .pages import STATES, actions, completed, make_session, row, rows

pytestmark = pytest.mark.django_db
each_state = pytest.mark.parametrize("state", STATES)


@pytest.mark.parametrize(
    ("fields", "polls"),
    [
        ({"ago": 5}, True),
        ({"ago": 31}, False),
        ({"ago": 5000, "status": SessionStatus.ASSEMBLING}, True),
        ({"ago": 5, "status": SessionStatus.COMPLETED}, False),
        ({"ago": 5, "status": SessionStatus.FAILED}, False),
    ],
)
def test_the_list_polls_only_while_something_is_under_way(
    alice: User, alice_client: Client, fields: dict[str, Any], polls: bool
) -> None:
    make_session(alice, **fields)
    html = rows(alice_client)
    assert "uploads:changed from:body" in html
    assert ("every 2s" in html) is polls


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (SessionStatus.ACTIVE, {"pause", "resume", "cancel"}),
        (SessionStatus.ASSEMBLING, {"cancel"}),
        (SessionStatus.COMPLETED, {"download", "delete"}),
        (SessionStatus.FAILED, {"remove"}),
        (SessionStatus.EXPIRED, {"remove"}),
        (SessionStatus.CANCELLED, set()),
    ],
)
def test_a_row_offers_what_its_state_allows(
    alice: User, alice_client: Client, status: SessionStatus, expected: set[str]
) -> None:
    html = row(alice_client, make_session(alice, status=status))
    assert f'data-state="{status}"' in html
    assert actions(html) == expected


def test_only_finished_files_can_be_chosen_together(alice: User, alice_client: Client) -> None:
    for make in STATES.values():
        html = row(alice_client, session := make(alice))
        chosen = [box.get("value") for box in parse(html).all("input")]
        finished = session.status == SessionStatus.COMPLETED
        assert chosen == ([str(session.pk)] if finished else [])


def test_an_active_session_past_its_time_shows_as_expired_before_anyone_noticed(
    alice: User, alice_client: Client
) -> None:
    session = make_session(alice, expires_at=timezone.now() - timedelta(seconds=1), ago=5)
    html = rows(alice_client)
    assert 'data-state="expired"' in html
    assert "every 2s" not in html
    assert actions(html) == {"remove"}
    session.refresh_from_db()
    assert session.status == SessionStatus.ACTIVE


def test_a_row_says_how_far_it_is_in_bytes_percent_and_chunks(
    alice: User, alice_client: Client
) -> None:
    html = row(alice_client, make_session(alice))
    assert "5.0\xa0MB of 15.0\xa0MB" in html
    assert "33.3 %" in html
    assert 'data-chunks="1/3"' in html
    assert 'aria-label="1 of 3 chunks received"' in html
    assert 'value="33.3"' in html


def test_a_finished_row_says_its_size_its_digest_and_when(
    alice: User, alice_client: Client
) -> None:
    session = completed(alice)
    document = parse(row(alice_client, session))
    assert [e.text for e in document.having("data-amount")] == ["15.0 MB"]
    assert [e.get("data-sha256") for e in document.having("data-sha256")] == [session.sha256]
    assert [e.get("data-copy-text") for e in document.having("data-copy-text")] == [session.sha256]
    (time,) = document.all("time")
    assert time.get("datetime") == session.updated_at.isoformat()
    (download,) = [a for a in document.all("a") if "download" in a.attrs]
    assert download.get("href") == f"/api/v1/uploads/{session.pk}/content"


def test_a_failed_row_says_why_and_what_to_do(alice: User, alice_client: Client) -> None:
    session = make_session(alice, status=SessionStatus.FAILED, error=DATA_LOST)
    (reason,) = parse(row(alice_client, session)).having("data-reason")
    assert reason.text == f"{DATA_LOST} Choose the file again to send it anew."


def test_a_refused_row_does_not_ask_for_the_same_file_again(
    alice: User, alice_client: Client
) -> None:
    session = make_session(alice, status=SessionStatus.FAILED, error=OTHER_KIND)
    html = row(alice_client, session)
    (reason,) = parse(html).having("data-reason")
    assert reason.text == OTHER_KIND
    assert actions(html) == {"remove"}


def test_a_failed_row_without_a_reason_still_says_something(
    alice: User, alice_client: Client
) -> None:
    (reason,) = parse(row(alice_client, make_session(alice, status=SessionStatus.FAILED))).having(
        "data-reason"
    )
    assert reason.text.startswith("The upload could not be finished.")


def test_a_row_of_unknown_size_says_what_has_come_and_claims_no_share_of_it(
    alice: User, alice_client: Client
) -> None:
    document = parse(row(alice_client, STATES["of unknown size"](alice)))
    so_far = "6.0 MB so far, size not known yet"
    assert [e.text for e in document.having("data-amount")] == [so_far]
    (bar,) = document.all("progress")
    assert "value" not in bar.attrs
    assert bar.get("aria-valuetext") == so_far.replace(" MB", "\xa0MB")
    assert not document.having("data-percent")
    assert not document.all("svg")
    assert "kept until" in document.text


@pytest.mark.parametrize("status", [SessionStatus.EXPIRED, SessionStatus.FAILED])
def test_of_a_stream_that_has_ended_nothing_more_is_expected(
    alice: User, alice_client: Client, status: SessionStatus
) -> None:
    document = parse(row(alice_client, make_session(alice, size=None, status=status)))
    assert [e.text for e in document.having("data-amount")] == ["5.0 MB received, size not known"]
    assert not document.all("progress")


def test_a_stream_within_a_chunk_moves_bytes_percent_and_map(
    alice: User, alice_client: Client
) -> None:
    document = parse(row(alice_client, make_session(alice, tail_length=4 * MIB)))
    assert [e.text for e in document.having("data-amount")] == ["9.0 MB of 15.0 MB"]
    assert [e.text for e in document.having("data-percent")] == ["60 %"]
    assert [e.get("value") for e in document.all("progress")] == ["60.0"]
    (drawn,) = document.having("data-chunks")
    assert [e.get("class") for e in drawn.all("rect")] == ["in", "part", "out"]


def test_a_file_of_no_bytes_is_a_file(alice: User, alice_client: Client) -> None:
    completed(alice, "empty.txt", size=0)
    document = parse(rows(alice_client))
    assert [e.text for e in document.having("data-amount")] == ["0 bytes"]


def test_a_row_says_from_which_folder_it_came(alice: User, alice_client: Client) -> None:
    inside = parse(row(alice_client, make_session(alice, folder="photos/2026")))
    assert [e.text for e in inside.having("data-folder")] == ["in photos/2026"]
    assert not parse(row(alice_client, make_session(alice))).having("data-folder")


def test_a_row_leads_to_its_page(alice: User, alice_client: Client) -> None:
    session = make_session(alice)
    (heading,) = parse(row(alice_client, session)).all("h3")
    assert [a.get("href") for a in heading.all("a")] == [f"/uploads/{session.pk}/"]


def test_a_row_carries_what_the_module_needs_to_resume(alice: User, alice_client: Client) -> None:
    session = make_session(alice, 'a & "b".txt', folder="c/d")
    (carried,) = parse(row(alice_client, session)).having("data-session")
    assert json.loads(carried.get("data-session")) == {
        "id": str(session.pk),
        "filename": 'a & "b".txt',
        "folder": "c/d",
        "size": session.size,
        "offset": session.offset,
        "chunk_size": session.chunk_size,
        "sha256": session.sha256,
        "urls": {"self": f"/api/v1/uploads/{session.pk}"},
    }


def test_a_session_that_declared_no_hash_carries_none(alice: User, alice_client: Client) -> None:
    (carried,) = parse(row(alice_client, make_session(alice, sha256=""))).having("data-session")
    assert json.loads(carried.get("data-session"))["sha256"] is None


@each_state
def test_what_the_page_writes_into_a_row_has_its_place_in_every_state(
    alice: User, alice_client: Client, state: str
) -> None:
    html = row(alice_client, STATES[state](alice))
    for slot in ("label", "line"):
        assert re.search(rf'<\w+[^>]*data-slot="{slot}"[^>]*hx-morph-skip', html)


@each_state
def test_a_row_is_the_same_alone_and_in_the_list(
    alice: User, alice_client: Client, state: str
) -> None:
    session = STATES[state](alice)
    if session.status != SessionStatus.CANCELLED:
        assert row(alice_client, session) in rows(alice_client)


def test_a_verifier_that_died_is_replaced_by_looking(alice: User, alice_client: Client) -> None:
    session = make_session(alice, received=3, status=SessionStatus.ASSEMBLING, ago=3600)
    rows(alice_client)
    assert FileSession.objects.get(pk=session.pk).updated_at > session.updated_at


def test_a_part_of_a_larger_file_is_none_that_a_chosen_file_continues(
    alice: User, alice_client: Client
) -> None:
    html = row(alice_client, STATES["a part"](alice))
    assert "Waiting to be joined" in html
    assert "part of a larger file" in html
    assert 'data-action="cancel"' in html
    assert 'data-action="resume"' not in html
    assert "data-interrupted" not in html


def test_what_is_being_joined_says_so(alice: User, alice_client: Client) -> None:
    html = row(alice_client, STATES["being joined"](alice))
    assert "Being joined" in html
    # Its bytes are those of its parts, each of which says how many there are.
    assert "bytes" not in html
    assert "<svg" not in html
    assert 'data-action="cancel"' in html
