"""The site with a few forms more, for the browser tests of the field; chunks are small."""

from config.settings import *  # noqa: F403
from config.settings import DATA_DIR, INSTALLED_APPS, UPLOADS

from uploads.core.plan import MIB

INSTALLED_APPS += ["tests.form_pages"]
ROOT_URLCONF = "tests.form_pages.urls"
MEDIA_ROOT = DATA_DIR / "media"
UPLOADS["CHUNK_SIZE"] = MIB
