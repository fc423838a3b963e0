"""Each server as its own documentation starts it, on 127.0.0.1, with its data in one folder."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support.nginx import NGINX
from tests.support.nginx import nginx as running_nginx
from tests.support.server import REPOSITORY, free_port
from tests.support.waiting import wait_until

from . import installing
from .verdicts import NotHere


@contextmanager
def bare_app(folder: Path) -> Iterator[int]:
    port = free_port()
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "benchmarks.comparison.bare",
        str(port),
        folder,
    ]
    with running(command, port, folder, cwd=REPOSITORY):
        yield port


@contextmanager
def tus_server(folder: Path) -> Iterator[int]:
    """Raises NotHere."""
    port = free_port()
    command: list[str | Path] = [
        installing.node(),
        installing.tus_server(),
        str(port),
        folder / "files",
    ]
    (folder / "files").mkdir()
    with running(command, port, folder):
        yield port


@contextmanager
def django_chunked_upload(folder: Path) -> Iterator[int]:
    """Raises NotHere."""
    port = free_port()
    python = installing.python_environment("django_chunked_upload") / "python"
    command: list[str | Path] = [
        python,
        installing.OTHERS / "chunked_upload_site.py",
        str(port),
        folder,
    ]
    with running(command, port, folder, cwd=installing.OTHERS):
        yield port


@contextmanager
def copyparty(folder: Path) -> Iterator[int]:
    """Its files are in `folder/files`. Raises NotHere."""
    port = free_port()
    command: list[str | Path] = [installing.python_environment("copyparty") / "copyparty"]
    (folder / "files").mkdir()
    given = ["-q", "-i", "127.0.0.1", "-p", str(port), "--http-only", "--wram", "-v"]
    homes = {"HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    with running([*command, *given, f"{folder}/files::rw"], port, folder, homes):
        yield port


@contextmanager
def nginx(folder: Path) -> Iterator[int]:
    """Its files are in `folder/files`. Raises NotHere."""
    if NGINX is None:
        raise NotHere("there is no nginx here (`make browser-tools` gets Debian's)")
    (folder / "files").mkdir()
    block = f"root {folder}/files; client_max_body_size 0; dav_methods PUT;\n"
    with running_nginx(block, folder) as port:
        yield port


@contextmanager
def running(
    command: Sequence[str | Path],
    port: int,
    folder: Path,
    environment: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Iterator[None]:
    """Until the context ends; then its whole group of processes is ended."""
    log = folder / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=cwd or folder,
            env={**os.environ, **(environment or {}), "PYTHONDONTWRITEBYTECODE": "1"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:

        def answers() -> bool:
            if process.poll() is not None:
                said = log.read_text(errors="replace")[-500:]
                raise NotHere(f"{command[0]} ended with {process.returncode}: {said}")
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        wait_until(answers, f"{command[0]} on port {port}")
        yield
    finally:
        _end(process)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """With all that it has started: Node from PyPI runs behind a launcher that does not pass on."""
    for how in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, how)
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
