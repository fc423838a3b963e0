"""The page of a person's access tokens: make one, shown once, and revoke."""

from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.models import AbstractBaseUser
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods

from uploads.engine.tokens import MAX_USABLE, issue_own_token
from uploads.engine.tokens import revoke as revoke_tokens
from uploads.models import AccessToken, TokenScope

from .actions import action
from .views import page

MAX_NAME_LENGTH = 100
#: Tokens that have ended are remembered for looking up; older ones than these are not listed.
MAX_ENDED_SHOWN = 50
DEFAULT_LIFETIME = "90"
ENDLESS = "none"
#: Days as the form sends them, or ENDLESS, and what they are called.
LIFETIMES: list[tuple[str, Promise]] = [
    ("30", _("30 days")),
    ("90", _("90 days")),
    ("365", _("1 year")),
    (ENDLESS, _("No end")),
]


class Allowed(NamedTuple):
    """What a token may do: as the form offers it, and in a word of the list."""

    offer: Promise
    word: Promise


SCOPES: dict[TokenScope, Allowed] = {
    TokenScope.READ: Allowed(_("See and fetch files"), _("read")),
    TokenScope.UPLOAD: Allowed(_("Send files"), _("upload")),
    TokenScope.DELETE: Allowed(_("Delete files"), _("delete")),
}


class TokenForm(forms.Form):
    name = forms.CharField(
        max_length=MAX_NAME_LENGTH,
        error_messages={
            "required": _("Give the token a name, so that you know later what it is for."),
            "max_length": _(
                "A name has at most %(limit_value)d characters, this one %(show_value)d."
            ),
            "null_characters_not_allowed": _("A name cannot have characters that cannot be shown."),
        },
    )
    lifetime = forms.ChoiceField(
        choices=LIFETIMES,
        initial=DEFAULT_LIFETIME,
        error_messages={
            "required": _("Choose how long the token is to work."),
            "invalid_choice": _("Choose one of the lifetimes of the list."),
        },
    )

    scopes = forms.MultipleChoiceField(
        choices=[(scope.value, allowed.offer) for scope, allowed in SCOPES.items()],
        initial=TokenScope.values,
        error_messages={
            "required": _("Choose at least one thing that the token may do."),
            "invalid_choice": _("Choose from what the list has."),
            "invalid_list": _("Choose from what the list has."),
        },
    )

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if not name.isprintable():
            raise forms.ValidationError(_("A name cannot have characters that cannot be shown."))
        return name

    def clean_lifetime(self) -> timedelta | None:
        days = self.cleaned_data["lifetime"]
        return None if days == ENDLESS else timedelta(days=int(days))

    def clean_scopes(self) -> list[TokenScope]:
        return [TokenScope(scope) for scope in self.cleaned_data["scopes"]]


class Shown(NamedTuple):
    """One row of the list."""

    id: int
    name: str
    may: str
    made: datetime
    used: datetime | None
    expires: datetime | None
    usable: bool
    state: str


@require_http_methods(["GET", "HEAD", "POST"])
@page
def tokens(request: HttpRequest, user: AbstractBaseUser) -> HttpResponse:
    """The list and the form; a POST makes a token and shows it in its answer, once."""
    if request.method != "POST":
        return render(request, "uploads/tokens.html", _context(user, TokenForm()))
    form = TokenForm(request.POST)
    token = _issued(user, form) if form.is_valid() else None
    if token is None:
        return render(request, "uploads/tokens.html", _context(user, form), status=422)
    made = {
        "name": form.cleaned_data["name"],
        "token": token,
        "curl": _curl(request, token, form.cleaned_data["scopes"]),
    }
    return render(request, "uploads/tokens.html", {**_context(user, TokenForm()), "made": made})


def _address(request: HttpRequest, path: str) -> str:
    """Behind a proxy that ends TLS we are spoken to in clear, but nobody else may be: the line
    carries a secret.
    """
    address = request.build_absolute_uri(path)
    if settings.SESSION_COOKIE_SECURE and address.startswith("http:"):
        return address.replace("http:", "https:", 1)
    return address


@action
def revoke(request: HttpRequest, user: AbstractBaseUser, token_id: int) -> HttpResponse:
    """Revoke a token of one's own; one that has ended already stays as it is."""
    own = AccessToken.objects.filter(owner=user.pk, pk=token_id)
    token = own.first()
    if token is None:
        raise Http404
    if revoke_tokens(own):
        text = gettext("“%(name)s” is revoked: what is sent with it is refused from now on.")
        messages.success(request, text % {"name": token.name})
    response = HttpResponseRedirect(reverse("uploads:tokens"))
    response.status_code = 303
    return response


def _issued(user: AbstractBaseUser, form: TokenForm) -> str | None:
    """The new token, or None, with the reason in the form."""
    given = form.cleaned_data
    token = issue_own_token(user, given["name"], given["lifetime"], given["scopes"])
    if token is None:
        text = _("You have %(count)d usable tokens, which is the most. Revoke one, then try again.")
        form.add_error(None, forms.ValidationError(text, params={"count": MAX_USABLE}))
    return token


def _context(user: AbstractBaseUser, form: TokenForm) -> dict[str, Any]:
    usable, ended = _listed(user)
    return {
        "form": form,
        "tokens": usable + ended[:MAX_ENDED_SHOWN],
        "older_ended": len(ended) > MAX_ENDED_SHOWN,
        "max_name_length": MAX_NAME_LENGTH,
    }


def _listed(user: AbstractBaseUser) -> tuple[list[Shown], list[Shown]]:
    """The usable tokens, and those that have ended, one more than are shown; newest first."""
    own = AccessToken.objects.filter(owner=user.pk).order_by("-created_at", "-pk")
    usable = AccessToken.objects.usable().filter(owner=user.pk)
    ended = own.exclude(pk__in=usable.values("pk"))[: MAX_ENDED_SHOWN + 1]
    return list(map(_shown, usable.order_by("-created_at", "-pk"))), list(map(_shown, ended))


def _shown(token: AccessToken) -> Shown:
    expired = token.expires_at is not None and token.expires_at <= timezone.now()
    if token.revoked_at:
        state = gettext("Revoked")
    else:
        state = gettext("Expired") if expired else gettext("Usable")
    usable = not token.revoked_at and not expired
    return Shown(
        id=token.pk,
        name=token.name,
        may=", ".join(
            str(word) for scope, (_label, word) in SCOPES.items() if scope in token.scopes
        ),
        made=token.created_at,
        used=token.last_used_at,
        expires=token.expires_at,
        usable=usable,
        state=state,
    )


class Line(NamedTuple):
    """What to try a new token with: a command for a shell, and of which of its scopes."""

    scope: TokenScope
    command: str


def _curl(request: HttpRequest, token: str, scopes: list[TokenScope]) -> Line:
    """Of what the token may do, that which a script is likeliest to be for."""
    header = f'-H "Authorization: Bearer {token}"'
    if TokenScope.UPLOAD in scopes:
        address = _address(request, reverse("uploads:send"))
        command = f'curl --fail-with-body {header} -F "file=@FILE" {address}'
        return Line(TokenScope.UPLOAD, command)
    # An address has place for an id only: for any, which is to be replaced.
    any_id = UUID(int=0)
    address = _address(request, reverse("uploads:session", kwargs={"session_id": any_id}))
    address = address.replace(str(any_id), "ID")
    if TokenScope.READ in scopes:
        return Line(TokenScope.READ, f"curl --fail -OJ {header} {address}/content")
    return Line(TokenScope.DELETE, f"curl --fail-with-body -X DELETE {header} {address}")
