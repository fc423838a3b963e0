"""Stored content is read again: what rotted is found and marked, and nothing else is."""

import os
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, BinaryIO
from uuid import UUID

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone

from tests.support.bodies import payload, sha256
from tests.support.crashes import hooked
from tests.support.sessions import content_files, fresh, handshake, upload
from uploads import conf
from uploads.core.plan import MIB
from uploads.engine import rereading
from uploads.engine.opening import Outcome
from uploads.engine.removing import remove
from uploads.engine.rereading import (
    Finding,
    Verdict,
    damaged_content,
    due_content,
    is_damaged,
    reread_content,
    reread_damaged,
)
from uploads.errors import StorageUnavailable
from uploads.failpoints import Failpoint, set_hook
from uploads.models import FileSession, StoredFile
from uploads.storage.filesystem import FilesystemStore

DATA = payload(350)
LIVE, DAMAGED = StoredFile.State.LIVE, StoredFile.State.DAMAGED


def stored(owner: User, data: bytes = DATA, **verified_ago: float) -> StoredFile:
    """Content that was never read again, or last so long ago (as for a timedelta)."""
    content = upload(owner, data).stored_file
    assert content is not None
    verified_at = timezone.now() - timedelta(**verified_ago) if verified_ago else None
    StoredFile.objects.filter(pk=content.pk).update(verified_at=verified_at)
    content.refresh_from_db()
    return content


def path_of(content: StoredFile) -> Path:
    return conf.current().root / "content" / content.sha256 / str(content.pk)


def flip(content: StoredFile, position: int) -> None:
    """One byte changes; the size stays, and so do the file's times."""
    times = path_of(content).stat()
    with path_of(content).open("r+b") as file:
        file.seek(position)
        byte = file.read(1)[0]
        file.seek(position)
        file.write(bytes([byte ^ 0x01]))
    os.utime(path_of(content), ns=(times.st_atime_ns, times.st_mtime_ns))


def run(hours: float = 24, **given: Any) -> list[Finding]:
    return list(reread_content(timezone.now() - timedelta(hours=hours), **given))


def state_of(content: StoredFile) -> str:
    return StoredFile.objects.get(pk=content.pk).state


@contextmanager
def reading(replaced: Callable[[Callable[[], BinaryIO], UUID], BinaryIO]) -> Iterator[None]:
    """`replaced` opens content, given how it would have been opened, and its id."""
    whole = FilesystemStore.read

    def read(self: FilesystemStore, digest: str, content_id: UUID) -> BinaryIO:
        return replaced(lambda: whole(self, digest, content_id), content_id)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FilesystemStore, "read", read)
        yield


# ------------------------------------------------------------------------- what is found


@pytest.mark.parametrize("size", [0, 1, 350, MIB + 1])
def test_sound_content_is_found_sound_and_says_when(alice: User, size: int) -> None:
    content = stored(alice, payload(size))
    read: list[int] = []
    before = timezone.now()
    assert run(on_bytes=read.append) == [Finding(content, Verdict.SOUND)]
    content.refresh_from_db()
    assert content.verified_at is not None
    assert before <= content.verified_at <= timezone.now()
    assert content.state == LIVE
    assert sum(read) == size


@pytest.mark.parametrize("position", [0, 175, 349])
def test_p1_one_flipped_bit_is_found_wherever_it_is(alice: User, position: int) -> None:
    content = stored(alice)
    flip(content, position)
    [finding] = run()
    assert (finding.stored, finding.verdict) == (content, Verdict.DAMAGED)
    assert finding.wrong == f"its bytes have the SHA-256 {sha256(path_of(content).read_bytes())}"
    assert state_of(content) == DAMAGED
    assert list(damaged_content()) == [content]


@pytest.mark.parametrize(
    ("bytes_left", "wrong"),
    [
        (b"", "its file has 0 bytes"),
        (DATA[:-1], "its file has 349 bytes"),
        (DATA + b"\0", "its file has 351 bytes"),
    ],
)
def test_p1_a_file_of_another_length_is_damaged(alice: User, bytes_left: bytes, wrong: str) -> None:
    content = stored(alice)
    path_of(content).write_bytes(bytes_left)
    assert run() == [Finding(content, Verdict.DAMAGED, wrong)]
    assert state_of(content) == DAMAGED


