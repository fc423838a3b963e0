"""The server under test, on a disk of its own that can be filled."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.server import REPOSITORY, Server

from .control import Control
from .options import Options

#: Memory that every process may use as a folder, where there is such a thing.
_SHARED_MEMORY = Path("/dev/shm")
SECOND_USER = "second"
_COMMAND_SECONDS = 120.0


@contextmanager
def mounted(folder: Path, size: int) -> Iterator[bool]:
    """A disk in memory at `folder` of so many bytes, if we may mount one; whether we could.

    Unmounted at the end, whatever happens.
    """
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "holdfast-chaos", str(folder)]
    try:
        is_mounted = not subprocess.run(mount, capture_output=True, check=False).returncode
    except FileNotFoundError:
        is_mounted = False
    try:
        yield is_mounted
    finally:
        if is_mounted:
            _unmount(folder)


def _unmount(folder: Path) -> None:
    for how in ([], ["-l"]):
        if not subprocess.run(
            ["umount", *how, str(folder)], capture_output=True, check=False
        ).returncode:
            return


@contextmanager
def scratch(options: Options) -> Iterator[tuple[Path, Path, bool]]:
    """A folder for logs and control, one for the data, and whether the latter can be filled."""
    with tempfile.TemporaryDirectory(prefix="holdfast-chaos-") as name, contextlib.ExitStack() as e:
        root = Path(name)
        data = root / "data"
        data.mkdir()
        can_be_filled = e.enter_context(mounted(data, options.disk_bytes))
        if not can_be_filled and _has_room(_SHARED_MEMORY, 2 * options.disk_bytes):
            data = Path(
                e.enter_context(
                    tempfile.TemporaryDirectory(
                        prefix="holdfast-chaos-", dir=_SHARED_MEMORY, ignore_cleanup_errors=True
                    )
                )
            )
        yield root, data, can_be_filled


def _has_room(folder: Path, size: int) -> bool:
    return os.access(folder, os.W_OK) and shutil.disk_usage(folder).free > size


class ChaosServer(Server):
    """A server that ends and fails on demand, started again as a service manager would."""

    def __init__(self, root: Path, data: Path, options: Options, workers: int) -> None:
        control = root / "control"
        control.mkdir()
        super().__init__(
            workers=workers,
            HOLDFAST_DATA=str(data),
            DJANGO_SETTINGS_MODULE="benchmarks.chaos.settings",
            CHAOS_CONTROL=str(control),
            CHAOS_BUSY_SECONDS=str(options.busy_seconds),
        )
        # The folder that every other server of tests has; this one has another disk.
        shutil.rmtree(self.data)
        self.data = data
        self._log = root / "server.log"
        self.control = Control(control)
        self.starts = 0

    @property
    def database(self) -> Path:
        return self.data / "holdfast.sqlite3"

    def start(self) -> None:
        super().start()
        self.starts += 1

    @property
    def has_ended(self) -> bool:
        return self._process is None or self._process.poll() is not None

    def revive(self) -> bool:
        """Start it if it has ended; whether it runs. A fault may keep it from starting."""
        if not self.has_ended:
            return True
        self.kill9()
        try:
            self.start()
        except (RuntimeError, TimeoutError):
            self.kill9()
            return False
        return True

    def revive_within(self, seconds: float) -> None:
        """Raises TimeoutError."""
        end = time.monotonic() + seconds
        while not self.revive():
            if time.monotonic() > end:
                raise TimeoutError(f"the server did not start for {seconds} s")
            time.sleep(0.2)

    def begin_command(self, *arguments: str) -> subprocess.Popen[str]:
        """A management command beside the server, not waited for."""
        return subprocess.Popen(
            self._command(*arguments),
            cwd=REPOSITORY,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def command_later(self, hours: float, *arguments: str) -> tuple[int, str]:
        """A management command as if so many hours had passed; its exit code and output."""
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.chaos.later", str(hours), *arguments],
            cwd=REPOSITORY,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=_COMMAND_SECONDS,
        )
        return done.returncode, done.stdout + done.stderr

    def descriptors_by_kind(self) -> Counter[str]:
        """What all processes of the server have open."""
        found: Counter[str] = Counter()
        for pid in self.pids:
            found.update(self._kind(target) for _, target in _open_files(pid))
        return found

    def log_who_holds_what(self) -> None:
        """Every open file of a worker, and where each of its threads is, into the log."""
        for pid in self.worker_pids:
            with self._log.open("a") as log:
                for name, target in _open_files(pid):
                    log.write(f"descriptor {name} of {pid}: {target}\n")
            os.kill(pid, signal.SIGUSR1)

    def _kind(self, target: str) -> str:
        uploads = str(self.data / "uploads")
        if target.startswith(uploads):
            return target.removeprefix(uploads).strip("/").split("/")[0]
        if target.startswith(str(self.data)):
            return "database log" if target.endswith("-wal") else "database"
        return target.partition(":")[0] if not target.startswith("/") else "other files"


def _open_files(pid: int) -> Iterator[tuple[str, str]]:
    """The descriptors of a process, by number and by what they are."""
    with contextlib.suppress(FileNotFoundError):
        for link in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                yield link.name, str(link.readlink())
