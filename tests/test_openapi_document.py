"""docs/openapi.yaml is OpenAPI 3.1, and says of addresses, methods and refusals what the code does.

What the real server answers is held against it in tests/server/test_openapi.py.
"""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import jsonschema_rs
import pytest
import schemathesis
import yaml
from django.test import Client
from django.urls import URLPattern

from tests.protocol.test_problem_shape import CLASSES
from tests.support.server import REPOSITORY
from tests.test_documentation import ABSTRACT
from tests.web.isolation import TABLE
from uploads.protocols.problems import status_of
from uploads.protocols.tus import answers
from uploads.urls import urlpatterns
from uploads.web.api_page import DOCUMENT, METHODS

Node = dict[str, Any]
Operation = tuple[str, str, Node]

SPOKEN: Node = yaml.safe_load(DOCUMENT.read_text())
#: What of the site's addresses is for programs.
OF_PROGRAMS = ("api/", "files/", "upload/", "uploads/send", "uploads/sessions")
#: Has statuses of its own.
OF_TUS = "/files/"
PLACEHOLDER = re.compile(r"<\w+:\w+>|{\w+}")
#: For each kind of placeholder something that fits.
VALUES = {"uuid": str(UUID(int=0)), "int": "1", "str": str(UUID(int=0))}


def operations() -> Iterator[Operation]:
    for path, item in SPOKEN["paths"].items():
        for method in METHODS:
            if method in item:
                yield path, method, item[method]


def named(operation: Operation) -> str:
    path, method, _ = operation
    return f"{method.upper()} {path}"


def resolved(node: Node) -> Node:
    if "$ref" not in node:
        return node
    found: Any = SPOKEN
    for name in node["$ref"].removeprefix("#/").split("/"):
        found = found[name]
    return resolved(found)


def refusals(*, of_tus: bool) -> Iterator[tuple[int, str]]:
    """Status and code of each refusal that some operation is said to answer by problem+json."""
    for path, _, operation in operations():
        if path.startswith(OF_TUS) != of_tus:
            continue
        for status, answer in operation["responses"].items():
            content = resolved(answer).get("content", {}).get("application/problem+json")
            code = content["schema"]["properties"]["code"] if content else {}
            for name in [code["const"]] if "const" in code else code.get("enum", []):
                yield int(status), name


each_operation = pytest.mark.parametrize("operation", list(operations()), ids=named)


def routes() -> dict[str, str]:
    """Of each address for programs its form, all placeholders alike, and an example of it."""
    given = [str(p.pattern) for p in urlpatterns if isinstance(p, URLPattern)]
    plain = [route for route in given if route.startswith(OF_PROGRAMS)]
    return {
        "/" + PLACEHOLDER.sub("{}", route): "/"
        + re.sub(r"<(\w+):\w+>", lambda found: VALUES[found[1]], route)
        for route in plain
    }


def test_the_document_is_openapi_3_1() -> None:
    assert SPOKEN["openapi"].startswith("3.1.")
    schemathesis.openapi.from_dict(SPOKEN).validate()


def test_the_package_has_the_document_of_the_repository() -> None:
    assert DOCUMENT.resolve() == REPOSITORY / "docs" / "openapi.yaml"


def test_every_address_for_programs_is_described_and_no_other() -> None:
    assert {PLACEHOLDER.sub("{}", path) for path in SPOKEN["paths"]} == set(routes())


@pytest.mark.parametrize("path", list(SPOKEN["paths"]))
def test_the_methods_described_are_those_that_the_address_takes(db: None, path: str) -> None:
    address = routes()[PLACEHOLDER.sub("{}", path)]
    answer = Client().generic("BREW", address)
    assert answer.status_code == 405
    described = {method.upper() for method in METHODS if method in SPOKEN["paths"][path]}
    assert set(answer["Allow"].split(", ")) == described


@each_operation
def test_the_scopes_described_are_those_that_are_asked_for(operation: Operation) -> None:
    path, method, said = operation
    address = PLACEHOLDER.sub("{}", path)
    needs = [
        rule.need
        for rule in TABLE
        if rule.kind == "api"
        and rule.method == method.upper()
        and "/" + PLACEHOLDER.sub("{}", rule.route) == address
    ]
    described = [scope for way in said["security"] for scope in way.get("token", [])]
    assert set(described) == set().union(*needs)


def test_p10_the_codes_described_are_those_of_the_code() -> None:
    known = [kind.code for kind in CLASSES if kind not in ABSTRACT]
    described = SPOKEN["components"]["schemas"]["Refusal"]["properties"]["code"]["enum"]
    assert sorted(described) == sorted(known)


def test_p10_each_refusal_described_has_its_status_and_each_is_answered_somewhere() -> None:
    pairs = {kind.code: status_of(kind) for kind in CLASSES if kind not in ABSTRACT}
    # No operation has a method that its address does not take.
    del pairs["method_not_allowed"]
    del pairs["joined_only"], pairs["version_not_spoken"]  # Of tus alone.
    assert set(refusals(of_tus=False)) == {(status, code) for code, status in pairs.items()}


def test_p10_the_refusals_of_tus_have_its_statuses() -> None:
    pairs = {kind.code: status_of(kind, answers.STATUSES) for kind in CLASSES}
    told = set(refusals(of_tus=True))
    assert told <= {(status, code) for code, status in pairs.items()}
    assert {"joined_only", "version_not_spoken", "digest_mismatch"} <= {code for _, code in told}


def test_no_two_operations_have_one_name() -> None:
    names = Counter(operation["operationId"] for _, _, operation in operations())
    assert names.most_common(1)[0][1] == 1


@each_operation
def test_every_operation_says_what_it_is_for_and_shows_it(operation: Operation) -> None:
    path, _, said = operation
    assert said["summary"]
    assert [tag["name"] for tag in SPOKEN["tags"]].count(*said["tags"]) == 1
    for sample in said["x-codeSamples"]:
        address = re.escape(PLACEHOLDER.sub("@", path)).replace("@", r"[\w$]+")
        assert re.search(rf'"\$URL{address}(\?[^"]*)?"', sample["source"]), sample["source"]
    for media_type, content in resolved(said.get("requestBody", {})).get("content", {}).items():
        assert media_type != "application/json" or {"example", "examples"} & set(content)


@each_operation
def test_every_answer_carries_the_id_of_its_request(operation: Operation) -> None:
    for status, answer in operation[2]["responses"].items():
        assert "X-Request-ID" in resolved(answer)["headers"], status


@each_operation
def test_every_example_is_one(operation: Operation) -> None:
    """Of its schema: else it would teach what is refused, or never comes."""
    said = operation[2]
    for part in [said.get("requestBody", {}), *said["responses"].values()]:
        for content in resolved(part).get("content", {}).values():
            values = [resolved(given)["value"] for given in content.get("examples", {}).values()]
            for value in [*values, *([content["example"]] if "example" in content else [])]:
                whole = {"allOf": [content["schema"]], "components": SPOKEN["components"]}
                jsonschema_rs.validator_for(whole, validate_formats=True).validate(value)


def test_nothing_of_the_components_is_left_unused() -> None:
    text = DOCUMENT.read_text()
    used = set(re.findall(r"#/components/(\w+/\w+)", text))
    there = {
        f"{kind}/{name}"
        for kind, items in SPOKEN["components"].items()
        if kind != "securitySchemes"
        for name in items
    }
    assert used == there
