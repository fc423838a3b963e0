"""What may come in (B5): told by the name, before anything is sent; by the first chunk; by all."""

import zipfile
from io import BytesIO
from typing import Any

import pytest
from django.contrib.auth.models import User
from pytest_django import Settings

from tests.support.bodies import cut, payload
from tests.support.crashes import hooked
from tests.support.sessions import begin, content_files, fresh, handshake, send, staging_of, upload
from tests.support.signatures import file_of
from tests.support.tasks import run_tasks
from tests.support.waiting import wait_until
from uploads.core.digests import Digest
from uploads.engine import finishing
from uploads.engine.appending import append
from uploads.engine.opening import Offer, Outcome, open_session, open_whole
from uploads.engine.reasons import HIDDEN_FILE, HIDDEN_PROGRAM, OTHER_KIND
from uploads.engine.receiving import receive_chunk
from uploads.engine.renaming import rename
from uploads.engine.validating import validate
from uploads.errors import ContentRefused, DigestMismatch, FileTypeNotAllowed, SessionFailed
from uploads.failpoints import Failpoint
from uploads.models import EventKind, FileSession, Role, SessionStatus
from uploads.signals import upload_failed

CHUNK = 4096
PNG, PDF, EXE = file_of("png"), file_of("pdf"), file_of("exe")


def use(settings: Settings, **changes: Any) -> None:
    settings.UPLOADS = {**settings.UPLOADS, **changes}


def zipped() -> bytes:
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("page.html", "<script>alert(1)</script>")
    return packed.getvalue()


@pytest.mark.parametrize(
    "name", ["x.exe", "x.php", "x.php.jpg", "x.pdf.exe", "x.exe. ", ".htaccess", "x.txt:y.exe"]
)
def test_a_dangerous_name_opens_no_upload(alice: User, name: str) -> None:
    with pytest.raises(FileTypeNotAllowed, match=r"Nothing was sent"):
        handshake(alice, payload(350), filename=name)
    assert not FileSession.objects.exists()


def test_a_project_says_what_it_takes(alice: User, settings: Settings) -> None:
    use(settings, ALLOWED_EXTENSIONS=[".PDF", "tar.gz"])
    with pytest.raises(FileTypeNotAllowed) as refusal:
        begin(alice, PNG, filename="a.png")
    assert refusal.value.members["allowed_files"] == [".pdf", ".tar.gz"]
    assert upload(alice, PDF, filename="a.PDF").status == SessionStatus.COMPLETED
    assert upload(alice, file_of("gz"), filename="a.tar.gz").status == SessionStatus.COMPLETED


def test_a_project_may_take_programs_and_say_what_it_denies(
    alice: User, settings: Settings
) -> None:
    use(settings, DENIED_EXTENSIONS=["svg"])
    assert upload(alice, EXE, filename="setup.exe").status == SessionStatus.COMPLETED
    for name in ("a.svg", "invoice.pdf.exe"):
        with pytest.raises(FileTypeNotAllowed):
            begin(alice, EXE, filename=name)


def test_a_type_that_is_not_what_the_name_says_opens_no_upload(alice: User) -> None:
    with pytest.raises(FileTypeNotAllowed, match="PNG ≠ PDF"):
        begin(alice, PNG, filename="a.png", mime_type="application/pdf")


def test_false_content_is_refused_with_its_first_chunk_and_nothing_more_is_wanted(
    alice: User,
) -> None:
    heard: list[str] = []

    def receive(error: str, **_: Any) -> None:
        heard.append(error)

    session = begin(alice, PDF, filename="a.png", chunk_size=CHUNK)
    upload_failed.connect(receive)
    try:
        with pytest.raises(ContentRefused) as refusal:
            send(session, 0, PDF[:CHUNK])
    finally:
        upload_failed.disconnect(receive)
    assert refusal.value.members == {"evidence": "PNG ≠ PDF"}
    failed = fresh(session)
    assert (failed.status, failed.error, failed.received_count) == ("failed", OTHER_KIND, 0)
    assert failed.events.get(kind=EventKind.FAILED).detail == "PNG ≠ PDF"
    assert heard == [OTHER_KIND]
    assert not staging_of(session).exists()
    with pytest.raises(SessionFailed):
        send(session, 1, PDF[CHUNK:])


