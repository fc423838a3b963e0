from config import urls
from django.urls import include, path

from . import pages

handler400, handler500 = urls.handler400, urls.handler500

urlpatterns = [
    path("forms/one/", pages.One.as_view()),
    path("forms/several/", pages.Several.as_view()),
    path("forms/rows/", pages.rows),
    path("", include(urls)),
]
