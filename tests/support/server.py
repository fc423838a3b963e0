"""A real `manage.py serve`, with data of its own, that leaves nothing behind."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from itertools import cycle
from pathlib import Path
from types import TracebackType
from typing import Self

import requests

from uploads.engine.database import KEPT

from .waiting import wait_until

REPOSITORY = Path(__file__).resolve().parents[2]
PASSWORD = "a-password-for-tests"
USER = "admin"
_DATABASE = ".sqlite3"
START_SECONDS = 120.0
END_SECONDS = 60.0


#: Below those that a system gives to outgoing connections: of these one may be taken while a server
#: that is killed has not started again.
_FIRST_PORT, _PORTS_EACH = 10_000, 4_000


def _own_ports() -> Iterator[int]:
    """Of this process alone among those that test side by side, over and over.

    A server shares its port with whoever binds it within the seconds of its start: two would take
    turns with each other's requests.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    first = _FIRST_PORT + worker % 5 * _PORTS_EACH
    # Not where an earlier run began: what it has served is kept in mind by its clients.
    start = os.getpid() * 61 % _PORTS_EACH
    return cycle(first + (start + number) % _PORTS_EACH for number in range(_PORTS_EACH))


_ports = _own_ports()


def free_port() -> int:
    return next(port for port in _ports if _is_free(port))


def _is_free(port: int) -> bool:
    with socket.socket() as listener:
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that ended but was not waited for does not.

    Of one that is killed the first thread may have ended while others still hold its port.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        threads = os.listdir(f"/proc/{pid}/task")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z" or len(threads) > 1


def _children(pid: int) -> list[int]:
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        texts = [(task / "children").read_text() for task in tasks]
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [int(child) for text in texts for child in text.split()]


class Server:
    """`with Server() as server:` serves at `server.url`; user `admin`, password PASSWORD.

    A `{port}` in what it is given stands for its port. The same port and data survive `kill9` and
    `restart`; the end of the context removes all.
    """

    def __init__(self, *, workers: int | None = 1, **environment: str) -> None:
        """`workers`: one, that a test may look into; None for as many as it has by itself."""
        self.data = Path(tempfile.mkdtemp(prefix="holdfast-server-"))
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = self.data / "server.log"
        self._environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("HOLDFAST_", "DJANGO_"))},
            "HOLDFAST_DATA": str(self.data),
            "HOLDFAST_PASSWORD": PASSWORD,
            **{key: value.replace("{port}", str(self.port)) for key, value in environment.items()},
        }
        self._workers = [] if workers is None else ["--workers", str(workers)]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def pid(self) -> int:
        assert self._process is not None, "the server is not running"
        return self._process.pid

    @property
    def worker_pid(self) -> int:
        """The process that answers requests: the child with the most memory.

        (Another child only keeps track of shared resources.)
        """
        return max(_children(self.pid), key=lambda pid: _status_bytes(pid, "VmRSS"))

    @property
    def worker_pids(self) -> list[int]:
        """Those that answer requests, by many threads, in order of their start."""
        return [pid for pid in _children(self.pid) if _threads(pid) > 1]

    @property
    def pids(self) -> list[int]:
        return [self.pid, *_children(self.pid)]

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def start(self) -> None:
        """Start, and return once it answers."""
        assert self._process is None, "the server is running already"
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command("serve", "--prepare", "--port", str(self.port), *self._workers),
                cwd=REPOSITORY,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_until(self._answers, f"the server on port {self.port}", START_SECONDS)

    def stop(self) -> None:
        """End it as a service manager would; by force if it doesn't listen."""
        self._end(signal.SIGTERM)

    def kill9(self) -> None:
        """Kill the main process, as the kernel's out-of-memory killer would."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        self.stop()
        self.start()

    def close(self) -> None:
        """Stop and remove everything."""
        self.stop()
        shutil.rmtree(self.data, ignore_errors=True)

    def manage(self, *arguments: str) -> str:
        """Run a management command beside the server; its standard output."""
        done = subprocess.run(
            self._command(*arguments),
            cwd=REPOSITORY,
            env=self._environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=START_SECONDS,
        )
        return done.stdout

    def issue_token(self, user: str = USER) -> str:
        return self.manage("issue_token", user).splitlines()[-1]

    def descriptors(self) -> int:
        """How many files and sockets the worker has open, but for those of the database.

        Of these a few threads keep theirs, whoever was first (`holds_few_databases`).
        """
        return len(os.listdir(f"/proc/{self.worker_pid}/fd")) - self.open_files(_DATABASE)

    def holds_few_databases(self) -> bool:
        """Whether no more threads have the database open than may keep it.

        Each has its log open. Of the database itself SQLite keeps the descriptors that others had,
        for whoever opens it next: to close one would drop the locks of all (unixClose).
        """
        return self.open_files(f"{_DATABASE}-wal") <= KEPT

    def open_files(self, part: str) -> int:
        """How many descriptors of files with `part` in their path the worker has."""
        count = 0
        folder = Path(f"/proc/{self.worker_pid}/fd")
        for name in os.listdir(folder):
            with suppress(FileNotFoundError):
                count += part in str((folder / name).readlink())
        return count

    def resident_bytes(self) -> int:
        """The worker's memory now."""
        return _status_bytes(self.worker_pid, "VmRSS")

    def own_bytes(self) -> int:
        """The worker's memory without pages of files, such as libraries and the database."""
        return _status_bytes(self.worker_pid, "RssAnon")

    def peak_resident_bytes(self) -> int:
        """The most memory that the worker ever had."""
        return _status_bytes(self.worker_pid, "VmHWM")

    def staging(self) -> list[Path]:
        folder = self.data / "uploads" / "staging"
        return sorted(folder.iterdir()) if folder.is_dir() else []

    def arriving(self) -> int:
        """How many bodies are being read for chunks, whatever their session."""
        return sum(len(_incoming(folder)) for folder in self.staging())

    def _command(self, *arguments: str) -> list[str]:
        return [sys.executable, "manage.py", *arguments]

    def _answers(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise RuntimeError(f"the server ended with {self._process.returncode}:\n{self.log}")
        try:
            return requests.get(f"{self.url}/api/v1/uploads", timeout=30).status_code == 401
        except requests.RequestException:
            return False

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        pids = [process.pid, *_children(process.pid)]
        if process.poll() is None:
            process.send_signal(how)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(END_SECONDS)
        if how != signal.SIGKILL:
            _kill_remaining(pids)
        # Killed, its children must end by themselves: a worker left behind would hold the port.
        wait_until(lambda: not any(map(is_alive, pids)), "the end of all processes", END_SECONDS)


def _incoming(folder: Path) -> list[str]:
    """None where the folder has gone since it was listed: its upload is complete."""
    try:
        return [name for name in os.listdir(folder) if name.startswith("incoming-")]
    except FileNotFoundError:
        return []


def _kill_remaining(pids: list[int]) -> None:
    for pid in filter(is_alive, pids):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _threads(pid: int) -> int:
    try:
        return len(os.listdir(f"/proc/{pid}/task"))
    except FileNotFoundError:
        return 0


def _status_bytes(pid: int, field: str) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    values = [line.split()[1] for line in lines if line.startswith(f"{field}:")]
    return int(values[0]) * 1024 if values else 0
