"""A form takes an upload: once and for good, with its transaction or not at all."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.db.transaction import TransactionManagementError
from django.utils import timezone

from tests.support.bodies import payload
from tests.support.sessions import content_files, upload
from tests.support.threads import at_once
from uploads.engine import trash
from uploads.engine.access import get_session
from uploads.engine.claiming import UploadClaimed, claim
from uploads.engine.removing import remove
from uploads.engine.sweeping import sweep
from uploads.engine.uploaded import content_of
from uploads.engine.usage import usage_of
from uploads.errors import SessionNotFound
from uploads.models import FileSession, StoredFile
from uploads.signals import upload_consumed

DATA = payload(350)


def read_content(session: FileSession) -> bytes:
    with content_of(session) as content:
        whole: bytes = content.read()
    return whole


def claim_all(*sessions: FileSession) -> None:
    with transaction.atomic():
        claim(sessions)


def test_what_was_claimed_is_gone_after_the_commit(alice: User) -> None:
    session = upload(alice, DATA)
    with transaction.atomic():
        claim([session])
        assert read_content(session) == DATA
    assert not FileSession.objects.exists()
    assert content_files() == []
    assert usage_of(alice).stored_bytes == 0


def test_content_that_another_upload_has_too_stays(alice: User, bob: User) -> None:
    session, other = upload(alice, DATA), upload(bob, DATA)
    claim_all(session)
    assert read_content(other) == DATA


def test_rolled_back_it_can_be_claimed_again(alice: User) -> None:
    session = upload(alice, DATA)
    with transaction.atomic():
        claim([session])
        transaction.set_rollback(True)
    assert get_session(alice, session.pk).trashed_at is None
    assert usage_of(alice).stored_bytes == 350
    claim_all(session)


def test_outside_of_a_transaction_nothing_is_claimed(alice: User) -> None:
    session = upload(alice, DATA)
    with pytest.raises(TransactionManagementError, match="atomic"):
        claim([session])
    claim_all(session)


def test_of_two_claims_at_once_one_wins(alice: User) -> None:
    session = upload(alice, DATA)

    def outcome(_: int) -> str:
        try:
            claim_all(session)
        except UploadClaimed:
            return "refused"
        return "claimed"

    assert set(at_once([lambda: outcome(0), lambda: outcome(1)])) == {"claimed", "refused"}


def test_of_several_all_are_claimed_or_none(alice: User) -> None:
    one, other = upload(alice, DATA), upload(alice, payload(350, seed=1))
    claim_all(one)
    with pytest.raises(UploadClaimed):
        claim_all(one, other)
    claim_all(other, other)


@pytest.mark.parametrize("how", [remove, lambda session: trash.trash(session.owner, [session.pk])])
def test_what_was_deleted_meanwhile_is_not_claimed(alice: User, how: Any) -> None:
    session = upload(alice, DATA)
    how(session)
    with pytest.raises(UploadClaimed):
        claim_all(session)


def test_p1_damaged_content_is_not_claimed(alice: User) -> None:
    session = upload(alice, DATA)
    StoredFile.objects.update(state=StoredFile.State.DAMAGED)
    with pytest.raises(UploadClaimed):
        claim_all(session)


def test_before_its_commit_a_claim_is_seen_by_nobody_and_then_by_all(alice: User) -> None:
    session = upload(alice, DATA)
    claimed = FileSession.objects.filter(pk=session.pk)
    claimed.update(claimed_at=timezone.now(), trashed_at=timezone.now())
    with pytest.raises(SessionNotFound):
        get_session(alice, session.pk)
    assert trash.restore(alice, [session.pk]) == []
    assert trash.restorable(alice) == []
    claimed.update(trashed_at=timezone.now() - trash.UNDO)
    sweep(48)
    assert content_files() == []


def test_receivers_learn_of_it_after_the_commit_and_can_still_read(alice: User) -> None:
    heard: list[tuple[bool, bytes]] = []

    def receive(session: FileSession, **_: Any) -> None:
        in_transaction = transaction.get_connection().in_atomic_block
        heard.append((in_transaction, read_content(session)))
        raise ValueError("whatever a receiver does")

    session = upload(alice, DATA)
    upload_consumed.connect(receive)
    try:
        claim_all(session)
    finally:
        upload_consumed.disconnect(receive)
    assert heard == [(False, DATA)]
    assert content_files() == []


def test_a_claim_of_nothing_is_none(alice: User) -> None:
    with transaction.atomic():
        claim([])


def test_what_no_form_has_claimed_goes_like_what_nobody_has_continued(alice: User) -> None:
    upload(alice, payload(350, seed=1))
    made_for_a_form = upload(alice, DATA)
    FileSession.objects.filter(pk=made_for_a_form.pk).update(scope="a form")
    FileSession.objects.update(updated_at=timezone.now() - timedelta(hours=47))
    assert sweep(48).purged.total() == 0
    assert sweep(46).purged.total() == 1
    assert not FileSession.objects.filter(pk=made_for_a_form.pk).exists()
    assert usage_of(alice).stored_files == 1


def test_a_claim_that_was_refused_has_taken_nothing_also_where_nobody_rolls_back(
    alice: User,
) -> None:
    one, other = upload(alice, DATA), upload(alice, payload(350, seed=1))
    claim_all(one)
    with transaction.atomic(), pytest.raises(UploadClaimed):
        claim([one, other])
    assert get_session(alice, other.pk).trashed_at is None
    claim_all(other)
