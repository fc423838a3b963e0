from django.contrib import admin
from django.contrib.auth.views import LogoutView
from django.urls import include, path
from django.views.generic import RedirectView

from . import accounts

urlpatterns = [
    path("", include("uploads.urls")),
    path("", include("examples.topic_collections.urls")),
    path("sign-in/", accounts.SignIn.as_view(), name="login"),
    path("sign-out/", LogoutView.as_view(), name="logout"),
    path("sign-in/forgotten/", accounts.Forgotten.as_view(), name="password_reset"),
    path("sign-in/forgotten/sent/", accounts.Sent.as_view(), name="password_reset_done"),
    path(
        "sign-in/new-password/<uidb64>/<token>/",
        accounts.SetNew.as_view(),
        name="password_reset_confirm",
    ),
    path("sign-in/new-password/", accounts.NewIsSet.as_view(), name="password_reset_complete"),
    path("account/password/", accounts.Change.as_view(), name="password_change"),
    path("account/password/changed/", accounts.Changed.as_view(), name="password_change_done"),
    # The admin's own form is not throttled.
    path("admin/password_change/", RedirectView.as_view(pattern_name="password_change")),
    path("admin/", admin.site.urls),
]

handler400 = "config.errors.refused"
handler404 = "config.errors.missing"
handler500 = "config.errors.unexpected"
