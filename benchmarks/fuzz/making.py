"""Request number N of a run: made of the seed, of N and of what is there, and of nothing else."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from random import Random

from .addresses import Address, matching
from .drafts import Draft, File, quoted
from .mutations import MUTATIONS, UUID, Kind
from .pages import Form
from .people import PASSWORD
from .population import Person, Population
from .shapes import SHAPES, Sender, Shape
from .values import Hostile
from .wire import broken

#: How often each kind comes, beside the others.
_KINDS: dict[Kind, float] = {
    Kind.SOUND: 4,
    Kind.HEADER: 14,
    Kind.LENGTH: 7,
    Kind.RANGE: 8,
    Kind.NUMBER: 11,
    Kind.IDENTITY: 11,
    Kind.ENCODING: 11,
    Kind.STRUCTURED: 7,
    Kind.JSON: 10,
    Kind.FORM: 8,
    Kind.METHOD: 3,
    Kind.ADDRESS: 7,
    Kind.WIRE: 5,
}
#: How often an address comes: those with a shape, other ones, those of the admin.
_SHAPED, _PLAIN, _ADMIN = 6.0, 1.0, 0.3
#: Of signing in, as hashing a password is slow on purpose, and of what signs out: after that, all
#: else of the same browser is refused alike.
_RARELY = 0.04
_RIGHT_PASSWORD = 0.2
#: Bytes of a body that come along with the head.
_READ_ANYWAY = 8000
#: How often two things are wrong.
_SECOND = 0.15
#: How often what schemathesis made is led to an upload that is there.
_AIMED = 0.7


@dataclass(frozen=True, slots=True)
class Ask:
    """A request as it goes to the server."""

    number: int
    kind: Kind
    group: str
    #: Of its refusals, see `addresses`.
    shape: str
    method: str
    data: bytes
    #: The HTTP server below may refuse it, or end the connection.
    may_break: bool
    #: Nothing more comes on its connection.
    ends: bool
    #: The client has ended its side, so that nobody waits for the rest of a body.
    half_closes: bool = False


Source = Callable[[Sender, Hostile], Draft]


class Maker:
    def __init__(
        self,
        seed: int,
        population: Population,
        known: list[Address],
        host: str,
    ) -> None:
        self._seed = seed
        self._population = population
        self._known = known
        self._host = host
        self._schema: list[Draft] = []
        self._schema_share = 0.0
        self._sources: list[Source] = []
        self._weights: list[float] = []
        for address in known:
            self._add(*self._source_of(address))

    def use(self, forms: list[Form]) -> None:
        """Fill in these forms too."""
        for form in forms:
            hashes = any("password" in name for name, _ in form.fields)
            weight = _RARELY if hashes else _weight(form.address)
            self._add(partial(_filled, form), weight)

    def use_schema(self, drafts: list[Draft], share: float) -> None:
        """Send one of these now and then: such a `share` of all."""
        self._schema = drafts
        self._schema_share = share if drafts else 0.0

    def places(self, person: Person) -> list[tuple[Address, str]]:
        """Each address with a path of that person's."""
        sender = Sender(Random(self._seed), self._population, person)
        hostile = Hostile(sender.rng)
        return [(address, self._path(address, sender, hostile)) for address in self._known]

    def ask(self, number: int) -> Ask:
        rng = Random(f"{self._seed}/{number}")
        person = self._population.people[rng.choices(["alice", "bob", "root"], [6, 3, 1])[0]]
        sender = Sender(rng, self._population, person)
        hostile = Hostile(rng)
        if rng.random() < self._schema_share:
            kind, draft = Kind.SCHEMA, _aimed(rng.choice(self._schema), sender)
        else:
            kind = rng.choices(list(_KINDS), list(_KINDS.values()))[0]
            draft = rng.choices(self._sources, self._weights)[0](sender, hostile)
        if draft.address.group == "admin" and rng.random() < 0.8:
            sender.person = self._population.people["root"]
        _sign(draft, sender)
        if kind in MUTATIONS:
            MUTATIONS[kind](draft, sender, hostile)
            if rng.random() < _SECOND:
                rng.choice(list(MUTATIONS.values()))(draft, sender, hostile)
        is_wire = kind == Kind.WIRE
        return Ask(
            number,
            kind,
            draft.address.group,
            "any" if is_wire or _is_met_earlier(draft) else draft.address.shape,
            draft.method,
            broken(draft, sender, hostile, self._host) if is_wire else draft.rendered(self._host),
            is_wire or _may_break(draft),
            is_wire or draft.lengths is not None or draft.stops_after is not None,
            # A few that are no HTTP are just left, as a client that has crashed leaves them.
            number % 4 > 0 if is_wire else _is_short(draft),
        )

    def _add(self, source: Source, weight: float) -> None:
        self._sources.append(source)
        self._weights.append(weight)

    def _source_of(self, address: Address) -> tuple[Source, float]:
        shape = SHAPES.get(address.name)
        if shape:
            return partial(_shaped, shape, address), _SHAPED
        return partial(self._generic, address), _weight(address)

    def _generic(self, address: Address, sender: Sender, hostile: Hostile) -> Draft:
        path = self._path(address, sender, hostile)
        method = sender.rng.choice(["GET", "GET", "GET", "HEAD", "POST", "POST", "PUT", "PATCH"])
        draft = Draft(address, method, path, strays=address.regex is not None)
        if method in {"POST", "PUT", "PATCH"}:
            choice = sender.rng.randrange(3)
            if choice == 0:
                draft.json = {"upload_id": sender.upload().id, "size": 5, "filename": "x"}
            elif choice == 1:
                draft.fields = [("id", sender.upload().id), ("filename", "x"), ("name", "x")]
            else:
                draft.raw = hostile.body()
        if sender.maybe(0.2):
            draft.set("HX-Request", "true")
        return draft

    def _path(self, address: Address, sender: Sender, hostile: Hostile) -> str:
        values = {
            name: _value(converter, name, address, sender) for converter, name in address.parameters
        }
        tail = matching(address.regex, sender.rng, hostile) if address.regex else ""
        return address.path(values, quoted(tail, safe="/"))


