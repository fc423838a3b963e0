from django import forms
from django.contrib import admin

from uploads.forms import ResumableAdminMixin, ResumableFileField

from .models import Parcel


class ParcelForm(forms.ModelForm[Parcel]):
    report = ResumableFileField(required=False)

    class Meta:
        model = Parcel
        fields = ["label", "report"]


@admin.register(Parcel)
class ParcelAdmin(ResumableAdminMixin, admin.ModelAdmin[Parcel]):
    form = ParcelForm
