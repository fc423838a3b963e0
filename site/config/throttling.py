"""How often passwords may be guessed, and links asked for: what django-axes counts and answers.

It counts failures by account and address together: whoever guesses is stopped, and stops nobody
else, neither the account's owner elsewhere nor other accounts behind the same address. Why, and
what that leaves open: docs/adr/0023-throttled-sign-in.md.
"""

import logging
from datetime import timedelta
from hashlib import sha256
from math import ceil
from typing import Any

from axes.handlers.proxy import AxesProxyHandler
from axes.helpers import get_client_username, get_credentials
from axes.models import AccessAttempt
from django.conf import settings
from django.db.models import Max, Sum
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.cache import add_never_cache_headers

from .addresses import client_address

logger = logging.getLogger("config.throttling")


def locked_out(
    request: HttpRequest, response: HttpResponse | None, credentials: dict[str, Any] | None
) -> HttpResponse:
    """AXES_LOCKOUT_CALLABLE: the answer in the place of a form's, the admin's too."""
    seconds = _seconds_left(get_client_username(request, credentials), client_address(request))
    # Not whose account: people put passwords into the wrong field.
    logger.warning("%s is refused to %s for %d s", request.path, client_address(request), seconds)
    context = {"minutes": ceil(seconds / 60), "address": request.get_full_path()}
    answer = render(request, "registration/too_many_attempts.html", context, status=429)
    answer["Retry-After"] = str(seconds)
    add_never_cache_headers(answer)
    return answer


def may_ask_for_link(request: HttpRequest, email: str) -> bool:
    """Counts a request for a link by mail; False for one too many, which axes then answers.

    Whether there is an account with that address is not asked.
    """
    credentials = get_credentials(_link_to(email))
    if AxesProxyHandler.is_allowed(request, credentials):
        AxesProxyHandler.user_login_failed(may_ask_for_link, credentials, request)
        return not request.axes_locked_out  # type: ignore[attr-defined]
    request.axes_locked_out = True  # type: ignore[attr-defined]
    request.axes_credentials = credentials  # type: ignore[attr-defined]
    return False


def has_enough_links(email: str) -> bool:
    """Whether as many requests for links came, from wherever, as one address may make."""
    recent = AccessAttempt.objects.filter(
        username=_link_to(email),
        attempt_time__gte=timezone.now() - settings.AXES_COOLOFF_TIME,
    )
    asked = recent.aggregate(Sum("failures_since_start"))["failures_since_start__sum"] or 0
    return asked >= settings.AXES_FAILURE_LIMIT


def forgive(request: HttpRequest, username: str) -> None:
    """Whoever has set a new password may use it at once, from where it was set."""
    AxesProxyHandler.reset_attempts(username=username, ip_address=client_address(request))


def _link_to(email: str) -> str:
    """What is counted in the place of an account's name. None is called so: names have no spaces.

    Without the address itself, which may be anybody's, and longer than a name.
    """
    return f"link to {sha256(email.casefold().encode()).hexdigest()}"


def _seconds_left(username: str | None, address: str | None) -> int:
    """Until the last of the attempts is forgotten; at least 1."""
    attempts = AccessAttempt.objects.filter(username=username, ip_address=address)
    latest = attempts.aggregate(Max("attempt_time"))["attempt_time__max"] or timezone.now()
    left: timedelta = latest + settings.AXES_COOLOFF_TIME - timezone.now()
    return max(1, ceil(left.total_seconds()))
