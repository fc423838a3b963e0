"""What must hold once the faults are over and everything was cleaned up.

Each check answers sentences, one for each thing that is wrong. They look at the folders and the
database themselves: the product's own word is checked besides, by its own command.
"""

import hashlib
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from uploads.engine.database import KEPT

#: How many more of a kind are no leak. Connections come and go, and a thread looks at the database
#: now and then; a worker that replaced another has a few pipes more, which don't add up. Of files
#: in the store, open only while a request needs them, there is none.
_SPARE_DESCRIPTORS = {
    "staging": 0,
    "content": 0,
    "pipe": 8,
    # Some threads of each of at most two workers keep the database open.
    "database log": 2 * KEPT,
}
#: Of the database itself SQLite keeps as many as there ever were connections, while one is left.
_NOT_COUNTED = {"database"}
_SPARE_OTHERS = 2
#: A session in one of these has not come to an end.
_OPEN = ("active", "assembling")
_READ_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Content:
    """A row of content."""

    content_id: str
    sha256: str
    size: int
    state: str
    references: int


def leftovers(data: Path) -> list[str]:
    """What is wrong with a data folder in which no upload is open any more."""
    return [
        *_staging(data / "uploads" / "staging"),
        *_sessions(data),
        *_content(data / "uploads" / "content", _rows(data)),
    ]


def _staging(folder: Path) -> Iterator[str]:
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        names = sorted(entry.name for entry in path.iterdir()) if path.is_dir() else []
        yield f"staging {path.name} was left behind, with {names}"


def _sessions(data: Path) -> Iterator[str]:
    for session_id, status in _query(data, "SELECT id, status FROM uploads_filesession"):
        if status in _OPEN:
            yield f"session {UUID(session_id)} is still {status}"


def _rows(data: Path) -> list[Content]:
    found = _query(
        data,
        "SELECT f.id, f.sha256, f.size, f.state, COUNT(s.id) FROM uploads_storedfile f "
        "LEFT JOIN uploads_filesession s ON s.stored_file_id = f.id GROUP BY f.id",
    )
    return [Content(str(UUID(row[0])), *row[1:]) for row in found]


def _content(folder: Path, rows: list[Content]) -> Iterator[str]:
    known = {(row.sha256, row.content_id) for row in rows}
    for parent in sorted(folder.iterdir()) if folder.is_dir() else []:
        names = sorted(entry.name for entry in parent.iterdir())
        if not names:
            yield f"content {parent.name} is an empty folder"
        for name in names:
            if (parent.name, name) not in known:
                yield f"content {parent.name}/{name} has no row"
    for row in rows:
        yield from _wrong_with(row, folder / row.sha256 / row.content_id)


def _wrong_with(row: Content, path: Path) -> Iterator[str]:
    if row.state != "live":
        yield f"content {row.sha256} is still {row.state}"
    elif not row.references:
        yield f"content {row.sha256} is live, and no session refers to it"
    elif not path.is_file():
        yield f"content {row.sha256} is live, and its file is missing"
    elif path.stat().st_size != row.size or _sha256(path) != row.sha256:
        yield f"content {row.sha256} is live, and its file has other bytes"


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_READ_BYTES):
            digest.update(piece)
    return digest.hexdigest()


def _query(data: Path, sql: str) -> list[tuple]:  # type: ignore[type-arg]
    path = data / "holdfast.sqlite3"
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=20)) as database:
        return database.execute(sql).fetchall()


def leaked(before: Counter[str], after: Counter[str]) -> list[str]:
    """Kinds of descriptors of which there are more than in the idle server at the start."""
    return [
        f"{after[kind]} descriptors of {kind}, {before[kind]} at the start"
        for kind in sorted(after.keys() - _NOT_COUNTED)
        if after[kind] > before[kind] + _SPARE_DESCRIPTORS.get(kind, _SPARE_OTHERS)
    ]
