"""The answer to what no view has caught: a calm page where it passes by itself, else the usual.

Django's own views of errors look for a CSRF token in the form that was sent. To an address that is
none, or a host that is not ours, nobody has looked at that form before: it would be taken in whole,
whoever sends it, and if it is no form, the page would itself be an error.
"""

import logging
import sys

from django.contrib.sessions.exceptions import SessionInterrupted
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseBadRequest,
    HttpResponseServerError,
)
from django.shortcuts import render
from django.template.loader import render_to_string
from django_htmx.middleware import HtmxDetails

from uploads.errors import StorageFull, Unavailable, UploadError
from uploads.protocols.database import DATABASE_ERRORS, database_refusal
from uploads.protocols.problems import problem
from uploads.protocols.request_log import route
from uploads.web.headers import HEADER, POLICY

logger = logging.getLogger("uploads.web")


def unexpected(request: HttpRequest) -> HttpResponse:
    """`handler500`: called while the exception is being handled, a middleware's included."""
    unavailable = _unavailable(request, sys.exc_info()[1])
    # Without the request: it may be what the error is about.
    return unavailable or HttpResponseServerError(render_to_string("500.html"))


def refused(request: HttpRequest, exception: Exception) -> HttpResponse:
    """`handler400`. A session that could not be saved looks to Django as if it had been deleted."""
    if isinstance(exception, SessionInterrupted):
        unavailable = _unavailable(request, _database_error_behind(exception))
        if unavailable:
            return unavailable
    return HttpResponseBadRequest(render_to_string("400.html"))


def missing(request: HttpRequest, exception: Exception) -> HttpResponse:
    """`handler404`."""
    return render(request, "404.html", status=404)


def _database_error_behind(error: BaseException | None) -> BaseException | None:
    while error and not isinstance(error, DATABASE_ERRORS):
        error = error.__context__
    return error


def _unavailable(request: HttpRequest, error: BaseException | None) -> HttpResponse | None:
    """The answer if `error` says that the server cannot do this now, but can later."""
    refusal = _refusal(error)
    if refusal is None:
        return None
    logger.warning("%s %s: %s", request.method, route(request), error)
    # Status, Retry-After and Cache-Control are the same whoever asks.
    response = problem(refusal)
    if HtmxDetails(request):
        response.content = b""
        # The list stays as it was until the next refresh.
        response["HX-Reswap"] = "none"
    elif "text/html" in request.headers.get("Accept", ""):
        response.content = _page(refusal).encode()
        response["Content-Type"] = "text/html; charset=utf-8"
        # The exception may have passed the middleware that sets this.
        response[HEADER] = POLICY
    return response


def _refusal(error: BaseException | None) -> UploadError | None:
    if isinstance(error, DATABASE_ERRORS):
        return database_refusal(error)
    return error if isinstance(error, Unavailable | StorageFull) else None


def _page(refusal: UploadError) -> str:
    """Without the request: its user would be asked of the very database that is busy."""
    return render_to_string("503.html", {"full": isinstance(refusal, StorageFull)})
