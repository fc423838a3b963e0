"""Whose form it is, and about what: from this the scope of each of its uploads follows."""

import re
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.core.exceptions import ImproperlyConfigured
from django.db.models import Model
from django.forms import BaseForm, BaseFormSet

from uploads.engine.admitting import make_scope

#: The number of a form in its formset: what was new and fifth may be third when it comes again.
_NUMBER = re.compile(r"-(?:\d+|__prefix__)(?=-|$)")


@dataclass(frozen=True, slots=True)
class Binding:
    owner: AbstractBaseUser
    #: What the form is called; None for the dotted path of its class.
    name: str | None = None
    #: What it is about; None for the instance of a model form.
    obj: Any = None

    def scope(self, form: BaseForm, field_name: str) -> str:
        """Raises ValueError where names are so long that no scope can hold them."""
        kind = type(form)
        obj = getattr(form, "instance", None) if self.obj is None else self.obj
        prefix = _NUMBER.sub("", form.prefix or "")
        return make_scope(
            self.name or f"{kind.__module__}.{kind.__qualname__}",
            f"{prefix}-{field_name}" if prefix else field_name,
            _label(obj),
        )


def bind_uploads(
    form: BaseForm | BaseFormSet[Any],
    user: AbstractBaseUser | AnonymousUser,
    *,
    obj: Any = None,
    name: str | None = None,
) -> None:
    """Say whose form, or formset, this is: before it is rendered or validated.

    Its uploads are this user's, made for this form, field and object, and found again there only.
    `obj` is what the form is about where that isn't the instance of a model form; `name` is what
    the form is called, by default the dotted path of its class. Raises ImproperlyConfigured for
    somebody who is not signed in: an upload needs an owner.
    """
    if not isinstance(user, AbstractBaseUser) or user.pk is None:
        raise ImproperlyConfigured(
            "A form with a ResumableFileField needs somebody who is signed in: let its view "
            "require that, for instance by LoginRequiredMixin."
        )
    binding = Binding(user, name, obj)
    if isinstance(form, BaseFormSet):
        _bind_formset(form, binding)
    else:
        form.upload_binding = binding  # type: ignore[attr-defined]


def bound_class(kind: type[Any], binding: Binding) -> type[Any]:
    """A form class all of whose forms are bound."""
    named = Binding(binding.owner, binding.name or _path(kind), binding.obj)
    return type(kind.__name__, (kind,), {"upload_binding": named, "__module__": kind.__module__})


def _bind_formset(formset: BaseFormSet[Any], binding: Binding) -> None:
    formset.form = bound_class(formset.form, binding)
    # Made already, if somebody has looked at them.
    for form in formset.__dict__.get("forms", []):
        form.upload_binding = Binding(binding.owner, binding.name or _path(type(form)), binding.obj)


def _path(kind: type[Any]) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _label(obj: Any) -> str:
    """Empty for what is not saved yet."""
    if isinstance(obj, Model):
        return f"{obj._meta.label_lower}:{obj.pk}" if obj.pk is not None else ""
    return "" if obj is None else str(obj)
