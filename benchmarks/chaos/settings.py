"""The site's settings for a server that fails on demand. Nothing else of the product differs."""

import os

from config.settings import *  # noqa: F403
from config.settings import DATABASES, UPLOADS

from uploads.core.plan import MIB

WSGI_APPLICATION = "benchmarks.chaos.wsgi.application"
#: Little, so that chunks that come together go to disk first.
UPLOADS["MEMORY_POOL"] = 6 * MIB
DATABASES["default"]["OPTIONS"]["timeout"] = float(os.environ["CHAOS_BUSY_SECONDS"])
