"""`python -m benchmarks.fuzz`: see `--help`."""

import argparse
import atexit
import dataclasses
import os
import secrets
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

import django

import benchmarks.fuzz

# For the urlconf: the server has a data folder of its own.
_DATA = tempfile.mkdtemp(prefix="holdfast-fuzz-")
atexit.register(shutil.rmtree, _DATA, ignore_errors=True)
os.environ["HOLDFAST_DATA"] = _DATA
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "site"))
django.setup()

from .options import Options
from .report import table, verdict
from .run import run


def main() -> int:
    parser = argparse.ArgumentParser(
        description=benchmarks.fuzz.__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seed", type=int, help="what everything random comes from (random)")
    parser.add_argument("--requests", type=int, help="how many (100000)")
    parser.add_argument("--clients", type=int, help="connections at once (6)")
    parser.add_argument("--only", type=int, metavar="N", help="send request number N, and show it")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the server's log there")
    given = parser.parse_args()
    # Ended from outside, it still ends the server.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    options = _options(given)
    _say(f"seed {options.seed}")
    result = run(options, _say)
    _say(table(result))
    _say(verdict(result))
    return 0 if result.is_good else 1


def _options(given: argparse.Namespace) -> Options:
    seed = secrets.randbelow(10**9) if given.seed is None else given.seed
    chosen: dict[str, Any] = {
        name: getattr(given, name)
        for name in ("requests", "clients", "only", "keep")
        if getattr(given, name) is not None
    }
    return dataclasses.replace(Options(seed), **chosen)


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
