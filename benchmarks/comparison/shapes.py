"""Requests of the protocols that others speak too: the same bytes for everybody."""

import time
from urllib.parse import urlencode

from .loads import Times
from .payload import Parts, Payload
from .wire import Connection, Request, json_of

TUS = {"Tus-Resumable": "1.0.0"}
_STREAM = {**TUS, "Content-Type": "application/offset+octet-stream"}


def tus_patches(
    path: str, payload: Payload, headers: dict[str, str], *, in_one: bool
) -> list[Request]:
    """The whole file in one, or a chunk in each (tus 1.0, core protocol)."""
    pieces: list[tuple[int, Parts]] = [(chunk.offset, chunk.parts) for chunk in payload.chunks]
    if in_one:
        pieces = [(0, tuple(payload.parts()))]
    return [
        Request("PATCH", path, {**_STREAM, **headers, "Upload-Offset": str(offset)}, parts)
        for offset, parts in pieces
    ]


_BOUNDARY = "comparison-boundary"


def send_forms(
    port: int, address: str, completing: str, payload: Payload, headers: dict[str, str]
) -> tuple[Times, str]:
    """By the protocol of django-chunked-upload, over one connection; and the id of the upload."""
    md5 = payload.md5
    upload_id = ""
    with Connection(port) as connection:
        begun = time.perf_counter()
        for chunk in payload.chunks:
            last = chunk.offset + chunk.length - 1
            given = {
                **headers,
                "Content-Type": f"multipart/form-data; boundary={_BOUNDARY}",
                "Content-Range": f"bytes {chunk.offset}-{last}/{payload.size}",
            }
            head = _form_head(payload.name, upload_id)
            parts = (head, *chunk.parts, f"\r\n--{_BOUNDARY}--\r\n".encode())
            answer = connection.ask(Request("POST", address, given, parts))
            upload_id = str(json_of(answer)["upload_id"])
        body = urlencode({"upload_id": upload_id, "md5": md5}).encode()
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        done = connection.ask(Request("POST", completing, {**headers, **kind}, (body,)))
        answered = time.perf_counter()
    return Times(begun, done.sent, answered), upload_id


def _form_head(filename: str, upload_id: str) -> bytes:
    fields = [("upload_id", upload_id)] if upload_id else []
    head = "".join(
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields
    )
    return (
        f'{head}--{_BOUNDARY}\r\nContent-Disposition: form-data; name="file"; '
        f'filename="{filename}"\r\nContent-Type: application/octet-stream\r\n\r\n'
    ).encode()
