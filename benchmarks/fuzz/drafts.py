"""A request that is still in parts, so that any one of them can be made wrong, and its bytes."""

import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from .addresses import Address

BOUNDARY = "----fuzz"
#: Where a draft has no JSON: null is some.
NO_JSON: Any = object()


@dataclass(frozen=True, slots=True)
class File:
    """A file of a form."""

    field: str
    name: str
    data: bytes
    type: str = "application/octet-stream"


@dataclass
class Draft:
    """The body is `raw`, or what `json` or `fields` and `files` come to."""

    address: Address
    method: str
    path: str
    query: str = ""
    headers: list[tuple[str, str]] = field(default_factory=list)
    raw: bytes | None = None
    json: Any = NO_JSON
    fields: list[tuple[str, str]] | None = None
    files: list[File] = field(default_factory=list)
    is_multipart: bool = False
    #: Values of Content-Length, one header each; None for the right one.
    lengths: list[str] | None = None
    #: Only so many bytes of the body are sent, and then the end of the stream.
    stops_after: int | None = None
    #: The path does not lead to `address` any more.
    strays: bool = False

    def set(self, name: str, value: str) -> None:
        """Instead of what the header says."""
        self.drop(name)
        self.headers.append((name, value))

    def drop(self, name: str) -> None:
        self.headers = [pair for pair in self.headers if pair[0].lower() != name.lower()]

    def freeze(self) -> bytes:
        """Make the body bytes, if it has none yet, so that they can be changed."""
        if self.raw is None:
            kind, self.raw = self._body()
            if kind:
                self.headers.insert(0, ("Content-Type", kind))
            self.json, self.fields, self.files = NO_JSON, None, []
        return self.raw

    def _body(self) -> tuple[str, bytes]:
        if self.json is not NO_JSON:
            return "application/json", json.dumps(self.json).encode("utf-8", "surrogatepass")
        if self.fields is None:
            return "", b""
        if self.is_multipart or self.files:
            return f"multipart/form-data; boundary={BOUNDARY}", self._multipart()
        pairs = [(name, value.encode("utf-8", "surrogatepass")) for name, value in self.fields]
        return "application/x-www-form-urlencoded", urlencode(pairs).encode()

    def _multipart(self) -> bytes:
        parts = [
            (f'form-data; name="{name}"', "", value.encode("utf-8", "surrogatepass"))
            for name, value in self.fields or []
        ]
        parts += [
            (f'form-data; name="{file.field}"; filename="{file.name}"', file.type, file.data)
            for file in self.files
        ]
        pieces = []
        for disposition, kind, data in parts:
            head = f"--{BOUNDARY}\r\nContent-Disposition: {disposition}\r\n"
            head += f"Content-Type: {kind}\r\n" if kind else ""
            pieces.append(as_bytes(head) + b"\r\n" + data + b"\r\n")
        return b"".join(pieces) + f"--{BOUNDARY}--\r\n".encode()

    def rendered(self, host: str) -> bytes:
        body = self.freeze()
        target = self.path + (f"?{self.query}" if self.query else "")
        lines = [as_bytes(f"{self.method} ") + _target(target) + b" HTTP/1.1"]
        if not any(name == "Host" for name, _ in self.headers):
            lines.append(f"Host: {host}".encode())
        lines += [as_bytes(name) + b": " + _value(value) for name, value in self.headers]
        lengths = self.lengths
        if lengths is None:
            lengths = [str(len(body))] if body or self.method not in {"GET", "HEAD"} else []
        lines += [b"Content-Length: " + _value(length) for length in lengths]
        sent = body if self.stops_after is None else body[: self.stops_after]
        return b"\r\n".join(lines) + b"\r\n\r\n" + sent


def quoted(text: str, safe: str = "") -> str:
    """Percent-encoded, lone surrogates too."""
    return quote(text.encode("utf-8", "surrogatepass"), safe=safe)


def as_bytes(text: str) -> bytes:
    """Each character below 256 as one byte, others as in UTF-8."""
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def _value(text: str) -> bytes:
    """What may stand in a header: the rest is `wire`'s, which sends what is no HTTP."""
    return bytes(byte for byte in as_bytes(text) if byte >= 0x20 and byte != 0x7F).strip()


def _target(text: str) -> bytes:
    """Percent-encoded where HTTP wants it, but for what is already."""
    return quote(text.encode("utf-8", "surrogatepass"), safe="/%?&=:@!$'()*+,;~-._[]").encode()
