"""One line of the log for each request that changes something: who, what, how much, how it ended.

The line is a JSON object. It holds ids, sizes and codes, and nothing that a file or a client could
be known by: no name, no address with its query, no token, no hash, no content.
"""

import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.core.signals import request_finished
from django.http import HttpRequest, HttpResponseBase
from django.urls import Resolver404, ResolverMatch, resolve

from uploads.models import FileSession

from . import request_ids
from .auth import SAFE_METHODS
from .fairness import declared_length

logger = logging.getLogger("uploads.requests")

_APP = "uploads"
#: Where in the request what is said `about` it is kept.
_FACTS = "uploads.request_log"
#: Parts of an address that say which piece of the file it is, and what the line calls them.
_PIECES = {"index": "index", "number": "part"}


@dataclass(slots=True)
class _Facts:
    user: Any = None
    #: Ids, each once, in the order in which they were told.
    sessions: list[str] = field(default_factory=list)
    code: str | None = None


def about(
    request: HttpRequest,
    *,
    user: AbstractBaseUser | None = None,
    session: FileSession | None = None,
    code: str | None = None,
) -> None:
    """Tell what the line of `request` is to say. May be told again; costs next to nothing.

    `session`: where its id is not in the address. `code`: of the refusal.
    """
    facts = _facts(request)
    if user is not None:
        facts.user = user.pk
    if session is not None:
        _add(facts.sessions, str(session.pk))
    if code is not None:
        facts.code = code


def route(request: HttpRequest) -> str:
    """The pattern of its address, for the log. What stands in its place may be a secret: the ticket
    of a download, the key in a link that was mailed.
    """
    try:
        match = request.resolver_match or resolve(request.path_info)
    except Resolver404:
        return "(no address)"
    return f"/{match.route}"


class RequestLogMiddleware:
    """Answers each request's X-Request-ID, and writes the line. First of all middleware.

    So that whatever the others answer, and the answer to an exception, comes through it.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        request_id = request_ids.chosen(request.headers.get(request_ids.HEADER, ""))
        request_ids.current.set(request_id)
        began = time.monotonic()
        response = self.get_response(request)
        response[request_ids.HEADER] = request_id
        match = request.resolver_match
        if request.method not in SAFE_METHODS and match and _APP in match.app_names:
            line = _line(request, match, response, time.monotonic() - began)
            logger.info("%s", json.dumps({"request_id": request_id, **line}, default=str))
        return response


def _forget(**_: Any) -> None:
    request_ids.current.set(request_ids.NO_REQUEST)


# Not when the middleware is left: Django logs refusals, and downloads are sent, after that.
request_finished.connect(_forget, dispatch_uid="uploads.request_log")


def _line(
    request: HttpRequest, match: ResolverMatch, response: HttpResponseBase, seconds: float
) -> dict[str, Any]:
    """All of the line but its id, in the order in which it is written."""
    facts = _facts(request)
    if "session_id" in match.kwargs:
        _add(facts.sessions, str(match.kwargs["session_id"]))
    return {
        "method": request.method,
        # None for an address that is none of ours.
        "route": match.url_name,
        "user": _signed_in(request) if facts.user is None else facts.user,
        "session": facts.sessions[-1] if facts.sessions else None,
        # Of a form with several files.
        **({"sessions": facts.sessions} if len(facts.sessions) > 1 else {}),
        **{said: match.kwargs[name] for name, said in _PIECES.items() if name in match.kwargs},
        "bytes_in": declared_length(request),
        "status": response.status_code,
        "code": facts.code,
        "milliseconds": round(seconds * 1000),
    }


def _facts(request: HttpRequest) -> _Facts:
    facts: _Facts = request.META.setdefault(_FACTS, _Facts())
    return facts


def _add(ids: list[str], session_id: str) -> None:
    if session_id not in ids:
        ids.append(session_id)


def _signed_in(request: HttpRequest) -> Any:
    """Who is signed in, if anybody has asked: to ask here would cost a query, which could fail."""
    return getattr(getattr(request, "_cached_user", None), "pk", None)
