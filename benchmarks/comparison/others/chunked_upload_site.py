"""A site that has django-chunked-upload and nothing else, under granian: no accounts, no CSRF.

    python chunked_upload_site.py PORT FOLDER

Runs in the package's own environment, so it imports nothing of this project.
"""

import importlib
import os
import sys
from pathlib import Path

import django
import django.utils.translation
from django.conf import settings
from django.core.management import call_command
from granian.constants import HTTPModes, Interfaces
from granian.log import LogLevels
from granian.server import Server

FOLDER = "CHUNKED_UPLOAD_FOLDER"
#: This module as everybody but its own main program knows it.
SITE = "chunked_upload_site"

# The package asks for a name that Django dropped in 4.0.
django.utils.translation.ugettext = django.utils.translation.gettext  # type: ignore[attr-defined]


def set_up(folder: Path) -> None:
    settings.configure(
        SECRET_KEY="of a benchmark",
        ALLOWED_HOSTS=["127.0.0.1"],
        ROOT_URLCONF=SITE,
        INSTALLED_APPS=[
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "chunked_upload",
        ],
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.sqlite3",
                "NAME": folder / "database.sqlite3",
                "OPTIONS": {
                    "transaction_mode": "IMMEDIATE",
                    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
                },
            }
        },
        DEFAULT_AUTO_FIELD="django.db.models.AutoField",
        MEDIA_ROOT=folder / "media",
        FILE_UPLOAD_TEMP_DIR=folder,
        USE_TZ=True,
    )
    django.setup()


if __name__ == SITE:
    set_up(Path(os.environ[FOLDER]))
    from chunked_upload.views import ChunkedUploadCompleteView, ChunkedUploadView
    from django.core.wsgi import get_wsgi_application
    from django.urls import path

    urlpatterns = [
        path("upload/", ChunkedUploadView.as_view()),
        path("complete/", ChunkedUploadCompleteView.as_view()),
    ]
    application = get_wsgi_application()


def main() -> None:
    port, folder = sys.argv[1:]
    os.environ[FOLDER] = folder
    importlib.import_module(SITE)
    call_command("migrate", verbosity=0, interactive=False)
    Server(
        f"{SITE}:application",
        address="127.0.0.1",
        port=int(port),
        interface=Interfaces.WSGI,
        http=HTTPModes.http1,
        blocking_threads=8,
        log_level=LogLevels.error,
    ).serve()


if __name__ == "__main__":
    main()
