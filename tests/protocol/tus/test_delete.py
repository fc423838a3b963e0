"""DELETE: termination (tus 1.0, section "Termination")."""

from collections.abc import Callable
from uuid import uuid4

from tests.support.sessions import content_files

from .conftest import Ask, fits, row

Create = Callable[..., str]


def test_a_terminated_upload_is_gone(ask: Ask, create: Create, patch: Ask) -> None:
    path = create(10)
    patch(path, 0, b"hel")
    answer = ask(f"DELETE {path}")
    assert fits(answer, 204)
    assert answer.content == b""
    assert fits(ask(f"HEAD {path}"), 410, Upload_Offset=None)
    assert fits(patch(path, 3, b"lo"), 410)
    assert fits(ask(f"DELETE {path}"), 410)
    assert row(path).status == "cancelled"


def test_a_complete_upload_is_deleted(ask: Ask, create: Create, patch: Ask) -> None:
    path = create(5)
    patch(path, 0, b"hello")
    assert fits(ask(f"DELETE {path}"), 204)
    assert fits(ask(f"HEAD {path}"), 404, Upload_Offset=None)
    assert content_files() == []


def test_an_unknown_upload_is_404(ask: Ask) -> None:
    assert fits(ask(f"DELETE /files/{uuid4()}"), 404)
