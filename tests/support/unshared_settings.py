"""The site's settings for a server that one user may have to themselves."""

from config.settings import *  # noqa: F403
from config.settings import UPLOADS

UPLOADS = {**UPLOADS, "MAX_REQUESTS_PER_USER": 10_000}