def test_p2_a_damaged_first_chunk_is_no_reason_to_give_up(alice: User) -> None:
    session = begin(alice, PNG, filename="a.png", chunk_size=CHUNK)
    with pytest.raises(DigestMismatch):
        send(session, 0, b"\x00" * CHUNK, [Digest("sha-256", bytes(32))])
    assert fresh(session).status == SessionStatus.ACTIVE
    send(session, 0, PNG[:CHUNK])


def test_later_chunks_first_and_the_first_one_last_make_no_difference(alice: User) -> None:
    session = begin(alice, PDF, filename="a.png", chunk_size=CHUNK)
    send(session, 1, PDF[CHUNK:])
    with pytest.raises(ContentRefused):
        send(session, 0, PDF[:CHUNK])
    assert fresh(session).status == SessionStatus.FAILED


def test_a_stream_of_false_content_is_refused_as_soon_as_its_first_chunk_is_whole(
    alice: User,
) -> None:
    session = begin(alice, PDF, filename="a.png", chunk_size=CHUNK)
    with pytest.raises(ContentRefused):
        append(session, 0, BytesIO(PDF), len(PDF))
    assert fresh(session).status == SessionStatus.FAILED


def test_a_stream_is_told_of_the_refusal_and_not_of_what_came_of_it(alice: User) -> None:
    """It removes the folder that the next chunk would go to."""
    session = begin(alice, PDF, filename="a.png", chunk_size=CHUNK)
    created: list[Failpoint] = []

    def hook(point: Failpoint) -> None:
        if point == Failpoint.INCOMING_CREATE:
            created.append(point)
            if len(created) == 2:
                wait_until(lambda: not staging_of(session).exists(), "the refusal")

    with hooked(hook), pytest.raises(ContentRefused):
        append(session, 0, BytesIO(PDF), len(PDF))
    assert len(created) == 2


def test_a_part_of_a_file_begins_anywhere_in_it_and_the_whole_is_looked_at(alice: User) -> None:
    for name, expected in (("a.png", SessionStatus.COMPLETED), ("a.pdf", SessionStatus.FAILED)):
        parts = []
        for data in (PNG, PDF):
            offer = Offer(name, len(data), chunk_size=CHUNK, role=Role.PART)
            session = open_session(alice, offer)[1]
            append(session, 0, BytesIO(data), len(data))
            parts.append(fresh(session))
        whole = open_whole(alice, Offer(name, None), parts)
        run_tasks()
        assert fresh(whole).status == expected


def test_what_the_first_chunk_is_too_small_to_show_the_whole_file_does(alice: User) -> None:
    session = begin(alice, PDF, filename="a.png", chunk_size=100)
    for index, chunk in enumerate(cut(PDF, 100)):
        send(session, index, chunk)
    assert fresh(session).status == SessionStatus.ASSEMBLING
    run_tasks()
    failed = fresh(session)
    assert (failed.status, failed.error) == (SessionStatus.FAILED, OTHER_KIND)
    assert content_files() == []


@pytest.mark.parametrize("extension", ["png", "jpg", "pdf", "zip", "docx", "mp4", "txt", "7z"])
def test_honest_files_of_every_kind_come_through(alice: User, extension: str) -> None:
    session = upload(alice, file_of(extension), filename=f"a.{extension}", chunk_size=CHUNK)
    assert session.status == SessionStatus.COMPLETED


def test_a_program_is_taken_under_no_name(alice: User, settings: Settings) -> None:
    for name in ("data.bin", "no extension"):
        session = begin(alice, EXE, filename=name, chunk_size=CHUNK)
        with pytest.raises(ContentRefused):
            send(session, 0, EXE[:CHUNK])
        assert fresh(session).error == HIDDEN_PROGRAM
    use(settings, DENIED_EXTENSIONS=[])
    assert upload(alice, EXE, filename="data.bin").status == SessionStatus.COMPLETED


