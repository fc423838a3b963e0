"""The pages, and the partials that htmx fetches from the handshake's addresses."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec
from uuid import UUID

from django.contrib.auth.models import AbstractBaseUser
from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import cache_control, never_cache
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import require_safe
from django.views.i18n import JavaScriptCatalog

from uploads.engine.access import get_session
from uploads.engine.recovery import recover_if_stuck
from uploads.errors import SessionNotFound
from uploads.models import FileSession
from uploads.protocols.auth import is_of_another

from .context import details_context, list_context, row_context
from .fragments import fragment, go_and_sign_in, render_fragment, wants_fragment
from .listing import Listing

P = ParamSpec("P")
#: What page.js says, in the language of the person: a script that defines `gettext`.
texts = cache_control(private=True, max_age=3600)(JavaScriptCatalog.as_view(packages=["uploads"]))

View = Callable[Concatenate[HttpRequest, AbstractBaseUser, P], HttpResponse]


def page(view: View[P]) -> Callable[..., HttpResponse]:
    """A view of `(request, user, ...)` for people who are signed in; the others are asked to."""

    @never_cache
    @wraps(view)
    def wrapped(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        if request.user.is_authenticated and not is_of_another(request):
            return view(request, request.user, *args, **kwargs)
        # The sign-in page sends back whoever is signed in: redirects would go round and round.
        if wants_fragment(request) or request.user.is_authenticated:
            return go_and_sign_in()
        return redirect_to_login(request.get_full_path())

    return wrapped


def partial(view: View[P]) -> Callable[..., HttpResponse]:
    """A view of `(request, user, ...)` that answers a fragment for htmx, never stored."""

    @wraps(view)
    def wrapped(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        if request.user.is_authenticated and not is_of_another(request):
            response = view(request, request.user, *args, **kwargs)
        else:
            response = go_and_sign_in()
        response["Cache-Control"] = "no-store"
        return response

    return wrapped


@require_safe
@gzip_page
@page
def dashboard(request: HttpRequest, user: AbstractBaseUser) -> HttpResponse:
    listing = Listing.read(request.GET)
    context = list_context(user, listing)
    listed = render_fragment(request, "partials/uploads/list.html", context)
    response = render(request, "uploads/dashboard.html", {**context, "list": listed})
    if request.headers.get("HX-Target", "").endswith("#uploads"):
        # Not with every field of the form that asked, but as links to this very list look.
        response["HX-Replace-Url"] = request.path + listing.query()
    return response


@require_safe
@gzip_page
@page
def details(request: HttpRequest, user: AbstractBaseUser, session_id: UUID) -> HttpResponse:
    try:
        context = details_context(_session(user, session_id))
    except Http404:
        if not wants_fragment(request):
            raise
        # The page is open, and must not go on to show what is no more.
        gone = {"session_id": session_id}
        return render(request, "partials/uploads/gone.html", gone, status=404)
    if wants_fragment(request):
        return fragment(request, "partials/uploads/details.html", context)
    shown = render_fragment(request, "partials/uploads/details.html", context)
    return render(request, "uploads/details.html", {**context, "details": shown})


@gzip_page
@partial
def session_rows(request: HttpRequest, user: AbstractBaseUser) -> HttpResponse:
    context = list_context(user, Listing.read(request.GET))
    return fragment(request, "partials/uploads/list.html", context)


@partial
def session_row(request: HttpRequest, user: AbstractBaseUser, session_id: UUID) -> HttpResponse:
    context = row_context(_session(user, session_id))
    return fragment(request, "partials/uploads/session_row.html", context)


def _session(user: AbstractBaseUser, session_id: UUID) -> FileSession:
    try:
        return recover_if_stuck(get_session(user, session_id))
    except SessionNotFound as error:
        raise Http404 from error
