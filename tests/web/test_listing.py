"""The list of files: each once on its pages, in every order; found by its words; at any address."""

import base64
import json
import unicodedata
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from django.contrib.auth.models import User
from django.http import QueryDict
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from uploads.models import FileSession, SessionStatus
from uploads.web.listing import KINDS, MAX_SEARCH_LENGTH, SORTS, Listing, Page, page_of

from .pages import completed, link, make_session, names, rows, shown

pytestmark = pytest.mark.django_db

NOW = timezone.now()
#: More pages than any of these lists has.
MANY = 50
#: Seconds ago, name, bytes: with equal values in each column.
FILES = [
    (30, "b.txt", 7),
    (30, "b.txt", 7),
    (30, "a.txt", 5),
    (20, "b.txt", 5),
    (20, "c.txt", 5),
    (10, "ä.txt", 0),
    (10, "C.txt", 9),
]
each_sort = pytest.mark.parametrize("sort", SORTS)


def page(owner: User, query: str, size: int = 2) -> Page:
    listing = Listing.read(QueryDict(query.removeprefix("?")))
    return page_of(FileSession.objects.owned_by(owner), listing, size)


def walk(owner: User, query: str, size: int = 2) -> list[list[UUID]]:
    """The pages from this one on, to the last."""
    pages: list[list[UUID]] = []
    following = query
    while following:
        assert len(pages) < MANY, "the pages go round and round"
        found = page(owner, following, size)
        pages.append(ids(found))
        following = found.next
    return pages


def ids(found: Page) -> list[UUID]:
    return [session.pk for session in found.sessions]


@pytest.fixture
def files(alice: User, bob: User) -> list[FileSession]:
    for owner in (alice, bob):
        for ago, name, size in FILES:
            completed(owner, name, size=size, updated_at=NOW - timedelta(seconds=ago))
    return list(FileSession.objects.owned_by(alice))


def in_order(files: list[FileSession], sort: str) -> list[UUID]:
    by = SORTS[sort]
    ordered = sorted(files, key=lambda s: (getattr(s, by.field), s.pk.hex), reverse=by.descending)
    return [session.pk for session in ordered]


# ------------------------------------------------------------------------ pages, there and back


@each_sort
@pytest.mark.parametrize("size", [1, 2, 3, 7, 8])
def test_pages_show_each_file_once_in_its_order(
    alice: User, files: list[FileSession], sort: str, size: int
) -> None:
    expected = in_order(files, sort)
    pages = walk(alice, f"?sort={sort}", size)
    assert [pk for found in pages for pk in found] == expected
    assert [len(found) for found in pages[:-1]] == [size] * (len(pages) - 1)


@each_sort
def test_the_way_back_shows_the_same_pages(
    alice: User, files: list[FileSession], sort: str
) -> None:
    there = []
    query = f"?sort={sort}"
    while query:
        found = page(alice, query)
        there.append(ids(found))
        query = found.next
    back = []
    query = found.previous
    while query:
        found = page(alice, query)
        back.append(ids(found))
        query = found.previous
    assert back == there[-2::-1]


@pytest.mark.parametrize("sort", ["newest", "oldest"])
def test_moments_apart_by_a_millionth_of_a_second_keep_their_order(alice: User, sort: str) -> None:
    moment = NOW.replace(microsecond=0)
    for millionths in (0, 1, 2, 10, 500_000):
        completed(alice, updated_at=moment + timedelta(microseconds=millionths))
    files = list(FileSession.objects.all())
    pages = walk(alice, f"?sort={sort}", size=1)
    assert [pk for found in pages for pk in found] == in_order(files, sort)


