"""Querysets: the owner's sessions only, in a stable order; and what a session says of itself."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from uploads.models import AccessToken, FileSession, SessionStatus

from .test_constraints import SHA, make, stored


def test_p9_only_the_owner_s_sessions_are_found(alice: User, bob: User) -> None:
    own = make(alice)
    make(bob)
    assert list(FileSession.objects.owned_by(alice)) == [own]


def test_p9_what_is_trashed_is_found_as_trash_of_its_owner_alone(alice: User, bob: User) -> None:
    whole = {"status": "completed", "sha256": SHA, "stored_file": stored()}
    own, _ = make(alice, **whole), make(bob, trashed_at=timezone.now(), **whole)
    trashed = make(alice, trashed_at=timezone.now(), **whole)
    assert list(FileSession.objects.owned_by(alice)) == [own]
    assert list(FileSession.objects.trash_of(alice)) == [trashed]


def test_a_name_brings_what_follows_from_it(alice: User) -> None:
    session = make(alice)
    assert (session.path, session.search_name, session.kind) == ("f", "", "other")
    session.set_name("Film.MKV", "Photos/2026")
    assert session.path == "Photos/2026/Film.MKV"
    assert (session.search_name, session.kind) == ("photos/2026/film.mkv", "video")


def test_open_is_active_and_assembling(alice: User) -> None:
    for status in SessionStatus.values:
        if status != "completed":
            make(alice, status=status)
    found = FileSession.objects.open().values_list("status", flat=True)
    assert sorted(found) == ["active", "assembling"]


def test_paging_by_the_last_session_shows_each_once_even_at_one_instant(alice: User) -> None:
    now = timezone.now()
    for _ in range(5):
        make(alice, created_at=now)
    make(alice, created_at=now - timedelta(seconds=1))
    ordered = list(FileSession.objects.order_by("-created_at", "-id"))
    for position, session in enumerate(ordered):
        later = FileSession.objects.older_than(session).order_by("-created_at", "-id")
        assert list(later) == ordered[position + 1 :]


@pytest.mark.parametrize(
    ("given", "usable"),
    [
        ({}, True),
        ({"expires_at": timedelta(hours=1)}, True),
        ({"expires_at": timedelta(seconds=-1)}, False),
        ({"revoked_at": timedelta(seconds=-1)}, False),
    ],
    ids=str,
)
def test_tokens_that_are_usable(alice: User, given: dict[str, timedelta], usable: bool) -> None:
    now = timezone.now()
    values: dict[str, Any] = {name: now + value for name, value in given.items()}
    AccessToken.objects.create(
        owner=alice, name="n", digest="d", created_at=now - timedelta(days=1), **values
    )
    assert AccessToken.objects.usable().exists() is usable


@pytest.mark.parametrize(
    ("size", "received", "expected_bytes", "progress"),
    [
        (25, b"", 0, 0.0),
        (25, b"\x01", 10, 40.0),
        (25, b"\x04", 5, 20.0),
        (25, b"\x05", 15, 60.0),
        (25, b"\x07", 25, 100.0),
        # Rounded down: 99.9 and something is not done.
        (3001, b"\xff" * 37 + b"\x0f", 3000, 99.9),
        (0, b"", 0, 100.0),
    ],
)
def test_bytes_and_progress_count_the_short_last_chunk_rightly(
    alice: User, size: int, received: bytes, expected_bytes: int, progress: float
) -> None:
    count = sum(byte.bit_count() for byte in received)
    session = make(alice, size=size, chunk_size=10, received=received, received_count=count)
    assert session.received_bytes == expected_bytes
    assert session.progress == progress


def test_a_session_of_unknown_size_has_room_for_all_the_chunks_that_there_may_be(
    alice: User,
) -> None:
    session = make(alice, size=None)
    assert (session.plan.total, session.progress) == (10_000, 0.0)
