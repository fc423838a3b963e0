"""What the forms of the pages do: delete, bring back, rename. They work without JavaScript too."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.models import AbstractBaseUser
from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext, ngettext
from django.views.decorators.cache import never_cache
from django_htmx.middleware import HtmxDetails

from uploads.core.filenames import clean_filename
from uploads.engine.access import get_session
from uploads.engine.removing import cancel
from uploads.engine.removing import remove as remove_session
from uploads.engine.renaming import rename as rename_session
from uploads.engine.trash import restore as restore_sessions
from uploads.engine.trash import trash
from uploads.errors import (
    ContentRefused,
    FileTypeNotAllowed,
    SessionGone,
    SessionNotFound,
    Unavailable,
)
from uploads.models import FileSession, SessionStatus
from uploads.protocols.auth import is_of_another

from .context import details_context
from .fragments import go_and_sign_in, render_fragment

P = ParamSpec("P")
#: Ids that one form may name: more than a page shows.
MAX_CHOSEN = 1000


def action(
    view: Callable[Concatenate[HttpRequest, AbstractBaseUser, P], HttpResponse],
) -> Callable[..., HttpResponse]:
    """A view of `(request, user, ...)` that takes a POST and, done, leads back to where it came
    from. Its address fetched, after a reload or a sign-in for one, leads there as well.
    """

    @never_cache
    @wraps(view)
    def wrapped(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        if request.method != "POST":
            return _to(reverse("uploads:dashboard"))
        if not request.user.is_authenticated:
            return redirect_to_login(_origin(request))
        if is_of_another(request):
            return go_and_sign_in()
        return view(request, request.user, *args, **kwargs)

    return wrapped


@action
def remove_one(request: HttpRequest, user: AbstractBaseUser, session_id: UUID) -> HttpResponse:
    """Cancel an upload under way, delete a finished file, remove what has failed or expired."""
    try:
        found = [get_session(user, session_id)]
    except SessionNotFound as error:
        # In a list it may be gone since another tab deleted it: then that is what was wanted.
        if not HtmxDetails(request):
            raise Http404 from error
        found = []
    _remove(request, user, found)
    return _back(request, unless_at=reverse("uploads:details", kwargs={"session_id": session_id}))


@action
def remove_chosen(request: HttpRequest, user: AbstractBaseUser) -> HttpResponse:
    """The same for every `id` of the form. What is gone already is none of its business."""
    own = FileSession.objects.owned_by(user)
    _remove(request, user, list(own.filter(pk__in=_chosen(request))))
    return _back(request)


@action
def restore(request: HttpRequest, user: AbstractBaseUser) -> HttpResponse:
    """Bring back every `id` of the form that was deleted a moment ago."""
    chosen = _chosen(request)
    restore_sessions(user, chosen)
    # Not those that an earlier click, or another tab, has brought back.
    late = len(set(chosen)) - FileSession.objects.owned_by(user).filter(pk__in=chosen).count()
    if late:
        messages.error(
            request,
            ngettext(
                "%(count)d file could not be brought back: it is deleted for good by now.",
                "%(count)d files could not be brought back: they are deleted for good by now.",
                late,
            )
            % {"count": late},
        )
    return _back(request)


@action
def rename(request: HttpRequest, user: AbstractBaseUser, session_id: UUID) -> HttpResponse:
    session = _session(user, session_id)
    given = request.POST.get("filename", "")
    try:
        rename_session(session, clean_filename(given))
    except ValueError as reason:
        return _refused_name(request, session, given, gettext(str(reason)))
    except FileTypeNotAllowed:
        sentence = gettext("a file of this name is not taken here")
        return _refused_name(request, session, given, sentence)
    except ContentRefused as refusal:
        return _refused_name(request, session, given, _content_refused(refusal))
    except Unavailable:
        sentence = gettext("the file cannot be looked at just now, so try again in a moment")
        return _refused_name(request, session, given, sentence)
    except (SessionGone, SessionNotFound) as error:
        raise Http404 from error
    return _to(reverse("uploads:details", kwargs={"session_id": session_id}))


def _content_refused(refusal: ContentRefused) -> str:
    if "evidence" in refusal.members:
        return gettext("the content of the file is not what this name says")
    # In the words of a validator of the project.
    return refusal.detail.rstrip(".")


def _remove(request: HttpRequest, user: AbstractBaseUser, sessions: list[FileSession]) -> None:
    finished = []
    for session in sessions:
        try:
            # What completes at this very moment is a file by then, and can be brought back.
            ended = cancel(session)
            if ended and ended.status == SessionStatus.COMPLETED:
                finished.append(ended.pk)
                continue
            if ended:
                remove_session(ended)
        except (SessionGone, SessionNotFound):
            continue  # Somebody, or the clock, was first.
        messages.success(request, gettext("“%(name)s” was removed.") % {"name": session.filename})
    trash(user, finished)


def _refused_name(
    request: HttpRequest, session: FileSession, given: str, reason: str
) -> HttpResponse:
    context = {
        **details_context(session),
        "rename_value": given,
        "rename_error": reason,
    }
    shown = render_fragment(request, "partials/uploads/details.html", context)
    response = render(request, "uploads/details.html", {**context, "details": shown}, status=422)
    # The address stays that of the page: this one cannot be fetched.
    response["HX-Replace-Url"] = "false"
    return response


def _session(user: AbstractBaseUser, session_id: UUID) -> FileSession:
    try:
        return get_session(user, session_id)
    except SessionNotFound as error:
        raise Http404 from error


def _chosen(request: HttpRequest) -> list[UUID]:
    ids = []
    for text in request.POST.getlist("id")[:MAX_CHOSEN]:
        try:
            ids.append(UUID(text))
        except ValueError:
            continue  # Nothing of ours: it chooses nothing.
    return ids


def _back(request: HttpRequest, unless_at: str = "") -> HttpResponse:
    origin = _origin(request)
    # Also where a refused new name has left the address at that of the form.
    at_its_own_page = unless_at and unless_at in origin.partition("?")[0]
    return _to(reverse("uploads:dashboard") if at_its_own_page else origin)


def _to(url: str) -> HttpResponse:
    response = HttpResponseRedirect(url)
    response.status_code = 303
    return response


def _origin(request: HttpRequest) -> str:
    """The page that the form was on. Pages of this site only."""
    given = request.headers.get("HX-Current-URL") or request.headers.get("Referer", "")
    ours = url_has_allowed_host_and_scheme(
        given, {request.get_host()}, require_https=request.is_secure()
    )
    return given if ours else reverse("uploads:dashboard")