def test_p1_an_empty_file_that_has_grown_is_damaged(alice: User) -> None:
    content = stored(alice, b"")
    path_of(content).write_bytes(b"x")
    assert [finding.verdict for finding in run()] == [Verdict.DAMAGED]


def test_p1_a_missing_file_is_damaged(alice: User) -> None:
    content = stored(alice)
    path_of(content).unlink()
    assert run() == [Finding(content, Verdict.DAMAGED, "its file is missing")]
    assert state_of(content) == DAMAGED


def test_a_file_cut_short_while_it_is_read_is_damaged(alice: User) -> None:
    content = stored(alice, payload(2 * MIB))
    assert run(on_bytes=lambda _: os.truncate(path_of(content), 0))[0].verdict == Verdict.DAMAGED


def test_what_is_sound_beside_what_is_damaged_stays_live(alice: User) -> None:
    contents = [stored(alice, payload(350, seed)) for seed in range(5)]
    flip(contents[2], 100)
    found = {finding.stored.pk: finding.verdict for finding in run()}
    assert [found[content.pk] for content in contents] == [
        Verdict.DAMAGED if content == contents[2] else Verdict.SOUND for content in contents
    ]
    assert list(StoredFile.objects.filter(state=DAMAGED)) == [contents[2]]


def test_damaged_content_is_not_read_again(alice: User) -> None:
    content = stored(alice)
    flip(content, 0)
    run()
    flip(content, 0)
    assert run(hours=0) == []
    assert state_of(content) == DAMAGED


# ------------------------------------------------------------------- what proves nothing


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), PermissionError(13, "denied")])
def test_what_the_disk_refuses_is_not_marked_and_the_others_are_read(
    alice: User, error: OSError
) -> None:
    bad, good = sorted(
        (stored(alice, payload(350, seed)) for seed in range(2)), key=lambda content: content.pk
    )

    def refuse(whole: Callable[[], BinaryIO], content_id: UUID) -> BinaryIO:
        if content_id == bad.pk:
            raise error
        return whole()

    with reading(refuse):
        findings = run()
    assert findings == [
        Finding(bad, Verdict.UNREADABLE, str(error)),
        Finding(good, Verdict.SOUND),
    ]
    bad.refresh_from_db()
    assert (bad.state, bad.verified_at) == (LIVE, None)
    assert [finding.verdict for finding in run()] == [Verdict.SOUND]


def test_a_disk_that_fails_in_the_middle_of_a_file_marks_nothing(alice: User) -> None:
    content = stored(alice, payload(2 * MIB))

    def fail(_: int) -> None:
        raise OSError(5, "Input/output error")

    assert [finding.verdict for finding in run(on_bytes=fail)] == [Verdict.UNREADABLE]
    assert state_of(content) == LIVE


def test_a_disk_that_is_not_mounted_makes_nothing_damaged(alice: User, upload_root: Path) -> None:
    content = stored(alice)
    upload_root.rename(upload_root.with_name("elsewhere"))
    upload_root.mkdir()
    with pytest.raises(StorageUnavailable):
        run()
    assert state_of(content) == LIVE


def test_content_deleted_while_it_is_read_is_no_damage(alice: User) -> None:
    session = upload(alice, DATA)
    StoredFile.objects.update(verified_at=None)
    [finding] = run(on_bytes=lambda _: remove(session))
    assert (finding.verdict, finding.wrong) == (Verdict.GONE, "")
    assert not StoredFile.objects.exists()


def test_content_deleted_right_before_it_is_opened_is_no_damage(alice: User) -> None:
    session = upload(alice, DATA)
    StoredFile.objects.update(verified_at=None)

    def remove_first(whole: Callable[[], BinaryIO], _: UUID) -> BinaryIO:
        remove(session)
        return whole()

    with reading(remove_first):
        assert [finding.verdict for finding in run()] == [Verdict.GONE]


