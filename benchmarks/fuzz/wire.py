"""Requests that no HTTP library would send: what is below HTTP, or only looks like it."""

from .drafts import Draft, as_bytes
from .shapes import Sender
from .values import Hostile

#: What hyper takes for a chunk's size, and what it must not take.
_SIZES = [
    b"5", b"0", b"-1", b"FFFFFFFFFFFFFFFFF", b"7FFFFFFFFFFFFFFF", b"5;x=y", b"5 ", b" 5", b"0x5",
    b"g", b"", b"5\n", b"5;" + b"a" * 20_000, b"00000000000000000005",
]  # fmt: skip


def broken(draft: Draft, sender: Sender, hostile: Hostile, host: str) -> bytes:
    """The bytes of `draft` with something in them that HTTP/1.1 (RFC 9112) has no place for."""
    body = draft.freeze()
    whole = draft.rendered(host)
    head, _, _ = whole.partition(b"\r\n\r\n")
    line, _, rest = head.partition(b"\r\n")
    raw = as_bytes(hostile.text())[:3000]
    without_length = b"\r\n".join(
        part for part in head.split(b"\r\n") if not part.lower().startswith(b"content-length")
    )
    choices = [
        lambda: head + b"\r\nX-Raw: " + raw + b"\r\n\r\n" + body,
        lambda: head + b"\r\n" + raw + b": x\r\n\r\n" + body,
        lambda: head + b"\r\nX-Nul: a\x00b\r\n\r\n" + body,
        lambda: head + b"\r\nX-Request-ID: \xff\xfe\x80\r\n\r\n" + body,
        lambda: head + b"\r\nCookie: \xe4=\xff; sessionid=\x80\r\n\r\n" + body,
        lambda: head + b"\r\nX-Large: " + b"a" * 70_000 + b"\r\n\r\n" + body,
        lambda: head + b"".join(b"\r\nX-%d: y" % n for n in range(300)) + b"\r\n\r\n" + body,
        lambda: head + b"\r\n folded\r\n\r\n" + body,
        lambda: head + b"\r\nX Y: z\r\n\r\n" + body,
        lambda: head + b"\r\nTransfer-Encoding: chunked\r\n\r\n" + body,
        lambda: without_length + b"\r\nTransfer-Encoding: " + raw + b"\r\n\r\n" + body,
        lambda: _chunked(without_length, body, sender.rng.choice(_SIZES)),
        lambda: _chunked(without_length, body, f"{len(body):x}".encode()),
        lambda: _chunked(without_length, body, f"{len(body):x}".encode())[:-3],
        lambda: (
            whole + sender.rng.choice([raw, b"\x00" * 500, b"GET / HTTP/1.1\r\n", whole, whole * 5])
        ),
        lambda: whole[: sender.rng.randrange(len(whole))],
        lambda: (
            line.replace(
                b"HTTP/1.1", sender.rng.choice([b"HTTP/1.0", b"HTTP/9.9", b"HTTP/0.9", b"X", b""])
            )
            + b"\r\n"
            + rest
            + b"\r\n\r\n"
            + body
        ),
        lambda: line.replace(b" /", b" " + raw + b"/", 1) + b"\r\n" + rest + b"\r\n\r\n" + body,
        lambda: (
            line.replace(b" /", b" http://evil.example/", 1) + b"\r\n" + rest + b"\r\n\r\n" + body
        ),
        lambda: line.replace(b" /", b" /\xff\x00", 1) + b"\r\n" + rest + b"\r\n\r\n" + body,
        lambda: line.replace(b" /", b" /" + b"a" * 70_000, 1) + b"\r\n" + rest + b"\r\n\r\n" + body,
        lambda: whole.replace(b"\r\n", b"\n"),
        lambda: whole.replace(b"Host:", b"X-Host:", 1),
        lambda: whole.replace(b"Host:", b"Host: a\r\nHost:", 1),
        lambda: b"OPTIONS * HTTP/1.1\r\n" + rest + b"\r\n\r\n",
        lambda: b"CONNECT 127.0.0.1:1 HTTP/1.1\r\n" + rest + b"\r\n\r\n",
        lambda: b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00" * 20,
        lambda: b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(300),
        lambda: (
            head
            + b"\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: eHg=\r\n\r\n"
            + body
        ),
        lambda: (
            head + b"\r\nUpgrade: h2c\r\nConnection: Upgrade\r\nHTTP2-Settings: AA\r\n\r\n" + body
        ),
        lambda: b"\r\n" * 200 + whole,
        lambda: raw,
        lambda: hostile.body() * 20,
    ]
    return sender.rng.choice(choices)()


def _chunked(head: bytes, body: bytes, size: bytes) -> bytes:
    coded = size + b"\r\n" + body + b"\r\n0\r\n\r\n"
    return head + b"\r\nTransfer-Encoding: chunked\r\n\r\n" + coded
