"""Uploads in the admin: for a ModelAdmin and for its inlines, to the left of them.

The admin opens its transaction before it looks at the form. So that nobody waits for a large copy
in it, what the form's own model will save is copied before that, after a look of our own.
"""

from contextlib import ExitStack
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.admin.utils import unquote
from django.forms import BaseForm
from django.http import HttpRequest, HttpResponseRedirect

from uploads.engine.claiming import UploadClaimed

from .binding import Binding, bound_class
from .fields import ResumableFileField
from .taking import copy_ahead, files_of, taking_uploads

#: What was copied ahead: the name in the storage, by field and upload.
_Copies = dict[tuple[str, UUID], str]


class ResumableAdminMixin:
    """Binds the forms of a ModelAdmin, or of an inline, to who is signed in.

    The uploads of form and inlines are taken in the transaction in which the admin saves them.
    Files of inlines are copied in it too.
    """

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        with ExitStack() as undo:
            try:
                copies = self._copied_ahead(request, object_id, undo)
                request.upload_copies = copies  # type: ignore[attr-defined]
                response = super().changeform_view(  # type: ignore[misc]
                    request, object_id, form_url, extra_context
                )
            except UploadClaimed:
                # Another submit was first. All that this one has done is rolled back.
                text = ResumableFileField.default_error_messages["claimed"]
                messages.error(request, text)
                return HttpResponseRedirect(request.get_full_path())
            if not copies:
                # They were saved: `save_model` has taken them out.
                undo.pop_all()
            return response

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
        copies: _Copies = getattr(request, "upload_copies", {})
        for name, content in files_of(form):
            if copied := copies.pop((name, content.session_id), ""):
                setattr(obj, name, copied)
        with taking_uploads(form):
            super().save_model(request, obj, form, change)  # type: ignore[misc]

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        with taking_uploads(formset):
            super().save_formset(request, form, formset, change)  # type: ignore[misc]

    def _copied_ahead(
        self, request: HttpRequest, object_id: str | None, undo: ExitStack
    ) -> _Copies:
        """Nothing, unless somebody saves a form that is valid and may do so."""
        form = self._submitted(request, object_id)
        if form is None or not form.is_valid():
            return {}
        copy_ahead(form, undo)
        return {
            (name, content.session_id): getattr(form.instance, name).name
            for name, content in files_of(form)
        }

    def _submitted(self, request: HttpRequest, object_id: str | None) -> Any:
        admin: Any = self
        if request.method != "POST":
            return None
        obj = admin.get_object(request, unquote(object_id)) if object_id else None
        if object_id is None:
            allowed = admin.has_add_permission(request)
        else:
            allowed = obj is not None and admin.has_change_permission(request, obj)
        if not allowed:
            return None
        form = admin.get_form(request, obj, change=obj is not None)
        return form(request.POST, request.FILES, instance=obj)

    def _binding(self, request: HttpRequest) -> Binding:
        model = self.model  # type: ignore[attr-defined]
        return Binding(request.user, f"admin.{model._meta.label_lower}")  # type: ignore[arg-type]
