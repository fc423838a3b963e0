"""Who sends a file to whom, and what the server does with it besides keeping it."""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from . import installing, servers
from .holdfast import BLAKE3, NONE, SHA256, Holdfast, running_holdfast, send_forms, tus_patches
from .loads import IN_FLIGHT, send
from .payload import Payload
from .verdicts import NotHere
from .wire import Connection, Request, path_of

HOLDFAST, LIMIT, OTHER = "Holdfast", "bare limit", "other"


@dataclass(frozen=True)
class Contestant:
    """`send` takes a file in, and returns the seconds that counted; it leaves nothing behind."""

    key: str
    name: str
    group: str
    checks: str
    send: Callable[[Payload], float]


@dataclass
class Field:
    """All that can be measured here, and whom there is not, with the reason."""

    contestants: dict[str, Contestant] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)

    def add(
        self, key: str, name: str, group: str, checks: str, send: Callable[[Payload], float]
    ) -> None:
        self.contestants[key] = Contestant(key, name, group, checks, send)

    def require(self, *keys: str) -> list[Contestant]:
        """Raises NotHere."""
        for key in keys:
            if key in self.absent:
                raise NotHere(self.absent[key])
        return [self.contestants[key] for key in keys]


@contextmanager
def assembled(folder: Path) -> Iterator[tuple[Field, Holdfast]]:
    """Every server running, each with a folder of its own in `folder`."""
    field = Field()
    with ExitStack() as stack:
        _add_limits(field, stack, _made(folder / "bare"))
        holdfast = stack.enter_context(running_holdfast())
        _add_holdfast(field, holdfast)
        for keys, add in _OTHERS.items():
            try:
                add(field, stack, _made(folder / keys[0]))
            except NotHere as reason:
                field.absent.update(dict.fromkeys(keys, str(reason)))
        yield field, holdfast


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _add_limits(field: Field, stack: ExitStack, folder: Path) -> None:
    port = stack.enter_context(servers.bare_app(folder))

    def bare(work: str) -> Callable[[Payload], float]:
        def sent(payload: Payload) -> float:
            path = f"/{work}/{payload.name}/"
            requests = [
                Request("PUT", f"{path}{chunk.offset}", parts=chunk.parts)
                for chunk in payload.chunks
            ]
            times = send(port, requests, IN_FLIGHT)
            _unlink(folder / payload.name, payload.size)
            return times.seconds

        return sent

    hashes = "SHA-256 of each chunk is computed, compared with nothing"
    nothing = "nothing"
    field.add("bare-hash", "bare app, hash and write", LIMIT, hashes, bare("hash"))
    field.add("bare-write", "bare app, write only", LIMIT, nothing, bare("write"))
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
        raise NotHere("there is no openssl here")
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


def _add_holdfast(field: Field, holdfast: Holdfast) -> None:
    whole = "SHA-256 of the file after the last byte"
    chunk = "of each chunk, before it is kept; BLAKE3 of each is kept"
    for key, declared, word, checked in (
        ("native-sha256", SHA256, "SHA-256", "SHA-256"),
        ("native-blake3", BLAKE3, "BLAKE3", "BLAKE3"),
        ("native-none", NONE, "nothing", "length"),
    ):
        name = f"Holdfast, native, {word} declared"
        checks = f"{checked} {chunk}; {whole}"
        field.add(key, name, HOLDFAST, checks, _native(holdfast, declared))
    field.add(
        "native-verified",
        "Holdfast, native, until verified",
        HOLDFAST,
        f"BLAKE3 {chunk}; SHA-256 of the file, within the time",
        lambda payload: holdfast.send_and_verify(payload).seconds,
    )
    field.add(
        "json",
        "Holdfast, JSON",
        HOLDFAST,
        f"SHA-256 {chunk}; {whole}",
        lambda payload: holdfast.send_json(payload).seconds,
    )
    for key, name, in_one in (("tus-one", "one PATCH", True), ("tus-5mib", "5 MiB PATCHes", False)):
        field.add(key, f"Holdfast, tus, {name}", HOLDFAST, whole, _tus(holdfast, in_one=in_one))
    field.add(
        "chunked-upload",
        "Holdfast, as django-chunked-upload",
        HOLDFAST,
        "MD5 and SHA-256 of the file, within the time",
        lambda payload: holdfast.send_chunked_upload(payload).seconds,
    )


