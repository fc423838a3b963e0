"""The uploads and people that requests are led to, kept in the states that they began in."""

import hashlib
import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from tests.support.bodies import SMALL_CHUNK, cut, payload, sha256
from tests.support.client import NativeClient
from tests.support.server import Server
from tests.support.waiting import wait_until

from .people import NAMES

#: The two whose uploads are met; the third is there for the admin.
OWNERS = NAMES[:2]
#: What is in of each upload, by its state. The last chunk is short, so that it costs little.
SENT: dict[str, list[int]] = {
    "begun": [],
    "half": [0],
    "whole": [0, 1],
    "completed": [0, 1],
    "failed": [0, 1],
    "cancelled": [],
    "expired": [],
    "endless": [],
    "scoped": [],
    "small": [],
    "slow": [],
}
#: More uploads of one person than these are removed again.
LARGEST_LIST = 120
_MAKE = "from benchmarks.fuzz.people import make; make()"


@dataclass(frozen=True, slots=True)
class Upload:
    """One that is there, or was."""

    owner: str
    role: str
    id: str
    data: bytes
    chunk_size: int = SMALL_CHUNK

    @property
    def chunks(self) -> list[bytes]:
        return cut(self.data, self.chunk_size)

    @property
    def hex(self) -> str:
        return UUID(self.id).hex


@dataclass(frozen=True, slots=True)
class Person:
    name: str
    pk: int
    token: str
    expired: str
    session: str
    csrf: str
    collections: list[int]
    tokens: list[int]

    @property
    def cookies(self) -> str:
        return f"sessionid={self.session}; csrftoken={self.csrf}"


