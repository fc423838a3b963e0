"""manage.py verify_uploads: what it says, its exit codes, and that it goes on where it stopped."""

import contextlib
import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import tempfile
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import OperationalError
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from tests.support.bodies import payload
from tests.support.server import REPOSITORY
from tests.support.sessions import fresh, upload
from tests.support.tasks import drop_tasks
from tests.support.threads import Running
from tests.support.waiting import wait_until
from uploads import conf
from uploads.core.plan import MIB
from uploads.engine import rereading
from uploads.management.commands import verify_uploads
from uploads.models import FileSession, StoredFile
from uploads.storage import get_store
from uploads.storage.filesystem import FilesystemStore

DATA = payload(250)
LIVE = StoredFile.State.LIVE
HUGE = 256 * 1024**3


@pytest.fixture(autouse=True)
def committed(transactional_db: None, settings: Settings) -> Iterator[None]:
    """Commits are real, and uploads are verified when a test says so."""
    settings.TASKS = {"default": {"BACKEND": "tests.support.tasks.HeldBackend"}}
    yield
    drop_tasks()


def verify(*arguments: str) -> tuple[int, str, str]:
    """Exit code, output, and what the error said."""
    out = StringIO()
    try:
        call_command("verify_uploads", *arguments, stdout=out, stderr=out)
    except CommandError as error:
        return error.returncode, out.getvalue(), str(error)
    return 0, out.getvalue(), ""


def count(output: str, row: str) -> int:
    [line] = [line for line in output.splitlines() if re.match(rf"  {row}  +\d+$", line)]
    return int(line.split()[-1])


def due(owner: User, data: bytes = DATA, **given: Any) -> FileSession:
    """A completed upload whose content was never read again."""
    session = upload(owner, data, **given)
    StoredFile.objects.filter(sessions=session.pk).update(verified_at=None)
    return session


def path_of(session: FileSession) -> Path:
    content = fresh(session).stored_file
    assert content is not None
    return conf.current().root / "content" / content.sha256 / str(content.pk)


def rot(session: FileSession) -> None:
    path = path_of(session)
    path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:])


@contextmanager
def unreadable(session: FileSession) -> Iterator[None]:
    whole = FilesystemStore.read

    def read(self: FilesystemStore, sha256: str, content_id: object) -> Any:
        if content_id == session.stored_file_id:
            raise OSError(5, "Input/output error")
        return whole(self, sha256, content_id)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FilesystemStore, "read", read)
        yield


# ------------------------------------------------------------------------- the exit code


def test_an_empty_store_is_sound(db: None) -> None:
    code, output, error = verify()
    assert (code, error) == (0, "")
    assert count(output, "sound") == 0


def test_all_sound_is_0_and_names_no_file(alice: User) -> None:
    due(alice), due(alice, payload(300, 1))
    code, output, _ = verify()
    assert code == 0
    assert output.startswith("Verified:\n")
    assert count(output, "sound") == 2
    assert count(output, "bytes read") == 550
    assert "sha" not in output.lower()
    assert re.search(r"\n  = 550 bytes in \d+ s, [\d.]+ \w+/s\n$", output)


def test_damage_is_1_and_says_whose_which_and_why(alice: User, bob: User) -> None:
    session = due(alice, filename="tides.csv")
    due(bob, filename="copy.csv")
    rot(session)
    code, output, error = verify()
    assert (code, count(output, "damaged"), count(output, "sound")) == (1, 1, 0)
    [line] = [line for line in output.splitlines() if line.startswith("damaged")]
    for part in (
        f"damaged {session.sha256} (250 bytes, {session.stored_file_id})",
        "its bytes have the SHA-256",
        "uploaded by 'alice' as 'tides.csv', by 'bob' as 'copy.csv'",
    ):
        assert part in line
    assert "damaged and not served: 1" in error


def test_damage_found_earlier_is_1_until_it_is_mended(alice: User) -> None:
    rot(due(alice, filename="tides.csv"))
    verify()
    for bound in ((), ("--hours", "0"), ("--limit", "0")):
        code, output, _ = verify(*bound)
        assert code == 1
        assert count(output, "damaged") == 0
        assert count(output, "damaged, found earlier") == 1
        assert "; uploaded by 'alice' as 'tides.csv'" in output
    upload(alice, DATA)
    assert verify("--again-after", "0")[0] == 0


