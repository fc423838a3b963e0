"""E8, on a real server: taking a text over needs what the database driver needs, and no more."""

import pytest

from benchmarks.form_takeover import Curator, driver_alone, take_over
from benchmarks.large_file import MIB
from tests.support.server import Server

pytestmark = pytest.mark.server

SIZE = 96 * MIB
#: The driver has three copies: a fourth would make it a third more.
ROOM = 1.2


@pytest.fixture(autouse=True)
def real_commits() -> None:
    """The database is the server's."""


def test_e8_a_text_takes_no_more_memory_than_its_driver_needs() -> None:
    with Server() as server:
        curator = Curator(server)
        take_over(server, curator, MIB)
        over_small, _ = take_over(server, curator, SIZE)
        over_large, _ = take_over(server, curator, SIZE)
        driver = driver_alone(server, curator.pk, SIZE)
    assert max(over_small.mib, over_large.mib) < ROOM * driver.mib