def _value(converter: str, name: str, address: Address, sender: Sender) -> str:
    """What leads somewhere, where its name tells what it is."""
    if "auth/user" in "".join(text for text, _ in address.pieces):
        return str(sender.person.pk)
    if converter == "uuid" or name in {"upload_id", "object_id"}:
        return sender.upload().id
    if "token" in name:
        return str(sender.rng.choice(sender.person.tokens))
    if name == "pk":
        return str(sender.rng.choice(sender.person.collections))
    return "1" if converter in {"int", "path", "str"} else "x"


def _shaped(shape: Shape, address: Address, sender: Sender, _: Hostile) -> Draft:
    return shape(sender, address)


def _weight(address: Address) -> float:
    if address.name.endswith("logout"):
        return _RARELY
    return _ADMIN if address.group == "admin" else _PLAIN


def _filled(form: Form, sender: Sender, _: Hostile) -> Draft:
    """The form as its page has it, with plausible values where that leaves them empty."""
    known = {"csrfmiddlewaretoken": sender.person.csrf, "username": sender.person.name}
    fields = [
        (name, known.get(name) or value or sender.rng.choice(["", "1", "x"]))
        for name, value in form.fields
    ]
    if sender.maybe(_RIGHT_PASSWORD):
        fields = [(name, PASSWORD if "password" in name else value) for name, value in fields]
    files = [File(name, "seeds.txt", b"http://a.example\n", "text/plain") for name in form.files]
    return Draft(
        form.address, "POST", form.path, fields=fields, files=files, is_multipart=form.is_multipart
    )


def _aimed(draft: Draft, sender: Sender) -> Draft:
    """A copy, mostly about an upload that is there: made up, an id leads to 404."""
    path = draft.path
    if sender.maybe(_AIMED):
        path = UUID.sub(lambda _: sender.upload().id, path, count=1)
    return replace(draft, path=path, headers=list(draft.headers))


def _sign(draft: Draft, sender: Sender) -> None:
    """With a token, or as a browser; pages are for browsers, and a few are sent by nobody."""
    chance = sender.rng.random()
    is_page = draft.address.shape == "page"
    if chance < 0.04:
        return
    if not is_page and chance < 0.7:
        draft.set("Authorization", f"Bearer {sender.person.token}")
        return
    draft.set("Cookie", sender.person.cookies)
    if draft.method not in {"GET", "HEAD"}:
        draft.set("X-CSRFToken", sender.person.csrf)
    if is_page:
        draft.set("Accept", "text/html")


def _is_met_earlier(draft: Draft) -> bool:
    """Whether it may be answered before its address is looked for, or by another."""
    return draft.strays or any(name.lower() == "host" for name, _ in draft.headers)


def _is_short(draft: Draft) -> bool:
    """Whether less comes than was said, or nothing says how much."""
    if draft.stops_after is not None:
        return True
    size = len(draft.freeze())
    return any(
        not (text.isascii() and text.isdigit()) or int(text[:30]) > size
        for text in draft.lengths or []
    )


def _may_break(draft: Draft) -> bool:
    """Whether hyper may refuse it: what it reads itself was changed, or is very large."""
    odd = {"host", "transfer-encoding", "content-length", "expect", "te", "keep-alive"}
    names = {name.lower() for name, _ in draft.headers}
    size = sum(len(name) + len(value) for name, value in draft.headers) + len(draft.path)
    return (
        draft.lengths is not None
        or draft.stops_after is not None
        or bool(odd & names)
        or size + len(draft.query) > 8000
        or not draft.method.isalpha()
        or draft.strays
        or _is_left_unread(draft)
    )


def _is_left_unread(draft: Draft) -> bool:
    """Whether it has more of a body than a server takes in that has nobody to give it to.

    It then ends the connection, whose client may lose the answer over it (RFC 9112, section 9.6).
    Where uploads come in, refusals read what is sent; those are held to be answered.
    """
    takes_none = draft.address.shape == "page" or draft.method in {"GET", "HEAD", "OPTIONS"}
    return takes_none and len(draft.freeze()) > _READ_ANYWAY
