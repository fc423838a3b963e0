"""`manage.py cleanup_expired_uploads` with a hundred thousand sessions to expire."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.support.server import REPOSITORY

from .verdicts import Row, at_most

WHAT = "cleanup of 100,000 expired sessions"
SESSIONS = 100_000
MOST_SECONDS = 60.0
#: What memory may grow by from the end of the first quarter of the time on: less than 200 bytes for
#: each session that goes.
MOST_GROWTH_MIB = 16.0
_INTERVAL = 0.05


def cleanup(folder: Path) -> Row:
    """Seconds of the command, its start included, and how its memory (RssAnon) goes on."""
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("HOLDFAST_", "DJANGO_"))},
        "HOLDFAST_DATA": str(folder),
    }
    subprocess.run(
        [sys.executable, "-m", "benchmarks.comparison.expired", str(SESSIONS)],
        cwd=REPOSITORY,
        env=environment,
        check=True,
    )
    seconds, memory = _watched("cleanup_expired_uploads", environment)
    growth = growth_after_first_quarter(memory)
    note = f"{len(memory)} samples of memory, {max(memory):.0f} MiB at most"
    conditions = (
        at_most("time", seconds, MOST_SECONDS, "s", 1),
        at_most("memory, growth after the first quarter", growth, MOST_GROWTH_MIB, "MiB", 1),
    )
    return Row(WHAT, conditions, note)


def _watched(command: str, environment: dict[str, str]) -> tuple[float, list[float]]:
    """Its seconds, and its memory all along in MiB."""
    begun = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "manage.py", command],
        cwd=REPOSITORY,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    memory = []
    while process.poll() is None:
        memory.append(_own_mib(process.pid))
        time.sleep(_INTERVAL)
    seconds = time.perf_counter() - begun
    assert process.stdout is not None
    with process.stdout:
        said = process.stdout.read()
    expired = re.search(r"sessions expired +(\d+)", said)
    assert expired is not None, said
    assert int(expired[1]) == SESSIONS, said
    return seconds, memory


def growth_after_first_quarter(memory: Sequence[float]) -> float:
    """By how much the highest of all samples is above the highest of the first quarter."""
    first = memory[: max(1, len(memory) // 4)]
    return max(memory) - max(first)


def _own_mib(pid: int) -> float:
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    found = re.search(r"RssAnon:\s+(\d+)", text)
    return int(found[1]) / 1024 if found else 0.0
