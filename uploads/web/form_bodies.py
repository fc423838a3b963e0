"""The bodies of forms: sign-in and the admin's, read before their views are asked."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any, cast

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponseBase
from django.http.request import UnreadablePostError

from uploads import conf
from uploads.core.plan import MIB
from uploads.errors import Unavailable
from uploads.protocols.bodies import reader_slot
from uploads.protocols.fairness import declared_length, fair_share

#: Threads that may wait for the body of a form. Each is a few hundred bytes, so that more at once
#: are clients that stall; whoever they are, they need no account for it.
MAX_FORMS = 32
#: Room for the fields and boundaries around files.
MAX_OVERHEAD_BYTES = 2 * MIB

_forms = threading.BoundedSemaphore(MAX_FORMS)


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
        with _room_for(request, view), suppress(UnreadablePostError):
            # A form that ends too early has no token: CsrfViewMiddleware says what that means.
            request.POST  # noqa: B018 (read here, kept by the request)


def _room_for(request: HttpRequest, view: Any) -> AbstractContextManager[None]:
    """Django counts fields only: a file in a form it puts on the disk, whoever sends it.

    So files are taken by those views only that `uploads.forms.takes_files` marks, of who is signed
    in; such a form is one of the bodies that uploads are, and has its sender's share of them.
    """
    length = declared_length(request) or 0
    limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    if limit is None or length <= limit:
        return _room_for_fields()
    takes_files = getattr(view, "takes_files", False) and request.user.is_authenticated
    if takes_files and length <= conf.current().max_file_size + MAX_OVERHEAD_BYTES:
        return _room_for_files(request)
    raise RequestDataTooBig("No form of this kind is that large.")


@contextmanager
def _room_for_fields() -> Iterator[None]:
    if not _forms.acquire(blocking=False):
        raise Unavailable("The server is reading as many forms as it can. Try again shortly.")
    try:
        yield
    finally:
        _forms.release()


@contextmanager
def _room_for_files(request: HttpRequest) -> Iterator[None]:
    with fair_share(request, cast("AbstractBaseUser", request.user)), reader_slot():
        yield
