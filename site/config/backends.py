"""Passwords, looked at once more for the throttle after they were compared."""

from typing import Any

from axes.handlers.proxy import AxesProxyHandler
from axes.helpers import get_credentials
from django.contrib.auth.backends import ModelBackend
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest


class PasswordBackend(ModelBackend):
    """Believes a right password only if there were not too many wrong ones while it was compared.

    axes looks before that, which takes long on purpose: of a thousand guesses sent at once, none
    would have failed yet when the last is let in.
    """

    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **kwargs: Any,
    ) -> Any:
        user = super().authenticate(request, username, password, **kwargs)
        if user and not AxesProxyHandler.is_allowed(request, get_credentials(username)):
            request.axes_locked_out = True  # type: ignore[union-attr]
            raise PermissionDenied("There were too many wrong passwords meanwhile.")
        return user
