"""Make a site whose sessions have all had no news for days, each with its staging folder.

    HOLDFAST_DATA=FOLDER python -m benchmarks.comparison.expired COUNT

Of each file (three chunks) one chunk has come, by its row and its bitmap; `data` is as long as the
file and has no blocks.
"""

import os
import sys
from collections.abc import Iterator
from datetime import timedelta
from itertools import islice
from pathlib import Path

os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "site"))
import django

django.setup()

from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import transaction
from django.utils import timezone

from uploads.core.bitmap import Bitmap
from uploads.core.plan import MIB
from uploads.engine.usage import recount
from uploads.models import EventKind, FileChunk, FileSession, SessionEvent
from uploads.storage import get_store

BATCH = 2_000
QUIET = timedelta(days=3)
CHUNK, SIZE = 5 * MIB, 12 * MIB


def main() -> None:
    count = int(sys.argv[1])
    call_command("migrate", interactive=False, verbosity=0)
    user = User.objects.create_user("somebody")
    get_store().prepare()
    made = _sessions(user, count)
    while batch := list(islice(made, BATCH)):
        with transaction.atomic():
            FileSession.objects.bulk_create(batch)
            FileChunk.objects.bulk_create(
                FileChunk(session=session, index=0, fingerprint=bytes(32)) for session in batch
            )
            SessionEvent.objects.bulk_create(
                SessionEvent(session=session, at=session.created_at, kind=EventKind.OPENED)
                for session in batch
            )
        for session in batch:
            get_store().create(session.pk, SIZE)
    recount(user.pk)


def _sessions(user: User, count: int) -> Iterator[FileSession]:
    then = timezone.now() - QUIET
    for index in range(count):
        session = FileSession(
            owner=user,
            size=SIZE,
            chunk_size=CHUNK,
            sha256=f"{index:064x}",
            received=Bitmap.full(1).to_bytes(),
            received_count=1,
            created_at=then,
            updated_at=then,
            expires_at=then + timedelta(days=2),
        )
        session.set_name(f"file {index:06}.bin", "")
        yield session


if __name__ == "__main__":
    main()
