"""The settings that this app reads, all of the project's settings module.

- `CHUNKED_UPLOAD_MAX_BYTES`: bytes of the largest text that is taken (500 MB; neither SQLite nor
  PostgreSQL keeps more than 1 GB in a field).
- `CHUNKED_UPLOAD_EXPIRATION_DELTA`: a timedelta. An upload goes on at the app's own addresses for
  so long after it was begun (a day), as in django-chunked-upload. It is swept away like every
  upload, by `UPLOADS["SESSION_HOURS"]`.
- `CHUNKED_UPLOAD_PATH` is none of this app's: the site puts it into `UPLOADS["ROOT"]`, the folder
  where all uploads lie, since finishing one is a rename within it.
- `TOPIC_COLLECTIONS_BACKUPS`: the folder of replaced texts. It must not be served.
- `TOPIC_COLLECTIONS_EDITABLE_BYTES`: what a text may have to be edited in a form (1 MiB): a browser
  still moves in it, and forms may have ten times that (`DATA_UPLOAD_MAX_MEMORY_SIZE`).
"""

from datetime import timedelta
from pathlib import Path

from django.conf import settings

MAX_BYTES = 524_288_000
LIFETIME = timedelta(days=1)
EDITABLE_BYTES = 1024 * 1024


def max_bytes() -> int:
    return int(getattr(settings, "CHUNKED_UPLOAD_MAX_BYTES", MAX_BYTES))


def lifetime() -> timedelta:
    given: timedelta = getattr(settings, "CHUNKED_UPLOAD_EXPIRATION_DELTA", LIFETIME)
    return given


def backups() -> Path:
    return Path(settings.TOPIC_COLLECTIONS_BACKUPS)


def editable_bytes() -> int:
    return int(getattr(settings, "TOPIC_COLLECTIONS_EDITABLE_BYTES", EDITABLE_BYTES))
