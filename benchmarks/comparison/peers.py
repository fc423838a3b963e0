"""The others among the contestants. What starts or installs them raises NotHere where it can't."""

import os
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from . import installing, servers
from .contestants import OTHER, Field, remove
from .loads import IN_FLIGHT, send
from .payload import Payload
from .shapes import TUS, send_forms, tus_patches
from .wire import Connection, Request, path_of


def _add_tus_server(field: Field, stack: ExitStack, folder: Path) -> None:
    port = stack.enter_context(servers.tus_server(folder))

    def patched(*, in_one: bool) -> Callable[[Payload], float]:
        def sent(payload: Payload) -> float:
            created = {**TUS, "Upload-Length": str(payload.size)}
            with Connection(port) as connection:
                location = connection.ask(Request("POST", "/files", created)).headers["Location"]
            path = path_of(location)
            times = send(port, tus_patches(path, payload, {}, in_one=in_one))
            stored = folder / "files" / path.rpartition("/")[2]
            remove(stored, payload.size)
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
        remove(stored, payload.size)
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
        remove(folder / "files" / fresh.name, payload.size)
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
        remove(folder / "files" / payload.name, payload.size)
        return times.seconds

    field.add("nginx", "nginx, one PUT", OTHER, "nothing", sent)


#: By the keys of the contestants that each brings.
PEERS: dict[tuple[str, ...], Callable[[Field, ExitStack, Path], None]] = {
    ("tus-server-one", "tus-server-5mib"): _add_tus_server,
    ("django-chunked-upload",): _add_django_chunked_upload,
    ("copyparty",): _add_copyparty,
    ("nginx",): _add_nginx,
}
