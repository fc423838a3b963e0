"""Who is asking: a browser session with its CSRF token, or a script with a personal token."""

import copy

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import CsrfViewMiddleware, get_token

from uploads.engine import tokens
from uploads.errors import CsrfFailed, NotAuthenticated
from uploads.models import ALL_SCOPES

from .scopes import grant

#: Methods that change nothing, and have no body worth counting.
SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}
_HOW_TO = (
    "Sign in and send the session cookie, or send `Authorization: Bearer <token>` with a token "
    "from the page of access tokens or `manage.py issue_token`."
)


#: With this a page says whose it is. Pages outlive a sign-in in another tab.
PAGE_OF = "X-Holdfast-User"


def is_of_another(request: HttpRequest) -> bool:
    """Whether a page of another account asks: what it sends must not become this one's."""
    page_of = request.headers.get(PAGE_OF, "")
    return bool(page_of) and page_of != str(request.user.pk)


def authenticate(request: HttpRequest) -> AbstractBaseUser:
    """The user behind the request, and with `grant` what it may do. Reads no body.

    Raises NotAuthenticated or CsrfFailed.
    """
    header = request.headers.get("Authorization", "")
    if header:
        return _by_token(request, header)
    if not request.user.is_authenticated:
        raise NotAuthenticated(f"This address needs you to be signed in. {_HOW_TO}")
    if is_of_another(request):
        raise NotAuthenticated("This page belongs to another account than the one signed in now.")
    if request.method not in SAFE_METHODS:
        _check_csrf(request, request.META.get(settings.CSRF_HEADER_NAME))
    grant(request, ALL_SCOPES)
    return request.user


def authenticate_form(request: HttpRequest) -> AbstractBaseUser:
    """As `authenticate`, for a form, whose CSRF token is in the body: `check_form_token` is due.

    What needs no body is checked at once: the cookie, and that the form is from this site.
    """
    if request.headers.get("Authorization") or not request.user.is_authenticated:
        return authenticate(request)
    _check_csrf(request, get_token(request))
    grant(request, ALL_SCOPES)
    return request.user


def check_form_token(request: HttpRequest, token: str) -> None:
    """Check the form's field `csrfmiddlewaretoken`, or without one the header. Raises CsrfFailed.

    A script's personal token is all that it needs.
    """
    if not request.headers.get("Authorization"):
        _check_csrf(request, token or request.META.get(settings.CSRF_HEADER_NAME))


def _by_token(request: HttpRequest, header: str) -> AbstractBaseUser:
    scheme, _, sent = header.partition(" ")
    sent = sent.strip() if scheme.lower() == "bearer" else ""
    token = tokens.find_token(sent) if sent else None
    if token is None:
        detail = f"The token is unknown, revoked or expired. {_HOW_TO}"
        raise NotAuthenticated(detail, token_refused=bool(sent))
    tokens.note_use(token)
    grant(request, token.scopes)
    return token.owner


def _check_csrf(request: HttpRequest, token: str | None) -> None:
    """Django's own check, with `token` as the one of the header.

    For a POST it would look for a form field first, and so spool the whole body before the view
    runs; of a PUT it reads only headers.
    """
    bodiless = copy.copy(request)
    bodiless.method = "PUT"
    middleware = CsrfViewMiddleware(lambda _: HttpResponse())
    middleware.process_request(bodiless)
    if token is not None:
        bodiless.META = {**request.META, settings.CSRF_HEADER_NAME: token}
    if middleware.process_view(bodiless, _unexempted, (), {}) is not None:
        raise CsrfFailed(
            "The request came with a session cookie but without its CSRF token in the X-CSRFToken "
            "header (of a form of files, in the field csrfmiddlewaretoken), or from an origin that "
            "this site does not trust. Scripts use a personal token instead."
        )


def _unexempted(request: HttpRequest) -> HttpResponse:
    raise NotImplementedError("only stands in for a view that is not exempt")
