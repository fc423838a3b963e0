"""The list of finished files: what of it is asked for, and one page of that.

A page is found by the value and the id of the row at its edge, never by counting rows, so that the
last of 100,000 files costs what the first does; and it keeps its place when rows come or go.
"""

import base64
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Self
from uuid import UUID

from django.db.models import BigIntegerField, Q
from django.db.models.functions import Coalesce
from django.http import QueryDict
from django.utils.http import urlencode
from django.utils.translation import gettext_lazy as _

from uploads.core.filenames import search_name
from uploads.models import FileKind, FileSession, FileSessionQuerySet, SessionStatus

#: Characters of a search that are looked at; a path has no more.
MAX_SEARCH_LENGTH = 200
#: Hexadecimal digits of an id in an address.
_ID_LENGTH = 32


def _moment(text: str) -> datetime:
    """Raises ValueError, or OverflowError, for what no row has."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a moment of no time zone")
    return moment.astimezone(UTC)


def _name(text: str) -> str:
    return text.replace("\0", "")


@dataclass(frozen=True, slots=True)
class Sort:
    field: str
    #: Reads a value of the field as an address has it. Raises ValueError or OverflowError.
    read: Callable[[str], Any]
    descending: bool
    label: Any


DEFAULT_SORT = "newest"
#: By what addresses call them. `updated_at` of a completed session is when it was completed.
SORTS = {
    DEFAULT_SORT: Sort("updated_at", _moment, True, _("Newest first")),
    "oldest": Sort("updated_at", _moment, False, _("Oldest first")),
    "name": Sort("search_name", _name, False, _("Name, A to Z")),
    "name-down": Sort("search_name", _name, True, _("Name, Z to A")),
    "largest": Sort("size", int, True, _("Largest first")),
    "smallest": Sort("size", int, False, _("Smallest first")),
}
#: Orders by size where not all sizes are known. Databases disagree on where NULL belongs, and no
#: comparison finds it.
_KNOWN_SIZE = "known_size"
#: What stands for a size that is not known: less than any.
_UNKNOWN = -1

#: Labels for people; the model's own are the API's.
KINDS = {
    FileKind.IMAGE.value: _("Images"),
    FileKind.VIDEO.value: _("Videos"),
    FileKind.AUDIO.value: _("Sound"),
    FileKind.DOCUMENT.value: _("Documents"),
    FileKind.ARCHIVE.value: _("Archives"),
    FileKind.OTHER.value: _("Other files"),
}

FINISHED = "finished"
UNFINISHED = "unfinished"
#: Which sessions a list can be of. Cancelled ones are nobody's business any more.
SHOWN = {
    FINISHED: [SessionStatus.COMPLETED],
    UNFINISHED: [
        SessionStatus.ACTIVE,
        SessionStatus.ASSEMBLING,
        SessionStatus.FAILED,
        SessionStatus.EXPIRED,
    ],
}


@dataclass(frozen=True, slots=True)
class Edge:
    """The row that a page follows or precedes, by what orders it. It need not exist any more."""

    value: Any
    session_id: UUID

    @classmethod
    def of(cls, session: FileSession, sort: Sort) -> Self:
        return cls(getattr(session, sort.field), session.pk)

    @classmethod
    def read(cls, text: str, sort: Sort) -> Self | None:
        """None for what is no edge in this order."""
        try:
            plain = base64.urlsafe_b64decode(text.encode() + b"==").decode()
            return cls(sort.read(plain[_ID_LENGTH:]), UUID(plain[:_ID_LENGTH]))
        except (ValueError, OverflowError):
            return None

    def write(self) -> str:
        value = self.value.isoformat() if isinstance(self.value, datetime) else self.value
        plain = f"{self.session_id.hex}{value}".encode()
        return base64.urlsafe_b64encode(plain).decode().rstrip("=")


@dataclass(frozen=True, slots=True)
class Listing:
    """What is asked for. Anything that makes no sense in an address is left out."""

    shown: str = FINISHED
    search: str = ""
    kind: str = ""
    sort: str = DEFAULT_SORT
    after: Edge | None = None
    before: Edge | None = None

    @classmethod
    def read(cls, query: QueryDict) -> Self:
        sort = _one_of(SORTS, query.get("sort", ""), DEFAULT_SORT)
        return cls(
            shown=_one_of(SHOWN, query.get("show", ""), FINISHED),
            search=query.get("q", "").replace("\0", "").strip()[:MAX_SEARCH_LENGTH],
            kind=_one_of(KINDS, query.get("kind", ""), ""),
            sort=sort,
            after=Edge.read(query.get("after", ""), SORTS[sort]),
            before=Edge.read(query.get("before", ""), SORTS[sort]),
        )

    @property
    def order(self) -> Sort:
        """Finished files have a size: those the index finds in their order."""
        sort = SORTS[self.sort]
        if sort.field == "size" and self.shown == UNFINISHED:
            return replace(sort, field=_KNOWN_SIZE)
        return sort

    @property
    def narrowed(self) -> bool:
        """Whether somebody looks for something; only then may an empty list be no empty house."""
        return bool(self.search or self.kind)

    @property
    def is_front(self) -> bool:
        """The page with which everything begins: what is under way is shown there as well."""
        return self.shown == FINISHED and not (self.narrowed or self.after or self.before)

    def query(self) -> str:
        """As the part of an address from the question mark on; empty for the front page."""
        given = {
            "show": "" if self.shown == FINISHED else self.shown,
            "q": self.search,
            "kind": self.kind,
            "sort": "" if self.sort == DEFAULT_SORT else self.sort,
            "after": self.after.write() if self.after else "",
            "before": self.before.write() if self.before else "",
        }
        given = {name: value for name, value in given.items() if value}
        return f"?{urlencode(given)}" if given else ""


@dataclass(frozen=True, slots=True)
class Page:
    """A stretch of the list in its order; `previous` and `next` are queries, or empty."""

    #: As it was asked for, without an edge where that led to the first page after all.
    listing: Listing
    sessions: list[FileSession]
    previous: str
    next: str


def page_of(sessions: FileSessionQuerySet, listing: Listing, size: int) -> Page:
    """The page of at most `size` of `sessions` that `listing` asks for."""
    found = _found(sessions, listing)
    if listing.before:
        page = _preceding(found, listing, listing.before, size)
        # Fewer than a page precede it: then the first page, full, is what was meant.
        if len(page) > size:
            return _page(listing, page[1:], more_before=True, more_after=True)
    elif listing.after:
        page = _stretch(found, listing, listing.after, size)
        if page:
            return _page(listing, page[:size], more_before=True, more_after=len(page) > size)
        # What followed is gone: the last page, full, is nearest.
        page = _preceding(found, listing, None, size)
        if len(page) > size:
            return _page(listing, page[-size:], more_before=True, more_after=False)
    page = _stretch(found, listing, None, size)
    first = replace(listing, after=None, before=None)
    return _page(first, page[:size], more_before=False, more_after=len(page) > size)


def _found(sessions: FileSessionQuerySet, listing: Listing) -> FileSessionQuerySet:
    sessions = sessions.filter(status__in=SHOWN[listing.shown]).select_related("stored_file")
    if listing.order.field == _KNOWN_SIZE:
        known = Coalesce("size", _UNKNOWN, output_field=BigIntegerField())
        sessions = sessions.annotate(**{_KNOWN_SIZE: known})
    for word in search_name(listing.search).split():
        sessions = sessions.filter(search_name__contains=word)
    return sessions.filter(kind=listing.kind) if listing.kind else sessions


def _stretch(
    found: FileSessionQuerySet, listing: Listing, edge: Edge | None, size: int
) -> list[FileSession]:
    """One more than `size`, if there are, from the beginning or from beyond the edge."""
    sort = listing.order
    return _walk(found, sort, edge, size, descending=sort.descending)


def _preceding(
    found: FileSessionQuerySet, listing: Listing, edge: Edge | None, size: int
) -> list[FileSession]:
    """The same, backwards, in the order of the list."""
    sort = listing.order
    return _walk(found, sort, edge, size, descending=not sort.descending)[::-1]


def _walk(
    found: FileSessionQuerySet, sort: Sort, edge: Edge | None, size: int, *, descending: bool
) -> list[FileSession]:
    field, beyond = sort.field, "lt" if descending else "gt"
    if edge:
        found = found.filter(
            # What the index can find, and then the ties.
            Q(**{f"{field}__{beyond}e": edge.value}),
            Q(**{f"{field}__{beyond}": edge.value}) | Q(**{f"id__{beyond}": edge.session_id}),
        )
    sign = "-" if descending else ""
    return list(found.order_by(f"{sign}{field}", f"{sign}id")[: size + 1])


def _page(
    listing: Listing, sessions: list[FileSession], *, more_before: bool, more_after: bool
) -> Page:
    sort = listing.order
    bare = replace(listing, after=None, before=None)
    previous = following = ""
    if more_before:
        previous = replace(bare, before=Edge.of(sessions[0], sort)).query()
    if more_after:
        following = replace(bare, after=Edge.of(sessions[-1], sort)).query()
    return Page(listing, sessions, previous, following)


def _one_of(known: dict[str, Any], given: str, default: str) -> str:
    return given if given in known else default
