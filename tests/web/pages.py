"""Sessions to show, and what the pages show of them."""

from collections.abc import Callable
from datetime import timedelta
from math import ceil
from typing import Any
from uuid import uuid4

from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from uploads.core.plan import MIB
from uploads.engine import usage
from uploads.engine.trash import trash
from uploads.models import FileSession, Role, SessionStatus, StoredFile

from .documents import Element, parse

LIST = "/api/v1/uploads/handshake"
HTMX = {"HX-Request": "true"}
#: What htmx adds where it puts the answer in place as it is.
PARTIAL = {**HTMX, "HX-Request-Type": "partial"}
SIZE = 15 * MIB
CHUNKS = 3


def make_session(
    owner: User,
    filename: str = "tides.csv",
    *,
    folder: str = "",
    received: int = 1,
    ago: float = 3600,
    **fields: Any,
) -> FileSession:
    """A session of three chunks, touched `ago` seconds ago. Its bytes are nowhere.

    Of unknown size, it has chunks as large as if it were SIZE.
    """
    then = timezone.now() - timedelta(seconds=ago)
    size = fields.get("size", SIZE)
    chunk_size = max(1, ceil((SIZE if size is None else size) / CHUNKS))
    bitmap = FileSession(size=size, chunk_size=chunk_size).bitmap
    for index in range(min(received, bitmap.total)):
        bitmap.add(index)
    values = {
        "size": size,
        "chunk_size": chunk_size,
        "sha256": uuid4().hex * 2,
        "received": bitmap.to_bytes(),
        "received_count": len(bitmap),
        "created_at": then,
        "updated_at": then,
        "expires_at": then + timedelta(hours=48),
        **fields,
    }
    session = FileSession(owner=owner, **values)
    session.set_name(filename, folder)
    if session.status == SessionStatus.COMPLETED:
        session.stored_file = StoredFile.objects.create(
            sha256=session.sha256,
            size=session.size or 0,
            state=StoredFile.State.LIVE,
            verified_at=then,
        )
        usage.add(owner.pk, 1, session.size or 0)
    session.save(force_insert=True)
    return session


def completed(owner: User, filename: str = "tides.csv", **fields: Any) -> FileSession:
    return make_session(owner, filename, received=3, status=SessionStatus.COMPLETED, **fields)


def damaged(owner: User, filename: str = "tides.csv") -> FileSession:
    session = completed(owner, filename)
    StoredFile.objects.filter(sessions=session.pk).update(state=StoredFile.State.DAMAGED)
    return session


def trashed(owner: User, filename: str = "tides.csv") -> FileSession:
    session = completed(owner, filename)
    trash(owner, [session.pk])
    session.refresh_from_db()
    return session


#: One of each that a page can show; `under way` has just been heard of.
STATES: dict[str, Callable[[User], FileSession]] = {
    "under way": lambda owner: make_session(owner, ago=5),
    "interrupted": make_session,
    "of unknown size": lambda owner: make_session(owner, size=None, sha256="", tail_length=MIB),
    "a part": lambda owner: make_session(owner, "unnamed", received=3, sha256="", role=Role.PART),
    "being joined": lambda owner: make_session(
        owner,
        size=None,
        sha256="",
        received=0,
        ago=5,
        role=Role.WHOLE,
        status=SessionStatus.ASSEMBLING,
    ),
    "verifying": lambda owner: make_session(
        owner, received=3, ago=5, status=SessionStatus.ASSEMBLING
    ),
    "completed": completed,
    "damaged": damaged,
    "failed": lambda owner: make_session(
        owner, status=SessionStatus.FAILED, error="The disk was on fire."
    ),
    "expired": lambda owner: make_session(owner, status=SessionStatus.EXPIRED),
    "run out of time": lambda owner: make_session(
        owner, expires_at=timezone.now() - timedelta(seconds=1)
    ),
    "cancelled": lambda owner: make_session(owner, status=SessionStatus.CANCELLED),
}


def address(session: FileSession, verb: str = "") -> str:
    """Of its page, or of what its page can do."""
    return f"/uploads/{session.pk}/{verb}"


def shown(client: Client, url: str, status: int = 200, **headers: str) -> Element:
    response = client.get(url, headers=headers or None)
    assert response.status_code == status
    return parse(response.content.decode())


def rows(client: Client, query: str = "") -> str:
    """The list's partial."""
    response = client.get(LIST + query, headers=HTMX)
    assert response.status_code == 200
    return response.content.decode()


def row(client: Client, session: FileSession) -> str:
    """The partial of one row."""
    response = client.get(f"{LIST.removesuffix('handshake')}{session.pk}/handshake", headers=HTMX)
    assert response.status_code == 200
    return response.content.decode()


def details(client: Client, session: FileSession) -> Element:
    return shown(client, address(session))


def actions(html: str) -> set[str]:
    """What the rows offer; not what the page offers for all."""
    within = [e for li in parse(html).all("li") for e in li.having("data-action")]
    return {element.get("data-action") for element in within}


def names(html: str) -> list[str]:
    """Of the rows, in their order."""
    return [h3.text for li in parse(html).all("li") for h3 in li.all("h3") if h3.text]


def link(html: str, rel: str) -> str | None:
    """The query of the link to the next page, or the previous."""
    found = [a.get("href") for a in parse(html).all("a") if a.get("rel") == rel]
    return found[0].removeprefix("/") if found else None


def notices(document: Element) -> list[str]:
    """What the page says of what has just been done."""
    (main,) = document.all("main")
    return [
        child.text
        for child in main.children
        if isinstance(child, Element) and child.tag == "p" and "notice" in child.classes
    ]
