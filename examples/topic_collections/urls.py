"""Every address of the example."""

from django.urls import path

from uploads.forms import takes_files

from . import uploading, views

app_name = "topic_collections"

_INTERNAL = "collections/internal/<int:pk>"

urlpatterns = [
    path("collections/", views.Collections.as_view(), name="list"),
    # Without JavaScript the file comes with the form.
    path(f"{_INTERNAL}/", takes_files(views.EditCollection.as_view()), name="edit"),
    path(f"{_INTERNAL}/custom-seeds/chunk-upload", uploading.upload, name="chunk-upload"),
    path(f"{_INTERNAL}/custom-seeds/complete", uploading.complete, name="complete"),
    # The same, for who looks for it below the other.
    path(f"{_INTERNAL}/custom-seeds/chunk-upload/complete", uploading.complete),
]