def test_damage_found_earlier_is_1_until_it_is_deleted(alice: User) -> None:
    session = due(alice)
    rot(session)
    verify()
    client = Client()
    client.force_login(alice)
    assert client.delete(f"/api/v1/uploads/{session.pk}").status_code == 204
    assert verify()[0] == 0


def test_what_cannot_be_read_is_2_and_not_called_damaged(alice: User) -> None:
    bad = due(alice)
    due(alice, payload(300, 1))
    with unreadable(bad):
        code, output, error = verify()
    assert (code, count(output, "unreadable"), count(output, "sound")) == (2, 1, 1)
    assert count(output, "left for the next run") == 0
    assert f"unreadable {bad.sha256}" in output
    assert "Input/output error" in output
    assert "could not be read: 1" in error
    assert verify()[0] == 0


def test_damage_outweighs_what_cannot_be_read(alice: User) -> None:
    bad, rotten = due(alice), due(alice, payload(300, 1))
    rot(rotten)
    with unreadable(bad):
        code, output, _ = verify()
    assert (code, count(output, "unreadable"), count(output, "damaged")) == (1, 1, 1)


def test_a_storage_that_is_not_there_is_2_and_marks_nothing(alice: User, upload_root: Path) -> None:
    due(alice)
    upload_root.rename(upload_root.with_name("elsewhere"))
    code, output, error = verify()
    assert (code, error) == (2, "The storage could not be read.")
    assert "storage folder is not there" in output
    assert count(output, "left for the next run") == 1
    assert StoredFile.objects.get().state == LIVE


