"""The failpoints are all there, in the order that the promises need: one before each step."""

from pathlib import Path

import pytest

from tests.support.crashes import points_of, traced
from tests.support.scenarios import SCENARIOS, prepared
from uploads.failpoints import Failpoint


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_steps_of_an_operation_come_in_their_order(name: str) -> None:
    """A step added, dropped or moved changes this list, and with it the crashes that are tried."""
    with prepared(name) as (_, operate, scenario):
        assert points_of(operate) == scenario.points


@pytest.mark.parametrize("name", SCENARIOS)
def test_no_step_stays_without_a_failpoint_before_it(name: str, upload_root: Path) -> None:
    """Whatever is committed, created, written, synced, renamed or removed can be crashed before."""
    with prepared(name) as (_, operate, _), traced(upload_root) as trace:
        operate()
    assert trace.events
    assert trace.unguarded() == []


def test_every_failpoint_is_passed_by_some_operation() -> None:
    passed = {point for scenario in SCENARIOS.values() for point in scenario.points}
    assert passed == set(Failpoint)


def test_the_trace_sees_a_step_that_has_no_failpoint(upload_root: Path) -> None:
    """The test above can fail."""
    with traced(upload_root) as trace:
        upload_root.mkdir()
        (upload_root / "a").mkdir()
        (upload_root / "a").rmdir()
    assert len(trace.unguarded()) == 2
