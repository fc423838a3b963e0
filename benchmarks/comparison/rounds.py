"""Rounds in which everyone sends once: there and back again, so that nobody always comes first."""

from collections.abc import Callable, Sequence

from .contestants import Contestant
from .figures import MIB, Spread, rate
from .payload import Payload

#: Of the file that is sent once before anything is counted.
WARM_UP = 40 * MIB


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
        order = contestants if number % 2 == 0 else contestants[::-1]
        for contestant in order:
            seen[contestant.key].append(rate(size, contestant.send(payload)))
        say(f"round {number + 1} of {rounds}")
    return {key: Spread.of(samples) for key, samples in seen.items()}
