"""The content: whole, in parts, under conditions, and never wrong (RFC 9110, RFC 9530)."""

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.signals import request_finished
from django.db import close_old_connections, connection
from django.http import HttpResponseBase
from django.test import Client
from django.utils.http import http_date, parse_http_date
from pytest_django import Settings

from tests.support.bodies import content_digest, sha256
from tests.support.sessions import content_files
from uploads.models import StoredFile
from uploads.protocols.downloads import BLOCK_SIZE

from .conftest import DATA, Answer, Begin, refused

SIZE = len(DATA)
ETAG = f'"{sha256(DATA)}"'
OTHER = '"' + "0" * 64 + '"'


class Content:
    """The content of one completed upload; keeps what it is answered until the end."""

    def __init__(self, client: Client, url: str) -> None:
        self.client = client
        self.url = url
        self.answers: list[HttpResponseBase] = []

    def get(self, **headers: str) -> Answer:
        return self._answer(self.client.get(self.url, headers=_named(headers)))

    def head(self, **headers: str) -> Answer:
        return self._answer(self.client.head(self.url, headers=_named(headers)))

    def _answer(self, answer: Any) -> Answer:
        self.answers.append(answer)
        return answer


def _named(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


def body(answer: Answer) -> bytes:
    return b"".join(answer.streaming_content) if answer.streaming else answer.content


def close(answer: HttpResponseBase) -> None:
    """As a server does, but as Django's test client: the test's own transaction stays open."""
    request_finished.disconnect(close_old_connections)
    answer.close()
    request_finished.connect(close_old_connections)


def content_open() -> int:
    """How many descriptors of content this process has."""
    links = [Path(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd")]
    return sum("/uploads/content/" in str(link.readlink()) for link in links if link.is_symlink())


def stored_path() -> Path:
    (path,) = content_files()
    return path


@pytest.fixture
def content(alice_client: Client, completed: dict[str, Any]) -> Iterator[Content]:
    content = Content(alice_client, completed["urls"]["content"])
    yield content
    for answer in content.answers:
        close(answer)


@pytest.fixture
def modified(content: Content) -> str:
    value: str = content.head()["Last-Modified"]
    return value


def test_the_whole_says_what_it_is_and_that_it_can_be_resumed(content: Content) -> None:
    answer = content.get()
    completed_at = int(StoredFile.objects.get().created_at.timestamp())
    assert (answer.status_code, body(answer)) == (200, DATA)
    assert answer["Content-Length"] == str(SIZE)
    assert answer["Accept-Ranges"] == "bytes"
    assert answer["ETag"] == ETAG
    assert answer["Repr-Digest"] == content_digest(DATA)
    assert parse_http_date(answer["Last-Modified"]) == completed_at
    assert answer["Cache-Control"] == "private, no-store"
    assert "Content-Range" not in answer


def test_a_block_at_a_time_and_no_more(content: Content) -> None:
    """P8: whatever the size, one block is in memory."""
    sizes = [len(block) for block in content.get().streaming_content]
    assert sizes == [*[BLOCK_SIZE] * (SIZE // BLOCK_SIZE), SIZE % BLOCK_SIZE]


def test_head_is_the_get_without_its_body_and_without_a_range(content: Content) -> None:
    got = content.get(X_Request_ID="the-same")
    close(got)
    head = content.head(Range="bytes=0-0", If_Range=ETAG, X_Request_ID="the-same")
    assert (head.status_code, body(head)) == (200, b"")
    assert dict(head.headers) == dict(got.headers)
    assert content_open() == 0


@pytest.mark.parametrize(
    ("header", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=-1", SIZE - 1, SIZE - 1),
        ("bytes=1000-", 1000, SIZE - 1),
        ("bytes=0-", 0, SIZE - 1),
        ("bytes=300000-300999", 300_000, 300_999),
        (f"bytes=10-{SIZE + 5}", 10, SIZE - 1),
        (f"bytes=-{SIZE + 5}", 0, SIZE - 1),
        (f"bytes={SIZE - 1}-{'9' * 4000}", SIZE - 1, SIZE - 1),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_range_is_exactly_those_bytes(
    content: Content, header: str, first: int, last: int
) -> None:
    answer = content.get(Range=header)
    assert (answer.status_code, body(answer)) == (206, DATA[first : last + 1])
    assert answer["Content-Range"] == f"bytes {first}-{last}/{SIZE}"
    assert answer["Content-Length"] == str(last - first + 1)
    assert (answer["ETag"], answer["Repr-Digest"]) == (ETAG, content_digest(DATA))
    assert answer["Content-Disposition"] == 'attachment; filename="file.bin"'


@pytest.mark.parametrize("header", ["bytes=0-0,5-9", "lines=0-1", "bytes=5-1", "bytes=x", "", "\0"])
def test_what_is_not_one_range_of_bytes_gets_the_whole(content: Content, header: str) -> None:
    answer = content.get(Range=header)
    assert (answer.status_code, body(answer)) == (200, DATA)


@pytest.mark.parametrize("header", [f"bytes={SIZE}-", "bytes=-0", f"bytes={'9' * 4000}-"])
def test_p10_a_range_without_bytes_is_told_how_many_there_are(
    content: Content, header: str
) -> None:
    answer = content.get(Range=header)
    assert refused(answer, 416, "range_not_satisfiable")
    assert answer["Content-Range"] == f"bytes */{SIZE}"
    assert answer.json()["complete_length"] == SIZE


def test_an_empty_file(alice_client: Client, begin: Begin) -> None:
    url = begin(size=0, sha256=sha256(b""))["urls"]["content"]
    for headers in ({}, {"Range": "bytes=-5"}):
        answer = alice_client.get(url, headers=headers)
        assert (answer.status_code, body(answer), answer["Content-Length"]) == (200, b"", "0")
    answer = alice_client.get(url, headers={"Range": "bytes=0-"})
    assert refused(answer, 416, "range_not_satisfiable")
    assert answer["Content-Range"] == "bytes */0"


@pytest.mark.parametrize("condition", [ETAG, f" {ETAG} ", "the Last-Modified"])
def test_if_range_of_this_file_gets_the_range(
    content: Content, modified: str, condition: str
) -> None:
    value = modified if condition == "the Last-Modified" else condition
    assert body(content.get(Range="bytes=5-9", If_Range=value)) == DATA[5:10]
    assert refused(
        content.get(Range=f"bytes={SIZE}-", If_Range=value), 416, "range_not_satisfiable"
    )


@pytest.mark.parametrize(
    "condition",
    [OTHER, f"W/{ETAG}", ETAG.strip('"'), f"{ETAG}, {OTHER}", "*", "", "nonsense", "a day later",
     "a second earlier"],
)  # fmt: skip
def test_if_range_of_anything_else_gets_the_whole(
    content: Content, modified: str, condition: str
) -> None:
    """Or the client would put the end of one file behind the beginning of another."""
    seconds = {"a day later": 86_400, "a second earlier": -1}.get(condition)
    value = http_date(parse_http_date(modified) + seconds) if seconds else condition
    for header in ("bytes=5-9", f"bytes={SIZE}-"):
        answer = content.get(Range=header, If_Range=value)
        assert (answer.status_code, body(answer)) == (200, DATA)


LONG_AGO = http_date(1)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"If_None_Match": ETAG}, 304),
        ({"If_None_Match": f"W/{ETAG}"}, 304),
        ({"If_None_Match": f"{OTHER}, {ETAG}"}, 304),
        ({"If_None_Match": "*"}, 304),
        ({"If_None_Match": OTHER}, 200),
        ({"If_Modified_Since": "now"}, 304),
        ({"If_Modified_Since": LONG_AGO}, 200),
        ({"If_Match": ETAG}, 200),
        ({"If_Match": "*"}, 200),
        ({"If_Match": OTHER}, 412),
        ({"If_Match": f"W/{ETAG}"}, 412),
        ({"If_Unmodified_Since": "now"}, 200),
        ({"If_Unmodified_Since": LONG_AGO}, 412),
        # The order of RFC 9110, section 13.2.2.
        ({"If_Match": OTHER, "If_None_Match": ETAG}, 412),
        ({"If_Match": ETAG, "If_None_Match": ETAG}, 304),
        ({"If_Match": ETAG, "If_Unmodified_Since": LONG_AGO}, 200),
        ({"If_None_Match": OTHER, "If_Modified_Since": "now"}, 200),
        ({"If_None_Match": ETAG, "Range": "bytes=0-0"}, 304),
        ({"If_None_Match": ETAG, "Range": f"bytes={SIZE}-"}, 304),
        ({"If_Match": OTHER, "Range": f"bytes={SIZE}-"}, 412),
        ({"If_Match": ETAG, "Range": "bytes=0-0"}, 206),
        ({"If_Match": ETAG, "Range": "bytes=0-0", "If_Range": OTHER}, 200),
    ],
    ids=str,
)
def test_conditions(content: Content, modified: str, headers: dict[str, str], status: int) -> None:
    given = {name: value.replace("now", modified) for name, value in headers.items()}
    answer = content.get(**given)
    assert answer.status_code == status
    if status == 304:
        assert (body(answer), answer["ETag"], answer["Last-Modified"]) == (b"", ETAG, modified)
        assert answer["Content-Length"] == str(SIZE), "as the whole would say"
    elif status == 412:
        assert refused(answer, 412, "precondition_failed")
        assert answer.json()["etag"] == ETAG
    else:
        assert body(answer) == (DATA if status == 200 else DATA[:1])
    close(answer)
    assert content_open() == 0


def test_p9_no_condition_shows_that_somebody_has_a_file(
    bob_client: Client, content: Content
) -> None:
    for name, value in (("Range", "bytes=0-0"), ("If-None-Match", "*"), ("If-Match", OTHER)):
        answer = bob_client.get(content.url, headers={name: value})
        assert refused(answer, 404, "session_not_found")


def test_p1_damaged_content_is_not_served(content: Content) -> None:
    StoredFile.objects.update(state=StoredFile.State.DAMAGED)
    for headers in ({}, {"Range": "bytes=0-0"}, {"If_None_Match": ETAG}):
        answer = content.get(**headers)
        assert refused(answer, 409, "content_damaged")
        assert "Sending it again mends it" in answer.json()["detail"]
    assert content.head().status_code == 409


@pytest.mark.parametrize("state", [StoredFile.State.PENDING, StoredFile.State.DELETING])
def test_p1_content_that_is_not_live_is_not_served(
    content: Content, state: StoredFile.State
) -> None:
    StoredFile.objects.update(state=state)
    assert refused(content.get(), 503, "storage_unavailable")


@pytest.mark.parametrize("size", [0, SIZE - 1, SIZE + 1])
def test_p1_a_file_of_another_size_is_not_served(content: Content, size: int) -> None:
    os.truncate(stored_path(), size)
    for answer in (content.get(), content.get(Range="bytes=0-0")):
        assert refused(answer, 409, "content_damaged")
    assert content.head().status_code == 409
    assert content_open() == 0


def test_a_file_that_is_missing_is_known_as_damaged_from_then_on(content: Content) -> None:
    """So that a handshake does not say that it exists, and sending it again mends it."""
    stored_path().unlink()
    assert refused(content.get(), 409, "content_damaged")
    assert StoredFile.objects.get().state == StoredFile.State.DAMAGED
    assert content.head().status_code == 409


def test_a_disk_that_is_not_mounted_makes_nothing_damaged(
    content: Content, upload_root: Path
) -> None:
    upload_root.rename(upload_root.with_name("away"))
    assert refused(content.get(), 503, "storage_unavailable")
    upload_root.with_name("away").rename(upload_root)
    assert body(content.get()) == DATA


def test_p1_a_file_that_shrinks_on_its_way_out_does_not_end_as_if_it_were_whole(
    content: Content,
) -> None:
    blocks = iter(content.get().streaming_content)
    assert next(blocks) == DATA[:BLOCK_SIZE]
    os.truncate(stored_path(), BLOCK_SIZE)
    with pytest.raises(OSError, match=f"ended {SIZE - BLOCK_SIZE} bytes early"):
        list(blocks)


@pytest.fixture
def one_at_a_time(settings: Settings, upload_root: Path, content: Content) -> Content:
    settings.UPLOADS = {"ROOT": upload_root, "MAX_DOWNLOADS": 1}
    return content


def test_p8_more_downloads_than_allowed_are_told_to_come_back(one_at_a_time: Content) -> None:
    first = one_at_a_time.get()
    for headers in ({}, {"Range": "bytes=0-0"}):
        second = one_at_a_time.get(**headers)
        assert refused(second, 503, "unavailable")
        assert int(second["Retry-After"]) > 0
    assert one_at_a_time.head().status_code == 200, "what needs no thread is still answered"
    assert one_at_a_time.get(If_None_Match=ETAG).status_code == 304
    assert content_open() == 1, "a refusal keeps nothing open"
    assert body(first) == DATA
    assert body(one_at_a_time.get()) == DATA


@pytest.mark.django_db(transaction=True)
def test_p8_a_download_gives_back_its_place_however_it_ends(one_at_a_time: Content) -> None:
    close(one_at_a_time.get())
    cut = one_at_a_time.get(Range="bytes=7-")
    next(iter(cut.streaming_content))
    close(cut)
    close(cut)
    for headers in ({"Range": f"bytes={SIZE}-"}, {"If_Match": OTHER}, {"If_None_Match": "*"}):
        one_at_a_time.get(**headers)
    one_at_a_time.head()
    assert content_open() == 0
    assert body(one_at_a_time.get()) == DATA
    assert content_open() == 0


@pytest.mark.django_db(transaction=True)
def test_p5_no_connection_to_the_database_waits_for_a_reader(content: Content) -> None:
    answer = content.get()
    assert connection.connection is None
    assert body(answer) == DATA
    assert connection.connection is None


def test_p9_the_date_does_not_say_that_somebody_had_this_content_before(
    content: Content, modified: str
) -> None:
    StoredFile.objects.update(created_at=StoredFile.objects.get().created_at - timedelta(days=400))
    assert content.head()["Last-Modified"] == modified


def test_a_date_of_another_day_makes_a_range_the_whole(content: Content, modified: str) -> None:
    earlier = http_date(parse_http_date(modified) - 86_400)
    answer = content.get(Range="bytes=0-0", If_Range=earlier)
    assert (answer.status_code, body(answer)) == (200, DATA)
