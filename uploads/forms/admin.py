"""Uploads in the admin: for a ModelAdmin and for its inlines, to the left of them."""

from typing import Any

from django.contrib import messages
from django.forms import BaseForm
from django.http import HttpRequest, HttpResponseRedirect

from uploads.engine.claiming import UploadClaimed

from .binding import Binding, bound_class
from .fields import ResumableFileField
from .taking import taking_uploads


class ResumableAdminMixin:
    """Binds the forms of a ModelAdmin, or of an inline, to who is signed in.

    The uploads of form and inlines are taken in the transaction in which the admin saves them.
    """

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)  # type: ignore[misc]
        except UploadClaimed:
            # Another submit was first. All that this one has done is rolled back.
            text = ResumableFileField.default_error_messages["claimed"]
            messages.error(request, text)
            return HttpResponseRedirect(request.get_full_path())

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> Any:
        form = super().get_form(request, obj, change, **kwargs)  # type: ignore[misc]
        return bound_class(form, self._binding(request))

    def get_formset(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:
        formset = super().get_formset(request, obj, **kwargs)  # type: ignore[misc]
        formset.form = bound_class(formset.form, self._binding(request))
        return formset

    def save_model(self, request: HttpRequest, obj: Any, form: BaseForm, change: bool) -> None:
        with taking_uploads(form):
            super().save_model(request, obj, form, change)  # type: ignore[misc]

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        with taking_uploads(formset):
            super().save_formset(request, form, formset, change)  # type: ignore[misc]

    def _binding(self, request: HttpRequest) -> Binding:
        model = self.model  # type: ignore[attr-defined]
        return Binding(request.user, f"admin.{model._meta.label_lower}")  # type: ignore[arg-type]
