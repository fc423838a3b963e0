"""The site's settings for a server whose verifier waits, while there is a file `hold` in its data.

It waits before it completes a session: after it has read all, and before anything is recorded.
"""

import time

from config.settings import *  # noqa: F403
from config.settings import DATA_DIR

from uploads.failpoints import Failpoint, set_hook


def _wait(point: Failpoint) -> None:
    while point == Failpoint.CONTENT_INSERT and (DATA_DIR / "hold").exists():
        time.sleep(0.05)


set_hook(_wait)
