"""Renaming: another name, the same upload."""

import pytest
from django.contrib.auth.models import User

from tests.support.bodies import payload
from tests.support.sessions import age, begin, content_of, fresh, handshake, send_all, upload
from uploads.engine.opening import Outcome
from uploads.engine.removing import remove
from uploads.engine.renaming import rename
from uploads.engine.trash import trash
from uploads.errors import SessionCancelled, SessionNotFound
from uploads.models import EventKind, FileSession, SessionEvent, SessionStatus

DATA = payload(350)


def test_everything_that_follows_from_the_name_changes_with_it(alice: User) -> None:
    session = upload(alice, DATA, filename="old.txt", folder="Papers")
    renamed = rename(session, "Film.MPG")
    assert renamed == fresh(session)
    for row in (renamed, fresh(session)):
        assert row.path == "Papers/Film.MPG"
        assert (row.search_name, row.kind) == ("papers/film.mpg", "video")
    assert session.events.get(kind=EventKind.RENAMED).detail == "Papers/old.txt"
    assert content_of(renamed) == DATA


def test_a_list_keeps_its_order(alice: User) -> None:
    session = upload(alice, DATA)
    rename(session, "new")
    assert fresh(session).updated_at == session.updated_at


def test_an_upload_under_way_goes_on_under_its_new_name(alice: User) -> None:
    session = begin(alice, DATA)
    rename(session, "new")
    assert send_all(session, DATA).filename == "new"


def test_a_handshake_with_the_old_name_gets_its_own_file(alice: User) -> None:
    session = upload(alice, DATA)
    rename(session, "new")
    outcome, other = handshake(alice, DATA)
    assert (outcome, other.filename) == (Outcome.FILE_EXISTS, "file.bin")
    assert fresh(session).filename == "new"


def test_the_same_name_again_is_nothing_new(alice: User) -> None:
    session = upload(alice, DATA)
    rename(session, "file.bin")
    assert not session.events.filter(kind=EventKind.RENAMED).exists()


@pytest.mark.parametrize("status", sorted(set(SessionStatus) - {"completed", "cancelled"}))
def test_any_state_but_cancelled(alice: User, status: str) -> None:
    session = begin(alice, DATA)
    FileSession.objects.filter(pk=session.pk).update(status=status)
    assert rename(session, "new").filename == "new"


def test_what_is_cancelled_is_refused(alice: User) -> None:
    session = begin(alice, DATA)
    remove(session)
    with pytest.raises(SessionCancelled):
        rename(session, "new")


def test_what_was_deleted_meanwhile_is_refused(alice: User) -> None:
    gone, in_the_trash = upload(alice, DATA), upload(alice, DATA[:100])
    remove(gone)
    trash(alice, [in_the_trash.pk])
    for session in (gone, in_the_trash):
        with pytest.raises(SessionNotFound):
            rename(session, "new")
    assert not SessionEvent.objects.filter(kind=EventKind.RENAMED).exists()


def test_of_a_long_path_the_end_is_told(alice: User) -> None:
    folder = "/".join(["a" * 255] * 3)
    session = upload(alice, DATA, folder=folder)
    age(session, hours=1)
    rename(session, "new")
    detail = session.events.get(kind=EventKind.RENAMED).detail
    assert len(detail) == SessionEvent.MAX_DETAIL_LENGTH
    assert (detail[:2], detail[-11:]) == ("…a", "aa/file.bin")
