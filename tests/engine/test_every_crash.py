"""A crash before every single step of every operation (P3, P7).

The process is really killed. Then a server starts, cron does its work, and alice's client does
what clients do: it asks, sends what is missing, completes. Her file must arrive whole, and nothing
may be left that belongs to nobody.
"""

import pytest

from tests.support.crashes import kill_at
from tests.support.scenarios import SCENARIOS, World, assert_sound, prepared
from uploads.models import FileSession, SessionStatus

pytestmark = pytest.mark.thorough

CRASHES = [
    pytest.param(name, number, id=f"{name}-{number}-{point}")
    for name, scenario in SCENARIOS.items()
    for number, point in enumerate(scenario.points)
]


#: Where an acknowledged chunk is safe.
KEPT = {SessionStatus.ACTIVE, SessionStatus.ASSEMBLING, SessionStatus.COMPLETED}


def lost(world: World) -> set[int]:
    """The chunks of alice's file that were acknowledged and are not there."""
    sessions = FileSession.objects.filter(pk__in=world.sessions, status__in=KEPT)
    kept = {index for session in sessions for index in range(4) if index in session.bitmap}
    return world.acknowledged - kept


def offset(world: World) -> int:
    """How far alice's file is in, from its beginning."""
    sessions = FileSession.objects.filter(pk__in=world.sessions, status__in=KEPT)
    return max((session.offset for session in sessions), default=0)


@pytest.mark.parametrize(("name", "number"), CRASHES)
def test_p3_p7_a_crash_before_this_step_loses_nothing_and_leaves_nothing(
    name: str, number: int
) -> None:
    with prepared(name) as (world, operate, scenario):
        world.sessions = list(FileSession.objects.values_list("pk", flat=True))
        told = world.offset
        assert kill_at(number, operate) == scenario.points[number]
    if not (scenario.losing or scenario.removing):
        assert lost(world) == set()
        assert offset(world) >= told
    world.restart()
    if not (scenario.losing or scenario.removing):
        assert lost(world) == set()
        assert offset(world) >= told
    if scenario.removing:
        world.remove_all()
    else:
        world.finish_upload()
    world.restart()
    assert_sound()
    if scenario.removing:
        kept = FileSession.objects.filter(owner=world.alice, status=SessionStatus.COMPLETED)
        assert not kept.exists()
