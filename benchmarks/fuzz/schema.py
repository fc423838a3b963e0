"""Requests that schemathesis makes of the OpenAPI document, right ones and wrong ones."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import hypothesis
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, strategies
from hypothesis.errors import Unsatisfiable
from hypothesis.strategies import SearchStrategy
from schemathesis import GenerationMode
from schemathesis.core.result import Ok

from uploads.web.api_page import DOCUMENT

from .addresses import Address, name_at
from .drafts import Draft

#: What requests adds by itself, and what is decided for each request anew.
_NOT_KEPT = {"content-length", "authorization", "host", "connection"}


def drafts_of(seed: int, count: int, known: list[Address]) -> list[Draft]:
    """Some `count` of them, as many of each operation. The same for the same seed."""
    for media_type in ("application/octet-stream", "application/offset+octet-stream"):
        schemathesis.openapi.media_type(media_type, strategies.binary(max_size=100))
    config = {"generation": {"with-security-parameters": False, "database": "none"}}
    schema = schemathesis.openapi.from_path(DOCUMENT, config=schemathesis.Config.from_dict(config))
    schema.config.update(base_url="http://localhost")
    operations = [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]
    each = max(1, count // (2 * len(operations)))
    by_name = {address.name: address for address in known}
    return [
        draft
        for operation in operations
        for mode in GenerationMode
        for case in _cases(operation, mode, seed, each)
        for draft in _draft(case, by_name)
    ]


def _cases(operation: Any, mode: GenerationMode, seed: int, count: int) -> list[Any]:
    try:
        return _collected(operation.as_strategy(generation_mode=mode), seed, count)
    except Unsatisfiable:
        # There are no wrong requests to an operation without parameters.
        return []


def _collected(strategy: SearchStrategy[Any], seed: int, count: int) -> list[Any]:
    found: list[Any] = []

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @hypothesis.given(strategy)
    def collect(value: Any) -> None:
        found.append(value)

    collect()
    return found


def _draft(case: Any, by_name: dict[str, Address]) -> Iterator[Draft]:
    """The request as requests would send it; none where it would not."""
    try:
        prepared = requests.Request(**_only_known(case.as_transport_kwargs())).prepare()
    except (ValueError, requests.RequestException):
        return
    parts = urlsplit(prepared.url or "")
    address = by_name.get(name_at(parts.path)) or by_name["uploads:sessions"]
    headers = [
        (str(name), value if isinstance(value, str) else value.decode("latin-1"))
        for name, value in prepared.headers.items()
        if str(name).lower() not in _NOT_KEPT
    ]
    body = prepared.body
    raw = body.encode() if isinstance(body, str) else body
    if raw is None or isinstance(raw, bytes):
        method = prepared.method or "GET"
        yield Draft(address, method, parts.path, parts.query, headers, raw or b"", strays=True)


def _only_known(given: dict[str, Any]) -> dict[str, Any]:
    names = {"method", "url", "headers", "files", "data", "params", "json", "cookies"}
    return {name: value for name, value in given.items() if name in names}