class Population:
    def __init__(self, server: Server) -> None:
        self._server = server
        self._made = 0
        self.people: dict[str, Person] = {}
        self.uploads: dict[tuple[str, str], Upload] = {}
        #: What the row of each is when nothing has happened to it.
        self._rows: dict[str, tuple[Any, ...]] = {}
        self._clients: dict[str, NativeClient] = {}

    def begin(self) -> None:
        self._sign_in()
        self._make_missing()

    def repair(self) -> None:
        """Bring back what accepted requests have changed, and remove what they have made."""
        if not self._are_known():
            self._sign_in()
        rows = self._read()
        for key, upload in list(self.uploads.items()):
            if rows.get(upload.hex) != self._rows[upload.hex]:
                del self.uploads[key]
        self._make_missing()
        self._tidy()

    def close(self) -> None:
        for client in self._clients.values():
            client.close()

    def _sign_in(self) -> None:
        self.close()
        given = json.loads(self._server.manage("shell", "-v", "0", "-c", _MAKE))
        self.people = {name: Person(name, **facts) for name, facts in given.items()}
        self._clients = {
            name: NativeClient(self._server.url, person.token)
            for name, person in self.people.items()
        }

    def _are_known(self) -> bool:
        """Whether everyone's token and browser still are what they were."""
        for name, person in self.people.items():
            client = self._clients[name]
            with_cookie = {"Authorization": "", "Cookie": person.cookies}
            answers = [
                client.request("GET", "/api/v1/uploads?state=failed"),
                client.request("GET", "/api/v1/uploads?state=failed", headers=with_cookie),
            ]
            if any(answer.status_code != 200 for answer in answers):
                return False
        return True

    def _make_missing(self) -> None:
        missing = [
            (owner, role) for owner in OWNERS for role in SENT if (owner, role) not in self.uploads
        ]
        for owner, role in missing:
            self.uploads[owner, role] = self._make(owner, role)
        if missing:
            self._wait_for_verifier()
            rows = self._read()
            for key in missing:
                self._rows[self.uploads[key].hex] = rows[self.uploads[key].hex]

    def _make(self, owner: str, role: str) -> Upload:
        self._made += 1
        size = 700 if role == "small" else SMALL_CHUNK + 300
        data = payload(size, self._made)
        make = getattr(self, f"_make_{role}", self._make_usual)
        upload: Upload = make(owner, role, data)
        return upload

    def _make_usual(self, owner: str, role: str, data: bytes, **fields: Any) -> Upload:
        client = self._clients[owner]
        given = {"sha256": None, "resume_key": f"{role} {self._made}", **fields}
        session = client.begin(data, chunk_size=SMALL_CHUNK, **given)
        client.send_missing(data, {**session, "missing": SENT[role]})
        return Upload(owner, role, session["id"], data)

    def _make_completed(self, owner: str, role: str, data: bytes) -> Upload:
        return self._make_usual(owner, role, data, sha256=sha256(data))

    def _make_failed(self, owner: str, role: str, data: bytes) -> Upload:
        return self._make_usual(owner, role, data, sha256=sha256(data + b"x"))

    def _make_cancelled(self, owner: str, role: str, data: bytes) -> Upload:
        upload = self._make_usual(owner, role, data)
        self._clients[owner].delete(upload.id).raise_for_status()
        return upload

    def _make_expired(self, owner: str, role: str, data: bytes) -> Upload:
        upload = self._make_usual(owner, role, data)
        with closing(sqlite3.connect(self._database, timeout=20)) as database, database:
            sql = "UPDATE uploads_filesession SET status = 'expired' WHERE id = ?"
            database.execute(sql, [upload.hex])
        return upload

    def _make_endless(self, owner: str, role: str, data: bytes) -> Upload:
        return self._make_by_form(owner, role, data, "/api/chunked-upload/")

    def _make_scoped(self, owner: str, role: str, data: bytes) -> Upload:
        pk = self.people[owner].collections[0]
        text = b"http://a.example\n" * 20
        path = f"/collections/internal/{pk}/custom-seeds/chunk-upload"
        return self._make_by_form(owner, role, text, path, "text/plain")

    def _make_by_form(
        self, owner: str, role: str, data: bytes, path: str, kind: str = "application/octet-stream"
    ) -> Upload:
        """With the first 200 bytes in, in a tail."""
        name = f"{role}-{self._made}.txt"
        answer = self._clients[owner].request(
            "POST", path, files={"file": (name, data[:200], kind)}
        )
        answer.raise_for_status()
        return Upload(owner, role, str(UUID(answer.json()["upload_id"])), data, 5 * 1024 * 1024)

    def _tidy(self) -> None:
        """Long lists would make the run slower and slower."""
        kept = {upload.hex for upload in self.uploads.values()}
        for name, person in self.people.items():
            ids = self._ids("owner_id = ? AND trashed_at IS NULL", person.pk)
            beyond = [id_ for id_ in ids if id_ not in kept]
            if len(beyond) > LARGEST_LIST:
                answer = self._clients[name].request(
                    "POST",
                    "/uploads/remove",
                    data={"id": beyond[:1000]},
                    headers={
                        "Authorization": "",
                        "Cookie": person.cookies,
                        "X-CSRFToken": person.csrf,
                    },
                    allow_redirects=False,
                )
                answer.raise_for_status()

    def _wait_for_verifier(self) -> None:
        wait_until(lambda: not self._ids("status = ?", "assembling"), "the verifier")

    def _ids(self, where: str, *values: object) -> list[str]:
        return [
            row[0]
            for row in self._query(f"SELECT id FROM uploads_filesession WHERE {where}", *values)
        ]

    def _read(self) -> dict[str, tuple[Any, ...]]:
        rows = self._query(
            "SELECT id, status, received_count, size, sha256, tail_length, trashed_at, claimed_at "
            "FROM uploads_filesession"
        )
        return {row[0]: row[1:] for row in rows}

    @property
    def _database(self) -> str:
        return str(self._server.data / "holdfast.sqlite3")

    def _query(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self._database, timeout=20)) as database:
            return database.execute(sql, values).fetchall()


def md5(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()
