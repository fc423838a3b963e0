"""What one person may have: what is reserved counts like what is stored, and no race gets more."""

from io import BytesIO
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from tests.support.bodies import payload
from tests.support.sessions import age, begin, fresh, handshake, send, send_all, upload
from tests.support.tasks import run_tasks
from tests.support.threads import at_once
from uploads.engine.appending import append
from uploads.engine.completing import complete
from uploads.engine.finishing import finish
from uploads.engine.opening import Offer, open_session, open_whole
from uploads.engine.quotas import bytes_used, quota_of
from uploads.engine.reasons import NO_ROOM
from uploads.engine.removing import remove
from uploads.engine.sizing import declare_size
from uploads.engine.transitions import expire_if_due
from uploads.engine.trash import purge_trash, restore, trash
from uploads.errors import QuotaExceeded
from uploads.models import FileSession, Role, SessionStatus
from uploads.storage import get_store

DATA = payload(350)


@pytest.fixture(autouse=True)
def quota(settings: Settings) -> None:
    use(settings, QUOTA_BYTES=1000)


def use(settings: Settings, **changes: Any) -> None:
    settings.UPLOADS = {**settings.UPLOADS, **changes}


def begin_of(owner: User, size: int) -> FileSession:
    return open_session(owner, Offer("file.bin", size, chunk_size=100))[1]


def stream(owner: User) -> FileSession:
    """An upload whose size nobody knows yet."""
    return open_session(owner, Offer("stream.bin", None, chunk_size=100))[1]


def append_all(session: FileSession, data: bytes) -> FileSession:
    current = fresh(session)
    return append(current, current.offset, BytesIO(data), len(data))


def test_what_is_stored_and_what_is_reserved_count_together(alice: User, bob: User) -> None:
    upload(alice, DATA)
    open_one = begin_of(alice, 600)
    assert bytes_used(alice) == 950
    with pytest.raises(QuotaExceeded) as refusal:
        begin_of(alice, 51)
    assert refusal.value.members == {"limit": 1000, "quota": "bytes", "used": 1001}
    assert begin_of(alice, 50)
    assert begin_of(bob, 1000)
    remove(fresh(open_one))
    assert begin_of(alice, 600)


def test_a_refused_upload_leaves_nothing(alice: User) -> None:
    with pytest.raises(QuotaExceeded):
        begin_of(alice, 1001)
    assert not FileSession.objects.exists()
    assert list(get_store().staging_folders()) == []


def test_what_is_reserved_is_not_counted_again_while_it_comes(alice: User) -> None:
    session = begin(alice, payload(1000), chunk_size=100)
    assert send_all(session, payload(1000)).status == SessionStatus.COMPLETED
    assert bytes_used(alice) == 1000


def test_an_upload_that_ends_gives_back_what_it_had_reserved(alice: User) -> None:
    session = begin_of(alice, 1000)
    FileSession.objects.filter(pk=session.pk).update(expires_at=session.created_at)
    with pytest.raises(QuotaExceeded):
        begin_of(alice, 10)
    expire_if_due(fresh_row(session))
    assert begin_of(alice, 1000)


def fresh_row(session: FileSession) -> FileSession:
    return FileSession.objects.get(pk=session.pk)


def test_an_upload_that_is_found_again_needs_no_room_of_its_own(
    alice: User, settings: Settings
) -> None:
    session = begin(alice, DATA)
    use(settings, QUOTA_BYTES=100, QUOTA_UPLOADS=1)
    assert begin(alice, DATA).pk == session.pk
    assert send_all(session, DATA).status == SessionStatus.COMPLETED


def test_known_content_under_another_name_counts(alice: User) -> None:
    data = payload(400)
    upload(alice, data)
    handshake(alice, data, folder="copies")
    with pytest.raises(QuotaExceeded):
        handshake(alice, data, folder="more copies")
    assert bytes_used(alice) == 800


def test_what_may_come_back_from_the_trash_still_counts(alice: User) -> None:
    session = upload(alice, payload(900))
    trash(alice, [session.pk])
    with pytest.raises(QuotaExceeded):
        begin_of(alice, 200)
    restore(alice, [session.pk])
    trash(alice, [session.pk])
    FileSession.objects.update(trashed_at=session.created_at.replace(year=2020))
    purge_trash()
    assert begin_of(alice, 1000)


def test_a_stream_of_unknown_length_ends_where_the_quota_does(alice: User) -> None:
    begin_of(alice, 500)
    session = stream(alice)
    append_all(session, payload(450))
    assert bytes_used(alice) == 950
    with pytest.raises(QuotaExceeded):
        append_all(session, payload(51))
    # What fits stays, and nothing that came before is lost.
    assert fresh(session).offset == 500
    assert bytes_used(alice) == 1000
    assert complete(fresh(session)).size == 500


def test_a_chunk_of_an_upload_without_a_size_is_counted_as_it_comes(alice: User) -> None:
    begin_of(alice, 850)
    session = stream(alice)
    send(session, 0, payload(100))
    with pytest.raises(QuotaExceeded):
        send(session, 1, payload(100))
    assert fresh(session).received_count == 1