def test_a_database_that_refuses_is_2_and_not_taken_for_damage(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    due(alice)

    def refuse(*_: object) -> bool:
        raise OperationalError("database is locked")

    with monkeypatch.context() as patch:
        patch.setattr(rereading, "_mark_sound", refuse)
        code, _, error = verify()
    assert code == 2
    assert "database is locked" in error
    assert count(verify()[1], "sound") == 1


def test_damaged_content_that_no_upload_refers_to_says_so(alice: User) -> None:
    content = StoredFile.objects.create(sha256="a" * 64, size=1, state=LIVE)
    get_store().prepare()
    code, output, _ = verify()
    assert code == 1
    assert f"(1 bytes, {content.pk}): its file is missing; no upload refers to it" in output
    assert verify()[0] == 0


def test_ctrl_c_ends_it_with_the_table_and_130(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in range(3):
        due(alice, payload(300, seed))
    read = verify_uploads.Progress.read
    calls = []

    def interrupted(self: verify_uploads.Progress, count: int) -> None:
        calls.append(count)
        if len(calls) == 3:
            raise KeyboardInterrupt
        read(self, count)

    monkeypatch.setattr(verify_uploads.Progress, "read", interrupted)
    code, output, error = verify()
    assert (code, count(output, "sound"), count(output, "left for the next run")) == (130, 2, 1)
    assert "interrupted" in output
    assert "goes on" in error
    assert (verify()[0], count(verify()[1], "left for the next run")) == (0, 0)


# ----------------------------------------------------------------------- bounds, going on


def test_a_run_goes_on_where_the_last_was_stopped(alice: User) -> None:
    for seed in range(5):
        due(alice, payload(300, seed))
    seen = []
    for _ in range(4):
        _, output, _ = verify("--limit", "2")
        seen.append((count(output, "sound"), count(output, "left for the next run")))
    assert seen == [(2, 3), (2, 1), (1, 0), (0, 0)]


def test_no_time_reads_nothing_and_is_no_error(alice: User) -> None:
    due(alice)
    for hours in ("0", "1e-12"):
        code, output, _ = verify("--hours", hours)
        assert (code, count(output, "sound"), count(output, "bytes read")) == (0, 0, 0)
        assert count(output, "left for the next run") == 1


@pytest.mark.parametrize(("hours", "read"), [("0", 2), ("2", 1), ("48", 0)])
def test_what_was_verified_lately_is_skipped(alice: User, hours: str, read: int) -> None:
    for seed, ago in enumerate((1, 3)):
        session = due(alice, payload(300, seed))
        StoredFile.objects.filter(sessions=session.pk).update(
            verified_at=timezone.now() - timedelta(hours=ago)
        )
    output = verify("--again-after", hours)[1]
    assert (count(output, "sound"), count(output, "verified lately, not read")) == (read, 2 - read)


def test_by_default_a_file_is_read_once_a_day(alice: User) -> None:
    session = due(alice)
    for ago, read in ((23, 0), (25, 1)):
        StoredFile.objects.filter(sessions=session.pk).update(
            verified_at=timezone.now() - timedelta(hours=ago)
        )
        assert count(verify()[1], "sound") == read


@pytest.mark.parametrize("option", ["--hours", "--again-after"])
@pytest.mark.parametrize("value", ["-1", "nan", "inf", "9e9"])
def test_impossible_hours_are_refused(db: None, option: str, value: str) -> None:
    with pytest.raises(CommandError, match=f"{option} must be a number from 0"):
        call_command("verify_uploads", f"{option}={value}")


@pytest.mark.parametrize("value", ["-1", "9" * 30])
def test_an_impossible_limit_is_refused(db: None, value: str) -> None:
    with pytest.raises(CommandError, match="--limit must be a whole number from 0"):
        call_command("verify_uploads", f"--limit={value}")


@pytest.mark.parametrize("arguments", [("--limit", "some"), ("--hours", "long")])
def test_what_is_no_number_is_refused(db: None, arguments: tuple[str, str]) -> None:
    with pytest.raises(CommandError, match=arguments[0]):
        call_command("verify_uploads", *arguments)


# ------------------------------------------------------------------------- what it prints


def test_verbose_has_a_line_for_each(alice: User) -> None:
    sessions = [due(alice, payload(300, seed)) for seed in range(3)]
    rot(sessions[1])
    _, output, _ = verify("--verbose")
    for session in sessions:
        verdict = "damaged" if session == sessions[1] else "sound"
        assert f"{verdict} {session.sha256} (300 bytes" in output


def test_a_file_name_cannot_write_to_the_terminal(alice: User) -> None:
    session = due(alice)
    FileSession.objects.filter(pk=session.pk).update(filename="a\x1b[2Jb\nsound")
    rot(session)
    _, output, _ = verify()
    assert r"as 'a\x1b[2Jb\nsound'" in output
    assert "\x1b" not in output


def test_a_damaged_file_that_everybody_has_stays_one_line(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify_uploads, "MOST_UPLOADS", 2)
    session = due(alice)
    for _ in range(2):
        FileSession.objects.create(
            owner=alice,
            filename="copy.bin",
            size=session.size,
            chunk_size=session.chunk_size,
            sha256=session.sha256,
            status=session.status,
            stored_file=session.stored_file,
            expires_at=session.expires_at,
        )
    rot(session)
    [line] = [line for line in verify()[1].splitlines() if line.startswith("damaged ")]
    assert line.endswith("as 'file.bin', by 'alice' as 'copy.bin', and by others")


def test_the_exit_codes_stand_in_the_help() -> None:
    text = " ".join(
        verify_uploads.Command().create_parser("manage.py", "verify_uploads").format_help().split()
    )
    for words in ("0 all sound", "1 something is damaged", "2 nothing is damaged", "130"):
        assert words in text


# ------------------------------------------------------------------- what comes of damage


def test_p1_damaged_content_is_never_served_and_the_session_says_so(
    alice: User, alice_client: Client
) -> None:
    session = due(alice)
    url = f"/api/v1/uploads/{session.pk}"
    rot(session)
    verify()
    for method in (alice_client.get, alice_client.head):
        assert method(f"{url}/content").status_code == 409
    assert alice_client.get(f"{url}/content").json()["code"] == "content_damaged"
    ranged = alice_client.get(f"{url}/content", headers={"Range": "bytes=0-9"})
    assert ranged.status_code == 409
    upload(alice, DATA)
    response = alice_client.get(f"{url}/content")
    assert b"".join(response.streaming_content) == DATA  # type: ignore[attr-defined]


# ----------------------------------------------------------------------- a real process


class Process:
    """manage.py with a database and a store of its own."""

    def __init__(self, data: Path) -> None:
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("HOLDFAST_", "DJANGO_"))},
            "HOLDFAST_DATA": str(data),
        }
        self.command = [sys.executable, "manage.py"]
        self.content = data / "uploads" / "content"

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self.command, *arguments],
            check=False,
            cwd=REPOSITORY,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
        )

    def upload(self, size: int) -> Path:
        """One completed upload of zeros that was never read again; where its bytes are."""
        self.shell(f"""
import io
from django.contrib.auth.models import User
from uploads.engine.finishing import finish
from uploads.engine.opening import Offer, open_session
from uploads.engine.receiving import receive_chunk
from uploads.engine.transitions import move
owner = User.objects.create(username="carol")
_, session = open_session(owner, Offer("big.bin", {size}, chunk_size={size}))
receive_chunk(session, 0, io.BytesIO(bytes({size})), ())
move(session.pk, "active", "assembling")
finish(session.pk)
StoredFile.objects.update(verified_at=None)
""")
        [path] = [path for path in self.content.rglob("*") if path.is_file()]
        return path

    def shell(self, code: str) -> None:
        code = f"from uploads.models import StoredFile\n{code}"
        done = self.run("shell", "--no-imports", "-c", code)
        assert done.returncode == 0, done.stderr


