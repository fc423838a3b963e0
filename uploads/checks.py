"""System checks: what would break a promise is said before the first upload, not after."""

import os
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register
from django.core.checks import Warning as CheckWarning
from django.core.exceptions import ImproperlyConfigured

from uploads import conf


@register("uploads")
def check_settings(**_: Any) -> list[CheckMessage]:
    try:
        conf.current()
    except ImproperlyConfigured as error:
        return [Error(str(error), id="uploads.E001")]
    return []


@register("uploads")
def check_atomic_requests(**_: Any) -> list[CheckMessage]:
    aliases = [name for name, db in settings.DATABASES.items() if db.get("ATOMIC_REQUESTS")]
    return [
        CheckWarning(
            f"ATOMIC_REQUESTS is on for {name!r}. The upload views opt out, since a transaction "
            "must not wait for a body (P5); a middleware or decorator that opens one would undo "
            "that.",
            id="uploads.W001",
        )
        for name in aliases
    ]


@register("uploads")
def check_one_file_system(**_: Any) -> list[CheckMessage]:
    """Finishing is a rename from staging to content; between file systems there is none."""
    try:
        root = conf.current().root
    except ImproperlyConfigured:
        return []
    devices = {os.stat(p).st_dev for p in (root / "staging", root / "content") if p.is_dir()}
    if len(devices) > 1:
        return [
            Error(
                f"{root}/staging and {root}/content are on different file systems; finishing an "
                "upload renames from one to the other.",
                hint="Mount one file system that holds both.",
                id="uploads.E002",
            )
        ]
    return []
