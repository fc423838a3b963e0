"""What templates of the pages need and no view should have to hand them."""

from django import template
from django.conf import settings
from django.shortcuts import resolve_url

register = template.Library()


@register.simple_tag
def csrf_cookie_name() -> str:
    """Where scripts find the CSRF token of this moment; signing in again changes it."""
    return settings.CSRF_COOKIE_NAME


@register.simple_tag
def sign_in_url() -> str:
    """Where the project has people sign in: `LOGIN_URL` is an address, or the name of one."""
    return resolve_url(settings.LOGIN_URL)