@pytest.fixture
def process() -> Iterator[Process]:
    with tempfile.TemporaryDirectory(prefix="holdfast-verify-") as name:
        process = Process(Path(name))
        assert process.run("migrate", "--verbosity", "0").returncode == 0
        yield process


@pytest.mark.server
def test_the_process_ends_with_the_exit_code(process: Process) -> None:
    path = process.upload(100_000)
    sound = process.run("verify_uploads")
    assert (sound.returncode, sound.stderr) == (0, "")
    assert count(sound.stdout, "sound") == 1
    path.rename(path.with_name("away"))
    path.mkdir()
    unread = process.run("verify_uploads", "--again-after", "0")
    assert unread.returncode == 2
    assert "could not be read: 1" in unread.stderr
    path.rmdir()
    path.write_bytes(b"x" * 100_000)
    damaged = process.run("verify_uploads", "--again-after", "0")
    assert damaged.returncode == 1
    assert "uploaded by 'carol' as 'big.bin'" in damaged.stdout
    assert process.run("verify_uploads").returncode == 1
    assert process.run("verify_uploads", "--hours=-1").returncode == 2


@pytest.mark.server
@pytest.mark.parametrize("size", [(40, 120), (0, 0)])
def test_on_a_terminal_a_bar_shows_files_bytes_and_rate(
    process: Process, size: tuple[int, int]
) -> None:
    """Also on one that does not know its size."""
    process.upload(3 * MIB)
    parent, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
    # Meanwhile, or a slow machine would have more to show than fits into the terminal.
    showing = Running(lambda: all_that_comes(parent))
    try:
        done = subprocess.run(
            [*process.command, "verify_uploads"],
            check=False,
            cwd=REPOSITORY,
            env=process.environment,
            stdout=subprocess.PIPE,
            stderr=child,
            timeout=120,
        )
    finally:
        os.close(child)
        shown = str(showing.result())
        os.close(parent)
    assert done.returncode == 0
    last = shown.rstrip().rpartition("\r")[2]
    assert re.search(r"1/1 files: 100%\|.+\| 3\.00M/3\.00M \[.+B/s\]", last), shown
    assert count(done.stdout.decode(), "sound") == 1


def all_that_comes(terminal: int) -> str:
    """Until nobody has its other side open any more, which is an error of the device."""
    pieces = []
    with contextlib.suppress(OSError):
        while piece := os.read(terminal, 4096):
            pieces.append(piece)
    return b"".join(pieces).decode()


@pytest.mark.server
def test_sigint_ends_the_process_calmly_in_the_middle_of_a_file(process: Process) -> None:
    path = process.upload(1000)
    # Holes, which take no room on the disk, and longer to read than this test takes.
    process.shell(f"StoredFile.objects.update(size={HUGE})")
    os.truncate(path, HUGE)
    with (
        heeding_sigint(),
        subprocess.Popen(
            [*process.command, "verify_uploads"],
            cwd=REPOSITORY,
            env=process.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as running,
    ):
        try:
            wait_until(lambda: has_open(running.pid, path), "the file to be read")
            running.send_signal(signal.SIGINT)
            output, error = running.communicate(timeout=120)
        finally:
            running.kill()
    assert running.returncode == 130
    assert output.startswith("Verified, until it was interrupted:")
    assert count(output, "left for the next run") == 1
    assert error == "CommandError: Interrupted. Run again, it goes on from here.\n"


@contextmanager
def heeding_sigint() -> Iterator[None]:
    """A shell's background job ignores it, and so would its children: tests may run in one."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def has_open(pid: int, path: Path) -> bool:
    for link in Path(f"/proc/{pid}/fd").iterdir():
        # One that is closed while we look is not the one.
        with contextlib.suppress(FileNotFoundError):
            if link.samefile(path):
                return True
    return False
