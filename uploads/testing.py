"""For the tests of projects: uploads that are complete, without a browser and without HTTP."""

import io
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.forms import BaseForm, BaseModelForm

from uploads.core.bodies import ByteSource
from uploads.engine.admitting import Admission
from uploads.engine.finishing import finish
from uploads.engine.opening import Offer
from uploads.engine.sending import send_whole
from uploads.forms.binding import Binding


def complete_upload(
    owner: AbstractBaseUser,
    content: bytes,
    *,
    form: type[BaseForm],
    field: str,
    obj: Any = None,
    name: str | None = None,
    filename: str = "upload.txt",
    content_type: str = "",
) -> str:
    """The id of a complete, verified upload, to be submitted in `field` of a form of this class.

    `obj` is what the form will be about, as for `bind_uploads`, or the instance of a model form;
    `name` what the form is called there, if anything. Limits of the field are for the field to
    check. Raises what sending a file raises.
    """
    about = Binding(owner, name, obj)
    blank = form() if obj is None or not issubclass(form, BaseModelForm) else form(instance=obj)
    offer = Offer(
        filename=filename,
        size=len(content),
        mime_type=content_type,
        admission=Admission(about.scope(blank, field)),
    )

    def source_at(offset: int) -> ByteSource:
        return io.BytesIO(content[offset:])

    session = send_whole(owner, offer, source_at)[1]
    finish(session.pk)
    return str(session.pk)
