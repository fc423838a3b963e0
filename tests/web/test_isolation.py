"""P9, B6: every address, by every method, as everybody. Who is not its owner finds nothing there.

Not only statuses: for other people, what is there and what never was are answered with the same
bytes and headers, and what is the owner's stays as it is, rows and files.
"""

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone

from examples.topic_collections.models import TopicCollection
from tests.support.bodies import cut
from uploads import conf
from uploads.engine.completing import complete
from uploads.engine.finishing import finish
from uploads.engine.opening import Offer, open_session
from uploads.engine.receiving import receive_chunk
from uploads.engine.tokens import issue_token
from uploads.engine.trash import trash
from uploads.models import (
    AccessToken,
    FileChunk,
    FileSession,
    SessionEvent,
    StoredFile,
    TokenScope,
    Usage,
)

from .isolation import CHUNK_SIZE, DATA, METHODS, TABLE, Need, Rule

pytestmark = pytest.mark.django_db

#: Numbers that stand nowhere else in an answer.
TOKEN, COLLECTION, NO_NUMBER = 7654321, 7654321, 7659999
#: What all that is hers is called: nobody else reads it anywhere.
HERS = "of-alice-alone"
#: All that a token may be made for, and each alone.
SCOPES = {"all": frozenset(TokenScope), **{s.value: frozenset({s}) for s in TokenScope}}
#: What stands in for the id that an address or a body names, to compare two answers.
ID = "(id)"


