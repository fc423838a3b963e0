"""What every endpoint does around its own work: methods, identity, fair shares, refusals."""

import logging
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Concatenate, ParamSpec

from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import SuspiciousOperation
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.http.request import UnreadablePostError
from django.views.decorators.csrf import csrf_exempt

from uploads.errors import InvalidRequest, MethodNotAllowed, UploadError

from . import auth
from .bodies import drain_unread
from .database import DATABASE_ERRORS, database_refusal
from .fairness import fair_share
from .problems import problem
from .request_log import about, route
from .scopes import BY_METHOD, Need, check_scope

logger = logging.getLogger("uploads.protocols")

P = ParamSpec("P")
Authenticate = Callable[[HttpRequest], AbstractBaseUser]
Refuse = Callable[[HttpRequest, UploadError], HttpResponse]
View = Callable[Concatenate[HttpRequest, AbstractBaseUser, P], HttpResponseBase]


def _problem(_: HttpRequest, error: UploadError) -> HttpResponse:
    return problem(error)


def endpoint(
    *methods: str,
    needs: Mapping[str, Need] = BY_METHOD,
    authenticate: Authenticate = auth.authenticate,
    refuse: Refuse = _problem,
) -> Callable[[View[P]], Callable[..., HttpResponseBase]]:
    """A view of `(request, user, ...)` that raises UploadError to refuse; `refuse` answers it.

    `needs`: what a token must be allowed, by method, where that is not what BY_METHOD says.

    Exempt from Django's CSRF middleware, which would read bodies; `authenticate` checks instead.
    Never inside ATOMIC_REQUESTS: a transaction must not wait for a body (P5).
    """

    needed = {method: {**BY_METHOD, **needs}[method] for method in methods}

    def refused(request: HttpRequest, error: UploadError) -> HttpResponse:
        about(request, code=error.code)
        drain_unread(request)
        return refuse(request, error)

    def decorate(view: View[P]) -> Callable[..., HttpResponseBase]:
        @csrf_exempt
        @transaction.non_atomic_requests
        @wraps(view)
        def wrapped(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            try:
                # Not what the client names: some of Python's codecs are no encodings of text. (This
                # parses the query, which may be refused.)
                request.encoding = "utf-8"
                _check_method(request, methods)
                user = authenticate(request)
                about(request, user=user)
                check_scope(request, needed[str(request.method)])
                with fair_share(request, user):
                    response = view(request, user, *args, **kwargs)
            except UploadError as error:
                return refused(request, error)
            except UnreadablePostError:
                return refused(request, InvalidRequest("The connection ended inside the body."))
            except SuspiciousOperation as error:
                return refused(request, InvalidRequest(f"The request is refused: {error}"))
            except DATABASE_ERRORS as error:
                logger.warning("%s %s: database: %s", request.method, route(request), error)
                return refused(request, database_refusal(error))
            response.headers.setdefault("Cache-Control", "no-store")
            return response

        return wrapped

    return decorate


def _check_method(request: HttpRequest, methods: tuple[str, ...]) -> None:
    if request.method not in methods:
        raise MethodNotAllowed(
            f"{request.method} is not understood here; use {' or '.join(methods)}.",
            allowed=list(methods),
        )
