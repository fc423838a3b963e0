"""The site's settings for a server that takes small files only, and shows few on a page."""

from config.settings import *  # noqa: F403
from config.settings import UPLOADS

from uploads.core.plan import MIB

UPLOADS = {**UPLOADS, "MAX_FILE_SIZE": MIB, "PAGE_SIZE": 3}
