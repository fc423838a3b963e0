"""tus-js-client in Node, as a process that a test can kill."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .server import REPOSITORY
from .waiting import wait_until

SCRIPT = Path(__file__).with_name("tus_client.mjs")
NODE = REPOSITORY / ".venv" / "bin" / "node"
WAIT_SECONDS = 120.0


class TusJs:
    """A client at work. `facts` are what it has told so far."""

    def __init__(self, process: "subprocess.Popen[bytes]", told: Path) -> None:
        self._process = process
        self._told = told

    @property
    def facts(self) -> list[dict[str, Any]]:
        lines = self._told.read_text().splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith("\n")]

    @property
    def requests(self) -> list[str]:
        """Such as "PATCH 204", those that were answered."""
        return [f"{f['method']} {f['status']}" for f in self.facts if "method" in f]

    @property
    def url(self) -> str:
        """Of the upload, once it is known."""
        return next((fact["url"] for fact in self.facts if fact.get("url")), "")

    def kill(self) -> None:
        """With its children: the `node` of a wheel is a script that starts the real one."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(WAIT_SECONDS)

    def done(self, timeout: float = WAIT_SECONDS) -> str:
        """Wait for the end; the address of the upload. Fails if the client gave up."""
        wait_until(lambda: self._process.poll() is not None, "the client's end", timeout)
        last = self.facts[-1]
        assert "done" in last, self.facts[-12:]
        address: str = last["done"]
        return address


@contextmanager
def tus_js(folder: Path, **options: Any) -> Iterator[TusJs]:
    """Start a client; `options` as in tus_client.mjs. It is killed if it still runs at the end."""
    told = folder / f"told-{len(list(folder.iterdir()))}"
    with told.open("wb") as output:
        process = subprocess.Popen(
            [NODE, SCRIPT, json.dumps(options)],
            cwd=REPOSITORY,
            env=os.environ | {"NODE_NO_WARNINGS": "1"},
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            stdout=output,
            stderr=output,
        )
    client = TusJs(process, told)
    try:
        yield client
    finally:
        client.kill()