def test_pages_are_a_matter_of_links(alice: User, alice_client: Client, settings: Settings) -> None:
    settings.UPLOADS = {**settings.UPLOADS, "PAGE_SIZE": 2}
    for i in range(5):
        completed(alice, f"{i}.txt", ago=10 * i)
    visited = []
    query: str | None = ""
    while query is not None:
        html = alice_client.get("/" + query).content.decode()
        visited.append(names(html))
        query = link(html, "next")
    assert visited == [["0.txt", "1.txt"], ["2.txt", "3.txt"], ["4.txt"]]
    newer = rows(alice_client, link(html, "prev") or "")
    assert names(newer) == ["2.txt", "3.txt"]
    first = rows(alice_client, link(newer, "prev") or "")
    assert names(first) == ["0.txt", "1.txt"]
    assert link(first, "prev") is None


def test_links_to_pages_keep_what_was_asked_for(
    alice: User, alice_client: Client, settings: Settings
) -> None:
    settings.UPLOADS = {**settings.UPLOADS, "PAGE_SIZE": 1}
    for name in ("a & b.txt", "a & c.txt", "other.txt"):
        completed(alice, name)
    html = rows(alice_client, "?q=a+%26&kind=document&sort=name")
    assert names(html) == ["a & b.txt"]
    second = rows(alice_client, link(html, "next") or "")
    assert names(second) == ["a & c.txt"]
    assert link(second, "next") is None


def test_a_page_refreshes_itself_and_not_the_first_one(
    alice: User, alice_client: Client, settings: Settings
) -> None:
    settings.UPLOADS = {**settings.UPLOADS, "PAGE_SIZE": 1}
    completed(alice, "new.txt", ago=1)
    completed(alice, "old.txt", ago=2)
    second = link(rows(alice_client), "next") or ""
    uploads = shown(alice_client, "/" + second).by_id("uploads")
    assert uploads.get("hx-get") == "/api/v1/uploads/handshake" + second
    assert names(rows(alice_client, second)) == ["old.txt"]


# ------------------------------------------------------------------------- the place is kept


@each_sort
def test_the_place_outlives_the_file_at_its_edge(
    alice: User, files: list[FileSession], sort: str
) -> None:
    expected = in_order(files, sort)
    third = page(alice, page(alice, f"?sort={sort}").next).next
    FileSession.objects.filter(pk=expected[3]).delete()
    assert ids(page(alice, third)) == expected[4:6]


@each_sort
def test_files_deleted_before_the_place_do_not_shift_it(
    alice: User, files: list[FileSession], sort: str
) -> None:
    expected = in_order(files, sort)
    third = page(alice, page(alice, f"?sort={sort}").next).next
    FileSession.objects.filter(pk__in=expected[:3]).delete()
    found = page(alice, third)
    assert ids(found) == expected[4:6]
    assert ids(page(alice, found.previous)) == [expected[3], *expected[4:5]]


def test_new_files_do_not_shift_the_place(alice: User, files: list[FileSession]) -> None:
    second = page(alice, "").next
    expected = ids(page(alice, second))
    completed(alice, "brand-new.txt", ago=0)
    assert ids(page(alice, second)) == expected


@each_sort
def test_a_page_whose_files_are_all_gone_gives_way_to_the_last_one_before(
    alice: User, files: list[FileSession], sort: str
) -> None:
    """And not to the first, from where its reader would have to find the place again."""
    expected = in_order(files, sort)
    last = page(alice, page(alice, page(alice, f"?sort={sort}").next).next).next
    assert ids(page(alice, last)) == expected[6:]
    FileSession.objects.filter(pk=expected[6]).delete()
    found = page(alice, last)
    assert ids(found) == expected[4:6]
    assert found.next == ""
    assert ids(page(alice, found.previous)) == expected[2:4]


@each_sort
def test_a_way_back_that_has_become_short_ends_at_a_full_first_page(
    alice: User, files: list[FileSession], sort: str
) -> None:
    expected = in_order(files, sort)
    second = page(alice, page(alice, f"?sort={sort}").next)
    FileSession.objects.filter(pk=expected[1]).delete()
    found = page(alice, second.previous)
    assert ids(found) == [expected[0], expected[2]]
    assert found.previous == ""


