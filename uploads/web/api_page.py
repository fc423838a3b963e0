"""The page of the API, made of its OpenAPI document; and that document as it is.

What the document says stays in its language, English; only what is around it is translated.
"""

import json
from collections import ChainMap
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import get_language
from django.views.decorators.cache import cache_control, never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import require_safe

#: In the repository a link to docs/openapi.yaml, in an installed package the document itself.
DOCUMENT = Path(__file__).parents[1] / "openapi.yaml"
MEDIA_TYPE = "application/yaml"
#: The operations of a path item; its other members are about all of them.
METHODS = ("options", "get", "head", "post", "put", "patch", "delete")

#: A part of the document, as YAML has it.
Node = dict[str, Any]


class Field(NamedTuple):
    """A parameter, a member of a body, or a header. `place` is empty but for parameters."""

    name: str
    place: str
    kind: str
    required: bool
    text: list[SafeString]


class Body(NamedTuple):
    media_type: str
    fields: list[Field]


class Answer(NamedTuple):
    status: str
    text: list[SafeString]
    #: Of the refusals that have this status.
    codes: list[str]
    headers: list[Field]
    bodies: list[Body]


class Operation(NamedTuple):
    anchor: str
    method: str
    path: str
    summary: SafeString
    text: list[SafeString]
    parameters: list[Field]
    body_text: list[SafeString]
    bodies: list[Body]
    #: Lines for a shell, and what they are answered; each may be empty.
    request_example: str
    answer_example: str
    answers: list[Answer]


class Group(NamedTuple):
    """The operations of one protocol."""

    anchor: str
    name: str
    text: list[SafeString]
    operations: list[Operation]


class Description(NamedTuple):
    text: list[SafeString]
    groups: list[Group]


@csrf_exempt  # It only reads: so another method is told which ones there are, and not of a token.
@require_safe
@cache_control(no_store=True)
def openapi(request: HttpRequest) -> HttpResponse:
    return HttpResponse(_source(), content_type=MEDIA_TYPE)


@csrf_exempt
@require_safe
@gzip_page
@never_cache
def page(request: HttpRequest) -> HttpResponse:
    """For everybody, signed in or not."""
    return render(request, "uploads/api.html", {"groups": _rendered(get_language() or "")})


@cache
def _rendered(language: str) -> SafeString:
    """All but the frame, in the language that is active; it is the same for everybody."""
    return render_to_string("partials/uploads/api_groups.html", {"api": description()})


@cache
def _source() -> bytes:
    return DOCUMENT.read_bytes()


@cache
def description() -> Description:
    return _Reader(yaml.safe_load(_source())).description()


