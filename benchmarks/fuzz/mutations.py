"""What makes a right request hostile: one thing of it, or a few."""

import re
from collections.abc import Callable
from enum import StrEnum
from typing import Any

from .drafts import BOUNDARY, NO_JSON, Draft, File, as_bytes, quoted
from .shapes import Sender
from .values import (
    CONTENT_RANGES,
    HEADER_VALUES,
    HEADERS,
    IDS,
    MEDIA_TYPES,
    METHODS,
    QUERY_KEYS,
    RANGES,
    STRUCTURED,
    Hostile,
)


class Kind(StrEnum):
    """What is hostile about a request."""

    SOUND = "nothing: right as it is"
    HEADER = "hostile headers"
    LENGTH = "lengths that lie"
    RANGE = "ranges and offsets out of bounds"
    NUMBER = "indices and numbers, huge and negative"
    IDENTITY = "ids and credentials of others, or of nobody"
    ENCODING = "bad UTF-8, bad base64, NUL"
    STRUCTURED = "bad structured fields and media types"
    JSON = "JSON, deep and otherwise wrong"
    FORM = "forms that are none"
    METHOD = "methods that are not understood"
    ADDRESS = "paths and queries"
    WIRE = "what is no HTTP"
    SCHEMA = "made by schemathesis of the OpenAPI document"


Mutation = Callable[[Draft, Sender, Hostile], None]

UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32}")
_NUMBER = re.compile(r"(?<=[/=])\d+(?=[/&]|$)")
#: Repeated fields are more than Django takes of one form.
_MANY_FIELDS = 1100
_LARGE_HEADER = 3000


def header(draft: Draft, sender: Sender, hostile: Hostile) -> None:
    for _ in range(sender.rng.choice([1, 1, 1, 2, 5])):
        name = sender.rng.choice(HEADERS)
        if sender.maybe(0.1):
            name = "X-" + "a" * sender.rng.choice([1, 200, 4000])
        value = hostile.filled(HEADER_VALUES) if sender.maybe(0.7) else hostile.text()
        if sender.maybe(0.1) and draft.headers:
            name = sender.rng.choice(draft.headers)[0]
        if sender.maybe(0.8):
            draft.drop(name)
        draft.headers.append((name, value[:_LARGE_HEADER]))


def length(draft: Draft, sender: Sender, hostile: Hostile) -> None:
    size = len(draft.freeze())
    if size and sender.maybe(0.3):
        draft.stops_after = sender.rng.randrange(size)
        return
    exact = str(size)
    draft.lengths = sender.rng.choice(
        [
            [str(size + sender.rng.choice([-1, 1, 5, 100_000]))],
            [exact, exact],
            [exact, str(size + 1)],
            [f"{exact}, {exact}"],
            [f"+{exact}"],
            [f"{exact} x"],
            [hostile.number()],
            ["0"],
            [],
        ]
    )


def range_(draft: Draft, sender: Sender, hostile: Hostile) -> None:
    name = sender.rng.choice(["Content-Range", "Upload-Offset", "Range", "Upload-Length"])
    if draft.method in {"GET", "HEAD"}:
        name = "Range"
    values = {"Content-Range": CONTENT_RANGES, "Range": RANGES}.get(name)
    if draft.fields is not None and sender.maybe():
        _set_field(draft, "offset", hostile.number())
    else:
        draft.set(name, hostile.filled(values) if values else hostile.number())


def number(draft: Draft, sender: Sender, hostile: Hostile) -> None:
    given = hostile.number()
    if isinstance(draft.json, dict):
        names = [name for name, value in draft.json.items() if type(value) is int]
        names += ["size", "total_size", "chunk_size", "part_size", "chunk_index", "index"][:1]
        value: Any = (
            int(given) if given.isascii() and given.isdigit() and len(given) < 400 else given
        )
        if sender.maybe(0.3):
            value = sender.rng.choice([-1, 2**63, 2**63 - 1, 2**70, 1.5, 1e300, True, None, [1]])
        draft.json[sender.rng.choice(names)] = value
    elif _NUMBER.search(draft.path) and sender.maybe(0.8):
        draft.path = _NUMBER.sub(lambda _: quoted(given), draft.path, count=1)
        draft.strays = True
    elif draft.fields:
        _set_field(draft, sender.rng.choice(draft.fields)[0], given)
    else:
        draft.query = f"{sender.rng.choice(QUERY_KEYS)}={quoted(given)}"


