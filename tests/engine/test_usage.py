"""What a user stores: one row to read, always what the files add up to."""

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from pytest_django import DjangoAssertNumQueries

from tests.support.bodies import payload
from tests.support.scenarios import assert_sums
from tests.support.sessions import age, begin, fresh, handshake, upload
from tests.support.threads import at_once
from uploads.engine import batches, usage
from uploads.engine.removing import remove
from uploads.engine.sweeping import sweep
from uploads.models import Usage

DATA = payload(350)


def sums(owner: User) -> tuple[int, int]:
    row = usage.usage_of(owner)
    return row.stored_files, row.stored_bytes


def test_who_has_nothing_stores_nothing(alice: User) -> None:
    assert sums(alice) == (0, 0)
    assert not Usage.objects.exists()


def test_it_counts_what_is_complete(alice: User, bob: User) -> None:
    session = begin(alice, DATA)
    assert sums(alice) == (0, 0)
    upload(alice, DATA[:200])
    upload(bob, DATA)
    assert (sums(alice), sums(bob)) == ((1, 200), (1, 350))
    remove(fresh(session))
    assert sums(alice) == (1, 200)


def test_the_same_content_under_two_names_counts_twice(alice: User) -> None:
    upload(alice, DATA)
    handshake(alice, DATA, folder="copies")
    assert sums(alice) == (2, 700)


def test_what_is_deleted_counts_no_more(alice: User) -> None:
    remove(upload(alice, DATA))
    assert sums(alice) == (0, 0)


def test_a_purge_of_old_files_is_counted(alice: User) -> None:
    age(upload(alice, DATA), hours=49)
    sweep(48, completed_hours=48)
    assert sums(alice) == (0, 0)


def test_it_costs_one_row_however_many_files_there_are(
    alice: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for size in range(1, 6):
        upload(alice, DATA[:size])
    with django_assert_num_queries(1):
        assert sums(alice) == (5, 15)


def test_files_that_complete_at_once_are_all_counted(alice: User) -> None:
    at_once([lambda: handshake(alice, b"", sha256="")] * 6)
    assert sums(alice) == (6, 0)


def test_it_never_goes_below_nothing(alice: User) -> None:
    with transaction.atomic():
        usage.add(alice.pk, -1, -5)
    assert sums(alice) == (0, 0)


@pytest.mark.parametrize("wrong", [{"stored_files": 7}, {"stored_bytes": 0}, None], ids=str)
def test_the_sweep_mends_what_has_drifted(alice: User, bob: User, wrong: dict[str, int]) -> None:
    upload(alice, DATA)
    upload(bob, DATA)
    rows = Usage.objects.filter(pk=alice.pk)
    if wrong:
        rows.update(**wrong)
    else:
        rows.delete()
    assert sweep(48, dry_run=True).recounted == 1
    assert sums(alice) != (1, 350)
    assert sweep(48).recounted == 1
    assert_sums()
    assert sweep(48).recounted == 0


def test_the_sweep_looks_at_every_user(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "BATCH", 2)
    users = [User.objects.create_user(f"user {number}") for number in range(5)]
    Usage.objects.bulk_create(Usage(owner=user, stored_files=1) for user in users)
    assert sweep(48).recounted == 5
    assert_sums()
