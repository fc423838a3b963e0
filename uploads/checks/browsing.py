"""What a browser's requests need of the project: who is signed in, and addresses."""

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, register
from django.core.checks import Warning as CheckWarning
from django.shortcuts import resolve_url
from django.urls import NoReverseMatch, Resolver404, get_script_prefix, resolve, reverse
from django.utils.module_loading import import_string

SIGN_IN = (
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
)
MESSAGES = "django.contrib.messages.middleware.MessageMiddleware"
_CSRF = "django.middleware.csrf.CsrfViewMiddleware"
_FORM_BODIES = "uploads.web.form_bodies.FormBodiesMiddleware"


@register("uploads")
def check_sign_in_middleware(**_: Any) -> list[CheckMessage]:
    return [
        Error(
            f"The MIDDLEWARE does not have {path}: nobody is known to be signed in, and every "
            "request of a browser would be an error.",
            hint=f'MIDDLEWARE += ["{path}"], in the order that `startproject` writes',
            id="uploads.E007",
        )
        for path in SIGN_IN
        if not _has(path)
    ]


@register("uploads")
def check_messages(**_: Any) -> list[CheckMessage]:
    if _has(MESSAGES):
        return []
    return [
        CheckWarning(
            f"The MIDDLEWARE does not have {MESSAGES}: on the dashboard, deleting and revoking "
            "would end in an error, for they say what was done.",
            hint=f'MIDDLEWARE += ["{MESSAGES}"], and "django.contrib.messages" among the '
            "INSTALLED_APPS",
            id="uploads.W015",
        )
    ]


@register("uploads")
def check_order_of_middleware(**_: Any) -> list[CheckMessage]:
    """Whichever of the two comes first reads the form."""
    order = list(settings.MIDDLEWARE)
    if not {_CSRF, _FORM_BODIES} <= set(order) or order.index(_FORM_BODIES) < order.index(_CSRF):
        return []
    return [
        CheckWarning(
            "FormBodiesMiddleware stands after CsrfViewMiddleware, which reads forms before it: it "
            "bounds nothing.",
            hint=f'In MIDDLEWARE, put "{_FORM_BODIES}" before "{_CSRF}"',
            id="uploads.W010",
        )
    ]


@register("uploads")
def check_urls(**_: Any) -> list[CheckMessage]:
    if not getattr(settings, "ROOT_URLCONF", None):
        return []
    try:
        reverse("uploads:handshake")
    except NoReverseMatch:
        return [
            Error(
                "The addresses of uploads are not among the project's: no form with a "
                "ResumableFileField can be shown.",
                hint='In urlpatterns, and in no other namespace: path("files/", '
                'include("uploads.urls"))',
                id="uploads.E008",
            )
        ]
    return []


@register("uploads")
def check_sign_in(**_: Any) -> list[CheckMessage]:
    if not getattr(settings, "ROOT_URLCONF", None) or _is_somewhere(settings.LOGIN_URL):
        return []
    return [
        CheckWarning(
            f"LOGIN_URL is {str(settings.LOGIN_URL)!r}, and there is nothing. Uploads belong to "
            "people: whoever is not signed in is sent there.",
            hint="Name the page of the project where people sign in, such as that of the admin: "
            'LOGIN_URL = "admin:login"',
            id="uploads.W011",
        )
    ]


def _has(path: str) -> bool:
    """Whether it is there, or something made of it. What can't be imported Django tells itself."""
    if path in settings.MIDDLEWARE:
        return True
    wanted = import_string(path)
    for given in settings.MIDDLEWARE:
        try:
            found = import_string(given)
        except ImportError:
            continue
        if isinstance(found, type) and issubclass(found, wanted):
            return True
    return False


def _is_somewhere(url: Any) -> bool:
    """Whether there is a view of this project, or another site's address."""
    try:
        parts = urlsplit(resolve_url(url))
        if parts.netloc:
            return True
        resolve("/" + parts.path.removeprefix(get_script_prefix()).lstrip("/"))
    except (NoReverseMatch, Resolver404):
        return False
    return True
