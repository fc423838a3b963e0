"""How requests come in: the server, and what may be kept in memory of a body."""

from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, register
from django.core.checks import Warning as CheckWarning
from django.core.exceptions import ImproperlyConfigured

from uploads import conf

#: Caches that each process has for itself.
_OWN_CACHES = {
    "django.core.cache.backends.dummy.DummyCache",
    "django.core.cache.backends.locmem.LocMemCache",
}


@register("uploads")
def check_asgi(**_: Any) -> list[CheckMessage]:
    named = [name for name in ("daphne", "channels") if apps.is_installed(name)]
    if getattr(settings, "ASGI_APPLICATION", None):
        named.append("ASGI_APPLICATION")
    if not named:
        return []
    return [
        CheckWarning(
            f"The settings speak of ASGI ({', '.join(named)}). Under ASGI Django takes in a whole "
            "body before a view sees it, and drops all of it when the connection is cut: what was "
            "on its way is lost, and each body is written to the disk twice.",
            hint="Serve uploads over WSGI, for instance by `manage.py serve`, and leave out "
            "ASGI_APPLICATION. If ASGI serves other addresses only, say so: "
            'SILENCED_SYSTEM_CHECKS = ["uploads.W007"]',
            id="uploads.W007",
        )
    ]


@register("uploads")
def check_memory_of_bodies(**_: Any) -> list[CheckMessage]:
    """Chunks don't pass through these. A limit that was raised for uploads raises only the risk."""
    try:
        most = conf.current().memory_pool
    except ImproperlyConfigured:
        return []
    return [
        CheckWarning(
            f"{name} is {limit}: a single form may take that much memory of the server, from "
            "anybody. Uploads don't need it, however large: chunks are not counted.",
            hint=f"{name} = {good}",
            id="uploads.W008",
        )
        for name, good, limit in _limits()
        if limit is None or limit > most
    ]


@register("uploads")
def check_sessions(**_: Any) -> list[CheckMessage]:
    if settings.SESSION_ENGINE != "django.contrib.sessions.backends.cache":
        return []
    cache = settings.CACHES.get(settings.SESSION_CACHE_ALIAS, {}).get("BACKEND")
    if cache not in _OWN_CACHES:
        return []
    return [
        CheckWarning(
            "Sign-ins are kept in a cache that each process has for itself. A browser sends "
            "several chunks at once: those that reach another process are refused (401), and "
            "after a restart all are.",
            hint='SESSION_ENGINE = "django.contrib.sessions.backends.db", or a cache that '
            "processes share",
            id="uploads.W009",
        )
    ]


def _limits() -> Iterator[tuple[str, str, int | None]]:
    """Name, a good value as it is written, and what it is."""
    yield (
        "DATA_UPLOAD_MAX_MEMORY_SIZE",
        "10 * 1024 * 1024",
        settings.DATA_UPLOAD_MAX_MEMORY_SIZE,
    )
    yield "FILE_UPLOAD_MAX_MEMORY_SIZE", "2621440", settings.FILE_UPLOAD_MAX_MEMORY_SIZE