def test_when_everything_is_gone_any_page_is_the_empty_one(
    alice: User, files: list[FileSession]
) -> None:
    second = page(alice, "")
    third = page(alice, second.next)
    FileSession.objects.all().delete()
    for query in (second.next, third.previous):
        assert page(alice, query) == Page(Listing(), [], "", "")


# ---------------------------------------------------------------------- hostile addresses


def cursor(plain: bytes) -> str:
    return base64.urlsafe_b64encode(plain).decode().rstrip("=")


ID = uuid4().hex
NONSENSE = {
    "not base64": "$$$",
    "no bytes": cursor(b""),
    "NUL": "\0",
    "no ASCII": "ü€",
    "no UTF-8": cursor(b"\xff\xfe" * 30),
    "a bare id": ID,
    "an id and nothing": cursor(ID.encode()),
    "no id": cursor(b"z" * 32 + b"2026-01-01T00:00:00+00:00"),
    "brackets without end": cursor(b"[" * 5000),
    "JSON": cursor(json.dumps([1, None]).encode()),
    "a lone surrogate": cursor(ID.encode() + b"\xed\xa0\x80"),
    "huge": "A" * 60_000,
}
#: Nonsense in the orders of times and of sizes. Any text is a place among names.
NO_VALUES = {
    "a moment before all time": "0001-01-01T00:00:00+14:00",
    "a moment after all time": "9999-12-31T23:59:59-14:00",
    "a moment of no zone": "2026-01-01T00:00:00",
    "a day": "2026-01-01",
    "a word": "None",
    "no number": "NaN",
    "infinity": "Infinity",
    "a fraction": "1.5",
    "too many digits to read": "9" * 5000,
}
each_way = pytest.mark.parametrize("way", ["after", "before"])


@pytest.mark.parametrize("sort", ["newest", "name", "smallest"])
@each_way
@pytest.mark.parametrize("given", NONSENSE.values(), ids=NONSENSE)
def test_p10_a_cursor_that_is_nonsense_gives_the_first_page(
    alice: User, alice_client: Client, sort: str, way: str, given: str
) -> None:
    completed(alice, "one.txt")
    response = alice_client.get("/", {"sort": sort, way: given})
    assert response.status_code == 200
    html = response.content.decode()
    assert names(html) == ["one.txt"]
    assert link(html, "next") is None


@pytest.mark.parametrize("sort", ["newest", "oldest", "largest"])
@each_way
@pytest.mark.parametrize("value", NO_VALUES.values(), ids=NO_VALUES)
def test_p10_a_cursor_at_no_value_gives_the_first_page(
    alice: User, alice_client: Client, sort: str, way: str, value: str
) -> None:
    completed(alice, "one.txt")
    query = {"sort": sort, way: cursor(ID.encode() + value.encode())}
    response = alice_client.get("/", query)
    assert response.status_code == 200
    assert names(response.content.decode()) == ["one.txt"]


@pytest.mark.parametrize("sort", ["largest", "smallest"])
@each_way
@pytest.mark.parametrize("value", ["-1", str(2**63), str(-(2**63) - 1), "9" * 4000])
def test_p10_a_size_beyond_what_a_database_counts_is_a_place_like_any(
    alice: User, alice_client: Client, sort: str, way: str, value: str
) -> None:
    completed(alice, "one.txt")
    query = {"sort": sort, way: cursor(ID.encode() + value.encode())}
    response = alice_client.get("/", query)
    assert response.status_code == 200
    assert names(response.content.decode()) == ["one.txt"]


@pytest.mark.parametrize("value", ["", "\0", "a\0b", "%", "'; --", "\U0001f9ff" * 600])
@pytest.mark.parametrize("sort", ["name", "name-down"])
@each_way
def test_p10_any_text_is_a_place_among_names(
    alice: User, alice_client: Client, sort: str, way: str, value: str
) -> None:
    completed(alice, "one.txt")
    query = {"sort": sort, way: cursor(ID.encode() + value.encode())}
    response = alice_client.get("/", query)
    assert response.status_code == 200
    assert names(response.content.decode()) == ["one.txt"]