def test_content_that_is_being_deleted_is_no_damage_when_its_bytes_have_gone(alice: User) -> None:
    """The row says `deleting` before the bytes go: what is found missing then is as it should."""
    content = stored(alice)

    def delete(whole: Callable[[], BinaryIO], _: UUID) -> BinaryIO:
        StoredFile.objects.filter(pk=content.pk).update(state=StoredFile.State.DELETING)
        path_of(content).unlink()
        return whole()

    with reading(delete):
        assert [finding.verdict for finding in run()] == [Verdict.GONE]
    assert state_of(content) == StoredFile.State.DELETING


def test_what_was_deleted_since_its_batch_was_fetched_is_passed_over(alice: User) -> None:
    contents = [stored(alice, payload(350, seed)) for seed in range(3)]
    findings = reread_content(timezone.now())
    first = next(findings).stored
    gone = min((c for c in contents if c != first), key=lambda content: content.pk)
    remove(FileSession.objects.get(stored_file=gone))
    assert {finding.stored.pk for finding in findings} == {
        content.pk for content in contents if content not in {first, gone}
    }


# ------------------------------------------------------------------ which, and in which order


def test_the_longest_unverified_come_first(alice: User) -> None:
    hours = [30, None, 200, 100, None]
    contents = [
        stored(alice, payload(350, seed), **({"hours": ago} if ago else {}))
        for seed, ago in enumerate(hours)
    ]
    never = sorted((contents[1], contents[4]), key=lambda content: content.pk)
    expected = [*never, contents[2], contents[3], contents[0]]
    assert list(due_content(timezone.now())) == expected
    assert [finding.stored for finding in run()] == expected


def test_what_was_verified_lately_is_not_read(alice: User) -> None:
    late = stored(alice, payload(350, 1), hours=25)
    stored(alice, payload(350, 2), hours=23)
    assert [finding.stored for finding in run(hours=24)] == [late]
    assert run(hours=24) == []
    assert len(run(hours=0)) == 2


def test_files_verified_at_the_same_moment_are_all_read(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rereading, "_BATCH", 2)
    contents = [stored(alice, payload(350, seed)) for seed in range(5)]
    StoredFile.objects.update(verified_at=timezone.now() - timedelta(days=3))
    assert {finding.stored.pk for finding in run()} == {content.pk for content in contents}


def test_more_files_than_a_batch_are_each_read_once_even_those_that_stay_due(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rereading, "_BATCH", 2)
    for seed in range(3):
        stored(alice, payload(350, seed))
        stored(alice, payload(350, 10 + seed), days=3 + seed)

    def refuse(*_: object) -> BinaryIO:
        raise OSError(5, "Input/output error")

    with reading(refuse):
        assert [finding.verdict for finding in run()] == [Verdict.UNREADABLE] * 6
    assert [finding.verdict for finding in run()] == [Verdict.SOUND] * 6


def test_a_clock_set_back_makes_no_file_due_twice_in_one_run(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rereading, "_BATCH", 1)
    for seed in range(3):
        stored(alice, payload(350, seed), days=30)
    before = timezone.now()
    monkeypatch.setattr(timezone, "now", lambda: before - timedelta(days=10))
    assert len(list(reread_content(before))) == 3
    assert not due_content(before).exists()


# ---------------------------------------------------------------------- stopping, going on


def test_a_run_goes_on_where_the_limit_stopped_the_last(alice: User) -> None:
    contents = [stored(alice, payload(350, seed)) for seed in range(5)]
    first, second, third = run(limit=2), run(limit=2), run(limit=2)
    assert [len(found) for found in (first, second, third)] == [2, 2, 1]
    read = [finding.stored.pk for finding in first + second + third]
    assert sorted(read) == sorted(content.pk for content in contents)
    assert run(limit=0) == []


