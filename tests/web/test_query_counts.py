"""What a page asks of the database does not grow with what it shows."""

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from uploads.models import EventKind, SessionEvent

from .pages import HTMX, LIST, STATES, address, completed, trashed

#: The login session, its user.
SIGNED_IN = 2
#: The page of finished files, what is under way, how many were interrupted, the sums, what was
#: deleted a moment ago.
WHOLE_LIST = 5

pytestmark = pytest.mark.django_db
how_many = pytest.mark.parametrize("count", [5, 50])


def fill(owner: User, count: int) -> None:
    for make in [*STATES.values(), trashed]:
        for _ in range(count):
            make(owner)


@how_many
def test_the_dashboard_s_queries_are_few(
    alice: User,
    alice_client: Client,
    django_assert_num_queries: DjangoAssertNumQueries,
    count: int,
) -> None:
    fill(alice, count)
    with django_assert_num_queries(SIGNED_IN + WHOLE_LIST):
        html = alice_client.get("/").content.decode()
    with django_assert_num_queries(SIGNED_IN + WHOLE_LIST):
        alice_client.get(LIST, headers=HTMX)
    assert html.count('data-state="damaged"') >= 5
    assert html.count('data-state="assembling"') >= 5


@how_many
@pytest.mark.parametrize(
    "query",
    [
        "?q=tides",
        "?show=unfinished",
        "?show=unfinished&sort=smallest",
        "?kind=document&sort=largest",
    ],
)
def test_the_queries_of_other_lists_are_fewer(
    alice: User,
    alice_client: Client,
    django_assert_num_queries: DjangoAssertNumQueries,
    count: int,
    query: str,
) -> None:
    fill(alice, count)
    with django_assert_num_queries(SIGNED_IN + WHOLE_LIST - 2):
        alice_client.get("/" + query)


@how_many
def test_the_details_queries_do_not_grow_with_the_story(
    alice: User,
    alice_client: Client,
    django_assert_num_queries: DjangoAssertNumQueries,
    count: int,
) -> None:
    fill(alice, 5)
    session = completed(alice)
    SessionEvent.objects.bulk_create(
        SessionEvent(session=session, kind=EventKind.CONTINUED) for _ in range(count)
    )
    # The session, its stored file, its events.
    with django_assert_num_queries(SIGNED_IN + 3):
        alice_client.get(address(session))


@how_many
def test_the_queries_of_the_json_list_do_not_grow(
    alice: User,
    alice_client: Client,
    django_assert_num_queries: DjangoAssertNumQueries,
    count: int,
) -> None:
    fill(alice, count)
    with django_assert_num_queries(SIGNED_IN + 1):
        alice_client.get("/api/v1/uploads")