def test_p9_the_place_of_another_s_file_shows_one_s_own_files_only(
    alice_client: Client, bob: User, files: list[FileSession], settings: Settings
) -> None:
    settings.UPLOADS = {**settings.UPLOADS, "PAGE_SIZE": 2}
    for theirs in (page(bob, ""), page(bob, page(bob, "").next)):
        for query in filter(None, (theirs.next, theirs.previous)):
            html = rows(alice_client, query)
            for session in FileSession.objects.owned_by(bob):
                assert str(session.pk) not in html


def test_what_makes_no_sense_in_an_address_is_left_out() -> None:
    query = QueryDict("show=all&kind=spreadsheet&sort=random&after=x&before=y&q=%00+%00")
    assert Listing.read(query) == Listing()


def test_an_address_says_no_more_than_it_must() -> None:
    assert Listing().query() == ""
    given = "?show=unfinished&q=a+b&kind=image&sort=name"
    assert Listing.read(QueryDict(given[1:])).query() == given


# ------------------------------------------------------------------------------ what is found


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("tides", ["Tides of March.csv"]),
        ("TIDES", ["Tides of March.csv"]),
        ("march tides", ["Tides of March.csv"]),
        ("tides april", []),
        ("  tides \t of ", ["Tides of March.csv"]),
        ("strasse", ["Straße.jpg"]),
        ("STRAßE", ["Straße.jpg"]),
        ("ÖL", ["öl_50%.txt"]),
        (unicodedata.normalize("NFD", "öl"), ["öl_50%.txt"]),
        ("%", ["öl_50%.txt"]),
        ("_", ["öl_50%.txt"]),
        ("l_5", ["öl_50%.txt"]),
        ("t%s", []),
        ("ö_", []),
        ("\\", []),
        ("'", []),
        ("photos", ["Straße.jpg"]),
        ("2026 .jpg", ["Straße.jpg"]),
        ("photos/2026", ["Straße.jpg"]),
        ("ti\0des", ["Tides of March.csv"]),
    ],
)
def test_every_word_must_be_in_the_name_or_the_folder_whatever_its_case(
    alice: User, alice_client: Client, search: str, found: list[str]
) -> None:
    completed(alice, "Tides of March.csv")
    completed(alice, "Straße.jpg", folder="Photos/2026")
    completed(alice, "öl_50%.txt")
    response = alice_client.get("/", {"q": search})
    assert names(response.content.decode()) == found


def test_a_search_is_shown_as_it_was_typed(alice_client: Client) -> None:
    typed = '"><b>ÖL</b>'
    response = alice_client.get("/", {"q": typed})
    assert 'value="&quot;&gt;&lt;b&gt;ÖL&lt;/b&gt;"' in response.content.decode()


def test_p10_a_search_of_any_length_is_bounded(alice: User, alice_client: Client) -> None:
    completed(alice, "a" * 250)
    for typed in ("a" * 10_000, "a " * 5000):
        response = alice_client.get("/", {"q": typed})
        assert response.status_code == 200
        assert names(response.content.decode()) == ["a" * 250]
    assert len(Listing.read(QueryDict("q=" + "a" * 10_000)).search) == MAX_SEARCH_LENGTH


def test_a_kind_shows_its_files_and_an_unknown_one_all(alice: User, alice_client: Client) -> None:
    by_kind = {
        "image": "tide.jpg",
        "video": "tide.mp4",
        "audio": "tide.ogg",
        "document": "tide.pdf",
        "archive": "tide.zip",
        "other": "tide.bin",
    }
    assert by_kind.keys() == KINDS.keys()
    for name in by_kind.values():
        completed(alice, name)
    for kind, name in by_kind.items():
        assert names(rows(alice_client, f"?kind={kind}")) == [name]
    assert len(names(rows(alice_client, "?kind=spreadsheet"))) == len(by_kind)


