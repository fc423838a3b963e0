"""The site's settings with a data folder of its own for each run, and tasks run in place."""

import atexit
import os
import shutil
import tempfile

_DATA = tempfile.mkdtemp(prefix="holdfast-tests-")
atexit.register(shutil.rmtree, _DATA, ignore_errors=True)
os.environ["HOLDFAST_DATA"] = _DATA

from config.settings import *  # noqa: E402, F403
from config.settings import DATABASES, STORAGES  # noqa: E402

DATABASES["default"]["CONN_MAX_AGE"] = 0
# A file, so that threads and other processes see the same database.
DATABASES["default"]["TEST"] = {"NAME": f"{_DATA}/test.sqlite3"}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
TASKS = {"default": {"BACKEND": "django_tasks.backends.immediate.ImmediateBackend"}}
STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
