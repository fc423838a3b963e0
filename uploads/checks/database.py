"""The database as many short transactions at once need it, and the times in it."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register
from django.core.checks import Warning as CheckWarning
from django.db import connections, router

from uploads.models import FileSession

#: Seconds that a writer waits for the others. Python's own 5 are less than a busy disk takes.
MIN_SQLITE_TIMEOUT = 10
_ONE_WRITER_AT_A_TIME = {"IMMEDIATE", "EXCLUSIVE"}
_OPTIONS = (
    'DATABASES["default"]["OPTIONS"] = {"transaction_mode": "IMMEDIATE", "timeout": 20, '
    '"init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"}'
)


@register("uploads")
def check_atomic_requests(**_: Any) -> list[CheckMessage]:
    aliases = [name for name, db in settings.DATABASES.items() if db.get("ATOMIC_REQUESTS")]
    return [
        CheckWarning(
            f"ATOMIC_REQUESTS is on for {name!r}. The upload views opt out, since a transaction "
            "must not wait for a body (P5); a middleware or decorator that opens one would undo "
            "that.",
            hint=f'Open transactions where they are needed: DATABASES[{name!r}]["ATOMIC_REQUESTS"] '
            "= False",
            id="uploads.W001",
        )
        for name in aliases
    ]


@register("uploads")
def check_sqlite(**_: Any) -> list[CheckMessage]:
    connection = connections[router.db_for_write(FileSession)]
    if connection.vendor != "sqlite":
        return []
    options = connection.settings_dict["OPTIONS"]
    mode = str(options.get("transaction_mode") or "DEFERRED").upper()
    timeout = options.get("timeout", 5)
    if mode in _ONE_WRITER_AT_A_TIME and timeout >= MIN_SQLITE_TIMEOUT:
        return []
    return [
        CheckWarning(
            f"SQLite has the transaction_mode {mode} and a timeout of {timeout} s. Chunks come in "
            "several at once: transactions that begin by reading then fail as soon as another "
            "writes, and clients are told to wait (503) though nothing is wrong.",
            hint=f"Let writers wait for each other: {_OPTIONS}",
            id="uploads.W003",
        )
    ]


@register("uploads")
def check_migrations(**_: Any) -> list[CheckMessage]:
    if "uploads" not in settings.MIGRATION_MODULES:
        return []
    return [
        CheckWarning(
            "MIGRATION_MODULES puts others in the place of the migrations of `uploads`: its tables "
            "would not be those that this version needs, now or after an update.",
            hint='Take the entry out: MIGRATION_MODULES.pop("uploads")',
            id="uploads.W004",
        )
    ]


@register("uploads")
def check_kept_connections(**_: Any) -> list[CheckMessage]:
    alias = router.db_for_write(FileSession)
    age = connections[alias].settings_dict["CONN_MAX_AGE"]
    if age == 0:
        return []
    return [
        CheckWarning(
            f"CONN_MAX_AGE is {age} for {alias!r}. The server has hundreds of threads, which come "
            "and go: each would keep a connection, and a database takes only so many.",
            hint=f'DATABASES[{alias!r}]["CONN_MAX_AGE"] = 0; with PostgreSQL, a pool of Django\'s: '
            f'DATABASES[{alias!r}]["OPTIONS"]["pool"] = True',
            id="uploads.W014",
        )
    ]


@register("uploads")
def check_time_zones(**_: Any) -> list[CheckMessage]:
    if settings.USE_TZ:
        return []
    return [
        Error(
            "USE_TZ is off. When uploads expire is compared with the times of files, and moments "
            "without a time zone cannot be: the cleanup would fail.",
            hint="USE_TZ = True",
            id="uploads.E011",
        )
    ]