def test_search_kind_and_order_work_together(alice: User, alice_client: Client) -> None:
    for name in ("tide-b.jpg", "tide-a.jpg", "tide.txt", "other.jpg"):
        completed(alice, name)
    html = rows(alice_client, "?q=tide&kind=image&sort=name")
    assert names(html) == ["tide-a.jpg", "tide-b.jpg"]


def test_the_chosen_kind_and_order_stay_chosen(alice: User, alice_client: Client) -> None:
    completed(alice)
    document = shown(alice_client, "/?kind=image&sort=largest&q=x")
    for name, value in (("kind", "image"), ("sort", "largest")):
        chosen = [o.get("value") for o in document.by_id(name).having("selected")]
        assert chosen == [value]


# ------------------------------------------------------------------------- what is under way


@each_sort
def test_all_that_is_under_way_has_pages_in_every_order(
    alice: User, alice_client: Client, settings: Settings, sort: str
) -> None:
    settings.UPLOADS = {**settings.UPLOADS, "PAGE_SIZE": 2}
    expected = set()
    for status in SessionStatus.values:
        if status != SessionStatus.COMPLETED:
            make_session(alice, f"{status}.txt", status=status, ago=5)
            expected.add(f"{status}.txt")
    completed(alice)
    found: list[str] = []
    query: str | None = f"?show=unfinished&sort={sort}"
    while query:
        html = rows(alice_client, query)
        found += names(html)
        query = link(html, "next")
    assert sorted(found) == sorted(expected - {"cancelled.txt"})


@pytest.mark.parametrize("sort", ["largest", "smallest"])
@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_unknown_sizes_are_smaller_than_all_others_on_pages_there_and_back(
    alice: User, sort: str, size: int
) -> None:
    made = [make_session(alice, size=each, sha256="") for each in (7, None, 0, None, 7, None, 5)]
    unknown = sorted(s.pk for s in made if s.size is None)
    known = [s.pk for s in sorted(made, key=lambda s: (s.size or 0, s.pk)) if s.size is not None]
    expected = [*unknown, *known] if sort == "smallest" else [*unknown, *known][::-1]
    there = walk(alice, f"?show=unfinished&sort={sort}", size)
    assert [pk for found in there for pk in found] == expected
    found = page(alice, f"?show=unfinished&sort={sort}", size)
    for _ in there[1:]:
        found = page(alice, found.next, size)
    back = [ids(found)]
    for _ in there[1:]:
        found = page(alice, found.previous, size)
        back.append(ids(found))
    assert back == there[::-1]
    assert found.previous == ""


@pytest.mark.parametrize("sort", ["largest", "smallest"])
@each_way
@pytest.mark.parametrize("value", ["-1", "None", str(2**63), str(-(2**63) - 1)])
def test_p10_no_place_among_unknown_sizes_is_an_error(
    alice: User, alice_client: Client, sort: str, way: str, value: str
) -> None:
    make_session(alice, "one.txt", size=None)
    query = {"show": "unfinished", "sort": sort, way: cursor(ID.encode() + value.encode())}
    assert names(alice_client.get("/", query).content.decode()) == ["one.txt"]


def test_what_is_under_way_can_be_searched(alice: User, alice_client: Client) -> None:
    make_session(alice, "tide.txt")
    make_session(alice, "other.txt")
    completed(alice, "tide-done.txt")
    assert names(rows(alice_client, "?show=unfinished&q=TIDE")) == ["tide.txt"]
    hidden = shown(alice_client, "/?show=unfinished&q=TIDE").by_id("tools").having("name")
    assert [e.get("value") for e in hidden if e.get("name") == "show"] == ["unfinished"]
