"""Files and names made to do harm: each is refused, or does none (docs/security.md)."""

import io
import re
import zipfile
from dataclasses import dataclass
from html import escape
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from tests.support.signatures import beginning, file_of
from uploads import conf
from uploads.core.dispositions import saved_name
from uploads.engine.uploaded import UploadedContent
from uploads.models import FileSession, SessionStatus

from .conftest import Answer

pytestmark = pytest.mark.django_db

HTMX = {"HX-Request": "true"}
HANDSHAKE = "/api/v1/uploads/handshake"
EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
PHP = b"<?php system($_GET['c']); ?>"
SCRIPT = b"<script>alert(document.cookie)</script>"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)">' + SCRIPT + b"</svg>"


def zipped(name: str = "a.txt", data: bytes = b"x") -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, data)
    return packed.getvalue()


@dataclass(frozen=True)
class Case:
    what: str
    name: str = "notes.txt"
    data: bytes = b"text"
    mime_type: str = ""
    folder: str = ""


REFUSED_NAMES = [
    Case("a path upwards", "../../etc/passwd"),
    Case("a path of Windows upwards", "..\\..\\boot.ini"),
    Case("an absolute path", "/etc/passwd"),
    Case("a drive of Windows", "C:\\Windows\\win.ini"),
    Case("the folder itself", "."),
    Case("the folder above", ".."),
    Case("no name", "   "),
    Case("a name too long", "x" * 256),
    Case("an end of string", "notes.php\0.txt"),
    Case("a header of its own", "a\r\nSet-Cookie: a=b\r\n.txt"),
    Case("a terminal's escape", "a\x1b[2Jb.txt"),
    Case("a line of its own", "a\u2028b.txt"),
    Case("a text read backwards", "annual\u202efdp.txt"),
    Case("an isolate", "a\u2067exe.txt"),
    Case("a folder upwards", folder="../../up"),
    Case("an absolute folder", folder="/etc"),
]
REFUSED_KINDS = [
    Case("a page of a server", "shell.php", PHP),
    Case("in capitals", "SHELL.PHP7", PHP),
    Case("behind an image's end", "shell.php.jpg", file_of("jpg") + PHP),
    Case("with IIS's semicolon", "shell.asp;.jpg", file_of("jpg")),
    Case("with an encoded end of string", "shell.php%00.png", file_of("png")),
    Case("a stream of NTFS", "shell.php::$DATA", PHP),
    Case("settings of Apache", ".htaccess", b"AddType application/x-httpd-php .jpg"),
    Case("settings of IIS", "web.config", b"<configuration/>"),
    Case("a program", "setup.exe", file_of("exe")),
    Case("a program behind dots", "setup.exe. . ", file_of("exe")),
    Case("a program in wide letters", "setup.\uff45\uff58\uff45", file_of("exe")),
    Case("a program with nothing between", "setup.e\u200bxe", file_of("exe")),
    Case("a program as a document", "invoice.pdf          .exe", file_of("exe")),
    Case("a shortcut", "photo.lnk", beginning("png")),
    Case("a page declared for an image", "photo.png", SCRIPT, "text/html"),
    Case("a document declared an image", "paper.pdf", file_of("pdf"), "image/png"),
]
REFUSED_CONTENT = [
    Case("a script for an image", "photo.png", PHP, "image/png"),
    Case("a program for an image", "photo.jpg", file_of("exe"), "image/jpeg"),
    Case("a drawing for a photograph", "photo.jpg", SVG),
    Case("a page for a document", "paper.pdf", b"<!DOCTYPE html>" + SCRIPT),
    Case("an archive for a text", "notes.txt", zipped()),
    Case("an image for a text", "notes.csv", file_of("png"), "text/csv"),
    Case("a program by another name", "data.bin", file_of("exe")),
    Case("a page behind the declared type alone", "photo", SCRIPT, "image/gif"),
    Case("an image that is an archive", "photo.gif", file_of("gif") + zipped("a.class")),
    Case("an image that is a document", "photo.png", file_of("png", 300) + b"%PDF-1.4"),
    Case("an image behind which is a program's archive", "a.jpg", file_of("jpg") + zipped("X.jar")),
]
HARMLESS = [
    Case("a page with a script", "page.html", b"<!DOCTYPE html>" + SCRIPT, "text/html"),
    Case("a drawing with a script", "drawing.svg", SVG, "image/svg+xml"),
    Case("an image that is a script", "photo.gif", b"GIF89a=1;/*" + bytes(99) + b"*/alert(1)"),
    Case("entities without end", "a.xml", b'<!DOCTYPE a [<!ENTITY b "bb">]><a>&b;</a>', "text/xml"),
    Case("an entity of the server's", "b.xml", b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>'),
    Case("a bomb of zeros", "bomb.zip", zipped("zeros", bytes(10**7)), "application/zip"),
    Case("an archive with a path upwards", "slip.zip", zipped("../../etc/cron.d/x")),
    Case("a formula", "table.csv", b"=cmd|' /C calc'!A0\n", "text/csv"),
    Case("markup in a name", "<img src=x onerror=alert(1)>.txt"),
    Case("the end of an attribute", '" autofocus onfocus="alert(1)".txt'),
    Case("the end of a script", "</script><script>alert(1)</script>".replace("/", "\u2215")),
    Case("an address that runs", "javascript:alert(1)"),
    Case("a template's braces", "{{ settings.SECRET_KEY }}{% debug %}.txt"),
    Case("a header's end in a name", 'a"; filename="evil.exe.txt'),
    Case("an encoded end of line", "a%0d%0aSet-Cookie: a=b.txt"),
    Case("an encoded path", "%2e%2e%2f%2e%2e%2fetc%2fpasswd"),
    Case("a query's end", "'; DROP TABLE uploads_filesession; --.txt"),
    Case("an option", "-rf"),
    Case("a device of Windows", "CON.txt"),
    Case("a test for scanners, without one", "eicar.txt", EICAR),
    Case("markup in a folder", folder="<b onclick=alert(1)>"),
    Case("a type that a browser would run", "a.unknown", SCRIPT, "text/html"),
]


def case_id(case: Case) -> str:
    return case.what


def begun(client: Client, case: Case) -> Answer:
    fields = {
        "filename": case.name,
        "size": len(case.data),
        "mime_type": case.mime_type,
        "folder": case.folder,
        "resume_key": "hostile",
    }
    return client.post(HANDSHAKE, fields, "application/json")


def sent(client: Client, session: dict[str, Any], case: Case) -> Answer:
    path = session["urls"]["chunk"].replace("{index}", "0")
    return client.put(path, case.data, "application/octet-stream")


def brought_in(
    client: Client, case: Case, commit: DjangoCaptureOnCommitCallbacks
) -> dict[str, Any]:
    """The upload of this file as it is after its verification."""
    session: dict[str, Any] = begun(client, case).json()
    assert sent(client, session, case).status_code == 200
    with commit(execute=True):
        client.post(f"/api/v1/uploads/{session['id']}/complete", {}, "application/json")
    told: dict[str, Any] = client.get(f"/api/v1/uploads/{session['id']}").json()
    return told


def test_there_are_enough_of_them() -> None:
    assert len(REFUSED_NAMES + REFUSED_KINDS + REFUSED_CONTENT + HARMLESS) >= 40


@pytest.mark.parametrize("case", REFUSED_NAMES, ids=case_id)
def test_a_hostile_name_is_refused_before_anything_is_sent(
    alice_client: Client, case: Case
) -> None:
    answer = begun(alice_client, case)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_filename")
    assert not FileSession.objects.exists()


@pytest.mark.parametrize("case", REFUSED_KINDS, ids=case_id)
def test_a_hostile_kind_is_refused_before_anything_is_sent(
    alice_client: Client, case: Case
) -> None:
    answer = begun(alice_client, case)
    assert (answer.status_code, answer.json()["code"]) == (415, "type_not_allowed")
    assert not FileSession.objects.exists()


@pytest.mark.parametrize("case", REFUSED_CONTENT, ids=case_id)
def test_hostile_content_never_becomes_a_file(
    alice_client: Client,
    case: Case,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    session = begun(alice_client, case).json()
    answer = sent(alice_client, session, case)
    if answer.status_code == 200:
        # Only the whole file shows it.
        with django_capture_on_commit_callbacks(execute=True):
            alice_client.post(session["urls"]["complete"], {}, "application/json")
    else:
        assert (answer.status_code, answer.json()["code"]) == (415, "content_refused")
    told = alice_client.get(session["urls"]["self"]).json()
    assert (told["state"], told["refused"]) == ("failed", True)
    assert alice_client.get(session["urls"]["content"]).status_code == 409
    assert content_on_disk() == []


def content_on_disk() -> list[str]:
    root = conf.current().root
    return [str(p.relative_to(root)) for p in (root / "content").rglob("*") if p.is_file()]


@pytest.mark.parametrize(
    "case", [c for c in REFUSED_KINDS + REFUSED_CONTENT if "\u200b" not in c.name], ids=case_id
)
def test_a_plain_form_refuses_the_same(
    alice_client: Client,
    case: Case,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    file = SimpleUploadedFile("x", case.data, case.mime_type or "application/octet-stream")
    file._name = case.name  # type: ignore[attr-defined]  # As no browser names it.
    with django_capture_on_commit_callbacks(execute=True):
        answer = alice_client.post("/uploads/send", {"file": file}, headers={"Accept": "*/*"})
    if answer.status_code < 300:
        [session] = FileSession.objects.all()
        assert session.status == SessionStatus.FAILED
    else:
        assert answer.status_code in {400, 415}
    assert content_on_disk() == []


@pytest.mark.parametrize("case", HARMLESS, ids=case_id)
def test_what_comes_in_does_no_harm_on_its_way_out(
    alice_client: Client,
    case: Case,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    told = brought_in(alice_client, case, django_capture_on_commit_callbacks)
    assert (told["state"], told["filename"]) == ("completed", case.name)
    [path] = content_on_disk()
    assert re.fullmatch(r"content/[0-9a-f]{64}/[0-9a-f-]{36}", path)
    answer: Answer = alice_client.get(f"/api/v1/uploads/{told['id']}/content")
    assert b"".join(answer.streaming_content) == case.data
    assert answer["Content-Disposition"].startswith('attachment; filename="')
    assert answer["Content-Disposition"].count('"') == 2
    assert saved_name(case.name) not in {"CON.txt", ""}
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in answer["Content-Security-Policy"]
    assert "Set-Cookie" not in answer.headers
    assert not re.search("html|svg|xml|script", answer["Content-Type"])


@pytest.mark.parametrize("case", HARMLESS, ids=case_id)
def test_no_page_takes_a_name_for_anything_else(
    alice: User,
    alice_client: Client,
    case: Case,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    told = brought_in(alice_client, case, django_capture_on_commit_callbacks)
    alice.is_staff = alice.is_superuser = True
    alice.save()
    pages = [
        "/",
        f"/uploads/{told['id']}/",
        "/admin/uploads/filesession/",
        f"/admin/uploads/filesession/{told['id']}/change/",
    ]
    texts = [alice_client.get(page).content.decode() for page in pages]
    fragments = [HANDSHAKE, f"/api/v1/uploads/{told['id']}/handshake"]
    texts += [alice_client.get(url, headers=HTMX).content.decode() for url in fragments]
    alice_client.post(f"/uploads/{told['id']}/remove")
    texts.append(alice_client.get("/").content.decode())
    for text in texts:
        for hostile in (case.name, case.folder):
            if hostile and escape(hostile) != hostile:
                assert hostile not in text
        assert "alert(document.cookie)" not in text
    assert any(escape(case.name) in text or case.name in text for text in texts)


def refuse_eicar(content: UploadedContent) -> None:
    if EICAR in content.read():
        raise ValidationError("The scanner found EICAR.")


def break_down(content: UploadedContent) -> None:
    raise ConnectionError("the scanner is down")


@pytest.mark.parametrize(
    ("scanner", "state"), [("refuse_eicar", "failed"), ("break_down", "assembling")]
)
def test_a_scanner_refuses_and_one_that_is_down_admits_nothing(
    alice_client: Client,
    settings: Settings,
    scanner: str,
    state: str,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    settings.UPLOADS = {**settings.UPLOADS, "VALIDATORS": [f"{__name__}.{scanner}"]}
    case = Case("a test for scanners", "eicar.txt", EICAR)
    told = brought_in(alice_client, case, django_capture_on_commit_callbacks)
    assert told["state"] == state
    assert content_on_disk() == []


def test_a_type_is_no_way_to_add_a_header(alice_client: Client) -> None:
    for mime_type in ("text/plain\r\nSet-Cookie: a=b", "text/html; charset=\x00", "a" * 300):
        answer = begun(alice_client, Case("a type", mime_type=mime_type))
        assert answer.status_code == 400
