"""`python -m benchmarks.chaos`: see `--help`."""

import argparse
import dataclasses
import json
import secrets
import signal
import sys
from pathlib import Path
from typing import Any

import benchmarks.chaos

from .options import Options
from .report import table, verdict
from .run import run


def main() -> int:
    parser = argparse.ArgumentParser(
        description=benchmarks.chaos.__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seed", type=int, help="what everything random comes from (random)")
    parser.add_argument("--seconds", type=float, help="seconds of faults (600)")
    parser.add_argument("--clients", type=int, help="uploads at once (5)")
    parser.add_argument("--faults-per-second", type=float, help="besides those of clients (0.9)")
    parser.add_argument("--short", action="store_true", help="everything once, in a minute")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the server's log there")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result there too")
    given = parser.parse_args()
    options = _options(given)
    # Ended from outside, it still ends the server and unmounts its disk.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    result = run(options, say=_say)
    _say(table(result))
    _say(verdict(result, options))
    if given.json:
        given.json.write_text(json.dumps(result.as_json(), indent=1) + "\n")
    return 0 if result.is_good else 1


def _options(given: argparse.Namespace) -> Options:
    seed = secrets.randbelow(10**9) if given.seed is None else given.seed
    base = Options.short(seed) if given.short else Options(seed)
    chosen: dict[str, Any] = {
        name: getattr(given, name)
        for name in ("seconds", "clients", "faults_per_second", "keep")
        if getattr(given, name) is not None
    }
    return dataclasses.replace(base, **chosen)


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