def test_a_size_that_is_declared_late_is_reserved_then(alice: User) -> None:
    begin_of(alice, 500)
    session = stream(alice)
    append_all(session, payload(100))
    with pytest.raises(QuotaExceeded):
        declare_size(fresh(session), 501)
    assert fresh(session).size is None
    assert declare_size(fresh(session), 500).size == 500


def test_open_uploads_are_counted(alice: User, settings: Settings) -> None:
    use(settings, QUOTA_BYTES=None, QUOTA_UPLOADS=2)
    begin_of(alice, 10)
    second = begin_of(alice, 20)
    with pytest.raises(QuotaExceeded) as refusal:
        begin_of(alice, 30)
    assert refusal.value.members == {"limit": 2, "quota": "uploads"}
    remove(fresh(second))
    assert begin_of(alice, 30)


def test_files_are_counted_whatever_their_size(alice: User, settings: Settings) -> None:
    use(settings, QUOTA_BYTES=None, QUOTA_FILES=2)
    upload(alice, DATA)
    begin_of(alice, 10)
    with pytest.raises(QuotaExceeded) as refusal:
        begin(alice, b"")
    assert refusal.value.members == {"limit": 2, "quota": "files", "used": 3}


def test_p7_requests_at_once_never_get_more_together(alice: User) -> None:
    jobs = [lambda size=200 + i: begin_of(alice, size) for i in range(8)]
    results = at_once(jobs)
    opened = [result for result in results if isinstance(result, FileSession)]
    assert all(isinstance(r, FileSession | QuotaExceeded) for r in results)
    assert len(opened) == 4
    assert bytes_used(alice) <= 1000


def test_streams_at_once_never_get_more_together(alice: User) -> None:
    sessions = [stream(alice) for _ in range(4)]
    jobs = [lambda s=session: append_all(s, payload(400)) for session in sessions]
    results = at_once(jobs)
    assert any(isinstance(result, QuotaExceeded) for result in results)
    assert 900 < bytes_used(alice) <= 1000


def part(owner: User, data: bytes, size: int | None = -1) -> FileSession:
    """An upload that a whole is to be joined of, with all its bytes in."""
    declared = len(data) if size == -1 else size
    session = open_session(owner, Offer("part", declared, chunk_size=100, role=Role.PART))[1]
    append_all(session, data)
    return fresh(session)


def test_what_is_joined_counts_once_however_much_of_the_quota_it_is(alice: User) -> None:
    parts = [part(alice, payload(500, seed)) for seed in (1, 2)]
    assert bytes_used(alice) == 1000
    session = open_whole(alice, Offer("whole.bin", None, chunk_size=100), parts)
    assert bytes_used(alice) == 1000
    run_tasks()
    assert fresh(session).status == SessionStatus.COMPLETED
    assert bytes_used(alice) == 1000


def test_the_same_parts_joined_twice_count_twice(alice: User) -> None:
    first, second = part(alice, payload(300, 1)), part(alice, payload(300, 2))
    open_whole(alice, Offer("whole.bin", None, chunk_size=100), [first, second])
    with pytest.raises(QuotaExceeded):
        open_whole(alice, Offer("other.bin", None, chunk_size=100), [second, first])
    run_tasks()
    assert bytes_used(alice) == 600


def test_parts_whose_size_was_unknown_are_counted_when_they_are_joined(alice: User) -> None:
    first, second = part(alice, payload(300, 1), None), part(alice, payload(300, 2), None)
    orders = [("whole.bin", [first, second]), ("other.bin", [second, first])]
    wholes = [open_whole(alice, Offer(n, None, chunk_size=100), p) for n, p in orders]
    for session in (first, second):
        declare_size(fresh(session), 300)
    for whole in wholes:
        finish(whole.pk)
    statuses = [fresh_row(whole).status for whole in wholes]
    assert sorted(statuses) == ["completed", "failed"]
    assert fresh_row(wholes[statuses.index("failed")]).error == NO_ROOM


def test_no_quota_costs_no_query(alice: User, settings: Settings) -> None:
    use(settings, QUOTA_BYTES=None, QUOTA_UPLOADS=None)
    with CaptureQueriesContext(connection) as queries:
        begin_of(alice, 10)
    assert not [query["sql"] for query in queries if "uploads_usage" in query["sql"]]


def test_groups_have_quotas_of_their_own_and_the_most_generous_counts(
    alice: User, bob: User, settings: Settings
) -> None:
    quotas = {
        "large": {"BYTES": 5000},
        "many": {"UPLOADS": 7, "BYTES": 2000},
        "all": {"BYTES": None},
    }
    use(settings, QUOTA_UPLOADS=3, GROUP_QUOTAS=quotas)

    def of(owner: User) -> tuple[int | None, int | None]:
        quota = quota_of(owner)
        return quota.bytes, quota.uploads

    assert of(alice) == (1000, 3)
    for name, expected in (("many", (2000, 7)), ("large", (5000, 7)), ("all", (None, 7))):
        alice.groups.add(Group.objects.create(name=name))
        assert of(alice) == expected
    assert of(bob) == (1000, 3)
    assert begin_of(alice, 10_000)


def test_an_old_upload_counts_as_long_as_it_is_open(alice: User) -> None:
    age(begin_of(alice, 800), hours=40)
    with pytest.raises(QuotaExceeded):
        begin_of(alice, 300)
