"""Rounds in which everyone sends once: there and back again, so that nobody always comes first."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from .contestants import Contestant
from .figures import MIB, Spread, rate
from .payload import Payload

#: Of the file that is sent once before anything is counted.
WARM_UP = 40 * MIB

T = TypeVar("T")


def alternating(turns: Sequence[T], number: int) -> Sequence[T]:
    """In the order of round `number`, from 0."""
    return turns if number % 2 == 0 else turns[::-1]


def rates(
    contestants: Sequence[Contestant],
    size: int,
    rounds: int,
    say: Callable[[str], None],
) -> dict[str, Spread]:
    """MiB/s of each, by its key, with a file of `size` bytes."""
    for contestant in contestants:
        contestant.send(Payload(WARM_UP))
    seen: dict[str, list[float]] = {contestant.key: [] for contestant in contestants}
    payload = Payload(size)
    for number in range(rounds):
        for contestant in alternating(contestants, number):
            seen[contestant.key].append(rate(size, contestant.send(payload)))
        say(f"round {number + 1} of {rounds}")
    return {key: Spread.of(samples) for key, samples in seen.items()}
