"""`python -m benchmarks.comparison`: see `--help`, or `make bench`."""

import argparse
import signal
import sys
import time
from collections.abc import Callable

import benchmarks.comparison

from .publishing import as_text, publish
from .run import NAMES, Options, run
from .verdicts import NotHere


def main() -> int:
    parser = argparse.ArgumentParser(description=benchmarks.comparison.__doc__)
    parser.add_argument("--rounds", type=_count, default=Options.rounds, help="of each (5)")
    parser.add_argument(
        "--rows", type=_names, default=NAMES, help=f"some of {','.join(NAMES)} (all)"
    )
    given = parser.parse_args()
    options = Options(rounds=given.rounds, names=given.rows)
    # Ended from outside, it still ends the servers and removes their data.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        result = run(options, _progress(time.monotonic()))
    except NotHere as reason:
        print(f"Nothing was measured: {reason}", file=sys.stderr)
        return 1
    print(as_text(result), flush=True)
    if result.broken:
        print(f"\nNot all could be measured: {', '.join(result.broken)}.", file=sys.stderr)
        return 1
    if options.is_whole:
        publish(result)
    else:
        print(f"\nOnly a whole run, of {Options.rounds} rounds or more, is written into docs/.")
    return 0


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise argparse.ArgumentTypeError("one round at least")
    return count


def _names(text: str) -> tuple[str, ...]:
    names = text.split(",")
    if unknown := set(names) - set(NAMES):
        raise argparse.ArgumentTypeError(
            f"there is no row {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}"
        )
    return tuple(name for name in NAMES if name in names)


def _progress(begun: float) -> Callable[[str], None]:
    """Says what is being measured, and since when, beside the tables."""

    def say(text: str) -> None:
        print(f"{time.monotonic() - begun:6.0f} s  {text}", file=sys.stderr, flush=True)

    return say


if __name__ == "__main__":
    sys.exit(main())
