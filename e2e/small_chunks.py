"""Settings of a site that cuts files small: eight chunks are soon sent where none need be large."""

from config.settings import *  # noqa: F403
from config.settings import UPLOADS

from uploads.core.plan import MIB

UPLOADS["CHUNK_SIZE"] = MIB
