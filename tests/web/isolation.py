"""Every address of the project, and who gets what there. `test_isolation.py` holds it.

A new address needs a line here: of `api` if it takes tokens, of `page` if people look at it signed
in, of `public` if it is the same for everybody, of `staff` if it is the admin's.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlencode

from django.core.files.uploadedfile import SimpleUploadedFile
from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart

from tests.support.bodies import content_digest, payload

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
#: Of each upload: three chunks, of which the open one has the first.
CHUNK_SIZE = 100
DATA = payload(250)
FIRST = DATA[:CHUNK_SIZE]

HTMX = {"HX-Request": "true"}
PARTIAL = {**HTMX, "HX-Request-Type": "partial"}

#: One of these is enough for a token.
Need = frozenset[str]
READ, UPLOAD, DELETE = frozenset({"read"}), frozenset({"upload"}), frozenset({"delete"})
SEE, END, ANY = READ | UPLOAD, UPLOAD | DELETE, READ | UPLOAD | DELETE


@dataclass(frozen=True)
class Body:
    type: str
    content: bytes


#: The body of a request about the upload of this id.
MakeBody = Callable[[str], Body]


def nothing(_: str) -> Body:
    return Body("application/octet-stream", b"")


def raw(content: bytes) -> MakeBody:
    return lambda _: Body("application/octet-stream", content)


def as_json(**fields: Any) -> MakeBody:
    """`@` stands for the id."""
    text = json.dumps(fields)
    return lambda named: Body("application/json", text.replace('"@"', f'"{named}"').encode())


def as_form(**fields: str) -> MakeBody:
    text = urlencode(fields)
    return lambda named: Body(
        "application/x-www-form-urlencoded", text.replace("%40", named).encode()
    )


def with_file(**fields: str) -> MakeBody:
    """A form with a file, the second chunk of `DATA`."""

    def make(named: str) -> Body:
        file = SimpleUploadedFile("seeds.txt", DATA[CHUNK_SIZE : 2 * CHUNK_SIZE], "text/plain")
        given = {name: value.replace("@", named) for name, value in fields.items()}
        return Body(MULTIPART_CONTENT, encode_multipart(BOUNDARY, {**given, "file": file}))

    return make


@dataclass(frozen=True)
class Rule:
    """What a request gets. `kind`: "api", "page", "guest", "public" or "staff"."""

    kind: str
    route: str
    method: str
    #: For whom it is: the owner; of "staff" the superuser; of "public" everybody.
    status: int
    need: Need = ANY
    body: MakeBody = nothing
    headers: dict[str, str] = field(default_factory=dict)
    #: What of the owner's the address or the body names, as `World.named` has it; or empty.
    names: str = ""
    #: For other people, where that is not `status`, or 404 for what `names` something.
    others: int | None = None
    #: For who is nobody: not signed in, or with a token that is none (any more).
    nobody: int | None = None
    #: Tokens that are refused only once it is seen what the address names.
    looks_first: Need = frozenset()
    #: An address of this route, if its placeholders don't tell.
    address: str = ""

    @property
    def for_others(self) -> int:
        if self.others is not None:
            return self.others
        return 404 if self.names else self.status

    @property
    def for_nobody(self) -> int:
        if self.nobody is not None:
            return self.nobody
        return {"api": 401, "page": 302, "guest": 200, "public": self.status, "staff": 302}[
            self.kind
        ]


def each(
    kind: str, route: str, methods: str, status: int, need: Need = ANY, **more: Any
) -> list[Rule]:
    return [Rule(kind, route, method, status, need, **more) for method in methods.split()]


def api(route: str, methods: str, status: int, need: Need, **more: Any) -> list[Rule]:
    """Of `uploads.protocols.endpoint`. Tokens that may nothing of `need` get 403."""
    return each("api", route, methods, status, need, **more)


def page(route: str, methods: str, status: int, **more: Any) -> list[Rule]:
    """Tokens open none: who sends one is nobody there."""
    return each("page", route, methods, status, **more)


def public(route: str, methods: str, status: int, **more: Any) -> list[Rule]:
    return each("public", route, methods, status, **more)


def action(route: str, status: int, **more: Any) -> list[Rule]:
    """Of `uploads.web.actions.action`: what is no POST leads back, whoever sends it."""
    variants = [Rule("page", route, "POST", status, **more)]
    if more.get("names") in {"open", "completed"}:
        variants.append(replace(variants[0], headers=HTMX))
    rest = " ".join(method for method in METHODS if method != "POST")
    return [*variants, *public(route, rest, 303, names=variants[0].names, others=303)]


def staff(route: str, status: int, address: str = "", **more: Any) -> list[Rule]:
    """Of the admin, which asks who is there before it looks at the method."""
    return each("staff", f"admin/{route}", "GET", status, address=address, **more)


def model_admin(model: str, object_id: str, *, writes: bool = False) -> list[Rule]:
    own = f"{model}/<path:object_id>/"
    at = f"/admin/{model}/{object_id}/"
    return [
        *staff(f"{model}/", 200),
        *staff(f"{model}/add/", 200 if writes else 403),
        *staff(f"{own}history/", 200, f"{at}history/"),
        *staff(f"{own}delete/", 200 if writes else 403, f"{at}delete/"),
        *staff(f"{own}change/", 200, f"{at}change/"),
        *staff(own, 302, at),
    ]


def flat(*parts: Iterable[Rule]) -> list[Rule]:
    return [rule for part in parts for rule in part]


_UPLOAD = "uploads/<uuid:session_id>"
_V1 = "api/v1/uploads/<uuid:session_id>"
_OFFER = as_json(filename="new.bin", size=10)
_TUS = {"Tus-Resumable": "1.0.0"}
_CREATION = {**_TUS, "Upload-Length": "10"}
_SIGNED = {"Content-Digest": content_digest(FIRST)}
_COLLECTION = "collections/internal/<int:pk>"
_PIECE = with_file(upload_id="@", offset="100")
#: No MD5 of it: for who may, nothing changes.
_END = as_form(upload_id="@", md5="0" * 32)

PAGES = flat(
    page("", "GET HEAD", 200),
    page("", "GET", 200, headers=HTMX),
    page("", "GET", 200, headers=PARTIAL, nobody=401),
    page(f"{_UPLOAD}/", "GET HEAD", 200, names="open"),
    page(f"{_UPLOAD}/", "GET", 200, headers=HTMX, names="completed"),
    page(f"{_UPLOAD}/", "GET", 200, headers=PARTIAL, names="open", nobody=401),
    action(f"{_UPLOAD}/rename", 303, body=as_form(filename="new.bin"), names="completed"),
    # In a list what is gone is gone: a foreign one too, and nothing is said.
    [
        replace(rule, others=303 if rule.headers else 404) if rule.method == "POST" else rule
        for rule in action(f"{_UPLOAD}/remove", 303, names="open")
    ],
    # Lists of ids: those of others choose nothing.
    action("uploads/remove", 303, body=as_form(id="@"), names="completed", others=303),
    action("uploads/restore", 303, body=as_form(id="@"), names="trashed", others=303),
    page("tokens/", "GET HEAD", 200),
    page("tokens/", "POST", 422),
    action("tokens/<int:token_id>/revoke", 303, names="token"),
    public("texts.js", "GET HEAD OPTIONS", 200),
    # What scripts can ask for is no secret.
    public("api/", "GET HEAD", 200),
    public("api/v1/openapi.yaml", "GET HEAD", 200),
)

PROTOCOLS = flat(
    api("api/v1/uploads", "GET HEAD", 200, READ),
    api("api/v1/uploads/handshake", "GET", 200, READ),
    page("api/v1/uploads/handshake", "GET", 200, headers=HTMX, nobody=401),
    api("api/v1/uploads/handshake", "POST", 201, UPLOAD, body=_OFFER),
    api(_V1, "GET HEAD", 200, SEE, names="open"),
    api(_V1, "GET", 200, SEE, names="completed"),
    api(_V1, "DELETE", 204, END, names="open"),
    # More than END says, as what is complete is lost: it takes a look to know that it is.
    api(_V1, "DELETE", 204, DELETE, names="completed", looks_first=UPLOAD),
    api(f"{_V1}/handshake", "GET HEAD", 200, SEE, names="open"),
    page(f"{_V1}/handshake", "GET", 200, headers=HTMX, names="open", nobody=401),
    api(f"{_V1}/handshake", "POST", 200, UPLOAD, body=as_json(size=250), names="open"),
    api(f"{_V1}/check", "GET HEAD", 200, SEE, names="open"),
    api(
        f"{_V1}/chunks/<int:index>",
        "PUT",
        200,
        UPLOAD,
        body=raw(FIRST),
        headers=_SIGNED,
        names="open",
    ),
    # Without a form.
    api(f"{_V1}/chunks/<int:index>", "POST", 415, UPLOAD, names="open"),
    # Chunks are missing.
    api(f"{_V1}/complete", "POST", 409, UPLOAD, names="open"),
    api(f"{_V1}/content", "GET HEAD", 200, READ, names="completed"),
    api(f"{_V1}/content", "GET", 409, READ, names="open"),
    api("api/v1/upload/init", "POST", 201, UPLOAD, body=as_json(filename="new.bin", total_size=10)),
    api("api/v1/upload/chunk", "POST", 400, UPLOAD, body=as_json(upload_id="@"), names="open"),
    api("api/v1/upload/complete", "POST", 409, UPLOAD, body=as_json(upload_id="@"), names="open"),
    api("api/v1/upload/cancel", "POST", 200, END, body=as_json(upload_id="@"), names="open"),
    api("api/v1/upload/cancel", "POST", 409, END, body=as_json(upload_id="@"), names="completed"),
    api("api/v1/upload/status/<str:upload_id>", "GET HEAD", 200, SEE, names="open"),
    api("uploads/sessions", "POST", 201, UPLOAD, body=_OFFER),
    api("uploads/sessions/<uuid:session_id>", "GET HEAD", 200, SEE, names="open"),
    api(
        "uploads/sessions/<uuid:session_id>/parts/<int:number>",
        "PUT",
        200,
        UPLOAD,
        body=raw(FIRST),
        names="open",
    ),
    api("upload/<uuid:session_id>", "GET HEAD", 200, SEE, names="open"),
    # Not from where it goes on.
    api("upload/<uuid:session_id>", "PUT", 409, UPLOAD, body=raw(FIRST), names="open"),
    # Without a body.
    api("uploads/send", "POST", 411, UPLOAD),
    *(
        api(route, "POST", 200, UPLOAD, body=_PIECE, names="open", nobody=403, address=address)
        for route, address in (
            ("api/chunked-upload/", ""),
            ("^api/chunked-upload$", "/api/chunked-upload"),
        )
    ),
    *(
        api(route, "POST", 400, UPLOAD, body=_END, names="open", nobody=403, address=address)
        for route, address in (
            ("api/chunked-upload/complete/", ""),
            ("^api/chunked-upload/complete$", "/api/chunked-upload/complete"),
        )
    ),
    # As they are: a client's first request, one that goes on, one that ends it.
    public("files/", "OPTIONS", 204),
    api("files/", "POST", 201, UPLOAD, headers=_CREATION),
    public("^files$", "OPTIONS", 204, address="/files"),
    api("^files$", "POST", 201, UPLOAD, headers=_CREATION, address="/files"),
    public("files/<uuid:session_id>", "OPTIONS", 204, names="open", others=204),
    api("files/<uuid:session_id>", "HEAD", 200, SEE, headers=_TUS, names="open"),
    # Not from where it goes on.
    api(
        "files/<uuid:session_id>",
        "PATCH",
        409,
        UPLOAD,
        body=lambda _: Body("application/offset+octet-stream", FIRST),
        headers={**_TUS, "Upload-Offset": "7"},
        names="open",
    ),
    api("files/<uuid:session_id>", "DELETE", 204, END, headers=_TUS, names="open"),
    api("^files/", "POST HEAD PATCH DELETE", 404, ANY, headers=_TUS, address="/files/none"),
    public("^files/", "OPTIONS", 204, address="/files/none"),
    api("^(?:uploads/sessions|upload)(/|$)", " ".join(METHODS), 404, ANY, address="/upload/none"),
    api("^api/(?:v1|chunked-upload)(/|$)", " ".join(METHODS), 404, ANY, address="/api/v1/none"),
)

EXAMPLES = flat(
    page("collections/", "GET HEAD POST PUT OPTIONS", 200),
    page(f"{_COLLECTION}/", "GET HEAD POST PUT", 200, names="collection"),
    # Django's own answer, which looks for nothing.
    page(f"{_COLLECTION}/", "OPTIONS", 200, names="collection", others=200),
    # An upload that was not begun here is not found here, whoever's it is.
    *(
        api(
            f"{_COLLECTION}/custom-seeds/{end}",
            "POST",
            status,
            UPLOAD,
            body=body,
            names="collection",
            nobody=403,
        )
        for end, status, body in (
            ("chunk-upload", 200, with_file()),
            ("complete", 400, as_form()),
            ("chunk-upload/complete", 400, as_form()),
        )
    ),
)

ACCOUNTS = flat(
    # Who is signed in is led on.
    each("guest", "sign-in/", "GET HEAD POST PUT OPTIONS", 302),
    public("sign-out/", "POST", 302),
    public("sign-out/", "OPTIONS", 200),
    page("account/password/", "GET HEAD OPTIONS", 200),
    # Without the present password.
    page("account/password/", "POST PUT", 422),
    page("account/password/changed/", "GET HEAD OPTIONS", 200),
    # Who has forgotten a password is nobody yet.
    public("sign-in/forgotten/", "GET HEAD POST PUT OPTIONS", 200),
    public("sign-in/forgotten/sent/", "GET HEAD OPTIONS", 200),
    public(
        "sign-in/new-password/<uidb64>/<token>/",
        # A link that is none is that by any method.
        " ".join(METHODS),
        200,
        address="/sign-in/new-password/MQ/none/",
    ),
    public("sign-in/new-password/", "GET HEAD OPTIONS", 200),
    # To the page above.
    public("admin/password_change/", " ".join(METHODS), 302),
)

ADMIN = flat(
    staff("", 200),
    # Whoever is no staff may sign in as somebody else.
    staff("login/", 302, nobody=200),
    staff("logout/", 405),
    staff("password_change/done/", 200),
    staff("autocomplete/", 403),
    staff("jsi18n/", 200),
    staff("r/<path:content_type_id>/<path:object_id>/", 404, "/admin/r/1/1/"),
    staff("auth/user/<id>/password/", 200, "/admin/auth/user/@other/password/"),
    model_admin("auth/user", "@other", writes=True),
    model_admin("auth/group", "@group", writes=True),
    model_admin("uploads/filesession", "@open"),
    model_admin("uploads/storedfile", "@stored"),
    model_admin("uploads/usage", "@owner"),
    model_admin("uploads/accesstoken", "@token"),
    staff("^(?P<app_label>auth|uploads)/$", 200, "/admin/uploads/"),
    staff("(?P<url>.*)$", 404, "/admin/none/"),
)

TABLE = flat(PAGES, PROTOCOLS, EXAMPLES, ACCOUNTS, ADMIN)
