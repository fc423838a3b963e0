"""Every address of the site, from its urlconf: what is added there is met here without an edit."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

from django.urls import Resolver404, URLPattern, URLResolver, get_resolver, resolve

from .values import Hostile

#: The protocols whose refusals are problems (RFC 9457), and the one that has its own shape.
_PROBLEM, _DETAIL, _PAGE, _ANY = "problem", "detail", "page", "any"
_SHAPES = {
    "uploads.protocols.native": _PROBLEM,
    "uploads.protocols.json_api": _PROBLEM,
    "uploads.protocols.parts": _PROBLEM,
    "uploads.protocols.form": _PROBLEM,
    "uploads.protocols.tus.views": _PROBLEM,
    "uploads.protocols.chunked_upload": _DETAIL,
}
#: How often a path ends where it may go on.
_AS_IT_IS = 0.3
_PARAMETER = re.compile(r"<(?:(\w+):)?(\w+)>")


@dataclass(frozen=True, slots=True)
class Address:
    """`pieces` are the routes, outermost first; those of `re_path` are regular expressions."""

    name: str
    group: str
    #: Of its refusals: one of the words above.
    shape: str
    pieces: tuple[tuple[str, bool], ...]

    @property
    def parameters(self) -> list[tuple[str, str]]:
        """Converter and name of each value in the path."""
        return [
            (match[1] or "str", match[2])
            for text, is_regex in self.pieces
            if not is_regex
            for match in _PARAMETER.finditer(text)
        ]

    @property
    def regex(self) -> str | None:
        """The last piece, where it is one: it may match what has no end."""
        text, is_regex = self.pieces[-1]
        return text if is_regex else None

    def path(self, values: dict[str, str], tail: str | None = None) -> str:
        """With `values` by name, and `tail` instead of a regular expression at its end."""
        pieces = [
            (piece.strip("^$") if tail is None else tail) if is_regex else piece
            for piece, is_regex in self.pieces
        ]
        text = "".join(pieces)
        return "/" + _PARAMETER.sub(lambda match: values[match[2]], text)


#: What else than text the regular expressions of urlconfs have, and what matches it.
_GROUP = re.compile(r"\((?:\?P<\w+>|\?:)?([^()]*)\)")
_ANYTHING = ".*"


def matching(regex: str, rng: Random, hostile: Hostile) -> str:
    """A text that begins as `regex` does, and goes on as hostile as that lets it."""
    text = regex
    while match := _GROUP.search(text):
        choice = rng.choice(match[1].split("|")).strip("^$")
        text = text[: match.start()] + choice + text[match.end() :]
    ends = regex.endswith("$") and not regex.endswith(_ANYTHING + "$")
    text = text.strip("^$").replace(_ANYTHING, "")
    return text if ends or rng.random() < _AS_IT_IS else text + hostile.text()[:200]


def addresses() -> list[Address]:
    return list(_walk(get_resolver(), (), ()))


def name_at(path: str) -> str:
    """Of the address that answers there; empty where none does."""
    try:
        match = resolve(path)
    except Resolver404:
        return ""
    return ":".join((*match.namespaces, match.url_name or ""))


def _walk(
    resolver: URLResolver, pieces: tuple[tuple[str, bool], ...], names: tuple[str, ...]
) -> Iterator[Address]:
    for pattern in resolver.url_patterns:
        here = (*pieces, _piece(pattern))
        if isinstance(pattern, URLResolver):
            namespace = (pattern.namespace,) if pattern.namespace else ()
            yield from _walk(pattern, here, (*names, *namespace))
        else:
            name = ":".join((*names, pattern.name or f"({''.join(text for text, _ in here)})"))
            module = str(getattr(pattern.callback, "__module__", ""))
            yield Address(name, _group(names, module), _shape(module), here)


def _piece(pattern: URLPattern | URLResolver) -> tuple[str, bool]:
    route: Any = getattr(pattern.pattern, "_route", None)
    return (str(pattern.pattern), True) if route is None else (str(route), False)


def _group(names: tuple[str, ...], module: str) -> str:
    """What the address is counted as."""
    if module.startswith("uploads.protocols."):
        return module.removeprefix("uploads.protocols.").partition(".")[0]
    if "admin" in names:
        return "admin"
    if module == "uploads.urls":
        return "native"
    return names[0] if names and names[0] != "uploads" else "pages" if names else "accounts"


def _shape(module: str) -> str:
    """A new protocol's is any, until it has a line above."""
    if module in _SHAPES:
        return _SHAPES[module]
    return _ANY if module.startswith("uploads.protocols.") or module == "uploads.urls" else _PAGE
