"""The project's own say about content: before it counts, under each name, and never in between."""

import io
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ImproperlyConfigured, ValidationError
from pytest_django import Settings

from tests.support.bodies import cut, payload, sha256
from tests.support.sessions import TINY_CHUNK, begin, content_files, fresh, handshake, send, upload
from tests.support.tasks import run_tasks
from uploads import conf
from uploads.engine.finishing import finish
from uploads.engine.renaming import rename
from uploads.engine.uploaded import UploadedContent
from uploads.errors import ContentRefused, Unavailable
from uploads.models import FileSession, SessionStatus
from uploads.signals import upload_failed

DATA = payload(350)
seen: list[Any] = []


def look(content: UploadedContent) -> None:
    facts = (content.name, content.size, content.content_type, content.sha256)
    seen.append((facts, content.read(), b"".join(content.chunks(100)), content.session_id))


def refuse(content: UploadedContent) -> None:
    raise ValidationError([f"{content.name} is not taken.", "Send another one."])


def refuse_others(content: UploadedContent) -> None:
    if content.name != "file.bin":
        raise ValidationError("another name")


def break_down(content: UploadedContent) -> None:
    raise ConnectionError("the scanner is down")


def find_no_socket(content: UploadedContent) -> None:
    raise FileNotFoundError("/run/scanner.socket")


def use(settings: Settings, *validators: Any) -> None:
    paths = [f"{__name__}.{validator.__name__}" for validator in validators]
    settings.UPLOADS = {**settings.UPLOADS, "VALIDATORS": paths}


def test_a_validator_sees_the_whole_file_before_it_is_complete(
    alice: User, settings: Settings
) -> None:
    use(settings, look)
    seen.clear()
    session = upload(alice, DATA, mime_type="text/plain")
    assert session.status == SessionStatus.COMPLETED
    assert seen == [(("file.bin", 350, "text/plain", sha256(DATA)), DATA, DATA, session.pk)]


def test_what_a_validator_refuses_fails_in_its_words(alice: User, settings: Settings) -> None:
    heard: list[tuple[str, str]] = []

    def receive(session: FileSession, error: str, **_: Any) -> None:
        heard.append((session.status, error))

    use(settings, look, refuse)
    upload_failed.connect(receive)
    try:
        session = upload(alice, DATA)
    finally:
        upload_failed.disconnect(receive)
    words = "file.bin is not taken. Send another one."
    assert (session.status, session.error) == (SessionStatus.FAILED, words)
    assert heard == [("failed", words)]
    assert content_files() == []


def test_a_validator_that_breaks_down_delays_and_admits_nothing(
    alice: User, settings: Settings
) -> None:
    session = begin(alice, DATA)
    for index, chunk in enumerate(cut(DATA, TINY_CHUNK)[:3]):
        send(session, index, chunk)
    use(settings, break_down)
    send(session, 3, cut(DATA, TINY_CHUNK)[3])
    with pytest.raises(Unavailable):
        finish(session.pk)
    assert fresh(session).status == SessionStatus.ASSEMBLING
    use(settings, look)
    run_tasks()
    finish(session.pk)
    assert fresh(session).status == SessionStatus.COMPLETED


def test_known_content_is_looked_at_under_its_new_name(alice: User, settings: Settings) -> None:
    use(settings, refuse_others)
    upload(alice, DATA)
    with pytest.raises(ContentRefused, match="another name"):
        handshake(alice, DATA, filename="other.bin")
    assert FileSession.objects.count() == 1


def test_a_file_is_renamed_only_to_what_the_validators_take(
    alice: User, settings: Settings
) -> None:
    use(settings, refuse_others)
    session = upload(alice, DATA)
    with pytest.raises(ContentRefused, match="another name"):
        rename(session, "other.bin")
    assert fresh(session).filename == "file.bin"


@pytest.mark.parametrize("validator", [break_down, find_no_socket])
def test_while_a_validator_is_down_nothing_known_gets_another_name(
    alice: User, settings: Settings, validator: Any
) -> None:
    session = upload(alice, DATA)
    use(settings, validator)
    with pytest.raises(Unavailable, match="Nothing was lost"):
        rename(session, "other.bin")
    with pytest.raises(Unavailable, match="Nothing was lost"):
        handshake(alice, DATA, filename="other.bin")
    assert [row.filename for row in FileSession.objects.all()] == ["file.bin"]


def test_while_a_validator_is_down_an_empty_file_waits_for_it(
    alice: User, settings: Settings
) -> None:
    use(settings, break_down)
    session = begin(alice, b"")
    assert session.status == SessionStatus.ASSEMBLING
    use(settings, look)
    finish(session.pk)
    assert fresh(session).status == SessionStatus.COMPLETED


@pytest.mark.parametrize("validators", ["tests.look", [1]])
def test_validators_are_a_list_of_paths(validators: Any) -> None:
    with pytest.raises(ImproperlyConfigured, match="VALIDATORS"):
        conf.parse({"ROOT": "/unused", "VALIDATORS": validators})


def test_content_is_read_again_from_its_start_and_as_any_file_is(
    alice: User, settings: Settings
) -> None:
    found: list[Any] = []

    def read(content: UploadedContent) -> None:
        content.open()
        assert content.read(10) == DATA[:10]
        content.seek(-10, io.SEEK_END)
        assert (content.tell(), content.read()) == (340, DATA[-10:])
        content.seek(5)
        content.seek(5, io.SEEK_CUR)
        assert content.read(3) == DATA[10:13]
        with pytest.raises(ValueError, match="for reading"):
            content.open("wb")
        content.close()
        assert content.closed
        assert content.open("rb").read() == DATA
        found.append(content)

    globals()["read"] = read
    use(settings, read)
    upload(alice, DATA)
    del globals()["read"]
    assert len(found) == 1
