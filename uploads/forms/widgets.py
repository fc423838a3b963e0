"""What a form shows of its uploads: hidden ids, what has arrived, and a file input."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django import forms
from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import ImproperlyConfigured
from django.core.files.uploadedfile import UploadedFile
from django.db.models.fields.files import FieldFile
from django.templatetags.static import static
from django.urls import reverse
from django.utils.datastructures import MultiValueDict

from uploads import conf
from uploads.engine.admitting import Admission
from uploads.engine.tickets import issue_ticket
from uploads.models import FileSession, SessionStatus

from .binding import Binding

#: Uploads of one field that are looked at; more come from no page of ours.
MAX_UPLOADS = 200
#: Interrupted ones that are shown.
MAX_PENDING = 10


@dataclass(slots=True)
class Submitted:
    """What came of one field: ids of uploads, and files as a form without JavaScript has them."""

    ids: list[str] = field(default_factory=list)
    files: list["UploadedFile[Any]"] = field(default_factory=list)
    clear: bool = False

    def __bool__(self) -> bool:
        return bool(self.ids or self.files or self.clear)


class ResumableFileInput(forms.Widget):
    """A file input that sends by itself, in chunks, and puts the id of the upload into the form.

    Without JavaScript it is a plain file input, called `<name>-file`. Its template may be
    overridden: `uploads/widgets/resumable_file.html`.
    """

    template_name = "uploads/widgets/resumable_file.html"
    needs_multipart_form = True

    def __init__(self, attrs: dict[str, Any] | None = None) -> None:
        super().__init__(attrs)
        #: Set by the field, once its form is bound.
        self.binding: Binding | None = None
        self.admission = Admission()
        self.multiple = False

    @property
    def media(self) -> forms.Media:
        """What the field says, in the language of the person, comes before what says it."""
        scripts: list[Any] = [
            forms.Script(reverse("uploads:texts")),
            forms.Script("js/uploads/field.js", type="module"),
        ]
        return forms.Media(css={"all": ["css/uploads-field.css"]}, js=scripts)

    @property
    def owner(self) -> AbstractBaseUser:
        """Raises ImproperlyConfigured while nobody has said whose form this is."""
        if self.binding is None:
            raise ImproperlyConfigured(
                "Say whose form this is before it is rendered or validated: "
                "bind_uploads(form, request.user), or use ResumableUploadMixin in the view."
            )
        return self.binding.owner

    def use_required_attribute(self, initial: Any) -> bool:
        # The input is empty while the upload is there: the field itself says what is missing.
        return False

    def value_from_datadict(
        self, data: Mapping[str, Any], files: MultiValueDict[str, Any], name: str
    ) -> Submitted:
        ids = [text for text in _all(data, name) if isinstance(text, str) and text]
        return Submitted(
            ids[: MAX_UPLOADS + 1],
            [file for file in _all(files, file_name(name)) if file],
            clear=bool(data.get(clear_name(name))),
        )

    def value_omitted_from_data(
        self, data: Mapping[str, Any], files: MultiValueDict[str, Any], name: str
    ) -> bool:
        names = (name, clear_name(name))
        return not any(each in data for each in names) and file_name(name) not in files

    def format_value(self, value: Any) -> Any:
        return value

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        context = super().get_context(name, value, attrs)
        sessions = self._sessions()
        ids = value.ids if isinstance(value, Submitted) else []
        context["widget"] |= {
            "file_name": file_name(name),
            "clear_name": clear_name(name),
            "initial": value if isinstance(value, FieldFile) and value else None,
            "multiple": self.multiple,
            "accept": ",".join([f".{e}" for e in self.admission.extensions]),
            "uploads": _finished(sessions, ids),
            "pending": list(sessions.filter(status=SessionStatus.ACTIVE)[:MAX_PENDING]),
            **self._limits(),
            **self._addresses(),
        }
        return context

    def _sessions(self) -> Any:
        own = FileSession.objects.owned_by(self.owner)
        return own.filter(scope=self.admission.scope).order_by("created_at")

    def _limits(self) -> dict[str, Any]:
        limit = conf.current().max_file_size
        return {
            "max_size": min(limit, self.admission.max_size or limit),
            "extensions": ",".join(self.admission.extensions),
            "types": ",".join(self.admission.types),
        }

    def _addresses(self) -> dict[str, str]:
        return {
            "ticket": issue_ticket(self.owner, self.admission),
            "user": str(self.owner.pk),
            "handshake_url": reverse("uploads:handshake"),
            "worker_url": static("js/uploads/hash-worker.js"),
            "csrf_cookie": settings.CSRF_COOKIE_NAME,
        }


def file_name(name: str) -> str:
    """Of the plain file input."""
    return f"{name}-file"


def clear_name(name: str) -> str:
    """Of the box that takes away what was there before."""
    return f"{name}-clear"


def _all(data: Any, name: str) -> Iterable[Any]:
    if hasattr(data, "getlist"):
        values: list[Any] = data.getlist(name)
        return values
    value = data.get(name)
    return value if isinstance(value, list | tuple) else [value] if value else []


def _finished(sessions: Any, ids: list[str]) -> list[FileSession]:
    """Those of `ids` that are there, in the order in which they were submitted."""
    claimable = sessions.claimable()
    found = [claimable.by_text(text) for text in dict.fromkeys(ids)]
    return [session for session in found if session]
