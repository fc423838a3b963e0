"""GET .../check: by which chunks a client tells whether its file is the one of an upload."""

from datetime import timedelta
from typing import Any

import pytest
from blake3 import blake3
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import DjangoAssertNumQueries

from tests.support.bodies import SMALL_CHUNK
from uploads.core.bitmap import Bitmap
from uploads.engine.comparing import MOST, chunks_to_compare
from uploads.models import FileChunk, FileSession

from .conftest import CHUNKS, Begin, Put, refused


def url(session: dict[str, Any]) -> str:
    return f"{session['urls']['self']}/check"


def test_the_chunks_named_are_those_that_came(alice_client: Client, begin: Begin, put: Put) -> None:
    session = begin(sha256="", resume_key="file.bin 1700000000")
    assert alice_client.get(url(session)).json() == {"chunks": []}
    for index in (2, 0):
        put(session, index, CHUNKS[index])
    answer = alice_client.get(url(session))
    assert answer["Cache-Control"] == "no-store"
    assert answer.json()["chunks"] == [
        {
            "index": index,
            "offset": index * SMALL_CHUNK,
            "length": len(CHUNKS[index]),
            "blake3": blake3(CHUNKS[index]).hexdigest(),
        }
        for index in (0, 2)
    ]


def test_an_upload_that_is_gone_has_nothing_to_compare(alice_client: Client, begin: Begin) -> None:
    session = begin(sha256="")
    alice_client.delete(session["urls"]["self"])
    assert refused(alice_client.get(url(session)), 410, "session_cancelled")


def received(owner: User, indices: list[int], total: int) -> FileSession:
    """An upload of `total` chunks, of which these are in."""
    bitmap = Bitmap(b"", total)
    for index in indices:
        bitmap.add(index)
    session = FileSession.objects.create(
        owner=owner,
        filename="large.bin",
        size=total * 10,
        chunk_size=10,
        received=bitmap.to_bytes(),
        received_count=len(indices),
        expires_at=timezone.now() + timedelta(days=1),
    )
    FileChunk.objects.bulk_create(
        FileChunk(session=session, index=index, fingerprint=bytes([index % 256]) * 32)
        for index in indices
    )
    return session


@pytest.mark.parametrize(
    ("indices", "named"),
    [
        ([5], [5]),
        ([3, 4, 9], [3, 4, 9]),
        (list(range(8)), list(range(8))),
        (list(range(10, 25)), [10, 12, 14, 16, 18, 20, 22, 24]),
        # In a run that is long and one that is short.
        ([*range(100), 998, 999], [0, 14, 28, 43, 57, 72, 86, 999]),
    ],
)
def test_the_first_the_last_and_some_between_are_named(
    alice: User, indices: list[int], named: list[int]
) -> None:
    chunks = chunks_to_compare(received(alice, indices, 1000))
    assert [chunk.index for chunk in chunks] == named
    assert all(chunk.fingerprint == bytes([chunk.index % 256]) * 32 for chunk in chunks)


def test_of_the_largest_upload_a_few_rows_are_read(
    alice: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    session = received(alice, list(range(0, 10_000, 2)), 10_000)
    with django_assert_num_queries(1):
        assert len(chunks_to_compare(session)) == MOST
