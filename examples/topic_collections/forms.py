"""The form of the edit page: a title, a text to edit, and a text to upload in its place."""

from typing import Any, cast

from django import forms
from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import ValidationError
from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from uploads.engine.admitting import Admission
from uploads.forms import ResumableFileField, ResumableFileInput, bind_uploads

from . import conf
from .models import TopicCollection
from .pairing import urls_of
from .texts import byte_length, check_text
from .writing import Replacement, write_and_pair

#: Only the id of an upload travels with the form, in a hidden field of this name.
UPLOAD_FIELD = "custom_seeds_upload_id"
#: The text before it, as the page knew it.
VERSION_FIELD = "custom_seeds_version"

#: Stands for any id in an address.
_ANY_ID = "00000000-0000-0000-0000-000000000000"


class CustomSeedsInput(ResumableFileInput):
    """Sends over the chunked-upload protocol, to the addresses of its collection."""

    template_name = "topic_collections/widgets/custom_seeds.html"
    #: Set by the form.
    collection_pk: int | None = None

    class Media:
        extend = False
        css = {"all": ["topic_collections/edit.css"]}
        js = [forms.Script("topic_collections/edit.js", type="module")]

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        context = super().get_context(name, value, attrs)
        session_url = reverse("uploads:session", kwargs={"session_id": _ANY_ID})
        context["widget"] |= {
            "upload_url": self._address("chunk-upload"),
            "complete_url": self._address("complete"),
            "session_url": session_url.replace(_ANY_ID, "{id}"),
        }
        return context

    def _address(self, name: str) -> str:
        return reverse(f"topic_collections:{name}", kwargs={"pk": self.collection_pk})


class CollectionForm(forms.ModelForm):  # type: ignore[type-arg]
    custom_seeds = forms.CharField(
        label=_("Seeds"),
        help_text=_("One URL a line. Saving pairs the collection with them."),
        widget=forms.Textarea(attrs={"rows": 12, "spellcheck": "false", "class": "field"}),
        required=False,
        strip=False,
    )
    custom_seeds_version = forms.IntegerField(widget=forms.HiddenInput, required=False)
    custom_seeds_upload_id = ResumableFileField(
        label=_("A file in their place"),
        allowed_extensions=["txt"],
        allowed_types=["text/plain", "application/octet-stream"],
        allow_empty_file=True,
        required=False,
        validators=[check_text],
        widget=CustomSeedsInput,
    )

    class Meta:
        model = TopicCollection
        # Not `custom_seeds`: Django would read it for every page, and write it with every title.
        fields = ["title"]
        widgets = {"title": forms.TextInput(attrs={"class": "field", "autocomplete": "off"})}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        #: Set by the view, before it saves an upload.
        self.replacement: Replacement | None = None
        upload: Any = self.fields[UPLOAD_FIELD]
        upload.max_size = conf.max_bytes()
        upload.widget.collection_pk = self.instance.pk
        if self.instance.custom_seeds_too_large:
            del self.fields["custom_seeds"], self.fields[VERSION_FIELD]
        else:
            # Asked for only if it is shown.
            self.fields["custom_seeds"].initial = lambda: self.instance.custom_seeds
            self.fields[VERSION_FIELD].initial = self.instance.custom_seeds_version

    def clean_custom_seeds(self) -> str:
        """As people write it on any system."""
        return str(self.cleaned_data["custom_seeds"]).replace("\r\n", "\n")

    def clean(self) -> dict[str, Any]:
        """An upload takes the place of what is in the text field, whatever that is."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if self._has_text() and "custom_seeds" in cleaned and not cleaned.get(UPLOAD_FIELD):
            self._check_edited(cleaned)
        return cleaned

    def save(self, commit: bool = True) -> TopicCollection:
        """Within a transaction. What is not written here stays as it is: of the text, even one
        that is larger than memory. Raises ChangedMeanwhile.
        """
        collection: TopicCollection = self.instance
        collection.save(update_fields=self._meta.fields)
        if self.replacement is not None:
            self.replacement.write(collection)
        elif self._has_text():
            write_and_pair(collection, self.cleaned_data["custom_seeds"])
        return collection

    def refuse_changed(self) -> None:
        """Say that another form was first."""
        self.add_error(
            None,
            _(
                "The seeds were changed meanwhile, in another window or by somebody else. Nothing "
                "was saved: load the page anew to see them."
            ),
        )

    def refuse_claimed(self) -> None:
        """Say that another submit has used the upload."""
        self.add_error(UPLOAD_FIELD, self.fields[UPLOAD_FIELD].error_messages["claimed"])

    def _has_text(self) -> bool:
        """Whether the page had the text: one that was too large may be smaller by now."""
        field = self.fields.get("custom_seeds")
        name = self.add_prefix("custom_seeds")
        return field is not None and not field.widget.value_omitted_from_data(
            self.data, self.files, name
        )

    def _check_edited(self, cleaned: dict[str, Any]) -> None:
        known = cleaned.get(VERSION_FIELD)
        if known is not None and known != self.instance.custom_seeds_version:
            self.refuse_changed()
            return
        try:
            _check_bound(cleaned["custom_seeds"])
            urls_of(cleaned["custom_seeds"])
        except ValidationError as error:
            self.add_error("custom_seeds", error)


class NewCollectionForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = TopicCollection
        fields = ["title"]
        widgets = {"title": forms.TextInput(attrs={"class": "field", "autocomplete": "off"})}


def _check_bound(text: str) -> None:
    limit = conf.editable_bytes()
    if byte_length(text) > limit:
        raise ValidationError(
            _("More than %(size)s are not edited here. Upload them as a file."),
            code="too_large",
            params={"size": filesizeformat(limit)},
        )


def admission_for(collection: TopicCollection, user: AbstractBaseUser) -> Admission:
    """What may come in for the upload field of this collection's form, filled in by this user."""
    form = CollectionForm(instance=collection)
    bind_uploads(form, user)
    return cast("CustomSeedsInput", form[UPLOAD_FIELD].field.widget).admission
