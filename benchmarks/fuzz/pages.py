"""The forms of every page, as the pages have them: a later one is met without an edit."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import requests

from tests.support.server import Server

from .addresses import Address, name_at
from .population import Person


@dataclass
class Form:
    """`fields` with what the page has put into them."""

    address: Address
    path: str
    is_multipart: bool
    fields: list[tuple[str, str]] = field(default_factory=list)
    files: list[str] = field(default_factory=list)


class _Reader(HTMLParser):
    """Collects the forms that are posted: action, encoding, fields, file fields."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, bool, list[tuple[str, str]], list[str]]] = []
        self._is_inside = False
        self._select = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._is_inside = given.get("method", "").lower() == "post"
            if self._is_inside:
                is_multipart = given.get("enctype") == "multipart/form-data"
                self.found.append((given.get("action", ""), is_multipart, [], []))
        elif self._is_inside:
            self._field(tag, given)

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._is_inside = False

    def _field(self, tag: str, given: dict[str, str]) -> None:
        _, _, fields, files = self.found[-1]
        name = given.get("name", "")
        if tag == "select":
            self._select = name
        elif tag == "option" and self._select:
            fields.append((self._select, given.get("value", "")))
            self._select = ""
        elif name and given.get("type") == "file":
            files.append(name)
        elif name and tag in {"input", "textarea", "button"}:
            fields.append((name, given.get("value", "")))


def forms_of(
    server: Server, person: Person, places: Iterable[tuple[Address, str]], known: list[Address]
) -> list[Form]:
    """Every form on `places`, addresses with their paths, as `person` is shown it."""
    by_name = {address.name: address for address in known}
    found: dict[tuple[str, tuple[str, ...]], Form] = {}
    with requests.Session() as http:
        http.trust_env = False
        for address, path in places:
            answer = http.get(
                server.url + path,
                headers={"Cookie": person.cookies},
                allow_redirects=False,
                timeout=60,
            )
            if answer.status_code != 200 or "text/html" not in answer.headers["Content-Type"]:
                continue
            reader = _Reader()
            reader.feed(answer.text)
            for action, is_multipart, fields, files in reader.found:
                target = urlsplit(urljoin(path, action)).path
                there = by_name.get(name_at(target), address)
                names = tuple(name for name, _ in fields)
                form = Form(there, target, is_multipart, fields, files)
                found.setdefault((there.name, names), form)
    return list(found.values())
