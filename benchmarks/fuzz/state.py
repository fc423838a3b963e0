"""All that a refused request must leave as it was: the rows and the files, at one moment."""

import itertools
import os
import re
import sqlite3
import stat
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from uploads.engine.transitions import QUIET

#: Not the state of anything: who is signed in to look at a page, what there is to migrate.
#: The last counts wrong passwords, each of which is a refused request.
_IGNORED_TABLES = {
    "django_session",
    "django_migrations",
    "sqlite_sequence",
    "axes_accessattempt",
}
#: When a token was used last is noted whatever it was used for.
_IGNORED_COLUMNS = {("uploads_accesstoken", "last_used_at")}
_IDS = re.compile(rb"[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}", re.IGNORECASE)
#: The folders below the data folder that belong to requests.
_FOLDERS = ("uploads", "topic-collections")

Key = tuple[str, str]
State = dict[Key, Any]


@dataclass(frozen=True, slots=True)
class Change:
    """`key` names a row or a file; `ids` are all uploads that it is about, before or after."""

    key: Key
    before: Any
    after: Any

    @property
    def ids(self) -> set[str]:
        return ids_in(repr((self.key, self.before, self.after)).encode())

    @property
    def is_upload(self) -> bool:
        return self.key[0] == "uploads_filesession"

    @property
    def is_sign_of_life(self) -> bool:
        """Only that a chunk began to arrive after long, which keeps its upload from the cleanup."""
        if not (self.is_upload and self.before and self.after):
            return False
        moved = {name for name, value in self.after.items() if self.before[name] != value}
        if not moved <= {"updated_at", "expires_at"}:
            return False
        before, after = (
            datetime.fromisoformat(row["updated_at"]) for row in (self.before, self.after)
        )
        return after - before >= QUIET

    @property
    def is_purge(self) -> bool:
        was_trashed = self.is_upload and self.before is not None and self.before["trashed_at"]
        return bool(was_trashed) and self.after is None

    @property
    def is_new_upload(self) -> bool:
        return self.is_upload and self.before is None

    def __str__(self) -> str:
        return f"{self.key}: {self.before!r} became {self.after!r}"


def ids_in(data: bytes) -> set[str]:
    """Every id in it, in hex without dashes."""
    return {UUID(match.decode()).hex for match in _IDS.findall(data)}


def look(data: Path) -> State:
    """The state of a data folder. Raises sqlite3.OperationalError where the database is busy."""
    return {**dict(_rows(data / "holdfast.sqlite3")), **dict(_files(data))}


def changes(before: State, after: State) -> list[Change]:
    keys = [key for key in {**before, **after} if before.get(key) != after.get(key)]
    found = [Change(key, before.get(key), after.get(key)) for key in sorted(keys)]
    return [change for change in found if not change.is_sign_of_life]


def unaccounted(found: Iterable[Change], accepted: set[str], *, any_accepted: bool) -> list[Change]:
    """The changes that no accepted request accounts for: `accepted` are the ids that such named.

    What is about no upload, such as a token, and what is about a new one, whose id is not answered
    to a page, only has to be from when something was accepted. What was deleted goes for good half
    a minute later, whatever is asked then.
    """
    found = list(found)
    if any_accepted:
        accepted = accepted | {
            id_ for change in found if change.is_new_upload for id_ in change.ids
        }
    purged = {id_ for change in found if change.is_purge for id_ in change.ids}
    accepted, any_accepted = accepted | purged, any_accepted or bool(purged)
    # A row has its hash and its content's id as well: who sends a file by a form names it by these.
    named = (change.ids for change in found if change.is_upload and change.ids & accepted)
    accepted = accepted.union(*named)
    return [
        change
        for change in found
        if not (change.ids & accepted or (any_accepted and not _is_of_upload(change.key)))
    ]


def _is_of_upload(key: Key) -> bool:
    place, name = key
    if place == "file":
        return name.startswith("uploads/staging/") and bool(ids_in(name.encode()))
    return place in {"uploads_filesession", "uploads_filechunk", "uploads_sessionevent"}


def _rows(path: Path) -> Iterator[tuple[Key, Any]]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=20)) as database:
        names = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        for (table,) in names:
            if table not in _IGNORED_TABLES:
                yield from _rows_of(database, table)


def _rows_of(database: sqlite3.Connection, table: str) -> Iterator[tuple[Key, Any]]:
    found = database.execute(f'SELECT * FROM "{table}"')
    columns = [column[0] for column in found.description]
    shown = [n for n, name in enumerate(columns) if (table, name) not in _IGNORED_COLUMNS]
    for row in found:
        # The first column of all tables is their key.
        yield (table, str(row[0])), {columns[n]: row[n] for n in shown}


def _files(data: Path) -> Iterator[tuple[Key, Any]]:
    """Size, time of the last write and number of each: bytes that are written anew show too."""
    places = itertools.chain.from_iterable(os.walk(data / folder) for folder in _FOLDERS)
    for folder, _, names in places:
        for name in names:
            path = Path(folder, name)
            try:
                found = path.lstat()
            except FileNotFoundError:
                continue
            if stat.S_ISREG(found.st_mode):
                facts = (found.st_size, found.st_mtime_ns, found.st_ino)
                yield ("file", str(path.relative_to(data))), facts
