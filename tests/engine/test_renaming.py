"""Renaming: another name, the same upload."""

import pytest
from django.contrib.auth.models import User
from pytest_django import Settings

from tests.support.bodies import cut, payload
from tests.support.sessions import (
    age,
    begin,
    content_of,
    fresh,
    handshake,
    send,
    send_all,
    upload,
)
from tests.support.signatures import file_of
from tests.support.tasks import run_tasks
from uploads.engine.finishing import finish
from uploads.engine.opening import Outcome
from uploads.engine.reasons import OTHER_KIND
from uploads.engine.removing import remove
from uploads.engine.renaming import rename
from uploads.engine.trash import trash
from uploads.engine.uploaded import UploadedContent
from uploads.errors import ContentRefused, SessionCancelled, SessionNotFound
from uploads.failpoints import Failpoint, set_hook
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


def call_it_png(content: UploadedContent) -> None:
    """Another request renames it while a validator looks."""
    rename(FileSession.objects.get(pk=content.session_id), "scan.png")


def test_a_name_that_comes_while_it_is_verified_is_looked_at_too(
    alice: User, settings: Settings
) -> None:
    settings.UPLOADS = {**settings.UPLOADS, "VALIDATORS": [f"{__name__}.call_it_png"]}
    session = upload(alice, file_of("pdf"), filename="scan", chunk_size=4096)
    assert (session.status, session.error) == (SessionStatus.FAILED, OTHER_KIND)


def test_content_that_completes_while_it_is_renamed_is_looked_at_too(alice: User) -> None:
    data = file_of("pdf")
    session = begin(alice, data, filename="scan", chunk_size=4096)
    for index, chunk in enumerate(cut(data, 4096)):
        send(session, index, chunk)

    def complete(point: Failpoint) -> None:
        if point == Failpoint.SESSION_RENAME:
            finish(session.pk)

    before = set_hook(complete)
    try:
        with pytest.raises(ContentRefused):
            rename(fresh(session), "scan.png")
    finally:
        set_hook(before)
    assert (fresh(session).status, fresh(session).filename) == (SessionStatus.COMPLETED, "scan")
    run_tasks()


def test_a_renaming_that_finds_the_session_completed_meanwhile_goes_on(alice: User) -> None:
    session = begin(alice, DATA)
    send_all(session, DATA)
    assert rename(session, "new").filename == "new"