@dataclass(frozen=True)
class Actor:
    """Somebody who sends requests: a browser that is signed in or not, or a token."""

    name: str
    client: Client
    token: str = ""
    scopes: frozenset[str] = frozenset()

    def send(self, rule: Rule, address: str, named: str) -> Any:
        body = rule.body(named)
        headers = {**rule.headers, "X-Request-ID": "same"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        return self.client.generic(
            rule.method, address, body.content, content_type=body.type, headers=headers
        )


def browser(user: User) -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(user)
    return client


class World:
    """Alice, who owns one of everything, and everybody else."""

    def __init__(self) -> None:
        self.alice, self.bob, self.dora = map(User.objects.create_user, ("alice", "bob", "dora"))
        self.root = User.objects.create_superuser("root")
        Group.objects.create(name="a group")
        issue_token(self.alice, HERS)
        AccessToken.objects.update(id=TOKEN)
        TopicCollection.objects.create(pk=COLLECTION, title=HERS, curator=self.alice)
        self.named = {"token": str(TOKEN), "collection": str(COLLECTION)}
        for name in ("open", "completed", "trashed"):
            self.renew(name)

    def renew(self, name: str) -> None:
        """What of hers is called `name` is another one from now on, as yet untouched."""
        if name in {"open", "completed", "trashed"}:
            offer = Offer(f"{HERS}.txt", len(DATA), chunk_size=CHUNK_SIZE)
            session = open_session(self.alice, offer)[1]
            chunks = cut(DATA, CHUNK_SIZE)
            for index, chunk in enumerate(chunks[:1] if name == "open" else chunks):
                session = receive_chunk(session, index, io.BytesIO(chunk), []).session
            if name != "open":
                complete(session)
                finish(session.pk)
            if name == "trashed":
                trash(self.alice, [session.pk])
            self.named[name] = str(session.pk)
        elif name == "token":
            AccessToken.objects.filter(pk=TOKEN).update(revoked_at=None)

    @cached_property
    def owner(self) -> Actor:
        return Actor("owner", browser(self.alice))

    @cached_property
    def superuser(self) -> Actor:
        return Actor("staff", browser(self.root))

    @cached_property
    def tokens(self) -> dict[str, Actor]:
        """The owner's, by what they may do."""
        return {
            name: Actor(name, Client(), issue_token(self.alice, name, None, scopes), scopes)
            for name, scopes in SCOPES.items()
        }

    @cached_property
    def others(self) -> list[Actor]:
        """People who are somebody, but not the owner."""
        return [
            Actor("other", browser(self.bob)),
            self.superuser,
            Actor("token of another", Client(), issue_token(self.bob, "his")),
            Actor("token of staff", Client(), issue_token(self.root, "staff's")),
        ]

    @cached_property
    def nobody(self) -> list[Actor]:
        made = [
            Actor("anonymous", Client()),
            Actor("expired token", Client(), issue_token(self.alice, "expired", timedelta(1))),
            Actor("revoked token", Client(), issue_token(self.alice, "revoked")),
            Actor("token of an inactive user", Client(), issue_token(self.dora, "usable")),
            Actor("browser of an inactive user", browser(self.dora)),
            Actor("signed in before the password changed", browser(self.alice)),
        ]
        then = timezone.now() - timedelta(days=2)
        AccessToken.objects.filter(name="expired").update(
            created_at=then, expires_at=then + timedelta(days=1)
        )
        AccessToken.objects.filter(name="revoked").update(revoked_at=then)
        User.objects.filter(pk=self.dora.pk).update(is_active=False)
        self.alice.set_password("another password")
        self.alice.save()
        return made


@pytest.fixture
def world() -> World:
    world = World()
    # Those who are nobody first: a password changes, and who signs in later stays so.
    assert world.nobody
    assert world.tokens
    return world


def walk(patterns: list[Any], prefix: str = "") -> Iterator[str]:
    for pattern in patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from walk(pattern.url_patterns, route)
        else:
            assert isinstance(pattern, URLPattern)
            yield route


def routes() -> list[str]:
    return list(walk(get_resolver().url_patterns))


def address_of(rule: Rule, world: World, named: str) -> str:
    values = {
        "<uuid:session_id>": named,
        "<str:upload_id>": named,
        "<int:token_id>": named,
        "<int:pk>": named,
        "<int:index>": "0",
        "<int:number>": "1",
        "@other": str(world.bob.pk),
        "@owner": str(world.alice.pk),
        "@group": str(Group.objects.get().pk) if "@group" in rule.address else "",
        "@open": world.named["open"],
        "@stored": str(StoredFile.objects.get().pk) if "@stored" in rule.address else "",
        "@token": str(TOKEN),
    }
    address = rule.address or f"/{rule.route}"
    for placeholder, value in values.items():
        address = address.replace(placeholder, value)
    assert not re.search(r"[<@^$]", address), f"an address is missing for {rule.route}"
    return address


def unknown(rule: Rule) -> str:
    return str(NO_NUMBER if rule.names in {"token", "collection"} else uuid4())


def hers(world: World) -> dict[str, Any]:
    """All rows and files that are the owner's, but when her own tokens were used."""
    root = conf.current().root
    return {
        "sessions": list(FileSession.objects.filter(owner=world.alice).order_by("pk").values()),
        "chunks": list(
            FileChunk.objects.filter(session__owner=world.alice).order_by("pk").values()
        ),
        "events": list(
            SessionEvent.objects.filter(session__owner=world.alice).order_by("pk").values()
        ),
        "stored": list(StoredFile.objects.filter(sessions__owner=world.alice).values()),
        "usage": list(Usage.objects.filter(owner=world.alice).values()),
        "collections": list(TopicCollection.objects.filter(curator=world.alice).values()),
        "tokens": list(
            AccessToken.objects.filter(owner=world.alice)
            .order_by("pk")
            .values("pk", "name", "expires_at", "revoked_at", *(f"may_{s}" for s in TokenScope))
        ),
        "files": {path: path.read_bytes() for path in root.rglob("*") if path.is_file()},
    }


def seen(response: Any, named: str) -> tuple[int, dict[str, str], list[str], bytes]:
    """All of an answer but the id that was asked for, and CSRF tokens, which are drawn anew."""

    def without(text: str) -> str:
        return re.sub(
            r"\b\w{64}\b", "(csrf)", text.replace(named, ID).replace(named.replace("-", ""), ID)
        )

    # A clock that goes on between two answers.
    timeless = {name: value for name, value in response.headers.items() if name != "Expires"}
    headers = {name: without(value) for name, value in timeless.items()}
    content = without(response.content.decode()).encode()
    return response.status_code, headers, sorted(response.cookies), content


def check(actor: Actor, rule: Rule, response: Any, expected: int) -> None:
    said = (actor.name, rule.method, rule.route, rule.headers)
    assert response.status_code == expected, said
    body = response.content if not response.streaming else b""
    is_json = "json" in response.get("Content-Type", "")
    if rule.kind == "api" and expected >= 400 and rule.method != "HEAD":
        assert is_json, said
        assert body, said


def check_nobody(actor: Actor, rule: Rule, response: Any) -> None:
    """Refused as somebody unknown: the program by its challenge, the person by the sign-in."""
    check(actor, rule, response, rule.for_nobody)
    if rule.kind == "api":
        challenge = response["WWW-Authenticate"]
        assert challenge.startswith("Bearer")
        assert ('error="invalid_token"' in challenge) == bool(actor.token), actor
        assert rule.method == "HEAD" or response.json()["code"] == "not_authenticated"
    elif response.status_code == 302 and rule.kind in {"page", "staff"}:
        door = "/admin/login/" if rule.kind == "staff" else "/sign-in/"
        assert response["Location"].startswith((f"{door}?next=", "/admin/"))
    elif response.status_code == 401:
        assert response.content == b""
        assert response["HX-Redirect"].startswith("/sign-in/")


def check_insufficient(actor: Actor, rule: Rule, response: Any) -> None:
    check(actor, rule, response, 403)
    given = re.fullmatch(
        r'Bearer realm="uploads", error="insufficient_scope", scope="(\w+)"',
        response["WWW-Authenticate"],
    )
    assert given, response["WWW-Authenticate"]
    assert given[1] in rule.need | rule.looks_first
    if rule.method != "HEAD":
        assert response.json()["code"] == "insufficient_scope"
        assert response.json()["scopes"] == [*actor.scopes]
        assert given[1] in response.json()["needed"]


def place(rule: Rule) -> str:
    """What is tried in one world: an address with all its methods; of the admin, all."""
    return "admin/" if rule.kind == "staff" else rule.route


RULES = {place(rule): [other for other in TABLE if place(other) == place(rule)] for rule in TABLE}


def test_p9_every_address_has_its_rule_and_every_rule_its_address() -> None:
    told = list(dict.fromkeys(rule.route for rule in TABLE))
    # One of the admin's is ours too, which comes first.
    assert sorted(told) == sorted(set(routes()))


@pytest.mark.parametrize("at", list(RULES), ids=lambda at: f"/{at}")
def test_p9_b6_who_gets_what(world: World, at: str) -> None:
    refuse_other_methods(world, RULES[at])
    for rule in RULES[at]:
        before = hers(world)
        if rule.kind == "staff":
            refuse_all_but_staff(world, rule)
        else:
            refuse_strangers(world, rule)
        after = hers(world)
        after["files"] = {path: after["files"].get(path) for path in before["files"]}
        assert after == before, rule
        for actor in allowed(world, rule):
            named = world.named.get(rule.names, "")
            check(actor, rule, actor.send(rule, address_of(rule, world, named), named), rule.status)
            world.renew(rule.names)


def refuse_other_methods(world: World, rules: list[Rule]) -> None:
    """Each method that is answered has its rule. The admin asks first who is there."""
    told = {rule.method for rule in rules}
    rule = rules[-1]
    # The sign-in page leads on who is signed in, whatever the method.
    actor = world.nobody[0] if rule.kind == "guest" else world.owner
    for method in () if rule.kind == "staff" else sorted({*METHODS} - told):
        response = sent(actor, replace(rule, method=method), world)
        assert response.status_code == 405, f"there is no rule for {method} of {rule.route}"
        assert set(response["Allow"].split(", ")) <= {*told, "OPTIONS"}


def allowed(world: World, rule: Rule) -> Iterator[Actor]:
    if rule.kind == "staff":
        yield world.superuser
        return
    yield world.owner
    if rule.kind == "api":
        yield world.tokens["all"]
        yield from (world.tokens[scope] for scope in sorted(rule.need))


def refuse_all_but_staff(world: World, rule: Rule) -> None:
    for actor in [world.owner, world.tokens["all"], world.others[0], *world.nobody]:
        check_nobody(actor, rule, sent(actor, rule, world))


def refuse_strangers(world: World, rule: Rule) -> None:
    for actor in world.nobody:
        check_nobody(actor, rule, sent(actor, rule, world))
    for actor in world.others:
        response = sent(actor, rule, world)
        if rule.kind == "api" or not actor.token:
            check(actor, rule, response, rule.for_others)
        else:
            check_nobody(actor, rule, response)
    if rule.kind == "api":
        for scope in sorted({*TokenScope} - rule.need):
            actor = world.tokens[scope]
            check_insufficient(actor, rule, sent(actor, rule, world, looks=rule.looks_first))


def sent(actor: Actor, rule: Rule, world: World, looks: Need = frozenset()) -> Any:
    """The answer, which tells nothing of hers, and is the same for what never was.

    But for tokens that may one of `looks`: those are the owner's.
    """
    named = world.named.get(rule.names, "")
    response = actor.send(rule, address_of(rule, world, named), named)
    assert HERS.encode() not in response.content, (actor.name, rule)
    if rule.names and not actor.scopes & looks:
        nothing = unknown(rule)
        other = actor.send(rule, address_of(rule, world, nothing), nothing)
        assert seen(response, named) == seen(other, nothing), (actor.name, rule)
    return response
