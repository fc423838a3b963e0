"""Collecting static files only when there is something new, so that a server starts at once."""

import hashlib
import os
from pathlib import Path

from django.conf import settings
from django.contrib.staticfiles import finders
from django.core.management import call_command

STAMP = ".collected"


def collect_if_changed() -> bool:
    """Run `collectstatic` unless the same files were collected before; whether it ran."""
    stamp = Path(settings.STATIC_ROOT) / STAMP
    sources = _digest_of_sources()
    if stamp.is_file() and stamp.read_text() == sources:
        return False
    call_command("collectstatic", verbosity=0, interactive=False)
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.write_text(sources)
    return True


def _digest_of_sources() -> str:
    """Of the names, sizes and times of all static files, and of the storage that names them."""
    digest = hashlib.sha256(str(settings.STORAGES["staticfiles"]).encode())
    for finder in finders.get_finders():
        for path, storage in finder.list([]):
            status = os.stat(storage.path(path))
            digest.update(f"{path}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()