def test_no_file_is_begun_after_its_time(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(3):
        stored(alice, payload(350, seed))
    assert run(seconds=0) == []
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    findings = reread_content(timezone.now(), seconds=60)
    next(findings)
    now = 59.9
    # Begun in time, it is read to its end.
    next(findings)
    now = 60
    assert list(findings) == []
    assert len(run()) == 1


def test_what_was_found_before_an_interruption_is_kept(alice: User) -> None:
    for seed in range(3):
        stored(alice, payload(350, seed))
    count = 0

    def interrupt(_: int) -> None:
        nonlocal count
        count += 1
        if count == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(on_bytes=interrupt)
    assert StoredFile.objects.exclude(verified_at=None).count() == 1
    assert [finding.verdict for finding in run()] == [Verdict.SOUND] * 2


@pytest.mark.parametrize("point", [Failpoint.CONTENT_VERIFIED, Failpoint.CONTENT_DAMAGED])
def test_a_crash_right_before_a_verdict_is_committed_leaves_the_file_due(
    alice: User, point: Failpoint
) -> None:
    content = stored(alice)
    if point == Failpoint.CONTENT_DAMAGED:
        flip(content, 0)
    reached: list[Failpoint] = []

    def crash(at: Failpoint) -> None:
        reached.append(at)
        raise SystemExit

    with hooked(crash), pytest.raises(SystemExit):
        run()
    assert reached == [point]
    assert list(due_content(timezone.now())) == [content]
    assert len(run()) == 1


# ------------------------------------------------------------------------------ two at once


def test_of_two_runs_one_reports_the_damage(alice: User) -> None:
    content = stored(alice)
    flip(content, 0)
    others: list[Finding] = []

    def run_another(point: Failpoint) -> None:
        set_hook(None)
        others.extend(run())

    with hooked(run_another):
        assert run() == [Finding(content, Verdict.GONE)]
    assert [finding.verdict for finding in others] == [Verdict.DAMAGED]


def test_a_verdict_of_sound_never_takes_back_one_of_damaged(alice: User) -> None:
    """One run read it whole; then it rotted, and another marked it before the first could."""
    content = stored(alice)

    def damage(point: Failpoint) -> None:
        set_hook(None)
        flip(content, 0)
        run()

    with hooked(damage):
        assert [finding.verdict for finding in run()] == [Verdict.GONE]
    content.refresh_from_db()
    assert (content.state, content.verified_at) == (DAMAGED, None)


def test_two_runs_at_once_read_everything_and_harm_nothing(alice: User) -> None:
    contents = [stored(alice, payload(350, seed)) for seed in range(12)]
    flip(contents[3], 7)
    found: list[Finding] = []
    start = threading.Barrier(2)

    def work() -> None:
        start.wait()
        try:
            found.extend(run())
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    damaged = [finding.stored for finding in found if finding.verdict == Verdict.DAMAGED]
    assert damaged == [contents[3]]
    assert StoredFile.objects.exclude(verified_at=None).filter(state=LIVE).count() == 11


# ------------------------------------------------------------------------- how it is read


def test_p8_a_large_file_is_read_in_pieces(alice: User) -> None:
    content = stored(alice)
    size = 64 * MIB
    os.truncate(path_of(content), size)
    StoredFile.objects.filter(pk=content.pk).update(size=size)
    pieces: list[int] = []
    tracemalloc.start()
    try:
        [finding] = run(on_bytes=pieces.append)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert finding.verdict == Verdict.DAMAGED
    assert sum(pieces) == size
    assert max(pieces) <= MIB
    assert peak < 8 * MIB


@pytest.mark.skipif(not hasattr(os, "posix_fadvise"), reason="no way to tell the kernel")
def test_the_kernel_is_told_to_forget_the_file_before_it_is_read(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a check would see memory, which was sound all the time."""
    stored(alice)
    events: list[str] = []

    def advise(fd: int, offset: int, length: int, advice: int) -> None:
        assert (offset, length, advice) == (0, 0, os.POSIX_FADV_DONTNEED)
        assert Path(f"/proc/self/fd/{fd}").exists() or not Path("/proc/self/fd").exists()
        events.append("forget")

    monkeypatch.setattr(os, "posix_fadvise", advise)
    run(on_bytes=lambda _: events.append("read"))
    assert events == ["forget", "read", "forget"]


@pytest.mark.parametrize("refused", [True, False])
def test_a_system_that_takes_no_advice_is_no_obstacle(
    alice: User, monkeypatch: pytest.MonkeyPatch, refused: bool
) -> None:
    stored(alice)

    def refuse(*_: object) -> None:
        raise OSError(22, "Invalid argument")

    if refused:
        monkeypatch.setattr(os, "posix_fadvise", refuse, raising=False)
    else:
        monkeypatch.delattr(os, "posix_fadvise", raising=False)
    assert [finding.verdict for finding in run()] == [Verdict.SOUND]


def test_no_descriptor_is_left_open(alice: User) -> None:
    for seed in range(3):
        flip(stored(alice, payload(350, seed)), 0)
    folder = Path("/proc/self/fd")
    before = len(list(folder.iterdir())) if folder.exists() else 0
    run()
    assert (len(list(folder.iterdir())) if folder.exists() else 0) == before


# --------------------------------------------------------------------------- what follows


def test_p1_a_handshake_for_damaged_content_asks_for_the_bytes(alice: User) -> None:
    content = stored(alice)
    assert handshake(alice, DATA)[0] == Outcome.FILE_EXISTS
    flip(content, 0)
    run()
    assert handshake(alice, DATA)[0] == Outcome.CREATED


def test_damaged_content_that_is_uploaded_again_is_sound_for_all_who_had_it(
    alice: User, bob: User
) -> None:
    theirs = upload(bob, DATA)
    content = stored(alice)
    flip(content, 0)
    run()
    assert is_damaged(fresh(theirs))
    again = upload(alice, DATA)
    assert not is_damaged(again)
    assert not is_damaged(fresh(theirs))
    assert not damaged_content().exists()
    assert [finding.verdict for finding in run(hours=0)] == [Verdict.SOUND]
    assert [path.read_bytes() for path in content_files()] == [DATA]


def test_damaged_content_that_nobody_has_any_more_is_missed_by_nobody(
    alice: User, bob: User
) -> None:
    sessions = [upload(alice, DATA), upload(bob, DATA)]
    StoredFile.objects.update(state=DAMAGED)
    assert damaged_content().count() == 1
    remove(fresh(sessions[0]))
    assert damaged_content().count() == 1
    remove(fresh(sessions[1]))
    assert damaged_content().count() == 0


def test_a_session_deleted_while_it_is_looked_at_is_not_damaged(alice: User) -> None:
    session = upload(alice, DATA)
    session = FileSession.objects.get(pk=session.pk)
    remove(fresh(session))
    assert not is_damaged(session)


# ------------------------------------------------------------------------- what comes back


def test_damaged_content_that_is_whole_again_is_live_again(alice: User) -> None:
    """An operator has brought the file back from a backup."""
    content = stored(alice)
    flip(content, 7)
    run()
    assert [finding.verdict for finding in reread_damaged(damaged_content())] == [Verdict.DAMAGED]
    assert state_of(content) == DAMAGED
    flip(content, 7)
    assert [finding.verdict for finding in reread_damaged(damaged_content())] == [Verdict.RESTORED]
    assert state_of(content) == LIVE
    assert handshake(alice, DATA)[0] == Outcome.FILE_EXISTS
    assert list(reread_damaged(damaged_content())) == []


def test_damaged_content_stays_so_where_the_same_is_live_already(alice: User) -> None:
    content = stored(alice)
    flip(content, 7)
    run()
    flip(content, 7)
    other = StoredFile.objects.create(sha256=content.sha256, size=350, state=LIVE)
    assert [finding.verdict for finding in reread_damaged(damaged_content())] == [Verdict.GONE]
    assert (state_of(content), state_of(other)) == (DAMAGED, LIVE)


def test_damaged_content_that_is_mended_while_the_others_are_read_is_not_reported(
    alice: User,
) -> None:
    content = stored(alice)
    flip(content, 7)
    run()
    listed = list(damaged_content())
    upload(alice, DATA)
    assert [finding.verdict for finding in reread_damaged(listed)] == [Verdict.GONE]


def test_damaged_content_beyond_the_bounds_is_named_without_being_read(alice: User) -> None:
    content = stored(alice)
    flip(content, 7)
    run()
    read: list[int] = []
    for bounds in ({"limit": 0}, {"seconds": 0.0}):
        [finding] = reread_damaged(damaged_content(), on_bytes=read.append, **bounds)
        assert finding == Finding(content, Verdict.DAMAGED, "as was found earlier")
    assert read == []
