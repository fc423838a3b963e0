"""The bodies of forms: sign-in and the admin's, read before their views are asked."""

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponseBase
from django.http.request import UnreadablePostError

from uploads import conf
from uploads.errors import Unavailable

#: Threads that may wait for the body of a form. Each is a few hundred bytes, so that more at once
#: are clients that stall; whoever they are, they need no account for it.
MAX_FORMS = 32

_forms = threading.BoundedSemaphore(MAX_FORMS)


def _limit(request: HttpRequest, view: Any) -> int:
    """Bytes of a form. Views marked by `uploads.forms.takes_files` take files of who signed in."""
    fields: int = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    if getattr(view, "takes_files", False) and request.user.is_authenticated:
        return conf.current().max_file_size + fields
    return fields


class FormBodiesMiddleware:
    """Reads forms within a bound of threads, before CsrfViewMiddleware would without one.

    Views that are exempt from that read their bodies themselves.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> None:
        """Raises Unavailable when too many forms are being read, RequestDataTooBig for files."""
        if request.method != "POST" or getattr(view, "csrf_exempt", False):
            return
        # Django counts fields only: a file in the form it would put on the disk, whoever sends it.
        if int(request.META.get("CONTENT_LENGTH") or 0) > _limit(request, view):
            raise RequestDataTooBig("No form of this kind is that large.")
        if not _forms.acquire(blocking=False):
            raise Unavailable("The server is reading as many forms as it can. Try again shortly.")
        try:
            # A form that ends too early has no token: CsrfViewMiddleware says what that means.
            with suppress(UnreadablePostError):
                request.POST  # noqa: B018 (read here, kept by the request)
        finally:
            _forms.release()
