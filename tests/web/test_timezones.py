"""Times as the clock of the person shows them."""

from datetime import UTC, datetime

import pytest
from django.contrib.auth.models import User
from django.test import Client

from .pages import address, completed

pytestmark = pytest.mark.django_db

WHEN = datetime(2026, 11, 21, 23, 30, tzinfo=UTC)


def shown_to(client: Client, alice: User, zone: str | None) -> str:
    session = completed(alice)
    type(session).objects.filter(pk=session.pk).update(updated_at=WHEN)
    if zone is not None:
        client.cookies["timezone"] = zone
    return client.get(address(session)).content.decode()


def test_times_are_those_of_the_browser_s_zone(alice: User, alice_client: Client) -> None:
    assert "22 Nov 2026, 00:30:00 CET" in shown_to(alice_client, alice, "Europe/Berlin")


@pytest.mark.parametrize("zone", [None, "", "Mars/Olympus", "../../etc/passwd", "\0", "x" * 5000])
def test_without_a_zone_that_is_known_times_are_utc(
    alice: User, alice_client: Client, zone: str | None
) -> None:
    assert "21 Nov 2026, 23:30:00 UTC" in shown_to(alice_client, alice, zone)


def test_one_person_s_zone_is_not_the_next_one_s(alice: User, alice_client: Client) -> None:
    shown_to(alice_client, alice, "Asia/Tokyo")
    del alice_client.cookies["timezone"]
    assert "23:30:00 UTC" in shown_to(alice_client, alice, None)