def identity(draft: Draft, sender: Sender, hostile: Hostile) -> None:
    if sender.maybe(0.4):
        return _credentials(draft, sender, hostile)
    text = sender.rng.choice(IDS)
    for name, upload in (("own", sender.upload()), ("other", sender.upload())):
        text = text.replace(f"{{{name}}}", upload.id)
    text = text.replace("{hex}", sender.upload().hex).replace("{upper}", sender.upload().id.upper())
    if isinstance(draft.json, dict) and "upload_id" in draft.json:
        draft.json["upload_id"] = hostile.json() if sender.maybe(0.3) else text
    elif draft.fields is not None and sender.maybe(0.8):
        names = [name for name, _ in draft.fields if name in {"id", "upload_id"}]
        _set_field(draft, sender.rng.choice(names or ["upload_id", "id"]), text)
    elif UUID.search(draft.path):
        draft.path = UUID.sub(lambda _: quoted(text, safe="%"), draft.path, count=1)
        draft.strays = True
    else:
        draft.query = f"before={quoted(text, safe='%')}"
    return None


def _credentials(draft: Draft, sender: Sender, hostile: Hostile) -> None:
    draft.drop("Authorization")
    draft.drop("Cookie")
    person = sender.person
    choice = sender.rng.randrange(8)
    if choice == 0:
        draft.set("Authorization", f"Bearer {person.expired}")
    elif choice == 1:
        draft.set("Authorization", f"Bearer {person.token}{hostile.text()[:50]}")
    elif choice == 2:
        draft.set("Authorization", hostile.text()[:_LARGE_HEADER])
    elif choice == 3:
        draft.set("Cookie", person.cookies)
        draft.set("X-CSRFToken", hostile.text()[:200])
    elif choice == 4:
        draft.set("Cookie", f"sessionid={quoted(hostile.text()[:200])}; csrftoken={person.csrf}")
        draft.set("X-CSRFToken", person.csrf)
    elif choice == 5:
        draft.set("Cookie", person.cookies)
        draft.set("X-CSRFToken", person.csrf)
        draft.set("Origin", "https://evil.example")
    elif choice == 6:
        draft.set("Cookie", person.cookies)
        draft.set("X-Holdfast-User", hostile.number())


