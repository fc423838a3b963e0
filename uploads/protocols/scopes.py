"""What a token must be allowed for a request (RFC 6750, section 3.1): the table, and the check.

A browser session may do all that its user may; so it passes every check here.
"""

from collections.abc import Iterable, Mapping

from django.http import HttpRequest

from uploads.errors import InsufficientScope
from uploads.models import TokenScope

#: Scopes of which one is enough. The first is the one to ask for.
Need = tuple[TokenScope, ...]

READ: Need = (TokenScope.READ,)
UPLOAD: Need = (TokenScope.UPLOAD,)
DELETE: Need = (TokenScope.DELETE,)
#: For what is no secret to any token: that an address is none.
ANY: Need = tuple(TokenScope)

#: What a method needs where its endpoint says nothing else.
BY_METHOD: Mapping[str, Need] = {
    "GET": READ,
    "HEAD": READ,
    "OPTIONS": READ,
    "POST": UPLOAD,
    "PUT": UPLOAD,
    "PATCH": UPLOAD,
    "DELETE": DELETE,
}
#: One upload by its id: who sends it must learn what is missing, and how its verification ended.
SEEING_ONE: Mapping[str, Need] = dict.fromkeys(("GET", "HEAD"), READ + UPLOAD)
#: Either may end an upload under way. To delete what has ended already needs DELETE.
ENDING: Need = DELETE + UPLOAD

#: Where in the request is kept what its sender may do.
_GRANTED = "uploads.scopes"


def grant(request: HttpRequest, scopes: frozenset[TokenScope]) -> None:
    """For authenticators: what the request's sender may do."""
    request.META[_GRANTED] = scopes


def check_scope(request: HttpRequest, need: Need) -> None:
    """Raise InsufficientScope if the request came with a token that may do none of `need`."""
    granted = request.META[_GRANTED]
    if granted.isdisjoint(need):
        raise InsufficientScope(
            f"This token may {_said(granted)}, and the request needs one that may "
            f"{_said(need, ' or ')}. Nothing was read or changed: send one that may, from the page "
            "of access tokens or `manage.py issue_token --scope`.",
            scopes=_in_order(granted),
            needed=list(need),
        )


def _said(scopes: Iterable[TokenScope], joint: str = " and ") -> str:
    return joint.join(_in_order(scopes))


def _in_order(scopes: Iterable[TokenScope]) -> list[str]:
    return [scope.value for scope in TokenScope if scope in scopes]
