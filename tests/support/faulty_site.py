"""Settings of a site whose disk and database fail when a test wants them to.

`Server(DJANGO_SETTINGS_MODULE="tests.support.faulty_site")` fails to write chunks, as the disk
would, for as long as the file FAULT is in its data folder; the name of an errno is in it.
"""

import errno
import os

from config.settings import *  # noqa: F403
from config.settings import DATA_DIR, DATABASES

from uploads.failpoints import Failpoint, set_hook

FAULT = "chunks-are-not-written"

#: A database that another process has locked is given up after so many seconds.
DATABASES["default"]["OPTIONS"]["timeout"] = 0.3


def _fail(point: Failpoint) -> None:
    if point is not Failpoint.CHUNK_WRITE:
        return
    try:
        number = getattr(errno, (DATA_DIR / FAULT).read_text())
    except FileNotFoundError:
        return
    raise OSError(number, os.strerror(number))


set_hook(_fail)