def encoding(draft: Draft, sender: Sender, hostile: Hostile) -> None:
    if isinstance(draft.json, dict) and draft.json and sender.maybe(0.7):
        name = sender.rng.choice(list(draft.json))
        draft.json[name] = _broken(draft.json[name], sender, hostile)
    elif draft.fields and sender.maybe(0.7):
        _set_field(draft, sender.rng.choice(draft.fields)[0], hostile.text())
    elif sender.maybe():
        body = draft.freeze()
        at = sender.rng.randrange(len(body) + 1)
        bad = sender.rng.choice([b"\x00", b"\xff\xfe", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf5", b"%"])
        draft.raw = body[:at] + bad + body[at:]
    else:
        bad_text = sender.rng.choice(["%00", "%ff", "%c0%af", "%ed%a0%80", "%", "%zz", "%F0%9F"])
        draft.query = f"{sender.rng.choice(QUERY_KEYS)}={bad_text}"


def _broken(value: Any, sender: Sender, hostile: Hostile) -> Any:
    """Base64 and hex with something in them that is neither; else any text."""
    if isinstance(value, str) and len(value) > 60 and sender.maybe(0.8):
        at = sender.rng.randrange(len(value))
        bad = sender.rng.choice(["!", "=", "\n", " ", "\u0661", "-", "_", "\x00", "====", ""])
        return value[:at] + bad + value[at + 1 :]
    return hostile.text()


def structured(draft: Draft, sender: Sender, hostile: Hostile) -> None:
    tus = [name for name, _ in draft.headers if name.startswith("Upload-")]
    digests = ["Content-Digest", "Content-Digest", "Repr-Digest"]
    name = sender.rng.choice([*(tus or digests), "Content-Type"])
    if name == "Content-Type":
        draft.freeze()
        draft.set(name, sender.rng.choice(MEDIA_TYPES)[:_LARGE_HEADER])
    else:
        value = hostile.text() if sender.maybe(0.2) else sender.rng.choice(STRUCTURED)
        draft.set(name, value[:6000])


def json(draft: Draft, sender: Sender, hostile: Hostile) -> None:
    if isinstance(draft.json, dict) and draft.json and sender.maybe(0.6):
        for _ in range(sender.rng.choice([1, 1, 2])):
            draft.json[sender.rng.choice(list(draft.json))] = hostile.json()
        if sender.maybe(0.3):
            draft.json.pop(sender.rng.choice(list(draft.json)))
        if sender.maybe(0.2):
            draft.json[hostile.text()] = hostile.json()
        return
    draft.fields, draft.files, draft.json, draft.raw = None, [], NO_JSON, hostile.json_text()
    draft.set("Content-Type", "application/json")


def form(draft: Draft, sender: Sender, hostile: Hostile) -> None:
    if draft.fields is None:
        draft.json, draft.raw, draft.fields = NO_JSON, None, [("file", hostile.text())]
        draft.drop("Content-Type")
    choice = sender.rng.randrange(7)
    if choice == 0:
        draft.fields += [(f"f{n}", "x") for n in range(_MANY_FIELDS)]
    elif choice == 1:
        draft.fields = [(name, hostile.text()) for name, _ in draft.fields]
    elif choice == 2:
        draft.files = [
            File(
                _part_text(hostile),
                _part_text(hostile),
                hostile.body(),
                sender.rng.choice(MEDIA_TYPES),
            )
            for _ in range(sender.rng.choice([1, 2, 120]))
        ]
    elif choice == 3:
        draft.fields.append(sender.rng.choice(draft.fields or [("", "")]))
    elif choice == 4:
        draft.fields = draft.fields[1:]
        draft.files = draft.files[1:]
    else:
        _break_parts(draft, sender, hostile)


def _part_text(hostile: Hostile) -> str:
    return hostile.text()[:300]


def _break_parts(draft: Draft, sender: Sender, hostile: Hostile) -> None:
    """Of a form in parts, the bytes."""
    draft.is_multipart = True
    body = draft.freeze()
    line = f"--{BOUNDARY}".encode()
    broken = [
        body.removesuffix(line + b"--\r\n"),
        body.replace(line, line + b"x"),
        body.replace(line, line + b"x", 1),
        body.replace(b"\r\n", b"\n"),
        body.replace(b"\r\n\r\n", b"\r\n", 1),
        body.replace(b"form-data", b"attachment", 1),
        body.replace(b"name=", b"name*=utf-8''%ff;name=", 1),
        body.replace(b"name=", b"name*=bogus''x;filename*0=a;name=", 1),
        body.replace(b"filename=", b"filename*=UTF-8''%00%ff; filename=", 1),
        body.replace(b"\r\n\r\n", b"\r\nContent-Transfer-Encoding: base64\r\n\r\n!", 1),
        body.replace(b"\r\n\r\n", b"\r\nX: " + b"a" * 70_000 + b"\r\n\r\n", 1),
        body.replace(b"\r\n\r\n", b"\r\nContent-Length: 99999\r\n\r\n", 1),
        body + body,
        line * 3000,
        b"\r\n" * 3000 + body,
        hostile.body() + body,
        as_bytes(hostile.text()),
        b"",
    ]
    draft.raw = sender.rng.choice(broken)


def method(draft: Draft, sender: Sender, hostile: Hostile) -> None:
    draft.method = sender.rng.choice(METHODS)


def address(draft: Draft, sender: Sender, hostile: Hostile) -> None:
    text = quoted(hostile.text()[:2000])
    choice = sender.rng.randrange(7)
    if choice < 3:
        pairs = [
            f"{sender.rng.choice(QUERY_KEYS)}={text}" for _ in range(sender.rng.choice([1, 3]))
        ]
        draft.query = "&".join(pairs)
        return
    draft.strays = True
    if choice == 3:
        draft.path += sender.rng.choice(
            ["/", "//", "/.", "/..", "%2f", "%00", "%ff", ";x", "/" + text]
        )
    elif choice == 4:
        draft.path = "/" + draft.path
    elif choice == 5:
        at = sender.rng.randrange(len(draft.path))
        draft.path = draft.path[: at + 1] + text[:200] + draft.path[at + 1 :]
    else:
        draft.query = "&".join(f"a{n}=1" for n in range(_MANY_FIELDS * 2))


def _set_field(draft: Draft, name: str, value: str) -> None:
    kept = [pair for pair in draft.fields or [] if pair[0] != name]
    draft.fields = [*kept, (name, value)]


MUTATIONS: dict[Kind, Mutation] = {
    Kind.HEADER: header,
    Kind.LENGTH: length,
    Kind.RANGE: range_,
    Kind.NUMBER: number,
    Kind.IDENTITY: identity,
    Kind.ENCODING: encoding,
    Kind.STRUCTURED: structured,
    Kind.JSON: json,
    Kind.FORM: form,
    Kind.METHOD: method,
    Kind.ADDRESS: address,
}
