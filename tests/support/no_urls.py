"""The addresses of a project that has forgotten to include those of the app."""

from django.contrib.auth.views import LoginView
from django.urls import path

urlpatterns = [path("sign-in/", LoginView.as_view(), name="login")]
