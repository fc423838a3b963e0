"""The pages of accounts: signing in, changing a password, setting a new one by a link in a mail.

None is ever stored by a browser, and all that take a password or send a mail are throttled.
"""

import logging
from typing import Any

from django import forms
from django.conf import settings
from django.contrib.auth import authenticate, views
from django.contrib.auth.forms import PasswordChangeForm, PasswordResetForm, SetPasswordForm
from django.core.mail import get_connection
from django.http import HttpRequest, HttpResponse
from django.utils import translation
from django.utils.decorators import method_decorator
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django_tasks import task

from .throttling import forgive, has_enough_links, may_ask_for_link

logger = logging.getLogger("config.accounts")

#: What a browser is told to wait after a mail server did not answer, in seconds.
_MAIL_RETRY_AFTER = 300
_DIFFERENT = _("The two new passwords differ. Enter the same one in both fields.")


class NewPasswordForm(SetPasswordForm):  # type: ignore[type-arg]
    error_messages = {**SetPasswordForm.error_messages, "password_mismatch": _DIFFERENT}


class ChangeForm(PasswordChangeForm):
    """Takes the present password as a sign-in does, so that guesses count as failures of one."""

    error_messages = {
        **PasswordChangeForm.error_messages,
        "password_mismatch": _DIFFERENT,
        "password_incorrect": _(
            "This is not your present password, so it stays as it is. Enter it again."
        ),
    }

    def __init__(self, *args: Any, request: HttpRequest, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.request = request

    @sensitive_variables("given")
    def clean_old_password(self) -> str:
        given: str = self.cleaned_data["old_password"]
        name = self.user.get_username()
        if authenticate(self.request, username=name, password=given) != self.user:
            raise forms.ValidationError(self.error_messages["password_incorrect"])
        return given


class _RefusesWith422:
    """A form that is refused is no success to scripts and browsers either."""

    def form_invalid(self, form: forms.Form) -> HttpResponse:
        response: HttpResponse = super().form_invalid(form)  # type: ignore[misc]
        response.status_code = 422
        return response


class SignIn(views.LoginView):
    redirect_authenticated_user = True

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return {**super().get_context_data(**kwargs), "by_mail": settings.PASSWORD_RESET_BY_MAIL}


@method_decorator(never_cache, name="dispatch")
class Change(_RefusesWith422, views.PasswordChangeView):
    form_class = ChangeForm

    def get_form_kwargs(self) -> dict[str, Any]:
        return {**super().get_form_kwargs(), "request": self.request}


@method_decorator(never_cache, name="dispatch")
class Changed(views.PasswordChangeDoneView):
    pass


@method_decorator(never_cache, name="dispatch")
class Forgotten(_RefusesWith422, views.PasswordResetView):
    """Asks for a link by mail.

    The answer cannot tell whether there is such an account: nothing here looks for one. That, and
    what a mail to one person takes, is left to a task.
    """

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return {**super().get_context_data(**kwargs), "by_mail": settings.PASSWORD_RESET_BY_MAIL}

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not settings.PASSWORD_RESET_BY_MAIL:
            return self.get(request, *args, **kwargs)
        return super().post(request, *args, **kwargs)

    def form_valid(self, form: PasswordResetForm) -> HttpResponse:
        email: str = form.cleaned_data["email"]
        if not may_ask_for_link(self.request, email):
            return HttpResponse(status=429)  # axes puts its own in the place of this one
        if not _mail_server_answers():
            return self._not_sent(form)
        if not has_enough_links(email):
            # Behind a proxy that ends TLS we are spoken to in clear; the link must not be.
            https = self.request.is_secure() or settings.SESSION_COOKIE_SECURE
            language = translation.get_language() or settings.LANGUAGE_CODE
            send_links.enqueue(email, self.request.get_host(), https, language)
        return super(views.PasswordResetView, self).form_valid(form)

    def _not_sent(self, form: PasswordResetForm) -> HttpResponse:
        context = self.get_context_data(form=form, not_sent=True)
        response: HttpResponse = self.render_to_response(context, status=503)
        response["Retry-After"] = str(_MAIL_RETRY_AFTER)
        return response


@method_decorator(never_cache, name="dispatch")
class Sent(views.PasswordResetDoneView):
    pass


class SetNew(_RefusesWith422, views.PasswordResetConfirmView):
    form_class = NewPasswordForm

    def form_valid(self, form: Any) -> HttpResponse:
        response = super().form_valid(form)
        forgive(self.request, form.user.get_username())
        return response


@method_decorator(never_cache, name="dispatch")
class NewIsSet(views.PasswordResetCompleteView):
    pass


@task()
def send_links(email: str, host: str, https: bool, language: str) -> None:
    """Mail a link to each active account with that address. What fails is logged as an error."""
    form = PasswordResetForm({"email": email})
    form.full_clean()
    with translation.override(language):
        form.save(
            domain_override=host,
            use_https=https,
            subject_template_name="registration/password_reset_subject.html",
        )


def _mail_server_answers() -> bool:
    """Asked for everybody, so that the answer says nothing about the account either."""
    connection = get_connection()
    try:
        connection.open()
        connection.close()
    except OSError as error:  # which smtplib's are, too
        logger.error("The mail server cannot be used: %s", error)  # noqa: TRY400
        return False
    return True
