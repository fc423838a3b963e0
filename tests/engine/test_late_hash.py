"""P1: a hash may be declared late, at any moment until the end, and is never dropped."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User

from tests.support.bodies import payload, sha256
from tests.support.sessions import content_files, content_of, fresh, handshake, upload
from tests.support.tasks import run_tasks
from tests.support.threads import at_once
from uploads.engine import finishing, opening
from uploads.engine.completing import complete
from uploads.engine.finishing import finish
from uploads.engine.opening import Offer, Outcome, open_session
from uploads.engine.reasons import OTHER_HASH
from uploads.engine.removing import remove
from uploads.errors import HashConflict
from uploads.models import EventKind, FileSession, SessionStatus, StoredFile

DATA = payload(350)
RIGHT = sha256(DATA)
WRONG = "f" * 64
OFFER = Offer("file.bin", len(DATA), sha256="", resume_key="key")


@pytest.fixture
def whole(alice: User) -> FileSession:
    """All chunks in, no hash declared, `complete` not called."""
    session = upload(alice, DATA, sha256="", resume_key="key")
    assert session.status == SessionStatus.ACTIVE
    return session


@pytest.fixture
def assembling(whole: FileSession) -> FileSession:
    """As `whole`, but `complete` was called, without a hash; the verifier has not begun."""
    complete(whole)
    assert fresh(whole).status == SessionStatus.ASSEMBLING
    return fresh(whole)


def ended(session: FileSession, declared: str) -> bool:
    """Whether the session completed if the right hash was declared, and failed if not."""
    done = fresh(session)
    if declared == RIGHT:
        assert (done.status, content_of(done)) == (SessionStatus.COMPLETED, DATA)
        return True
    assert done.status == SessionStatus.FAILED
    assert done.error == OTHER_HASH
    assert WRONG in done.events.get(kind=EventKind.FAILED).detail
    assert content_files() == []
    assert not StoredFile.objects.exists()
    return True


@pytest.mark.parametrize("declared", [RIGHT, WRONG], ids=["right", "wrong"])
def test_p1_a_hash_declared_by_complete_while_assembling_decides(
    assembling: FileSession, declared: str
) -> None:
    answer = complete(assembling, declared)
    assert (answer.status, answer.sha256) == (SessionStatus.ASSEMBLING, declared)
    run_tasks()
    assert ended(assembling, declared)


@pytest.mark.parametrize("declared", [RIGHT, WRONG], ids=["right", "wrong"])
def test_p1_a_hash_declared_by_a_handshake_while_assembling_decides(
    assembling: FileSession, alice: User, declared: str
) -> None:
    outcome, found = open_session(
        alice, Offer("file.bin", len(DATA), sha256=declared, resume_key="key")
    )
    assert (outcome, found.pk, found.sha256) == (Outcome.RESUMED, assembling.pk, declared)
    run_tasks()
    assert ended(assembling, declared)


@pytest.mark.parametrize("declared", [RIGHT, WRONG], ids=["right", "wrong"])
def test_p1_a_hash_declared_while_the_verifier_reads_decides(
    assembling: FileSession, declared: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The verifier has seen a session without a hash and has just computed the file's."""
    verify = finishing._verify

    def declared_meanwhile(session: FileSession, data: object) -> str | None:
        computed = verify(session, data)  # type: ignore[arg-type]
        complete(fresh(session), declared)
        return computed

    monkeypatch.setattr(finishing, "_verify", declared_meanwhile)
    finish(assembling.pk)
    assert ended(assembling, declared)


@pytest.mark.parametrize("declared", [RIGHT, WRONG], ids=["right", "wrong"])
def test_p1_a_hash_declared_after_a_crash_behind_the_rename_decides(
    assembling: FileSession, declared: str
) -> None:
    class Crash(BaseException):
        pass

    def crash(session: FileSession, sha256: str, pending: StoredFile | None) -> None:
        if pending:
            raise Crash

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(finishing, "_commit_completion", crash)
        with pytest.raises(Crash):
            finish(assembling.pk)
    complete(fresh(assembling), declared)
    run_tasks()
    assert ended(assembling, declared)


