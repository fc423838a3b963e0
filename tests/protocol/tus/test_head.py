"""HEAD: how far an upload is (tus 1.0, section "HEAD")."""

from collections.abc import Callable
from unittest import mock
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError
from django.test import Client
from django.utils import timezone

from tests.support.sessions import begin, send
from uploads.errors import StorageFull
from uploads.models import FileSession
from uploads.protocols.tus import views

from .conftest import Ask, fits

Create = Callable[..., str]


def test_an_upload_tells_its_offset_and_length(ask: Ask, create: Create, patch: Ask) -> None:
    path = create(10)
    patch(path, 0, b"hel")
    answer = ask(f"HEAD {path}")
    assert fits(
        answer,
        200,
        Upload_Offset="3",
        Upload_Length="10",
        Upload_Defer_Length=None,
        Upload_Metadata=None,
        Upload_Concat=None,
        Cache_Control="no-store",
    )
    assert "Upload-Expires" in answer
    assert answer.content == b""


def test_a_complete_upload_has_all_its_bytes_and_never_expires(
    ask: Ask, create: Create, patch: Ask
) -> None:
    path = create(5)
    patch(path, 0, b"hello")
    answer = ask(f"HEAD {path}")
    assert fits(answer, 200, Upload_Offset="5", Upload_Length="5", Upload_Expires=None)


def test_chunks_that_came_in_ahead_do_not_count(ask: Ask, alice: User) -> None:
    """Another protocol sends them in any order; here it goes on at the first gap."""
    data = b"x" * 250
    session = begin(alice, data)
    send(session, 1, data[100:200])
    assert fits(ask(f"HEAD /files/{session.pk}"), 200, Upload_Offset="0", Upload_Length="250")
    send(session, 0, data[:100])
    assert fits(ask(f"HEAD /files/{session.pk}"), 200, Upload_Offset="200")


def test_an_unknown_upload_is_404(ask: Ask) -> None:
    assert fits(ask(f"HEAD /files/{uuid4()}"), 404, Upload_Offset=None, Cache_Control="no-store")


def test_p9_another_persons_upload_is_404(ask: Ask, create: Create, bob_client: Client) -> None:
    path = create(10)
    for method in ("HEAD", "PATCH", "DELETE"):
        assert fits(ask(f"{method} {path}", client=bob_client), 404)
    assert fits(ask(f"HEAD {path}"), 200)


def test_an_expired_upload_is_410(ask: Ask, create: Create) -> None:
    path = create(10)
    FileSession.objects.update(expires_at=timezone.now())
    assert fits(ask(f"HEAD {path}"), 410, Upload_Offset=None, Upload_Length=None)


@pytest.mark.parametrize("error", [OperationalError("locked"), StorageFull("no room for the log")])
def test_what_will_pass_is_423_and_nothing_else(ask: Ask, create: Create, error: Exception) -> None:
    """tus-js-client tries again on this; on any other refusal it would begin from the start."""
    path = create(10)
    with mock.patch.object(views, "get_session", side_effect=error):
        assert fits(ask(f"HEAD {path}"), 423, Upload_Offset=None)