def _native(holdfast: Holdfast, declared: str) -> Callable[[Payload], float]:
    return lambda payload: holdfast.send_native(payload, declared).seconds


def _tus(holdfast: Holdfast, *, in_one: bool) -> Callable[[Payload], float]:
    return lambda payload: holdfast.send_tus(payload, in_one=in_one).seconds


def _add_tus_server(field: Field, stack: ExitStack, folder: Path) -> None:
    port = stack.enter_context(servers.tus_server(folder))

    def patched(*, in_one: bool) -> Callable[[Payload], float]:
        def sent(payload: Payload) -> float:
            created = {"Tus-Resumable": "1.0.0", "Upload-Length": str(payload.size)}
            with Connection(port) as connection:
                location = connection.ask(Request("POST", "/files", created)).headers["Location"]
            path = path_of(location)
            times = send(port, tus_patches(path, payload, {}, in_one=in_one))
            stored = folder / "files" / path.rpartition("/")[2]
            _unlink(stored, payload.size)
            stored.with_name(f"{stored.name}.json").unlink()
            return times.seconds

        return sent

    field.add(
        "tus-server-one",
        "@tus/server, one PATCH",
        OTHER,
        "nothing",
        patched(in_one=True),
    )
    field.add(
        "tus-server-5mib",
        "@tus/server, 5 MiB PATCHes",
        OTHER,
        "nothing",
        patched(in_one=False),
    )


def _add_django_chunked_upload(field: Field, stack: ExitStack, folder: Path) -> None:
    port = stack.enter_context(servers.django_chunked_upload(folder))

    def sent(payload: Payload) -> float:
        times, upload_id = send_forms(port, "/upload/", "/complete/", payload, {})
        [stored] = (folder / "media").rglob(f"{upload_id}*")
        _unlink(stored, payload.size)
        return times.seconds

    field.add(
        "django-chunked-upload",
        "django-chunked-upload",
        OTHER,
        "MD5 of the file, within the time",
        sent,
    )


def _add_copyparty(field: Field, stack: ExitStack, folder: Path) -> None:
    client = installing.python_environment("copyparty") / "u2c"
    port = stack.enter_context(servers.copyparty(folder))

    def sent(payload: Payload) -> float:
        # It knows what it was sent before.
        fresh = Payload(payload.size)
        path = fresh.write_to(folder / fresh.name)
        try:
            begun = time.perf_counter()
            subprocess.run(
                [client, "-ns", "-j", str(IN_FLIGHT), f"http://127.0.0.1:{port}/", path],
                check=True,
                capture_output=True,
                env={**os.environ, "HOME": str(folder)},
            )
            seconds = time.perf_counter() - begun
        finally:
            path.unlink()
        _unlink(folder / "files" / fresh.name, payload.size)
        return seconds

    field.add(
        "copyparty",
        "copyparty, its own client",
        OTHER,
        "SHA-512 of each chunk",
        sent,
    )


def _add_nginx(field: Field, stack: ExitStack, folder: Path) -> None:
    port = stack.enter_context(servers.nginx(folder))

    def sent(payload: Payload) -> float:
        request = Request("PUT", f"/{payload.name}", parts=tuple(payload.parts()))
        times = send(port, [request])
        _unlink(folder / "files" / payload.name, payload.size)
        return times.seconds

    field.add("nginx", "nginx, one PUT", OTHER, "nothing", sent)


def _unlink(path: Path, size: int) -> None:
    """See that all of it was kept, and remove it."""
    assert path.stat().st_size == size, f"{path} has {path.stat().st_size} bytes, not {size}"
    path.unlink()


#: By the keys of the contestants that each brings.
_OTHERS: dict[tuple[str, ...], Callable[[Field, ExitStack, Path], None]] = {
    ("tus-server-one", "tus-server-5mib"): _add_tus_server,
    ("django-chunked-upload",): _add_django_chunked_upload,
    ("copyparty",): _add_copyparty,
    ("nginx",): _add_nginx,
}
