"""Settings of a site that cuts files small, and whose disk fails when a test wants it to."""

from tests.support.faulty_site import *  # noqa: F403

from .small_chunks import UPLOADS  # noqa: F401
