"""The dashboard, and the partials that htmx fetches from the handshake's addresses."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec
from uuid import UUID

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from uploads.engine.access import get_session
from uploads.engine.recovery import recover_if_stuck
from uploads.errors import SessionNotFound

from .context import row_context, rows_context

P = ParamSpec("P")


@never_cache
@require_safe
def dashboard(request: HttpRequest) -> HttpResponse:
    if not request.user.is_authenticated:
        return redirect_to_login(request.get_full_path())
    context = {**_rows(request, request.user), "csrf_cookie": settings.CSRF_COOKIE_NAME}
    return render(request, "uploads/dashboard.html", context)


def partial(
    view: Callable[Concatenate[HttpRequest, AbstractBaseUser, P], HttpResponse],
) -> Callable[..., HttpResponse]:
    """A view of `(request, user, ...)` that answers a fragment for htmx, never stored.

    To somebody signed out it answers that the whole page should leave for the sign-in page: a
    plain redirect would be followed by fetch, and that page swapped into the list.
    """

    @wraps(view)
    def wrapped(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        if request.user.is_authenticated:
            response = view(request, request.user, *args, **kwargs)
        else:
            response = HttpResponse(status=401)
            response["HX-Redirect"] = redirect_to_login(reverse("uploads:dashboard")).url
        response["Cache-Control"] = "no-store"
        return response

    return wrapped


@partial
def session_rows(request: HttpRequest, user: AbstractBaseUser) -> HttpResponse:
    return _fragment(request, "partials/uploads/session_rows.html", _rows(request, user))


@partial
def session_row(request: HttpRequest, user: AbstractBaseUser, session_id: UUID) -> HttpResponse:
    try:
        session = recover_if_stuck(get_session(user, session_id))
    except SessionNotFound as error:
        raise Http404 from error
    return _fragment(request, "partials/uploads/session_row.html", row_context(session))


def _rows(request: HttpRequest, user: AbstractBaseUser) -> dict[str, Any]:
    query = request.GET
    return rows_context(user, query.get("before", ""), query.get("after", ""))


def _fragment(request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
    """Without blank text around it, which each morph would leave behind in the page."""
    return HttpResponse(render_to_string(template, context, request).strip())