@pytest.mark.parametrize("seen", ["whole", "assembling"])
def test_p1_of_two_completes_at_once_with_different_hashes_one_is_refused(
    request: pytest.FixtureRequest, seen: str
) -> None:
    """Each has seen the session before the other declared."""
    session: FileSession = request.getfixturevalue(seen)
    jobs: list[Callable[[], FileSession]] = [
        lambda: complete(FileSession.objects.get(pk=session.pk), RIGHT),
        lambda: complete(FileSession.objects.get(pk=session.pk), WRONG),
    ]
    results = at_once(jobs)
    refused = [isinstance(result, HashConflict) for result in results]
    assert sorted(refused) == [False, True], results
    run_tasks()
    assert ended(session, WRONG if refused[0] else RIGHT)


@pytest.mark.parametrize("seen", ["whole", "assembling"])
def test_p1_a_complete_that_looked_before_another_declared_is_refused(
    request: pytest.FixtureRequest, seen: str
) -> None:
    session: FileSession = request.getfixturevalue(seen)
    before = fresh(session)
    complete(fresh(session), RIGHT)
    with pytest.raises(HashConflict) as refusal:
        complete(before, WRONG)
    assert refusal.value.members == {"sha256": RIGHT}
    run_tasks()
    assert ended(session, RIGHT)


def test_a_hash_declared_late_that_another_open_upload_has_is_refused(
    assembling: FileSession, alice: User
) -> None:
    other = open_session(alice, Offer("other", len(DATA), sha256=RIGHT))[1]
    with pytest.raises(HashConflict):
        complete(assembling, RIGHT)
    assert fresh(assembling).sha256 == ""
    run_tasks()
    assert content_of(fresh(assembling)) == DATA
    assert fresh(other).status == SessionStatus.ACTIVE


def test_of_two_handshakes_with_one_key_and_different_hashes_each_gets_its_own(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both have found the same session without a hash; the later may not take it for its own."""
    first = open_session(alice, OFFER)[1]
    declared = opening._declared

    def meanwhile(session: FileSession, sha256: str) -> FileSession:
        monkeypatch.setattr(opening, "_declared", declared)
        assert handshake(alice, DATA, sha256=RIGHT, resume_key="key")[1].pk == first.pk
        return declared(session, sha256)

    monkeypatch.setattr(opening, "_declared", meanwhile)
    outcome, other = handshake(alice, DATA, sha256=WRONG, resume_key="key")
    assert (outcome, other.sha256) == (Outcome.CREATED, WRONG)
    assert other.pk != first.pk
    assert fresh(first).sha256 == RIGHT
    assert handshake(alice, DATA, sha256="", resume_key="key")[1].pk == other.pk


def test_handshakes_at_once_with_one_key_and_different_hashes_share_nothing(alice: User) -> None:
    open_session(alice, OFFER)
    offers = [Offer("file.bin", len(DATA), sha256=digit * 64, resume_key="key") for digit in "abcd"]
    results = at_once([lambda offer=offer: open_session(alice, offer) for offer in offers])  # type: ignore[misc]
    answers = [result for result in results if not isinstance(result, Exception)]
    assert len(answers) == 4, results
    assert sorted(outcome for outcome, _ in answers) == ["created"] * 3 + ["resumed"]
    assert [session.sha256 for _, session in answers] == [offer.sha256 for offer in offers]
    assert FileSession.objects.filter(resume_key="key").count() == 1


def test_a_session_cancelled_before_the_hash_was_declared_is_not_resumed(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = open_session(alice, OFFER)[1]
    declared = opening._declared

    def cancelled_meanwhile(session: FileSession, sha256: str) -> FileSession:
        remove(fresh(first))
        return declared(session, sha256)

    monkeypatch.setattr(opening, "_declared", cancelled_meanwhile)
    outcome, session = handshake(alice, DATA, resume_key="key")
    assert (outcome, session.status) == (Outcome.CREATED, SessionStatus.ACTIVE)
    assert session.pk != first.pk
