"""Partials for htmx, which are empty when nothing has changed since the page saw them last."""

import hashlib
from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.safestring import SafeString, mark_safe
from django_htmx.middleware import HtmxDetails

#: Stands in the rendered partial where its own digest goes. Text of people is escaped, so it cannot
#: hold this.
_PLACE = "<!--seen-->"
#: The name by which the page sends back the digest of what it shows.
SEEN = "seen"


def render_fragment(request: HttpRequest, template: str, context: dict[str, Any]) -> SafeString:
    """The partial, with its digest where the template says `{{ seen }}`."""
    return _rendered(request, template, context)[0]


def fragment(request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
    """The partial, or 204 if the page shows just that already."""
    body, digest = _rendered(request, template, context)
    if request.GET.get(SEEN) == digest:
        return HttpResponse(status=204)
    return HttpResponse(body)


def wants_fragment(request: HttpRequest) -> bool:
    """Whether htmx asks for a part to put in place, and not for a page to take a part from."""
    return bool(HtmxDetails(request)) and request.headers.get("HX-Request-Type") == "partial"


def go_and_sign_in() -> HttpResponse:
    """The whole page should leave for the sign-in page: a plain redirect would be followed by
    fetch, and that page swapped into the list.
    """
    response = HttpResponse(status=401)
    response["HX-Redirect"] = redirect_to_login(reverse("uploads:dashboard")).url
    return response


def _rendered(
    request: HttpRequest, template: str, context: dict[str, Any]
) -> tuple[SafeString, str]:
    """Without blank text around it, which each morph would leave behind in the page."""
    place = mark_safe(_PLACE)  # noqa: S308 (a constant)  # nosec B308 B703
    given = {**context, SEEN: place}
    body = render_to_string(template, given, request).strip()
    digest = hashlib.blake2b(body.encode(), digest_size=9).hexdigest()
    seen = body.replace(_PLACE, digest, 1)
    return mark_safe(seen), digest  # noqa: S308 (a template made it)  # nosec B308 B703
