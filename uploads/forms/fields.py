"""The form field: from ids of uploads, which prove nothing, to files that may be used."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from django import forms
from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext_lazy as _

from uploads.engine.admitting import Admission, check_admission
from uploads.engine.uploaded import UploadedContent, content_of
from uploads.errors import FileTypeNotAllowed, TooLarge
from uploads.models import FileSession, SessionStatus

from .plain import declared_type, send_plain
from .widgets import MAX_UPLOADS, ResumableFileInput, Submitted


class ResumableFileField(forms.FileField):
    """A file of any size, sent in chunks before the form is, verified, and used once.

    `max_size` in bytes; `allowed_extensions` such as `["txt", "tar.gz"]`; `allowed_types` media
    types as the sender declares them, or families (`image/*`). With `multiple` there may be several
    files, and `cleaned_data` has a list of them. A file that cleaned is an `UploadedContent`; it is
    taken by `taking_uploads`, or by the mixins, which do so. The form has to be bound by
    `bind_uploads` first.

    Validators of the field are given the content, which is verified by then.
    """

    widget = ResumableFileInput
    default_error_messages = {
        "gone": _(
            "This upload is not here any more: it was used, deleted, or has expired. Choose the "
            "file again."
        ),
        "unfinished": _(
            "“%(name)s” has not arrived whole yet. Nothing that was sent is lost: choose it again, "
            "and wait until it is complete."
        ),
        "failed": _("“%(name)s” could not be taken: %(error)s"),
        "too_large": _("“%(name)s” is larger than %(limit)s. Choose a smaller file."),
        "type_not_allowed": _("“%(name)s” is not one of the files taken here: %(allowed)s."),
        "too_many": _("There are at most %(limit)s files in one field."),
        "claimed": _("This upload was used already. Choose the file again."),
    }

    def __init__(
        self,
        *,
        max_size: int | None = None,
        allowed_extensions: Sequence[str] | None = None,
        allowed_types: Sequence[str] | None = None,
        multiple: bool = False,
        **kwargs: Any,
    ) -> None:
        self.max_size = max_size
        self.extensions = tuple(e.lower().lstrip(".") for e in allowed_extensions or ())
        self.types = tuple(t.lower() for t in allowed_types or ())
        self.multiple = multiple
        #: Sessions of what was submitted, those included that came as plain files.
        self._found: list[FileSession] | None = None
        super().__init__(**kwargs)

    def get_bound_field(self, form: forms.BaseForm, field_name: str) -> forms.BoundField:
        """Before a form is rendered or validated, Django asks each field for this."""
        widget: Any = self.widget
        binding = getattr(form, "upload_binding", None)
        if binding is not None and isinstance(widget, ResumableFileInput):
            widget.binding, widget.multiple = binding, self.multiple
            scope = binding.scope(form, field_name)
            widget.admission = Admission(scope, self.max_size, self.extensions, self.types)
        return super().get_bound_field(form, field_name)

    def clean(self, data: Any, initial: Any = None) -> Any:
        """Raises ValidationError for what is not whole, not this user's or not of this form, object
        and field, not within the limits, or was used before.
        """
        owner = self._input.owner
        submitted = data if isinstance(data, Submitted) else Submitted()
        contents = [content_of(session) for session in self._sessions(owner, submitted)]
        if submitted.clear and not self.multiple and (contents or not self.required):
            return self._cleared(contents)
        if not contents and initial and not self.multiple:
            return initial
        for content in contents:
            self._validate_content(content)
        if not contents and self.required:
            raise ValidationError(self.error_messages["required"], code="required")
        return contents if self.multiple else next(iter(contents), None)

    def bound_data(self, data: Any, initial: Any) -> Any:
        """What the form is shown with again: what is in stays in, plain files too."""
        if self._found is None:
            return data
        return Submitted([str(session.pk) for session in self._found])

    def has_changed(self, initial: Any, data: Any) -> bool:
        return not self.disabled and bool(data)

    @property
    def _input(self) -> ResumableFileInput:
        widget: Any = self.widget
        if isinstance(widget, ResumableFileInput):
            return widget
        raise TypeError("a ResumableFileField needs a ResumableFileInput, or one made of it")

    def _validate_content(self, content: UploadedContent) -> None:
        try:
            self.run_validators(content)
        except FileNotFoundError as error:
            # Another submit has taken it since we looked.
            raise self._refusal("gone") from error

    def _cleared(self, contents: list[UploadedContent]) -> bool:
        if contents:
            raise ValidationError(self.error_messages["contradiction"], code="contradiction")
        return False

    def _sessions(self, owner: AbstractBaseUser, submitted: Submitted) -> list[FileSession]:
        if len(submitted.ids) + len(submitted.files) > MAX_UPLOADS:
            raise self._refusal("too_many", limit=MAX_UPLOADS)
        ids = list(dict.fromkeys(submitted.ids))
        files = submitted.files
        if not self.multiple:
            files = files[-1:]
            ids = [] if files else ids[-1:]
        self._found = []
        # Each of them, so that one that is refused takes no other out of the form.
        refusals: dict[str, ValidationError] = {}
        looks = [partial(self._claimable, owner, text) for text in ids]
        for look in (*looks, *[partial(self._sent, owner, file) for file in files]):
            try:
                self._found.append(look())
            except ValidationError as refusal:
                refusals.setdefault(str(refusal.messages), refusal)
        if refusals:
            raise ValidationError(list(refusals.values()))
        for session in self._found:
            self._check(session)
        return self._found

    def _claimable(self, owner: AbstractBaseUser, text: str) -> FileSession:
        """The session of this id, if it may be used here; others don't exist (P9)."""
        own = FileSession.objects.owned_by(owner)
        session = own.filter(scope=self._input.admission.scope).by_text(text)
        if session is None:
            raise self._refusal("gone")
        if session.status == SessionStatus.FAILED:
            raise self._refusal("failed", name=session.filename, error=session.error)
        if session.status != SessionStatus.COMPLETED:
            raise self._refusal("unfinished", name=session.filename)
        # Damaged, or claimed at this moment.
        if not FileSession.objects.claimable().filter(pk=session.pk).exists():
            raise self._refusal("gone")
        return session

    def _sent(self, owner: AbstractBaseUser, file: "UploadedFile[Any]") -> FileSession:
        """The session of a plain file, which takes the way of all files."""
        name = file.name or ""
        self._check_admitted(name, file.size or 0, declared_type(file))
        session = send_plain(owner, file, self._input.admission)
        return self._claimable(owner, str(session.pk))

    def _check(self, session: FileSession) -> None:
        """Once more: it may have been renamed, begun without a size, or under another limit."""
        self._check_admitted(session.filename, session.plan.size, session.mime_type)
        if not self.allow_empty_file and not session.size:
            raise self._refusal("empty")

    def _check_admitted(self, name: str, size: int, mime_type: str) -> None:
        try:
            check_admission(self._input.admission, name, size, mime_type)
        except TooLarge as error:
            limit = filesizeformat(error.members["limit"])
            raise self._refusal("too_large", name=name, limit=limit) from error
        except FileTypeNotAllowed as error:
            allowed = ", ".join(error.members["allowed_files"])
            raise self._refusal("type_not_allowed", name=name, allowed=allowed) from error

    def _refusal(self, code: str, **params: Any) -> ValidationError:
        return ValidationError(self.error_messages[code], code=code, params=params)