class _Reader:
    """Turns the document into what the page shows. Whatever is missing there is a KeyError here."""

    def __init__(self, document: Node) -> None:
        self._document = document

    def description(self) -> Description:
        groups = [self._group(tag) for tag in self._document["tags"]]
        return Description(prose(self._document["info"]["description"]), groups)

    def _group(self, tag: Node) -> Group:
        name = tag["name"]
        operations = [
            self._operation(path, method, item)
            for path, item in self._document["paths"].items()
            for method in item
            if method in METHODS and item[method]["tags"] == [name]
        ]
        return Group(f"protocol-{name.lower()}", name, prose(tag["description"]), operations)

    def _operation(self, path: str, method: str, item: Node) -> Operation:
        given = item[method]
        parameters = [*item.get("parameters", []), *given.get("parameters", [])]
        body = given.get("requestBody", {})
        answers = {status: self._resolved(node) for status, node in given["responses"].items()}
        return Operation(
            anchor=given["operationId"],
            method=method.upper(),
            path=path,
            summary=_with_code(given["summary"]),
            text=prose(given.get("description", "")),
            parameters=[self._parameter(node) for node in parameters],
            body_text=prose(body.get("description", "")),
            bodies=self._bodies(body),
            request_example="\n".join(sample["source"] for sample in given["x-codeSamples"]),
            answer_example=self._example(answers),
            answers=[self._answer(status, node) for status, node in answers.items()],
        )

    def _parameter(self, node: Node) -> Field:
        given = self._resolved(node)
        kind = self._kind(given["schema"])
        text = prose(given["description"])
        return Field(given["name"], given["in"], kind, given["required"], text)

    def _answer(self, status: str, node: Node) -> Answer:
        headers = {name: self._resolved(given) for name, given in node.get("headers", {}).items()}
        return Answer(
            status=status,
            text=prose(node["description"]),
            codes=list(self._codes(node)),
            headers=[self._header(name, given) for name, given in headers.items()],
            # The shape of all refusals is the same, and what each means is said by its code.
            bodies=self._bodies(node) if status < "400" else [],
        )

    def _header(self, name: str, given: Node) -> Field:
        kind = self._kind(given["schema"])
        return Field(name, "", kind, given["required"], prose(given["description"]))

    def _codes(self, answer: Node) -> Iterator[str]:
        for content in answer.get("content", {}).values():
            code = content.get("schema", {}).get("properties", {}).get("code", {})
            yield from [code["const"]] if "const" in code else code.get("enum", [])

    def _bodies(self, node: Node) -> list[Body]:
        return [
            Body(media_type, list(self._members(content.get("schema", {}))))
            for media_type, content in node.get("content", {}).items()
        ]

    def _members(self, schema: Node) -> Iterator[Field]:
        required = self._required(schema)
        for name, node in self._properties(schema).items():
            text = prose(self._resolved(node).get("description", ""))
            yield Field(name, "", self._kind(node), name in required, text)

    def _properties(self, schema: Node) -> Node:
        whole = self._resolved(schema)
        inherited = [self._properties(part) for part in whole.get("allOf", [])]
        return dict(ChainMap(whole.get("properties", {}), *inherited))

    def _required(self, schema: Node) -> set[str]:
        whole = self._resolved(schema)
        inherited = [self._required(part) for part in whole.get("allOf", [])]
        return set(whole.get("required", [])).union(*inherited)

    def _kind(self, node: Node) -> str:
        """The type in a few words, with its bounds."""
        schema = self._resolved(node)
        if "const" in schema:
            return json.dumps(schema["const"])
        if "enum" in schema:
            return " | ".join(schema["enum"])
        if "oneOf" in schema:
            return " | ".join(self._kind(part) for part in schema["oneOf"])
        types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        named = [self._array(schema) if name == "array" else name for name in types]
        return ", ".join([" | ".join(named), *_bounds(schema)])

    def _array(self, schema: Node) -> str:
        return f"array of {self._kind(schema['items'])}"

    def _example(self, answers: dict[str, Node]) -> str:
        """Of the first answer that has one, successes first, as the document has them."""
        for node in answers.values():
            for content in node.get("content", {}).values():
                values = [self._resolved(e)["value"] for e in content.get("examples", {}).values()]
                for value in [*values, content.get("example")]:
                    if value is not None:
                        return json.dumps(value, indent=2, ensure_ascii=False)
        return ""

    def _resolved(self, node: Node) -> Node:
        """`node` with what it refers to; what it says itself goes before that."""
        if "$ref" not in node:
            return node
        found: Node = self._document
        for name in node["$ref"].removeprefix("#/").split("/"):
            found = found[name]
        own = {name: value for name, value in node.items() if name != "$ref"}
        return self._resolved(found) | own


def prose(text: str) -> list[SafeString]:
    """The paragraphs of a description, whose only markup is `code`."""
    paragraphs = (" ".join(paragraph.split()) for paragraph in text.split("\n\n"))
    return [_with_code(paragraph) for paragraph in paragraphs if paragraph]


def _with_code(text: str) -> SafeString:
    pieces = enumerate(text.split("`"))
    return format_html_join(
        "", "{}", ([format_html("<code>{}</code>", p) if n % 2 else p] for n, p in pieces)
    )


def _bounds(schema: Node) -> Iterator[str]:
    for name in ("format", "contentEncoding"):
        if name in schema:
            yield schema[name]
    if "minimum" in schema and "maximum" in schema:
        yield f"{schema['minimum']} to {schema['maximum']}"
    elif "minimum" in schema:
        yield f"from {schema['minimum']}"
    if "maxLength" in schema:
        yield f"at most {schema['maxLength']} characters"
