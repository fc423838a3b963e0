"""The bare limit: what must be done, by a program that does nothing else."""

import shutil
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from . import servers
from .contestants import LIMIT, Field, remove
from .loads import IN_FLIGHT, send
from .payload import Payload
from .verdicts import NotHere
from .wire import Request

NO_OPENSSL = "there is no openssl here"


def add_limits(field: Field, stack: ExitStack, folder: Path) -> None:
    port = stack.enter_context(servers.bare_app(folder))

    def bare(work: str) -> Callable[[Payload], float]:
        def sent(payload: Payload) -> float:
            path = f"/{work}/{payload.name}/"
            requests = [
                Request("PUT", f"{path}{chunk.offset}", parts=chunk.parts)
                for chunk in payload.chunks
            ]
            times = send(port, requests, IN_FLIGHT)
            remove(folder / payload.name, payload.size)
            return times.seconds

        return sent

    hashes = "SHA-256 of each chunk is computed, compared with nothing"
    nothing = "nothing"
    field.add("bare-hash", "bare app, hash and write", LIMIT, hashes, bare("hash"))
    field.add("bare-write", "bare app, write only", LIMIT, nothing, bare("write"))
    if shutil.which("openssl") is None:
        field.absent["openssl"] = NO_OPENSSL
        return
    field.add(
        "openssl",
        "openssl dgst -sha256, no network",
        LIMIT,
        "SHA-256 of the file",
        lambda payload: openssl_seconds(payload, folder),
    )


def openssl_seconds(payload: Payload, folder: Path) -> float:
    """Of the process alone; the file lies in memory. Raises NotHere without openssl."""
    openssl = shutil.which("openssl")
    if openssl is None:
        raise NotHere(NO_OPENSSL)
    path = payload.write_to(folder / payload.name)
    try:
        begun = time.perf_counter()
        done = subprocess.run(
            [openssl, "dgst", "-sha256", path], check=True, capture_output=True, text=True
        )
        seconds = time.perf_counter() - begun
    finally:
        path.unlink()
    assert payload.sha256 in done.stdout
    return seconds
