"""A project that somebody else might have: made of the blocks of docs/integrate.md, in an
environment of its own that has this app from its wheel.
"""

import os
import shutil
import signal
import site
import subprocess
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from .documents import blocks
from .server import REPOSITORY, free_port
from .waiting import wait_until

DOCUMENT = REPOSITORY / "docs" / "integrate.md"
BLOCKS = blocks(DOCUMENT)
SECONDS = 120.0
USER, PASSWORD = "admin", "a-password-for-tests"


class Project:
    """In `folder`, with the environment beside it. `log` is what its server has written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "project"
        self.folder.mkdir(parents=True)
        self._environment = folder / "environment"
        self._log = folder / "server.log"
        self.url = ""

    @property
    def python(self) -> Path:
        return self._environment / "bin" / "python"

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def make_environment(self) -> None:
        """Of its own, but with the packages of the one that runs the tests: no network is needed.

        This repository is not among them, so the app comes from the wheel or not at all.
        """
        venv.EnvBuilder(symlinks=True).create(self._environment)
        [packages] = self._environment.glob("lib/python*/site-packages")
        shared = [path for path in site.getsitepackages() if Path(path).is_dir()]
        (packages / "of-the-tests.pth").write_text("\n".join(shared))

    def write(self, *kinds: str) -> None:
        """All blocks of these kinds: `file: PATH` begins a file, others go on with one."""
        for block in BLOCKS:
            kind, _, name = block.mark.partition(": ")
            if kind in kinds:
                path = self.folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("w" if kind == "file" else "a") as file:
                    file.write(f"\n{block.text}")

    def run(self, name: str) -> str:
        """The shell lines marked `run: NAME`, as they stand; what they print."""
        [lines] = [block.text for block in BLOCKS if name in block.programs]
        return self.call("sh", "-eu", "-c", lines)

    def call(self, *command: str, **environment: str) -> str:
        done = subprocess.run(
            command,
            cwd=self.folder,
            env={**self._variables(), **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=SECONDS,
        )
        assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout}"
        return done.stdout

    def manage(self, *arguments: str, **environment: str) -> str:
        return self.call("python", "manage.py", *arguments, **environment)

    @contextmanager
    def served(self) -> Iterator[None]:
        """By the last line of the document's shell, at a free port."""
        [line] = [block.text.strip() for block in BLOCKS if "serve" in block.programs]
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        with self._log.open("ab") as log:
            server = subprocess.Popen(
                [*line.split(), "--port", str(port)],
                cwd=self.folder,
                env=self._variables(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            wait_until(lambda: self._answers(server), "the project's server", SECONDS)
            yield
        finally:
            _end(server)

    def _variables(self) -> dict[str, str]:
        path = f"{self.python.parent}{os.pathsep}{os.environ['PATH']}"
        # For `pip install`: what the wheel needs is there already.
        pip = {"PIP_NO_INDEX": "1", "PIP_NO_DEPS": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
        home = {"HOME": str(self.folder), "PYTHONUNBUFFERED": "1"}
        return {"PATH": path, **pip, **home}

    def _answers(self, server: "subprocess.Popen[bytes]") -> bool:
        assert server.poll() is None, f"it ended with {server.returncode}:\n{self.log}"
        try:
            answer = requests.get(f"{self.url}/files/api/v1/uploads", timeout=30)
        except requests.RequestException:
            return False
        return answer.status_code == 401


def _end(server: "subprocess.Popen[bytes]") -> None:
    server.send_signal(signal.SIGTERM)
    try:
        server.wait(60)
    except subprocess.TimeoutExpired:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait(60)


def new_project(folder: Path, wheel: Path) -> Project:
    """As `startproject` makes it, with the wheel installed."""
    project = Project(folder)
    project.make_environment()
    shutil.copy(wheel, project.folder)
    project.run("install")
    project.run("start")
    return project


def make_project(folder: Path, wheel: Path) -> Project:
    """As the document has it, up to the point where its server is started."""
    project = new_project(folder, wheel)
    project.write("file", "append")
    printed = project.run("prepare")
    assert "System check identified no issues" in printed, printed
    project.manage(
        "createsuperuser",
        "--no-input",
        DJANGO_SUPERUSER_USERNAME=USER,
        DJANGO_SUPERUSER_PASSWORD=PASSWORD,
        DJANGO_SUPERUSER_EMAIL="",
    )
    return project
