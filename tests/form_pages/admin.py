from django import forms
from django.contrib import admin

from uploads.forms import ResumableAdminMixin, ResumableFileField

from .models import Parcel, Slip


class ParcelForm(forms.ModelForm[Parcel]):
    report = ResumableFileField(required=False)

    class Meta:
        model = Parcel
        fields = ["label", "report"]


class SlipForm(forms.ModelForm[Slip]):
    scan = ResumableFileField(required=False)

    class Meta:
        model = Slip
        fields = ["scan"]


class SlipInline(ResumableAdminMixin, admin.TabularInline[Slip, Parcel]):
    model = Slip
    form = SlipForm
    extra = 1


@admin.register(Parcel)
class ParcelAdmin(ResumableAdminMixin, admin.ModelAdmin[Parcel]):
    form = ParcelForm
    inlines = (SlipInline,)