@pytest.mark.parametrize("extension", ["png", "gif", "jpg", "webp", "bmp"])
def test_an_image_that_is_also_an_archive_or_a_document_is_refused(
    alice: User, extension: str
) -> None:
    image = file_of(extension, 200)
    for hidden, said in ((zipped(), "ZIP"), (b"%PDF-1.4", "PDF"), (zipped() + b"x" * 900, "ZIP")):
        session = upload(alice, image + hidden, filename=f"a.{extension}")
        assert (session.status, session.error) == (SessionStatus.FAILED, HIDDEN_FILE)
        assert said in session.events.get(kind=EventKind.FAILED).detail


def test_an_image_with_a_few_letters_of_another_format_is_an_image(alice: User) -> None:
    claims = b"PK\x05\x06" + b"\x00" * 6 + b"\x01\x00" + b"\xff" * 8 + b"\x00\x00"
    for behind in (b"PK\x05\x06", claims, b"PK\x05\x06" * 5000, b"x" * 2000 + b"%PDF-"):
        image = file_of("png", 200) + behind
        assert upload(alice, image, filename="a.png").status == SessionStatus.COMPLETED


def test_content_that_is_here_already_is_looked_at_under_its_new_name(alice: User) -> None:
    upload(alice, PDF, filename="a.pdf")
    outcome, copied = handshake(alice, PDF, filename="b.pdf")
    assert (outcome, copied.filename) == (Outcome.FILE_EXISTS, "b.pdf")
    with pytest.raises(ContentRefused):
        handshake(alice, PDF, filename="b.png")


def test_a_file_is_renamed_only_to_what_it_is(alice: User) -> None:
    session = upload(alice, PDF, filename="a.pdf")
    assert rename(session, "b.PDF").filename == "b.PDF"
    assert rename(session, "b").filename == "b"
    for name, refusal in (("b.png", ContentRefused), ("b.exe", FileTypeNotAllowed)):
        with pytest.raises(refusal):
            rename(session, name)
    assert fresh(session).filename == "b"


def test_who_gives_a_file_its_right_name_while_it_is_verified_loses_nothing(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = begin(alice, PDF, filename="a.png", chunk_size=100)
    for index, chunk in enumerate(cut(PDF, 100)):
        send(session, index, chunk)

    def renamed_first(content: Any) -> None:
        if fresh(session).filename == "a.png":
            rename(fresh(session), "a.pdf")
        validate(content)

    monkeypatch.setattr(finishing, "validate", renamed_first)
    run_tasks()
    assert (fresh(session).status, fresh(session).filename) == ("completed", "a.pdf")


def test_without_the_check_of_content_only_names_count(alice: User, settings: Settings) -> None:
    use(settings, CHECK_CONTENT=False)
    session = upload(alice, PDF, filename="a.png", mime_type="image/jpeg", chunk_size=CHUNK)
    assert session.status == SessionStatus.COMPLETED
    with pytest.raises(FileTypeNotAllowed):
        begin(alice, PDF, filename="a.exe")


def test_a_program_whose_header_lies_far_in_the_file_is_one(alice: User) -> None:
    far = 3 * CHUNK
    data = b"MZ" + bytes(58) + far.to_bytes(4, "little")
    data = data.ljust(far, b"\x01") + b"PE\x00\x00" + bytes(CHUNK)
    session = upload(alice, data, filename="data.bin", chunk_size=CHUNK)
    assert (session.status, session.error) == (SessionStatus.FAILED, HIDDEN_PROGRAM)
    # Where it says so and there is none, it is what it is.
    other = data.replace(b"PE\x00\x00", b"none")
    assert upload(alice, other, filename="data.bin", chunk_size=CHUNK).status == "completed"
    assert upload(alice, data[:CHUNK], filename="data.bin", chunk_size=CHUNK).status == "completed"


def test_who_gives_a_file_its_right_name_while_the_first_chunk_comes_loses_nothing(
    alice: User,
) -> None:
    session = begin(alice, PDF, filename="a.png", chunk_size=CHUNK)
    rename(fresh(session), "a.pdf")
    receive_chunk(session, 0, BytesIO(PDF[:CHUNK]))
    assert (fresh(session).status, fresh(session).received_count) == (SessionStatus.ACTIVE, 1)
