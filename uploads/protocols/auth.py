"""Who is asking: a browser session with its CSRF token, or a script with a personal token."""

import copy

from django.contrib.auth.models import AbstractBaseUser
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import CsrfViewMiddleware

from uploads.engine import tokens
from uploads.errors import CsrfFailed, NotAuthenticated

_SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}
_HOW_TO = (
    "Sign in and send the session cookie, or send `Authorization: Bearer <token>` with a token "
    "from `manage.py issue_token`."
)


def authenticate(request: HttpRequest) -> AbstractBaseUser:
    """The user behind the request. Reads no body. Raises NotAuthenticated or CsrfFailed."""
    header = request.headers.get("Authorization", "")
    if header:
        return _by_token(header)
    if not request.user.is_authenticated:
        raise NotAuthenticated(f"This address needs you to be signed in. {_HOW_TO}")
    if request.method not in _SAFE_METHODS:
        _check_csrf(request)
    return request.user


def _by_token(header: str) -> AbstractBaseUser:
    scheme, _, token = header.partition(" ")
    owner = tokens.find_owner(token.strip()) if scheme.lower() == "bearer" else None
    if owner is None:
        raise NotAuthenticated(f"The token is unknown, revoked or expired. {_HOW_TO}")
    return owner


def _check_csrf(request: HttpRequest) -> None:
    """Django's own check, but by header only.

    For a POST it would look for a form field first, and so spool the whole body before the view
    runs; of a PUT it reads only headers.
    """
    bodiless = copy.copy(request)
    bodiless.method = "PUT"
    middleware = CsrfViewMiddleware(lambda _: HttpResponse())
    middleware.process_request(bodiless)
    if middleware.process_view(bodiless, _unexempted, (), {}) is not None:
        raise CsrfFailed(
            "The request came with a session cookie but without its CSRF token in the X-CSRFToken "
            "header, or from an origin that this site does not trust. Scripts use a personal token "
            "instead."
        )


def _unexempted(request: HttpRequest) -> HttpResponse:
    raise NotImplementedError("only stands in for a view that is not exempt")
