"""A host that serves content and nothing else: UPLOADS["DOWNLOAD_ORIGIN"].

What a browser ever made of a file there, it would find no cookie of the site and none of its pages.
The main host knows who asks, and leads to an address that needs nothing but itself.
"""

from collections.abc import Callable
from urllib.parse import urlsplit

from django.contrib.auth.models import AbstractBaseUser
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.http.request import split_domain_port

from uploads import conf
from uploads.engine.content_tickets import issue_content_ticket, read_content_ticket
from uploads.models import FileSession, TokenScope

from .downloads import attachment
from .endpoint import endpoint
from .scopes import grant

#: Where in the request the upload is kept that its ticket names.
_SESSION = "uploads.content_session"


def redirect_to_download_host(owner: AbstractBaseUser, session: FileSession) -> HttpResponse:
    """307, so that HEAD stays HEAD. Its ticket is in the address: curl sends no token elsewhere."""
    ticket = issue_content_ticket(owner, session)
    address = f"{conf.current().download_origin}/{ticket}"
    return HttpResponse(status=307, headers={"Location": address, "Referrer-Policy": "no-referrer"})


class DownloadHostMiddleware:
    """Answers all there is on the download host, and does nothing on any other.

    Before whatever reads or sets a cookie or serves a file, so that none of that happens there.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        origin = conf.current().download_origin
        # Whatever the port: cookies know none.
        if origin and _name(request) == urlsplit(origin).hostname:
            return _content(request)
        return self.get_response(request)


def _name(request: HttpRequest) -> str:
    """Raises DisallowedHost, as for any address."""
    name: str = split_domain_port(request.get_host())[0]
    return name.strip("[]")


def _by_ticket(request: HttpRequest) -> AbstractBaseUser:
    """Who the ticket says. Neither a cookie nor a personal token counts here."""
    owner, session = read_content_ticket(request.path_info.removeprefix("/"))
    request.META[_SESSION] = session
    grant(request, frozenset({TokenScope.READ}))
    return owner


@endpoint("GET", "HEAD", authenticate=_by_ticket)
def _content(request: HttpRequest, owner: AbstractBaseUser) -> HttpResponseBase:
    return attachment(request, request.META[_SESSION])
