"""A management command, run as if hours had passed: `python -m benchmarks.chaos.later 2 <command>`.

What a crash left behind is spared for an hour, which a run cannot wait.
"""

import sys
import time
from datetime import timedelta
from pathlib import Path

SITE = Path(__file__).resolve().parents[2] / "site"


def main() -> None:
    sys.path.insert(0, str(SITE))
    from django.core.management import execute_from_command_line  # noqa: PLC0415
    from django.utils import timezone  # noqa: PLC0415

    shift = timedelta(hours=float(sys.argv[1]))
    now, seconds = timezone.now, time.time
    timezone.now = lambda: now() + shift
    time.time = lambda: seconds() + shift.total_seconds()
    execute_from_command_line(["manage.py", *sys.argv[2:]])


if __name__ == "__main__":
    main()
