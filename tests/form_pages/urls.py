from config import urls
from django.urls import include, path

from . import pages

handler400, handler500 = urls.handler400, urls.handler500

urlpatterns = [
    path("forms/one/", pages.One.as_view()),
    path("forms/several/", pages.Several.as_view()),
    path("forms/kinds/", pages.Kinds.as_view()),
    path("forms/swapped/", pages.Swapped.as_view()),
    path("forms/parcels/<int:pk>/", pages.EditParcel.as_view()),
    path("forms/rows/", pages.rows),
    path("", include(urls)),
]
