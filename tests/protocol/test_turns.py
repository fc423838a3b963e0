"""Who asks for many waits behind themselves only."""

import threading

import pytest

from tests.support.threads import Running
from uploads.protocols.turns import Turns


def test_one_person_has_one_turn_at_a_time_and_nobody_waits_for_another() -> None:
    turns = Turns()
    entered = threading.Event()

    def second() -> None:
        with turns.of("alice"):
            entered.set()

    with turns.of("alice"):
        waiting = Running(second)
        with turns.of("bob"):
            assert not entered.is_set()
    waiting.result()
    assert entered.is_set()


def test_a_turn_that_ends_with_an_error_is_given_back_and_nobody_is_remembered() -> None:
    turns = Turns()
    for _ in range(2):
        with pytest.raises(LookupError), turns.of("alice"):
            raise LookupError
    assert turns._turns == {}
